//! The smallest files byte by byte, and damage to each number of a file.

use super::layout::{HEADER_LEN, RECORD_HEAD_LEN, SLOT_LEN, hash};
use super::salvage::salvage;
use super::verify::{Rule, verify};
use super::{CdbBuilder, CdbReader};
use crate::entries::{Entries, OnDuplicate};
use crate::error::{ErrorKind, Result};
use crate::file::store::{Store, StoreMode};
use crate::file::testing::TestDir;

fn build(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in pairs {
        let inserted = entries.insert_or(OnDuplicate::KeepAll, key, value);
        inserted.unwrap();
    }
    let mut file = Vec::new();
    let len = CdbBuilder::new().build(&entries, &mut file).unwrap();
    assert_eq!(len, file.len() as u64);
    file
}

fn reader(file: &[u8]) -> CdbReader {
    CdbReader::new(Store::from_bytes(file)).unwrap()
}

fn list(file: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let reader = CdbReader::new(Store::from_bytes(file))?;
    let iter = reader.iter()?;
    iter.map(|pair| pair.map(|(key, value)| (key.into_owned(), value.into_owned())))
        .collect()
}

/// The text of the error, which must be `Corrupt`.
#[track_caller]
fn corrupt<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => match error.kind() {
            ErrorKind::Corrupt { what, .. } => what.clone(),
            kind => panic!("{kind:?}"),
        },
    }
}

fn defects(file: &[u8]) -> Vec<Rule> {
    let report = verify(&Store::from_bytes(file)).unwrap();
    report.defects.iter().map(|defect| defect.rule).collect()
}

fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap()
}

/// A file with one number overwritten.
fn with(file: &[u8], offset: usize, number: u32) -> Vec<u8> {
    let mut file = file.to_vec();
    file[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
    file
}

/// `a` is in table 0xc4: its hash is 0x2b5c4.
const POINTER_OF_A: usize = 0xc4 * 8;
/// A key of another table.
const OTHER: &[u8] = b"b";

#[test]
fn the_smallest_files_are_these_bytes() {
    let empty = [[0, 8, 0, 0, 0, 0, 0, 0]; 256].concat();
    assert_eq!(build(&[]), empty);
    assert_eq!(hash(b""), 5381);
    assert_eq!(hash(b"a"), 0x2b5c4);
    let file = build(&[(b"a", b"xyz")]);
    let (header, rest) = file.split_at(HEADER_LEN);
    for (number, pointer) in header.chunks(8).enumerate() {
        let expect = match number {
            0..0xc4 => [0x0c, 8, 0, 0, 0, 0, 0, 0],
            0xc4 => [0x0c, 8, 0, 0, 2, 0, 0, 0],
            _ => [0x1c, 8, 0, 0, 0, 0, 0, 0],
        };
        assert_eq!(pointer, expect, "{number}");
    }
    let record = [1, 0, 0, 0, 3, 0, 0, 0, b'a', b'x', b'y', b'z'];
    let slots = [0, 0, 0, 0, 0, 0, 0, 0, 0xc4, 0xb5, 2, 0, 0, 8, 0, 0];
    assert_eq!(rest, [record.as_slice(), &slots].concat());
}

#[test]
fn everything_is_found_in_every_kind_of_store() {
    let dir = TestDir::new();
    let path = dir.path("t.cdb");
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..3000)
        .map(|n| (format!("key{n}").into(), vec![b'v'; n * 7 % 1000]))
        .collect();
    let borrowed: Vec<(&[u8], &[u8])> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
    let file = build(&borrowed);
    std::fs::write(&path, &file).unwrap();
    assert_eq!(defects(&file), []);
    for mode in [StoreMode::MEMORY, StoreMode::POSITIONED] {
        let reader = CdbReader::new(Store::open(&path, mode).unwrap()).unwrap();
        for (key, value) in &pairs {
            assert_eq!(reader.get(key).unwrap().as_deref(), Some(&**value));
            let absent = [key, &b"x"[..]].concat();
            assert_eq!(reader.get(&absent).unwrap(), None);
        }
        let listed = reader.iter().unwrap().map(Result::unwrap);
        assert!(listed.eq(borrowed.iter().map(|&(k, v)| (k.into(), v.into()))));
        let report = verify(reader.store()).unwrap();
        let statistics = report.statistics.unwrap();
        assert_eq!((statistics.records, statistics.used_slots), (3000, 3000));
        assert_eq!((statistics.slots, statistics.tables), (6000, 256));
        let found = salvage(reader.store()).unwrap();
        let found = found.pairs.iter().map(|pair| (&*pair.key, &*pair.value));
        assert!(found.eq(borrowed.iter().copied()));
    }
}

