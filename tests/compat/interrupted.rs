//! Updates that are interrupted, and what the original finds in the table afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rpostmap::bdb::PageSize;
use rpostmap::bdb::btree::BtreeUpdater;
use rpostmap::bdb::hash::HashUpdater;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::common::updater::Updater;
use crate::common::updating::{Model, Op, Recorder, apply, assert_deletes, assert_holds, build};
use crate::common::{Outcome, Run, TestDir};
use crate::oracle::{assert_clean, have, original};

/// How often the kill test kills.
const KILLS: u32 = 40;

/// What Postfix stores for a text.
fn stored(text: impl Into<Vec<u8>>) -> Vec<u8> {
    let mut bytes = text.into();
    bytes.push(0);
    bytes
}

fn user(number: usize) -> Vec<u8> {
    stored(format!("user{number}@example.com"))
}

fn users(numbers: std::ops::Range<usize>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    numbers.map(|number| (user(number), stored(format!("mailbox{number}/"))))
}

/// A key too long for a page of this size, that has `user<number>` as a prefix.
fn long_key(number: usize, page_size: usize) -> Vec<u8> {
    let mut key = format!("user{number}").into_bytes();
    key.resize(page_size / 4 + number, b'k');
    stored(key)
}

/// A name, what is there before, and the update.
struct Scenario {
    name: &'static str,
    before: Model,
    update: Vec<Op>,
}

/// Updates of tables in pages of `size` bytes that write in every stage there is.
fn scenarios(size: usize) -> Vec<Scenario> {
    // Entries for a table of 4 buckets, most of them full.
    let count = size / 13;
    let plain: Model = users(0..count).collect();
    let mut mixed = plain.clone();
    mixed.extend((0..6).map(|i| (long_key(i, size), stored(format!("long{i}")))));
    mixed.extend((0..6).map(|i| (stored(format!("user{i}")), stored("prefix"))));
    mixed.extend((10..16).map(|i| (user(i), stored("v".repeat(size * i / 8)))));
    let put = |(key, value)| Op::Put(key, value);
    let long_value = |i: usize| stored("w".repeat(1 + size / 3 * (i % 5)));
    vec![
        Scenario {
            name: "insert: a doubling and splits",
            before: plain.clone(),
            update: users(count..count + size / 20).map(put).collect(),
        },
        Scenario {
            name: "insert: off-page keys and values",
            before: plain,
            update: (0..3)
                .map(|i| Op::Put(long_key(i, size), long_value(i)))
                .chain((900..903).map(|i| Op::Put(user(i), long_value(i))))
                .collect(),
        },
        Scenario {
            name: "replace",
            before: mixed.clone(),
            update: (9..14)
                .map(|i| Op::Replace(user(i), long_value(i)))
                .chain((0..3).map(|i| Op::Replace(long_key(i, size), long_value(i + 2))))
                .collect(),
        },
        Scenario {
            name: "delete",
            before: mixed.clone(),
            update: (5..count)
                .filter(|i| i % 3 != 0)
                .map(|i| Op::Delete(user(i)))
                .chain((0..3).map(|i| Op::Delete(long_key(i, size))))
                .collect(),
        },
        Scenario {
            name: "a mixed batch",
            before: mixed,
            update: (0..7)
                .flat_map(|i| {
                    [
                        Op::Delete(user(i * 3)),
                        Op::Replace(user(i * 3 + 1), long_value(i % 3)),
                        put((user(count + i), stored("new"))),
                    ]
                })
                .chain([
                    Op::Delete(long_key(1, size)),
                    put((user(3), stored("again"))),
                ])
                .collect(),
        },
    ]
}

/// Without the NUL at the end, one a line.
fn lines<'a>(keys: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let text = |key: &'a Vec<u8>| [key.strip_suffix(b"\0").expect("a NUL"), b"\n"].concat();
    keys.into_iter().flat_map(text).collect()
}

