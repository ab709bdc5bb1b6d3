//! Both programs at work on one table.

use crate::common::{TestDir, sorted_lines};
use crate::oracle::{assert_clean, have, original};

#[test]
fn rebuilds_and_updates_at_once_leave_a_clean_table() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let dir = TestDir::new("concurrent");
    let source: Vec<u8> = (0..5_000)
        .flat_map(|i| format!("k{i}\tv{i}\n").into_bytes())
        .collect();
    dir.write("t", &source);
    dir.ours("rpostmap").args(["hash:t"]).ok();
    for round in 0..5 {
        let rebuilds: Vec<_> = (0..8)
            .map(|_| dir.ours("rpostmap").args(["hash:t"]).start())
            .collect();
        // One updater at a time: the original opens by name what it locked before, so two of them
        // may meet in a file that only one has locked. Ours cannot mend that.
        for i in 0..4 {
            let added = format!("added{round}.{i} x\n");
            original(&dir, "postmap")
                .args(["-r", "-i", "hash:t"])
                .stdin(added)
                .ok();
        }
        for rebuild in rebuilds {
            rebuild.finish().status_is(0).stderr_is("");
        }
        assert_clean(&dir, "t.db");
        let listing = dir.ours("rpostmap").args(["-s", "hash:t"]).ok();
        let listed = listing.sorted_lines();
        let lost = sorted_lines(&source)
            .into_iter()
            .find(|l| listed.binary_search(l).is_err());
        assert!(
            lost.is_none(),
            "lost {}\n{listing}",
            lost.unwrap_or_default().escape_ascii()
        );
    }
    dir.ours("rpostmap").args(["hash:t"]).ok();
    let listing = dir.ours("rpostmap").args(["-s", "hash:t"]).ok();
    assert!(
        listing.sorted_lines() == sorted_lines(&source),
        "not the source\n{listing}"
    );
    assert_eq!(dir.names(), ["t", "t.db"]);
}

/// The original opens by name what it locked before. While it waits, the file keeps its name.
#[test]
fn many_additions_while_others_wait_lose_nothing() {
    if !have(&["postmap", "db5.3_verify"]) {
        return;
    }
    let lines = |mark: &str, count: u32| -> String {
        (0..count).map(|n| format!("{mark}{n}\tvalue\n")).collect()
    };
    for kind in ["hash", "btree"] {
        for _ in 0..3 {
            let dir = TestDir::new("waiting");
            dir.write("t", lines("k", 10_000));
            dir.write("many", lines("m", 20_000));
            dir.write("ours", lines("o", 300));
            dir.write("theirs", lines("t", 300));
            dir.ours("rpostmap").args([format!("{kind}:t")]).ok();
            // Ours has the lock until its input ends; the two others come meanwhile.
            let script = format!(
                "(cat many; sleep 1) | rpostmap -i {kind}:t & sleep .4\n\
                 rpostmap -i {kind}:t < ours & sleep .2\n\
                 /usr/sbin/postmap -i {kind}:t < theirs & wait"
            );
            let _ = dir.ours("rpostmap");
            dir.shell(&script).finish().stderr_is("");
            assert_clean(&dir, "t.db");
            let listing = dir.ours("rpostmap").args(["-s", &format!("{kind}:t")]).ok();
            assert_eq!(listing.sorted_lines().len(), 30_600, "{kind}");
        }
    }
}
