//! Several runs that change the same tables at once.

use std::collections::BTreeSet;
use std::time::Duration;

use rpostmap::FileFormat;
use rpostmap::entries::OnDuplicate;
use rpostmap::table::{Missing, Notice, TableUpdater};

use crate::common::TestDir;

const TYPES: [&str; 2] = ["hash", "btree"];

/// What run number `run` adds.
fn lines(run: usize) -> Vec<u8> {
    (0..300)
        .flat_map(|i| format!("key{run}.{i}\tvalue\n").into_bytes())
        .collect()
}

#[test]
fn ten_runs_that_make_a_table_together_lose_nothing() {
    for kind in TYPES {
        let dir = TestDir::new("at_once");
        let table = format!("{kind}:new");
        let runs: Vec<_> = (0..10)
            .map(|run| {
                let started = dir.ours("rpostmap").args(["-i", &table]);
                started.stdin(lines(run)).start()
            })
            .collect();
        for run in runs {
            run.finish().status_is(0).stderr_is("");
        }
        let listed = dir.ours("rpostmap").args(["-s", &table]).ok();
        let listed: BTreeSet<_> = listed.sorted_lines().into_iter().collect();
        for run in 0..10 {
            for line in lines(run).split_inclusive(|&byte| byte == b'\n') {
                assert!(
                    listed.contains(line),
                    "{kind}: {} is lost",
                    line.escape_ascii()
                );
            }
        }
        assert_eq!(listed.len(), 3000, "{kind}");
        dir.ours("rpostmap").args(["verify", &table]).ok();
        assert_eq!(dir.names().len(), 1, "{kind}: {:?}", dir.names());
    }
}

#[test]
fn a_table_that_somebody_else_made_meanwhile_is_added_to() {
    for (format, file) in [(FileFormat::Hash, "t.db"), (FileFormat::Btree, "t.db")] {
        let dir = TestDir::new("at_once");
        let table = format!("{}:t", format.type_name());
        let mut notices = Vec::new();
        let mut notify = |notice: Notice| notices.push(notice.to_string());
        let missing = Missing::Create { mode: 0o600 };
        let path = dir.file(file);
        let mut update = TableUpdater::open(format, &path, missing, &mut notify).unwrap();
        for (key, on_duplicate) in [
            (b"first\0", OnDuplicate::KeepFirst),
            (b"last1\0", OnDuplicate::KeepLast),
            (b"added\0", OnDuplicate::KeepFirst),
            (b"gone1\0", OnDuplicate::KeepFirst),
        ] {
            assert!(update.put(key, b"ours\0", on_duplicate).unwrap());
        }
        assert!(update.delete(b"gone1\0").unwrap());
        dir.ours("rpostmap")
            .args(["-i", &table])
            .stdin("first theirs\nlast1 theirs\nkept1 theirs\n")
            .ok();
        update.commit(&mut notify).unwrap();
        let listed = dir.ours("rpostmap").args(["-s", &table]).ok();
        assert_eq!(
            listed.sorted_lines().concat().escape_ascii().to_string(),
            "added\\tours\\nfirst\\ttheirs\\nkept1\\ttheirs\\nlast1\\tours\\n"
        );
        let [notice] = &notices[..] else {
            panic!("{notices:?}")
        };
        assert!(
            notice.contains("duplicate entry") && notice.contains("first"),
            "{notice}"
        );
        assert_eq!(dir.names(), [file]);
    }
}

#[test]
fn empty_keys_and_values_are_changes_too() {
    for (format, file) in [(FileFormat::Hash, "t.db"), (FileFormat::Btree, "t.db")] {
        let dir = TestDir::new("at_once");
        let path = dir.file(file);
        let open = || {
            let missing = Missing::Create { mode: 0o600 };
            TableUpdater::open(format, &path, missing, &mut |_| {}).unwrap()
        };
        let mut update = open();
        for i in 0..1000 {
            let key = format!("key{i}");
            update
                .put(key.as_bytes(), b"value", OnDuplicate::KeepLast)
                .unwrap();
        }
        update.commit(&mut |_| {}).unwrap();
        let mut update = open();
        assert!(update.put(b"", b"", OnDuplicate::KeepFirst).unwrap());
        update.commit(&mut |_| {}).unwrap();
        let mut update = open();
        assert!(update.contains(b"").unwrap(), "{format:?}: was not put");
        assert!(update.delete(b"").unwrap());
        update.commit(&mut |_| {}).unwrap();
        assert!(
            !open().contains(b"").unwrap(),
            "{format:?}: was not deleted"
        );
    }
}

#[test]
fn tables_named_in_different_order_do_not_keep_each_other_waiting() {
    let dir = TestDir::new("at_once");
    for round in 0..5 {
        for name in ["a", "b", "c"] {
            dir.write(name, "k 1\nother 2\n");
            dir.ours("rpostmap").args([format!("hash:{name}")]).ok();
        }
        let orders = [
            ["hash:a", "hash:b", "hash:c"],
            ["hash:c", "hash:b", "hash:a"],
        ];
        let runs: Vec<_> = (0..8)
            .map(|run| {
                let started = dir.ours("rpostmap").args(["-d", "-"]).args(orders[run % 2]);
                started
                    .limit(Duration::from_secs(30))
                    .stdin(format!("k\nkey{run}\n"))
                    .start()
            })
            .collect();
        let found = runs
            .into_iter()
            .map(|run| run.finish().status)
            .filter(|&status| status == 0)
            .count();
        assert_eq!(found, 1, "round {round}: one run finds the key");
        for name in ["a", "b", "c"] {
            let listed = dir
                .ours("rpostmap")
                .args(["-s", &format!("hash:{name}")])
                .ok();
            listed.stdout_is("other\t2\n");
        }
    }
}

#[test]
fn of_several_tables_that_cannot_be_opened_the_first_named_is_told() {
    let dir = TestDir::new("at_once");
    dir.write("m", "k 1\n");
    dir.ours("rpostmap").args(["hash:m"]).ok();
    for (tables, told) in [
        (["hash:z", "hash:m", "hash:a"], "z.db"),
        (["hash:a", "hash:m", "hash:z"], "a.db"),
        (["hash:m", "hash:z", "hash:a"], "z.db"),
    ] {
        let run = dir
            .ours("rpostmap")
            .args(["-d", "-"])
            .args(tables)
            .stdin("k\n");
        let outcome = run.finish().status_is(1);
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(stderr.contains(told), "{tables:?}: {stderr}");
    }
    dir.ours("rpostmap")
        .args(["-s", "hash:m"])
        .ok()
        .stdout_is("k\t1\n");
}
