//! What is easy to get wrong about Berkeley DB files, numbered, one test each: what the original
//! does and what that means for us. The others are in tests/it; some numbers are in both.

use std::fs;

use rpostmap::bdb::hash::{HashReader, HashUpdater};
use rpostmap::bdb::salvage::{Options, salvage};
use rpostmap::bdb::verify::verify;
use rpostmap::bdb::{OnExisting, PageSize};
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::common::raw::{
    ELEMENT_COUNT, FREE, FREE_PAGE, HASH_SORTED, HASH_UNSORTED, LAST_PAGE, MAX_BUCKET, OVERFLOW,
    Raw, UID, VERSION,
};
use crate::common::updating::{Model, assert_holds, build};
use crate::common::{Outcome, TestDir, package_file, sorted_lines};
use crate::oracle::{assert_clean, have, original};

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

fn raw(dir: &TestDir) -> Raw {
    Raw::new(fs::read(dir.file("t.db")).expect("read t.db"))
}

/// Entries as `key TAB value LF`.
fn source(range: std::ops::Range<usize>) -> String {
    range
        .map(|i| format!("user{i}@example.com\tmailbox{i}/\n"))
        .collect()
}

/// The same entries as they are stored.
fn stored(range: std::ops::Range<usize>) -> Model {
    range
        .map(|i| (format!("user{i}@example.com\0"), format!("mailbox{i}/\0")))
        .map(|(key, value)| (key.into_bytes(), value.into_bytes()))
        .collect()
}

fn hash_file(model: &Model, page_size: u32, order: ByteOrder) -> Raw {
    Raw::new(build::<HashUpdater>(
        model,
        PageSize::new(page_size).expect("a page size"),
        order,
    ))
}

/// Whether a program finds a key in `hash:t`.
fn finds(dir: &TestDir, program: &str, key: &str) -> bool {
    let run = match program {
        "rpostmap" => dir.ours(program),
        _ => original(dir, program),
    };
    let end = run.args(["-q", "-", "hash:t"]).stdin(format!("{key}\n"));
    !end.finish().stderr_is("").stdout.is_empty()
}

fn insert(dir: &TestDir, program: &str, entries: &str) -> Outcome {
    let run = match program {
        "rpostmap" => dir.ours(program),
        _ => original(dir, program),
    };
    run.args(["-i", "hash:t"]).stdin(entries).ok().stderr_is("")
}

/// `db_load -T` of these pairs in this order into `t.db`; options as `page size=512`.
fn load(dir: &TestDir, options: &[&str], pairs: &[(&str, &str)]) {
    let text: String = pairs.iter().map(|(k, v)| format!("{k}\n{v}\n")).collect();
    let options = options.iter().flat_map(|option| ["-c", option]);
    original(dir, "db5.3_load")
        .args(["-T", "-t", "hash"])
        .args(options)
        .args(["t.db"])
        .stdin(text)
        .ok();
}

/// The rules that our verifier finds broken.
fn rules(file: &Raw) -> Vec<String> {
    let report = verify(&Store::from_bytes(&*file.bytes)).expect("verify");
    let defects = report.defects.iter();
    defects.map(|defect| defect.rule.to_string()).collect()
}

#[track_caller]
fn assert_lists(dir: &TestDir, table: &str, expect: &str) {
    for listed in [
        dir.ours("rpostmap").args(["-s", table]).ok(),
        original(dir, "postmap").args(["-s", table]).ok(),
    ] {
        let same = listed.sorted_lines() == sorted_lines(expect.as_bytes());
        assert!(same, "another listing\n{listed}");
    }
}

