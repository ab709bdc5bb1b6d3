//! `lmdb:` tables made and changed by ours, next to LMDB's own programs and the original.

use std::fs;
use std::time::Duration;

use rpostmap::entries::Entries;
use rpostmap::lmdb::LmdbBuilder;

use crate::common::{Outcome, TestDir, sorted_lines};
use crate::interleaved::{Model, change, text};
use crate::oracle::{have, original};

/// How many changes both programs make to one table, unless the environment says more.
const CHANGES: u32 = 1000;
const CHANGES_VARIABLE: &str = "RPOSTMAP_LMDB_CHANGES";

/// Requires that LMDB's own programs can do everything with the file, also a compaction, and that
/// ours find nothing wrong with it.
#[track_caller]
fn assert_good(dir: &TestDir, file: &str) -> Outcome {
    // These programs leave a lock file beside what they open.
    fs::copy(dir.file(file), dir.file("copy")).unwrap();
    original(dir, "mdb_stat").args(["-nef", "copy"]).ok();
    let dump = original(dir, "mdb_dump").args(["-n", "copy"]).ok();
    for (options, target) in [(&["-n"][..], "plain"), (&["-n", "-c"], "compact")] {
        let copy = original(dir, "mdb_copy")
            .args(options)
            .args(["copy", target]);
        copy.ok().stderr_is("");
        let again = original(dir, "mdb_dump").args(["-n", target]).ok();
        let entries = |dump: &Outcome| {
            let at = dump
                .stdout
                .windows(10)
                .position(|text| text == b"HEADER=END");
            dump.stdout[at.expect("a header")..].to_vec()
        };
        assert!(entries(&again) == entries(&dump), "{file}: {target}");
    }
    for name in ["copy", "plain", "compact"] {
        for suffix in ["", "-lock"] {
            fs::remove_file(dir.file(&format!("{name}{suffix}"))).unwrap();
        }
    }
    dir.ours("rpostmap")
        .args(["verify", &format!("lmdb:{}", table(file))])
        .ok();
    dump
}

/// The name of a table file without its suffix.
fn table(file: &str) -> &str {
    file.strip_suffix(".lmdb").unwrap()
}

#[test]
fn files_of_all_shapes_are_good_to_the_library() {
    if !have(&["mdb_stat", "mdb_dump", "mdb_copy"]) {
        return;
    }
    let dir = TestDir::new("lmdb");
    type Entry = (Vec<u8>, Vec<u8>);
    let shapes: [Vec<Entry>; 7] = [
        Vec::new(),
        vec![(b"k\0".to_vec(), b"v\0".to_vec())],
        // Around the limit of what stays in a leaf, and of what fits on one overflow page.
        (0..60u8)
            .map(|i| (vec![b'k', i], vec![i; 2000 + usize::from(i)]))
            .chain((0..20u8).map(|i| (vec![b'l', i], vec![i; 4070 + usize::from(i)])))
            .collect(),
        (0..17u32)
            .map(|i| {
                (
                    format!("{i:06}{}", "k".repeat(505)).into(),
                    vec![b'v'; 1500],
                )
            })
            .collect(),
        (0..3000u32)
            .map(|i| (format!("{i:06}{}", "k".repeat(505)).into(), vec![b'v']))
            .collect(),
        (0..9u8).map(|i| (vec![i], vec![i; 200_000])).collect(),
        (0..50_000u32)
            .map(|i| {
                (
                    format!("user{i:06}@example.com\0").into(),
                    format!("{i}\0").into(),
                )
            })
            .collect(),
    ];
    for shape in shapes {
        let mut entries = Entries::new();
        for (key, value) in &shape {
            entries.insert(key, value).unwrap();
        }
        let mut file = Vec::new();
        LmdbBuilder::new().build(&entries, &mut file).unwrap();
        dir.write("t.lmdb", &file);
        let dump = assert_good(&dir, "t.lmdb");
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let expect: String = shape
            .iter()
            .map(|(key, value)| format!(" {}\n {}\n", hex(key), hex(value)))
            .collect();
        let dumped = String::from_utf8(dump.stdout).unwrap();
        let (_, dumped) = dumped.split_once("HEADER=END\n").unwrap();
        assert!(dumped == expect + "DATA=END\n", "{} entries", shape.len());
    }
}

