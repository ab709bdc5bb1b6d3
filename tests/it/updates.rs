//! In-place updates against a model, and stopped after every single write.

use std::fs;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;
use rpostmap::bdb::hash::HashUpdater;
use rpostmap::bdb::verify::verify;
use rpostmap::bdb::{OnExisting, PageSize};
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::common::updating::{
    Model, Op, Recorder, apply, assert_deletes, assert_holds, assert_nothing_lost, assert_updates,
    build,
};
use crate::common::{TestDir, is_root, is_stand_in, set_mode, shout, sorted_lines};
use crate::fixtures;

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

#[track_caller]
fn assert_clean(file: &[u8]) {
    let report = verify(&Store::from_bytes(file)).unwrap();
    assert!(report.is_clean(), "{:?}", report.defects);
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
        let mut file = build::<HashUpdater>(&model, page_size, order);
        for batch in ops.split(|op| matches!(op, Op::Reopen)) {
            let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
            for op in batch {
                apply(op, &mut update, &mut model);
                if let Op::Put(key, _) | Op::Replace(key, _) | Op::Delete(key) = op {
                    assert_eq!(update.get(key).unwrap().as_ref(), model.get(key));
                }
            }
            update.commit(&mut file).unwrap();
            assert_holds::<HashUpdater>(&file, &model);
            assert_clean(&file);
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
        let mut file = build::<HashUpdater>(&model, page_size, order);
        for batch in batches {
            let before = model.clone();
            let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
            for op in &batch {
                apply(op, &mut update, &mut model);
            }
            let mut recorder = Recorder::new(file);
            update.commit(&mut recorder).unwrap();
            for (at, state) in recorder.states.iter().enumerate() {
                assert_nothing_lost::<HashUpdater>(state, &before, &model, at);
            }
            for (at, state) in recorder.states.iter().enumerate().step_by(29) {
                assert_deletes::<HashUpdater>(state, before.keys(), at);
                // The same changes once more, and only what they add.
                assert_updates::<HashUpdater>(state, &batch, at);
                let added = model.iter().filter(|(key, _)| !before.contains_key(*key));
                let added = added.map(|(key, value)| Op::Put(key.clone(), value.clone()));
                assert_updates::<HashUpdater>(state, &added.collect::<Vec<_>>(), at);
                assert_deletes::<HashUpdater>(state, model.keys().skip(at % 2).step_by(2), at);
            }
            file = recorder.file;
            assert_holds::<HashUpdater>(&file, &model);
            assert_clean(&file);
        }
    }
}

#[test]
fn an_interruption_may_leave_a_long_key_on_two_pages_of_a_chain() {
    // Keys of NULs all belong to bucket 0. Longer than 128 bytes they lie off the page.
    let before: Model = (0..9)
        .map(|i| (vec![0; 130 + i], vec![b'v'; 100]))
        .collect();
    let page_size = PageSize::new(512).unwrap();
    let file = build::<HashUpdater>(&before, page_size, ByteOrder::Little);
    for key in before.keys() {
        // Too long for the page the key is on.
        let mut after = before.clone();
        after.insert(key.clone(), vec![b'w'; 128]);
        let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
        update.put(key, &[b'w'; 128], OnExisting::Replace).unwrap();
        let mut recorder = Recorder::new(file.clone());
        update.commit(&mut recorder).unwrap();
        for (at, state) in recorder.states.iter().enumerate() {
            assert_nothing_lost::<HashUpdater>(state, &before, &after, at);
            // The next update takes it from there.
            let mut again = state.clone();
            let mut update = HashUpdater::new(Store::from_bytes(again.clone())).unwrap();
            update
                .put(key, &[b'w'; 128], OnExisting::Replace)
                .unwrap_or_else(|error| panic!("after write {at}: {error}"));
            update.commit(&mut again).unwrap();
            assert_holds::<HashUpdater>(&again, &after);
        }
    }
}

/// What interruptions leave of updates that move one key to a new page of its chain. The new page
/// makes the table grow, so copies of keys that moved to another bucket are left as well. Each state
/// comes with the keys, and the number of writes that were made.
fn states_with_a_key_on_two_pages() -> Vec<(Vec<u8>, Model, usize)> {
    // Multiples of 4 all belong to bucket 0 of 4, four keys to a page; every other one moves when
    // the bucket is split.
    let before: Model = (0..14).map(|n| (vec![4 * n], vec![b'v'; 111])).collect();
    let page_size = PageSize::new(512).unwrap();
    let file = build::<HashUpdater>(&before, page_size, ByteOrder::Little);
    let mut all = Vec::new();
    for key in before.keys() {
        let mut after = before.clone();
        let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
        // Too long for the page the key is on.
        let replace = Op::Replace(key.clone(), vec![b'w'; 128]);
        apply(&replace, &mut update, &mut after);
        let mut recorder = Recorder::new(file.clone());
        update.commit(&mut recorder).unwrap();
        for (at, state) in recorder.states.into_iter().enumerate() {
            assert_nothing_lost::<HashUpdater>(&state, &before, &after, at);
            all.push((state, before.clone(), at));
        }
    }
    all
}

