//! What is easy to get wrong about Berkeley DB files, numbered, one test each: those that need no
//! original. The others are in tests/compat; some numbers are in both.

use std::collections::{BTreeMap, BTreeSet};

use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader};
use rpostmap::bdb::hash::function::HashFunction;
use rpostmap::bdb::hash::{HashReader, HashUpdater};
use rpostmap::bdb::{OnExisting, PageSize};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::common::raw::{
    BTREE_INTERNAL, BTREE_LEAF, CHARKEY, ELEMENT_COUNT, FREE, FREE_PAGE, HASH_SORTED,
    HASH_UNSORTED, LAST_PAGE, MAX_BUCKET, META_CHECKSUM, OFF_PAGE, ON_PAGE, OVERFLOW, Raw,
    checksum, hash,
};
use crate::common::updating::{Model, Recorder, assert_holds, build};
use crate::fixtures::{self, HASH_FIXTURES};

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

fn hash_file(model: &Model, page_size: u32, order: ByteOrder) -> Raw {
    Raw::new(build::<HashUpdater>(
        model,
        PageSize::new(page_size).unwrap(),
        order,
    ))
}

fn btree_file(model: &Model, page_size: u32) -> Raw {
    let mut entries = Entries::new();
    for (key, value) in model {
        entries.insert(key, value).unwrap();
    }
    let mut file = Vec::new();
    BtreeBuilder::new()
        .page_size(PageSize::new(page_size).unwrap())
        .byte_order(ByteOrder::Little)
        .build(&entries, &mut file)
        .unwrap();
    Raw::new(file)
}

/// The real files of a type that carry this in their names.
fn real_files(part: &str) -> Vec<(String, Raw)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(fixtures::path("bdb")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.contains(part) && name.ends_with(".db") {
            let raw = Raw::new(fixtures::read(&format!("bdb/{name}")));
            files.push((name, raw));
        }
    }
    assert!(!files.is_empty(), "{part}");
    files
}

fn real_pairs() -> Model {
    let pairs = fixtures::model("bdb/entries.txt").into_iter();
    pairs
        .map(|(key, mut values)| (key, values.remove(0)))
        .collect()
}

fn numbered(range: std::ops::Range<usize>) -> Model {
    range
        .map(|i| (format!("user{i}@example.com\0"), format!("mailbox{i}/\0")))
        .map(|(key, value)| (key.into_bytes(), value.into_bytes()))
        .collect()
}

#[track_caller]
fn update(file: &Raw, puts: &Model, deletes: &[Vec<u8>]) -> Raw {
    let mut update = HashUpdater::new(Store::from_bytes(&*file.bytes)).unwrap();
    for key in deletes {
        assert!(update.delete(key).unwrap());
    }
    for (key, value) in puts {
        update.put(key, value, OnExisting::Replace).unwrap();
    }
    let mut bytes = file.bytes.clone();
    update.commit(&mut bytes).unwrap();
    Raw::new(bytes)
}

#[track_caller]
fn assert_btree_holds(file: &Raw, model: &Model) {
    let reader = BtreeReader::new(Store::from_bytes(&*file.bytes)).unwrap();
    let pairs = reader.iter().unwrap().map(|pair| {
        let (key, value) = pair.unwrap();
        (key.into_owned(), value.into_owned())
    });
    assert!(pairs.eq(model.clone()), "the listing differs");
    for (key, value) in model {
        assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
    }
}

/// Strings of `a` and `b`, all of up to `len` letters.
fn strings_of_two_letters(len: usize) -> Model {
    let mut keys = vec![Vec::new()];
    for at in 0.. {
        let key: &Vec<u8> = &keys[at];
        if key.len() == len {
            break;
        }
        let (a, b) = ([key, &b"a"[..]].concat(), [key, &b"b"[..]].concat());
        keys.extend([a, b]);
    }
    keys.into_iter().map(|key| (key, b"v".to_vec())).collect()
}