#[test]
fn trap_01_with_the_shorter_key_first_the_original_loses_keys() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    // All strings of up to 8 letters `a` and `b`.
    let text = |i: u32| (1..32 - i.leading_zeros()).map(move |at| i >> (at - 1) & 1);
    let texts = (2..512).map(|i| text(i).map(|bit| ['a', 'b'][bit as usize]).collect());
    let keys: Vec<String> = texts.collect();
    // Without a NUL at the end, so that keys are prefixes of each other.
    let model: Model = keys
        .iter()
        .map(|key| (key.clone().into_bytes(), b"v".to_vec()))
        .collect();
    let input = keys
        .iter()
        .map(|key| format!("{key}\n"))
        .collect::<String>();
    let dir = TestDir::new("order");
    let found = |program: &str| {
        let run = match program {
            "rpostmap" => dir.ours(program),
            _ => original(&dir, program),
        };
        let end = run.args(["-q", "-", "hash:t"]).stdin(&*input).finish();
        end.sorted_lines().len()
    };
    let mut file = hash_file(&model, 4096, ByteOrder::Little);
    dir.write("t.db", &file.bytes);
    assert_eq!(
        (found("postmap"), found("rpostmap")),
        (model.len(), model.len())
    );

    for page in file.pages_of(&[HASH_SORTED]) {
        let items: Vec<Vec<u8>> = file
            .hash_items(page)
            .iter()
            .map(|item| item.to_vec())
            .collect();
        let mut pairs: Vec<&[Vec<u8>]> = items.chunks(2).collect();
        pairs.sort();
        let mut end = file.page_size;
        for (at, item) in pairs.concat().iter().enumerate() {
            end -= item.len();
            let offset = u16::try_from(end).expect("small").to_le_bytes();
            file.page_mut(page)[end..end + item.len()].copy_from_slice(item);
            file.page_mut(page)[26 + 2 * at..28 + 2 * at].copy_from_slice(&offset);
        }
    }
    dir.write("t.db", &file.bytes);
    let lost = model.len() - found("postmap");
    assert!(lost > 100, "{lost} keys lost");
    assert_eq!(found("rpostmap"), model.len());
    // Its verifier has nothing against it, ours has.
    assert_clean(&dir, "t.db");
    assert!(rules(&file).iter().all(|rule| rule == "H11") && !rules(&file).is_empty());
}

#[test]
fn trap_02_long_keys_next_to_their_prefixes_get_lost_by_the_original_and_not_by_us() {
    if !have(&["postmap", "db5.3_load", "db5.3_verify"]) {
        return;
    }
    let long = format!("caa{}a", "b".repeat(130));
    let pairs = [(&*long, "1"), ("ca", "2"), ("bbca", "3")];
    let dir = TestDir::new("prefix");
    load(&dir, &["db_pagesize=512"], &pairs);
    assert!(!finds(&dir, "postmap", &long), "mended in this version");
    assert!(finds(&dir, "rpostmap", &long));
    // Stored once more, it is there twice. We delete both.
    load(&dir, &[], &[(&long, "4")]);
    assert_clean(&dir, "t.db");
    let listed = original(&dir, "db5.3_dump").args(["-p", "t.db"]).ok();
    let copies = listed.stdout.split(|&byte| byte == b'\n');
    let copies = copies.filter(|line| line.strip_prefix(b" ") == Some(long.as_bytes()));
    assert_eq!(copies.count(), 2);
    let theirs = raw(&dir).bytes;
    for (replace, left) in [(false, 2), (true, 3)] {
        let mut update = HashUpdater::new(Store::from_bytes(&*theirs)).expect("open");
        if replace {
            update
                .put(long.as_bytes(), b"5", OnExisting::Replace)
                .expect("put");
        } else {
            assert!(update.delete(long.as_bytes()).expect("delete"));
        }
        let mut file = theirs.clone();
        update.commit(&mut file).expect("commit");
        let reader = HashReader::new(Store::from_bytes(&*file)).expect("open");
        assert_eq!(reader.iter().expect("list").count(), left);
        let value = reader.get(long.as_bytes()).expect("get");
        assert_eq!(value.as_deref(), replace.then_some(&b"5"[..]));
        dir.write("t.db", &file);
        assert_clean(&dir, "t.db");
    }

    // In what we write the original finds all.
    for order in ORDERS {
        let model: Model = pairs
            .iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        let built = hash_file(&model, 512, order).bytes;
        let mut updated = hash_file(&Model::new(), 512, order).bytes;
        let mut update = HashUpdater::new(Store::from_bytes(&*updated)).expect("open");
        for (key, value) in pairs {
            update
                .put(key.as_bytes(), value.as_bytes(), OnExisting::Keep)
                .expect("put");
        }
        update.commit(&mut updated).expect("commit");
        for file in [built, updated] {
            dir.write("t.db", file);
            assert_clean(&dir, "t.db");
            for (key, _) in pairs {
                assert!(finds(&dir, "postmap", key));
            }
        }
    }
}

