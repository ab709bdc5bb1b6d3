//! In-place updates of btree files against a model, and stopped after every single write.

use proptest::prelude::*;
use rpostmap::bdb::btree::{BtreeReader, BtreeUpdater};
use rpostmap::bdb::verify::{Defect, Invariant, verify};
use rpostmap::bdb::{OnExisting, PageSize};
use rpostmap::error::ErrorKind;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::btree::{is_structure, sample};
use crate::common::is_ci;
use crate::common::updating::{
    Model, Op, Recorder, apply, assert_deletes, assert_holds, assert_nothing_lost, assert_updates,
    build,
};
use crate::fixtures;
use crate::updates::{key, op, order, page_size, value};

fn updater(file: &[u8]) -> BtreeUpdater {
    BtreeUpdater::new(Store::from_bytes(file)).unwrap()
}

#[track_caller]
fn list(reader: &BtreeReader) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = reader.iter().unwrap().map(Result::unwrap);
    pairs
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
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
        let mut file = build::<BtreeUpdater>(&model, page_size, order);
        for batch in ops.split(|op| matches!(op, Op::Reopen)) {
            let mut update = updater(&file);
            for op in batch {
                apply(op, &mut update, &mut model);
                if let Op::Put(key, _) | Op::Replace(key, _) | Op::Delete(key) = op {
                    assert_eq!(update.get(key).unwrap().as_ref(), model.get(key));
                }
            }
            update.commit(&mut file).unwrap();
            assert_holds::<BtreeUpdater>(&file, &model);
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
        let mut file = build::<BtreeUpdater>(&model, page_size, order);
        for batch in batches {
            let before = model.clone();
            let mut update = updater(&file);
            for op in &batch {
                apply(op, &mut update, &mut model);
            }
            let mut recorder = Recorder { file, states: Vec::new() };
            update.commit(&mut recorder).unwrap();
            for (at, state) in recorder.states.iter().enumerate() {
                assert_nothing_lost::<BtreeUpdater>(state, &before, &model, at);
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
                assert_holds::<BtreeUpdater>(&state, &found);
            }
            for (at, state) in recorder.states.iter().enumerate().step_by(29) {
                assert_deletes::<BtreeUpdater>(state, before.keys(), at);
                // The same changes once more, and only what they add.
                assert_updates::<BtreeUpdater>(state, &batch, at);
                let added = model.iter().filter(|(key, _)| !before.contains_key(*key));
                let added = added.map(|(key, value)| Op::Put(key.clone(), value.clone()));
                assert_updates::<BtreeUpdater>(state, &added.collect::<Vec<_>>(), at);
                assert_deletes::<BtreeUpdater>(state, model.keys().skip(at % 2).step_by(2), at);
            }
            file = recorder.file;
            assert_holds::<BtreeUpdater>(&file, &model);
        }
    }
}

#[test]
fn a_table_can_grow_from_nothing_and_be_emptied_again() {
    let size = PageSize::new(512).unwrap();
    for descending in [false, true] {
        let mut file = build::<BtreeUpdater>(&Model::new(), size, ByteOrder::Little);
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
            assert_holds::<BtreeUpdater>(&file, &model);
        }
        let full = file.len();
        for batch in keys.chunks(700) {
            let mut update = updater(&file);
            for key in batch {
                apply(&Op::Delete(key.clone().into()), &mut update, &mut model);
            }
            update.commit(&mut file).unwrap();
            assert_holds::<BtreeUpdater>(&file, &model);
        }
        // Deletion moves the ends of the tree to new pages, as many as the tree is high.
        assert!(file.len() <= full + 8 * 512, "{} of {full}", file.len());
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
        assert_holds::<BtreeUpdater>(&file, &model);
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
    let mut file = build::<BtreeUpdater>(&model, size, ByteOrder::Little);
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
            assert_nothing_lost::<BtreeUpdater>(state, &before, &model, at);
        }
        file = recorder.file;
        assert_holds::<BtreeUpdater>(&file, &model);
    }
}

