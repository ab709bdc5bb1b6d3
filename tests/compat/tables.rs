//! Tables of all sizes, written by one side and read, checked or changed by the other.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{Outcome, TestDir};
use crate::oracle::{assert_clean, have, original};

/// The types of table that share a suffix, a library and these tests.
const TYPES: [&str; 2] = ["hash", "btree"];

/// What a table should hold.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn numbered(range: std::ops::Range<usize>) -> Model {
    let pair = |i: usize| {
        let key = format!("user{i:06}@example.com");
        (
            key.into_bytes(),
            format!("smtp:[mx{}.relay.example]:{}", i % 7, 25 + i % 600).into_bytes(),
        )
    };
    range.map(pair).collect()
}

/// Keys and values on both sides of every limit that sends them to overflow pages.
fn off_page() -> Model {
    let mut model = numbered(0..300);
    for (i, (key_len, value_len)) in [
        (5_000, 10),
        (5_000, 200_000),
        (10, 200_000),
        (1_000, 1_100),
        (4_060, 4_060),
        (40_000, 1),
    ]
    .into_iter()
    .chain((970..1_030).step_by(5).map(|len| (len, len)))
    .chain((2_000..2_060).step_by(5).map(|len| (20, len)))
    .chain((4_000..4_110).step_by(5).map(|len| (len, 20)))
    .enumerate()
    {
        let key = format!("long{i:03}.{}", "k".repeat(key_len - 8));
        model.insert(key.into_bytes(), b"v".repeat(value_len));
    }
    model
}

fn sets() -> Vec<(&'static str, Model)> {
    vec![
        ("no entries", Model::new()),
        ("1 entry", numbered(0..1)),
        ("2 entries", numbered(0..2)),
        ("1000 entries", numbered(0..1_000)),
        ("100000 entries", numbered(0..100_000)),
        ("off-page entries", off_page()),
    ]
}

fn each_set_and_type() -> impl Iterator<Item = ((&'static str, Model), &'static str)> {
    let each = |table_type| sets().into_iter().map(move |set| (set, table_type));
    TYPES.into_iter().flat_map(each)
}

fn text<'a>(pairs: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in pairs {
        for part in [key.as_slice(), b"\t", value.as_slice(), b"\n"] {
            text.extend_from_slice(part);
        }
    }
    text
}

fn lines<'a>(keys: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    keys.into_iter()
        .flat_map(|key| [key.as_slice(), b"\n"])
        .flatten()
        .copied()
        .collect()
}

/// Source, listing and answers all have the form `key TAB value LF`.
#[track_caller]
fn assert_holds(label: &str, listing: &Outcome, model: &Model) {
    let mut want: Vec<Vec<u8>> = model.iter().map(|pair| text([pair])).collect();
    want.sort_unstable();
    let got = listing.sorted_lines();
    let same = got.len() == want.len() && got.iter().zip(&want).all(|(got, want)| got == want);
    assert!(
        same,
        "{label}: {} pairs, not the {} expected\n{listing}",
        got.len(),
        want.len()
    );
}

/// Ours lists exactly the model and finds each key.
#[track_caller]
fn assert_ours_reads(label: &str, dir: &TestDir, table: &str, model: &Model) {
    let listing = dir.ours("rpostmap").args(["-s", table]).ok().stderr_is("");
    assert_holds(label, &listing, model);
    let answers = dir
        .ours("rpostmap")
        .args(["-q", "-", table])
        .stdin(lines(model.keys()));
    let answers = answers
        .finish()
        .status_is(i32::from(model.is_empty()))
        .stderr_is("");
    assert!(
        answers.stdout == text(model),
        "{label}: answers differ\n{answers}"
    );
}

