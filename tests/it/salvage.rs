//! What can be got out of damaged files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use rpostmap::bdb::PageSize;
use rpostmap::bdb::btree::BtreeBuilder;
use rpostmap::bdb::hash::HashBuilder;
use rpostmap::bdb::salvage::{Options, Salvage, salvage};
use rpostmap::bdb::verify::verify;
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;

use crate::common::package_file;
use crate::formats::real_pairs;
use crate::salvage_laws::any_bytes_as_damaged_file;

fn found(file: &[u8]) -> Salvage {
    salvage(&Store::from_bytes(file), Options::default()).expect("salvage")
}

/// `key TAB value LF` lines, sorted.
fn lines(salvage: &Salvage) -> Vec<Vec<u8>> {
    let pairs = salvage.pairs.iter();
    let mut lines: Vec<_> = pairs
        .map(|pair| [&pair.key, &b"\t"[..], &pair.value, b"\n"].concat())
        .collect();
    lines.sort_unstable();
    lines
}

fn real_lines() -> Vec<Vec<u8>> {
    let mut lines = real_pairs();
    lines.sort_unstable();
    lines
}

fn fixtures() -> Vec<PathBuf> {
    let dir = fs::read_dir(package_file("tests/data/bdb")).expect("tests/data/bdb");
    let paths = dir.map(|entry| entry.expect("entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "db"))
        .collect()
}

#[test]
fn salvage_of_an_intact_file_is_what_it_holds() {
    for path in fixtures() {
        let salvage = found(&fs::read(&path).expect("fixture"));
        let name = path.display();
        assert!(!salvage.guessed, "{name}");
        assert!(lines(&salvage) == real_lines(), "{name}");
        assert_eq!(salvage.skipped, [], "{name}");
        assert_eq!(salvage.conflicts, [], "{name}");
        assert_eq!(salvage.orphans, [], "{name}");
    }
}

#[test]
fn a_file_without_its_meta_page_gives_all_it_holds() {
    for path in fixtures() {
        for garbage in [0, 0xff] {
            let mut file = fs::read(&path).expect("fixture");
            file[..512].fill(garbage);
            let salvage = found(&file);
            let name = path.display();
            assert!(salvage.guessed, "{name}");
            assert!(lines(&salvage) == real_lines(), "{name}: {salvage:?}");
        }
    }
}

#[test]
fn a_wrong_page_size_on_the_meta_page_is_noticed() {
    let mut file = fs::read(package_file("tests/data/bdb/libdb-5.3-hash-4096-le.db")).unwrap();
    for size in [512u32, 1024, 65536, 5] {
        file[20..24].copy_from_slice(&size.to_le_bytes());
        let salvage = found(&file);
        assert_eq!(salvage.format.size.bytes(), 4096, "{size}");
        assert!(lines(&salvage) == real_lines(), "{size}");
    }
}

/// The offsets of pages of a type, in a file with pages of 512 bytes.
fn pages_of_type(file: &[u8], kind: u8) -> Vec<usize> {
    let offsets = (512..file.len()).step_by(512);
    offsets
        .filter(|&offset| file[offset + 25] == kind)
        .collect()
}

fn built(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in pairs {
        entries.insert(key.as_bytes(), value).unwrap();
    }
    let mut file = Vec::new();
    let size = PageSize::new(512).unwrap();
    HashBuilder::new()
        .page_size(size)
        .build(&entries, &mut file)
        .unwrap();
    file
}

#[test]
fn a_key_whose_value_is_gone_is_named_and_the_rest_of_the_chain_listed() {
    let mut file = built(&[("long", &[b'v'; 1400]), ("short", b"s")]);
    let overflow = pages_of_type(&file, 7);
    assert_eq!(overflow.len(), 3);
    file[overflow[1]..][..512].fill(0);
    let salvage = found(&file);
    assert_eq!(salvage.pairs.len(), 1);
    assert_eq!(salvage.pairs[0].key, b"short");
    assert_eq!(salvage.skipped[0].key.as_deref(), Some(&b"long"[..]));
    let orphans: Vec<u64> = salvage.orphans.iter().map(|orphan| orphan.len).collect();
    // The first part is known to belong to the key.
    assert_eq!(orphans, [1400 - 2 * 486]);
}

#[test]
fn deleted_pairs_come_only_when_asked_for() {
    let mut file = built(&[("gone", b"secret"), ("gone too", b"secret")]);
    for offset in pages_of_type(&file, 13) {
        // As Berkeley DB frees a page: type and count of entries change, the rest stays.
        file[offset + 25] = 0;
        file[offset + 20..offset + 22].fill(0);
    }
    // Without a single page in use there is nothing to tell the page size by but the meta page.
    let none = salvage(&Store::from_bytes(file.clone()), Options::default());
    assert!(none.is_err() || none.unwrap().pairs.is_empty());

    let mut file = built(&[("gone", b"secret"), ("here", &[b'v'; 200])]);
    let page = (512..file.len()).step_by(512).find(|&offset| {
        file[offset..][..512]
            .windows(4)
            .any(|bytes| bytes == b"gone")
    });
    let page = page.unwrap();
    file[page + 25] = 0;
    file[page + 20..page + 22].fill(0);
    let store = Store::from_bytes(file);
    let live = salvage(&store, Options::default()).unwrap();
    assert!(live.pairs.iter().all(|pair| pair.key != b"gone"));
    let all = salvage(&store, Options::default().deleted(true)).unwrap();
    let gone = all.pairs.iter().find(|pair| pair.key == b"gone").unwrap();
    assert!(gone.deleted && gone.value == b"secret");
}

fn entries(count: usize) -> Entries {
    let mut entries = Entries::new();
    for at in 0..count {
        let (key, value) = (format!("user{at:04}"), format!("mailbox{at:04}"));
        entries.insert(key.as_bytes(), value.as_bytes()).unwrap();
    }
    entries
}

fn btree(entries: &Entries) -> Vec<u8> {
    let mut file = Vec::new();
    BtreeBuilder::new()
        .page_size(PageSize::new(512).unwrap())
        .build(entries, &mut file)
        .unwrap();
    file
}

#[test]
fn pairs_of_a_freed_leaf_are_told_from_what_old_index_entries_make_up() {
    let mut file = btree(&entries(100));
    let leaf = pages_of_type(&file, 5)[1];
    let index = |slot: usize| leaf + 26 + 2 * slot;
    let on_leaf: Vec<String> = found(&file)
        .pairs
        .iter()
        .filter(|pair| pair.page.0 as usize * 512 == leaf)
        .map(|pair| String::from_utf8(pair.key.clone()).unwrap())
        .collect();
    assert!(on_leaf.len() > 9);
    file[leaf + 25] = 0;
    file[leaf + 20..leaf + 22].fill(0);
    let mut put = |slot: usize, offset: [u8; 2]| file[index(slot)..][..2].copy_from_slice(&offset);
    let of = |file: &[u8], slot: usize| -> [u8; 2] { file[index(slot)..][..2].try_into().unwrap() };
    let intact = btree(&entries(100));
    // Pair 1 as pair 0; a key as its own value; the value of another pair; into an item.
    put(2, of(&intact, 0));
    put(3, of(&intact, 1));
    put(5, of(&intact, 4));
    put(7, of(&intact, 9));
    put(10, (u16::from_le_bytes(of(&intact, 10)) + 4).to_le_bytes());
    let options = Options::default().deleted(true);
    let deleted: Vec<(String, String)> = salvage(&Store::from_bytes(file), options)
        .unwrap()
        .pairs
        .iter()
        .filter(|pair| pair.deleted)
        .map(|pair| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(&pair.key), text(&pair.value))
        })
        .collect();
    let expect: Vec<(String, String)> = on_leaf
        .iter()
        .enumerate()
        .filter(|(at, _)| ![1, 2, 3, 5].contains(at))
        .map(|(_, key)| (key.clone(), key.replace("user", "mailbox")))
        .collect();
    assert_eq!(deleted, expect);
}

