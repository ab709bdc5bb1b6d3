//! Damaged tables, read through the command: right answers, or one fatal line. Never a signal, a
//! wrong answer or a hang. The library's own tests flip and cut far more.

use std::fs;
use std::time::Duration;

use crate::common::{TestDir, is_stand_in, package_file, shout};
use crate::formats::{real_keys, real_pairs};

/// Length of a meta page without its unused tail and the checksum's key.
const META_LEN: usize = 512;

/// A way to damage a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut(usize),
    Xor { offset: usize, mask: u8 },
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(len) => bytes.truncate(len),
            Self::Xor { offset, mask } => bytes[offset] ^= mask,
        }
    }
}

/// About `count` cases, spread evenly over all cuts and flips.
fn sample(file_len: usize, count: usize) -> Vec<Damage> {
    let cuts = (0..file_len).step_by(512).map(Damage::Cut);
    let flips = (0..META_LEN).flat_map(|offset| [0xff, 1].map(|mask| Damage::Xor { offset, mask }));
    let all: Vec<Damage> = cuts.chain(flips).collect();
    all.iter()
        .step_by((all.len() / count).max(1))
        .copied()
        .collect()
}

#[test]
fn damaged_table_gives_right_answers_or_one_fatal_line() {
    if is_stand_in() {
        return shout("damaged tables: the original promises nothing");
    }
    let (pairs, keys) = (real_pairs(), real_keys());
    let mut sorted: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    for (name, table) in [
        ("libdb-5.3-hash-512-le", "hash:t"),
        ("libdb-4.0-hash-4096-be", "hash:t"),
        ("libdb-5.3-btree-512-be", "btree:t"),
        ("libdb-4.0-btree-512-le", "btree:t"),
    ] {
        let path = package_file("tests/data/bdb").join(format!("{name}.db"));
        let intact = fs::read(path).expect("fixture");
        for damage in sample(intact.len(), 50) {
            let dir = TestDir::new("damaged");
            let mut bytes = intact.clone();
            damage.apply(&mut bytes);
            fs::write(dir.file("t.db"), &bytes).expect("write t.db");
            for args in [&["-f", "-u", "-q", "-", table][..], &["-s", table]] {
                let run = dir.ours("rpostmap").args(args).stdin(&*keys);
                let end = run.limit(Duration::from_secs(5)).finish();
                let about = || format!("{name}, {damage:?}\n{end}");
                let lines = end.sorted_lines();
                match end.status {
                    0 => assert!(lines == sorted, "wrong answers: {}", about()),
                    1 => {
                        let text = String::from_utf8_lossy(&end.stderr);
                        let fatal = text.lines().filter(|line| line.contains(": fatal: "));
                        assert_eq!(fatal.count(), 1, "one fatal line: {}", about());
                        let right = lines.iter().all(|line| sorted.binary_search(line).is_ok());
                        assert!(right, "wrong answers before the error: {}", about());
                    }
                    _ => panic!("status: {}", about()),
                }
            }
        }
    }
}
