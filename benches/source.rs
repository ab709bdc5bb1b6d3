//! How fast source text is read, in bytes per second.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rpostmap::source::{LogicalLines, MapSource};

const LINE_COUNT: usize = 100_000;

/// A transport table: `hostNNNNN.example.com  relay:[mxN.example.net]:25`.
fn transport(decorated: bool) -> String {
    let mut text = String::new();
    for n in 0..LINE_COUNT {
        if decorated && n % 4 == 0 {
            text.push_str("# a comment\n\n");
        }
        let gap = if decorated && n % 3 == 0 {
            "\n    "
        } else {
            "  "
        };
        writeln!(
            text,
            "host{n:05}.example.com{gap}relay:[mx{}.example.net]:25",
            n % 7
        )
        .expect("a string takes everything");
    }
    text
}

fn source(criterion: &mut Criterion) {
    for (name, text) in [("plain", transport(false)), ("decorated", transport(true))] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("lines", |bencher| {
            bencher.iter(|| {
                let mut lines = LogicalLines::new("t", text.as_bytes());
                while let Ok(Some(line)) = lines.next_line(&mut |_| {}) {
                    black_box(line.text);
                }
            });
        });
        for utf8 in [false, true] {
            let id = if utf8 { "entries, utf8" } else { "entries" };
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let mut source = MapSource::new("t", text.as_bytes(), utf8);
                    while let Ok(Some(entry)) = source.next_entry(&mut |_| {}) {
                        black_box(entry);
                    }
                });
            });
        }
    }
}

criterion_group!(benches, source);
criterion_main!(benches);
