use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

use super::overwrite::copy_over;
use super::*;
use crate::error::ErrorKind;
use crate::file::WriteAt;
use crate::file::lock::{FileLock, LockKind, LockMode};
use crate::file::open::same_file;
use crate::file::signals::SignalHold;
use crate::file::testing::{TestDir, again, looks, stage};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn replace(path: &Path, content: &str) -> Option<InPlaceReason> {
    let mut new = Target::lock(path).unwrap().start(0o640).unwrap();
    new.write_at(0, content.as_bytes()).unwrap();
    new.commit().unwrap()
}

/// As `replace`, but in place.
fn forced(path: &Path) -> Replacement {
    let target = Target::lock(path).unwrap();
    target.start_with(0o640, Some(InPlaceReason::Busy)).unwrap()
}

fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_new_table_gets_the_mode_asked_for_and_an_old_one_keeps_its_own() {
    let dir = TestDir::new();
    let path = dir.path("t.db");
    assert!(replace(&path, "one").is_none());
    assert_eq!((text(&path).as_str(), looks(&path).2), ("one", 0o640));
    fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    replace(&path, "two");
    assert_eq!((text(&path).as_str(), looks(&path).2), ("two", 0o604));
    assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(dir.names(), ["t.db"]);
}

#[test]
fn the_old_owner_and_group_are_kept() {
    if !root() {
        return;
    }
    let dir = TestDir::new();
    let path = dir.write("t.db", "old");
    std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
    replace(&path, "new");
    assert_eq!(looks(&path), (1234, 5678, 0o440));
    assert_eq!(text(&path), "new");
}

#[test]
fn the_umask_does_not_matter() {
    if let Some(dir) = stage() {
        replace(&dir.join("t.db"), "new");
        return;
    }
    for umask in ["000", "077", "777"] {
        let dir = TestDir::new();
        let name = "file::replace::tests::the_umask_does_not_matter";
        let mut child = again(name, dir.root(), &format!("umask {umask}"));
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(looks(&dir.path("t.db")).2, 0o640, "{umask}");
    }
}

#[test]
fn the_file_has_its_mode_before_any_content() {
    let dir = TestDir::new();
    let path = dir.path("t.db");
    let _new = Target::lock(&path).unwrap().start(0o604).unwrap();
    let [name] = &dir.names()[..] else { panic!() };
    assert!(name.starts_with(".t.db.rpostmap-"), "{name}");
    assert_eq!(looks(&dir.path(name)).2, 0o604);
}

#[test]
fn gaps_are_zeros_and_the_length_is_what_was_set() {
    let dir = TestDir::new();
    for in_place in [false, true] {
        let path = dir.write("t.db", "0123456789");
        let mut new = match in_place {
            true => forced(&path),
            false => Target::lock(&path).unwrap().start(0o600).unwrap(),
        };
        new.write_at(2, b"ab").unwrap();
        new.set_len(5).unwrap();
        assert_eq!(text(&path), "0123456789", "before the commit");
        assert_eq!(new.in_place().is_some(), in_place);
        assert_eq!(new.commit().unwrap().is_some(), in_place);
        assert_eq!(text(&path), "\0\0ab\0", "in place: {in_place}");
    }
}

#[test]
fn in_place_the_file_stays_the_same_and_grows_and_shrinks() {
    let dir = TestDir::new();
    let path = dir.write("t.db", "old");
    let before = fs::metadata(&path).unwrap();
    for content in ["x".repeat(3 << 20), "short".to_owned(), String::new()] {
        let mut new = forced(&path);
        new.write_at(0, content.as_bytes()).unwrap();
        new.commit().unwrap();
        assert_eq!(text(&path), content);
    }
    assert!(same_file(&before, &fs::metadata(&path).unwrap()));
    assert_eq!(dir.names(), ["t.db"]);
}

#[test]
fn a_drop_leaves_the_old_table_and_nothing_else() {
    let dir = TestDir::new();
    let path = dir.write("t.db", "old");
    for mut new in [
        Target::lock(&path).unwrap().start(0o600).unwrap(),
        Target::lock(&dir.path("none.db"))
            .unwrap()
            .start(0)
            .unwrap(),
    ] {
        new.write_at(0, b"half").unwrap();
    }
    let mut new = forced(&path);
    new.write_at(0, b"half").unwrap();
    drop(new);
    assert_eq!(dir.names(), ["t.db"]);
    assert_eq!(text(&path), "old");
}

