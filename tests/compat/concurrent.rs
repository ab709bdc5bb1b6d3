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
