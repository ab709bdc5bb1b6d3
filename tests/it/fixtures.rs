//! The files in `tests/data`, and what they hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Keys with all their values, in the order of the values.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// A hash file of `tests/data/bdb`, all of which hold the pairs of `entries.txt`.
#[derive(Debug)]
pub(crate) struct HashFixture {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) page_size: usize,
    pub(crate) big_endian: bool,
    pub(crate) checksum: bool,
}

const fn fixture(name: &'static str, version: u32, page_size: usize) -> HashFixture {
    HashFixture {
        name,
        version,
        page_size,
        big_endian: false,
        checksum: false,
    }
}

const fn big(fixture: HashFixture) -> HashFixture {
    HashFixture {
        big_endian: true,
        ..fixture
    }
}

const fn checksum(fixture: HashFixture) -> HashFixture {
    HashFixture {
        checksum: true,
        ..fixture
    }
}

pub(crate) static HASH_FIXTURES: &[HashFixture] = &[
    fixture("libdb-3.0-hash-4096-le.db", 6, 4096),
    big(fixture("libdb-4.0-hash-4096-be.db", 7, 4096)),
    fixture("libdb-4.0-hash-512-le.db", 7, 512),
    big(fixture("libdb-4.5-hash-4096-be.db", 8, 4096)),
    fixture("libdb-4.5-hash-4096-le.db", 8, 4096),
    big(fixture("libdb-4.5-hash-512-be.db", 8, 512)),
    fixture("libdb-4.5-hash-512-le.db", 8, 512),
    big(fixture("libdb-5.3-hash-4096-be.db", 9, 4096)),
    fixture("libdb-5.3-hash-4096-le.db", 9, 4096),
    big(fixture("libdb-5.3-hash-512-be.db", 9, 512)),
    fixture("libdb-5.3-hash-512-le.db", 9, 512),
    fixture("libdb-5.3-hash-65536-le.db", 9, 65536),
    checksum(fixture("libdb-5.3-hash-checksum-4096-le.db", 9, 4096)),
];

/// The path of a file of `tests/data`.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The content of a file of `tests/data`.
pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = path(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pairs of an `entries.txt`: a key line, a value line, and so on.
pub(crate) fn model(name: &str) -> Model {
    let mut model = Model::new();
    let text = read(name);
    let mut lines = text
        .strip_suffix(b"\n")
        .unwrap_or(&text)
        .split(|&b| b == b'\n');
    while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
        model.entry(key.to_vec()).or_default().push(value.to_vec());
    }
    model
}
