//! Real LMDB files, and damaged ones, read by the library.

use std::collections::BTreeMap;

use rpostmap::file::store::{Store, StoreMode};
use rpostmap::lmdb::layout::{DataVersion, WordWidth};
use rpostmap::lmdb::salvage::salvage;
use rpostmap::lmdb::verify::verify;
use rpostmap::lmdb::{LmdbReader, is_lmdb, open_store};
use rpostmap::wire::ByteOrder;

use crate::alloc::peak_during;
use crate::fixtures;
use crate::lmdb_laws::any_bytes_as_lmdb_file;

/// The most memory that reading a damaged file may take, beyond the file's length.
const EXTRA_MEMORY_MAX: usize = 64 << 20;

pub(crate) const FIXTURES: [(&str, DataVersion, WordWidth, ByteOrder); 6] = [
    (
        "lmdb-0.9.24-64le",
        DataVersion::V1,
        WordWidth::Eight,
        ByteOrder::Little,
    ),
    (
        "lmdb-0.9.36-32le",
        DataVersion::V1,
        WordWidth::Four,
        ByteOrder::Little,
    ),
    (
        "lmdb-0.9.36-64be",
        DataVersion::V1,
        WordWidth::Eight,
        ByteOrder::Big,
    ),
    (
        "lmdb-1.0.1-32le",
        DataVersion::V3,
        WordWidth::Four,
        ByteOrder::Little,
    ),
    (
        "lmdb-1.0.1-64be",
        DataVersion::V3,
        WordWidth::Eight,
        ByteOrder::Big,
    ),
    (
        "lmdb-1.0.1-64le",
        DataVersion::V3,
        WordWidth::Eight,
        ByteOrder::Little,
    ),
];

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What all fixtures hold.
pub(crate) fn entries() -> Pairs {
    fixtures::model("lmdb/entries.txt")
        .into_iter()
        .map(|(key, mut values)| (key, values.remove(0)))
        .collect()
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fixtures::read(&format!("lmdb/{name}.lmdb"))
}

