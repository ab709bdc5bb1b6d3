//! Mode and owner of a new and of an existing table.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use crate::common::{Outcome, Run, TestDir, set_mode};
use crate::oracle::{are_we_root, have, original};

/// Runs the same in a fresh directory for each side, ours first.
fn both<T>(mut act: impl FnMut(&TestDir, &dyn Fn(&TestDir) -> Run<'_>) -> T) -> (T, T) {
    let ours: &dyn Fn(&TestDir) -> Run<'_> = &|dir| dir.ours("postmap");
    let theirs: &dyn Fn(&TestDir) -> Run<'_> = &|dir| original(dir, "postmap");
    (
        act(&TestDir::new("modes"), ours),
        act(&TestDir::new("modes"), theirs),
    )
}

#[test]
fn mode_of_a_new_table_comes_from_the_source_whatever_the_umask() {
    if !have(&["postmap"]) {
        return;
    }
    for (source, table) in [
        (0o600, 0o600),
        (0o640, 0o640),
        (0o644, 0o644),
        (0o604, 0o604),
        (0o666, 0o644),
        (0o660, 0o640),
        (0o400, 0o600),
        (0o444, 0o644),
        (0o755, 0o644),
        (0o6755, 0o644),
    ] {
        for umask in ["000", "022", "077", "177"] {
            for (options, want) in [(&["hash:t"][..], table), (&["-p", "hash:t"], 0o644)] {
                let (ours, theirs) = both(|dir, postmap| {
                    set_mode(&dir.write("t", "k v\n"), source);
                    postmap(dir).umask(umask).args(options).ok().stderr_is("");
                    dir.mode("t.db")
                });
                let about = format!("source {source:o}, umask {umask}, {options:?}");
                assert_eq!(format!("{ours:o}"), format!("{want:o}"), "ours: {about}");
                assert_eq!(ours, theirs, "ours and the original's: {about}");
            }
        }
    }
}

#[test]
fn existing_table_keeps_its_mode() {
    if !have(&["postmap"]) {
        return;
    }
    for table in [0o600, 0o640, 0o644, 0o660, 0o604] {
        for options in [&["hash:t"][..], &["-p", "hash:t"]] {
            let modes = both(|dir, postmap| {
                set_mode(&dir.write("t", "k v\n"), 0o644);
                postmap(dir).args(["hash:t"]).ok();
                set_mode(&dir.file("t.db"), table);
                postmap(dir).args(options).ok().stderr_is("");
                dir.mode("t.db")
            });
            assert_eq!(
                modes,
                (table, table),
                "{table:o} {options:?}: ours, the original's"
            );
        }
    }
}

/// As docs/original-behaviour.md says under "Permissions of new tables".
#[test]
fn mode_of_a_table_that_is_made_by_an_insertion() {
    if !have(&["postmap"]) {
        return;
    }
    for (prepare, insert, mode) in [
        ("", "echo k v | \"$0\" -i T:t", "644"),
        ("umask 077", "echo k v | \"$0\" -i T:t", "644"),
        (
            "install -m 600 /dev/null t",
            "echo k v | \"$0\" -i T:t",
            "644",
        ),
        (
            "install -m 600 /dev/null t && \"$0\" T:t",
            "echo k v | \"$0\" -i T:t",
            "600",
        ),
        (
            "echo k v > private; chmod 600 private",
            "\"$0\" -i T:t < private",
            "600",
        ),
        (
            "install -m 600 /dev/null t.db",
            "echo k v | \"$0\" -i hash:t 2> /dev/null",
            "644",
        ),
    ] {
        for table_type in ["hash", "btree", "lmdb"] {
            let file = if table_type == "lmdb" {
                "t.lmdb"
            } else {
                "t.db"
            };
            if prepare.contains("t.db") && table_type != "hash" {
                continue;
            }
            let script = format!("{prepare}\n{insert}\nstat -c %a {file}");
            let script = script.replace("T:", &format!("{table_type}:"));
            let (ours, theirs) = both(|dir, postmap| {
                let program = postmap(dir).program();
                let shell = dir.run("/bin/sh").args(["-c", &script]);
                let printed = shell.args([program]).ok().stdout;
                String::from_utf8(printed).unwrap()
            });
            assert_eq!(ours.trim_end(), mode, "ours: {script}");
            assert_eq!(ours, theirs, "ours and the original's: {script}");
        }
    }
}

#[test]
fn odd_sources_give_the_originals_mode_and_files() {
    if !have(&["postmap"]) {
        return;
    }
    for script in [
        // Not a regular file: its mode does not count.
        "mkfifo -m 600 t; (printf 'k v\\n' > t) & \"$0\" hash:t; stat -c %a t.db
         kill $! 2> /dev/null; true",
        // A link as source counts with its target's mode; the table is next to the link.
        "mkdir d; printf 'k v\\n' > d/s; chmod 600 d/s; ln -s d/s t; \"$0\" hash:t
         stat -c '%n %a' t.db; ls d",
        // A link as table stays a link.
        "mkdir d; printf 'k v\\n' > t; \"$0\" hash:t; mv t.db d/x.db; chmod 640 d/x.db
         ln -s d/x.db t.db; printf 'k w\\n' > t; \"$0\" hash:t; \"$0\" -q k hash:t
         test -L t.db && echo link; stat -c '%n %a' d/x.db; ls d",
        // A dangling link as table is replaced by a file.
        "printf 'k v\\n' > t; ln -s nowhere.db t.db; \"$0\" hash:t; ls; test -L t.db || echo file",
    ] {
        let (ours, theirs) = both(|dir, postmap| {
            let program = postmap(dir).program();
            dir.run("/bin/sh")
                .args(["-c", script])
                .args([program])
                .finish()
        });
        assert_same(script, &ours, &theirs);
    }
}

fn assert_same(about: &str, ours: &Outcome, theirs: &Outcome) {
    let same = (&ours.stdout, &ours.stderr, ours.status)
        == (&theirs.stdout, &theirs.stderr, theirs.status);
    assert!(same, "{about}\nours\n{ours}original\n{theirs}");
}

fn owner(path: &Path) -> String {
    let meta = fs::symlink_metadata(path);
    meta.map_or_else(
        |e| e.kind().to_string(),
        |meta| format!("{}:{}", meta.uid(), meta.gid()),
    )
}

/// One row of the table below: numbers are used as user and as group.
struct Owners {
    source: (u32, u32),
    dir: u32,
    /// Owner and mode of a table that exists already.
    table: Option<(u32, u32)>,
    options: &'static [&'static str],
    /// Owner and group of the table afterwards.
    want: &'static str,
    stderr: &'static str,
}