#[test]
fn original_reads_checks_and_updates_our_tables() {
    if !have(&["postmap", "db5.3_verify", "db5.3_dump"]) {
        return;
    }
    for ((label, mut model), table_type) in each_set_and_type() {
        let table = &*format!("{table_type}:t");
        let label = &*format!("{table_type}, {label}");
        let dir = TestDir::new("ours");
        dir.write("t", text(&model));
        dir.ours("rpostmap")
            .args([table])
            .ok()
            .stdout_is("")
            .stderr_is("");
        assert_clean(&dir, "t.db");
        assert_ours_reads(label, &dir, table, &model);
        let listing = original(&dir, "postmap")
            .args(["-s", table])
            .ok()
            .stderr_is("");
        assert_holds(label, &listing, &model);
        let answers = original(&dir, "postmap")
            .args(["-q", "-", table])
            .stdin(lines(model.keys()));
        assert!(
            answers.finish().stdout == text(&model),
            "{label}: the original's answers"
        );
        let dump = original(&dir, "db5.3_dump").args(["-p", "t.db"]).ok();
        assert!(dumped(&dump) == model, "{label}: dump differs\n{dump}");

        // A thousand new, a thousand changed to another size, a thousand deleted: each step
        // through the library that made the format.
        let new = numbered(500_000..501_000);
        original(&dir, "postmap")
            .args(["-i", table])
            .stdin(text(&new))
            .ok()
            .stderr_is("");
        model.extend(new);
        assert_clean(&dir, "t.db");
        assert_ours_reads(label, &dir, table, &model);

        let step = (model.len() / 1_000).max(1);
        let changed: Model = model
            .iter()
            .step_by(step)
            .enumerate()
            .map(|(i, (key, value))| (key.clone(), value.repeat(1 + (i % 5) * 30)))
            .filter(|(_, value)| value.len() < 500_000)
            .collect();
        let update = original(&dir, "postmap")
            .args(["-r", "-i", table])
            .stdin(text(&changed));
        update.ok().stderr_is("");
        model.extend(changed);
        assert_clean(&dir, "t.db");
        assert_ours_reads(label, &dir, table, &model);

        let doomed: Vec<Vec<u8>> = model
            .keys()
            .rev()
            .step_by((model.len() / 1_000).max(1))
            .cloned()
            .collect();
        original(&dir, "postmap")
            .args(["-d", "-", table])
            .stdin(lines(&doomed))
            .ok();
        doomed.iter().for_each(|key| drop(model.remove(key)));
        assert_clean(&dir, "t.db");
        assert_ours_reads(label, &dir, table, &model);
    }
}

#[test]
fn ours_reads_the_originals_tables() {
    if !have(&["postmap"]) {
        return;
    }
    for ((label, model), table_type) in each_set_and_type() {
        let table = &*format!("{table_type}:t");
        let label = &*format!("{table_type}, {label}");
        for null in ["-N", "-n"] {
            let dir = TestDir::new("theirs");
            dir.write("t", text(&model));
            original(&dir, "postmap")
                .args([null, table])
                .ok()
                .stderr_is("");
            assert_ours_reads(label, &dir, table, &model);
        }
    }
}

#[test]
fn ours_reads_what_db_load_writes_in_every_page_size_and_order() {
    if !have(&["db5.3_load"]) {
        return;
    }
    let model = off_page();
    let pairs = lines(model.iter().flat_map(|(key, value)| [key, value]));
    for page_size in [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] {
        for (order, table_type) in [("1234", "hash"), ("4321", "hash")]
            .into_iter()
            .chain([("1234", "btree"), ("4321", "btree")])
        {
            let dir = TestDir::new("load");
            let page_size = format!("db_pagesize={page_size}");
            let order = format!("db_lorder={order}");
            let load = [
                "-T", "-t", table_type, "-c", &page_size, "-c", &order, "t.db",
            ];
            original(&dir, "db5.3_load").args(load).stdin(&*pairs).ok();
            let label = format!("{table_type} {page_size} {order}");
            assert_ours_reads(&label, &dir, &format!("{table_type}:t"), &model);
        }
    }
}

/// The pairs in the output of `db5.3_dump -p`, without the NUL that ends key and value.
fn dumped(dump: &Outcome) -> Model {
    let mut data = dump
        .stdout
        .split(|&byte| byte == b'\n')
        .skip_while(|line| *line != b"HEADER=END")
        .skip(1)
        .take_while(|line| *line != b"DATA=END")
        .map(|line| {
            let bytes = unescape(line.strip_prefix(b" ").expect("a space before the data"));
            bytes
                .strip_suffix(b"\0")
                .expect("a NUL at the end")
                .to_vec()
        });
    let mut model = Model::new();
    while let Some(key) = data.next() {
        model.insert(key, data.next().expect("a value after each key"));
    }
    model
}

/// `\\` is a backslash, `\xx` a byte in hexadecimal.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'\\', Some(b'\\')) => {
                out.push(b'\\');
                rest = &tail[1..];
            }
            (b'\\', _) => {
                let digits = std::str::from_utf8(&tail[..2]).expect("two hexadecimal digits");
                out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                rest = &tail[2..];
            }
            _ => out.push(byte),
        }
    }
    out
}