/// A deletion once took the key off its old page together with copies of other keys, and the value
/// on the new page came to light until that was written too.
#[test]
fn a_key_on_two_pages_of_a_chain_keeps_its_value_until_it_is_deleted() {
    for (state, before, at) in states_with_a_key_on_two_pages() {
        assert_deletes::<HashUpdater>(&state, before.keys(), at);
        // Also when the keys are of another bucket by then.
        let deletes = before.keys().cloned().map(Op::Delete);
        let ops: Vec<Op> = deletes.chain(growth()).collect();
        assert_updates::<HashUpdater>(&state, &ops, at);
    }
}

/// A split once put both on one page, where both were listed.
#[test]
fn a_key_on_two_pages_of_a_chain_stays_on_one_when_the_table_grows() {
    for (state, _, at) in states_with_a_key_on_two_pages() {
        assert_updates::<HashUpdater>(&state, &growth(), at);
    }
}

/// Enough to share out the pages of each of eight buckets once more.
fn growth() -> Vec<Op> {
    let put = |n| Op::Put(vec![1, n], vec![b'x'; 100]);
    (0..60).map(put).collect()
}

#[test]
fn a_replaced_value_on_an_unsorted_page_leaves_the_page_sorted() {
    for name in ["libdb-4.5-hash-512-le.db", "libdb-4.5-hash-4096-be.db"] {
        let file = fixtures::read(&format!("bdb/{name}"));
        for key in fixtures::model("bdb/entries.txt").into_keys() {
            let mut update = HashUpdater::new(Store::from_bytes(&*file)).unwrap();
            update.put(&key, b"new", OnExisting::Replace).unwrap();
            let mut updated = file.clone();
            update.commit(&mut updated).unwrap();
            assert_clean(&updated);
        }
    }
}

/// A table without a byte is none, and yet the only file that the directory takes.
#[test]
fn an_empty_table_that_cannot_be_replaced_takes_entries_all_the_same() {
    if is_stand_in() || !is_root() {
        return shout("updates: needs root to become another user");
    }
    for kind in ["hash", "btree"] {
        let dir = TestDir::new("updates-empty");
        dir.write("t.db", "");
        set_mode(&dir.file("t.db"), 0o666);
        set_mode(&dir.path(), 0o755);
        let operand = format!("{kind}:t");
        let run = dir.ours("rpostmap").args(["-i", &operand]).user(65_534);
        run.stdin("key value\n").finish().status_is(0);
        let listing = dir.ours("rpostmap").args(["-s", &operand]).ok();
        listing.stdout_is("key\tvalue\n");
    }
}

/// Runs in a mount namespace of its own, so that nothing is left mounted. The root directory of the
/// file system, the source and the table are all the files that fit.
const NO_MORE_FILES: &str = r#"
    mkdir small && mount -t tmpfs -o nr_inodes=3 none small || exit 77
    more=$PWD/more
    cd small
    printf 'key0 old\n' > t && rpostmap $1:t || exit 1
    rpostmap -i $1:t < "$more"
    echo "status $?"
    rpostmap -s $1:t | wc -l
"#;

#[test]
fn where_no_file_can_be_made_many_changes_are_made_in_place() {
    if is_stand_in() || !is_root() {
        return shout("updates: needs root to mount");
    }
    for kind in ["hash", "btree"] {
        let dir = TestDir::new("updates-no-more-files");
        let more: String = (1..20_000).map(|n| format!("key{n} value\n")).collect();
        dir.write("more", more);
        let _ = dir.ours("rpostmap");
        let run = dir.run("/usr/bin/unshare");
        let end = run
            .args(["-m", "sh", "-c", NO_MORE_FILES, "sh", kind])
            .finish();
        if end.status == 77 || end.stderr.starts_with(b"unshare:") {
            return shout(format_args!("updates: cannot mount\n{end}"));
        }
        end.stdout_is("status 0\n20000\n");
    }
}

/// Where no file can be made, many changes are written page by page too: an interruption loses no key.
#[test]
fn where_the_table_cannot_be_replaced_many_changes_are_made_in_place() {
    if is_stand_in() || !is_root() {
        return shout("updates: needs root to become another user");
    }
    for kind in ["hash", "btree"] {
        let dir = TestDir::new("updates-in-place");
        let lines = |from: u32, to: u32| -> String {
            (from..to).map(|n| format!("key{n}\tvalue{n}\n")).collect()
        };
        dir.write("t", lines(0, 2_000));
        let operand = format!("{kind}:t");
        dir.ours("rpostmap").args([&operand]).ok();
        set_mode(&dir.file("t.db"), 0o666);
        set_mode(&dir.path(), 0o755);
        let inode = || fs::metadata(dir.file("t.db")).expect("a table").ino();
        let before = inode();
        let run = dir.ours("rpostmap").args(["-i", &operand]).user(65_534);
        let end = run.stdin(lines(2_000, 20_000)).finish();
        end.status_is(0).stderr_is("");
        assert_eq!(inode(), before, "{kind}");
        let run = dir.ours("rpostmap").args(["verify", &operand]);
        run.finish().status_is(0);
        let listing = dir.ours("rpostmap").args(["-s", &operand]).ok();
        assert!(
            listing.sorted_lines() == sorted_lines(lines(0, 20_000).as_bytes()),
            "{kind}"
        );
    }
}
