//! The bytes of whole files.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::lmdb::layout::{DataVersion, PageSize};
use crate::wire::ByteOrder;

fn entries<K: AsRef<[u8]>, V: AsRef<[u8]>>(list: impl IntoIterator<Item = (K, V)>) -> Entries {
    let mut entries = Entries::new();
    for (key, value) in list {
        entries.insert(key.as_ref(), value.as_ref()).unwrap();
    }
    entries
}

fn build(layout: Layout, entries: &Entries) -> Vec<u8> {
    let mut file = Vec::new();
    let builder = LmdbBuilder::new().layout(layout);
    let len = builder.build(entries, &mut file).unwrap();
    assert_eq!(len, file.len() as u64);
    file
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keys and values of all lengths that matter, from the digests of numbers.
fn mixed() -> Entries {
    const KEY_LENS: [usize; 7] = [1, 2, 10, 100, 300, 505, 511];
    const VALUE_LENS: [usize; 16] = [
        0, 1, 5, 100, 1000, 1500, 2000, 2030, 2031, 2038, 4078, 4080, 4081, 8172, 8176, 20000,
    ];
    entries((0..3000u32).map(|i| {
        let digest = Sha256::digest(i.to_string());
        let key_len = KEY_LENS[usize::from(digest[0]) % 7];
        let value_len = VALUE_LENS[usize::from(digest[1]) % 16];
        let key: Vec<u8> = digest.iter().copied().cycle().take(key_len).collect();
        (key, vec![i.to_le_bytes()[0]; value_len])
    }))
}

fn many() -> Entries {
    entries((0..200_000).map(|i| {
        (
            format!("user{i:07}@example.com\0"),
            format!("dest{i}@example.net\0"),
        )
    }))
}

fn long_keys(count: u32, value: &str) -> Entries {
    entries((0..count).map(|i| (format!("{i:06}{}", "k".repeat(505)), value)))
}

/// Digests of files that LMDB 0.9 and 1.0 were seen to read, copy, compact and update.
#[test]
fn canonical_files_byte_for_byte() {
    type Made = fn() -> Entries;
    let vectors: [(&str, Made, u64, &str, u64, &str); 10] = [
        (
            "none",
            Entries::new,
            8192,
            "c20aa67a9794f9b954bde551550d8ce2d50fbc223a3524217a5d9d2b21da4b76",
            8192,
            "492ae0da3603c70b9afdf402202e48d016bc5dadc388a9856da1658607f4a5d9",
        ),
        (
            "one",
            || entries([("k\0", "v\0")]),
            12288,
            "5cdb45f06287699ffe85354a4deca041b576f0fb1703684b764ae1aea62e5a91",
            12288,
            "4dd0a412dd19de272e9f2be9878906dd098cd19e299663565e518f777af70aa6",
        ),
        (
            "one, empty value",
            || entries([("k", "")]),
            12288,
            "a13a468fa13a4a2a4e0ca391a818c0a92b678cd87a84ef13f537e229079a2d3e",
            12288,
            "5612d6895347fb021fc54d852e72f4decac495ab76882d2ba8d405ee226ac473",
        ),
        (
            "two",
            || entries([("a\0", "1\0"), ("b\0", "2\0")]),
            12288,
            "184c1d6902f5ba3a3d3d3bf973e9c5d8cdbf0582615fc43c2550b3c4f221ffdd",
            12288,
            "5579947d220ee9cf64c9570677f431cbc4ab21e85add9895a6d4b64a6be4060b",
        ),
        (
            "a last branch page with one child",
            || long_keys(17, &"v".repeat(1500)),
            57344,
            "a8ff483003d57ff6f07ae5abcc50ccc266f1cc5a6def8fe9dff8287851109336",
            57344,
            "1a2a44abed538e6df642815ace84b5b27276bb4e0cfdff8e169a742c3a3fef8d",
        ),
        (
            "100",
            || entries((0..100).map(|i| (format!("{i:03}\0"), format!("{}\0", "x".repeat(7 * i))))),
            53248,
            "9a2b6af9eac08b0a13fbeb52665a8fa81c7553a5a57d2879ed55827b746bd8eb",
            53248,
            "dc4e7fdd75a00729106e24e47952f9e561bb67454facc4daf28f24ff192845aa",
        ),
        (
            "10000",
            || entries((0..10_000).map(|i| (format!("key{i:08}\0"), format!("value {i}\0")))),
            352_256,
            "8e6b74f3d7fcf667b4e8f6b0935622c32d5d6ee8d5be86209a9989aa2581646d",
            356_352,
            "9ad60b4afc53d246e82ceee6634bde46b5b68bc4c8c68648c4b6951029bca3f2",
        ),
        (
            "20000 long keys, five levels",
            || long_keys(20_000, "v"),
            13_393_920,
            "b9d9f8e8d327b56b958ec1eb72047aad1f891391087e6ed33d2fc5697476a54d",
            13_393_920,
            "a9320478fd4d42e786d1de75e77dee6cfcca441bd6c9a62a2d910e7845b9d9aa",
        ),
        (
            "long values",
            || entries((0..20u8).map(|i| (format!("v{i:02}"), vec![i; 200_000]))),
            4_026_368,
            "0ea24e429403be77d11ae4ddc9e1c6b472ba5b8bc68abf860da4efc69183b300",
            4_026_368,
            "2acc2c618a5ba878435ba4aa9952a3554433d15145672de08215abbed0ab23f7",
        ),
        (
            "200000",
            many,
            11_649_024,
            "2d8a7a7af7b5b9f70032c287f39362ea7fd356c6b5a7326ebe319d0a602b5a98",
            11_649_024,
            "e3c64c312dcd983f3781ff8795f3e6f51eac4d3a61982e788a3b252ce91d9716",
        ),
    ];
    for (name, made, v1_len, v1, v3_len, v3) in vectors {
        let entries = made();
        for (layout, len, digest) in [(Layout::V1, v1_len, v1), (Layout::V3, v3_len, v3)] {
            let file = build(layout, &entries);
            let version = layout.version;
            assert_eq!(file.len() as u64, len, "{name}, {version:?}");
            assert_eq!(hex(&Sha256::digest(&file)), digest, "{name}, {version:?}");
        }
    }
}

#[test]
fn entries_of_all_sizes_byte_for_byte() {
    let entries = mixed();
    assert_eq!(entries.len(), 2579);
    for (layout, digest) in [
        (
            Layout::V1,
            "92168943cc5be118b8f1d3590742921dca0f640481ae0e5db3dc0538e461bea5",
        ),
        (
            Layout::V3,
            "3eeba48416b7e3f46915ec8c0e1587419bd2ad6cada2ab99ef0d51827dfb098b",
        ),
    ] {
        assert_eq!(hex(&Sha256::digest(build(layout, &entries))), digest);
    }
}

/// The parts of the smallest file of the original's `postmap` that are not zero.
#[test]
fn two_entries_are_what_postmap_writes() {
    let file = build(Layout::V1, &entries([("b\0", "2\0"), ("a\0", "1\0")]));
    for (offset, bytes) in [
        (0x1088, "0200000000000000 0100000000000000"),
        (0x2000, "0200000000000000 0000 0200 1400 e80f f40f e80f"),
        (0x2fe8, "02000000 0000 0200 6200 3200"),
        (0x2ff4, "02000000 0000 0200 6100 3100"),
    ] {
        let bytes = bytes.replace(' ', "");
        let found = &file[offset..offset + bytes.len() / 2];
        assert_eq!(hex(found), bytes, "{offset:#x}");
    }
}

/// Reads a file the plain way: entries below a page, least first.
fn walk(
    file: &[u8],
    layout: &Layout,
    page: u64,
    depth: u16,
    found: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) {
    let len = layout.page_size.bytes();
    let at = usize::try_from(page).unwrap() * len;
    let page = &file[at..at + len];
    let (order, base) = (layout.order, layout.base());
    let end = usize::from(order.u16(page, layout.lower_offset()).unwrap()) + base;
    for place in (layout.header_len()..end).step_by(2) {
        let node = &page[usize::from(order.u16(page, place).unwrap()) + base..];
        let first = order.u32(node, 0).unwrap();
        let flags = order.u16(node, 4).unwrap();
        let key_len = usize::from(order.u16(node, 6).unwrap());
        if depth > 1 {
            walk(file, layout, u64::from(first), depth - 1, found);
            continue;
        }
        let key = node[8..8 + key_len].to_vec();
        let value = &node[8 + layout.stored_key_len(key_len)..];
        let value = if flags == NODE_OVERFLOW {
            let run = usize::try_from(layout.word(value, 0).unwrap()).unwrap();
            &file[run * len + layout.header_len()..]
        } else {
            value
        };
        let value = value[..usize::try_from(first).unwrap()].to_vec();
        if let Some((last, _)) = found.last_key_value() {
            assert!(*last < key);
        }
        found.insert(key, value);
    }
}

#[test]
fn every_layout_holds_every_entry() {
    let entries = mixed();
    let expect: BTreeMap<Vec<u8>, Vec<u8>> = entries
        .iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    for version in [DataVersion::V1, DataVersion::V3] {
        for width in [WordWidth::Four, WordWidth::Eight] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                for size in [4096, 16384, 32768, 65536] {
                    let Some(page_size) = PageSize::new(size, version) else {
                        continue;
                    };
                    let layout = Layout {
                        version,
                        width,
                        order,
                        page_size,
                    };
                    let file = build(layout, &entries);
                    assert_eq!(Layout::recognise(&file).unwrap(), layout);
                    let meta = &file[page_size.bytes()..];
                    let meta = Meta::parse(&layout, PageNo(1), meta).unwrap();
                    let root = meta.main.root.unwrap();
                    let mut found = BTreeMap::new();
                    walk(&file, &layout, root.0, meta.main.depth, &mut found);
                    assert!(found == expect, "{layout:?}");
                    assert!(meta.map_size >= file.len() as u64);
                }
            }
        }
    }
}