#[test]
fn pages_that_are_gone_are_told() {
    let mut hash = Vec::new();
    let size = PageSize::new(512).unwrap();
    let builder = HashBuilder::new().page_size(size);
    builder.build(&entries(300), &mut hash).unwrap();
    for file in [hash, btree(&entries(300))] {
        let count = u32::try_from(file.len() / 512).unwrap();
        let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = file.clone();
            change(&mut file);
            let salvage = found(&file);
            assert!(!salvage.guessed && salvage.pairs.len() < 300);
            let skipped = salvage.skipped.into_iter();
            let told: Vec<(u32, String)> = skipped.map(|it| (it.page.0, it.what)).collect();
            told
        };
        let said = |page: u32, what: &str| (page, what.to_string());
        let cut = format!(
            "missing, as all pages up to {}: the file ends before them",
            count - 1
        );
        for (len, expect) in [
            ((count - 3) * 512, vec![said(count - 3, &cut)]),
            ((count - 1) * 512, vec![said(count - 1, &cut)]),
            (
                (count - 3) * 512 + 100,
                vec![
                    said(count - 3, "only 100 bytes of the page are there"),
                    said(count - 3, &cut),
                ],
            ),
        ] {
            assert_eq!(damaged(&|file| file.truncate(len as usize)), expect);
        }
        let page = 3 * 512;
        // An unknown type; another page's number; the header gone.
        let told = damaged(&|file| file[page + 25] = 99);
        assert_eq!(told, [said(3, "page has type 99, which no table has")]);
        let told = damaged(&|file| file[page + 8] = 77);
        let kind = file[page + 25];
        let what = format!("page of type {kind} carries the number 77");
        assert_eq!(told, [said(3, &what)]);
        let told = damaged(&|file| file[page..page + 26].fill(0));
        assert_eq!(told, [said(3, "page of type 0 carries the number 0")]);
    }
}