#[test]
fn trap_01_of_a_key_and_its_prefix_the_longer_comes_first_on_hash_pages() {
    let model = strings_of_two_letters(8);
    let mut files = real_files("libdb-5.3-hash");
    for (order, size) in ORDERS.into_iter().zip([512, 4096]) {
        let file = hash_file(&model, size, order);
        files.push(("built".into(), file));
        // Put one after the other.
        let empty = hash_file(&Model::new(), size, order);
        files.push(("updated".into(), update(&empty, &model, &[])));
    }
    for (name, file) in files {
        let mut prefixes = 0;
        for page in file.pages_of(&[HASH_SORTED]) {
            let items = file.hash_items(page);
            let keys: Vec<&[u8]> = items.iter().step_by(2).copied().collect();
            for pair in keys.windows(2) {
                let ([ON_PAGE, a @ ..], [ON_PAGE, b @ ..]) = (pair[0], pair[1]) else {
                    continue;
                };
                let len = a.len().min(b.len());
                let longer_first = (&a[..len], b.len()) < (&b[..len], a.len());
                assert!(longer_first, "{name}, page {page}");
                prefixes += u32::from(a.starts_with(b));
            }
        }
        assert!(prefixes > 50 || name.starts_with("libdb"), "{name}");
    }
    // In trees it is the other way round.
    let tree = btree_file(&model, 512);
    assert_btree_holds(&tree, &model);
    for leaf in tree.pages_of(&[BTREE_LEAF]) {
        let key = |offset: usize| {
            let item = &tree.page(leaf)[offset..];
            &item[3..3 + usize::from(u16::from_le_bytes([item[0], item[1]]))]
        };
        let keys: Vec<&[u8]> = tree.offsets(leaf).into_iter().step_by(2).map(key).collect();
        assert!(keys.is_sorted(), "leaf {leaf}");
    }
}

#[test]
fn trap_04_the_hash_function_starts_from_zero() {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    for (key, expect) in [
        (&b"root\0"[..], 0xdb83_fb78),
        (b"user@example.com\0", 0x6953_485a),
        (b"%$sniglet^&\0", 0x5e68_8dd1),
        (b"", 0),
        (b"\0\0\0", 0),
    ] {
        assert_eq!(HashFunction::Func5.hash(key), expect);
        assert_eq!(hash(0, key), expect);
        assert_ne!(hash(OFFSET_BASIS, key), expect);
    }
    for (name, file) in real_files("-hash-") {
        if name.starts_with("libdb-3.0") {
            continue; // Its meta page lies 16 bytes lower.
        }
        assert_eq!(file.meta(CHARKEY), hash(0, b"%$sniglet^&\0"), "{name}");
        let keys = file.keys_on_pages();
        assert!(keys.len() > 250, "{name}");
        for (bucket, _, key) in keys {
            assert_eq!(file.bucket_of(&key), bucket, "{name}");
        }
    }
}

#[test]
fn trap_05_items_of_an_empty_page_of_64_kib_begin_at_0() {
    for order in ORDERS {
        let empty = hash_file(&Model::new(), 65536, order);
        let tree = btree_file(&Model::new(), 65536);
        for (file, page) in [(&empty, 1), (&empty, 2), (&tree, 1)] {
            assert_eq!((file.entries(page), file.items_offset(page)), (0, 0));
        }
        assert_holds::<HashUpdater>(&empty.bytes, &Model::new());
        assert_btree_holds(&tree, &Model::new());
        // Both buckets filled and emptied again.
        let full = update(&empty, &numbered(0..20), &[]);
        assert_holds::<HashUpdater>(&full.bytes, &numbered(0..20));
        let keys: Vec<Vec<u8>> = numbered(0..20).into_keys().collect();
        let emptied = update(&full, &Model::new(), &keys);
        assert_eq!(emptied.items_offset(1), 0);
        assert_holds::<HashUpdater>(&emptied.bytes, &Model::new());
    }
    // In smaller pages it is the page size.
    assert_eq!(
        hash_file(&Model::new(), 512, ByteOrder::Big).items_offset(1),
        512
    );
}

