//! Many keys on standard input at a time are answered as one after the other.

use rpostmap::bdb::btree::BtreeBuilder;
use rpostmap::bdb::hash::HashBuilder;
use rpostmap::entries::Entries;

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

/// As long as nothing is found keys are tried with a NUL and without. The first hit decides for all
/// keys behind it, wherever it comes in a list.
#[test]
fn the_first_key_found_in_a_long_list_decides_about_nuls() {
    let dir = TestDir::new("batches");
    dir.main_cf("smtputf8_enable = yes\n");
    let mut entries = Entries::new();
    entries.insert(b"with\0", b"1\0").unwrap();
    entries.insert(b"without", b"2").unwrap();
    let mut file = Vec::new();
    HashBuilder::new().build(&entries, &mut file).unwrap();
    dir.write("hash.db", file);
    let mut file = Vec::new();
    BtreeBuilder::new().build(&entries, &mut file).unwrap();
    dir.write("btree.db", file);
    // Longer than what is read at a time.
    let absent = |from: usize| -> String {
        let lines = (from..from + 30_000).map(|n| format!("absent{n}\n"));
        lines.collect()
    };
    for kind in ["hash", "btree"] {
        let table = format!("{kind}:{kind}");
        for (first, second, expect) in [
            ("with", "without", "with\t1\nwith\t1\n"),
            ("without", "with", "without\t2\nwithout\t2\n"),
        ] {
            let parts = [&absent(0), first, "\n", second, "\n", &absent(7), first];
            let list = dir
                .ours("postmap")
                .args(["-q", "-", &table])
                .stdin(parts.concat());
            list.finish().status_is(0).stdout_is(expect).stderr_is("");
        }
        let list = dir.ours("postmap").args(["-q", "-", &table]);
        let outcome = list.stdin(absent(0) + "b\u{fffd}\n").finish();
        outcome.status_is(1).stdout_is("").stderr_is("");
        let list = dir.ours("postmap").args(["-q", "-", &table]);
        let odd = [absent(0).as_bytes(), b"k\xffy\n", absent(3).as_bytes()].concat();
        let outcome = list.stdin(odd).finish().status_is(1).stdout_is("");
        let warnings = outcome.stderr.split(|&byte| byte == b'\n');
        assert_eq!(
            warnings.filter(|line| !line.is_empty()).count(),
            1,
            "{kind}"
        );
    }
}