#[test]
fn both_programs_make_the_same_of_the_same_source_and_read_each_other() {
    if !have(&["postmap", "mdb_stat", "mdb_dump", "mdb_copy"]) {
        return;
    }
    let dir = TestDir::new("lmdb");
    let mut source = String::new();
    for i in 0..100_000u32 {
        source.push_str(&match i % 10 {
            0 => format!("\"Quoted {i}\"@example.com value {i}\n"),
            1 => format!("STRA\u{df}E{i}@b\u{dc}cher.example \u{e4}{i}\n"),
            2 => format!("\u{3a3}\u{1f66}{i} x\n  continued {i}\n"),
            3 if i % 100 == 3 => format!("long{i} {}\n", "v".repeat(3000 + i as usize % 3000)),
            4 if i % 500 == 4 => format!("{}{i} 1\n", "K".repeat(490)),
            5 => format!("dup{} {i}\n", i % 7000),
            _ => format!("user{i}@example.com mailbox{i}/\n"),
        });
    }
    source.push_str("# comment\n\nbroken\nalias: x\n");
    dir.write("ours", &source);
    dir.write("theirs", &source);
    let ours = dir.ours("postmap").args(["lmdb:ours"]).ok();
    let theirs = original(&dir, "postmap").args(["lmdb:theirs"]).ok();
    let renamed = |outcome: &Outcome| {
        let text = String::from_utf8_lossy(&outcome.stderr).replace("theirs", "ours");
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        // The original starts again when its map is full, and says everything once more.
        lines.sort_unstable();
        lines.dedup();
        lines
    };
    assert_eq!(renamed(&ours), renamed(&theirs));
    let ours = dir.ours("postmap").args(["-s", "lmdb:ours"]).ok();
    assert!(ours.stdout.len() > 1_000_000);
    for (program, file) in [("ours", "theirs"), ("theirs", "ours"), ("theirs", "theirs")] {
        let run = match program {
            "ours" => dir.ours("postmap"),
            _ => original(&dir, "postmap"),
        };
        let listed = run.args(["-s", &format!("lmdb:{file}")]).ok();
        assert!(listed.stdout == ours.stdout, "{program} reads {file}");
    }
    assert_good(&dir, "ours.lmdb");
}

