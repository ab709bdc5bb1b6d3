//! Both programs change one table in turn.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rpostmap::bdb::PageSize;
use rpostmap::bdb::btree::BtreeBuilder;
use rpostmap::bdb::hash::HashBuilder;
use rpostmap::entries::Entries;
use rpostmap::wire::ByteOrder;

use crate::common::{TestDir, sorted_lines};
use crate::oracle::{assert_clean, have, original};

/// Tables that can be changed in place: type, page size, byte order, rounds. Small pages make high
/// trees and long chains.
const TABLES: [(&str, u32, ByteOrder, u32); 8] = [
    ("hash", 4096, ByteOrder::NATIVE, 100),
    ("hash", 4096, ByteOrder::Big, 20),
    ("hash", 512, ByteOrder::Little, 20),
    ("hash", 512, ByteOrder::Big, 20),
    ("btree", 4096, ByteOrder::NATIVE, 100),
    ("btree", 4096, ByteOrder::Big, 20),
    ("btree", 512, ByteOrder::Little, 40),
    ("btree", 512, ByteOrder::Big, 40),
];
const OPS_PER_ROUND: u32 = 100;

pub(crate) type Model = BTreeMap<String, String>;

/// A small generator of numbers, so that a failing run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from((self.0 >> 33) % u64::from(end)).expect("less than a u32")
    }

    fn key(&mut self) -> String {
        let number = self.below(6_000);
        match number % 50 {
            // Longer than a quarter of a page.
            0 => format!("{number}{}", "k".repeat(1_100)),
            // A prefix of the keys above.
            1 => format!("{}", number - 1),
            _ => format!("user{number}@example.com"),
        }
    }

    fn value(&mut self) -> String {
        match self.below(40) {
            0 => "v".repeat(1_000 + self.below(9_000) as usize),
            _ => format!("mailbox{}/", self.below(1_000_000)),
        }
    }
}

fn build(table_type: &str, page_size: u32, order: ByteOrder, entries: &Entries) -> Vec<u8> {
    let mut file = Vec::new();
    let size = PageSize::new(page_size).expect("a page size");
    let built = match table_type {
        "hash" => HashBuilder::new()
            .page_size(size)
            .byte_order(order)
            .build(entries, &mut file),
        _ => BtreeBuilder::new()
            .page_size(size)
            .byte_order(order)
            .build(entries, &mut file),
    };
    built.expect("built in memory");
    file
}

#[test]
fn ten_thousand_changes_by_both_programs_in_turn_leave_what_a_map_holds() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    for (table_type, page_size, order, rounds) in TABLES {
        let dir = TestDir::new("interleaved");
        let table = format!("{table_type}:t");
        let mut random = Random(20_261_121);
        let mut model = Model::new();
        let start: String = (0..2_000)
            .map(|i| format!("user{i}@example.com\tstart{i}\n"))
            .collect();
        let mut entries = Entries::new();
        for line in start.lines() {
            let (key, value) = line.split_once('\t').expect("made just now");
            let stored = |text: &str| [text.as_bytes(), b"\0"].concat();
            entries.insert(&stored(key), &stored(value)).expect("short");
            model.insert(key.into(), value.into());
        }
        dir.write("t.db", build(table_type, page_size, order, &entries));
        for round in 0..rounds {
            let mut input = String::new();
            let options = ["-i", "-ir", "-d"][random.below(3) as usize];
            for _ in 0..OPS_PER_ROUND {
                let (key, value) = (random.key(), random.value());
                input.push_str(&change(&mut model, options, key, value));
            }
            let program = if round % 2 == 0 {
                dir.ours("rpostmap")
            } else {
                original(&dir, "postmap")
            };
            let words: &[&str] = if options == "-d" {
                &["-d", "-"]
            } else {
                &[options]
            };
            let end = program.args(words).args([&table]).stdin(input).finish();
            let case = format!("{table_type} {page_size} {order:?}, round {round}, {options}");
            assert_eq!(end.status, 0, "{case}\n{end}");
            assert_clean(&dir, "t.db");
            dir.ours("rpostmap").args(["verify", &table]).ok();
            let expect: String = model
                .iter()
                .map(|(key, value)| format!("{key}\t{value}\n"))
                .collect();
            let expect = sorted_lines(expect.as_bytes());
            let listed = dir.ours("rpostmap").args(["-s", &table]).ok();
            assert!(
                listed.sorted_lines() == expect,
                "{case}: ours lists something else"
            );
            if round % 10 == 9 {
                let listed = original(&dir, "postmap").args(["-s", &table]).ok();
                assert!(listed.sorted_lines() == expect, "{case}: the original does");
            }
        }
    }
}

