//! Damaged files: an answer is right or it is an error.
//!
//! The strict law holds for damage to the meta page and for files cut short: a key of the table is
//! found with its value or the lookup fails, and a listing is complete or fails. "Not found" for a
//! key of the table would make a mail server bounce mail, or send it the wrong way. The mild law
//! (see [`laws`](crate::laws)) holds for all damage: what lies in keys and values themselves
//! cannot be told from what was meant.

use std::collections::BTreeMap;

use rpostmap::bdb::PageSize;
use rpostmap::bdb::hash::{HashBuilder, HashReader};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::alloc::peak_during;
use crate::fixtures;
use crate::laws::any_bytes_as_hash_file;

/// How many bytes of page 0 mean something.
const META_LEN: usize = 512;
/// The most memory that opening and reading a damaged file may take, beyond the file's length.
const EXTRA_MEMORY_MAX: usize = 64 << 20;

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// A file and what it holds.
struct Sample {
    name: &'static str,
    file: Vec<u8>,
    pairs: Pairs,
}

impl Sample {
    fn fixture(name: &'static str) -> Sample {
        let pairs = fixtures::model("bdb/entries.txt")
            .into_iter()
            .map(|(key, mut values)| (key, values.remove(0)))
            .collect();
        let file = fixtures::read(&format!("bdb/{name}"));
        Sample { name, file, pairs }
    }

    /// A file of ours: off-page items, a bucket with a chain, empty buckets.
    fn ours(order: ByteOrder) -> Sample {
        let mut pairs: Pairs = (0..30)
            .map(|n| (format!("key{n}\0").into(), format!("value {n}\0").into()))
            .collect();
        pairs.insert(b"k\0".to_vec(), vec![b'v'; 1001]);
        pairs.insert(vec![b'K'; 200], b"x\0".to_vec());
        pairs.extend((1..20).map(|len| (vec![0; len], vec![b'n'; 20])));
        let mut entries = Entries::new();
        for (key, value) in &pairs {
            entries.insert(key, value).unwrap();
        }
        let mut file = Vec::new();
        let size = PageSize::new(512).unwrap();
        let builder = HashBuilder::new().page_size(size).byte_order(order);
        builder.build(&entries, &mut file).unwrap();
        Sample {
            name: "ours",
            file,
            pairs,
        }
    }

    /// The strict law for `damaged`, with damage named by `case`.
    fn check(&self, damaged: Vec<u8>, case: &str) {
        let len = damaged.len();
        let ((), peak) = peak_during(|| self.check_answers(&damaged, case));
        assert!(
            peak <= len + EXTRA_MEMORY_MAX,
            "{}, {case}: {peak} bytes",
            self.name
        );
    }

    fn check_answers(&self, damaged: &[u8], case: &str) {
        let Ok(reader) = HashReader::new(Store::from_bytes(damaged)) else {
            return;
        };
        for (key, value) in &self.pairs {
            if let Ok(found) = reader.get(key) {
                let shown = key.escape_ascii();
                assert!(found.is_some(), "{}, {case}: {shown} is lost", self.name);
                assert!(
                    found.as_deref() == Some(value),
                    "{}, {case}: {shown}",
                    self.name
                );
            }
        }
        for absent in [&b"nobody"[..], b"nobody\0", b"key99\0", b"key1"] {
            if let Ok(found) = reader.get(absent) {
                let shown = absent.escape_ascii();
                assert!(found.is_none(), "{}, {case}: {shown} is found", self.name);
            }
        }
        let listed: Result<Pairs, _> = reader
            .iter()
            .and_then(|pairs| pairs.map(|pair| pair.map(owned)).collect());
        if let Ok(listed) = listed {
            assert!(
                listed == self.pairs,
                "{}, {case}: the listing differs",
                self.name
            );
        }
    }
}

fn owned((key, value): rpostmap::bdb::hash::iter::KeyValue<'_>) -> (Vec<u8>, Vec<u8>) {
    (key.into_owned(), value.into_owned())
}

#[test]
fn a_file_cut_short_gives_right_answers_or_errors() {
    for sample in [
        Sample::fixture("libdb-3.0-hash-4096-le.db"),
        Sample::fixture("libdb-4.0-hash-512-le.db"),
        Sample::fixture("libdb-5.3-hash-4096-le.db"),
        Sample::fixture("libdb-5.3-hash-512-be.db"),
        Sample::ours(ByteOrder::Little),
    ] {
        sample.check(sample.file.clone(), "intact");
        for len in (0..sample.file.len()).step_by(512) {
            sample.check(sample.file[..len].to_vec(), &format!("cut to {len} bytes"));
        }
    }
}

