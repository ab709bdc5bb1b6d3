//! A file system that is full: the old table stays, and nothing is left beside it.

use crate::common::{TestDir, is_root, is_stand_in, shout};

/// Runs in a mount namespace of its own, so that nothing is left mounted. `$TABLE` is the table,
/// `$old` and `$new` are sources outside the small file system.
const SCRIPT: &str = r#"
    mkdir small && mount -t tmpfs -o size=600k none small || exit 77
    old=$PWD/old new=$PWD/new listed=$PWD/listed
    cd small
    ln -s "$old" t && rpostmap $TABLE && rpostmap -s $TABLE | sort > "$listed" || exit 1
    ln -sf "$new" t
    look() {
        echo "status $?"
        rpostmap -s $TABLE | sort | cmp - "$listed"
        rpostmap verify $TABLE > /dev/null
        ls -A
    }
    rpostmap $TABLE
    look
    case $TABLE in cdb:*) exit;; esac
    rpostmap -i $TABLE < "$new"
    look
    # Even the signs of life of an interrupted run would need room.
    dd if=/dev/zero of=fill bs=4096 2> /dev/null
    rpostmap $TABLE
    look
"#;

#[test]
fn a_full_file_system_leaves_the_old_table_of_each_type() {
    if is_stand_in() {
        return shout("full disk: the original loses hash tables, and says nothing of lmdb");
    }
    if !is_root() {
        return shout("full disk: needs root");
    }
    let lines = |count: u32, word: &str| -> String {
        (0..count).map(|i| format!("key{i} {word}{i}\n")).collect()
    };
    for (table, file) in [
        ("hash:t", "t.db"),
        ("btree:t", "t.db"),
        ("lmdb:t", "t.lmdb"),
        ("cdb:t", "t.cdb"),
    ] {
        let dir = TestDir::new("full-disk");
        dir.write("old", lines(3_000, "value"));
        // No key is there already.
        dir.write("new", lines(60_000, "other").replace("key", "new"));
        let _ = dir.ours("rpostmap");
        let script = format!("TABLE={table}\n{SCRIPT}");
        let end = dir
            .run("/usr/bin/unshare")
            .args(["-m", "sh", "-c", &script])
            .finish();
        if end.status == 77 || end.stderr.starts_with(b"unshare:") {
            return shout(format_args!("full disk: cannot mount\n{end}"));
        }
        let (message, rounds) = match table {
            "cdb:t" => ("error writing t.cdb.tmp".to_owned(), 1),
            _ => (format!("write {file}"), 3),
        };
        let message = format!("rpostmap: fatal: {message}: No space left on device\n");
        let after = format!("status 1\nt\n{file}\n");
        let mut expect = after.repeat(rounds);
        if rounds == 3 {
            expect = format!("{}status 1\nfill\nt\n{file}\n", after.repeat(2));
        }
        end.stdout_is(expect).stderr_is(message.repeat(rounds));
    }
}