#[test]
fn the_target_of_a_link_is_replaced_and_a_link_to_nothing_itself() {
    let dir = TestDir::new();
    fs::create_dir(dir.path("sub")).unwrap();
    let real = dir.write("sub/t.db", "old");
    let link = dir.path("link.db");
    symlink("sub/t.db", &link).unwrap();
    replace(&link, "new");
    assert!(link.is_symlink());
    assert_eq!(text(&real), "new");
    fs::remove_file(&real).unwrap();
    replace(&link, "file");
    assert!(!link.is_symlink());
    assert_eq!(text(&link), "file");
    assert_eq!(dir.names(), ["link.db", "sub"]);
}

#[test]
fn an_empty_table_counts_as_absent() {
    let dir = TestDir::new();
    let path = dir.write("t.db", "");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let target = Target::lock(&path).unwrap();
    assert!(target.removed_empty());
    assert!(target.existing().is_none());
    target.start(0o600).unwrap().commit().unwrap();
    assert_eq!(looks(&path).2, 0o600);
}

#[test]
fn a_directory_and_a_missing_directory_are_errors() {
    let dir = TestDir::new();
    let error = Target::lock(dir.root()).unwrap_err();
    let is_directory = error.io_error().unwrap().kind() == io::ErrorKind::IsADirectory;
    assert!(
        is_directory && error.to_string().starts_with("open /"),
        "{error:?}"
    );
    let path = dir.path("none/t.db");
    let error = Target::lock(&path).unwrap().start(0o600).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("open database {}", path.display())
    );
}

#[test]
fn what_a_dead_run_left_is_removed_and_what_a_living_one_holds_is_not() {
    let dir = TestDir::new();
    let path = dir.path("t.db");
    dir.write(".t.db.rpostmap-0123456789abcdef", "stale");
    dir.write(".t.db.rpostmap-0123", "not ours");
    dir.write(".t2.db.rpostmap-0123456789abcdef", "another table's");
    dir.write("__db.t.db", "not ours");
    symlink("nowhere", dir.path(".t.db.rpostmap-aaaaaaaaaaaaaaaa")).unwrap();
    let living = Target::lock(&path).unwrap().start(0o600).unwrap();
    assert_eq!(dir.names().len(), 5, "{:?}", dir.names());
    replace(&path, "x");
    let names = dir.names();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(
        !names
            .iter()
            .any(|name| name == ".t.db.rpostmap-0123456789abcdef")
    );
    living.commit().unwrap();
    assert_eq!(dir.names().len(), 5);
}

#[test]
fn a_table_that_appeared_meanwhile_is_waited_for_and_keeps_its_mode() {
    let dir = TestDir::new();
    let path = dir.path("t.db");
    let mut new = Target::lock(&path).unwrap().start(0o600).unwrap();
    new.write_at(0, b"second").unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let other = thread::spawn({
        let path = path.clone();
        move || {
            fs::write(&path, "first").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
            let target = Target::lock(&path).unwrap();
            send.send(()).unwrap();
            thread::sleep(Duration::from_millis(100));
            assert_eq!(text(&path), "first", "we still hold the lock");
            drop(target);
        }
    });
    receive.recv().unwrap();
    assert!(new.commit().unwrap().is_none());
    other.join().unwrap();
    assert_eq!((text(&path).as_str(), looks(&path).2), ("second", 0o604));
    assert_eq!(dir.names(), ["t.db"]);
}

#[test]
fn runs_at_the_same_time_leave_one_whole_table() {
    let dir = TestDir::new();
    let path = dir.path("t.db");
    thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..10 {
                    replace(path, &writer.to_string().repeat(10_000));
                    let seen = text(path);
                    assert_eq!(seen.len(), 10_000);
                    assert_eq!(seen.matches(&seen[..1]).count(), 10_000);
                }
            });
        }
    });
    assert_eq!(dir.names(), ["t.db"]);
}

#[test]
fn a_signal_aborts_leaves_the_old_table_and_then_acts() {
    if let Some(dir) = stage() {
        let path = dir.join("t.db");
        let mut new = match dir.join("in-place").exists() {
            true => forced(&path),
            false => Target::lock(&path).unwrap().start(0o600).unwrap(),
        };
        new.write_at(0, b"half").unwrap();
        raise(Signal::SIGTERM).unwrap();
        let error = new.write_at(4, b"more").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Interrupted { signal: 15 });
        let error = new.commit().unwrap_err();
        panic!("not reached: {error}");
    }
    for marker in ["beside", "in-place"] {
        let dir = TestDir::new();
        let path = dir.write("t.db", "old");
        dir.write(marker, "");
        let name = "file::replace::tests::a_signal_aborts_leaves_the_old_table_and_then_acts";
        let output = again(name, dir.root(), "").output().unwrap();
        assert_eq!(output.status.signal(), Some(15), "{marker} {output:?}");
        assert_eq!(text(&path), "old", "{marker}");
        assert_eq!(dir.names(), [marker, "t.db"]);
    }
}