#[test]
fn ours_and_the_original_add_at_once() {
    if !have(&["postmap", "mdb_stat", "mdb_dump", "mdb_copy"]) {
        return;
    }
    let dir = TestDir::new("lmdb");
    let part = |part: u32| -> String { (0..300).map(|i| format!("p{part}.{i} {i}\n")).collect() };
    let base: String = (0..20_000).map(|i| format!("base{i:05}\t{i}\n")).collect();
    dir.write("t", &base);
    // The original's `-i` loses entries of a new hash table when several make it at once.
    dir.write("h", "first 1\n");
    original(&dir, "postmap").args(["hash:h"]).ok();
    for with_table in [false, true] {
        if with_table {
            dir.ours("rpostmap").args(["lmdb:t"]).ok();
        }
        let mut running = Vec::new();
        for number in 0..10 {
            let ours = dir.ours("rpostmap").args(["-i", "lmdb:t"]);
            running.push(ours.stdin(part(number)).start());
            let theirs = original(&dir, "postmap").args(["-ir", "hash:h"]);
            running.push(theirs.stdin(part(number)).start());
        }
        // The original reads meanwhile: an old state or a new one.
        while running.iter_mut().any(|run| run.is_running()) {
            if !dir.file("t.lmdb").exists() || !with_table {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            original(&dir, "postmap")
                .args(["-q", "base00777", "lmdb:t"])
                .ok()
                .stdout_is("777\n");
        }
        for run in running {
            run.finish().status_is(0).stderr_is("");
        }
        let mut expect: Vec<u8> = (0..10)
            .flat_map(|p| part(p).replace(' ', "\t").into_bytes())
            .collect();
        for (table, more) in [
            ("lmdb:t", if with_table { base.as_str() } else { "" }),
            ("hash:h", "first\t1\n"),
        ] {
            let before = expect.len();
            expect.extend_from_slice(more.as_bytes());
            for run in [dir.ours("rpostmap"), original(&dir, "postmap")] {
                let listed = run.args(["-s", table]).ok();
                assert!(
                    listed.sorted_lines() == sorted_lines(&expect),
                    "{table}\n{listed}"
                );
            }
            expect.truncate(before);
        }
        assert_good(&dir, "t.lmdb");
    }
}

#[test]
fn the_original_reads_while_ours_build_and_change() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("lmdb");
    let source = |tag: &str| -> String {
        (0..20_000)
            .map(|i| format!("key{i:05}\t{tag}{i}\n"))
            .collect()
    };
    dir.write("t", source("a"));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let few: String = (0..500)
        .map(|i| format!("key{:05} a{}\n", i * 40, i * 40))
        .collect();
    for round in 0..15 {
        let change = match round % 3 {
            0 => dir.ours("rpostmap").args(["lmdb:t"]),
            _ => dir
                .ours("rpostmap")
                .args(["-ir", "lmdb:t"])
                .stdin(few.as_str()),
        };
        let mut change = change.start();
        while change.is_running() {
            let listed = original(&dir, "postmap").args(["-s", "lmdb:t"]).ok();
            assert!(listed.stdout == source("a").as_bytes(), "round {round}");
            let run = original(&dir, "postmap").args(["-q", "key00040", "lmdb:t"]);
            run.ok().stdout_is("a40\n");
        }
        change.finish().status_is(0).stderr_is("");
    }
}

#[test]
fn both_programs_change_one_table_in_turn() {
    if !have(&["postmap", "mdb_stat", "mdb_dump", "mdb_copy"]) {
        return;
    }
    let changes = std::env::var(CHANGES_VARIABLE).ok();
    let changes = changes
        .and_then(|text| text.parse().ok())
        .unwrap_or(CHANGES);
    let dir = TestDir::new("lmdb");
    let mut model: Model = (0..3_000)
        .map(|i| (format!("user{i}@example.com"), format!("start{i}")))
        .collect();
    dir.write("t", text(&model));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let mut number = 20_261_121u64;
    let mut random = |end: u32| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from((number >> 33) % u64::from(end)).unwrap()
    };
    let mut done = 0;
    while done < changes {
        let options = ["-i", "-ir", "-d"][random(3) as usize];
        // In most rounds few enough to be made in place.
        let count = [1, 5, 40, 300][random(4) as usize].min(changes - done);
        let mut input = String::new();
        for _ in 0..count {
            let key = match random(50) {
                0 => format!("{}{}", random(100), "k".repeat(480)),
                _ => format!("user{}@example.com", random(6_000)),
            };
            let value = match random(40) {
                0 => "v".repeat(1_000 + random(19_000) as usize),
                _ => format!("mailbox{}/", random(1_000_000)),
            };
            input.push_str(&change(&mut model, options, key, value));
        }
        done += count;
        let program = match random(2) {
            0 => dir.ours("rpostmap"),
            _ => original(&dir, "postmap"),
        };
        let words: &[&str] = match options {
            "-d" => &["-d", "-"],
            _ => &[options],
        };
        let end = program.args(words).args(["lmdb:t"]).stdin(input).finish();
        let nothing_to_delete = options == "-d" && end.status == 1;
        assert!(end.status == 0 || nothing_to_delete, "after {done}: {end}");
        dir.ours("rpostmap").args(["verify", "lmdb:t"]).ok();
        let listed = dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
        assert!(
            listed.stdout == text(&model).as_bytes(),
            "after {done}, {options}"
        );
        if random(5) == 0 || done == changes {
            let listed = original(&dir, "postmap").args(["-s", "lmdb:t"]).ok();
            assert!(
                listed.stdout == text(&model).as_bytes(),
                "after {done}, {options}"
            );
            assert_good(&dir, "t.lmdb");
        }
    }
}
