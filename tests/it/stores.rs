//! Real files of other programs, read by the library through every kind of store.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rpostmap::ErrorKind;
use rpostmap::bdb::hash::HashReader;
use rpostmap::file::store::{Store, StoreMode};
use rpostmap::wire::ByteOrder;

use crate::fixtures::{self, HASH_FIXTURES, Model};

fn stores() -> [(&'static str, StoreMode); 3] {
    #[expect(unsafe_code, reason = "the mapped mode cannot be had without")]
    // SAFETY: nothing writes the files of tests/data while tests run.
    let mapped = unsafe { StoreMode::mapped() };
    [
        ("memory", StoreMode::MEMORY),
        ("positioned", StoreMode::POSITIONED),
        ("mapped", mapped),
    ]
}

/// All pairs, the values of a key in the order in which they come.
fn list(reader: &HashReader, case: &str) -> Model {
    let mut listed = Model::new();
    for pair in reader.iter().unwrap() {
        let (key, value) = pair.unwrap_or_else(|error| panic!("{case}: {error}"));
        let values = listed.entry(key.into_owned()).or_default();
        values.push(value.into_owned());
    }
    listed
}

/// That `reader` has exactly the pairs of `model`, one way and the other.
fn check(reader: &HashReader, model: &Model, case: &str) {
    for (key, values) in model {
        let shown = key.escape_ascii();
        let value = reader
            .get(key)
            .unwrap_or_else(|error| panic!("{case}, {shown}: {error}"));
        assert_eq!(
            value.as_deref(),
            values.first().map(Vec::as_slice),
            "{case}, {shown}"
        );
    }
    for key in [
        &b""[..],
        b"\0",
        b"user266@example.ne",
        b"user266@example.net\0",
        b"nobody",
    ] {
        if !model.contains_key(key) {
            let shown = key.escape_ascii();
            assert_eq!(reader.get(key).unwrap(), None, "{case}, {shown}");
        }
    }
    assert!(list(reader, case) == *model, "{case}: listed pairs differ");
}

#[test]
fn every_fixture_is_read_through_every_store() {
    let model = fixtures::model("bdb/entries.txt");
    assert_eq!(model.len(), 307);
    for fixture in HASH_FIXTURES {
        for (name, mode) in stores() {
            let case = format!("{}, {name}", fixture.name);
            let path = fixtures::path("bdb").join(fixture.name);
            let reader = HashReader::new(Store::open(&path, mode).unwrap()).unwrap();
            let meta = reader.meta();
            assert_eq!(meta.version, fixture.version, "{case}");
            assert_eq!(meta.format.size.bytes(), fixture.page_size, "{case}");
            assert_eq!(
                meta.format.order == ByteOrder::Big,
                fixture.big_endian,
                "{case}"
            );
            assert_eq!(meta.format.checksum, fixture.checksum, "{case}");
            assert!(!meta.duplicates, "{case}");
            check(&reader, &model, &case);
        }
    }
}

#[test]
fn no_hash_fixture_is_left_out() {
    let mut found: Vec<String> = fs::read_dir(fixtures::path("bdb"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("-hash-"))
        .collect();
    found.sort();
    let mut listed: Vec<&str> = HASH_FIXTURES.iter().map(|fixture| fixture.name).collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn a_key_with_several_values_is_found_with_the_first_and_listed_with_all() {
    let inserted = fixtures::model("bdb-duplicates/entries.txt");
    let sorted: Model = inserted
        .iter()
        .map(|(key, values)| {
            let mut values = values.clone();
            values.sort();
            (key.clone(), values)
        })
        .collect();
    assert_eq!(
        inserted.values().map(Vec::len).collect::<Vec<_>>(),
        [1, 101, 3, 2]
    );
    for (file, order, model) in [
        ("duplicates-512-le.db", ByteOrder::Little, &inserted),
        ("duplicates-512-be.db", ByteOrder::Big, &inserted),
        ("dupsort-512-le.db", ByteOrder::Little, &sorted),
        ("dupsort-512-be.db", ByteOrder::Big, &sorted),
    ] {
        for (name, mode) in stores() {
            let case = format!("{file}, {name}");
            let path = fixtures::path("bdb-duplicates").join(file);
            let reader = HashReader::new(Store::open(&path, mode).unwrap()).unwrap();
            assert_eq!(reader.meta().format.order, order, "{case}");
            assert!(reader.meta().duplicates, "{case}");
            check(&reader, model, &case);
        }
    }
}

fn open_error(bytes: Vec<u8>) -> rpostmap::Error {
    match HashReader::new(Store::from_bytes(bytes)) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[test]
fn a_btree_file_is_refused_by_name() {
    for name in [
        "bdb/libdb-5.3-btree-4096-le.db",
        "bdb/libdb-3.0-btree-4096-le.db",
    ] {
        let error = open_error(fixtures::read(name));
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("btree"), "{name}: {error}");
        assert!(!error.is_temporary(), "{name}");
    }
}

#[test]
fn what_is_no_hash_file_of_ours_says_what_it_is() {
    let good = || fixtures::read("bdb/libdb-5.3-hash-512-le.db");
    let with = |changes: &[(usize, &[u8])]| {
        let mut file = good();
        for (offset, bytes) in changes {
            file[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        file
    };
    let unsupported: BTreeMap<&str, Vec<u8>> = BTreeMap::from([
        (
            "1.85",
            with(&[(0, b"\0\x06\x15\x61\0\0\0\x02"), (12, b"\0\0\0\0")]),
        ),
        ("queue", with(&[(12, b"\x53\x22\x04\0")])),
        ("heap", with(&[(12, b"\x82\x45\x07\0")])),
        ("renamed", with(&[(12, b"\0\x08\x03\0")])),
        ("hash version 5", with(&[(16, b"\x05")])),
        ("hash version 11", with(&[(16, b"\x0b")])),
        ("encrypted", with(&[(24, b"\x01")])),
        ("partitioned", with(&[(26, b"\x02")])),
        ("meta flags", with(&[(26, b"\x08")])),
        ("several databases", with(&[(48, b"\x02")])),
        ("hash flags", with(&[(48, b"\x08")])),
        ("external files", with(&[(16, b"\x0a"), (224, b"\x01")])),
    ]);
    for (name, file) in unsupported {
        let error = open_error(file);
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    let shortened = |len: usize| good()[..len].to_vec();
    for (name, file) in [
        ("not a Berkeley DB file", b"root: admin\n".to_vec()),
        ("not a Berkeley DB file", vec![0; 4096]),
        ("not a Berkeley DB file", Vec::new()),
        ("not a Berkeley DB file", shortened(511)),
        (
            "no multiple of the 512-byte page",
            shortened(good().len() - 1),
        ),
        ("the least is 2", shortened(512)),
        ("last page is said to be", shortened(good().len() - 1024)),
        ("page size 513", with(&[(20, b"\x01")])),
        ("page size 131072", with(&[(20, b"\0\0\x02\0")])),
        ("type 9", with(&[(25, b"\x09")])),
        ("checksum is wrong", with(&[(26, b"\x01")])),
    ] {
        let error = open_error(file);
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name), "{name}: {error}");
        assert!(error.is_temporary(), "{name}");
    }
}

#[test]
fn version_10_without_external_files_is_read() {
    let mut file = fixtures::read("bdb/libdb-5.3-hash-512-le.db");
    file[16] = 10;
    let reader = HashReader::new(Store::from_bytes(file)).unwrap();
    check(&reader, &fixtures::model("bdb/entries.txt"), "version 10");
}

#[test]
fn the_error_of_a_missing_file_names_it() {
    let path = PathBuf::from("no/such/table.db");
    let error = Store::open(&path, StoreMode::AUTO).unwrap_err();
    assert_eq!(error.to_string(), "open no/such/table.db");
}