#[test]
fn a_file_size_limit_is_an_error_and_damages_nothing() {
    if let Some(dir) = stage() {
        let path = dir.join("t.db");
        let mut new = Target::lock(&path).unwrap().start(0o600).unwrap();
        let error = new.write_at(0, &[b'x'; 10_000]).unwrap_err();
        assert_eq!(error.to_string(), format!("write {}", path.display()));
        drop(new);
        fs::write(dir.join("alive"), "").unwrap();
        return;
    }
    let dir = TestDir::new();
    let path = dir.write("t.db", "old");
    let name = "file::replace::tests::a_file_size_limit_is_an_error_and_damages_nothing";
    let output = again(name, dir.root(), "ulimit -f 8").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&path), "old");
    assert_eq!(dir.names(), ["alive", "t.db"]);
}

#[test]
fn a_table_that_is_a_mount_point_is_rewritten_in_place() {
    if let Some(dir) = stage() {
        let path = dir.join("t.db");
        let mut new = Target::lock(&path).unwrap().start(0o600).unwrap();
        assert!(new.in_place().is_none(), "not known before the rename");
        new.write_at(0, b"new").unwrap();
        assert!(matches!(new.commit().unwrap(), Some(InPlaceReason::Busy)));
        fs::write(dir.join("done"), "").unwrap();
        return;
    }
    let dir = TestDir::new();
    let path = dir.write("t.db", "old text");
    let name = "file::replace::tests::a_table_that_is_a_mount_point_is_rewritten_in_place";
    let mount = r#"exec unshare -m sh -c '
        mount --bind "$RPOSTMAP_TEST_STAGE/t.db" "$RPOSTMAP_TEST_STAGE/t.db" || exit 77
        exec "$@"' sh "$@" || exit 77"#;
    let probe = std::process::Command::new("unshare")
        .args(["-m", "true"])
        .status();
    if !root() || !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mount namespaces here");
        return;
    }
    let output = again(name, dir.root(), mount).output().unwrap();
    if output.status.code() == Some(77) {
        eprintln!("skipped: no bind mounts here");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&path), "new");
    assert_eq!(dir.names(), ["done", "t.db"]);
}

#[test]
fn room_that_is_missing_is_found_before_the_old_table_is_touched() {
    if let Some(dir) = stage() {
        let _hold = SignalHold::start(&dir).unwrap();
        let path = dir.join("t.db");
        let old = OpenOptions::new().write(true).open(&path).unwrap();
        let (action, error) = copy_over(&File::open(dir.join("new")).unwrap(), &old)
            .expect_err("more than the limit");
        assert_eq!(
            (action, error.kind()),
            ("write", io::ErrorKind::FileTooLarge)
        );
        return;
    }
    let dir = TestDir::new();
    let path = dir.write("t.db", "old");
    dir.write("new", "x".repeat(100_000));
    let name = "file::replace::tests::\
        room_that_is_missing_is_found_before_the_old_table_is_touched";
    let output = again(name, dir.root(), "ulimit -f 8").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&path), "old");
}

#[test]
fn without_the_right_to_make_files_or_owners_the_table_is_rewritten_in_place() {
    if let Some(dir) = stage() {
        nix::unistd::setegid(5678.into()).unwrap();
        nix::unistd::seteuid(1234.into()).unwrap();
        let path = dir.join("closed/t.db");
        let reason = replace(&path, "new").unwrap().to_string();
        let closed = dir.join("closed");
        let expect = format!(
            "no file can be created in {}: Permission denied",
            closed.display()
        );
        assert_eq!(reason, expect);
        let reason = replace(&dir.join("open/t.db"), "new").unwrap().to_string();
        assert_eq!(reason, "a new file cannot be given to owner 99, group 98");
        let error = Target::lock(&closed.join("new.db")).unwrap().start(0o600);
        let error = error.unwrap_err();
        assert!(error.to_string().starts_with("open database /"), "{error}");
        let error = Target::lock(&dir.join("open/locked.db")).unwrap_err();
        assert!(error.to_string().starts_with("open /"), "{error}");
        fs::write(dir.join("open/done"), "").unwrap();
        return;
    }
    if !root() {
        return;
    }
    let dir = TestDir::new();
    for (name, mode, uid) in [("closed", 0o755, 1234), ("open", 0o777, 99)] {
        fs::create_dir(dir.path(name)).unwrap();
        fs::set_permissions(dir.path(name), Permissions::from_mode(mode)).unwrap();
        let path = dir.write(&format!("{name}/t.db"), "old text");
        std::os::unix::fs::chown(&path, Some(uid), Some(98)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    }
    let locked = dir.write("open/locked.db", "old");
    fs::set_permissions(locked, Permissions::from_mode(0o644)).unwrap();
    let name = "file::replace::tests::\
        without_the_right_to_make_files_or_owners_the_table_is_rewritten_in_place";
    let output = again(name, dir.root(), "").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path("open/done").exists());
    for (name, uid) in [("closed", 1234), ("open", 99)] {
        let path = dir.path(&format!("{name}/t.db"));
        assert_eq!(text(&path), "new");
        assert_eq!(looks(&path), (uid, 98, 0o666));
    }
}

