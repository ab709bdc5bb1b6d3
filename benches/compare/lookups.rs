//! Lookups inside this process: ours, and crates that read the same files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions};
use rpostmap::bdb::btree::BtreeReader;
use rpostmap::bdb::hash::HashReader;
use rpostmap::cdb::CdbReader;
use rpostmap::file::store::{Store, StoreMode};
use rpostmap::key::Fold;
use rpostmap::lmdb::{LmdbReader, open_store};
use rpostmap::{OpenOptions, TableSpec, open};

use crate::Options;
use crate::commands::TYPES;
use crate::data::{shuffled, transport_key, transport_value};
use crate::report::Report;

/// How many lookups one measurement makes.
const LOOKUP_COUNT: usize = 200_000;
/// How many measurements are made; the median counts.
const ROUNDS: usize = 11;

/// Looks a key up; whether it was found.
type Lookup<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

pub(crate) fn compare(options: &Options, dir: &Path, count: usize, report: &mut Report) {
    if !"lookup".contains(&options.only) {
        return;
    }
    let keys: Vec<String> = shuffled(count)
        .take(LOOKUP_COUNT)
        .map(|n| transport_key(count - 1 - n))
        .collect();
    let mut measured = |name: &str, lookup: Lookup<'_>| {
        report.lookup(name, time(&keys, &lookup));
    };
    let map: HashMap<Vec<u8>, Vec<u8>> = (0..count)
        .map(|n| (transport_key(n).into(), transport_value(n).into()))
        .collect();
    measured("std HashMap", Box::new(|key| map.contains_key(key)));
    drop(map);
    for (kind, suffix) in TYPES {
        let file = dir.join(format!("transport{suffix}"));
        make(dir, kind);
        let mut spec = OsString::from(format!("{kind}:"));
        spec.push(dir.join("transport"));
        let spec = TableSpec::parse(&spec, "");
        for (fold, folded) in [(Fold::None, ""), (Fold::Unicode, ", folding keys")] {
            let options = OpenOptions {
                fold,
                store: StoreMode::MEMORY,
                ..OpenOptions::default()
            };
            let table = open(&spec, &options).expect("opened");
            let lookup = |key: &[u8]| table.lookup(key).expect("read").is_some();
            measured(&format!("{kind}: in memory{folded}"), Box::new(lookup));
        }
        let name = format!("{kind}: in memory, the file alone");
        measured(&name, file_alone(kind, &file));
        match kind {
            "lmdb" => with_heed(&file, |lookup| measured("the crate heed", lookup)),
            "cdb" => {
                let peer = cdb2::CDB::open(&file).expect("opened");
                let lookup = |key: &[u8]| peer.get(key).is_some_and(|value| value.is_ok());
                measured("the crate cdb2", Box::new(lookup));
            }
            _ => {}
        }
    }
}

fn make(dir: &Path, kind: &str) {
    let operand = format!("{kind}:transport");
    crate::measure::run(dir, &dir.join("postmap"), &[&operand], None);
}

/// What the crates do that stand beside ours: a key as it is stored, without rules for keys.
fn file_alone(kind: &str, file: &Path) -> Lookup<'static> {
    macro_rules! reader {
        ($reader:ty, $open:expr) => {{
            let store = $open(file, StoreMode::MEMORY).expect("opened");
            let reader = <$reader>::new(store).expect("opened");
            move |key: &[u8]| reader.get(key).expect("read").is_some()
        }};
    }
    fn nul_added(lookup: impl Fn(&[u8]) -> bool + 'static) -> Lookup<'static> {
        Box::new(move |key| with_nul(key, &lookup))
    }
    match kind {
        "hash" => nul_added(reader!(HashReader, Store::open)),
        "btree" => nul_added(reader!(BtreeReader, Store::open)),
        "lmdb" => nul_added(reader!(LmdbReader, open_store)),
        _ => Box::new(reader!(CdbReader, Store::open)),
    }
}

/// Gives `key` to `lookup` with the NUL that Postfix stores.
fn with_nul<T>(key: &[u8], lookup: impl FnOnce(&[u8]) -> T) -> T {
    let mut room = [0; 256];
    room[..key.len()].copy_from_slice(key);
    lookup(&room[..=key.len()])
}

fn with_heed(file: &Path, use_lookup: impl FnOnce(Lookup<'_>)) {
    #[expect(unsafe_code, reason = "heed maps the file")]
    // SAFETY: the file is this benchmark's own, well-formed, and nothing changes it.
    let env = unsafe {
        EnvOpenOptions::new()
            .flags(EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK | EnvFlags::READ_ONLY)
            .open(file)
    };
    let env = env.expect("opened");
    let txn = env.read_txn().expect("begun");
    let opened = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        let database = opener.open_database::<Bytes, Bytes>(txn, None)?;
        Ok(CommitOrAbort::<_, ()>::Commit(database))
    });
    let CommitOrAbort::Commit(Some(database)) = opened.expect("opened") else {
        panic!("no unnamed database");
    };
    let txn = env.read_txn().expect("begun");
    use_lookup(Box::new(|key| {
        with_nul(key, |key| database.get(&txn, key).expect("read").is_some())
    }));
}

/// The median time of a lookup.
fn time(keys: &[String], lookup: &Lookup<'_>) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for key in keys {
                assert!(lookup(black_box(key.as_bytes())), "{key}");
            }
            start.elapsed()
        })
        .collect();
    rounds.sort();
    rounds[ROUNDS / 2] / u32::try_from(keys.len()).expect("not that many")
}