#[test]
fn trap_03_wrong_item_offsets_pass_the_originals_verifier_and_not_ours() {
    if !have(&["db5.3_verify"]) {
        return;
    }
    for order in ORDERS {
        let file = hash_file(&stored(0..20), 512, order);
        for page in file.pages_of(&[HASH_SORTED]) {
            for wrong in [file.items_offset(page) + 5, file.items_offset(page) - 5] {
                let mut wrong_offset = file.clone();
                let offset = u16::try_from(wrong).expect("small");
                order
                    .put_u16(wrong_offset.page_mut(page), 22, offset)
                    .expect("inside");
                let dir = TestDir::new("offset");
                dir.write("t.db", &wrong_offset.bytes);
                assert_clean(&dir, "t.db");
                assert_eq!(rules(&wrong_offset), ["P4"]);
                // Reading does not need it, and updates refuse it.
                assert_holds::<HashUpdater>(&wrong_offset.bytes, &stored(0..20));
                let mut update =
                    HashUpdater::new(Store::from_bytes(wrong_offset.bytes)).expect("open");
                let refused = (0..20).any(|i| {
                    let key = format!("user{i}@example.com\0");
                    update
                        .put(key.as_bytes(), b"new", OnExisting::Replace)
                        .is_err()
                });
                assert!(refused, "page {page}");
            }
        }
    }
}

#[test]
fn trap_06_the_original_and_ours_take_each_others_empty_buckets() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("empty");
    dir.write("t", "");
    original(&dir, "postmap").args(["hash:t"]).ok();
    // In a new file of the original the first bucket is a hole.
    let file = raw(&dir);
    assert!(file.page(1).iter().all(|&byte| byte == 0));
    assert_eq!(file.kind(2), HASH_SORTED);
    insert(&dir, "rpostmap", &source(0..10));
    assert_clean(&dir, "t.db");
    assert_lists(&dir, "hash:t", &source(0..10));

    for order in ORDERS {
        // A hole for every bucket but the last.
        let mut file = hash_file(&Model::new(), 512, order);
        for page in 1..file.page_count() - 1 {
            file.page_mut(page).fill(0);
        }
        dir.write("t.db", &file.bytes);
        assert_clean(&dir, "t.db");
        insert(&dir, "postmap", &source(0..200));
        assert_clean(&dir, "t.db");
        assert_lists(&dir, "hash:t", &source(0..200));
    }
}

#[test]
fn trap_07_the_originals_chains_stay_off_the_groups_we_reserved() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("group");
    for order in ORDERS {
        // Ours grows by a few buckets into a new group, theirs through it and beyond.
        dir.write("t.db", hash_file(&stored(0..100), 512, order).bytes);
        let before = raw(&dir).meta(MAX_BUCKET);
        let mut end = 100;
        while raw(&dir).meta(MAX_BUCKET) < before + 3 {
            insert(&dir, "rpostmap", &source(end..end + 5));
            end += 5;
        }
        assert_clean(&dir, "t.db");
        insert(&dir, "postmap", &source(end..end + 700));
        assert!(raw(&dir).meta(MAX_BUCKET) > 2 * before + 1);
        assert_clean(&dir, "t.db");
        assert_lists(&dir, "hash:t", &source(0..end + 700));
    }
}

#[test]
fn trap_08_with_last_pgno_too_small_the_original_overwrites_what_is_there() {
    if !have(&["postmap"]) {
        return;
    }
    // The last page is part of a long value.
    let mut model = stored(0..10);
    model.insert(b"long\0".to_vec(), vec![b'v'; 1500]);
    let mut file = hash_file(&model, 512, ByteOrder::NATIVE);
    assert_eq!(file.kind(file.page_count() - 1), OVERFLOW);
    file.set_meta(LAST_PAGE, file.meta(LAST_PAGE) - 1);
    let dir = TestDir::new("last");
    dir.write("t.db", &file.bytes);
    // Ours says that something is missing.
    let reader = HashReader::new(Store::from_bytes(&*file.bytes)).expect("open");
    assert!(reader.get(b"long\0").is_err());
    insert(&dir, "postmap", &format!("other {}\n", "w".repeat(400)));
    let after = raw(&dir);
    let last = file.page_count() - 1;
    assert!(
        after.page(last).windows(50).any(|part| part == [b'w'; 50]),
        "mended"
    );
}

