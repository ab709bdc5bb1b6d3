//! Table sources and keys, made up: the same in every run.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// How many keys the files of keys have at most.
const KEY_COUNT_MAX: usize = 1_000_000;

/// The name of a file with further entries, which a long table has none of.
pub(crate) const MORE: &str = "more";

/// A prime that divides no power of ten: steps of it visit every number below one.
const STEP: usize = 7_919_993;

/// The numbers below `count`, in an order that jumps about.
pub(crate) fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |n| n * STEP % count)
}

pub(crate) fn transport_key(n: usize) -> String {
    format!("host{n:08}.customer{:03}.example.com", n % 1000)
}

pub(crate) fn transport_value(n: usize) -> String {
    format!("relay:[mx{}.example.net]:25", n % 97)
}

fn password_key(n: usize) -> String {
    format!("[submission{n:08}.example.org]:587")
}

/// Writes into a new directory `dir`: `transport` and `relay_password` with `count` entries each,
/// `more` with as many others for the first, `hits` and `misses` with keys of it, and a main.cf.
pub(crate) fn write(dir: &Path, count: usize) {
    fs::create_dir(dir).expect("a new directory");
    lines(dir, "main.cf", ["compatibility_level = 3.6".to_string()]);
    lines(
        dir,
        "transport",
        shuffled(count).map(|n| format!("{} {}", transport_key(n), transport_value(n))),
    );
    lines(
        dir,
        "relay_password",
        shuffled(count)
            .map(|n| format!("{} user{n}:secret-{:08x}", password_key(n), n * 2_654_435)),
    );
    let key_count = count.min(KEY_COUNT_MAX);
    if count <= KEY_COUNT_MAX {
        let more = shuffled(count).map(|n| (count + n, n));
        let more = more.map(|(n, m)| format!("{} {}", transport_key(n), transport_value(m)));
        lines(dir, MORE, more);
    }
    // From the end, so that the order is not that of the source.
    let hits = shuffled(count).map(|n| transport_key(count - 1 - n));
    lines(dir, "hits", hits.take(key_count));
    let misses = shuffled(count).map(|n| transport_key(count + n));
    lines(dir, "misses", misses.take(key_count));
}

fn lines(dir: &Path, name: &str, lines: impl IntoIterator<Item = String>) {
    let file = File::create(dir.join(name)).expect("created");
    let mut file = BufWriter::new(file);
    for line in lines {
        writeln!(file, "{line}").expect("written");
    }
    file.into_inner().expect("written");
    age(&dir.join(name));
}

/// Makes a file look old: the original waits for files changed within the last second.
fn age(path: &Path) {
    let times = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    let file = File::options().write(true).open(path).expect("opened");
    file.set_times(times).expect("set");
}