#[test]
fn trap_06_pages_of_buckets_may_be_all_zero_but_the_last_must_exist() {
    let model = numbered(0..60);
    for order in ORDERS {
        // Bucket 0 and the last bucket lose their keys, then their pages.
        let file = hash_file(&model, 512, order);
        let last = file.meta(MAX_BUCKET);
        let is_doomed = |key: &&Vec<u8>| [0, last].contains(&file.bucket_of(key));
        let doomed: Vec<Vec<u8>> = model.keys().filter(is_doomed).cloned().collect();
        assert!(!doomed.is_empty());
        let mut blank = update(&file, &Model::new(), &doomed);
        for bucket in [0, last] {
            let page = blank.page_of_bucket(bucket);
            assert_eq!((blank.entries(page), blank.next(page)), (0, 0));
            blank.page_mut(page).fill(0);
        }
        let mut rest = model.clone();
        rest.retain(|key, _| !doomed.contains(key));
        assert_holds::<HashUpdater>(&blank.bytes, &rest);
        let mut again = model.clone();
        again.retain(|key, _| doomed.contains(key));
        assert_holds::<HashUpdater>(&update(&blank, &again, &[]).bytes, &model);

        // A doubling writes one page of the new group, the last.
        let grown = grow(&file, &model);
        let (first, end) = (last as usize + 1, 2 * (last as usize + 1));
        let used = grown.meta(MAX_BUCKET) as usize;
        assert!((first..end - 1).contains(&used));
        for bucket in used + 1..end {
            let page = grown.page_of_bucket(u32::try_from(bucket).unwrap());
            let blank = grown.page(page).iter().all(|&byte| byte == 0);
            assert_eq!(blank, bucket != end - 1, "bucket {bucket}");
        }
        let last_page = grown.page_of_bucket(u32::try_from(end - 1).unwrap());
        assert_eq!(
            (grown.kind(last_page), grown.entries(last_page)),
            (HASH_SORTED, 0)
        );
    }
}

/// Adds entries one by one until the file has one bucket more.
fn grow(file: &Raw, model: &Model) -> Raw {
    let start = model.len();
    let mut grown = file.clone();
    for i in start.. {
        grown = update(&grown, &numbered(i..i + 1), &[]);
        if grown.meta(MAX_BUCKET) != file.meta(MAX_BUCKET) {
            assert_holds::<HashUpdater>(&grown.bytes, &numbered(0..i + 1));
            break;
        }
    }
    grown
}

#[test]
fn trap_07_the_whole_last_group_is_reserved() {
    for order in ORDERS {
        let model = numbered(0..100);
        let mut file = hash_file(&model, 512, order);
        for _ in 0..3 {
            let next = grow(&file, &numbered(0..file.meta(ELEMENT_COUNT) as usize));
            let buckets = (next.meta(MAX_BUCKET) + 1).next_power_of_two();
            let reserved: BTreeSet<usize> = (0..buckets).map(|b| next.page_of_bucket(b)).collect();
            assert_eq!(reserved.len(), buckets as usize);
            assert!(reserved.last().unwrap() < &next.page_count());
            // No page further on in a chain is a bucket's page, of today or of tomorrow.
            for bucket in 0..=next.meta(MAX_BUCKET) {
                let mut page = next.next(next.page_of_bucket(bucket));
                while page != 0 {
                    assert!(!reserved.contains(&page), "page {page}");
                    page = next.next(page);
                }
            }
            file = next;
        }
        // A file that lacks the last page of the group is not believed.
        let mut cut = hash_file(&model, 512, order);
        let page = u32::try_from(cut.page_of_bucket(cut.meta(MAX_BUCKET))).unwrap();
        cut.bytes.truncate(page as usize * 512);
        cut.set_meta(LAST_PAGE, page - 1);
        let error = HashReader::new(Store::from_bytes(cut.bytes)).err().unwrap();
        assert!(error.to_string().contains("outside the file"), "{error}");
    }
}

#[test]
fn trap_08_an_update_does_not_overwrite_pages_that_the_meta_page_forgot() {
    // The last pages are chain pages of bucket 0, where all keys of NULs live.
    let model: Model = (1..60)
        .map(|len| (vec![0; len], b"value".to_vec()))
        .collect();
    for order in ORDERS {
        let file = hash_file(&model, 512, order);
        assert_eq!(file.meta(LAST_PAGE) as usize + 1, file.page_count());
        for missing in 1..3 {
            let mut short = file.clone();
            short.set_meta(LAST_PAGE, file.meta(LAST_PAGE) - missing);
            let opened = HashUpdater::new(Store::from_bytes(&*short.bytes));
            let refused = match opened {
                Err(_) => true,
                Ok(mut update) => update.put(&[0; 70], b"v", OnExisting::Keep).is_err(),
            };
            assert!(refused, "{missing} pages");
        }
        let mut long = file.clone();
        long.set_meta(LAST_PAGE, file.meta(LAST_PAGE) + 2);
        assert!(HashReader::new(Store::from_bytes(long.bytes)).is_err());
    }
}

