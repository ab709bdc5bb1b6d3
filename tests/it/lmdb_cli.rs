//! `lmdb:` tables, as a user of the command meets them.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::common::{TestDir, is_stand_in, shout};
use crate::lmdb::{FIXTURES, Random, damaged, entries, fixture};

/// A directory with the fixture as `t.lmdb`.
fn with_table(name: &str) -> TestDir {
    let dir = TestDir::new("lmdb");
    dir.write("t.lmdb", fixture(name));
    dir
}

fn listing() -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in entries() {
        text.extend([&key[..], b"\t", &value, b"\n"].concat());
    }
    text
}

#[test]
fn tables_of_all_releases_and_machines_are_looked_up_and_listed() {
    for (name, ..) in FIXTURES {
        if is_stand_in() && name != "lmdb-0.9.24-64le" {
            continue;
        }
        let dir = with_table(name);
        let query = dir.ours("postmap").args(["-q", "ABC", "lmdb:t"]);
        query.ok().stdout_is("3\n").stderr_is("");
        let query = dir.ours("postmap").args(["-q", "nobody", "lmdb:t"]);
        query.finish().status_is(1).stdout_is("").stderr_is("");
        let query = dir.ours("postmap").args(["-q", "-", "lmdb:t"]);
        query
            .stdin("ab\nx\nabc\n")
            .ok()
            .stdout_is("ab\t2\nabc\t3\n");
        let list = dir.ours("postmap").args(["-s", "lmdb:t"]);
        list.ok().stdout_is(listing()).stderr_is("");
    }
}

#[test]
fn odd_files_are_refused_in_the_words_of_the_original_and_in_our_own() {
    let dir = with_table("lmdb-0.9.24-64le");
    dir.write("empty.lmdb", "");
    dir.write("text.lmdb", "key value\n");
    dir.write("zeros.lmdb", [0; 8192]);
    fs::create_dir(dir.file("dir.lmdb")).unwrap();
    symlink("nowhere", dir.file("link.lmdb")).unwrap();
    for (table, original, ours) in [
        (
            "empty",
            "Bad file descriptor",
            "file is empty, not an LMDB file yet",
        ),
        (
            "text",
            "MDB_INVALID: File is not an LMDB file",
            "not an LMDB file",
        ),
        (
            "zeros",
            "MDB_INVALID: File is not an LMDB file",
            "not an LMDB file",
        ),
        ("dir", "Is a directory", "Is a directory"),
        (
            "link",
            "No such file or directory",
            "No such file or directory",
        ),
        (
            "none",
            "No such file or directory",
            "No such file or directory",
        ),
    ] {
        let operand = format!("lmdb:{table}");
        for (program, reason) in [
            ("postmap", original),
            ("postalias", original),
            ("rpostmap", ours),
        ] {
            if is_stand_in() && program == "rpostmap" {
                continue;
            }
            for words in [["-q", "a"], ["-s", ""]] {
                let words = words.into_iter().filter(|word| !word.is_empty());
                let run = dir.ours(program).args(words).args([&operand]);
                let text = format!("{program}: fatal: open database {table}.lmdb: {reason}\n");
                run.finish().status_is(1).stdout_is("").stderr_is(text);
            }
        }
    }
}

#[test]
fn an_empty_key_is_not_found_and_a_long_one_neither() {
    if is_stand_in() {
        return shout("empty keys: the original fails");
    }
    let dir = with_table("lmdb-0.9.24-64le");
    for key in ["", &"k".repeat(600)] {
        let query = dir.ours("postmap").args(["-q", key, "lmdb:t"]);
        query.finish().status_is(1).stdout_is("").stderr_is("");
    }
}

#[test]
fn a_source_that_is_newer_than_its_table_is_worth_a_warning() {
    let dir = with_table("lmdb-0.9.24-64le");
    let source = fs::File::create(dir.file("t")).unwrap();
    let minutes_ago = std::time::SystemTime::now() - Duration::from_secs(300);
    source.set_modified(minutes_ago).unwrap();
    let query = dir.ours("postmap").args(["-q", "a", "lmdb:t"]);
    let text = "postmap: warning: database t.lmdb is older than source file t\n";
    query.ok().stdout_is("1\n").stderr_is(text);
}

