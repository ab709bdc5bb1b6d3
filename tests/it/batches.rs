//! Many keys on standard input at a time are answered as one after the other.

use crate::common::TestDir;

const KEY_COUNT: usize = 3000;

#[test]
fn many_keys_at_a_time_get_the_answers_of_single_ones_in_order() {
    let dir = TestDir::new("batches");
    dir.main_cf("smtputf8_enable = yes\n");
    let lines = (0..KEY_COUNT).map(|n| format!("key{n} value{n}\n"));
    dir.write("t", lines.collect::<String>());
    // The first finds out whether the table's keys end in a NUL; all others come in one piece.
    let mut input = b"key0\n".to_vec();
    let mut alone = String::from("key0\tvalue0\n");
    let mut with_next = alone.clone();
    let mut odd_count = 0;
    for n in 0..2 * KEY_COUNT {
        let (key, is_text) = match n % 6 {
            0 | 1 => (format!("key{n}").into_bytes(), true),
            2 => (format!("KEY{n}").into_bytes(), true),
            3 => (format!("key{n}\0behind").into_bytes(), true),
            4 => (vec![b'x'; 200 + n % 100], true),
            _ => (b"k\xffy".to_vec(), false),
        };
        input.extend_from_slice(&key);
        input.push(b'\n');
        let seen = key.split(|&byte| byte == 0).next().unwrap_or_default();
        let shown = String::from_utf8_lossy(seen);
        if !is_text {
            odd_count += 1;
        } else if n < KEY_COUNT && n % 6 != 4 {
            alone += &format!("{shown}\tvalue{n}\n");
            with_next += &format!("{shown}\tvalue{n}\n");
        } else {
            with_next += &format!("{shown}\tnext\n");
        }
    }
    for kind in ["hash", "btree", "lmdb", "cdb"] {
        let table = format!("{kind}:t");
        dir.ours("postmap").args([&table]).ok();
        for (tables, expect) in [
            (vec![table.as_str()], &alone),
            (vec![&table, "static:next"], &with_next),
        ] {
            let words = ["-q", "-"].into_iter().chain(tables.iter().copied());
            let outcome = dir
                .ours("postmap")
                .args(words)
                .stdin(input.clone())
                .finish();
            let warnings = outcome.stderr.split(|&byte| byte == b'\n');
            let warnings =
                warnings.filter(|line| line.windows(13).any(|part| part == b"non-UTF-8 key"));
            assert_eq!(warnings.count(), odd_count * tables.len(), "{tables:?}");
            assert!(outcome.stdout == expect.as_bytes(), "{tables:?}");
        }
    }
}
