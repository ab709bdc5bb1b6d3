use sha2::{Digest, Sha256};

use super::writer::cut_into_pages;
use super::*;
use crate::bdb::hash::HashReader;
use crate::file::store::Store;

fn entries<K: AsRef<[u8]>, V: AsRef<[u8]>>(list: impl IntoIterator<Item = (K, V)>) -> Entries {
    let mut entries = Entries::new();
    for (key, value) in list {
        entries.insert(key.as_ref(), value.as_ref()).unwrap();
    }
    entries
}

fn build(builder: HashBuilder, entries: &Entries) -> Vec<u8> {
    let mut file = Vec::new();
    let len = builder.build(entries, &mut file).unwrap();
    assert_eq!(len, file.len() as u64);
    file
}

fn two() -> Entries {
    entries([("alpha\0", "one\0"), ("beta\0", "two\0")])
}

fn with_off_page_items() -> Entries {
    let long_value = [&[b'v'; 1000][..], b"\0"].concat();
    let long_key = [&[b'K'; 200][..], b"\0"].concat();
    entries([
        (&b""[..], &b""[..]),
        (b"a\0", b"1\0"),
        (b"ab\0", b"2\0"),
        (b"k\0", &long_value),
        (&long_key, b"x\0"),
    ])
}

fn many() -> Entries {
    entries((0..1000).map(|i| (format!("key{i}\0"), format!("value {}\0", i * i))))
}

