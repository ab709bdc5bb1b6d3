//! Entries that `-i` gets through a pipe.

use crate::common::TestDir;

const TYPES: [&str; 2] = ["hash", "btree"];

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers
        .map(|i| format!("user{i:06}@example.com\tsmtp:[mx{}.example.net]\n", i % 90))
        .collect()
}

/// What is in table `t`, sorted.
fn listed(dir: &TestDir, kind: &str) -> String {
    let listed = dir.ours("rpostmap").args(["-s", &format!("{kind}:t")]).ok();
    String::from_utf8(listed.sorted_lines().concat()).unwrap()
}

/// A few lines are written in place, many make a new table; of very many the first part decides.
#[test]
fn entries_from_a_pipe_are_added_like_those_of_a_file() {
    for kind in TYPES {
        for count in [1, 50, 900, 60_000] {
            let dir = TestDir::new("streams");
            dir.write("t", lines(0..1_000));
            dir.write("add", lines(500..500 + count));
            dir.ours("rpostmap").args([&format!("{kind}:t")]).ok();
            dir.shell(&format!("cat add | rpostmap -ir {kind}:t")).ok();
            let expect = lines(0..1_000.max(500 + count));
            assert!(listed(&dir, kind) == expect, "{kind}, {count} lines");
        }
    }
}

#[test]
fn a_stream_that_pauses_loses_nothing() {
    for kind in TYPES {
        let dir = TestDir::new("streams");
        dir.write("t", lines(0..1_000));
        dir.write("add", lines(1_000..9_000));
        dir.ours("rpostmap").args([&format!("{kind}:t")]).ok();
        // In the middle of a line, and in front of a line that goes on with the last.
        let script = format!(
            "(printf 'slow'; sleep 0.2; printf ' 1\\n'; sleep 0.2; printf ' 2\\n'; cat add; \
             sleep 0.2; printf 'user000003@example.com 3\\nodd\\n') | rpostmap -i {kind}:t"
        );
        let done = dir.shell(&script).ok();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(
            said.contains("duplicate entry: \"user000003@example.com\""),
            "{said}"
        );
        assert!(said.contains("line 8004: expected format"), "{said}");
        let expect = format!("slow\t1 2\n{}", lines(0..9_000));
        assert!(listed(&dir, kind) == expect, "{kind}");
    }
}