/// What an interruption may leave in a tree: pages that belong to nothing, and links between leaves
/// that are not yet or no longer right.
#[track_caller]
fn assert_tree_is_whole(state: &[u8], at: usize) {
    let report = verify(&Store::from_bytes(state)).unwrap();
    let left = [Invariant::F3, Invariant::F8, Invariant::B12];
    let others = report.defects.iter().filter(|d| !left.contains(&d.rule));
    let others: Vec<&Defect> = others.collect();
    assert!(others.is_empty(), "after write {at}: {others:?}");
}

fn numbered(i: usize) -> Vec<u8> {
    format!("user{i:05}@a-rather-long-domain.example.com\0").into_bytes()
}

/// The file after each write of an update, and what it holds before and after.
fn states(before: &Model, ops: &[Op]) -> (Vec<Vec<u8>>, Model) {
    let size = PageSize::new(512).unwrap();
    let file = build::<BtreeUpdater>(before, size, ByteOrder::Little);
    let (mut update, mut after) = (updater(&file), before.clone());
    for op in ops {
        apply(op, &mut update, &mut after);
    }
    let mut recorder = Recorder::new(file);
    update.commit(&mut recorder).unwrap();
    (recorder.states, after)
}

/// A split once left copies of the keys it moved on the old page until that was written. They came
/// to light when the keys were deleted from the new page.
#[test]
fn a_key_that_is_deleted_after_an_interrupted_split_is_gone() {
    let before: Model = (0..60)
        .map(|i| (numbered(i * 10), vec![b'v'; 20]))
        .collect();
    let value = || vec![b'n'; 20];
    for ops in [
        // One leaf is split, once and many times; then all leaves and the pages above.
        (100..104).map(|i| Op::Put(numbered(i), value())).collect(),
        (101..140).map(|i| Op::Put(numbered(i), value())).collect(),
        (0..600)
            .step_by(3)
            .map(|i| Op::Put(numbered(i), value()))
            .collect::<Vec<_>>(),
        // Half of what moves is deleted by the same update.
        (0..600)
            .step_by(5)
            .flat_map(|i| [Op::Put(numbered(i + 1), value()), Op::Delete(numbered(i))])
            .collect(),
    ] {
        let (states, after) = states(&before, &ops);
        for (at, state) in states.iter().enumerate() {
            assert_nothing_lost::<BtreeUpdater>(state, &before, &after, at);
            assert_tree_is_whole(state, at);
            assert_deletes::<BtreeUpdater>(state, before.keys(), at);
            for first in 0..3 {
                let keys = before.keys().skip(first).step_by(3);
                assert_deletes::<BtreeUpdater>(state, keys, at);
            }
        }
    }
}

/// The leaf that follows the last one of the tree is read too, so it must not be one that an
/// interrupted update took out: what is deleted afterwards would still be found there.
#[test]
fn a_leaf_taken_off_the_end_of_the_tree_leaves_nothing_behind() {
    let before: Model = (0..300).map(|i| (numbered(i), vec![b'v'; 20])).collect();
    for doomed in [0..40, 0..299, 260..300, 1..300, 0..300] {
        let ops: Vec<_> = doomed.map(|i| Op::Delete(numbered(i))).collect();
        let (states, after) = states(&before, &ops);
        for (at, state) in states.iter().enumerate() {
            assert_nothing_lost::<BtreeUpdater>(state, &before, &after, at);
            assert_tree_is_whole(state, at);
            assert_deletes::<BtreeUpdater>(state, before.keys(), at);
            assert_deletes::<BtreeUpdater>(state, before.keys().skip(100).step_by(2), at);
        }
    }
}

/// All leaves below one internal page go, but a key of theirs comes back: below the page beside it.
#[test]
fn a_key_that_comes_back_elsewhere_in_the_tree_is_never_lost() {
    let before: Model = (0..600).map(|i| (numbered(i), vec![b'v'; 20])).collect();
    for first in (0..400).step_by(90) {
        let back = numbered(first + 100);
        let ops: Vec<_> = (first..first + 200)
            .map(|i| Op::Delete(numbered(i)))
            .chain([Op::Put(back.clone(), b"back".to_vec())])
            .collect();
        let (states, after) = states(&before, &ops);
        for (at, state) in states.iter().enumerate() {
            assert_nothing_lost::<BtreeUpdater>(state, &before, &after, at);
            assert_tree_is_whole(state, at);
            assert_deletes::<BtreeUpdater>(state, [&back], at);
        }
    }
}
