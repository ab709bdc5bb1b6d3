//! The names of the originals as verbs, and types that are redirected.

use crate::common::{TestDir, is_root, is_stand_in, shout};

#[test]
fn the_originals_are_reached_without_links() {
    if is_stand_in() {
        return;
    }
    let dir = TestDir::new("verbs");
    dir.write("a", "Root: ann,bob\nbad\n");
    let words = |name: &'static str| [name, "hash:a"];
    dir.ours("rpostmap")
        .args(words("postalias"))
        .ok()
        .stderr_is("postalias: warning: a, line 2: need name:value pair\n");
    dir.ours("rpostmap")
        .args(["postalias", "-q", "root", "hash:a"])
        .ok()
        .stdout_is("ann, bob\n");
    // Strict, as the original.
    dir.ours("rpostmap")
        .args(["postalias", "--help"])
        .finish()
        .status_is(1);
    dir.ours("rpostmap")
        .args(["postmap", "-q", "root", "hash:a"])
        .ok()
        .stdout_is("ann, bob\n");
    dir.main_cf("queue_directory = .\nalias_database = hash:a\n");
    dir.ours("rpostmap").args(["newaliases"]).ok();
    dir.ours("rpostmap")
        .args(["newaliases", "x"])
        .finish()
        .status_is(75)
        .stderr_is("newaliases: fatal: alias initialization mode requires no recipient\n");
}

#[test]
fn a_table_may_be_called_like_an_original() {
    if is_stand_in() {
        return;
    }
    let dir = TestDir::new("names");
    dir.write("postalias", "k v\n");
    for operand in ["./postalias", "hash:postalias"] {
        dir.ours("rpostmap").args([operand]).ok();
        dir.ours("rpostmap")
            .args(["-q", "k", operand])
            .ok()
            .stdout_is("v\n");
    }
    // Only the first word is a verb.
    dir.ours("rpostmap").args(["--", "postalias"]).ok();
    // The originals have none.
    dir.ours("postmap").args(["postalias"]).ok();
}

#[test]
fn hash_and_btree_are_redirected_when_asked_for() {
    if is_stand_in() {
        return;
    }
    let dir = TestDir::new("redirected");
    dir.write("t", "k v\n");
    let follow = |words: &[&'static str]| {
        let run = dir.ours("rpostmap").args(["--follow-migration"]);
        run.args(words).finish()
    };
    // Without a level in main.cf it means nothing.
    follow(&["hash:t"]).status_is(0).stderr_is("");
    let to_static = "non_bdb_migration_level = enable-redirect\n\
                     default_database_type = static\ndefault_cache_db_type = hash\n";
    dir.main_cf(to_static);
    // Nor does main.cf without the option.
    dir.ours("rpostmap").args(["hash:t"]).ok().stderr_is("");
    follow(&["-q", "k", "hash:t"])
        .status_is(1)
        .stderr_is("rpostmap: fatal: no 'map create' support for non_bdb mapped type: static\n");
    follow(&["-q", "k", "btree:t"]).status_is(1).stderr_is(
        "rpostmap: fatal: non_bdb migration mapping lookup error for 'btree': \
         mapping from 'btree' to legacy type 'hash'\n",
    );
    follow(&["-q", "k", "static:x"])
        .status_is(0)
        .stdout_is("x\n");
    dir.main_cf("non_bdb_migration_level = enable-redirect\ndefault_database_type = lmdb\n");
    follow(&["hash:t"])
        .status_is(0)
        .stderr_is("rpostmap: redirecting hash:t to lmdb:t\n");
    assert!(dir.names().contains(&"t.lmdb".to_string()));
    dir.main_cf(
        "non_bdb_migration_level = enable-redirect\nnon_bdb_migration_log_redirect = no\n\
         non_bdb_custom_mapping = inline:{{hash:t = lmdb}}\n",
    );
    follow(&["-q", "k", "hash:t"])
        .status_is(0)
        .stdout_is("v\n")
        .stderr_is("");
    dir.main_cf("non_bdb_migration_level = maybe\n");
    follow(&["hash:t"])
        .status_is(1)
        .stderr_is("rpostmap: fatal: invalid non-Berkeley-DB migration level: 'maybe'\n");
}

#[test]
fn our_own_name_needs_no_main_cf_and_those_of_the_originals_do() {
    if is_stand_in() || !is_root() {
        return shout("no main.cf: ours alone, and needs root to hide that of the machine");
    }
    let dir = TestDir::new("no-main-cf");
    dir.write("t", "K v\n\u{c4} x\n");
    let _ = dir.ours("rpostmap");
    let script = "
        if [ -d /etc/postfix ]; then mount -t tmpfs none /etc/postfix || exit 77; fi
        unset MAIL_CONFIG
        rpostmap lmdb:t && rpostmap t && rpostmap -q k lmdb:t && rpostmap -q \u{e4} t
        for name in postmap postalias newaliases; do rpostmap $name lmdb:t; echo $?; done
        ls";
    let run = dir.run("/usr/bin/unshare");
    let end = run.args(["-m", "sh", "-c", script]).finish();
    if end.status == 77 || end.stderr.starts_with(b"unshare:") {
        return shout(format_args!("no main.cf: cannot mount\n{end}"));
    }
    let missing = "fatal: open /etc/postfix/main.cf: No such file or directory\n";
    let end = end.stdout_is("v\nx\n1\n1\n75\nt\nt.db\nt.lmdb\n");
    end.stderr_is(format!(
        "postmap: {missing}postalias: {missing}newaliases: {missing}"
    ));
}