#[test]
fn root_works_as_the_owner_of_the_source() {
    if !have(&["postmap"]) || !are_we_root() {
        return;
    }
    const USER: u32 = 65534;
    let plain = &["hash:d/t"];
    let keep_root = &["-o", "hash:d/t"];
    let refused = "postmap: fatal: open database d/t.db: Permission denied\n";
    let no_access = "postmap: fatal: open d/t.db: Permission denied\n";
    let row = |source, dir, table, options: &'static [&'static str], want, stderr| Owners {
        source,
        dir,
        table,
        options,
        want,
        stderr,
    };
    for row in [
        row((0, 0), 0, None, plain, "0:0", ""),
        row((0, USER), 0, None, plain, "0:65534", ""),
        row((USER, USER), USER, None, plain, "65534:65534", ""),
        row((USER, 0), USER, None, plain, "65534:0", ""),
        row((USER, USER), USER, None, keep_root, "0:0", ""),
        row((USER, USER), 0, None, plain, "entity not found", refused),
        row((USER, USER), 0, None, keep_root, "0:0", ""),
        row(
            (USER, USER),
            USER,
            Some((USER, 0o600)),
            plain,
            "65534:65534",
            "",
        ),
        row(
            (USER, USER),
            USER,
            Some((0, 0o600)),
            plain,
            "0:0",
            no_access,
        ),
        row((USER, USER), USER, Some((0, 0o600)), keep_root, "0:0", ""),
        row((0, 0), USER, Some((USER, 0o644)), plain, "65534:65534", ""),
        row((0, 0), 0, Some((USER, 0o640)), plain, "65534:65534", ""),
    ] {
        let (ours, theirs) = both(|dir, postmap| {
            fs::create_dir(dir.file("d")).expect("mkdir");
            let source = dir.write("d/t", "k v\n");
            if let Some((user, mode)) = row.table {
                postmap(dir).args(["-o", "hash:d/t"]).ok();
                set_mode(&dir.file("d/t.db"), mode);
                chown(dir.file("d/t.db"), Some(user), Some(user)).expect("chown");
            }
            chown(&source, Some(row.source.0), Some(row.source.1)).expect("chown");
            chown(dir.file("d"), Some(row.dir), Some(row.dir)).expect("chown");
            let end = postmap(dir).args(row.options).finish();
            let mode = fs::metadata(dir.file("d/t.db")).map_or(0, |meta| meta.mode() & 0o7777);
            (end, owner(&dir.file("d/t.db")), mode)
        });
        let about = format!(
            "source {:?}, directory {}, table {:?}, {:?}",
            row.source, row.dir, row.table, row.options
        );
        assert_eq!(
            theirs.1, row.want,
            "the original's owner: {about}\n{}",
            theirs.0
        );
        assert_eq!(ours.1, row.want, "our owner: {about}\n{}", ours.0);
        assert_eq!(
            format!("{:o}", ours.2),
            format!("{:o}", theirs.2),
            "mode: {about}"
        );
        assert_eq!(
            String::from_utf8_lossy(&ours.0.stderr),
            row.stderr,
            "{about}"
        );
        assert_same(&about, &ours.0, &theirs.0);
    }
}

#[test]
fn root_is_itself_again_for_the_next_operand() {
    if !have(&["postmap"]) || !are_we_root() {
        return;
    }
    let (ours, theirs) = both(|dir, postmap| {
        fs::create_dir(dir.file("d")).expect("mkdir");
        for name in ["d/t", "u"] {
            dir.write(name, "k v\n");
        }
        for name in ["d", "d/t"] {
            chown(dir.file(name), Some(65534), Some(65534)).expect("chown");
        }
        postmap(dir).args(["hash:d/t", "hash:u"]).ok().stderr_is("");
        (owner(&dir.file("d/t.db")), owner(&dir.file("u.db")))
    });
    assert_eq!(ours, ("65534:65534".to_owned(), "0:0".to_owned()));
    assert_eq!(ours, theirs);
}
