//! How fast tables of rules answer: networks, and expressions of the kinds that are in use.

use std::ffi::OsStr;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rpostmap::Table;
use rpostmap::pattern::{CidrTable, RegexpTable};
use rpostmap::table::OpenOptions;

/// How many keys one measurement looks up.
const KEY_COUNT: u32 = 1000;

/// `count` networks of 8 to 32 bits, in an order that jumps about.
fn networks(count: u32) -> String {
    let mut text = String::new();
    for n in 0..count {
        let bits = n.wrapping_mul(2_654_435_761);
        let len = [24, 24, 32, 20, 16, 28][n as usize % 6];
        let start = std::net::Ipv4Addr::from_bits(bits & (u32::MAX << (32 - len)));
        writeln!(text, "{start}/{len} REJECT {n}").expect("memory");
    }
    text
}

/// `count` rules about addresses and host names.
fn expressions(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let rule = match n % 5 {
            0 => format!("/^user{n}@example\\.com$/ OK"),
            1 => format!("/@(mail|mx)[0-9]*\\.spam{n}\\.(com|net)$/ REJECT $1"),
            2 => format!("/^dyn-[0-9]+-{n}\\./ REJECT"),
            3 => format!("/^10\\.{}\\.[0-9]+\\.[0-9]+$/ OK", n % 256),
            _ => format!("/(^|\\.)host{n}\\.example\\.org$/ OK"),
        };
        writeln!(text, "{rule}").expect("memory");
    }
    text
}

fn measure(criterion: &mut Criterion, name: &str, table: &dyn Table, keys: &[String], hits: bool) {
    assert!(!keys.is_empty(), "{name}: nothing to measure");
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    group.bench_function(if hits { "hit" } else { "miss" }, |bencher| {
        bencher.iter(|| {
            for key in keys {
                let answer = table.lookup(black_box(key.as_bytes()));
                assert_eq!(answer.expect("an answer").is_some(), hits, "{key}");
            }
        });
    });
    group.finish();
}

fn cidr(criterion: &mut Criterion) {
    let options = OpenOptions::default();
    let text = networks(100_000);
    let table = CidrTable::from_text(OsStr::new("bench"), text.as_bytes(), &options, &mut |_| {});
    let table = table.expect("opened");
    let address = |n: u32| std::net::Ipv4Addr::from_bits(n.wrapping_mul(0x85eb_ca6b)).to_string();
    let (hits, misses): (Vec<String>, Vec<String>) = (0..KEY_COUNT * 8)
        .map(address)
        .partition(|key| matches!(table.lookup(key.as_bytes()), Ok(Some(_))));
    measure(criterion, "100000 networks", &table, &hits, true);
    measure(criterion, "100000 networks", &table, &misses, false);
}

fn regexp(criterion: &mut Criterion) {
    let options = OpenOptions::default();
    let text = expressions(1000);
    let table = RegexpTable::from_text(OsStr::new("bench"), text.as_bytes(), &options, &mut |_| {});
    let table = table.expect("opened");
    let misses: Vec<String> = (0..KEY_COUNT)
        .map(|n| format!("somebody.{n}@mail{}.example{}.com", n % 17, n % 300))
        .collect();
    let hits: Vec<String> = (0..KEY_COUNT)
        .map(|n| format!("somebody.{n}@mx{}.spam{}.com", n % 7, n % 200 * 5 + 1))
        .collect();
    measure(criterion, "1000 expressions", &table, &misses, false);
    measure(criterion, "1000 expressions", &table, &hits, true);
}

criterion_group!(benches, cidr, regexp);
criterion_main!(benches);
