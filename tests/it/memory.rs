//! Sources larger than the memory that a table may be made with: the same table, and the same words.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::common::{TestDir, is_root, is_stand_in, shout};
use rpostmap::entries::OnDuplicate;
use rpostmap::source::{EntrySource, MapSource};
use rpostmap::table::{Missing, Source, TableUpdater};
use rpostmap::{CompileOptions, FileFormat, compile};

const TABLES: [(&str, &str); 4] = [
    ("hash", "t.db"),
    ("btree", "t.db"),
    ("lmdb", "t.lmdb"),
    ("cdb", "t.cdb"),
];

/// A source of `count` lines, with keys that come again near and far, long keys and values, and
/// lines that are none.
fn source(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let n = n * 7_919 % (count - count / 50);
        let key = match n % 997 {
            0 => format!("{}{n}", "long".repeat(100)),
            1 => format!("prefix-that-many-share-{}", n / 2),
            _ => format!("Host{n}.example.com"),
        };
        let value = match n % 1009 {
            0 => "v".repeat(3_000 + n % 9_000),
            _ => format!("relay:[mx{}.example.net]", n % 7),
        };
        text.push_str(&format!("{key} {value}\n"));
        if n.is_multiple_of(5_003) {
            text.push_str("no-value\n");
        }
    }
    text
}

#[test]
fn a_table_made_with_little_memory_is_the_same_and_so_are_the_warnings() {
    if is_stand_in() {
        return shout("memory: the original has no such option");
    }
    let dir = TestDir::new("memory");
    dir.write("t", source(20_000));
    for (kind, file) in TABLES {
        for options in ["", "-w", "-r", "-n -f"] {
            let words = || options.split_whitespace().map(str::to_owned);
            let table = format!("{kind}:t");
            let whole = dir.ours("rpostmap").args(words()).args([&table]).finish();
            let expect = fs::read(dir.file(file)).expect("made");
            fs::remove_file(dir.file(file)).expect("there");
            let whole = whole.status_is(0);
            assert!(whole.stderr.len() > 200, "some lines are wrong");
            let little = dir.ours("rpostmap").args(words());
            let little = little.args(["--memory=1M", &table]).finish();
            little.status_is(0).stderr_is(&whole.stderr);
            let made = fs::read(dir.file(file)).expect("made");
            assert!(made == expect, "{kind} {options}: {} bytes", made.len());
            assert_eq!(dir.mode(file), 0o644, "of the source");
            fs::remove_file(dir.file(file)).expect("there");
            assert_eq!(dir.names(), ["t"], "{kind} {options}");
        }
    }
}

/// A length of a source from which on its entries are gathered before any is looked for.
const LONG: u64 = 1 << 30;
/// Limits of memory, and lengths of a source as far as they are known.
const WAYS: [(Option<u64>, Option<u64>); 4] = [
    (None, None),
    (None, Some(LONG)),
    (Some(100_000), None),
    (Some(100_000), Some(LONG)),
];

/// What a library call made: the bytes of the table, the count of entries, and what was said.
type Made = (Vec<u8>, usize, Vec<String>);

/// Makes a table in memory and with little of it, of entries looked for one by one or all at once.
fn all_ways(format: FileFormat, text: &str, options: CompileOptions) -> [Made; 4] {
    WAYS.map(|(memory, len)| {
        let dir = TestDir::new("memory-library");
        let path = dir.file("t.db");
        let options = CompileOptions { memory, ..options };
        let source = || {
            Ok(Source {
                entries: MapSource::new("t", text.as_bytes(), true),
                len,
                mode: 0o600,
            })
        };
        let mut said = Vec::new();
        let mut notify = |notice: rpostmap::Notice| {
            said.push(notice.to_string().replace(&*path.to_string_lossy(), "t.db"))
        };
        let made = compile(format, &path, source, &options, &mut notify).expect("made");
        let bytes = fs::read(&path).expect("there");
        assert_eq!(made.len, bytes.len() as u64);
        (bytes, made.entry_count, said)
    })
}