#[test]
fn of_several_values_the_first_is_found_and_all_are_listed() {
    let pairs: [(&[u8], &[u8]); 4] = [(b"k", b"1"), (b"l", b"2"), (b"k", b""), (b"k", b"3")];
    let file = build(&pairs);
    assert_eq!(reader(&file).get(b"k").unwrap().as_deref(), Some(&b"1"[..]));
    let listed = list(&file).unwrap();
    assert!(listed.iter().map(|(k, v)| (&**k, &**v)).eq(pairs));
    assert_eq!(defects(&file), []);
}

#[test]
fn empty_keys_and_values_are_records() {
    let file = build(&[(b"", b"value"), (b"key", b""), (b"", b"")]);
    let reader = reader(&file);
    assert_eq!(reader.get(b"").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(reader.get(b"key").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(list(&file).unwrap().len(), 3);
    assert_eq!(defects(&file), []);
}

#[test]
fn a_file_that_is_cut_is_corrupt_or_complete_as_far_as_it_is_looked_at() {
    let file = build(&[(b"a", b"xyz"), (OTHER, b"1")]);
    for len in 0..HEADER_LEN {
        corrupt(CdbReader::new(Store::from_bytes(&file[..len])));
        assert_eq!(defects(&file[..len]), [Rule::D1]);
        assert!(
            salvage(&Store::from_bytes(&file[..len]))
                .unwrap()
                .pairs
                .is_empty()
        );
    }
    for len in HEADER_LEN..file.len() {
        let cut = &file[..len];
        assert!(defects(cut).contains(&Rule::D2), "{len}");
        let reader = reader(cut);
        let found = reader.get(b"a");
        assert!(
            found.is_err() || found.unwrap().as_deref() == Some(b"xyz"),
            "{len}"
        );
        corrupt(reader.get(OTHER));
    }
}

#[test]
fn a_table_outside_the_file_is_corrupt_for_its_own_keys_only() {
    let file = build(&[(b"a", b"xyz"), (OTHER, b"1")]);
    for (offset, number) in [
        (POINTER_OF_A, 0),
        (POINTER_OF_A, 2047),
        (POINTER_OF_A, number(file.len() - 15)),
        (POINTER_OF_A, u32::MAX),
        (POINTER_OF_A + 4, 5),
        (POINTER_OF_A + 4, u32::MAX),
    ] {
        let damaged = with(&file, offset, number);
        let reader = reader(&damaged);
        let what = corrupt(reader.get(b"a"));
        assert!(what.starts_with("table 196: "), "{what}");
        assert_eq!(reader.get(OTHER).unwrap().as_deref(), Some(&b"1"[..]));
        assert!(defects(&damaged).contains(&Rule::D2));
    }
}

#[test]
fn a_file_of_zeros_is_no_empty_table() {
    let mut file = build(&[(b"a", b"xyz")]);
    file[..HEADER_LEN].fill(0);
    corrupt(reader(&file).get(b"a"));
    corrupt(reader(&file).iter());
    assert_eq!(defects(&file), [Rule::D2]);
    // A header of zeros alone says nothing wrong.
    assert_eq!(reader(&file[..HEADER_LEN]).get(b"a").unwrap(), None);
    assert_eq!(list(&file[..HEADER_LEN]).unwrap(), []);
}

#[test]
fn a_slot_that_points_nowhere_is_corrupt() {
    let file = build(&[(b"a", b"xyz")]);
    let slot = file.len() - SLOT_LEN;
    for record in [1, 2047, number(file.len() - 7), u32::MAX] {
        let damaged = with(&file, slot + 4, record);
        let what = corrupt(reader(&damaged).get(b"a"));
        assert!(what.contains(&format!("offset {record} ")), "{what}");
        assert_eq!(defects(&damaged), [Rule::D5, Rule::D8]);
    }
    // Emptied, it hides the record: only a walk of the whole file can tell.
    let damaged = with(&file, slot + 4, 0);
    assert_eq!(defects(&damaged), [Rule::D8]);
}

#[test]
fn a_record_that_reaches_too_far_is_corrupt() {
    let file = build(&[(b"a", b"xyz"), (OTHER, b"1")]);
    let past_the_end = number(file.len() - HEADER_LEN - RECORD_HEAD_LEN);
    for (offset, number) in [
        (HEADER_LEN, past_the_end),
        (HEADER_LEN, u32::MAX),
        (HEADER_LEN + 4, past_the_end),
        (HEADER_LEN + 4, u32::MAX),
    ] {
        let damaged = with(&file, offset, number);
        let what = corrupt(reader(&damaged).get(b"a"));
        assert!(what.starts_with("record at offset 2048: "), "{what}");
        assert_eq!(
            corrupt(list(&damaged)).find("record at offset 2048: "),
            Some(0)
        );
        assert_eq!(
            reader(&damaged).get(OTHER).unwrap().as_deref(),
            Some(&b"1"[..])
        );
        assert!(defects(&damaged).contains(&Rule::D4));
        let found = salvage(&Store::from_bytes(damaged)).unwrap();
        let keys: Vec<&[u8]> = found.pairs.iter().map(|pair| &*pair.key).collect();
        assert_eq!(keys, [OTHER], "the next record is found by its slot");
        assert_eq!((found.skipped[0].offset, found.skipped[0].len), (2048, 12));
    }
}

#[test]
fn a_record_that_reaches_into_the_next_one_is_reported() {
    let file = build(&[(b"a", b"xyz"), (OTHER, b"1")]);
    let damaged = with(&file, HEADER_LEN + 4, 4);
    assert!(defects(&damaged).contains(&Rule::D4));
    let found = salvage(&Store::from_bytes(damaged)).unwrap();
    assert_eq!(found.pairs.len(), 1);
    assert!(found.pairs[0].confirmed && found.pairs[0].key == OTHER);
}

#[test]
fn a_full_table_ends_the_search() {
    // Without an empty slot a search must go round once and end.
    let file = build(&[(b"a", b"xyz")]);
    let slot = file.len() - SLOT_LEN;
    let own = file[slot..].to_vec();
    let mut full = file.clone();
    full[slot - SLOT_LEN..slot].copy_from_slice(&own);
    for (key, found) in [(&b"a"[..], true), (b"ec", false)] {
        assert_eq!(reader(&full).get(key).unwrap().is_some(), found);
    }
    assert_eq!(defects(&full), [Rule::D8]);
    // The same hash as "a", and not its key.
    let other = with(&full, HEADER_LEN + RECORD_HEAD_LEN - 8, 2);
    assert_eq!(reader(&other).get(b"a").unwrap(), None);
}

#[test]
fn every_rule_can_be_broken_alone() {
    let file = build(&[(b"a", b"xyz"), (OTHER, b"1")]);
    let slot_of_a = (HEADER_LEN + 12 + 10 + SLOT_LEN, HEADER_LEN);
    // The table of "a": an empty slot, then its own.
    assert_eq!(
        file[slot_of_a.0 + 4..][..4],
        number(slot_of_a.1).to_le_bytes()
    );
    let overlapping = with(&file, 0xc5 * 8 + 4, 1);
    let overlapping = with(&overlapping, 0xc5 * 8, number(slot_of_a.0));
    assert!(defects(&overlapping).contains(&Rule::D3));
    let wrong_hash = with(&file, slot_of_a.0, 0x1b5c4);
    assert!(defects(&wrong_hash).contains(&Rule::D6));
    let swapped = {
        let mut file = file.clone();
        file.copy_within(slot_of_a.0..slot_of_a.0 + 8, slot_of_a.0 - 8);
        file[slot_of_a.0..slot_of_a.0 + 8].fill(0);
        file
    };
    assert_eq!(defects(&swapped), [Rule::D7]);
    let longer = [&file[..], b"x"].concat();
    assert_eq!(defects(&longer), [Rule::D9]);
    assert!(verify(&Store::from_bytes(longer)).unwrap().is_clean());
}

#[test]
fn salvage_needs_neither_header_nor_tables() {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..500)
        .map(|n| (format!("user{n}").into(), format!("value of {n}").into()))
        .collect();
    let borrowed: Vec<(&[u8], &[u8])> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
    let file = build(&borrowed);
    let records_len: usize = pairs.iter().map(|(k, v)| 8 + k.len() + v.len()).sum();
    let mut headless = file.clone();
    headless[..HEADER_LEN].fill(0xff);
    let mut cut = file[..HEADER_LEN + records_len].to_vec();
    cut[..HEADER_LEN].fill(0);
    for (name, damaged, confirmed) in [("headless", headless, true), ("cut", cut, false)] {
        let found = salvage(&Store::from_bytes(damaged)).unwrap();
        assert!(!found.sound, "{name}");
        assert!(found.skipped.is_empty(), "{name}: {:?}", found.skipped);
        assert!(
            found.pairs.iter().all(|pair| pair.confirmed == confirmed),
            "{name}"
        );
        let found = found.pairs.iter().map(|pair| (&*pair.key, &*pair.value));
        assert!(found.eq(borrowed.iter().copied()), "{name}");
    }
}

#[test]
fn salvage_goes_on_behind_a_hole() {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..500)
        .map(|n| (format!("user{n:03}").into(), vec![b'v'; 40]))
        .collect();
    let borrowed: Vec<(&[u8], &[u8])> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
    let mut file = build(&borrowed);
    let record_len = 8 + 7 + 40;
    // From the middle of record 100 to the middle of record 110.
    let hole = HEADER_LEN + 100 * record_len + 4..HEADER_LEN + 110 * record_len + 20;
    file[hole].fill(0xa5);
    let found = salvage(&Store::from_bytes(file)).unwrap();
    let keys: Vec<&[u8]> = found.pairs.iter().map(|pair| &*pair.key).collect();
    let expect: Vec<&[u8]> = (0..500)
        .filter(|n| !(100..=110).contains(n))
        .filter_map(|n| pairs.get(n).map(|(key, _)| &**key))
        .collect();
    assert_eq!(keys, expect);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(found.skipped[0].len, 11 * record_len as u64);
}
