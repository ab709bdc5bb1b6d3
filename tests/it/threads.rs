//! A limit on processes is no reason to fail.

use std::fmt::Write;

use crate::common::{TestDir, is_root, is_stand_in, program, set_mode, shout};

/// Enough for everything that is done on two threads otherwise.
const ENTRIES: usize = 60_000;

/// A user with no other process. Root has no such limit.
const USER: u32 = 54_321;

#[test]
fn without_a_second_thread_all_is_done_on_one() {
    if is_stand_in() || !is_root() {
        return shout("threads: needs root, who can be somebody else");
    }
    let mut source = String::new();
    let mut keys = String::new();
    for number in 0..ENTRIES {
        let number = number * 7919 % ENTRIES;
        writeln!(
            source,
            "host{number}.example.com\tsmtp:[mx{number}.example.com]"
        )
        .expect("text");
        writeln!(keys, "host{number}.example.com\nabsent{number}").expect("text");
    }
    for (kind, suffix) in [
        ("hash", "db"),
        ("btree", "db"),
        ("lmdb", "lmdb"),
        ("cdb", "cdb"),
    ] {
        let dir = TestDir::new("threads");
        let copy = dir.file("rpostmap");
        dir.run("/bin/cp").args([&program("rpostmap"), &copy]).ok();
        set_mode(&copy, 0o755);
        dir.write("t", &source);
        dir.write("k", &keys);
        let table = dir.file(&format!("t.{suffix}"));
        let run = |limit: &str| {
            let words = [
                format!("{kind}:t"),
                format!("-q - {kind}:t"),
                format!("-s {kind}:t"),
            ];
            let printed = words.map(|words| {
                // The one process it may have is itself.
                let script = format!("{limit} exec ./rpostmap {words} < k");
                let run = dir.run("/bin/bash").args(["-c", &script]).user(USER);
                run.finish().status_is(0).stderr_is("").stdout
            });
            (printed, std::fs::read(&table).expect("a table"))
        };
        dir.run("/bin/chown")
            .args(["-R", &USER.to_string(), "."])
            .ok();
        let whole = run("");
        assert!(run("ulimit -u 1;") == whole, "{kind}");
    }
}
