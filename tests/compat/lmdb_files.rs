//! Files that the original makes and changes, read and verified by ours.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rpostmap::file::store::StoreMode;
use rpostmap::lmdb::salvage::salvage;
use rpostmap::lmdb::verify::verify;
use rpostmap::lmdb::{LmdbReader, open_store};

use crate::common::TestDir;
use crate::oracle::{have, original};

#[track_caller]
fn assert_clean(dir: &TestDir, what: &str) -> u64 {
    let store = open_store(&dir.file("t.lmdb"), StoreMode::AUTO).expect("open");
    let report = verify(&store).expect("verify");
    assert_eq!(report.defects, [], "{what}");
    let salvaged = salvage(&store).expect("salvage");
    let entries = report.statistics.expect("statistics").entries;
    assert!(salvaged.complete, "{what}: {:?}", salvaged.skipped);
    assert_eq!(salvaged.pairs.len() as u64, entries, "{what}");
    entries
}

/// Source text of entries whose values are of all lengths around what fits in a page.
fn source(count: usize) -> String {
    (0..count)
        .map(|n| {
            let len = [5, 20, 300, 2000, 2021, 2022, 2023, 9000][n * 7 % 8];
            let key_len = [1, 10, 60, 480][n * 11 % 4];
            format!("{n}{} {n}{}\n", "k".repeat(key_len), "v".repeat(len))
        })
        .collect()
}

#[test]
fn files_that_postmap_made_and_changed_are_clean() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("lmdb-changed");
    for count in [0, 1, 17, 100, 3000] {
        dir.write("t", source(count));
        original(&dir, "postmap").args(["lmdb:t"]).ok();
        assert_eq!(assert_clean(&dir, "made"), count as u64);
        let theirs = original(&dir, "postmap").args(["-s", "lmdb:t"]).ok();
        let ours = dir.ours("rpostmap").args(["-s", "lmdb:t"]);
        ours.ok().stdout_is(theirs.stdout);
    }
    let mut state = 1u32;
    for round in 0..6 {
        let (mut puts, mut deletes) = (String::new(), String::new());
        for _ in 0..300 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let n = state >> 8 & 0x3ff;
            let len = 1 + (state as usize >> 21);
            puts.push_str(&format!("{n}@example.com {}\n", "v".repeat(len)));
            deletes.push_str(&format!("{}@example.com\n", n ^ 0x55));
            deletes.push_str(&format!("{n}k\n{n}{}\n", "k".repeat(480)));
        }
        let put = original(&dir, "postmap").args(["-i", "-r", "lmdb:t"]);
        put.stdin(puts).ok();
        assert_clean(&dir, &format!("round {round}, put"));
        let delete = original(&dir, "postmap").args(["-d", "-", "lmdb:t"]);
        delete.stdin(deletes).finish();
        assert_clean(&dir, &format!("round {round}, deleted"));
    }
    let theirs = original(&dir, "postmap").args(["-s", "lmdb:t"]).ok();
    let ours = dir.ours("rpostmap").args(["-s", "lmdb:t"]);
    ours.ok().stdout_is(theirs.stdout);
}

#[test]
fn a_dump_is_that_of_mdb_dump_and_loads_again() {
    if !have(&["postmap", "mdb_dump", "mdb_load"]) {
        return;
    }
    let dir = TestDir::new("lmdb-dump");
    dir.write("t", format!("{}u\u{e4} \u{20ac}\n", source(50)));
    original(&dir, "postmap").args(["lmdb:t"]).ok();
    let theirs = original(&dir, "mdb_dump").args(["-n", "-p", "t.lmdb"]).ok();
    let dump = ["dump", "--format", "db_dump", "lmdb:t"];
    dir.ours("rpostmap")
        .args(dump)
        .ok()
        .stdout_is(&theirs.stdout);
    // A backslash, which mdb_dump does not escape and mdb_load takes for an escape.
    dir.write("t", "back\\slash \\41\n");
    original(&dir, "postmap").args(["lmdb:t"]).ok();
    let ours = dir.ours("rpostmap").args(dump).ok();
    let load = original(&dir, "mdb_load").args(["-n", "u.lmdb"]);
    load.stdin(ours.stdout).ok();
    let list = original(&dir, "postmap").args(["-s", "lmdb:u"]);
    list.ok().stdout_is("back\\slash\t\\41\n");
}