#[test]
fn trap_11_the_originals_counter_is_4096_too_high_and_we_carry_it_on() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("count");
    dir.write("t", source(0..300));
    original(&dir, "postmap").args(["hash:t"]).ok();
    assert_eq!(raw(&dir).meta(ELEMENT_COUNT), 300 + 4096);
    insert(&dir, "rpostmap", &source(300..302));
    assert_eq!(raw(&dir).meta(ELEMENT_COUNT), 302 + 4096);
    dir.ours("rpostmap")
        .args(["-d", "user7@example.com", "hash:t"])
        .ok();
    assert_eq!(raw(&dir).meta(ELEMENT_COUNT), 301 + 4096);
    assert_clean(&dir, "t.db");
    dir.ours("rpostmap").args(["hash:t"]).ok();
    assert_eq!(raw(&dir).meta(ELEMENT_COUNT), 300);
}

#[test]
fn trap_12_the_original_leaves_garbage_in_unused_bytes() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("garbage");
    dir.write("t", source(0..300));
    original(&dir, "postmap").args(["hash:t"]).ok();
    original(&dir, "postmap")
        .args(["-d", "-", "hash:t"])
        .stdin(
            (0..150)
                .map(|i| format!("user{i}@example.com\n"))
                .collect::<String>(),
        )
        .ok();
    let dirty = |file: &Raw| {
        let pages = file.pages_of(&[HASH_SORTED]).into_iter();
        pages
            .filter(|&page| file.page(page)[file.gap(page)].iter().any(|&b| b != 0))
            .count()
    };
    let file = raw(&dir);
    assert!(dirty(&file) > 2, "mended in this version");
    assert_lists(&dir, "hash:t", &source(150..300));
    insert(&dir, "rpostmap", &source(0..10));
    assert!(dirty(&raw(&dir)) < dirty(&file));
    let expect = source(0..10) + &source(150..300);
    assert_lists(&dir, "hash:t", &expect);
    assert_clean(&dir, "t.db");
}

#[test]
fn trap_14_the_original_keeps_the_key_of_a_first_entry_after_deletions() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    // Long keys become long separators.
    let line = |i: usize| format!("{i:03}{}\tvalue{i}\n", "k".repeat(1500));
    let dir = TestDir::new("first");
    dir.write("t", (0..600).map(line).collect::<String>());
    original(&dir, "postmap").args(["btree:t"]).ok();
    let doomed: String = (0..250)
        .map(|i| line(i).replace(&format!("\tvalue{i}"), ""))
        .collect();
    original(&dir, "postmap")
        .args(["-d", "-", "btree:t"])
        .stdin(doomed)
        .ok();
    assert_clean(&dir, "t.db");
    let rest: String = (250..600).map(line).collect();
    assert_lists(&dir, "btree:t", &rest);
    let keys: String = (0..600)
        .map(|i| line(i).replace(&format!("\tvalue{i}"), ""))
        .collect();
    let found = dir
        .ours("rpostmap")
        .args(["-q", "-", "btree:t"])
        .stdin(keys)
        .ok();
    assert!(found.stdout == rest.as_bytes(), "{found}");
}

