//! How fast a key is found, or found to be absent, in a table file of each format that is warm in
//! the page cache, and how it is held.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader};
use rpostmap::bdb::hash::{HashBuilder, HashReader};
use rpostmap::cdb::{CdbBuilder, CdbReader};
use rpostmap::entries::Entries;
use rpostmap::file::store::{Store, StoreMode};
use rpostmap::lmdb::{LmdbBuilder, LmdbReader, open_store};

/// How many keys one measurement looks up, in an order that jumps about.
const LOOKUP_COUNT: usize = 1000;

/// How many keys there are at most. Each measurement goes on where the one before ended, so that a
/// long table does not come to lie in the processor's cache.
const KEY_COUNT_MAX: usize = 200_000;

/// Whether a table holds a key.
type Contains = Box<dyn Fn(&[u8]) -> bool>;

/// Writes a table and says how it is opened.
struct Format {
    name: &'static str,
    build: fn(&Entries) -> Vec<u8>,
    open: fn(&Path, StoreMode) -> Contains,
}

/// A format whose reader takes any store.
macro_rules! reads_stores {
    ($name:literal, $builder:ty, $reader:ty, $open:expr) => {
        Format {
            name: $name,
            build: |entries| {
                let mut file = Vec::new();
                let built = <$builder>::new().build(entries, &mut file);
                built.expect("built");
                file
            },
            open: |path, mode| {
                let store = $open(path, mode).expect("opened");
                let reader = <$reader>::new(store).expect("opened");
                Box::new(move |key| reader.get(key).expect("read").is_some())
            },
        }
    };
}

static FORMATS: [Format; 4] = [
    reads_stores!("hash", HashBuilder, HashReader, Store::open),
    reads_stores!("btree", BtreeBuilder, BtreeReader, Store::open),
    reads_stores!("lmdb", LmdbBuilder, LmdbReader, open_store),
    // Keys and values have no NUL in cdb tables, but a byte more or less makes no difference.
    reads_stores!("cdb", CdbBuilder, CdbReader, Store::open),
];

fn key(n: usize) -> String {
    format!("host{n:07}.example.com\0")
}

fn entries(count: usize) -> Entries {
    let mut entries = Entries::new();
    for n in 0..count {
        let value = format!("relay:[mx{}.example.net]:25\0", n % 7);
        let inserted = entries.insert(key(n).as_bytes(), value.as_bytes());
        inserted.expect("short keys are taken");
    }
    entries
}

fn temporary(format: &Format, count: usize) -> PathBuf {
    let (process, name) = (std::process::id(), format.name);
    std::env::temp_dir().join(format!("rpostmap-bench-lookup-{process}-{count}.{name}"))
}

fn stores() -> [(&'static str, StoreMode); 3] {
    #[expect(unsafe_code, reason = "the mapped mode cannot be had without")]
    // SAFETY: the file is this benchmark's own, and nothing changes it.
    let mapped = unsafe { StoreMode::mapped() };
    [
        ("memory", StoreMode::MEMORY),
        ("mapped", mapped),
        ("positioned", StoreMode::POSITIONED),
    ]
}

fn lookup(criterion: &mut Criterion) {
    for count in [10_000, 1_000_000] {
        let entries = entries(count);
        // A prime that divides neither count.
        let key_count = count.min(KEY_COUNT_MAX);
        let jumps = |from: usize| (0..key_count).map(move |n| from + n * 7919 % count);
        let hits: Vec<String> = jumps(0).map(key).collect();
        let misses: Vec<String> = jumps(count).map(key).collect();
        for format in &FORMATS {
            let path = temporary(format, count);
            fs::write(&path, (format.build)(&entries)).expect("written");
            let mut group = criterion.benchmark_group(format!("{} of {count}", format.name));
            group.throughput(Throughput::Elements(LOOKUP_COUNT as u64));
            group.sample_size(20);
            group.warm_up_time(Duration::from_millis(300));
            group.measurement_time(Duration::from_secs(1));
            for (name, mode) in stores() {
                let contains = (format.open)(&path, mode);
                for (kind, keys, found) in [("hit", &hits, true), ("miss", &misses, false)] {
                    let mut turns = keys.chunks(LOOKUP_COUNT).cycle();
                    group.bench_function(BenchmarkId::new(name, kind), |bencher| {
                        bencher.iter(|| {
                            for key in turns.next().expect("without end") {
                                assert_eq!(contains(black_box(key.as_bytes())), found);
                            }
                        });
                    });
                }
            }
            group.finish();
            let _ = fs::remove_file(&path);
        }
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