/// What a listing of a table holds whose keys are `k0000` to `k0199`, all with the same value but for
/// those of one transaction; `None` when it could not be made.
fn generations(reader: &LmdbReader) -> Option<BTreeMap<Vec<u8>, u64>> {
    let mut found = BTreeMap::new();
    for pair in reader.iter().ok()? {
        let (key, value) = match pair {
            Ok(pair) => pair,
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                let text = error.to_string();
                assert!(text.contains("faster"), "{text}");
                return None;
            }
        };
        let text = String::from_utf8_lossy(&value);
        let generation = text.trim_end_matches(['v', '\0']).parse().expect("number");
        assert!(value.len() > 500, "a value is cut");
        found.insert(key.into_owned(), generation);
    }
    Some(found)
}

#[test]
fn every_listing_beside_a_writer_is_of_one_transaction() {
    if !have(&["postmap"]) {
        return;
    }
    const KEYS: usize = 200;
    let dir = TestDir::new("lmdb-busy");
    // The writer goes round and round: each transaction gives one key the next number.
    let rounds = |from: usize, count: usize| -> String {
        (from..from + count)
            .map(|n| format!("k{:04} {n}{}\n", n % KEYS, "v".repeat(500 + n % 7 * 900)))
            .collect()
    };
    dir.write("t", rounds(0, KEYS));
    original(&dir, "postmap").args(["lmdb:t"]).ok();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut next = KEYS;
            let end = Instant::now() + Duration::from_secs(4);
            while Instant::now() < end {
                let update = original(&dir, "postmap").args(["-i", "-r", "lmdb:t"]);
                update.stdin(rounds(next, 500)).ok();
                next += 500;
            }
            done.store(true, Ordering::Relaxed);
            next
        });
        let path = dir.file("t.lmdb");
        let (mut listings, mut lookups, mut given_up) = (0, 0, 0);
        let positioned = open_store(&path, StoreMode::POSITIONED).expect("open");
        let positioned = LmdbReader::new(positioned).expect("reader");
        let mut newest = 0;
        while !done.load(Ordering::Relaxed) {
            let copy = match open_store(&path, StoreMode::MEMORY) {
                Ok(store) => store,
                Err(error) => {
                    assert!(error.is_temporary(), "{error}");
                    given_up += 1;
                    continue;
                }
            };
            assert_eq!(verify(&copy).expect("verify").defects, []);
            let copy = LmdbReader::new(copy).expect("reader");
            for reader in [&copy, &positioned] {
                let Some(found) = generations(reader) else {
                    given_up += 1;
                    continue;
                };
                listings += 1;
                assert_eq!(found.len(), KEYS);
                // One transaction: the numbers are the last KEYS in a row.
                let max = found.values().copied().max().expect("entries");
                let min = found.values().copied().min().expect("entries");
                assert_eq!(max - min + 1, KEYS as u64, "of several transactions");
                assert!(max >= newest, "time goes backwards");
                newest = max;
                for key in 0..KEYS {
                    match positioned.get(format!("k{key:04}\0").as_bytes()) {
                        Ok(value) => {
                            assert!(value.expect("there all the time").len() > 500);
                            lookups += 1;
                        }
                        Err(error) => {
                            assert!(error.to_string().contains("faster"), "{error}");
                            given_up += 1;
                        }
                    }
                }
            }
        }
        let written = writer.join().expect("writer");
        let counts = format!(
            "{listings} listings, {lookups} lookups, {given_up} given up, {written} commits"
        );
        assert!(listings > 3 && lookups > 1000, "{counts}");
        if std::env::var_os("RPOSTMAP_COUNTS").is_some() {
            crate::common::shout(counts);
        }
    });
    assert_clean(&dir, "in the end");
}

#[test]
fn a_table_that_is_cut_short_is_an_error_and_no_signal() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("lmdb-cut");
    dir.write("t", source(300));
    original(&dir, "postmap").args(["lmdb:t"]).ok();
    let file = fs::read(dir.file("t.lmdb")).expect("read");
    fs::write(dir.file("t.lmdb"), &file[..3 * 4096]).expect("write");
    let end = dir.ours("postmap").args(["-q", "299k", "lmdb:t"]).finish();
    let end = end.status_is(1).stdout_is("");
    let text = String::from_utf8_lossy(&end.stderr);
    assert!(text.contains("file is shorter than its last page"), "{end}");
}
