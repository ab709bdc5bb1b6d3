//! In-place updates against a model, and stopped after every single write.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rpostmap::bdb::hash::{HashBuilder, HashReader, HashUpdater};
use rpostmap::bdb::{OnExisting, PageSize, Put};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::file::{UpdateAt, WriteAt};
use rpostmap::wire::ByteOrder;

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A step of an update.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Replace(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// Write, and begin another update.
    Reopen,
}

pub(crate) fn key() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(prop::sample::select(&b"ab\0"[..]), 0..5);
    let numbered = (0..400u32).prop_map(|i| format!("key{i}@example.com\0").into_bytes());
    // Longer than a quarter of a page of 512 bytes, with on-page prefixes among the short ones.
    let long =
        (prop::sample::select(&b"ab"[..]), 120..150usize).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![3 => short, 6 => numbered, 1 => long]
}

pub(crate) fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(&b"vw"[..]);
    prop_oneof![
        8 => (byte.clone(), 0..40usize).prop_map(|(byte, len)| vec![byte; len]),
        2 => (byte, 100..2500usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Op::Put(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Op::Replace(key, value)),
        4 => key().prop_map(Op::Delete),
        1 => Just(Op::Reopen),
    ]
}

pub(crate) fn page_size() -> impl Strategy<Value = PageSize> {
    prop::sample::select(vec![512, 4096]).prop_map(|size| PageSize::new(size).unwrap())
}

pub(crate) fn order() -> impl Strategy<Value = ByteOrder> {
    prop::sample::select(vec![ByteOrder::Little, ByteOrder::Big])
}

fn build(model: &Model, page_size: PageSize, order: ByteOrder) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in model {
        entries.insert(key, value).unwrap();
    }
    let mut file = Vec::new();
    HashBuilder::new()
        .page_size(page_size)
        .byte_order(order)
        .build(&entries, &mut file)
        .unwrap();
    file
}

fn apply(op: &Op, update: &mut HashUpdater, model: &mut Model) {
    match op {
        Op::Put(key, value) => {
            let put = update.put(key, value, OnExisting::Keep).unwrap();
            let there = model.contains_key(key);
            assert_eq!(put, if there { Put::Kept } else { Put::Inserted });
            model.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Op::Replace(key, value) => {
            let put = update.put(key, value, OnExisting::Replace).unwrap();
            let old = model.insert(key.clone(), value.clone());
            assert_eq!(
                put,
                if old.is_some() {
                    Put::Replaced
                } else {
                    Put::Inserted
                }
            );
        }
        Op::Delete(key) => {
            assert_eq!(update.delete(key).unwrap(), model.remove(key).is_some());
        }
        Op::Reopen => {}
    }
}

/// That the file holds exactly what the model does.
#[track_caller]
fn assert_holds(file: &[u8], model: &Model) {
    let reader = HashReader::new(Store::from_bytes(file)).unwrap();
    let mut listed = Model::new();
    for pair in reader.iter().unwrap() {
        let (key, value) = pair.unwrap();
        assert_eq!(
            listed.insert(key.into_owned(), value.into_owned()),
            None,
            "listed twice"
        );
    }
    assert!(
        listed == *model,
        "listed {} of {}",
        listed.len(),
        model.len()
    );
    for (key, value) in model {
        assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
        let absent = [key, &b"~"[..]].concat();
        assert_eq!(reader.get(&absent).unwrap(), None);
    }
}

/// A file that notes every change instead of only making it.
pub(crate) struct Recorder {
    pub(crate) file: Vec<u8>,
    /// The file after each change.
    pub(crate) states: Vec<Vec<u8>>,
}

impl WriteAt for Recorder {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> rpostmap::Result<()> {
        self.file.write_at(offset, bytes)?;
        self.states.push(self.file.clone());
        Ok(())
    }
}

impl UpdateAt for Recorder {
    fn set_file_len(&mut self, len: u64) -> rpostmap::Result<()> {
        self.file.set_file_len(len)?;
        self.states.push(self.file.clone());
        Ok(())
    }

    fn sync(&mut self) -> rpostmap::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn hash_updates_do_what_a_map_does(
        page_size in page_size(),
        order in order(),
        start in prop::collection::btree_map(key(), value(), 0..150),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        let mut model = start;
        let mut file = build(&model, page_size, order);
        for batch in ops.split(|op| matches!(op, Op::Reopen)) {
            let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
            for op in batch {
                apply(op, &mut update, &mut model);
                if let Op::Put(key, _) | Op::Replace(key, _) | Op::Delete(key) = op {
                    assert_eq!(update.get(key).unwrap().as_ref(), model.get(key));
                }
            }
            update.commit(&mut file).unwrap();
            assert_holds(&file, &model);
        }
    }

    #[test]
    fn an_interrupted_hash_update_loses_no_key(
        page_size in page_size(),
        order in order(),
        start in prop::collection::btree_map(key(), value(), 0..120),
        batches in prop::collection::vec(prop::collection::vec(op(), 1..60), 1..4),
    ) {
        let mut model = start;
        let mut file = build(&model, page_size, order);
        for batch in batches {
            let before = model.clone();
            let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
            for op in &batch {
                apply(op, &mut update, &mut model);
            }
            let mut recorder = Recorder { file, states: Vec::new() };
            update.commit(&mut recorder).unwrap();
            for (at, state) in recorder.states.iter().enumerate() {
                assert_nothing_lost(state, &before, &model, at);
            }
            file = recorder.file;
            assert_holds(&file, &model);
        }
    }
}

/// That a file between two states has every key of the first, with one of the two values; what
/// the update deletes may be there or not.
#[track_caller]
fn assert_nothing_lost(state: &[u8], before: &Model, after: &Model, at: usize) {
    let reader = HashReader::new(Store::from_bytes(state)).unwrap();
    for (key, old) in before {
        let found = reader.get(key);
        match (found, after.get(key)) {
            (Ok(None), None) => {}
            (Ok(Some(found)), _) if found == &old[..] => {}
            (Ok(Some(found)), Some(new)) if found == &new[..] => {}
            (found, _) => {
                panic!("after write {at}: {} gives {found:?}", key.escape_ascii());
            }
        }
    }
    let mut listed = Model::new();
    let adds = after.keys().any(|key| !before.contains_key(key));
    let mut pairs = reader.iter().unwrap();
    while let Some(pair) = pairs.next() {
        let (key, value) = match pair {
            Ok(pair) => pair,
            // Entries that were about to be added are there, but not in the table yet.
            Err(_) if adds && pairs.next().is_none() => break,
            Err(error) => panic!("after write {at}: {error}"),
        };
        let fits =
            before.get(&*key) == Some(&value.to_vec()) || after.get(&*key) == Some(&value.to_vec());
        assert!(
            fits,
            "after write {at}: {} lists a wrong value",
            key.escape_ascii()
        );
        let twice = listed.insert(key.clone().into_owned(), value.into_owned());
        assert_eq!(
            twice,
            None,
            "after write {at}: {} is listed twice",
            key.escape_ascii()
        );
    }
    for key in before.keys().filter(|key| after.contains_key(*key)) {
        assert!(
            listed.contains_key(key),
            "after write {at}: {} not listed",
            key.escape_ascii()
        );
    }
}