fn source(model: &Model) -> Vec<u8> {
    let text = |bytes: &Vec<u8>| bytes.strip_suffix(b"\0").expect("a NUL").to_vec();
    model
        .iter()
        .flat_map(|(key, value)| [text(key), b"\t".to_vec(), text(value), b"\n".to_vec()])
        .flatten()
        .collect()
}

/// The answers to `-q -` for all of `keys`.
fn answers<'a>(
    program: Run<'_>,
    table: &str,
    keys: impl IntoIterator<Item = &'a Vec<u8>>,
) -> Outcome {
    let query = program.args(["-q", "-", table]).stdin(lines(keys));
    query.finish().stderr_is("")
}

/// That every key of `before` was answered with its old value or with its new one; those that
/// are deleted may be missing.
#[track_caller]
fn assert_nothing_lost(case: &str, answers: &Outcome, before: &Model, after: &Model) {
    let mut found = BTreeMap::new();
    for line in answers.stdout.split(|&byte| byte == b'\n') {
        if let Some(tab) = line.iter().position(|&byte| byte == b'\t') {
            found.insert(stored(&line[..tab]), stored(&line[tab + 1..]));
        }
    }
    for (key, old) in before {
        let shown = key.escape_ascii();
        let new = after.get(key);
        match found.get(key) {
            Some(value) => assert!(
                value == old || Some(value) == new,
                "{case}: {shown} has a wrong value"
            ),
            None => assert!(new.is_none(), "{case}: {shown} is lost"),
        }
    }
}

/// Updates of a table of type `name` that stop after each write.
fn stop_after_each_write<U: Updater>(name: &str) {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let table = format!("{name}:t");
    let mut runs = 0;
    for size in [512, 4096] {
        let page_size = PageSize::new(size).expect("a page size");
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for scenario in scenarios(size as usize) {
                let Scenario {
                    name,
                    before,
                    update: ops,
                } = scenario;
                let file = build::<U>(&before, page_size, order);
                let mut update = U::open(Store::from_bytes(file.clone())).expect("open");
                let mut after = before.clone();
                for op in &ops {
                    apply(op, &mut update, &mut after);
                }
                let mut recorder = Recorder::new(file);
                update.commit(&mut recorder).expect("commit");
                assert!(recorder.states.len() > 4, "{name}: hardly anything written");
                let dir = TestDir::new("interrupted");
                for (at, state) in recorder.states.iter().enumerate() {
                    dir.write("t.db", state);
                    let case = format!("{name}, {size}, {order:?}, write {at}");
                    let found = answers(original(&dir, "postmap"), &table, before.keys());
                    assert_nothing_lost(&case, &found, &before, &after);
                    runs += 1;
                    assert_deletes::<U>(state, before.keys().skip(at % 2).step_by(2), at);
                    if at % 8 == 0 {
                        assert_deletion_counts(&dir, &case, &table, &before);
                    }
                }
                dir.write("t.db", &recorder.file);
                assert_clean(&dir, "t.db");
                let found = answers(original(&dir, "postmap"), &table, after.keys());
                assert!(found.stdout == source(&after), "{name}, {size}, {order:?}");
                assert_holds::<U>(&recorder.file, &after);
            }
        }
    }
    assert!(runs >= 200, "{runs} interrupted updates");
}

/// That the original finds all keys but those that our program deletes from what an interrupted
/// update left, or that it says why it deletes none.
#[track_caller]
fn assert_deletion_counts(dir: &TestDir, case: &str, table: &str, before: &Model) {
    let keys = || before.keys().enumerate();
    let doomed = keys().filter(|(at, _)| at % 3 == 0).map(|(_, key)| key);
    let kept = keys().filter(|(at, _)| at % 3 != 0).map(|(_, key)| key);
    let old = answers(original(dir, "postmap"), table, kept.clone());
    let deletion = dir.ours("rpostmap").args(["-d", "-", table]);
    let deletion = deletion.stdin(lines(doomed.clone())).finish();
    if !deletion.stderr.is_empty() {
        let said = String::from_utf8_lossy(&deletion.stderr).into_owned();
        assert!(said.contains("interrupted update"), "{case}: {deletion}");
        return;
    }
    let new = answers(original(dir, "postmap"), table, kept);
    assert!(new.stdout == old.stdout, "{case}: deletion changed others");
    for program in [original(dir, "postmap"), dir.ours("rpostmap")] {
        let found = answers(program, table, doomed.clone());
        assert!(found.stdout.is_empty(), "{case}: {found}");
    }
}

