//! cdb tables: damage, models, and the command.

use std::collections::HashMap;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use rpostmap::cdb::verify::verify;
use rpostmap::cdb::{CdbBuilder, CdbReader};
use rpostmap::entries::{Entries, OnDuplicate};
use rpostmap::file::store::{Store, StoreMode};

use crate::alloc::peak_during;
use crate::cdb_laws::any_bytes_as_cdb_file;
use crate::common::{TestDir, is_stand_in};

/// How many damaged files are read.
const DAMAGED: u64 = 400;
/// The most memory that reading a damaged file may take, beyond a few times the file's length.
const EXTRA_MEMORY_MAX: usize = 1 << 20;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn build(pairs: &Pairs) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in pairs {
        entries.insert_or(OnDuplicate::KeepAll, key, value).unwrap();
    }
    let mut file = Vec::new();
    CdbBuilder::new().build(&entries, &mut file).unwrap();
    file
}

fn sample() -> Pairs {
    let mut pairs: Pairs = (0..60)
        .map(|n| (format!("key{n}").into(), format!("value {n}").into()))
        .collect();
    pairs.push((b"long".to_vec(), vec![b'v'; 1000]));
    pairs.push((vec![b'k'; 700], b"x".to_vec()));
    pairs.push((b"key7".to_vec(), b"another".to_vec()));
    pairs
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// `file` with one to four numbers, bytes or stretches changed, or cut.
fn damaged(file: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut file = file.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(file.len() - 4);
        let len = file.len();
        match random.below(6) {
            0 => file[at] = random.below(256) as u8,
            1 => file[at..at + 4].copy_from_slice(&(random.below(len) as u32).to_le_bytes()),
            2 => file[at..at + 4].fill(0xff),
            3 => file[at..].iter_mut().take(200).for_each(|byte| *byte = 0),
            4 => {
                // A number of the header.
                let at = random.below(512.min(len / 4)) * 4;
                let number = random.below(2 * len) as u32;
                file[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            _ if random.below(4) == 0 => file.truncate(8.max(random.below(len))),
            _ => file.swap(at, random.below(len)),
        }
    }
    file
}

#[test]
fn the_laws_hold_for_damaged_files_in_little_memory() {
    let good = build(&sample());
    any_bytes_as_cdb_file(&good);
    let mut defective = 0;
    for seed in 0..DAMAGED {
        let file = damaged(&good, seed);
        let ((), peak) = peak_during(|| any_bytes_as_cdb_file(&file));
        let max = 8 * file.len() + EXTRA_MEMORY_MAX;
        assert!(peak <= max, "seed {seed}: {peak} bytes of memory");
        let report = verify(&Store::from_bytes(file)).unwrap();
        defective += usize::from(!report.is_clean());
    }
    assert!(defective > 200, "{defective} files are defective");
}

#[test]
fn sizes_that_a_file_claims_are_not_allocated() {
    let good = build(&sample());
    for at in (0..good.len() - 4).step_by(4) {
        let mut file = good.clone();
        file[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
        let ((), peak) = peak_during(|| any_bytes_as_cdb_file(&file));
        assert!(peak <= 8 * file.len() + EXTRA_MEMORY_MAX, "{at}: {peak}");
    }
}

#[test]
fn the_command_answers_or_fails_for_damaged_files() {
    if is_stand_in() {
        return;
    }
    let dir = TestDir::new("damaged-cdb");
    let pairs = sample();
    let good = build(&pairs);
    let keys: Vec<u8> = pairs
        .iter()
        .flat_map(|(key, _)| [&key[..], b"\n"].concat())
        .collect();
    for seed in 0..DAMAGED {
        fs::write(dir.file("t.cdb"), damaged(&good, seed)).unwrap();
        // A number below 0 is a signal.
        let run = match seed % 3 {
            0 => dir.ours("postmap").args(["-q", "key1", "cdb:t"]),
            1 => dir.ours("postmap").args(["-s", "cdb:t"]),
            _ => dir
                .ours("rpostmap")
                .args(["-q", "-", "cdb:t"])
                .stdin(&*keys),
        };
        let run = run.limit(std::time::Duration::from_secs(20)).finish();
        assert!([0, 1].contains(&run.status), "seed {seed}\n{run}");
        assert!(run.stdout.len() <= 2 * good.len(), "seed {seed}\n{run}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_holds_what_was_put_in(
        puts in vec((vec(0u8..4, 0..4), vec(any::<u8>(), 0..40), 0u8..3), 0..200),
        long in 0usize..5000,
    ) {
        let mut entries = Entries::new();
        let mut model: Pairs = Vec::new();
        let all = puts.into_iter().chain([(vec![9; long], vec![8; 2 * long], 0)]);
        for (key, value, how) in all {
            let how = match how {
                0 => OnDuplicate::KeepFirst,
                1 => OnDuplicate::KeepAll,
                _ => OnDuplicate::KeepLast,
            };
            entries.insert_or(how, &key, &value).unwrap();
            let there = model.iter().position(|(other, _)| *other == key);
            match (how, there) {
                (OnDuplicate::KeepFirst, Some(_)) => continue,
                (OnDuplicate::KeepLast, Some(first)) => drop(model.remove(first)),
                _ => {}
            }
            model.push((key.clone(), value));
            if how == OnDuplicate::KeepLast && model.iter().filter(|(k, _)| *k == key).count() > 1 {
                // What is the first after that is the new one, whose place is the last: a mixture
                // that no caller makes.
                return Ok(());
            }
        }
        let mut file = Vec::new();
        CdbBuilder::new().build(&entries, &mut file).unwrap();
        any_bytes_as_cdb_file(&file);
        prop_assert!(verify(&Store::from_bytes(file.clone())).unwrap().defects.is_empty());
        let dir = TestDir::new("cdb-model");
        fs::write(dir.file("t.cdb"), &file).unwrap();
        for mode in [StoreMode::MEMORY, StoreMode::POSITIONED] {
            let reader = CdbReader::new(Store::open(&dir.file("t.cdb"), mode).unwrap()).unwrap();
            let listed: Pairs = reader
                .iter()
                .unwrap()
                .map(|pair| pair.map(|(k, v)| (k.into_owned(), v.into_owned())).unwrap())
                .collect();
            prop_assert_eq!(&listed, &model);
            let mut first: HashMap<&[u8], &[u8]> = HashMap::new();
            for (key, value) in &model {
                first.entry(key).or_insert(value);
            }
            for (key, value) in first {
                let found = reader.get(key).unwrap();
                prop_assert_eq!(found.as_deref(), Some(value));
            }
        }
    }
}

#[test]
fn verbs_work_on_cdb_tables() {
    if is_stand_in() {
        return;
    }
    let dir = TestDir::new("cdb-verbs");
    let text = "a\t1\nb\t2\na\t3\nKey\t\u{e4}\n";
    dir.write("t", text);
    let build = ["-w", "-f", "cdb:t"];
    dir.ours("rpostmap").args(build).ok().stderr_is("");
    dir.ours("rpostmap")
        .args(["-s", "cdb:t"])
        .ok()
        .stdout_is(text);
    let dumped = dir.ours("rpostmap").args(["dump", "cdb:t"]).ok();
    let options = "rpostmap: compile with -w (a key has several values)\n\
                   rpostmap: compile with -f (keys hold upper case)\n";
    assert_eq!(dumped.stdout, text.as_bytes());
    assert_eq!(String::from_utf8_lossy(&dumped.stderr), options);
    let verified = dir.ours("rpostmap").args(["verify", "cdb:t"]).ok();
    let verified = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.starts_with("format          cdb\nentries         4\n"),
        "{verified}"
    );
    let json = dir
        .ours("rpostmap")
        .args(["verify", "--json", "cdb:t"])
        .ok();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["statistics"]["slots"], 8);
    dir.ours("rpostmap")
        .args(["dump", "--format", "db_dump", "cdb:t"])
        .finish()
        .status_is(1)
        .stderr_is("rpostmap: fatal: --format db_dump is for tables of Berkeley DB\n");
    let mut file = fs::read(dir.file("t.cdb")).unwrap();
    file[..2048].fill(0);
    fs::write(dir.file("t.cdb"), &file).unwrap();
    dir.ours("rpostmap")
        .args(["verify", "cdb:t"])
        .finish()
        .status_is(1)
        .stdout_is(format!(
            "error: D2: no table has slots, but the file has {} bytes\n",
            file.len()
        ));
    for operand in ["cdb:t", "t.cdb"] {
        let salvaged = dir.ours("rpostmap").args(["salvage", operand]).finish();
        assert_eq!(
            (salvaged.status, &*salvaged.stdout),
            (1, text.as_bytes()),
            "{salvaged}"
        );
    }
    dir.ours("rpostmap")
        .args(["-i", "cdb:t"])
        .finish()
        .status_is(1)
        .stderr_is(
            "rpostmap: fatal: cdb tables cannot be changed, only made anew from their source\n",
        );
}
