//! Several runs that change the same tables at once.

use std::time::Duration;

use rpostmap::FileFormat;
use rpostmap::entries::OnDuplicate;
use rpostmap::table::{Missing, TableUpdater};

use crate::common::TestDir;

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
