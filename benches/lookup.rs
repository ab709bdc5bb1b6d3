//! How fast a key is found, or found to be absent, in a hash or cdb file that is warm in the page
//! cache.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rpostmap::bdb::hash::{HashBuilder, HashReader};
use rpostmap::cdb::{CdbBuilder, CdbReader};
use rpostmap::entries::Entries;
use rpostmap::file::store::{Store, StoreMode};

/// How many keys one measurement looks up, in an order that jumps about.
const LOOKUP_COUNT: usize = 1000;

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

fn write_table(count: usize) -> PathBuf {
    let mut file = Vec::new();
    HashBuilder::new()
        .build(&entries(count), &mut file)
        .expect("built");
    let name = format!("rpostmap-bench-lookup-{}-{count}.db", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, file).expect("written");
    path
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
        let path = write_table(count);
        // A prime that divides neither count.
        let jumps = |from: usize| (0..LOOKUP_COUNT).map(move |n| from + n * 7919 % count);
        let hits: Vec<String> = jumps(0).map(key).collect();
        let misses: Vec<String> = jumps(count).map(key).collect();
        let mut group = criterion.benchmark_group(format!("lookup in {count}"));
        group.throughput(Throughput::Elements(LOOKUP_COUNT as u64));
        group.sample_size(20);
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        for (name, mode) in stores() {
            let store = Store::open(&path, mode).expect("opened");
            let reader = HashReader::new(store).expect("opened");
            for (kind, keys, found) in [("hit", &hits, true), ("miss", &misses, false)] {
                group.bench_function(BenchmarkId::new(name, kind), |bencher| {
                    bencher.iter(|| {
                        for key in keys {
                            let value = reader.get(black_box(key.as_bytes())).expect("read");
                            assert_eq!(value.is_some(), found);
                        }
                    });
                });
            }
        }
        group.finish();
        let _ = fs::remove_file(&path);
    }
}

/// Keys and values have no NUL in cdb tables, but a byte more or less makes no difference.
fn lookup_cdb(criterion: &mut Criterion) {
    for count in [10_000, 1_000_000] {
        let mut file = Vec::new();
        let built = CdbBuilder::new().build(&entries(count), &mut file);
        built.expect("built");
        let reader = CdbReader::new(Store::from_bytes(file)).expect("opened");
        let jumps = |from: usize| (0..LOOKUP_COUNT).map(move |n| from + n * 7919 % count);
        let mut group = criterion.benchmark_group(format!("cdb lookup in {count}"));
        group.throughput(Throughput::Elements(LOOKUP_COUNT as u64));
        group.sample_size(20);
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        for (kind, from) in [("hit", 0), ("miss", count)] {
            let keys: Vec<String> = jumps(from).map(key).collect();
            group.bench_function(BenchmarkId::new("memory", kind), |bencher| {
                bencher.iter(|| {
                    for key in &keys {
                        let value = reader.get(black_box(key.as_bytes())).expect("read");
                        assert_eq!(value.is_some(), kind == "hit");
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, lookup, lookup_cdb);
criterion_main!(benches);