/// Digests of files that Berkeley DB 5.3 was seen to read, update and verify.
#[test]
fn canonical_files_byte_for_byte() {
    use ByteOrder::{Big, Little};
    for (name, entries, page_size, order, buckets_log2, len, digest) in [
        (
            "empty",
            Entries::new(),
            4096,
            Little,
            None,
            12288,
            "be97fce515e51880e5042f7525e589fe166fb5f8cc53a14009ecf3009bc257d1",
        ),
        (
            "two",
            two(),
            512,
            Little,
            None,
            1536,
            "a4a58df27f57502da96e5d5957d027b3359c614ccdf337191a3fc412d1de2276",
        ),
        (
            "two",
            two(),
            512,
            Big,
            None,
            1536,
            "46654c90ae0b632b7dfe9ec6f8c90de6a079972ae85c85123e7b761b8541c253",
        ),
        (
            "two",
            two(),
            4096,
            Little,
            None,
            12288,
            "179ed9d14fdfe085c3f9a2fa8d4f7f201f01794371970f58ef6f602acb54129c",
        ),
        (
            "off-page",
            with_off_page_items(),
            512,
            Little,
            None,
            4096,
            "9414f550e5f5bf56de9529439f131c42a9e427c0eab6cbeddaae0238d25148dd",
        ),
        (
            "many",
            many(),
            512,
            Little,
            None,
            34304,
            "821fbd0d8b637d536aa19bf4208bff7402f61b4cc8cee5d7f156643a314fc72e",
        ),
        (
            "many",
            many(),
            512,
            Little,
            Some(7),
            66048,
            "00a4d834d2a8cb4e06e646ddf0af2732ef97336b7da086acb59da3bf0355743d",
        ),
        (
            "many",
            many(),
            4096,
            Little,
            None,
            36864,
            "4f24a85730a2253167e53dad9cb3c53c8c920bb88c2169f2df11b3ca7f7e58df",
        ),
    ] {
        let mut builder = HashBuilder::new()
            .page_size(PageSize::new(page_size).unwrap())
            .byte_order(order)
            .uid(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        if let Some(log2) = buckets_log2 {
            builder = builder.bucket_count_log2(log2);
        }
        let file = build(builder, &entries);
        let case = format!("{name}, {page_size}, {order:?}, {buckets_log2:?}");
        assert_eq!(file.len(), len, "{case}");
        assert_eq!(format!("{:x}", Sha256::digest(&file)), digest, "{case}");
    }
}

#[test]
fn the_smallest_file_field_by_field() {
    let uid = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let size = PageSize::new(512).unwrap();
    let order = ByteOrder::Little;
    let builder = HashBuilder::new()
        .page_size(size)
        .byte_order(order)
        .uid(uid);
    let file = build(builder, &two());
    let mut expect = vec![0; 1536];
    for (offset, bytes) in [
        (4, &b"\x01"[..]),
        (12, b"\x61\x15\x06\0"), // magic
        (16, b"\x09"),           // version
        (20, b"\0\x02\0\0"),     // page size
        (25, b"\x08"),           // hash meta
        (32, b"\x02"),           // last page
        (52, &uid),
        (72, b"\x01\0\0\0\x01\0\0\0\0\0\0\0"), // max_bucket, high_mask, low_mask
        (88, b"\x02"),                         // element counter
        (92, b"\xd1\x8d\x68\x5e"),             // h_charkey
        (96, b"\x01\0\0\0\x01\0\0\0"),         // spares
        (512, b"\0\0\0\0\x01\0\0\0\x01"),      // page 1
        (532, b"\x04\0\xe9\x01\0\x0d\xf9\x01\xf4\x01\xee\x01\xe9\x01"),
        (1001, b"\x01two\0\x01beta\0\x01one\0\x01alpha\0"),
        (1024, b"\0\0\0\0\x01\0\0\0\x02"), // page 2, empty
        (1044, b"\0\0\0\x02\0\x0d"),
    ] {
        expect[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    for (page, (file, expect)) in file.chunks(512).zip(expect.chunks(512)).enumerate() {
        assert_eq!(file, expect, "page {page}");
    }
}

#[test]
fn the_order_of_insertion_does_not_show() {
    let mut reversed: Vec<_> = (0..1000)
        .map(|i| (format!("k{i}"), format!("{i}")))
        .collect();
    let forward = build(HashBuilder::new(), &entries(reversed.clone()));
    reversed.reverse();
    assert!(forward == build(HashBuilder::new(), &entries(reversed)));
}

#[test]
fn different_content_gives_a_different_uid() {
    let uid = |entries: &Entries| {
        let file = build(HashBuilder::new(), entries);
        HashReader::new(Store::from_bytes(file)).unwrap().meta().uid
    };
    assert_ne!(uid(&two()), uid(&many()));
    assert_ne!(uid(&entries([("a", "1")])), uid(&entries([("a", "2")])));
}

#[test]
fn off_page_keys_never_share_a_page_with_on_page_keys() {
    let sizes = PairSizes::new(PageFormat {
        size: PageSize::new(512).unwrap(),
        order: ByteOrder::Little,
        checksum: false,
    });
    let long = [b'c'; 134];
    let mut sorted = [&long[..], b"c", b"ca"].map(|key| Sortable::new(key, b"", sizes));
    sorted.sort_by(Sortable::compare);
    let keys = sorted.map(|entry| (entry.key, entry.value));
    assert_eq!(keys.map(|(key, _)| key.len()), [2, 1, 134]);
    assert_eq!(cut_into_pages(&keys, sizes), [2, 1]);
    assert_eq!(cut_into_pages(&keys[2..], sizes), [1]);
    assert_eq!(cut_into_pages(&[], sizes), [0]);
}

#[test]
fn the_fast_comparison_is_the_comparison() {
    let sizes = PairSizes::new(PageFormat {
        size: PageSize::new(512).unwrap(),
        order: ByteOrder::Little,
        checksum: false,
    });
    let pieces: [&[u8]; 5] = [b"", b"\0", b"a", b"\xff", b"\xff\xff"];
    let mut keys = Vec::new();
    for start in ["", "abcde", "abcdefg", "abcdefgh"] {
        for (x, y) in pieces
            .iter()
            .flat_map(|x| pieces.iter().map(move |y| (x, y)))
        {
            keys.push([start.as_bytes(), x, y].concat());
        }
    }
    for (a, b) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
        let (x, y) = (Sortable::new(a, b"", sizes), Sortable::new(b, b"", sizes));
        assert_eq!(x.compare(&y), compare_on_page(a, b), "{a:?} {b:?}");
    }
}

#[test]
fn keys_that_all_collide_still_make_a_file() {
    // Keys of NULs only all hash to 0.
    let keys: Vec<Vec<u8>> = (0..300).map(|len| vec![0; len]).collect();
    let entries = entries(keys.iter().map(|key| (key, "v")));
    let file = build(
        HashBuilder::new().page_size(PageSize::new(512).unwrap()),
        &entries,
    );
    let reader = HashReader::new(Store::from_bytes(file)).unwrap();
    for key in &keys {
        assert_eq!(
            reader.get(key).unwrap().as_deref(),
            Some(&b"v"[..]),
            "{}",
            key.len()
        );
    }
    assert_eq!(reader.iter().unwrap().count(), 300);
}
