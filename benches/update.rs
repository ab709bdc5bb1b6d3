//! How fast a table of many entries takes in as many more: what `postmap -i` does, but for the start
//! of a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rpostmap::FileFormat;
use rpostmap::entries::OnDuplicate;
use rpostmap::source::MapSource;
use rpostmap::table::{CompileOptions, Missing, Source, TableUpdater, compile};

const COUNT: usize = 100_000;

/// `userNNNNNNN@example42.com` and a next hop, from a number on.
fn text(first: usize, host: &str) -> String {
    (first..first + COUNT)
        .map(|n| format!("user{n:07}@example42.com\tsmtp:[{host}.example.net]:25\n"))
        .collect()
}

fn source(text: &str) -> Source<MapSource<&[u8]>> {
    Source {
        entries: MapSource::new("bench", text.as_bytes(), true),
        len: Some(text.len() as u64),
        mode: 0o600,
    }
}

fn options() -> CompileOptions {
    CompileOptions {
        on_duplicate: OnDuplicate::KeepLast,
        ..CompileOptions::default()
    }
}

fn make(format: FileFormat, path: &Path) {
    let text = text(0, "mx42");
    compile(format, path, || Ok(source(&text)), &options(), &mut |_| {}).expect("compiled");
}

fn update(format: FileFormat, path: &Path, text: &str) {
    let mut table = TableUpdater::open(format, path, Missing::Refuse, &mut |_| {}).expect("opened");
    let added = table.add(&mut source(text), &options(), &mut |_| {});
    added
        .and_then(|()| table.commit(&mut |_| {}))
        .expect("updated");
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rpostmap-bench-{name}-{}.db", std::process::id()))
}

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100000 entries into 100000");
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(4));
    group.throughput(Throughput::Elements(COUNT as u64));
    for (name, format) in [("hash", FileFormat::Hash), ("btree", FileFormat::Btree)] {
        let (start, path) = (temporary("start"), temporary("table"));
        make(format, &start);
        for (kind, first) in [("new", COUNT), ("half of them there", COUNT / 2)] {
            let text = text(first, "mx43");
            group.bench_function(format!("{name}, {kind}"), |bencher| {
                bencher.iter_batched(
                    || fs::copy(&start, &path).expect("copied"),
                    |_| update(format, &path, &text),
                    BatchSize::PerIteration,
                );
            });
        }
        for path in [start, path] {
            let _ = fs::remove_file(path);
        }
    }
    group.finish();
}

criterion_group!(benches, updates);
criterion_main!(benches);
