use sha2::{Digest, Sha256};

use super::*;

fn entries<K: AsRef<[u8]>, V: AsRef<[u8]>>(list: impl IntoIterator<Item = (K, V)>) -> Entries {
    let mut entries = Entries::new();
    for (key, value) in list {
        entries.insert(key.as_ref(), value.as_ref()).unwrap();
    }
    entries
}

fn build(builder: &BtreeBuilder, entries: &Entries) -> Vec<u8> {
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

fn builder(page_size: u32, order: ByteOrder) -> BtreeBuilder {
    BtreeBuilder::new()
        .page_size(PageSize::new(page_size).unwrap())
        .byte_order(order)
        .uid(std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

/// Digests of files that Berkeley DB 5.3 was seen to read, update and verify.
#[test]
fn canonical_files_byte_for_byte() {
    use ByteOrder::{Big, Little};
    for (name, entries, page_size, order, len, digest) in [
        (
            "empty",
            Entries::new(),
            4096,
            Little,
            8192,
            "b91bfa4f9f1b7b6d2ca0e5bd1bbef55f85183993d9e37ac1f408b12c2020187b",
        ),
        (
            "two",
            two(),
            512,
            Little,
            1024,
            "e85672cb62c1f329a568aa7c1abbad4e1b418aecb89c1a37c2dffcd4eb986a20",
        ),
        (
            "two",
            two(),
            512,
            Big,
            1024,
            "f7e3db098503a9d29c7c7db0f6784af76cbac71e830ba3a36ab48930ce6aba9c",
        ),
        (
            "off-page",
            with_off_page_items(),
            512,
            Little,
            3072,
            "9b65279c9d8563c501dca7a63c270121ad28cbeebdfbed1bb2693400a08e079a",
        ),
        (
            "many",
            many(),
            512,
            Little,
            37376,
            "9ad467bdeedd6f0eac3a69407f213fd773c78741779ce2d35513252322a3d06d",
        ),
        (
            "many",
            many(),
            4096,
            Little,
            40960,
            "5dc86f2dec819db4581857f10a229148ab45bf5ddd642d5ec354fcf5d3ff9a2a",
        ),
    ] {
        let file = build(&builder(page_size, order), &entries);
        let case = format!("{name}, {page_size}, {order:?}");
        assert_eq!(file.len(), len, "{case}");
        assert_eq!(format!("{:x}", Sha256::digest(&file)), digest, "{case}");
    }
}

#[test]
fn the_smallest_file_field_by_field() {
    let file = build(&builder(512, ByteOrder::Little), &two());
    let uid: [u8; UID_LEN] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let mut expect = vec![0; 1024];
    for (offset, bytes) in [
        (4, &b"\x01"[..]),
        (12, b"\x62\x31\x05\0"), // magic
        (16, b"\x09"),           // version
        (20, b"\0\x02\0\0"),     // page size
        (25, b"\x09"),           // btree meta
        (32, b"\x01"),           // last page
        (52, &uid),
        (76, b"\x02"),                    // least number of keys
        (84, b"\x20"),                    // padding of records
        (88, b"\x01"),                    // root
        (512, b"\0\0\0\0\x01\0\0\0\x01"), // page 1
        (
            532,
            b"\x04\0\xdc\x01\x01\x05\xf4\x01\xec\x01\xe4\x01\xdc\x01",
        ),
        (988, b"\x04\0\x01two\0\0\x05\0\x01beta\0"),
        (1004, b"\x04\0\x01one\0\0\x06\0\x01alpha\0\0\0\0"),
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
    let forward = build(&BtreeBuilder::new(), &entries(reversed.clone()));
    reversed.reverse();
    assert!(forward == build(&BtreeBuilder::new(), &entries(reversed)));
}

#[test]
fn a_separator_is_as_short_as_it_can_be() {
    for (left, right, expect) in [
        ("a", "b", "b"),
        ("abc", "abd9", "abd"),
        ("ab", "abc", "abc"),
        ("ab", "abcdef", "abc"),
        ("", "x", "x"),
    ] {
        let got = separator(left.as_bytes(), right.as_bytes());
        assert_eq!(got, expect.as_bytes(), "{left} {right}");
    }
}
