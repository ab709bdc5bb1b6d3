//! Files of every version that Berkeley DB has written: changed where that is allowed, refused
//! where it is not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rpostmap::bdb::verify::verify;
use rpostmap::file::store::Store;

use crate::common::raw::{Raw, UID, VERSION};
use crate::common::{TestDir, package_file, sorted_lines};
use crate::oracle::{assert_clean, have, original};

type Lines = BTreeMap<String, String>;

/// `key TAB value LF` of what all files in tests/data/bdb hold.
pub(crate) fn real_pairs() -> Vec<u8> {
    let pairs = real_lines().into_iter();
    pairs
        .flat_map(|(key, value)| format!("{key}\t{value}\n").into_bytes())
        .collect()
}

fn real_lines() -> Lines {
    let text = fs::read_to_string(package_file("tests/data/bdb/entries.txt")).expect("entries");
    let lines: Vec<&str> = text.lines().collect();
    lines
        .chunks_exact(2)
        .map(|pair| (pair[0].into(), pair[1].into()))
        .collect()
}

fn text(lines: &Lines) -> String {
    lines
        .iter()
        .map(|(key, value)| format!("{key}\t{value}\n"))
        .collect()
}

fn fixture(name: &str) -> Vec<u8> {
    let path = package_file("tests/data/bdb").join(format!("{name}.db"));
    fs::read(path).expect("fixture")
}

#[test]
fn files_of_versions_6_and_7_are_refused_by_updates_and_left_alone() {
    for (name, version) in [
        ("libdb-3.0-hash-4096-le", 6),
        ("libdb-4.0-hash-4096-be", 7),
        ("libdb-4.0-hash-512-le", 7),
    ] {
        let dir = TestDir::new("old");
        let path = dir.write("t.db", fixture(name));
        let before = fs::metadata(&path).expect("stat");
        for (words, input) in [
            (&["-i", "hash:t"][..], "added value\n"),
            (&["-i", "-r", "hash:t"], "k value\n"),
            (&["-d", "-", "hash:t"], "k\n"),
            (&["-d", "user1@example.com", "hash:t"], ""),
        ] {
            let refused = dir.ours("rpostmap").args(words).stdin(input).finish();
            let refused = refused.status_is(1).stdout_is("");
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            let expect = format!("update of Berkeley DB hash version {version} is not supported");
            assert!(said.contains(&expect), "{name}, {words:?}\n{refused}");
        }
        assert!(
            fs::read(&path).expect("read") == fixture(name),
            "{name}: changed"
        );
        let after = fs::metadata(&path).expect("stat");
        assert_eq!(after.mtime(), before.mtime(), "{name}: touched");
        assert_eq!(dir.names(), ["t.db"]);
    }
}

/// Few changes at a time, so that they are made in place. The keys in these files end in no NUL.
fn check_updates(label: &str, start: &[u8], mut model: Lines) {
    let dir = TestDir::new("update");
    let path = dir.write("t.db", start);
    let inode = fs::metadata(&path).expect("stat").ino();
    let mut next = 0;
    for round in 0..12 {
        let (words, input): (&[&str], String) = match round % 3 {
            0 => {
                let added: Lines = (next..next + 8)
                    .map(|i| (format!("added{i}@example.com"), format!("value{i}")))
                    .collect();
                next += 8;
                model.extend(added.clone());
                (&["-f", "-n", "-i"], text(&added))
            }
            1 => {
                let changed: Lines = model
                    .keys()
                    .step_by(model.len() / 4)
                    .enumerate()
                    .map(|(at, key)| (key.clone(), "w".repeat(1 + at * 60)))
                    .collect();
                model.extend(changed.clone());
                (&["-f", "-n", "-i", "-r"], text(&changed))
            }
            _ => {
                let doomed: Vec<String> = model
                    .keys()
                    .skip(round)
                    .step_by(9)
                    .take(12)
                    .cloned()
                    .collect();
                doomed.iter().for_each(|key| drop(model.remove(key)));
                (&["-f", "-d", "-"], doomed.join("\n") + "\n")
            }
        };
        // The original takes a turn now and then.
        let program = match round {
            6..=8 => original(&dir, "postmap"),
            _ => dir.ours("rpostmap"),
        };
        let end = program.args(words).args(["hash:t"]).stdin(input).finish();
        end.status_is(0).stderr_is("");
        let label = format!("{label}, round {round}");
        let file = Raw::new(fs::read(&path).expect("read"));
        assert_eq!(file.bytes[UID], start[UID], "{label}: not in place");
        assert_eq!(file.meta(VERSION), Raw::new(start).meta(VERSION), "{label}");
        assert_eq!(file.bytes[26], start[26], "{label}: checksums");
        assert_clean(&dir, "t.db");
        let expect = text(&model);
        let keys: String = model.keys().map(|key| format!("{key}\n")).collect();
        let query = original(&dir, "postmap").args(["-f", "-q", "-", "hash:t"]);
        let found = query.stdin(keys).ok();
        assert!(
            found.stdout == expect.as_bytes(),
            "{label}: answers\n{found}"
        );
        let report = verify(&Store::from_bytes(&*file.bytes)).expect("verify");
        assert!(report.is_clean(), "{label}: {:?}", report.defects);
        for program in [dir.ours("rpostmap"), original(&dir, "postmap")] {
            let listed = program.args(["-s", "hash:t"]).ok();
            assert!(
                listed.sorted_lines() == sorted_lines(expect.as_bytes()),
                "{label}\n{listed}"
            );
        }
    }
    assert_eq!(fs::metadata(&path).expect("stat").ino(), inode);
}

#[test]
fn files_of_versions_8_and_9_are_updated_in_place_and_the_original_agrees() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    for name in [
        "libdb-4.5-hash-512-le",
        "libdb-4.5-hash-512-be",
        "libdb-4.5-hash-4096-le",
        "libdb-4.5-hash-4096-be",
        "libdb-5.3-hash-512-le",
        "libdb-5.3-hash-512-be",
        "libdb-5.3-hash-4096-le",
        "libdb-5.3-hash-4096-be",
        "libdb-5.3-hash-65536-le",
        "libdb-5.3-hash-checksum-4096-le",
    ] {
        check_updates(name, &fixture(name), real_lines());
    }
}

#[test]
fn files_of_every_page_size_with_and_without_checksums_are_updated_in_place() {
    if !have(&["postmap", "db5.3_load", "db5.3_verify"]) {
        return;
    }
    let model = real_lines();
    let pairs: String = model
        .iter()
        .map(|(key, value)| format!("{key}\n{value}\n"))
        .collect();
    for (page_size, order, sums) in [
        (512, "4321", 1),
        (512, "1234", 1),
        (4096, "4321", 1),
        (65536, "4321", 0),
        (65536, "1234", 1),
        (65536, "4321", 1),
    ] {
        let dir = TestDir::new("load");
        let options = [
            format!("db_pagesize={page_size}"),
            format!("db_lorder={order}"),
            format!("chksum={sums}"),
        ];
        let options = options.iter().flat_map(|option| ["-c", option]);
        let load = original(&dir, "db5.3_load")
            .args(["-T", "-t", "hash"])
            .args(options);
        load.args(["t.db"]).stdin(&*pairs).ok();
        let file = fs::read(dir.file("t.db")).expect("read");
        let label = format!("{page_size}, {order}, checksums: {sums}");
        check_updates(&label, &file, model.clone());
    }
}
