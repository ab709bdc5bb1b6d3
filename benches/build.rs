//! How fast a hash table is built from entries that are in memory already.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rpostmap::bdb::hash::HashBuilder;
use rpostmap::entries::Entries;
use rpostmap::file::WriteAt;

/// A transport table: `hostNNNNNNN.example.com` and a next hop, both with a NUL.
fn transport(count: usize) -> Entries {
    let mut entries = Entries::new();
    for n in 0..count {
        let key = format!("host{n:07}.example.com\0");
        let value = format!("relay:[mx{}.example.net]:25\0", n % 7);
        let inserted = entries.insert(key.as_bytes(), value.as_bytes());
        inserted.expect("short keys are taken");
    }
    entries
}

/// A file without the lock, the rename and the sync that a real table gets.
struct PlainFile(File);

impl WriteAt for PlainFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> rpostmap::Result<()> {
        let written: io::Result<()> = self.0.write_all_at(bytes, offset);
        written.expect("there is room for the file");
        Ok(())
    }
}

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("rpostmap-bench-build-{}.db", std::process::id()))
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build hash");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for count in [10_000, 1_000_000] {
        let entries = transport(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("insert", count), |bencher| {
            bencher.iter(|| transport(count));
        });
        group.bench_function(BenchmarkId::new("to memory", count), |bencher| {
            bencher.iter(|| {
                let mut file = Vec::new();
                HashBuilder::new()
                    .build(&entries, &mut file)
                    .expect("built");
                file
            });
        });
        let path = temporary();
        group.bench_function(BenchmarkId::new("to a file", count), |bencher| {
            bencher.iter(|| {
                let mut file = PlainFile(File::create(&path).expect("created"));
                HashBuilder::new()
                    .build(&entries, &mut file)
                    .expect("built")
            });
        });
        let _ = std::fs::remove_file(&path);
    }
    group.finish();
}

criterion_group!(benches, build);
criterion_main!(benches);
