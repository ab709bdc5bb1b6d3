//! Tests of tables that follow their files.

use super::*;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;

use crate::entries::Entries;
use crate::file::testing::TestDir;
use crate::table::FileFormat;

/// Puts a table with the key `k` in the place of `path`, by a rename.
fn put_hash(path: &Path, value: &str) {
    let mut entries = Entries::new();
    let value = format!("{value}\0");
    entries.insert(b"k\0", value.as_bytes()).unwrap();
    let mut file = Vec::new();
    FileFormat::Hash
        .build(&Default::default(), &entries, &mut file)
        .unwrap();
    put(path, &file);
}

fn put(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(&new, path).unwrap();
}

/// A live table that is looked at only when asked, and what it told.
fn open(spec: &str) -> (LiveTable, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let reload = Reload {
        interval: Duration::MAX,
        listener: Listener::new(move |event| hear.lock().unwrap().push(event.to_string())),
    };
    let spec = TableSpec::parse(OsStr::new(spec), "");
    let table = LiveTable::open(spec, OpenOptions::default(), reload).unwrap();
    (table, told)
}

fn value(table: &LiveTable, key: &str) -> Option<String> {
    let value = table.lookup(key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8(value.into_owned()).unwrap())
}

#[test]
fn new_content_answers_and_bad_content_does_not() {
    let dir = TestDir::new();
    let (path, name) = (dir.path("t.db"), dir.path("t"));
    put_hash(&path, "1");
    let spec = format!("hash:{}", name.display());
    let (table, told) = open(&spec);
    assert_eq!(value(&table, "k").as_deref(), Some("1"));

    put_hash(&path, "2");
    assert_eq!(
        value(&table, "k").as_deref(),
        Some("1"),
        "not yet looked at"
    );
    table.refresh();
    assert_eq!(value(&table, "k").as_deref(), Some("2"));
    table.refresh();
    assert_eq!(
        told.lock().unwrap().drain(..).collect::<Vec<_>>(),
        [format!("{spec}: reloaded")]
    );

    // Damage behind the first page is not seen by opening alone.
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    let tail = bad.len() / 2;
    bad[tail..].fill(0xff);
    for (content, why) in [(&bad[..], "damaged"), (b"", "empty")] {
        put(&path, content);
        table.refresh();
        table.refresh();
        assert_eq!(value(&table, "k").as_deref(), Some("2"), "{why}");
        let told: Vec<_> = told.lock().unwrap().drain(..).collect();
        assert_eq!(told.len(), 1, "{why}: {told:?}");
        assert!(told[0].contains("still using the old content"), "{told:?}");
    }
    fs::remove_file(&path).unwrap();
    table.refresh();
    assert_eq!(value(&table, "k").as_deref(), Some("2"));
    assert!(told.lock().unwrap().pop().unwrap().contains("No such file"));

    put_hash(&path, "3");
    table.refresh();
    assert_eq!(value(&table, "k").as_deref(), Some("3"));
    assert_eq!(table.iter().unwrap().count(), 1);
}

#[test]
fn texts_and_rules_and_tables_inside_others_are_followed() {
    let dir = TestDir::new();
    let path = dir.path("t");
    for (spec, first, second) in [
        (format!("texthash:{}", path.display()), "k 1\n", "k 2\n"),
        (
            format!("regexp:{}", path.display()),
            "/^k$/ 1\n",
            "/^k$/ 2\n",
        ),
        (
            format!("pipemap:{{texthash:{},inline:{{1=1,2=2}}}}", path.display()),
            "k 1\n",
            "k 2\n",
        ),
        (
            format!("debug:unionmap:{{texthash:{}}}", path.display()),
            "k 1\n",
            "k 2\n",
        ),
    ] {
        put(&path, first.as_bytes());
        let (table, _) = open(&spec);
        assert_eq!(value(&table, "k").as_deref(), Some("1"), "{spec}");
        put(&path, second.as_bytes());
        table.refresh();
        assert_eq!(value(&table, "k").as_deref(), Some("2"), "{spec}");
        // The same length, in place, perhaps within one step of the file system's clock.
        fs::write(&path, first).unwrap();
        table.refresh();
        assert_eq!(value(&table, "k").as_deref(), Some("1"), "{spec}");
    }
}

#[test]
fn a_file_is_looked_at_once_in_an_interval() {
    let clock = Clock::new(Duration::from_secs(3600));
    assert!(!clock.is_due());
    assert!(!Clock::new(Duration::MAX).is_due());
    let clock = Clock::new(Duration::ZERO);
    assert!(clock.is_due() && clock.is_due());
    let clock = Clock::new(Duration::from_millis(1));
    thread::sleep(Duration::from_millis(5));
    let due: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| clock.is_due())).collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert!((1..=4).contains(&due));
}

#[test]
fn lookups_go_on_while_files_change() {
    let dir = TestDir::new();
    let path = dir.path("t.db");
    put_hash(&path, "0");
    let spec = TableSpec::parse(OsStr::new(&format!("hash:{}", dir.path("t").display())), "");
    let reload = Reload {
        interval: Duration::ZERO,
        listener: Listener::default(),
    };
    let table = LiveTable::open(spec, OpenOptions::default(), reload).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let now: u32 = value(&table, "k").unwrap().parse().unwrap();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            });
        }
        for number in 1..=100 {
            put_hash(&path, &number.to_string());
            if number % 10 == 0 {
                // Nobody is disturbed by what is no table, either.
                put(&path, b"no table");
                thread::sleep(Duration::from_millis(1));
                put_hash(&path, &number.to_string());
            }
        }
        thread::sleep(Duration::from_millis(5));
        done.store(true, Ordering::Relaxed);
    });
    table.refresh();
    assert_eq!(value(&table, "k").as_deref(), Some("100"));
}