#[test]
fn trap_15_upgraded_files_say_one_page_too_many() {
    if !have(&["db5.3_upgrade", "db5.3_verify"]) {
        return;
    }
    let pairs = crate::old_files::real_pairs();
    // Only files in the byte order of the machine can be upgraded.
    if cfg!(target_endian = "big") {
        return;
    }
    for (name, kind) in [
        ("libdb-3.0-hash-4096-le", "hash"),
        ("libdb-4.0-hash-512-le", "hash"),
        ("libdb-3.0-btree-4096-le", "btree"),
        ("libdb-4.0-btree-512-le", "btree"),
    ] {
        let dir = TestDir::new("upgrade");
        let path = package_file("tests/data/bdb").join(format!("{name}.db"));
        dir.write("t.db", fs::read(path).expect("fixture"));
        original(&dir, "db5.3_upgrade").args(["t.db"]).ok();
        let upgraded = raw(&dir);
        let is_one_more = upgraded.meta(LAST_PAGE) as usize == upgraded.page_count();
        assert!(is_one_more, "{name}: {}", upgraded.meta(LAST_PAGE));
        let table = &*format!("{kind}:t");
        let listed = dir.ours("rpostmap").args(["-s", table]).ok();
        let expect = sorted_lines(&pairs);
        assert!(listed.sorted_lines() == expect, "{name}\n{listed}");
        if kind == "hash" {
            // An update puts it right.
            insert(&dir, "rpostmap", "added value\n");
            let updated = raw(&dir);
            let last = updated.meta(LAST_PAGE) as usize;
            assert_eq!(last + 1, updated.page_count(), "{name}");
            let expect = [&*pairs, b"added\tvalue\n"].concat();
            assert_lists(&dir, table, &String::from_utf8(expect).expect("text"));
        }
    }
}

#[test]
fn trap_16_version_8_files_mix_sorted_and_unsorted_pages_after_an_update() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let pairs = crate::old_files::real_pairs();
    for name in ["libdb-4.5-hash-512-le", "libdb-4.5-hash-512-be"] {
        let path = package_file("tests/data/bdb").join(format!("{name}.db"));
        let before = fs::read(path).expect("fixture");
        assert!(Raw::new(&*before).pages_of(&[HASH_SORTED]).is_empty());
        for programs in [["postmap", "rpostmap"], ["rpostmap", "postmap"]] {
            let dir = TestDir::new("mixed");
            dir.write("t.db", &before);
            let mut expect = pairs.clone();
            for (at, program) in programs.into_iter().enumerate() {
                let added = format!("added{at}\tvalue\n");
                insert(&dir, program, &added);
                expect.extend(added.as_bytes());
                let file = raw(&dir);
                let case = format!("{name}, {program}");
                assert!(!file.pages_of(&[HASH_SORTED]).is_empty(), "{case}");
                assert!(!file.pages_of(&[HASH_UNSORTED]).is_empty(), "{case}");
                assert_eq!(file.meta(VERSION), 8, "{case}");
                assert_eq!(file.bytes[UID], before[UID], "{case}");
                assert_lists(&dir, "hash:t", std::str::from_utf8(&expect).expect("text"));
                assert_clean(&dir, "t.db");
            }
        }
    }
}

#[test]
fn trap_17_the_original_cuts_off_the_last_page_when_it_is_freed() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("cut");
    dir.write("t", source(0..50));
    dir.ours("rpostmap").args(["hash:t"]).ok();
    insert(&dir, "rpostmap", &format!("long\t{}\n", "v".repeat(20_000)));
    let before = raw(&dir);
    assert_eq!(before.kind(before.page_count() - 1), OVERFLOW);
    original(&dir, "postmap")
        .args(["-d", "long", "hash:t"])
        .ok();
    let after = raw(&dir);
    assert!(after.page_count() < before.page_count());
    assert_eq!(after.meta(LAST_PAGE) as usize + 1, after.page_count());
    assert_ne!(after.meta(FREE), 0, "only the last page is cut off");
    // What it freed is used again.
    insert(&dir, "rpostmap", &format!("long\t{}\n", "w".repeat(20_000)));
    assert_eq!(raw(&dir).page_count(), before.page_count());
    assert_clean(&dir, "t.db");
    let expect = source(0..50) + &format!("long\t{}\n", "w".repeat(20_000));
    assert_lists(&dir, "hash:t", &expect);
    // We put it on the free list; the original takes that too.
    dir.ours("rpostmap").args(["-d", "long", "hash:t"]).ok();
    assert_clean(&dir, "t.db");
    insert(&dir, "postmap", &source(50..400));
    assert_clean(&dir, "t.db");
    assert_lists(&dir, "hash:t", &source(0..400));
}

