//! Both programs change one table in turn.

use std::collections::BTreeMap;

use crate::common::{TestDir, sorted_lines};
use crate::oracle::{assert_clean, have, original};

/// The types that can be changed in place.
const TYPES: [&str; 2] = ["hash", "btree"];
const ROUNDS: u32 = 100;
const OPS_PER_ROUND: u32 = 100;

type Model = BTreeMap<String, String>;

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

#[test]
fn ten_thousand_changes_by_both_programs_in_turn_leave_what_a_map_holds() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    for table_type in TYPES {
        let dir = TestDir::new("interleaved");
        let table = format!("{table_type}:t");
        let mut random = Random(20_261_121);
        let mut model = Model::new();
        let start: String = (0..2_000)
            .map(|i| format!("user{i}@example.com\tstart{i}\n"))
            .collect();
        dir.write("t", &start);
        for line in start.lines() {
            let (key, value) = line.split_once('\t').expect("made just now");
            model.insert(key.into(), value.into());
        }
        dir.ours("rpostmap").args([&table]).ok();
        for round in 0..ROUNDS {
            let mut input = String::new();
            let options = ["-i", "-ir", "-d"][random.below(3) as usize];
            for _ in 0..OPS_PER_ROUND {
                let (key, value) = (random.key(), random.value());
                match options {
                    "-i" => {
                        input.push_str(&format!("{key}\t{value}\n"));
                        model.entry(key).or_insert(value);
                    }
                    "-ir" => {
                        input.push_str(&format!("{key}\t{value}\n"));
                        model.insert(key, value);
                    }
                    _ => {
                        input.push_str(&format!("{key}\n"));
                        model.remove(&key);
                    }
                }
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
            let case = format!("{table_type}, round {round}, {options}");
            assert_eq!(end.status, 0, "{case}\n{end}");
            assert_clean(&dir, "t.db");
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
