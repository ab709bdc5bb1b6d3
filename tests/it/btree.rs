//! Btree files through the library: real ones through every store, ours of all sizes, damaged ones.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use rpostmap::bdb::PageSize;
use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader};
use rpostmap::entries::Entries;
use rpostmap::file::store::{Store, StoreMode};
use rpostmap::wire::ByteOrder;

use crate::common::{is_ci, package_file};
use crate::formats::real_pairs;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn build(model: &Model, page_size: u32, order: ByteOrder) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in model {
        entries.insert(key, value).unwrap();
    }
    let mut file = Vec::new();
    let len = BtreeBuilder::new()
        .page_size(PageSize::new(page_size).unwrap())
        .byte_order(order)
        .build(&entries, &mut file)
        .unwrap();
    assert_eq!(len, file.len() as u64);
    file
}

/// That the file lists exactly the model, in order, finds each key, and none beside them.
#[track_caller]
fn assert_holds(label: &str, reader: &BtreeReader, model: &Model, ordered: bool) {
    let mut listed: Vec<_> = reader
        .iter()
        .unwrap()
        .map(|pair| pair.unwrap())
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    if !ordered {
        listed.sort_unstable();
    }
    let same = listed.iter().map(|(key, value)| (key, value)).eq(model);
    assert!(same, "{label}: {} of {}", listed.len(), model.len());
    for (key, value) in model {
        let found = reader.get(key).unwrap();
        assert!(found.as_deref() == Some(value), "{label}: {key:?}");
        for absent in [[key, &b"\0"[..]].concat(), key[..key.len() / 2].to_vec()] {
            if !model.contains_key(&absent) {
                assert_eq!(reader.get(&absent).unwrap(), None, "{label}: {absent:?}");
            }
        }
    }
    for absent in [&b""[..], b"\0", b"nobody", b"\xff\xff\xff"] {
        if !model.contains_key(absent) {
            assert_eq!(reader.get(absent).unwrap(), None, "{label}: {absent:?}");
        }
    }
}