#[test]
fn keys_that_do_not_fit_are_refused_before_anything_is_written() {
    for (layout, max) in [(Layout::V1, 511), (Layout::V3, 1978)] {
        let mut entries = entries([("a".repeat(max), "")]);
        assert_eq!(build(layout, &entries).len(), 3 * 4096);
        entries.insert("b".repeat(max + 1).as_bytes(), b"").unwrap();
        let mut file = Vec::new();
        let builder = LmdbBuilder::new().layout(layout);
        let error = builder.build(&entries, &mut file).unwrap_err();
        let text = format!("key of {} bytes is too long, the most is {max}", max + 1);
        assert_eq!(error.to_string(), text);
        assert!(file.is_empty());
    }
    let mut file = Vec::new();
    let empty = entries([("", "x")]);
    let error = LmdbBuilder::new().build(&empty, &mut file).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::EmptyKey);
    assert!(file.is_empty());
}

#[test]
fn the_map_grows_until_the_file_fits() {
    let entries = long_keys(200, &"v".repeat(3000));
    let mut file = Vec::new();
    let builder = LmdbBuilder::new().layout(Layout::V1).map_size(10_000);
    let len = builder.build(&entries, &mut file).unwrap();
    let meta = Meta::parse(&Layout::V1, PageNo(0), &file).unwrap();
    assert!(meta.map_size >= len && meta.map_size / 2 < len);
    assert_eq!(meta.map_size % 10_000, 0);
}