fn stores() -> [(&'static str, StoreMode); 4] {
    #[expect(unsafe_code, reason = "the mapped mode cannot be had without")]
    // SAFETY: nothing writes the files of tests/data while tests run.
    let mapped = unsafe { StoreMode::mapped() };
    [
        ("auto", StoreMode::AUTO),
        ("memory", StoreMode::MEMORY),
        ("positioned", StoreMode::POSITIONED),
        ("mapped", mapped),
    ]
}

#[test]
fn every_fixture_is_read_and_verified_through_every_store() {
    let model = entries();
    assert_eq!(model.len(), 307);
    for (name, version, width, order) in FIXTURES {
        for (store_name, mode) in stores() {
            let case = format!("{name}, {store_name}");
            let path = fixtures::path("lmdb").join(format!("{name}.lmdb"));
            let store = open_store(&path, mode).unwrap();
            assert!(is_lmdb(&store).unwrap(), "{case}");
            let report = verify(&store).unwrap();
            assert_eq!(report.defects, [], "{case}");
            assert_eq!(report.statistics.unwrap().entries, 307, "{case}");
            let reader = LmdbReader::new(store).unwrap();
            let layout = reader.layout();
            let found = (layout.version, layout.width, layout.order);
            assert_eq!(found, (version, width, order), "{case}");
            for (key, value) in &model {
                let found = reader.get(key).unwrap();
                assert_eq!(found.as_deref(), Some(&value[..]), "{case}");
            }
            for key in [
                &b""[..],
                b"\0",
                b"user266@example.ne",
                b"nobody",
                &[b'~'; 5000],
            ] {
                assert_eq!(reader.get(key).unwrap(), None, "{case}");
            }
            let listed = reader.iter().unwrap().map(Result::unwrap);
            let listed = listed.map(|(key, value)| (key.into_owned(), value.into_owned()));
            assert!(listed.eq(model.clone()), "{case}");
        }
    }
}

#[test]
fn a_lookup_in_memory_allocates_nothing() {
    for (name, ..) in FIXTURES {
        let reader = LmdbReader::new(Store::from_bytes(fixture(name))).unwrap();
        for (key, found) in [(&b"nobody"[..], false), (b"big", true), (b"a", true)] {
            let (value, peak) = peak_during(|| reader.get(key).unwrap().is_some());
            assert_eq!((value, peak), (found, 0), "{name}");
        }
    }
}

#[test]
fn salvage_of_a_sound_file_is_its_listing_and_old_entries_are_kept_apart() {
    for (name, ..) in FIXTURES {
        let found = salvage(&Store::from_bytes(fixture(name))).unwrap();
        assert!(
            found.complete && !found.guessed,
            "{name}: {:?}",
            found.skipped
        );
        let pairs = found.pairs.into_iter().map(|pair| (pair.key, pair.value));
        assert!(pairs.eq(entries()), "{name}");
    }
}

#[test]
fn salvage_finds_all_entries_without_meta_pages_and_without_the_root() {
    for (name, version, width, order) in FIXTURES {
        let good = fixture(name);
        let reader = LmdbReader::new(Store::from_bytes(good.clone())).unwrap();
        let root = usize::try_from(reader.meta().main.root.unwrap().0).unwrap();
        let mut no_first = good.clone();
        no_first[..4096].fill(0);
        let mut no_metas = no_first.clone();
        no_metas[4096..8192].fill(0);
        let mut no_root = good;
        no_root[4096 * root..][..4096].fill(0xff);
        for (case, file, guessed) in [
            ("no first meta page", no_first, false),
            ("no meta pages", no_metas, true),
            ("no root", no_root, false),
        ] {
            let found = salvage(&Store::from_bytes(file)).unwrap();
            assert!(!found.complete, "{name}, {case}");
            assert_eq!(found.guessed, guessed, "{name}, {case}");
            let layout = (found.layout.version, found.layout.width, found.layout.order);
            assert_eq!(layout, (version, width, order), "{name}, {case}");
            let all: Pairs = found
                .pairs
                .into_iter()
                .chain(found.orphans)
                .map(|pair| (pair.key, pair.value))
                .collect();
            for (key, value) in entries() {
                let shown = key.escape_ascii();
                assert_eq!(all.get(&key), Some(&value), "{name}, {case}, {shown}");
            }
        }
    }
}

#[test]
fn databases_of_other_kinds_are_refused_by_name() {
    let reason = |file: Vec<u8>| match LmdbReader::new(Store::from_bytes(file)) {
        Ok(reader) => reader.get(b"a").unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    // Flags of the main tree, of the free list, and the version, in the current meta page.
    for (name, offset, value, text) in [
        (
            "lmdb-0.9.24-64le",
            92,
            0x04,
            "LMDB database with duplicate keys",
        ),
        (
            "lmdb-0.9.24-64le",
            92,
            0x0a,
            "LMDB database with keys in reverse order, integer keys",
        ),
        (
            "lmdb-0.9.24-64le",
            20,
            2,
            "LMDB data version 2 is not supported",
        ),
        ("lmdb-1.0.1-64le", 24 + 29, 0x20, "LMDB file is encrypted"),
    ] {
        let mut file = fixture(name);
        file[offset] = value;
        assert_eq!(reason(file), text);
    }
    // Flags of the node of key "a".
    for (flags, text) in [
        (2, "LMDB file holds a named database, on page"),
        (6, "LMDB file holds several values of a key, on page"),
    ] {
        let mut file = fixture("lmdb-0.9.24-64le");
        let nodes = file.windows(10).enumerate();
        let node = [1, 0, 0, 0, 0, 0, 1, 0, b'a', b'1'];
        let places: Vec<usize> = nodes
            .filter(|(_, w)| *w == node)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            file[at + 4] = flags;
        }
        assert!(reason(file).starts_with(text));
    }
}

/// Numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// A fixture damaged in one to eight places, mostly where headers and indexes are; some cut short.
pub(crate) fn damaged(random: &mut Random) -> Vec<u8> {
    let (name, ..) = FIXTURES[random.below(FIXTURES.len())];
    let mut file = fixture(name);
    for _ in 0..=random.below(8) {
        let page = random.below(file.len() / 4096);
        let at = match random.below(4) {
            0 => random.below(4096),
            1 => random.below(160),
            _ => random.below(24),
        };
        let place = &mut file[4096 * page + at];
        *place = match random.below(3) {
            0 => 0xff,
            1 => *place ^ 1 << random.below(8),
            _ => u8::try_from(random.below(256)).unwrap(),
        };
    }
    if random.below(10) == 0 {
        file.truncate(random.below(file.len()));
    }
    file
}

#[test]
fn no_damage_makes_the_library_panic_hang_or_take_much_memory() {
    let mut random = Random(1);
    for _ in 0..400 {
        let file = damaged(&mut random);
        let ((), peak) = peak_during(|| any_bytes_as_lmdb_file(&file));
        assert!(peak <= file.len() + EXTRA_MEMORY_MAX, "{peak} bytes");
    }
}

#[test]
fn every_byte_of_a_header_can_be_damaged() {
    for name in ["lmdb-0.9.24-64le", "lmdb-1.0.1-64be"] {
        let mut file = fixture(name);
        let pages = file.len() / 4096;
        for page in [0, 1].into_iter().chain((2..pages).step_by(5)) {
            for at in (4096 * page..).take(if page < 2 { 170 } else { 30 }) {
                let mask = [0xff, 1, 0x80][at % 3];
                file[at] ^= mask;
                any_bytes_as_lmdb_file(&file);
                file[at] ^= mask;
            }
        }
    }
}

#[test]
fn a_file_cut_short_never_hides_an_entry() {
    let model = entries();
    for (name, ..) in FIXTURES {
        let file = fixture(name);
        for len in (0..file.len()).step_by(1024) {
            let Ok(reader) = LmdbReader::new(Store::from_bytes(&file[..len])) else {
                continue;
            };
            for (key, value) in &model {
                match reader.get(key) {
                    Ok(found) => assert_eq!(found.as_deref(), Some(&value[..]), "{name}, {len}"),
                    Err(error) => assert!(error.is_temporary(), "{name}, {len}: {error}"),
                }
            }
            let listed = reader.iter().unwrap().collect::<Result<Vec<_>, _>>();
            assert!(
                listed.is_err() || listed.is_ok_and(|l| l.len() == 307),
                "{name}, {len}"
            );
        }
    }
}