#[test]
fn unescape_undoes_what_db_dump_does() {
    for (text, bytes) in [
        ("abc\\00", &b"abc\0"[..]),
        ("a\\\\b", b"a\\b"),
        ("\\ff\\0a", b"\xff\n"),
        ("", b""),
    ] {
        assert_eq!(unescape(text.as_bytes()), bytes, "{text}");
    }
}

#[test]
fn ours_lists_several_values_of_a_key_in_the_originals_order_and_finds_the_first() {
    if !have(&["db5.3_load", "db5.3_dump"]) {
        return;
    }
    let mut pairs = Vec::new();
    for key_number in 0..300 {
        let long = if key_number % 40 == 0 { 1_200 } else { 0 };
        let key = format!("key{key_number:03}{}", "k".repeat(long));
        // Some fit on a page with their key, some need a tree of their own.
        let value_count = match key_number {
            50 => 400,
            99 => 30,
            _ if key_number % 7 == 0 => 6,
            _ => 1,
        };
        for value in 0..value_count {
            let long = if value % 5 == 4 { key_number * 5 } else { 0 };
            pairs.push((key.clone(), format!("v{value:03}{}", "x".repeat(long))));
        }
    }
    let text: String = pairs.iter().map(|(k, v)| format!("{k}\n{v}\n")).collect();
    let listed: String = pairs.iter().map(|(k, v)| format!("{k}\t{v}\n")).collect();
    let firsts: Vec<_> = pairs
        .chunk_by(|a, b| a.0 == b.0)
        .map(|all| &all[0])
        .collect();
    let keys: String = firsts.iter().map(|(key, _)| format!("{key}\n")).collect();
    let answers: String = firsts.iter().map(|(k, v)| format!("{k}\t{v}\n")).collect();
    for flag in ["duplicates=1", "dupsort=1"] {
        for page_size in [512, 4096] {
            for order in ["1234", "4321"] {
                let dir = TestDir::new("values");
                let page_size = format!("db_pagesize={page_size}");
                let order = format!("db_lorder={order}");
                let load = [
                    "-T", "-t", "btree", "-c", flag, "-c", &page_size, "-c", &order,
                ];
                let load = original(&dir, "db5.3_load").args(load).args(["t.db"]);
                load.stdin(&*text).ok();
                let case = format!("{flag} {page_size} {order}");
                let listing = dir.ours("rpostmap").args(["-s", "btree:t"]).ok();
                assert!(listing.stdout == listed.as_bytes(), "{case}\n{listing}");
                let found = dir.ours("rpostmap").args(["-q", "-", "btree:t"]);
                let found = found.stdin(&*keys).ok();
                assert!(found.stdout == answers.as_bytes(), "{case}\n{found}");
            }
        }
    }
}

#[test]
fn a_hash_file_is_never_larger_than_that_of_the_original() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let transport = |at: usize| {
        format!(
            "host{at:07}.example.com relay:[mx{}.example.net]:25\n",
            at % 7
        )
    };
    let short = |at: usize| format!("k{at} v\n");
    let long = |at: usize| {
        format!(
            "user{at}@sub{}.example.org {}\n",
            at % 97,
            "x".repeat(at % 900)
        )
    };
    let shapes: [(&str, &dyn Fn(usize) -> String); 3] = [
        ("transport", &transport),
        ("short", &short),
        ("long", &long),
    ];
    let dir = TestDir::new("size");
    for (shape, line) in shapes {
        // Some of the transport tables fill their buckets' pages nearly or just not by half.
        for count in [0, 1, 100, 300, 1_000, 3_000, 10_000, 16_800, 18_200, 18_400] {
            let text: String = (0..count).map(line).collect();
            dir.write("ours", &text);
            dir.write("theirs", &text);
            dir.ours("rpostmap").args(["hash:ours"]).ok();
            original(&dir, "postmap").args(["hash:theirs"]).ok();
            assert_clean(&dir, "ours.db");
            let len = |name| fs::metadata(dir.file(name)).expect("a table").len();
            let (ours, theirs) = (len("ours.db"), len("theirs.db"));
            assert!(ours <= theirs, "{count} of {shape}: {ours} and {theirs}");
        }
    }
}