#[test]
fn the_library_makes_the_same_table_whichever_entries_stay() {
    let text = source(8_000);
    let sorted: String = (0..8_000)
        .map(|n| format!("k{n:07} {n}\nk{n:07} again\n"))
        .collect();
    for text in [text, sorted] {
        for format in [
            FileFormat::Hash,
            FileFormat::Btree,
            FileFormat::Lmdb,
            FileFormat::Cdb,
        ] {
            for on_duplicate in [
                OnDuplicate::KeepFirst,
                OnDuplicate::KeepLast,
                OnDuplicate::KeepAll,
            ] {
                let options = CompileOptions {
                    on_duplicate,
                    ..CompileOptions::default()
                };
                let [whole, others @ ..] = all_ways(format, &text, options);
                assert!(whole.2.len() > 100, "{} notices", whole.2.len());
                for (other, way) in others.iter().zip(&WAYS[1..]) {
                    assert!(whole == *other, "{format:?} {on_duplicate:?} {way:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_far_in_a_source_comes_behind_the_warnings_before_it() {
    if is_stand_in() {
        return shout("memory: the original has no such option");
    }
    let dir = TestDir::new("memory-bad");
    let text = source(30_000) + &"k".repeat(600) + " v\n" + &source(1_000);
    dir.write("t", text);
    let whole = dir.ours("rpostmap").args(["lmdb:t"]).finish().status_is(1);
    let words = ["--memory=1M", "lmdb:t"];
    let little = dir.ours("rpostmap").args(words).finish();
    little.status_is(1).stderr_is(&whole.stderr);
    assert_eq!(dir.names(), ["t"]);
}

#[test]
fn marks_of_aliases_are_entries_like_others() {
    let dir = TestDir::new("memory-aliases");
    let names: String = (0..40_000)
        .map(|n| format!("name{}: user{n}\n", n * 7 % 39_990))
        .collect();
    let text = format!("\"@\": x\n{names}\"@\": again\n");
    for format in [FileFormat::Btree, FileFormat::Cdb] {
        let [whole, others @ ..] = WAYS.map(|(memory, len)| {
            let path = dir.file("u.db");
            let options = CompileOptions {
                memory,
                ..CompileOptions::default()
            };
            let mut said = Vec::new();
            let source = || {
                let entries = rpostmap::source::AliasSource::new("t", text.as_bytes(), true);
                let entries = entries.with_nis_marks(std::time::UNIX_EPOCH, b"host");
                assert_eq!(entries.marks().len(), 3);
                Ok(Source {
                    entries,
                    len,
                    mode: 0o600,
                })
            };
            let mut notify = |notice: rpostmap::Notice| said.push(notice.to_string());
            compile(format, &path, source, &options, &mut notify).expect("made");
            (fs::read(&path).expect("there"), said)
        });
        assert!(
            whole.1.iter().any(|text| text.ends_with("\"@\"")),
            "{:?}",
            whole.1
        );
        assert!(others.iter().all(|other| whole == *other), "{format:?}");
    }
}

#[test]
fn many_warnings_are_said_before_they_fill_the_memory() {
    let odd = format!("{}\n", "no-value-".repeat(100));
    let text: String = (0..9_000)
        .map(|n| format!(" {odd}k{} {n}\n\"{odd}", n * 7 % 8_000))
        .collect();
    let options = CompileOptions::default();
    let [whole, others @ ..] = all_ways(FileFormat::Hash, &text, options);
    assert_eq!((whole.1, whole.2.len()), (8_000, 10_001));
    assert!(others.iter().all(|other| whole == *other));
}

/// Entries added to a table that has some of them, and to none.
#[test]
fn entries_added_at_once_are_those_added_one_by_one() {
    let text = source(12_000);
    let shorter = source(9_000);
    for format in [FileFormat::Hash, FileFormat::Btree, FileFormat::Lmdb] {
        for on_duplicate in [OnDuplicate::KeepFirst, OnDuplicate::KeepLast] {
            for old in ["", &shorter] {
                let [one_by_one, at_once] = [None, Some(LONG)].map(|len| {
                    let dir = TestDir::new("memory-added");
                    let path = dir.file("t.db");
                    let options = CompileOptions {
                        on_duplicate,
                        ..CompileOptions::default()
                    };
                    let source = |text| Source {
                        entries: MapSource::new("t", text, true),
                        len,
                        mode: 0o600,
                    };
                    let mut said = Vec::new();
                    let mut notify = |notice: rpostmap::Notice| {
                        said.push(notice.to_string().replace(&*path.to_string_lossy(), "t.db"))
                    };
                    if !old.is_empty() {
                        let source = || Ok(source(old.as_bytes()));
                        compile(format, &path, source, &options, &mut notify).expect("made");
                    }
                    let missing = Missing::Create { mode: 0o600 };
                    let table = TableUpdater::open(format, &path, missing, &mut notify);
                    let mut table = table.expect("opened");
                    let mut source = source(text.as_bytes());
                    table
                        .add(&mut source, &options, &mut notify)
                        .expect("added");
                    assert!(table.contains(b"host2.example.com\0").expect("told"));
                    assert!(!table.contains(b"host2.example.com").expect("told"));
                    table.commit(&mut notify).expect("written");
                    (fs::read(&path).expect("there"), said)
                });
                let expect_many = on_duplicate == OnDuplicate::KeepFirst;
                assert!(one_by_one.1.len() > if expect_many { 200 } else { 2 });
                assert!(one_by_one.1 == at_once.1, "{format:?} {on_duplicate:?}");
                let same = one_by_one.0 == at_once.0;
                assert!(same, "{format:?} {on_duplicate:?} {}", old.len());
            }
        }
    }
}

#[test]
fn a_directory_that_takes_no_file_has_its_table_rewritten_in_place() {
    if is_stand_in() {
        return shout("memory: the original has no such option");
    }
    if !is_root() {
        return shout("memory: needs root to become another user");
    }
    let dir = TestDir::new("memory-in-place");
    let text = source(30_000);
    dir.write("t", &text);
    dir.ours("rpostmap").args(["hash:t"]).finish().status_is(0);
    let expect = fs::read(dir.file("t.db")).expect("made");
    fs::create_dir(dir.file("d")).expect("made");
    dir.write("d/t", &text);
    dir.write("d/t.db", "x");
    fs::set_permissions(dir.file("d/t.db"), Permissions::from_mode(0o666)).expect("set");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("set");
    let words = ["--memory=1M", "hash:d/t"];
    let end = dir.ours("rpostmap").args(words).user(65_534).finish();
    let end = end.status_is(0);
    assert!(
        String::from_utf8_lossy(&end.stderr).contains("rewriting in place"),
        "{end}"
    );
    assert!(fs::read(dir.file("d/t.db")).expect("there") == expect);
}

#[cfg(feature = "lmdb")]
#[test]
fn an_lmdb_table_that_programs_use_is_changed_in_place_all_the_same() {
    if is_stand_in() {
        return shout("memory: the original has no such option");
    }
    let dir = TestDir::new("memory-lock-file");
    dir.write("t", source(20_000));
    let list = || dir.ours("rpostmap").args(["-s", "lmdb:t"]).finish().stdout;
    let whole = dir.ours("rpostmap").args(["lmdb:t"]).finish().status_is(0);
    let expect = list();
    dir.write("t.lmdb-lock", "");
    let end = dir
        .ours("rpostmap")
        .args(["--memory=1M", "lmdb:t"])
        .finish();
    end.status_is(0).stderr_is(&whole.stderr);
    assert!(expect.len() > 500_000 && list() == expect);
}

/// A limit of the length of files, which some shells set, ends no run without a word.
#[test]
fn a_file_that_may_not_get_long_enough_is_an_error() {
    if is_stand_in() {
        return shout("memory: the original has no such option");
    }
    for (kind, _) in TABLES {
        let dir = TestDir::new("memory-limit");
        dir.write("t", source(30_000));
        let _ = dir.ours("rpostmap");
        let script = format!("ulimit -f 400; rpostmap --memory=1M {kind}:t");
        let end = dir.shell(&script).finish().status_is(1);
        let text = String::from_utf8_lossy(&end.stderr).into_owned();
        assert!(text.ends_with("File too large\n"), "{kind}: {end}");
        assert_eq!(dir.names(), ["t"]);
    }
}

/// Runs in a mount namespace of its own, so that nothing is left mounted.
const FULL: &str = r#"
    mkdir small && mount -t tmpfs -o size=800k none small || exit 77
    source=$PWD/t
    cd small
    printf 'a old\n' > t && rpostmap $1:t && rm t && ln -s "$source" t || exit 1
    rpostmap --memory=1M $1:t
    echo "status $?"
    rpostmap -s $1:t
    ls -A
"#;

#[test]
fn a_full_disk_leaves_the_old_table_and_nothing_else() {
    if is_stand_in() {
        return shout("memory: the original has no such option");
    }
    if !is_root() {
        return shout("memory: full disk: needs root");
    }
    for (kind, file) in TABLES {
        let dir = TestDir::new("memory-full");
        dir.write("t", source(40_000));
        let _ = dir.ours("rpostmap");
        let run = dir.run("/usr/bin/unshare");
        let end = run.args(["-m", "sh", "-c", FULL, "sh", kind]).finish();
        if end.status == 77 || end.stderr.starts_with(b"unshare:") {
            return shout(format_args!("memory: full disk: cannot mount\n{end}"));
        }
        let message = match kind {
            "cdb" => "error writing t.cdb.tmp".to_owned(),
            _ => format!("write {file}"),
        };
        let message = format!("rpostmap: fatal: {message}: No space left on device\n");
        let last = end
            .stderr
            .split_inclusive(|&byte| byte == b'\n')
            .next_back();
        assert_eq!(last, Some(message.as_bytes()), "{end}");
        end.stdout_is(format!("status 1\na\told\nt\n{file}\n"));
    }
}
