//! In-place updates of btree files against a model, and stopped after every single write.

use proptest::prelude::*;
use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader, BtreeUpdater};
use rpostmap::bdb::{OnExisting, PageSize, Put};
use rpostmap::entries::Entries;
use rpostmap::error::ErrorKind;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::btree::{is_structure, sample};
use crate::common::is_ci;
use crate::common::updating::{Model, Op, Recorder};
use crate::fixtures;
use crate::updates::{key, op, order, page_size, value};

fn build(model: &Model, page_size: PageSize, order: ByteOrder) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in model {
        entries.insert(key, value).unwrap();
    }
    let mut file = Vec::new();
    BtreeBuilder::new()
        .page_size(page_size)
        .byte_order(order)
        .build(&entries, &mut file)
        .unwrap();
    file
}

fn updater(file: &[u8]) -> BtreeUpdater {
    BtreeUpdater::new(Store::from_bytes(file)).unwrap()
}

fn apply(op: &Op, update: &mut BtreeUpdater, model: &mut Model) {
    match op {
        Op::Put(key, value) => {
            let put = update.put(key, value, OnExisting::Keep).unwrap();
            let there = model.contains_key(key);
            assert_eq!(put, if there { Put::Kept } else { Put::Inserted });
            model.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Op::Replace(key, value) => {
            let put = update.put(key, value, OnExisting::Replace).unwrap();
            let there = model.insert(key.clone(), value.clone()).is_some();
            assert_eq!(put, if there { Put::Replaced } else { Put::Inserted });
        }
        Op::Delete(key) => {
            assert_eq!(update.delete(key).unwrap(), model.remove(key).is_some());
        }
        Op::Reopen => {}
    }
}

/// That the file holds exactly what the model does, in order.
#[track_caller]
fn assert_holds(file: &[u8], model: &Model) {
    let reader = BtreeReader::new(Store::from_bytes(file)).unwrap();
    assert_eq!(list(&reader), model.clone().into_iter().collect::<Vec<_>>());
    for (key, value) in model {
        assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
        let absent = [key, &b"~"[..]].concat();
        assert_eq!(reader.get(&absent).unwrap(), None);
    }
}

#[track_caller]
fn list(reader: &BtreeReader) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = reader.iter().unwrap().map(Result::unwrap);
    pairs
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

/// That a file between two states has every key of the first, with one of the two values; what
/// the update deletes may be there or not.
#[track_caller]
fn assert_nothing_lost(state: &[u8], before: &Model, after: &Model, at: usize) {
    let reader = BtreeReader::new(Store::from_bytes(state)).unwrap();
    for (key, old) in before {
        match (reader.get(key), after.get(key)) {
            (Ok(None), None) => {}
            (Ok(Some(found)), _) if found == &old[..] => {}
            (Ok(Some(found)), Some(new)) if found == &new[..] => {}
            (found, _) => panic!("after write {at}: {} gives {found:?}", key.escape_ascii()),
        }
    }
    let mut listed = Model::new();
    for pair in reader.iter().unwrap() {
        let (key, value) = pair.unwrap_or_else(|error| panic!("after write {at}: {error}"));
        let shown = key.escape_ascii().to_string();
        let known = [before, after]
            .iter()
            .any(|model| model.get(&*key).is_some_and(|known| *known == *value));
        assert!(known, "after write {at}: {shown} lists a wrong value");
        let twice = listed.insert(key.into_owned(), value.into_owned());
        assert_eq!(twice, None, "after write {at}: {shown} is listed twice");
    }
    for key in before.keys().filter(|key| after.contains_key(*key)) {
        let shown = key.escape_ascii();
        assert!(
            listed.contains_key(key),
            "after write {at}: {shown} is not listed"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn btree_updates_do_what_a_map_does(
        page_size in page_size(),
        order in order(),
        start in prop::collection::btree_map(key(), value(), 0..150),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        let mut model = start;
        let mut file = build(&model, page_size, order);
        for batch in ops.split(|op| matches!(op, Op::Reopen)) {
            let mut update = updater(&file);
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
    fn an_interrupted_btree_update_loses_no_key(
        page_size in page_size(),
        order in order(),
        start in prop::collection::btree_map(key(), value(), 0..120),
        batches in prop::collection::vec(prop::collection::vec(op(), 1..60), 1..4),
    ) {
        let mut model = start;
        let mut file = build(&model, page_size, order);
        for batch in batches {
            let before = model.clone();
            let mut update = updater(&file);
            for op in &batch {
                apply(op, &mut update, &mut model);
            }
            let mut recorder = Recorder { file, states: Vec::new() };
            update.commit(&mut recorder).unwrap();
            for (at, state) in recorder.states.iter().enumerate() {
                assert_nothing_lost(state, &before, &model, at);
            }
            // What an interruption left can be updated.
            for state in recorder.states.iter().step_by(7) {
                let mut found: Model = list(&BtreeReader::new(Store::from_bytes(&**state)).unwrap())
                    .into_iter()
                    .collect();
                let mut update = updater(state);
                for key in before.keys().chain(model.keys()).step_by(3) {
                    found.remove(key);
                    update.delete(key).unwrap();
                }
                for key in model.keys().step_by(2) {
                    found.insert(key.clone(), b"new".to_vec());
                    update.put(key, b"new", OnExisting::Replace).unwrap();
                }
                let mut state = state.clone();
                update.commit(&mut state).unwrap();
                let reader = BtreeReader::new(Store::from_bytes(state)).unwrap();
                for (key, value) in &found {
                    assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
                }
            }
            file = recorder.file;
            assert_holds(&file, &model);
        }
    }
}

#[test]
fn a_table_can_grow_from_nothing_and_be_emptied_again() {
    let size = PageSize::new(512).unwrap();
    for descending in [false, true] {
        let mut file = build(&Model::new(), size, ByteOrder::Little);
        let mut model = Model::new();
        let mut keys: Vec<String> = (0..2_000).map(|i| format!("key{i:05}")).collect();
        if descending {
            keys.reverse();
        }
        for batch in keys.chunks(300) {
            let mut update = updater(&file);
            for key in batch {
                apply(
                    &Op::Put(key.clone().into(), b"value".to_vec()),
                    &mut update,
                    &mut model,
                );
            }
            update.commit(&mut file).unwrap();
            assert_holds(&file, &model);
        }
        let full = file.len();
        for batch in keys.chunks(700) {
            let mut update = updater(&file);
            for key in batch {
                apply(&Op::Delete(key.clone().into()), &mut update, &mut model);
            }
            update.commit(&mut file).unwrap();
            assert_holds(&file, &model);
        }
        assert!(file.len() <= full);
        // The pages are used again.
        let mut update = updater(&file);
        for key in &keys {
            update
                .put(key.as_bytes(), b"value", OnExisting::Keep)
                .unwrap();
        }
        update.commit(&mut file).unwrap();
        assert!(file.len() <= full + 8 * 512, "{} of {full}", file.len());
    }
}

#[test]
fn real_files_are_updated_or_refused_by_version() {
    let model: Model = fixtures::model("bdb/entries.txt")
        .into_iter()
        .map(|(key, mut values)| (key, values.remove(0)))
        .collect();
    for (name, updated) in [
        ("libdb-3.0-btree-4096-le.db", false),
        ("libdb-4.0-btree-512-le.db", false),
        ("libdb-4.5-btree-512-be.db", true),
        ("libdb-4.5-btree-512-le.db", true),
        ("libdb-4.5-btree-4096-be.db", true),
        ("libdb-5.3-btree-512-be.db", true),
        ("libdb-5.3-btree-4096-le.db", true),
        ("libdb-5.3-btree-checksum-4096-le.db", true),
    ] {
        let mut file = fixtures::read(&format!("bdb/{name}"));
        let update = BtreeUpdater::new(Store::from_bytes(&*file));
        let mut update = match update {
            Ok(update) if updated => update,
            Err(error) if !updated => {
                let refused = matches!(error.kind(), ErrorKind::Unsupported { .. });
                assert!(refused, "{name}: {error}");
                continue;
            }
            Ok(_) => panic!("{name} is updated"),
            Err(error) => panic!("{name}: {error}"),
        };
        let mut model: Model = model.clone();
        let keys: Vec<Vec<u8>> = model.keys().cloned().collect();
        for (at, key) in keys.iter().enumerate() {
            let op = match at % 3 {
                0 => Op::Delete(key.clone()),
                1 => Op::Replace(key.clone(), vec![b'n'; at * 3]),
                _ => Op::Put([key, &b"+"[..]].concat(), b"added".to_vec()),
            };
            apply(&op, &mut update, &mut model);
        }
        update.commit(&mut file).unwrap();
        assert_holds(&file, &model);
    }
}

/// An update of a damaged file stops before it writes, or writes nothing that was not there or asked
/// for.
#[test]
fn an_update_of_a_damaged_file_makes_no_wrong_answers() {
    let (model, file) = sample();
    let structure = (0..file.len()).filter(|at| is_structure(&file, *at));
    for at in structure.step_by(if is_ci() { 5 } else { 17 }) {
        for mask in [0x01, 0x08, 0x40, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= mask;
            let mut after = model.clone();
            let Ok(mut update) = BtreeUpdater::new(Store::from_bytes(&*damaged)) else {
                continue;
            };
            let keys: Vec<Vec<u8>> = model.keys().cloned().collect();
            let mut steps = keys.iter().enumerate().step_by(3);
            let done = steps.try_for_each(|(at, key)| {
                if at % 2 == 0 {
                    after.remove(key);
                    update.delete(key).map(drop)
                } else {
                    let key = [key, &b"+"[..]].concat();
                    let put = update.put(&key, b"new", OnExisting::Replace);
                    after.insert(key, b"new".to_vec());
                    put.map(drop)
                }
            });
            if done.is_err() || update.commit(&mut damaged).is_err() {
                continue;
            }
            let Ok(reader) = BtreeReader::new(Store::from_bytes(damaged)) else {
                continue;
            };
            let is_wrong = |(key, value): &(&Vec<u8>, &Vec<u8>)| {
                let found = reader.get(key);
                found.is_ok_and(|found| found.as_deref() != Some(&value[..]))
            };
            let wrong = after.iter().filter(is_wrong).count();
            let (page, byte) = (at / 512, at % 512);
            assert!(
                wrong <= 1,
                "page {page}, byte {byte}, {mask:#x}: {wrong} wrong answers"
            );
            // Ends, whatever it finds.
            for pair in reader.iter().into_iter().flatten() {
                if pair.is_err() {
                    break;
                }
            }
        }
    }
}

/// Three levels, with whole leaves emptied and others split at once: what the small tables of the
/// other tests do not reach.
#[test]
fn an_interrupted_update_of_a_high_tree_loses_no_key() {
    let size = PageSize::new(512).unwrap();
    let name = |i: usize| format!("user{i:05}@a-rather-long-domain.example.com\0").into_bytes();
    let mut model: Model = (0..900)
        .map(|i| (name(i * 10), vec![b'v'; i % 50]))
        .collect();
    let mut file = build(&model, size, ByteOrder::Little);
    for round in 0..12 {
        let before = model.clone();
        let mut update = updater(&file);
        let start = round * 731 % 8000;
        for i in start..start + 600 {
            let op = match (round + i / 120) % 3 {
                0 => Op::Delete(name(i)),
                1 if i % 4 == 0 => Op::Put(name(i), vec![b'n'; i % 70]),
                2 if i % 10 == 0 => Op::Replace(name(i), vec![b'r'; i % 300]),
                _ => continue,
            };
            apply(&op, &mut update, &mut model);
        }
        let mut recorder = Recorder {
            file,
            states: Vec::new(),
        };
        update.commit(&mut recorder).unwrap();
        for (at, state) in recorder.states.iter().enumerate().step_by(3) {
            assert_nothing_lost(state, &before, &model, at);
        }
        file = recorder.file;
        assert_holds(&file, &model);
    }
}