/// `count` entries from number `from` on.
fn numbered(from: u32, count: u32, value: &str) -> Model {
    (from..from + count)
        .map(|at| (format!("user{at:06}@example.com"), format!("{value}{at}/")))
        .collect()
}

/// The line of input for a program called with `options`, which changes `model` likewise.
pub(crate) fn change(model: &mut Model, options: &str, key: String, value: String) -> String {
    let line = match options {
        "-d" => format!("{key}\n"),
        _ => format!("{key}\t{value}\n"),
    };
    match options {
        "-i" => {
            model.entry(key).or_insert(value);
        }
        "-ir" => {
            model.insert(key, value);
        }
        _ => {
            model.remove(&key);
        }
    }
    line
}

pub(crate) fn text(model: &Model) -> String {
    let lines = model.iter().map(|(key, value)| format!("{key}\t{value}\n"));
    lines.collect()
}

/// Few changes are made in place, many by a new file that takes the table's name; the same entries
/// are there either way, and the original goes on with what it finds.
#[test]
fn few_changes_stay_in_place_and_many_replace_the_table() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    for table_type in ["hash", "btree"] {
        let dir = TestDir::new("paths");
        let table = format!("{table_type}:t");
        let mut model = numbered(0, 5_000, "mailbox");
        dir.write("t", text(&model));
        dir.ours("rpostmap").args([&table]).ok();
        let inode = || fs::metadata(dir.file("t.db")).expect("t.db").ino();
        for (words, first, count, stays) in [
            (&["-i"][..], 5_000, 200, true),
            (&["-i"], 10_000, 4_000, false),
            (&["-i"], 20_000, 10, true),
            (&["-d", "-"], 0, 100, true),
            (&["-d", "-"], 100, 4_800, false),
            (&["-ir"], 10_000, 50, true),
            (&["-ir"], 10_000, 3_000, false),
        ] {
            let case = format!("{table_type}: {words:?} {count} from {first}");
            let before = inode();
            let mut changed = numbered(first, count, "changed");
            let input = if words == ["-d", "-"] {
                model.retain(|key, _| !changed.contains_key(key));
                changed.keys().map(|key| format!("{key}\n")).collect()
            } else {
                let input = text(&changed);
                model.append(&mut changed);
                input
            };
            let run = dir.ours("rpostmap").args(words).args([&table]);
            run.stdin(input).ok();
            assert_eq!(inode() == before, stays, "{case}");
            assert_clean(&dir, "t.db");
            // The original goes on with it.
            let (key, value) = (format!("step{first}{count}"), "original".to_string());
            let run = original(&dir, "postmap").args(["-i", &table]);
            run.stdin(format!("{key} {value}\n")).ok();
            model.insert(key, value);
            assert_clean(&dir, "t.db");
            let expect = text(&model);
            for program in [dir.ours("rpostmap"), original(&dir, "postmap")] {
                let listed = program.args(["-s", &table]).ok();
                let same = listed.sorted_lines() == sorted_lines(expect.as_bytes());
                assert!(same, "{case}");
            }
        }
    }
}