#[test]
fn trap_18_the_original_accepts_the_checksums_we_write() {
    if !have(&["postmap", "db5.3_load", "db5.3_verify"]) {
        return;
    }
    for order in ["1234", "4321"] {
        let dir = TestDir::new("sums");
        let order = format!("db_lorder={order}");
        load(
            &dir,
            &["db_pagesize=512", "chksum=1", &order],
            &[("key", "value")],
        );
        let before = raw(&dir);
        assert_eq!(before.header_len, 32);
        let dump = |dir: &TestDir| original(dir, "db5.3_dump").args(["-p", "t.db"]).ok();
        let mut update = HashUpdater::new(Store::from_bytes(&*before.bytes)).expect("open");
        let model = stored(0..300);
        for (key, value) in &model {
            update.put(key, value, OnExisting::Keep).expect("put");
        }
        update
            .put(&[b'k'; 300], &[b'v'; 3000], OnExisting::Keep)
            .expect("put");
        assert!(update.delete(b"key").expect("delete"));
        let mut file = before.bytes.clone();
        update.commit(&mut file).expect("commit");
        dir.write("t.db", file);
        assert_clean(&dir, "t.db");
        let dumped = dump(&dir).stdout;
        let lines = dumped.split(|&byte| byte == b'\n');
        assert_eq!(lines.filter(|line| line.starts_with(b" ")).count(), 2 * 301);
        // And goes on from there.
        insert(&dir, "postmap", &source(300..500));
        assert_clean(&dir, "t.db");
        let mut all = stored(0..500);
        all.insert(vec![b'k'; 300], vec![b'v'; 3000]);
        assert_holds::<HashUpdater>(&raw(&dir).bytes, &all);
    }
}

#[test]
fn trap_19_a_table_of_ours_nearly_doubles_at_the_originals_first_split() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("double");
    dir.write("t", source(0..20_000));
    dir.ours("rpostmap").args(["hash:t"]).ok();
    let before = raw(&dir);
    assert!((before.meta(MAX_BUCKET) + 1).is_power_of_two());
    let mut end = 20_000;
    while raw(&dir).meta(MAX_BUCKET) == before.meta(MAX_BUCKET) {
        insert(&dir, "postmap", &source(end..end + 500));
        end += 500;
    }
    let after = raw(&dir);
    assert!(
        after.page_count() * 10 > before.page_count() * 18,
        "not doubled"
    );
    assert_clean(&dir, "t.db");
    assert_lists(&dir, "hash:t", &source(0..end));
    insert(&dir, "rpostmap", &source(end..end + 100));
    assert_clean(&dir, "t.db");
    assert_lists(&dir, "hash:t", &source(0..end + 100));
}

#[test]
fn trap_20_what_the_original_deleted_stays_in_the_file_but_is_not_listed() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("remains");
    dir.write("t", source(0..50));
    original(&dir, "postmap").args(["hash:t"]).ok();
    insert(
        &dir,
        "postmap",
        &format!("secret {}\n", "hunter2".repeat(3_000)),
    );
    insert(&dir, "postmap", &format!("other {}\n", "v".repeat(20_000)));
    original(&dir, "postmap")
        .args(["-d", "secret", "hash:t"])
        .ok();
    let file = raw(&dir);
    let remains = |page: &usize| file.page(*page).windows(7).any(|part| part == b"hunter2");
    assert!(
        file.pages_of(&[FREE_PAGE]).iter().any(remains),
        "mended in this version"
    );
    let expect = source(0..50) + &format!("other\t{}\n", "v".repeat(20_000));
    assert_lists(&dir, "hash:t", &expect);
    // Salvage shows it on request only.
    let found = |options| {
        let found = salvage(&Store::from_bytes(&*file.bytes), options).expect("salvage");
        assert!(
            found
                .pairs
                .iter()
                .all(|pair| !pair.deleted || options.deleted)
        );
        (found.pairs.len(), found.orphans.len())
    };
    assert_eq!(found(Options::default()), (51, 0));
    assert!(found(Options::default().deleted(true)).0 >= 51);
    // What we delete is gone.
    insert(
        &dir,
        "rpostmap",
        &format!("mine {}\n", "password".repeat(3_000)),
    );
    assert!(raw(&dir).contains(b"password"));
    dir.ours("rpostmap").args(["-d", "mine", "hash:t"]).ok();
    assert!(!raw(&dir).contains(b"password"));
    assert_lists(&dir, "hash:t", &expect);
    assert_clean(&dir, "t.db");
}
