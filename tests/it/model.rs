//! Files that were built hold exactly what they were built from, whatever that was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rpostmap::bdb::PageSize;
use rpostmap::bdb::hash::{HashBuilder, HashReader};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

/// The field `last_pgno` of the meta page.
const LAST_PAGE_OFFSET: usize = 32;

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// `len` bytes that differ from each other and from those of another `seed`.
fn long(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        // Prefixes of each other, the empty key, keys of NULs only (which all hash to 0).
        8 => prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0)], 0..6),
        4 => prop::collection::vec(any::<u8>(), 0..40),
        // Off-page keys and on-page keys that are prefixes of them, on small pages and on large.
        2 => (0..3u8, 100..300usize).prop_map(|(seed, len)| long(seed, len)),
        1 => (0..3u8, prop_oneof![Just(1024), Just(1025), Just(4097), Just(16385), Just(20_000)])
            .prop_map(|(seed, len)| long(seed, len)),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => prop::collection::vec(any::<u8>(), 0..50),
        3 => (any::<u8>(), 0..2000usize).prop_map(|(seed, len)| long(seed, len)),
        1 => (any::<u8>(), 2000..200_000usize).prop_map(|(seed, len)| long(seed, len)),
    ]
}

fn builder() -> impl Strategy<Value = (u32, ByteOrder)> {
    let order = prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)];
    ((9..=16u32).prop_map(|log2| 1 << log2), order)
}

fn entries<'p>(pairs: impl IntoIterator<Item = (&'p Vec<u8>, &'p Vec<u8>)>) -> Entries {
    let mut entries = Entries::new();
    for (key, value) in pairs {
        entries.insert(key, value).unwrap();
    }
    entries
}

fn build((page_size, order): (u32, ByteOrder), entries: &Entries) -> Vec<u8> {
    let mut file = Vec::new();
    let size = PageSize::new(page_size).unwrap();
    let builder = HashBuilder::new().page_size(size).byte_order(order);
    let len = builder.build(entries, &mut file).unwrap();
    assert_eq!(len, file.len() as u64);
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_was_built_is_what_is_read(
        settings in builder(),
        pairs in prop::collection::btree_map(key(), value(), 0..60),
        others in prop::collection::vec(key(), 10),
    ) {
        let pairs: Pairs = pairs;
        let file = build(settings, &entries(&pairs));
        prop_assert_eq!(file.len() % settings.0 as usize, 0);
        let last_page = settings.1.u32(&file, LAST_PAGE_OFFSET).unwrap();
        prop_assert_eq!((last_page as usize + 1) * settings.0 as usize, file.len());

        // The order in which entries come does not show.
        let again = build(settings, &entries(pairs.iter().rev()));
        prop_assert!(file == again, "another order gives another file");

        let reader = HashReader::new(Store::from_bytes(file)).unwrap();
        prop_assert_eq!(reader.meta().element_count as usize, pairs.len());
        for key in pairs.keys().chain(&others) {
            let value = reader.get(key).unwrap();
            let expect = pairs.get(key).map(Vec::as_slice);
            prop_assert!(value.as_deref() == expect, "{}", key.escape_ascii());
        }
        let mut listed = Pairs::new();
        for pair in reader.iter().unwrap() {
            let (key, value) = pair.unwrap();
            let twice = listed.insert(key.into_owned(), value.into_owned()).is_some();
            prop_assert!(!twice, "a key is listed twice");
        }
        prop_assert!(listed == pairs, "the listing differs");
    }
}

#[test]
fn many_entries_are_found_at_every_page_size() {
    let pairs: Pairs = (0..5000)
        .map(|n| {
            (
                format!("user{n}@example.com\0").into(),
                format!("box {n}\0").into(),
            )
        })
        .collect();
    let entries = entries(&pairs);
    for log2 in 9..=16 {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let file = build((1 << log2, order), &entries);
            let reader = HashReader::new(Store::from_bytes(file)).unwrap();
            for n in 0..5000 {
                let key = format!("user{n}@example.com\0");
                let value = reader.get(key.as_bytes()).unwrap();
                assert_eq!(
                    value.as_deref(),
                    pairs.get(key.as_bytes()).map(Vec::as_slice)
                );
                let absent = reader.get(format!("user{n}@example.org\0").as_bytes());
                assert_eq!(absent.unwrap(), None);
            }
            assert_eq!(reader.iter().unwrap().count(), 5000, "{log2} {order:?}");
        }
    }
}

#[test]
fn the_file_in_the_documentation_is_the_one_that_is_built() {
    let text = include_str!("../../docs/format-bdb.md");
    let mut documented = vec![0; 3 * 512];
    for line in text.lines() {
        // `OFFSET: eight groups of two bytes   comment`, as xxd prints.
        let Some((offset, row)) = line.split_once(": ") else {
            continue;
        };
        if offset.len() != 8 {
            continue;
        }
        let Ok(offset) = usize::from_str_radix(offset, 16) else {
            continue;
        };
        for (at, group) in row.split(' ').take(8).enumerate() {
            let bytes = u16::from_str_radix(group, 16).unwrap().to_be_bytes();
            documented[offset + 2 * at..][..2].copy_from_slice(&bytes);
        }
    }
    let mut two = Entries::new();
    two.insert(b"alpha\0", b"one\0").unwrap();
    two.insert(b"beta\0", b"two\0").unwrap();
    let built = build((512, ByteOrder::Little), &two);
    for (page, (documented, built)) in documented.chunks(512).zip(built.chunks(512)).enumerate() {
        assert_eq!(documented, built, "page {page}");
    }
}