#[test]
fn tables_with_names_of_any_length_are_replaced() {
    let dir = TestDir::new();
    for len in [1, 227, 228, 229, 255] {
        let path = dir.path(&"n".repeat(len));
        replace(&path, "x");
        assert_eq!(text(&path), "x");
    }
}

#[test]
fn mapped_files_keep_their_mode_when_empty_and_links_to_nothing_are_followed() {
    let dir = TestDir::new();
    let path = dir.write("t.lmdb", "");
    fs::set_permissions(&path, Permissions::from_mode(0o606)).unwrap();
    let target = Target::lock_as(&path, Protocol::Mapped).unwrap();
    assert!(!target.removed_empty() && !target.is_missing() && target.existing().is_none());
    let mut new = target.start(0o640).unwrap();
    new.write_at(0, b"new").unwrap();
    assert!(new.commit().unwrap().is_none());
    assert_eq!((text(&path).as_str(), looks(&path).2), ("new", 0o606));

    fs::create_dir(dir.path("there")).unwrap();
    symlink("there/first", dir.path("link.lmdb")).unwrap();
    symlink("../there/second", dir.path("there/first")).unwrap();
    let link = dir.path("link.lmdb");
    let target = Target::lock_as(&link, Protocol::Mapped).unwrap();
    assert!(target.is_missing());
    assert!(target.start(0o640).unwrap().commit().unwrap().is_none());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(looks(&dir.path("there/second")).2, 0o640);
    symlink("loop.lmdb", dir.path("loop.lmdb")).unwrap();
    assert!(Target::lock_as(&dir.path("loop.lmdb"), Protocol::Mapped).is_err());
}

#[test]
fn readers_can_be_admitted_while_other_writers_wait() {
    let dir = TestDir::new();
    let path = dir.write("t.lmdb", "old");
    let target = Target::lock_as(&path, Protocol::Mapped).unwrap();
    let other = File::options().read(true).write(true).open(&path).unwrap();
    let get = |mode| FileLock::try_now(&other, &path, LockKind::Record, mode).unwrap();
    assert!(get(LockMode::Shared).is_none());
    target.admit_readers().unwrap();
    assert!(get(LockMode::Shared).is_some() && get(LockMode::Exclusive).is_none());
    target.exclude_readers().unwrap();
    assert!(get(LockMode::Shared).is_none());
    drop(target);
    assert!(get(LockMode::Exclusive).is_some());
}

#[test]
fn a_file_made_to_be_locked_goes_away_unless_it_becomes_a_table() {
    let dir = TestDir::new();
    let path = dir.path("t.lmdb");
    let target = Target::lock_or_make(&path, 0o604).unwrap();
    assert_eq!(
        (dir.names(), looks(&path).2),
        (vec!["t.lmdb".into()], 0o604)
    );
    let waiter = thread::spawn({
        let path = path.clone();
        move || {
            let target = Target::lock_or_make(&path, 0o600).unwrap();
            let len = target.existing().map(|file| file.metadata().unwrap().len());
            // What is there is not removed.
            drop(target);
            len
        }
    });
    thread::sleep(Duration::from_millis(50));
    assert!(
        !waiter.is_finished(),
        "locks of one process exclude each other"
    );
    let mut new = target.start_beside(0).unwrap();
    new.write_at(0, b"table").unwrap();
    assert!(new.commit().unwrap().is_none());
    assert_eq!(waiter.join().unwrap(), Some(5));
    assert_eq!((text(&path).as_str(), looks(&path).2), ("table", 0o604));

    let path = dir.path("u.lmdb");
    drop(Target::lock_or_make(&path, 0o604).unwrap());
    drop(
        Target::lock_or_make(&path, 0o604)
            .unwrap()
            .start(0o600)
            .unwrap(),
    );
    assert_eq!(dir.names(), ["t.lmdb"]);
    drop(Target::lock_or_make(&dir.write("v.lmdb", ""), 0o604).unwrap());
    assert_eq!(dir.names(), ["t.lmdb", "v.lmdb"], "it was there before");
}