#[test]
fn trap_09_hash_and_btree_have_limits_of_their_own_for_long_items() {
    for (page_size, hash_limit, btree_limit) in [
        (512, 128, 111),
        (1024, 256, 239),
        (4096, 1024, 1007),
        (16384, 4096, 4079),
        (65536, 16384, 16367),
    ] {
        for (limit, is_hash) in [(hash_limit, true), (btree_limit, false)] {
            for (len, chains) in [(limit, 0), (limit + 1, 2)] {
                let model = Model::from([(vec![b'k'; len], vec![b'v'; len])]);
                let file = match is_hash {
                    true => hash_file(&model, page_size, ByteOrder::Little),
                    false => btree_file(&model, page_size),
                };
                let first = |page: &usize| file.u32(*page, 12) == 0;
                let found = file.pages_of(&[OVERFLOW]).into_iter().filter(first).count();
                assert_eq!(found, chains, "{page_size}, {len}, hash: {is_hash}");
            }
        }
    }
    // Berkeley DB draws the line in the same place.
    for fixture in HASH_FIXTURES {
        let file = Raw::new(fixtures::read(&format!("bdb/{}", fixture.name)));
        for page in file.pages_of(&[HASH_SORTED, HASH_UNSORTED]) {
            for item in file.hash_items(page) {
                let limit = fixture.page_size / 4;
                let fits = match item[0] {
                    ON_PAGE => item.len() - 1 <= limit,
                    _ => file.order.u32(item, 8).unwrap() as usize > limit,
                };
                assert!(fits, "{}, page {page}", fixture.name);
            }
        }
    }
}

#[test]
fn trap_10_hash_items_have_neither_length_nor_alignment_and_btree_items_have_both() {
    let mut unaligned = 0;
    for (name, file) in real_files("-hash-") {
        for page in file.pages_of(&[HASH_SORTED, HASH_UNSORTED]) {
            let offsets = file.offsets(page);
            assert!(offsets.is_sorted_by(|a, b| a > b), "{name}, page {page}");
            let lowest = offsets.last().copied().unwrap_or(file.page_size);
            assert_eq!(
                lowest % 65536,
                file.items_offset(page),
                "{name}, page {page}"
            );
            unaligned += offsets.iter().filter(|offset| *offset % 4 != 0).count();
        }
    }
    assert!(unaligned > 1000);
    for (name, file) in real_files("-btree-") {
        for page in file.pages_of(&[BTREE_LEAF]) {
            for offset in file.offsets(page) {
                assert_eq!(offset % 4, 0, "{name}, page {page}");
            }
        }
    }
    let pairs = [("alpha\0", "one\0"), ("beta\0", "two\0")];
    let pairs = pairs.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let model = Model::from(pairs);
    let hash = hash_file(&model, 512, ByteOrder::Little);
    assert_eq!(hash.offsets(1), [505, 500, 494, 489]);
    assert_eq!(
        hash.page(1)[489..],
        *b"\x01two\0\x01beta\0\x01one\0\x01alpha\0"
    );
    let tree = btree_file(&model, 512);
    assert_eq!(tree.offsets(1), [500, 492, 484, 476]);
    assert_eq!(
        tree.page(1)[476..],
        *b"\x04\0\x01two\0\0\x05\0\x01beta\0\x04\0\x01one\0\0\x06\0\x01alpha\0\0\0\0"
    );
}

#[test]
fn trap_11_the_element_counter_is_never_trusted() {
    let model = numbered(0..50);
    for order in ORDERS {
        let built = hash_file(&model, 512, order);
        assert_eq!(built.meta(ELEMENT_COUNT), 50);
        for (count, after) in [(0, 1), (50 + 4096, 51 + 4096), (1 << 31, 1 << 31)] {
            let mut file = built.clone();
            file.set_meta(ELEMENT_COUNT, count);
            assert_holds::<HashUpdater>(&file.bytes, &model);
            let file = update(&file, &numbered(50..51), &[]);
            assert_eq!(file.meta(ELEMENT_COUNT), after);
            assert_holds::<HashUpdater>(&file.bytes, &numbered(0..51));
        }
    }
}

