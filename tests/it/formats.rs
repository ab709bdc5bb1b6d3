//! Tables that other programs wrote, read through the command.

use std::fs;

use crate::common::{TestDir, is_stand_in, package_file};

/// `key TAB value` lines, from entries.txt in tests/data/bdb.
pub(crate) fn real_pairs() -> Vec<Vec<u8>> {
    let text = fs::read(package_file("tests/data/bdb/entries.txt")).expect("entries.txt");
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let pairs = lines.chunks_exact(2).map(|pair| {
        let key = pair[0]
            .strip_suffix(b"\n")
            .expect("a key ends in a line feed");
        [key, b"\t", pair[1]].concat()
    });
    pairs.collect()
}

/// The keys of [`real_pairs`], one per line.
pub(crate) fn real_keys() -> Vec<u8> {
    let pairs = real_pairs();
    let keys = pairs
        .iter()
        .flat_map(|line| line.split(|&byte| byte == b'\t').next());
    keys.flat_map(|key| [key, b"\n"])
        .flatten()
        .copied()
        .collect()
}

#[test]
fn every_real_table_lists_and_answers_its_307_pairs() {
    let pairs = real_pairs();
    assert_eq!(pairs.len(), 307);
    let mut sorted: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    let keys = real_keys();
    let (mut hash_count, mut btree_count) = (0, 0);
    for entry in fs::read_dir(package_file("tests/data/bdb")).expect("tests/data/bdb") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|suffix| suffix != "db") {
            continue;
        }
        let name = path
            .file_stem()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        let table = if name.contains("-hash-") {
            hash_count += 1;
            "hash:t"
        } else {
            btree_count += 1;
            "btree:t"
        };
        // The original's library reads nothing older than hash version 7 and btree version 8.
        if is_stand_in() && name.starts_with("libdb-3.0-") {
            continue;
        }
        let dir = TestDir::new(&name);
        fs::copy(&path, dir.file("t.db")).expect("copy");
        let listed = dir.ours("rpostmap").args(["-s", table]).ok();
        assert!(
            listed.sorted_lines() == sorted,
            "{name}: listing differs\n{listed}"
        );
        let answers = ["-f", "-u", "-q", "-", table];
        let answers = dir.ours("rpostmap").args(answers).stdin(&*keys).ok();
        assert!(
            answers.stdout == pairs.concat(),
            "{name}: answers differ\n{answers}"
        );
    }
    assert_eq!((hash_count, btree_count), (13, 12), "in tests/data/bdb");
}

#[test]
fn a_table_of_the_other_type_is_refused_until_it_is_built_anew() {
    for (made, other) in [("hash:t", "btree:t"), ("btree:t", "hash:t")] {
        let dir = TestDir::new("type");
        dir.write("t", "key value\n");
        dir.ours("rpostmap").args([made]).ok();
        let refused = dir.ours("postmap").args(["-q", "key", other]).finish();
        refused
            .status_is(1)
            .stderr_is("postmap: fatal: open database t.db: Invalid argument\n");
        dir.ours("rpostmap").args([other]).ok();
        let found = dir.ours("rpostmap").args(["-q", "key", other]).ok();
        assert_eq!(found.stdout, b"value\n");
    }
}

#[test]
fn a_table_with_checksums_keeps_them_however_many_entries_are_added() {
    let dir = TestDir::new("checksums");
    let fixture = package_file("tests/data/bdb/libdb-5.3-hash-checksum-4096-le.db");
    dir.write("t.db", std::fs::read(fixture).expect("in the repository"));
    let entries: String = (0..5_000).map(|i| format!("new{i} value{i}\n")).collect();
    dir.ours("rpostmap")
        .args(["-i", "-n", "hash:t"])
        .stdin(entries)
        .ok();
    let file = std::fs::read(dir.file("t.db")).expect("written just now");
    assert_eq!(file[26], 1, "the flag for checksums");
    dir.ours("rpostmap").args(["verify", "hash:t"]).ok();
    let listing = dir.ours("rpostmap").args(["-s", "hash:t"]).ok();
    assert_eq!(listing.sorted_lines().len(), 5_307);
}
