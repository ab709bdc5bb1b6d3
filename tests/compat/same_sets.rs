//! The same large sources, made by ours and by the original, read by ours and by the original: one
//! set of entries, for each program and each type.

use std::fmt::Write;

use crate::common::{Outcome, TestDir, is_stand_in};
use crate::oracle::{have, original};

const ENTRIES: u32 = 100_000;

/// Sources in which everything occurs that makes lines differ from entries.
fn source(program: &str) -> String {
    let mut text = String::new();
    for i in 0..ENTRIES {
        let written = match (program, i % 10) {
            ("postmap", 0) => writeln!(text, "\"Quoted {i}\"@example.com value {i}"),
            ("postmap", 1) => writeln!(text, "STRA\u{df}E{i}@b\u{dc}cher.example \u{e4}{i}"),
            ("postmap", 2) => writeln!(text, "\u{3a3}\u{1f66}{i} x\n  continued {i}"),
            ("postmap", 3) if i % 200 == 3 => {
                writeln!(text, "long{i} {}", "v".repeat(3_000 + i as usize % 3_000))
            }
            ("postmap", 4) if i % 500 == 4 => writeln!(text, "{}{i} 1", "K".repeat(490)),
            ("postmap", 5) => writeln!(text, "dup{} {i}", i % 7_000),
            ("postmap", _) => writeln!(text, "user{i}@example.com mailbox{i}/"),
            (_, 0) => writeln!(text, "\"Quoted {i}\": \"|/bin/filter -x {i}\", other"),
            (_, 1) => writeln!(text, "STRA\u{df}E{i}: \u{e4}{i}@b\u{fc}cher.example"),
            (_, 2) => writeln!(text, "\u{3a3}{i}: x (comment),\n  <y{i}@z>"),
            (_, 3) if i % 200 == 3 => {
                writeln!(
                    text,
                    "list{i}: {}",
                    "member@example.com, ".repeat(200) + "last"
                )
            }
            (_, 4) => writeln!(text, "a\\ b{i} : /var/mail/{i}"),
            (_, 5) => writeln!(text, "dup{}: {i}", i % 7_000),
            _ => writeln!(text, "user{i}: mailbox{i}, :include:/lists/{i}"),
        };
        written.expect("strings grow");
    }
    text + "# comment\n\nbroken\nalias: x\n"
}

/// What is said of the source, once each: the original reads it again when an LMDB map is full.
fn complaints(outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8_lossy(&outcome.stderr).replace("theirs", "ours");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The entries but for those that carry the time of day.
fn entries(listing: &Outcome) -> Vec<&[u8]> {
    let mut lines = listing.sorted_lines();
    lines.retain(|line| !line.starts_with(b"YP_"));
    lines
}

#[test]
fn both_make_the_same_of_a_large_postmap_source_and_read_each_other() {
    compare("postmap");
}

#[test]
fn both_make_the_same_of_a_large_postalias_source_and_read_each_other() {
    compare("postalias");
}

fn compare(program: &str) {
    if !have(&[program]) || is_stand_in() {
        return;
    }
    let dir = TestDir::new("same-sets");
    let text = source(program);
    dir.write("ours", &text);
    dir.write("theirs", &text);
    for table_type in ["hash", "btree", "lmdb", "cdb"] {
        let table = |name: &str| format!("{table_type}:{name}");
        let ours = dir.ours(program).args([table("ours")]).ok();
        let theirs = original(&dir, program).args([table("theirs")]).ok();
        let label = format!("{program} {table_type}");
        assert_eq!(complaints(&ours), complaints(&theirs), "{label}");
        let ours = dir.ours(program).args(["-s", &table("ours")]).ok();
        let expect = entries(&ours);
        assert!(expect.len() > 90_000, "{label}");
        let mut listings = vec![dir.ours(program).args(["-s", &table("theirs")])];
        // Before 3.10 the original could not list these.
        if table_type != "cdb" {
            listings.push(original(&dir, program).args(["-s", &table("ours")]));
            listings.push(original(&dir, program).args(["-s", &table("theirs")]));
        }
        for (number, listing) in listings.into_iter().enumerate() {
            let listing = listing.ok();
            assert!(entries(&listing) == expect, "{label}, listing {number}");
        }
        if table_type == "cdb" {
            let keys = expect.iter().flat_map(|line| {
                let end = line.iter().position(|byte| *byte == b'\t').unwrap_or(0);
                let end = end - usize::from(program == "postalias");
                [&line[..end], b"\n"].concat()
            });
            let keys: Vec<u8> = keys.collect();
            for name in ["ours", "theirs"] {
                let run = original(&dir, program).args(["-fq", "-", &table(name)]);
                let answers = run.stdin(&*keys).ok();
                assert!(entries(&answers) == expect, "{label}, answers of {name}");
            }
        }
    }
}