#[test]
fn a_damaged_meta_page_gives_right_answers_or_errors() {
    for sample in [
        Sample::fixture("libdb-4.0-hash-512-le.db"),
        Sample::fixture("libdb-5.3-hash-4096-be.db"),
        Sample::fixture("libdb-5.3-hash-512-le.db"),
        Sample::ours(ByteOrder::Little),
        Sample::ours(ByteOrder::Big),
    ] {
        for offset in 0..META_LEN {
            for mask in [0xff, 0x01, 0x80] {
                let mut damaged = sample.file.clone();
                damaged[offset] ^= mask;
                sample.check(damaged, &format!("byte {offset} ^ {mask:#x}"));
            }
        }
    }
}

#[test]
fn a_wrong_page_size_is_noticed_in_every_version() {
    for fixture in fixtures::HASH_FIXTURES {
        let sample = Sample::fixture(fixture.name);
        let order = if fixture.big_endian {
            ByteOrder::Big
        } else {
            ByteOrder::Little
        };
        for size in (9..=16).map(|log2| 1 << log2) {
            let mut damaged = sample.file.clone();
            order.put_u32(&mut damaged, 20, size).unwrap();
            if size as usize != fixture.page_size {
                let store = Store::from_bytes(damaged.clone());
                assert!(HashReader::new(store).is_err(), "{}, {size}", fixture.name);
            }
            sample.check(damaged, &format!("page size {size}"));
        }
    }
}

#[test]
fn no_damaged_byte_makes_the_reader_panic_hang_or_contradict_itself() {
    for (name, file) in [
        (
            "duplicates",
            fixtures::read("bdb-duplicates/duplicates-512-le.db"),
        ),
        (
            "dupsort",
            fixtures::read("bdb-duplicates/dupsort-512-be.db"),
        ),
        ("ours", Sample::ours(ByteOrder::Little).file),
        ("fixture", fixtures::read("bdb/libdb-5.3-hash-512-le.db")),
    ] {
        let mut damaged = file.clone();
        // The large file is damaged here and there, and where pages have their header and index.
        let wanted = |at: usize| {
            let header = (at / 512).is_multiple_of(4) && at % 512 < 40;
            file.len() < 16384 || header || at.is_multiple_of(61)
        };
        for offset in (0..file.len()).filter(|&at| wanted(at)) {
            for mask in [0xff, 0x01] {
                damaged[offset] ^= mask;
                let ((), peak) = peak_during(|| any_bytes_as_hash_file(&damaged));
                assert!(
                    peak <= 2 * file.len() + EXTRA_MEMORY_MAX,
                    "{name}, byte {offset} ^ {mask:#x}: {peak} bytes"
                );
                damaged[offset] = file[offset];
            }
        }
    }
}

#[test]
fn a_page_of_duplicates_whose_items_overlap_is_refused() {
    let mut file = fixtures::read("bdb-duplicates/dupsort-512-le.db");
    let leaf = file.chunks_mut(512).find(|page| page[25] == 12).unwrap();
    // 150 values, each of them the first one of the page.
    leaf[20..22].copy_from_slice(&150u16.to_le_bytes());
    let first = [leaf[26], leaf[27]];
    leaf[26..26 + 300]
        .chunks_mut(2)
        .for_each(|entry| entry.copy_from_slice(&first));
    let reader = HashReader::new(Store::from_bytes(file)).unwrap();
    let listed: Result<Vec<_>, _> = reader.iter().unwrap().collect();
    let error = listed.unwrap_err().to_string();
    assert!(error.ends_with("items overlap"), "{error}");
}

#[test]
fn long_keys_that_share_overflow_pages_are_not_read_over_and_over() {
    // Both keys belong to bucket 0, as all keys of NULs do; bucket 1 is empty.
    let mut entries = Entries::new();
    entries.insert(&[0; 200], b"x").unwrap();
    entries.insert(&[0; 201], b"y").unwrap();
    let mut file = Vec::new();
    let builder = HashBuilder::new()
        .page_size(PageSize::new(512).unwrap())
        .byte_order(ByteOrder::Little);
    builder.build(&entries, &mut file).unwrap();
    let reader = HashReader::new(Store::from_bytes(file.clone())).unwrap();
    assert_eq!(reader.get(b"\x01").unwrap(), None);

    // The item of the second key (type, three bytes, page, length) becomes that of the first.
    let (second, first) = (512 + 486..512 + 498, 512 + 500..512 + 512);
    file.copy_within(first, second.start);
    let reader = HashReader::new(Store::from_bytes(file)).unwrap();
    let error = reader.get(b"\x01").unwrap_err().to_string();
    assert!(error.ends_with("belongs to two items"), "{error}");
}