#[test]
fn the_original_finds_every_old_key_after_each_write_to_a_hash_table() {
    stop_after_each_write::<HashUpdater>("hash");
}

#[test]
fn the_original_finds_every_old_key_after_each_write_to_a_btree_table() {
    stop_after_each_write::<BtreeUpdater>("btree");
}

#[test]
fn an_update_that_is_killed_loses_no_old_key() {
    if !have(&["postmap"]) {
        return;
    }
    let before: Model = users(0..8_000).collect();
    let dir = TestDir::new("killed");
    dir.write("t", source(&before));
    dir.ours("rpostmap").args(["hash:t"]).ok();
    let table = fs::read(dir.file("t.db")).expect("read the table");
    let changes: [(&[&str], Vec<u8>, Model); 2] = {
        let mut added: Model = users(30_000..30_200).collect();
        added.extend((0..20).map(|i| (user(i * 7), stored("w".repeat(1000 + i * 50)))));
        let mut more = before.clone();
        more.extend(added.clone());
        let doomed: Vec<_> = before.keys().step_by(20).cloned().collect();
        let mut less = before.clone();
        less.retain(|key, _| !doomed.contains(key));
        [
            (&["-r", "-i"], source(&added), more),
            (&["-d", "-"], lines(&doomed), less),
        ]
    };
    let (mut untouched, mut half, mut done) = (0, 0, 0);
    for (words, input, after) in &changes {
        let start = || {
            dir.write("t.db", &table);
            let program = dir.ours("rpostmap").args(*words).args(["hash:t"]);
            program.stdin(&**input).start()
        };
        let begun = Instant::now();
        start().finish().status_is(0);
        let whole = begun.elapsed();
        let updated = fs::read(dir.file("t.db")).expect("read the table");
        assert_eq!(updated[52..72], table[52..72], "{words:?}: not in place");
        for kill in 0..KILLS / 2 {
            let mut running = start();
            let modified = || {
                let metadata = fs::metadata(dir.file("t.db")).expect("stat");
                metadata.modified().expect("a time")
            };
            let untouched_since = modified();
            if kill % 4 == 0 {
                thread::sleep(whole.mul_f64(f64::from(kill) / f64::from(KILLS / 2)));
            } else {
                // A moment after the first write.
                while running.is_running() && modified() == untouched_since {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_micros(u64::from(kill) * 40));
            }
            running.kill();
            running.finish();
            let state = fs::read(dir.file("t.db")).expect("read the table");
            match () {
                () if state == table => untouched += 1,
                () if state == updated => done += 1,
                () => half += 1,
            }
            let case = format!("{words:?}, kill {kill}");
            for program in [dir.ours("rpostmap"), original(&dir, "postmap")] {
                let found = answers(program, "hash:t", before.keys());
                assert_nothing_lost(&case, &found, &before, after);
            }
            // The same update again either goes through or says what happened.
            let again = dir.ours("rpostmap").args(*words).args(["hash:t"]);
            let again = again
                .stdin(&**input)
                .limit(Duration::from_secs(30))
                .finish();
            if again.stderr.is_empty() {
                let listed = dir.ours("rpostmap").args(["-s", "hash:t"]).ok();
                let expect = source(after);
                let expect = crate::common::sorted_lines(&expect);
                assert!(
                    listed.sorted_lines() == expect,
                    "{case}: not what it should be"
                );
            } else {
                let said = String::from_utf8_lossy(&again.stderr).into_owned();
                assert!(said.contains("interrupted update"), "{case}: {again}");
            }
        }
    }
    println!("{untouched} before the first write, {half} in between, {done} after the last");
}
