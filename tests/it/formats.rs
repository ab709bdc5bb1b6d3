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
fn every_real_hash_table_lists_and_answers_its_307_pairs() {
    let pairs = real_pairs();
    assert_eq!(pairs.len(), 307);
    let mut sorted: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    let keys = real_keys();
    let mut count = 0;
    for entry in fs::read_dir(package_file("tests/data/bdb")).expect("tests/data/bdb") {
        let path = entry.expect("entry").path();
        let name = path
            .file_stem()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        if !name.contains("-hash-") || path.extension().is_none_or(|suffix| suffix != "db") {
            continue;
        }
        count += 1;
        // The original's library reads nothing older than hash version 7.
        if is_stand_in() && name.starts_with("libdb-3.0-") {
            continue;
        }
        let dir = TestDir::new(&name);
        fs::copy(&path, dir.file("t.db")).expect("copy");
        let listed = dir.ours("rpostmap").args(["-s", "hash:t"]).ok();
        assert!(
            listed.sorted_lines() == sorted,
            "{name}: listing differs\n{listed}"
        );
        let answers = ["-f", "-u", "-q", "-", "hash:t"];
        let answers = dir.ours("rpostmap").args(answers).stdin(&*keys).ok();
        assert!(
            answers.stdout == pairs.concat(),
            "{name}: answers differ\n{answers}"
        );
    }
    assert_eq!(count, 13, "hash tables in tests/data/bdb");
}