#[test]
fn trap_12_garbage_in_unused_bytes_means_nothing_and_is_not_passed_on() {
    let mut model = numbered(0..60);
    model.insert(b"long value\0".to_vec(), vec![b'v'; 1000]);
    for order in ORDERS {
        let mut file = hash_file(&model, 512, order);
        // Every byte with no meaning: three in each item of this kind, and what lies between.
        for page in file.pages_of(&[HASH_SORTED]) {
            let gap = file.gap(page);
            let padding: Vec<usize> = file
                .offsets(page)
                .into_iter()
                .filter(|&offset| file.page(page)[offset] == OFF_PAGE)
                .collect();
            file.page_mut(page)[gap].fill(b'!');
            for offset in padding {
                file.page_mut(page)[offset + 1..offset + 4].fill(b'!');
            }
            file.page_mut(page)[0..8].fill(b'!');
        }
        for page in file.pages_of(&[OVERFLOW]) {
            let end = 26 + file.items_offset(page);
            file.page_mut(page)[end..].fill(b'!');
        }
        file.page_mut(0)[512 - 20 - 16..512 - 20].fill(b'!');
        assert!(file.contains(b"!!!"));
        assert_holds::<HashUpdater>(&file.bytes, &model);

        // What an update writes is clean.
        let mut changed = model.clone();
        changed.values_mut().for_each(|value| value.push(b'.'));
        let updated = update(&file, &changed, &[]);
        assert_holds::<HashUpdater>(&updated.bytes, &changed);
        for page in updated.pages_of(&[HASH_SORTED]) {
            let gap = updated.gap(page);
            assert!(
                updated.page(page)[gap].iter().all(|&byte| byte == 0),
                "page {page}"
            );
        }
    }
}

#[test]
fn trap_13_old_trees_share_chains_and_every_page_of_a_chain_has_a_count() {
    for (name, file) in real_files("-btree-") {
        for page in file.pages_of(&[OVERFLOW]) {
            let (count, is_first) = (file.entries(page), file.u32(page, 12) == 0);
            assert!(count == 1 || is_first && count > 1, "{name}, page {page}");
        }
        let reader = BtreeReader::new(Store::from_bytes(file.bytes)).unwrap();
        let pairs = reader.iter().unwrap().map(|pair| pair.unwrap());
        let listed: BTreeMap<_, _> = pairs
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        assert!(listed == real_pairs(), "{name}");
    }
    // None of these has two references to a chain; as if a separator were the second.
    let mut model = numbered(0..30);
    model.insert(vec![b'k'; 400], b"value".to_vec());
    let mut tree = btree_file(&model, 512);
    for page in tree.pages_of(&[OVERFLOW]) {
        if tree.u32(page, 12) == 0 {
            tree.page_mut(page)[20] = 2;
        }
    }
    assert_btree_holds(&tree, &model);
    let model = Model::from([(b"key".to_vec(), vec![b'v'; 5000])]);
    for file in [
        hash_file(&model, 512, ByteOrder::Big),
        btree_file(&model, 512),
    ] {
        let pages = file.pages_of(&[OVERFLOW]);
        assert!(pages.len() > 10 && pages.iter().all(|page| file.entries(*page) == 1));
    }
}

#[test]
fn trap_14_the_root_is_page_1_and_the_first_key_of_an_internal_page_says_nothing() {
    const ROOT: usize = 88;
    let mut model = numbered(0..300);
    model.extend((0..20).map(|i| (vec![b'a' + i; 200], b"long".to_vec())));
    let mut file = btree_file(&model, 512);
    assert_eq!(file.meta(ROOT), 1);
    assert_eq!(file.kind(1), BTREE_INTERNAL);
    assert_btree_holds(&file, &model);
    let mut other = file.clone();
    other.set_meta(ROOT, 2);
    assert!(BtreeReader::new(Store::from_bytes(other.bytes)).is_err());

    // Whatever is said about the first key: the bytes of another item, or a chain elsewhere.
    for (len, kind) in [(12u16, 3u8), (400, 1)] {
        for page in file.pages_of(&[BTREE_INTERNAL]) {
            let offset = file.offsets(page)[0];
            let room = file.page_size - offset;
            if usize::from(len) + 12 <= room {
                let item = &mut file.page_mut(page)[offset..offset + 3];
                item[..2].copy_from_slice(&len.to_le_bytes());
                item[2] = kind;
            }
        }
        let reader = BtreeReader::new(Store::from_bytes(&*file.bytes)).unwrap();
        for (key, value) in &model {
            assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
        }
    }
}