#[test]
fn of_two_places_the_bucket_of_the_key_wins_and_the_conflict_is_told() {
    let pairs: Vec<(String, String)> = (0..60)
        .map(|at| (format!("key{at}"), format!("value{at}")))
        .collect();
    let pairs: Vec<(&str, &[u8])> = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_bytes()))
        .collect();
    let file = built(&pairs);
    let intact = found(&file);
    let buckets = pages_of_type(&file, 13);
    // The content of one bucket's page over that of another, with other values.
    for (from, to) in [(0, 1), (1, 0)] {
        let mut file = file.clone();
        let mut copy = file[buckets[from]..][..512].to_vec();
        let value = copy.windows(5).position(|bytes| bytes == b"value").unwrap();
        copy[value] = b'V';
        copy[8..20].copy_from_slice(&file[buckets[to] + 8..][..12]);
        file[buckets[to]..][..512].copy_from_slice(&copy);
        let salvage = found(&file);
        assert!(
            salvage
                .pairs
                .iter()
                .all(|pair| !pair.value.starts_with(b"V"))
        );
        assert_eq!(salvage.conflicts.len(), 1, "{:?}", salvage.conflicts);
        assert!(salvage.pairs.len() < intact.pairs.len());
        assert!(!verify(&Store::from_bytes(file)).unwrap().is_clean());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happened to some bytes behind the meta page: at most the pairs on those pages, and
    /// those whose chains go through them, differ.
    #[test]
    fn damage_costs_no_more_than_the_pages_it_hits(
        fixture in prop::sample::select(fixtures()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = fs::read(fixture).unwrap();
        let intact = found(&file);
        let size = intact.format.size.bytes();
        let hit: Vec<usize> = damage
            .iter()
            .map(|(at, byte)| {
                let at = at.index(file.len());
                file[at] = *byte;
                at / size
            })
            .collect();
        let Ok(salvage) = salvage(&Store::from_bytes(file), Options::default()) else {
            // Damage of the meta page can make another kind of file of it.
            prop_assert!(hit.contains(&0));
            return Ok(());
        };
        let by_key: BTreeMap<&[u8], &[u8]> = salvage
            .pairs
            .iter()
            .map(|pair| (&pair.key[..], &pair.value[..]))
            .collect();
        for pair in &intact.pairs {
            let threshold = size / 4 - 20;
            let is_short = pair.key.len() < threshold && pair.value.len() < threshold;
            if is_short && !hit.contains(&0) && !hit.contains(&(pair.page.0 as usize)) {
                prop_assert_eq!(by_key.get(&pair.key[..]), Some(&&pair.value[..]));
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), magic: bool) {
        if magic && bytes.len() > 512 {
            let meta = fs::read(package_file("tests/data/bdb/libdb-5.3-hash-512-le.db")).unwrap();
            bytes[..512].copy_from_slice(&meta[..512]);
        }
        any_bytes_as_damaged_file(&bytes);
    }
}