#[test]
fn real_btree_files_read_alike_through_every_store() {
    let model: Model = real_pairs()
        .iter()
        .map(|line| {
            let tab = line.iter().position(|&byte| byte == b'\t').unwrap();
            (line[..tab].to_vec(), line[tab + 1..line.len() - 1].to_vec())
        })
        .collect();
    let mut count = 0;
    for entry in fs::read_dir(package_file("tests/data/bdb")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("-btree-") {
            continue;
        }
        count += 1;
        // Berkeley DB 3.0 put long keys in the wrong place.
        let ordered = !name.starts_with("libdb-3.0-");
        for store in [
            Store::open(&path, StoreMode::MEMORY).unwrap(),
            Store::open(&path, StoreMode::POSITIONED).unwrap(),
            Store::from_bytes(fs::read(&path).unwrap()),
        ] {
            let label = format!("{name} {store:?}");
            assert_holds(&label, &BtreeReader::new(store).unwrap(), &model, ordered);
        }
    }
    assert_eq!(count, 12, "btree tables in tests/data/bdb");
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(prop::sample::select(&b"ab\0\xff"[..]), 0..6);
    let numbered = (0..4000u32).prop_map(|i| format!("key{i}@example.com\0").into_bytes());
    let long = (prop::sample::select(&b"ab"[..]), 90..300usize, any::<u8>()).prop_map(
        |(byte, len, last)| {
            let mut key = vec![byte; len];
            key.push(last);
            key
        },
    );
    prop_oneof![3 => short, 6 => numbered, 2 => long]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(&b"vw"[..]);
    prop_oneof![
        8 => (byte.clone(), 0..40usize).prop_map(|(byte, len)| vec![byte; len]),
        2 => (byte, 90..2500usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_built_is_read(
        model in prop::collection::btree_map(key(), value(), 0..300),
        page_size in prop::sample::select(vec![512u32, 1024, 4096, 65536]),
        order in prop::sample::select(vec![ByteOrder::Little, ByteOrder::Big]),
    ) {
        let file = build(&model, page_size, order);
        let reader = BtreeReader::new(Store::from_bytes(file)).unwrap();
        assert_holds("built", &reader, &model, true);
    }
}

/// A file with three levels, long keys and values, and long separators.
pub(crate) fn sample() -> (Model, Vec<u8>) {
    let mut model: Model = (0..260)
        .map(|i| {
            (
                format!("user{i:04}@example.com\0"),
                format!("mailbox{i}/\0"),
            )
        })
        .map(|(key, value)| (key.into_bytes(), value.into_bytes()))
        .collect();
    for i in 0..12u8 {
        let key = [&[b'm'; 150][..], &[i * 9]].concat();
        model.insert(key, vec![i; 40 * usize::from(i)]);
    }
    let file = build(&model, 512, ByteOrder::Little);
    (model, file)
}

/// Looks for every key, and lists. Answers must be right or errors.
fn assert_no_wrong_answer(label: &str, file: &[u8], model: &Model) {
    let Ok(reader) = BtreeReader::new(Store::from_bytes(file)) else {
        return;
    };
    let mut wrong = Vec::new();
    for (key, value) in model {
        match reader.get(key) {
            Err(_) => {}
            Ok(found) if found.as_deref() == Some(value) => {}
            Ok(_) => wrong.push(key),
        }
    }
    // A flipped byte of a key or a value changes one pair, and the bit that marks a pair as deleted
    // hides it. No reader can notice.
    assert!(wrong.len() <= 1, "{label}: {} wrong answers", wrong.len());
    let listed: Result<Vec<_>, _> = reader.iter().unwrap().collect();
    if let Ok(listed) = listed {
        let right = listed
            .iter()
            .filter(|(key, value)| model.get(&**key).is_some_and(|expect| *expect == **value));
        let (right, len) = (right.count(), listed.len());
        assert!(
            right + 1 >= model.len() && len <= model.len(),
            "{label}: {right} of {len} listed"
        );
    }
}

/// Which bytes of a page carry its structure and not keys and values.
pub(crate) fn is_structure(file: &[u8], at: usize) -> bool {
    let page = &file[at / 512 * 512..][..512];
    let at = at % 512;
    let entries = usize::from(u16::from_le_bytes([page[20], page[21]]));
    match page[25] {
        3 | 5 => {
            let index = 26..26 + 2 * entries;
            let head = if page[25] == 3 { 12 } else { 3 };
            let in_item = (0..entries).any(|entry| {
                let offset = usize::from(u16::from_le_bytes([
                    page[26 + 2 * entry],
                    page[27 + 2 * entry],
                ]));
                let off_page = page[offset + 2] == 3;
                let head = if off_page {
                    head.max(12) + head % 12 * 4
                } else {
                    head
                };
                (offset..offset + head).contains(&at)
            });
            (8..26).contains(&at) || index.contains(&at) || in_item
        }
        7 => at < 26,
        _ => true,
    }
}

#[test]
fn a_flipped_byte_gives_right_answers_or_errors() {
    let (model, file) = sample();
    let step = if is_ci() { 5 } else { 17 };
    let structure = (0..file.len()).filter(|at| is_structure(&file, *at));
    let content = (0..file.len()).filter(|at| !is_structure(&file, *at));
    for at in structure.chain(content.step_by(5)).step_by(step) {
        for mask in [0x01, 0x08, 0x80, 0xff] {
            let mut bytes = file.clone();
            bytes[at] ^= mask;
            let label = format!("page {}, byte {}, {mask:#x}", at / 512, at % 512);
            assert_no_wrong_answer(&label, &bytes, &model);
        }
    }
}

#[test]
fn a_file_cut_short_is_an_error_where_it_is_cut() {
    let (model, file) = sample();
    for len in (0..file.len()).step_by(256) {
        let cut = &file[..len];
        match BtreeReader::new(Store::from_bytes(cut)) {
            Err(_) => {}
            // A version of the upgrade program says one page too many, so the last may be missing.
            Ok(_) if len + 512 == file.len() => assert_no_wrong_answer("last page", cut, &model),
            Ok(_) => panic!("cut to {len} bytes of {}", file.len()),
        }
        // The same with a meta page that agrees.
        if len % 512 == 0 && len >= 1024 {
            let mut cut = cut.to_vec();
            cut[32..36].copy_from_slice(&u32::try_from(len / 512 - 1).unwrap().to_le_bytes());
            assert_no_wrong_answer(&format!("cut to {len}"), &cut, &model);
        }
    }
}

#[test]
fn two_pages_in_each_others_place_give_right_answers_or_errors() {
    let (model, file) = sample();
    let count = file.len() / 512;
    for (a, b) in (1..count).flat_map(|a| (a + 1..count.min(a + 8)).map(move |b| (a, b))) {
        let mut bytes = file.clone();
        for at in 0..512 {
            bytes.swap(a * 512 + at, b * 512 + at);
        }
        // As if each carried the right number.
        for page in [a, b] {
            bytes[page * 512 + 8..page * 512 + 12]
                .copy_from_slice(&u32::try_from(page).unwrap().to_le_bytes());
        }
        assert_no_wrong_answer(&format!("pages {a} and {b}"), &bytes, &model);
    }
}
