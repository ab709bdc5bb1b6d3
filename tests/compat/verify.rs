//! Verification, ours next to Berkeley DB's.

use std::fs;

use rpostmap::bdb::salvage::{Options, salvage};
use rpostmap::bdb::verify::verify;
use rpostmap::file::store::Store;

use crate::common::{TestDir, package_file};
use crate::oracle::{assert_clean, have, original};
use crate::planted_files::{btree_file, hash_file, planted};

#[test]
fn berkeley_db_notices_the_defects_it_should() {
    if !have(&["db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("planted");
    for file in [hash_file(), btree_file()] {
        fs::write(dir.file("t.db"), &file.0).expect("write");
        assert_clean(&dir, "t.db");
    }
    let mut wrong = Vec::new();
    for plant in planted() {
        fs::write(dir.file("t.db"), &plant.file.0).expect("write");
        let verify = original(&dir, "db5.3_verify").args(["-q", "t.db"]);
        let end = verify.finish();
        if (end.status != 0) != plant.libdb_fails {
            wrong.push(format!(
                "{} on page {:?}: {}",
                plant.rule, plant.page, end.status
            ));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[track_caller]
fn assert_ours_is_clean(dir: &TestDir, what: &str) {
    let file = fs::read(dir.file("t.db")).expect("t.db");
    let report = verify(&Store::from_bytes(file)).expect("verify");
    assert!(report.is_clean(), "{what}: {:?}", report.defects);
}

#[test]
fn files_that_postmap_changed_thousands_of_times_are_clean() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    for table_type in ["hash", "btree"] {
        let dir = TestDir::new("changed");
        dir.write("t", "first entry\n");
        let table = format!("{table_type}:t");
        original(&dir, "postmap").args([&table]).ok();
        let mut state = 1u32;
        for round in 0..6 {
            let (mut puts, mut deletes) = (String::new(), String::new());
            for _ in 0..700 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let key = state >> 8 & 0x7ff;
                let long = if key.is_multiple_of(97) {
                    5000
                } else {
                    state as usize >> 24
                };
                let key = format!(
                    "{key}@{}",
                    "k".repeat(if key.is_multiple_of(211) { 1500 } else { 9 })
                );
                if state & 64 == 0 || round % 2 == 0 {
                    puts.push_str(&format!("{key} {}\n", "v".repeat(1 + long)));
                } else {
                    deletes.push_str(&format!("{key}\n"));
                }
            }
            let put = original(&dir, "postmap").args(["-i", "-r", &table]);
            put.stdin(puts).ok();
            let delete = original(&dir, "postmap").args(["-d", "-", &table]);
            delete.stdin(deletes).finish();
            assert_clean(&dir, "t.db");
            assert_ours_is_clean(&dir, &format!("{table_type}, round {round}"));
        }
    }
}

#[test]
fn files_of_db_load_are_clean_whatever_their_settings() {
    if !have(&["db5.3_load", "db5.3_verify"]) {
        return;
    }
    let mut pairs = String::new();
    for at in 0..900 {
        let long = if at % 90 == 0 { 3000 } else { at % 40 };
        // Every ninth key comes again; where duplicates are allowed it has several values, some of
        // them so many that they get a tree of their own.
        let key = if at % 9 == 0 {
            format!("again{}", at % 4)
        } else {
            format!("key{at}")
        };
        pairs.push_str(&format!("{key}\nvalue{at}{}\n", "v".repeat(long)));
    }
    for method in ["hash", "btree"] {
        for settings in [
            &["db_pagesize=512"][..],
            &["db_pagesize=512", "db_lorder=4321"],
            &["db_pagesize=1024", "chksum=1"],
            &["db_pagesize=65536"],
            &["db_pagesize=512", "duplicates=1"],
            &["db_pagesize=512", "duplicates=1", "dupsort=1"],
            &[
                "db_pagesize=2048",
                "duplicates=1",
                "dupsort=1",
                "db_lorder=4321",
                "chksum=1",
            ],
            &["h_ffactor=10", "h_nelem=3000"],
            &["bt_minkey=5", "recnum=1"],
        ] {
            let foreign = if method == "hash" { "bt_" } else { "h_" };
            let settings = settings
                .iter()
                .filter(|setting| !setting.starts_with(foreign));
            let settings: Vec<_> = settings
                .filter(|setting| method == "btree" || **setting != "recnum=1")
                .collect();
            let dir = TestDir::new("loaded");
            let mut load = original(&dir, "db5.3_load").args(["-T", "-t", method]);
            for setting in &settings {
                load = load.args(["-c", *setting]);
            }
            let end = load.args(["t.db"]).stdin(pairs.clone()).finish();
            assert!(end.status <= 1, "{end}");
            assert_clean(&dir, "t.db");
            assert_ours_is_clean(&dir, &format!("{method} {settings:?}"));
        }
    }
}

#[test]
fn a_dump_for_berkeley_db_is_that_of_db_dump_and_loads() {
    if !have(&["db5.3_load", "db5.3_dump"]) {
        return;
    }
    for (name, method) in [
        ("libdb-5.3-hash-512-le", "hash"),
        ("libdb-4.5-hash-4096-be", "hash"),
        ("libdb-5.3-hash-checksum-4096-le", "hash"),
        ("libdb-5.3-btree-512-be", "btree"),
        ("libdb-5.3-btree-checksum-4096-le", "btree"),
    ] {
        let dir = TestDir::new(name);
        let file = package_file("tests/data/bdb").join(format!("{name}.db"));
        fs::copy(file, dir.file("t.db")).expect("copy");
        let table = format!("{method}:t");
        let ours = dir.ours("rpostmap");
        let ours = ours.args(["dump", "--format", "db_dump", &table]).ok();
        let theirs = original(&dir, "db5.3_dump").args(["-p", "t.db"]).ok();
        assert!(
            ours.sorted_lines() == theirs.sorted_lines(),
            "{name}: {ours}{theirs}"
        );
        let load = original(&dir, "db5.3_load").args(["u.db"]);
        load.stdin(ours.stdout.clone()).ok();
        let loaded = original(&dir, "db5.3_dump").args(["-p", "u.db"]).ok();
        // The element counter of a loaded file counts each entry twice.
        let data = |lines: Vec<&[u8]>| -> Vec<Vec<u8>> {
            let data = lines.into_iter().filter(|line| line.starts_with(b" "));
            data.map(<[u8]>::to_vec).collect()
        };
        let (loaded, theirs) = (loaded.sorted_lines(), theirs.sorted_lines());
        assert!(data(loaded) == data(theirs), "{name}");
    }
}

#[test]
fn all_keys_of_a_file_with_an_old_meta_page_are_found() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("crash");
    let entries = |from: u32, to| -> String {
        (from..to)
            .map(|at| format!("key{at} value{at}\n"))
            .collect()
    };
    dir.write("t", entries(0, 2000));
    original(&dir, "postmap").args(["hash:t"]).ok();
    let old = fs::read(dir.file("t.db")).expect("t.db");
    let more = entries(2000, 20_000);
    original(&dir, "postmap")
        .args(["-i", "hash:t"])
        .stdin(more)
        .ok();
    let mut file = fs::read(dir.file("t.db")).expect("t.db");
    // A crash after pages were written and before the meta page was.
    file[..512].copy_from_slice(&old[..512]);
    let store = Store::from_bytes(file);
    assert!(!verify(&store).expect("verify").is_clean());
    let found = salvage(&store, Options::default()).expect("salvage");
    assert_eq!(found.pairs.len(), 20_000);
    assert_eq!(found.conflicts, []);
}

#[test]
fn what_berkeley_db_deleted_from_a_btree_is_nearly_always_found_as_it_was_or_not_at_all() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("deleted");
    let entry = |at: usize| {
        let value = format!("mailbox{at}/{}", "x".repeat(at % 40));
        (format!("user{at}@example.com"), value)
    };
    let text: String = (0..600)
        .map(|at| format!("{} {}\n", entry(at).0, entry(at).1))
        .collect();
    // In order from both ends, and from everywhere.
    for step in [1, 599, 7] {
        dir.write("t", &text);
        original(&dir, "postmap").args(["btree:t"]).ok();
        let keys: String = (0..600)
            .map(|at| format!("{}\n", entry(at * step % 600).0))
            .collect();
        let delete = original(&dir, "postmap").args(["-d", "-", "btree:t"]);
        delete.stdin(keys).ok();
        let store = Store::from_bytes(fs::read(dir.file("t.db")).expect("t.db"));
        let found = salvage(&store, Options::default().deleted(true)).expect("salvage");
        assert!(found.pairs.len() > 60, "{step}: {}", found.pairs.len());
        let known: Vec<(Vec<u8>, Vec<u8>)> = (0..600)
            .map(entry)
            .map(|(key, value)| ((key + "\0").into(), (value + "\0").into()))
            .collect();
        let wrong: Vec<String> = found
            .pairs
            .iter()
            .filter(|pair| !known.contains(&(pair.key.clone(), pair.value.clone())))
            .map(|pair| format!("{} {}", pair.key.escape_ascii(), pair.value.escape_ascii()))
            .collect();
        let count = found.pairs.len();
        assert!(10 * wrong.len() < count, "{step}: of {count} {wrong:?}");
    }
}
