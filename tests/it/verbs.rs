//! `rpostmap verify`, `dump` and `salvage`, as a user meets them.

use std::fs;

use crate::common::{TestDir, is_stand_in, package_file, shout};
use crate::formats::real_pairs;

fn have_verbs() -> bool {
    if is_stand_in() {
        shout("verbs: the original has none");
    }
    !is_stand_in()
}

/// A directory with the table of a small source.
fn small(table_type: &str) -> TestDir {
    let dir = TestDir::new("verbs");
    dir.write("t", "alpha one\n\"two words\" a  b\nkey:x \\\"\n");
    dir.ours("rpostmap").args([format!("{table_type}:t")]).ok();
    dir
}

#[test]
fn verify_prints_statistics_of_a_clean_table() {
    if !have_verbs() {
        return;
    }
    let end = small("hash")
        .ours("rpostmap")
        .args(["verify", "hash:t"])
        .ok();
    let text = String::from_utf8(end.stdout).unwrap();
    for line in [
        "entries         3",
        "page size       4096",
        "format          hash version 9",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let end = small("btree")
        .ours("rpostmap")
        .args(["verify", "btree:t"])
        .ok();
    let text = String::from_utf8(end.stdout).unwrap();
    assert!(text.contains("height          1"), "{text}");
}

#[test]
fn verify_names_defects_and_fails() {
    if !have_verbs() {
        return;
    }
    let dir = small("hash");
    let mut file = fs::read(dir.file("t.db")).unwrap();
    file[88..92].fill(0xff);
    fs::write(dir.file("t.db"), &file).unwrap();
    let verify = dir.ours("rpostmap").args(["verify", "hash:t"]);
    let text = "error: H14: page 0: element counter is 4294967295\n";
    verify.finish().status_is(1).stdout_is(text);
    let verify = dir.ours("rpostmap").args(["verify", "--json", "hash:t"]);
    let end = verify.finish().status_is(1);
    let text = String::from_utf8(end.stdout).unwrap();
    for part in [
        r#""clean":false"#,
        r#""invariant":"H14""#,
        r#""page":0"#,
        r#""slot":null"#,
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_wrong_type_is_told_in_the_same_words_by_all_verbs() {
    if !have_verbs() {
        return;
    }
    for (is, other) in [("hash", "btree"), ("btree", "hash")] {
        let dir = small(is);
        for verb in ["verify", "dump"] {
            let end = dir.ours("rpostmap").args([verb, &format!("{other}:t")]);
            let text = format!(
                "rpostmap: fatal: t.db: Berkeley DB {is} file where a {other} file is expected\n"
            );
            end.finish().status_is(1).stdout_is("").stderr_is(text);
        }
    }
}

#[test]
fn an_operand_without_a_type_is_answered_with_what_is_expected() {
    if !have_verbs() {
        return;
    }
    let dir = small("hash");
    for verb in ["verify", "dump"] {
        for operand in ["t", "t.db", ":t", "hash:"] {
            let end = dir.ours("rpostmap").args([verb, operand]).finish();
            let text = format!(
                "rpostmap: fatal: expecting TYPE:FILE, as in hash:/etc/aliases, not \"{operand}\"\n"
            );
            end.status_is(1).stdout_is("").stderr_is(text);
        }
    }
}

#[test]
fn a_dump_compiles_back_to_the_same_bytes() {
    if !have_verbs() {
        return;
    }
    for table_type in ["hash", "btree"] {
        let dir = small(table_type);
        let table = fs::read(dir.file("t.db")).unwrap();
        let operand = format!("{table_type}:t");
        let end = dir.ours("rpostmap").args(["dump", &operand]).ok();
        let end = end.stderr_is("");
        fs::write(dir.file("t"), end.stdout).unwrap();
        dir.ours("rpostmap").args([&operand]).ok();
        assert!(fs::read(dir.file("t.db")).unwrap() == table, "{table_type}");
    }
}

#[test]
fn a_dump_names_what_cannot_be_written_and_how_to_compile_the_rest() {
    if !have_verbs() {
        return;
    }
    let dir = TestDir::new("dump");
    let table = package_file("tests/data/bdb/libdb-5.3-hash-512-le.db");
    fs::copy(table, dir.file("t.db")).unwrap();
    let end = dir.ours("rpostmap").args(["dump", "hash:t"]).finish();
    let mut pairs = real_pairs();
    pairs.sort_unstable();
    let lines = end.sorted_lines();
    assert!(
        lines
            .iter()
            .all(|line| pairs.iter().any(|pair| pair == line)),
        "{end}"
    );
    let stderr = String::from_utf8_lossy(&end.stderr).into_owned();
    let missing = pairs.len() - lines.len();
    assert_eq!(stderr.matches(": not written: ").count(), missing, "{end}");
    assert_eq!(end.status, i32::from(missing > 0), "{end}");
    assert!(stderr.contains("compile with -n"), "{end}");
}

#[test]
fn salvage_finds_all_entries_without_the_meta_page_and_keeps_them_private() {
    if !have_verbs() {
        return;
    }
    let dir = small("hash");
    let mut file = fs::read(dir.file("t.db")).unwrap();
    file[..512].fill(0);
    fs::write(dir.file("t.db"), &file).unwrap();
    dir.ours("rpostmap")
        .args(["-s", "hash:t"])
        .finish()
        .status_is(1);
    for operand in ["hash:t", "t.db", "./t.db"] {
        let end = dir.ours("rpostmap").args(["salvage", operand]).finish();
        let lines = end.sorted_lines();
        assert_eq!(lines.len(), 3, "{end}");
        assert_eq!(end.status, 1, "the meta page is lost: {end}");
    }
    let salvage = || dir.ours("rpostmap").args(["salvage", "-o", "out", "t.db"]);
    salvage().umask("000").finish().status_is(1).stdout_is("");
    assert_eq!(dir.mode("out"), 0o600);
    let saved = fs::read(dir.file("out")).unwrap();
    let end = salvage().finish().status_is(1);
    let text = "rpostmap: fatal: create out: File exists\n";
    assert_eq!(String::from_utf8_lossy(&end.stderr), text);
    assert!(fs::read(dir.file("out")).unwrap() == saved);
}

#[test]
fn a_table_called_like_a_verb_is_named_with_a_path_or_a_type() {
    if !have_verbs() {
        return;
    }
    let dir = TestDir::new("verb");
    dir.write("verify", "a b\n");
    let usage = "rpostmap: fatal: usage: rpostmap verify [--json] TYPE:FILE\n";
    let verify = dir.ours("rpostmap").args(["verify"]);
    verify.finish().status_is(1).stderr_is(usage);
    for words in [&["./verify"][..], &["hash:verify"], &["-v", "verify"]] {
        dir.ours("rpostmap").args(words).ok();
        assert!(dir.file("verify.db").exists(), "{words:?}");
        fs::remove_file(dir.file("verify.db")).unwrap();
    }
    dir.ours("postmap").args(["verify"]).ok();
    assert!(dir.file("verify.db").exists(), "postmap has no verbs");
}

#[test]
fn verbs_explain_themselves_and_refuse_what_they_do_not_know() {
    if !have_verbs() {
        return;
    }
    let dir = TestDir::new("help");
    for verb in ["verify", "dump", "salvage"] {
        let end = dir.ours("rpostmap").args([verb, "--help"]).ok();
        let text = String::from_utf8(end.stdout).unwrap();
        assert!(text.contains(&format!("Usage: rpostmap {verb} ")), "{text}");
        dir.ours("rpostmap")
            .args([verb, "-Z", "hash:t"])
            .finish()
            .status_is(1);
        dir.ours("rpostmap")
            .args([verb, "hash:t", "hash:u"])
            .finish()
            .status_is(1);
        dir.ours("rpostmap")
            .args([verb, "hash:missing"])
            .finish()
            .status_is(1);
    }
    dir.ours("rpostmap")
        .args(["dump", "--format=xml", "hash:t"])
        .finish()
        .status_is(1);
}

#[test]
fn salvage_says_that_entries_may_be_missing_when_pages_are() {
    if !have_verbs() {
        return;
    }
    for fixture in ["libdb-5.3-hash-4096-le.db", "libdb-5.3-btree-4096-le.db"] {
        let dir = TestDir::new("salvage-cut");
        let path = package_file("tests/data/bdb").join(fixture);
        let mut file = std::fs::read(path).expect("in the repository");
        file.truncate(file.len() / 4096 / 2 * 4096);
        dir.write("t.db", file);
        let end = dir
            .ours("rpostmap")
            .args(["salvage", "t.db"])
            .finish()
            .status_is(1);
        let said = String::from_utf8_lossy(&end.stderr).into_owned();
        assert!(said.contains("entries may be missing"), "{fixture}\n{end}");
    }
}