#[test]
fn trap_17_after_every_write_the_file_is_as_long_as_its_meta_page_says() {
    let mut model = numbered(0..100);
    model.insert(b"last\0".to_vec(), vec![b'v'; 3000]);
    for order in ORDERS {
        let file = hash_file(&model, 512, order);
        assert_eq!(file.kind(file.page_count() - 1), OVERFLOW);
        let mut update = HashUpdater::new(Store::from_bytes(&*file.bytes)).unwrap();
        assert!(update.delete(b"last\0").unwrap());
        for (key, value) in numbered(200..300) {
            update.put(&key, &value, OnExisting::Keep).unwrap();
        }
        let mut recorder = Recorder::new(file.bytes.clone());
        update.commit(&mut recorder).unwrap();
        for (at, state) in recorder.states.into_iter().enumerate() {
            let state = Raw::new(state);
            let said = state.meta(LAST_PAGE) as usize + 1;
            assert!(said <= state.page_count(), "after write {at}");
        }
        let done = Raw::new(recorder.file);
        assert_eq!(done.meta(LAST_PAGE) as usize + 1, done.page_count());
    }
}

#[test]
fn trap_18_checksums_move_what_follows_the_header_and_are_kept_up() {
    const NAME: &str = "bdb/libdb-5.3-hash-checksum-4096-le.db";
    let file = Raw::new(fixtures::read(NAME));
    assert_eq!(file.header_len, 32);
    assert_sums(&file);
    let model = real_pairs();
    assert_holds::<HashUpdater>(&file.bytes, &model);

    let mut after = model.clone();
    let deletes: Vec<Vec<u8>> = model.keys().step_by(7).cloned().collect();
    deletes.iter().for_each(|key| drop(after.remove(key)));
    let mut puts = numbered(0..300);
    puts.insert(vec![b'k'; 3000], vec![b'v'; 10_000]);
    after.extend(puts.clone());
    let updated = update(&file, &puts, &deletes);
    assert!(
        updated.meta(MAX_BUCKET) > file.meta(MAX_BUCKET),
        "nothing was split"
    );
    assert_sums(&updated);
    assert_holds::<HashUpdater>(&updated.bytes, &after);

    // A wrong sum is an error, on the meta page and on any other.
    for at in [200, 4096 + 3000] {
        let mut damaged = file.bytes.clone();
        damaged[at] ^= 1;
        let sum_is_checked = HashReader::new(Store::from_bytes(damaged))
            .and_then(|reader| reader.iter()?.collect::<Result<Vec<_>, _>>().map(drop));
        let error = sum_is_checked.unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
    }
}

#[track_caller]
fn assert_sums(file: &Raw) {
    let stored = file.meta(META_CHECKSUM);
    assert_eq!(checksum(&file.page(0)[..512], META_CHECKSUM), stored);
    for page in 1..file.page_count() {
        let bytes = file.page(page);
        if bytes.iter().any(|&byte| byte != 0) {
            assert_eq!(
                checksum(bytes, 28) as usize,
                file.u32(page, 28),
                "page {page}"
            );
        }
    }
}

#[test]
fn trap_20_our_free_pages_keep_nothing_of_what_was_deleted() {
    let mut model = numbered(0..200);
    let secret = |i: usize| format!("secret{i}@example.com\0").into_bytes();
    let password = |i: usize| format!("hunter{}", "2".repeat(i)).into_bytes();
    model.extend((0..40).map(|i| (secret(i), password(i * 40))));
    // Of NULs, so that they fill a chain of their own.
    let chain = |i: usize| vec![0; i + 1];
    model.extend((0..40).map(|i| (chain(i), password(60))));
    for order in ORDERS {
        let file = hash_file(&model, 512, order);
        let deletes: Vec<Vec<u8>> = (0..40).flat_map(|i| [secret(i), chain(i)]).collect();
        let after = update(&file, &Model::new(), &deletes);
        assert_holds::<HashUpdater>(&after.bytes, &numbered(0..200));
        let free = after.pages_of(&[FREE_PAGE]);
        assert!(free.len() > 10 && after.meta(FREE) != 0);
        for page in free {
            assert!(
                after.page(page)[26..].iter().all(|&byte| byte == 0),
                "page {page}"
            );
        }
        assert!(file.contains(b"hunter") && !after.contains(b"hunter"));
        assert!(!after.contains(b"secret"));
    }
}