#[test]
fn damaged_tables_give_answers_or_one_fatal_line() {
    if is_stand_in() {
        return shout("damaged tables: the original dies by signals");
    }
    let dir = TestDir::new("lmdb-damaged");
    let mut random = Random(2);
    let good = listing();
    let good: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    for case in 0..400 {
        fs::write(dir.file("t.lmdb"), damaged(&mut random)).unwrap();
        for words in [&["-u", "-q", "abc"][..], &["-u", "-s"]] {
            let run = dir.ours("rpostmap").args(words).args(["lmdb:t"]);
            let end = run.limit(Duration::from_secs(20)).finish();
            assert!(end.status == 0 || end.status == 1, "{case}: {end}");
            let lines = end.stderr.split_inclusive(|byte| *byte == b'\n').count();
            let is_fatal = end.stderr.starts_with(b"rpostmap: fatal: ");
            assert!(lines == 0 || lines == 1 && is_fatal, "{case}: {end}");
            if lines == 0 && words == ["-u", "-s"] && end.status == 0 {
                let listed = end.stdout.split_inclusive(|byte| *byte == b'\n').count();
                assert!(listed <= 2 * good.len(), "{case}: {end}");
            }
        }
    }
}

#[test]
fn verify_prints_statistics_or_defects() {
    if is_stand_in() {
        return shout("verify: ours alone");
    }
    let dir = with_table("lmdb-1.0.1-64be");
    let text = "format          LMDB 1.0, 64-bit, big-endian\n\
                page size       4096\n\
                entries         307\n\
                depth           2\n\
                pages           25: 2 meta, 1 branch, 6 leaf, 3 overflow, 1 free list, 12 free\n\
                fill            74.2 %\n\
                overflow values 1\n\
                map size        1048576\n\
                transaction     4, on meta page 0\n\
                before that     transaction 3, root 11, last page 21\n";
    let verify = dir.ours("rpostmap").args(["verify", "lmdb:t"]);
    verify.ok().stdout_is(text);
    let json = dir
        .ours("rpostmap")
        .args(["verify", "--json", "lmdb:t"])
        .ok();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["clean"], true);
    assert_eq!(json["statistics"]["release"], "1.0");
    assert_eq!(json["statistics"]["pages"]["free"], 12);

    let mut file = fixture("lmdb-0.9.24-64le");
    file[88 + 32] += 1;
    dir.write("t.lmdb", &file);
    let verify = dir.ours("rpostmap").args(["verify", "lmdb:t"]);
    let text = "error: L14: page 0: main tree has 307 entries, not 308\n";
    verify.finish().status_is(1).stdout_is(text);
    let json = dir
        .ours("rpostmap")
        .args(["verify", "--json", "lmdb:t"])
        .finish();
    let json: serde_json::Value = serde_json::from_slice(&json.status_is(1).stdout).unwrap();
    assert_eq!(json["defects"][0]["invariant"], "L14");
    assert_eq!(json["defects"][0]["page"], 0);
}

#[test]
fn a_dump_is_source_text_or_what_mdb_load_reads() {
    if is_stand_in() {
        return shout("dump: ours alone");
    }
    let dir = with_table("lmdb-1.0.1-32le");
    let dump = dir.ours("rpostmap").args(["dump", "lmdb:t"]);
    let note = "rpostmap: compile with -n (entries do not end in a NUL)\n";
    dump.finish()
        .stdout_is(listing())
        .stderr_is(note)
        .status_is(0);
    let mut text = b"VERSION=3\nformat=print\ntype=btree\nmapsize=1048576\nmaxreaders=126\n\
                     db_pagesize=4096\nHEADER=END\n"
        .to_vec();
    for (key, value) in entries() {
        text.extend([&b" "[..], &key, b"\n ", &value, b"\n"].concat());
    }
    text.extend(b"DATA=END\n");
    let dump = dir
        .ours("rpostmap")
        .args(["dump", "--format", "db_dump", "lmdb:t"]);
    dump.ok().stdout_is(text).stderr_is("");
}

#[test]
fn salvage_prints_what_is_left_and_says_what_that_is() {
    if is_stand_in() {
        return shout("salvage: ours alone");
    }
    let dir = with_table("lmdb-0.9.24-64le");
    for operand in ["lmdb:t", "t.lmdb"] {
        let salvage = dir.ours("rpostmap").args(["salvage", operand]);
        salvage.ok().stdout_is(listing());
    }
    let mut file = fixture("lmdb-0.9.24-64le");
    file[..8192].fill(0);
    dir.write("t.lmdb", &file);
    for operand in ["lmdb:t", "t.lmdb"] {
        let end = dir.ours("rpostmap").args(["salvage", operand]).finish();
        let end = end.status_is(1);
        let mark = b"# entries the damaged tree does not lead to";
        assert!(end.stdout.starts_with(mark), "{end}");
        let lines = end.sorted_lines();
        for line in listing().split_inclusive(|byte| *byte == b'\n') {
            assert!(lines.binary_search(&line).is_ok(), "{end}");
        }
        let warning =
            b"rpostmap: warning: meta pages are damaged; pages look like LMDB 0.9, 64-bit";
        assert!(end.stderr.starts_with(warning), "{end}");
    }
}
