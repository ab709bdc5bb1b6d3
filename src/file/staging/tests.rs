use super::*;
use crate::error::ErrorKind;
use crate::file::lock::waits_for;
use crate::file::testing::{TestDir, again, stage};
use nix::sys::signal::{Signal, raise};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn make(path: &Path, content: &str, mode: u32) {
    let mut staging = Staging::lock(path).unwrap();
    staging.start(mode).unwrap();
    staging.write_at(0, content.as_bytes()).unwrap();
    staging.commit().unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_table_is_new_each_time_and_replaces_a_link() {
    let dir = TestDir::new();
    let path = dir.path("t.cdb");
    make(&path, "one", 0o640);
    assert_eq!((text(&path).as_str(), mode(&path)), ("one", 0o640));
    let old = fs::metadata(&path).unwrap().ino();
    make(&path, "two", 0o604);
    assert_eq!((text(&path).as_str(), mode(&path)), ("two", 0o604));
    assert_ne!(fs::metadata(&path).unwrap().ino(), old);
    let target = dir.write("target", "kept");
    fs::remove_file(&path).unwrap();
    symlink("target", &path).unwrap();
    make(&path, "three", 0o644);
    assert_eq!(
        (text(&path), text(&target)),
        ("three".into(), "kept".into())
    );
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(dir.names(), ["t.cdb", "target"]);
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let dir = TestDir::new();
    let path = dir.write("t.cdb", "old");
    drop(Staging::lock(&path).unwrap());
    assert_eq!(dir.names(), ["t.cdb"]);
    let mut staging = Staging::lock(&path).unwrap();
    staging.start(0o644).unwrap();
    staging.write_at(0, b"new").unwrap();
    assert_eq!(dir.names(), ["t.cdb", "t.cdb.tmp"]);
    drop(staging);
    assert_eq!(
        (dir.names(), text(&path)),
        (vec!["t.cdb".into()], "old".into())
    );
}

#[test]
fn a_directory_in_the_place_of_the_table_is_left_alone() {
    let dir = TestDir::new();
    let path = dir.path("t.cdb");
    fs::create_dir(&path).unwrap();
    let mut staging = Staging::lock(&path).unwrap();
    staging.start(0o644).unwrap();
    let error = staging.commit().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { action: "rename" }));
    assert_eq!(dir.names(), ["t.cdb"]);
}

#[test]
fn what_is_left_is_taken_over_unless_it_could_be_another_file() {
    let dir = TestDir::new();
    let path = dir.path("t.cdb");
    let left = dir.write("t.cdb.tmp", "a longer content");
    let inode = fs::metadata(&left).unwrap().ino();
    make(&path, "new", 0o600);
    assert_eq!((text(&path).as_str(), mode(&path)), ("new", 0o600));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    let other = dir.write("other", "precious");
    fs::hard_link(&other, &left).unwrap();
    make(&path, "newer", 0o644);
    assert_eq!(
        (text(&path), text(&other)),
        ("newer".into(), "precious".into())
    );
    if geteuid().is_root() {
        dir.write("t.cdb.tmp", "x");
        std::os::unix::fs::chown(&left, Some(1234), Some(5678)).unwrap();
        make(&path, "newest", 0o644);
        assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
    }
    symlink("other", &left).unwrap();
    let error = Staging::lock(&path).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Io {
            action: "open database"
        }
    ));
    assert_eq!(error.path(), Some(left.as_path()));
    assert_eq!(text(&other), "precious");
}

#[test]
fn writers_take_turns_and_the_last_leaves_nothing() {
    let dir = TestDir::new();
    let path = dir.path("t.cdb");
    thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    make(path, &format!("{n}").repeat(1000), 0o644);
                }
            });
        }
        for _ in 0..200 {
            if let Ok(content) = fs::read(&path) {
                let first = content.first().copied();
                assert!(content.iter().all(|&byte| Some(byte) == first));
                assert_eq!(content.len(), 1000);
            }
        }
    });
    assert_eq!(dir.names(), ["t.cdb"]);
}

/// Waits until somebody waits for the lock of `staging`.
fn until_waited_for(staging: &Staging) {
    for _ in 0..1000 {
        if is_waited_for(staging.locked.file()) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody waits");
}

#[test]
fn a_file_is_left_for_who_waits_and_only_then() {
    if !Path::new("/proc/locks").exists() {
        return;
    }
    let dir = TestDir::new();
    let path = dir.path("t.cdb");
    for commits in [true, false] {
        let mut staging = Staging::lock(&path).unwrap();
        assert!(!is_waited_for(staging.locked.file()));
        staging.start(0o604).unwrap();
        staging.write_at(0, b"first").unwrap();
        // Does what the original does: it opens the file, and looks at the name later.
        let waiting = File::open(&staging.temporary).unwrap();
        let waiter = thread::spawn(move || waiting.lock());
        until_waited_for(&staging);
        let temporary = staging.temporary.clone();
        if commits {
            staging.commit().unwrap();
        } else {
            drop(staging);
        }
        waiter.join().unwrap().unwrap();
        assert_eq!(text(&path), "first");
        assert_eq!((text(&temporary).as_str(), mode(&temporary)), ("", 0o604));
        fs::remove_file(&temporary).unwrap();
    }
}

#[test]
fn lines_of_proc_locks_are_told_apart() {
    for (line, waits) in [
        ("1: FLOCK  ADVISORY  WRITE 711 08:01:131077 0 EOF", false),
        ("1: -> FLOCK  ADVISORY  WRITE 712 08:01:131077 0 EOF", true),
        ("1: -> FLOCK  ADVISORY  WRITE 712 08:01:31077 0 EOF", false),
        ("1: -> FLOCK  ADVISORY  WRITE 131077 08:01:7 0 EOF", false),
        ("2: -> POSIX  ADVISORY  WRITE 712 08:01:131077 0 EOF", false),
        ("2: ->", false),
        ("", false),
    ] {
        assert_eq!(waits_for(line, "131077"), waits, "{line}");
    }
}

#[test]
fn a_signal_gives_the_table_up_and_acts_then() {
    if let Some(dir) = stage() {
        let path = dir.join("t.cdb");
        let mut staging = Staging::lock(&path).unwrap();
        staging.start(0o644).unwrap();
        raise(Signal::SIGTERM).unwrap();
        let error = staging.write_at(0, b"new").unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::Interrupted { signal: 15 }
        ));
        drop(staging);
        fs::write(dir.join("survived"), "").unwrap();
        return;
    }
    let dir = TestDir::new();
    let name = "file::staging::tests::a_signal_gives_the_table_up_and_acts_then";
    let output = again(name, dir.root(), "").output().unwrap();
    assert_eq!(output.status.signal(), Some(15), "{output:?}");
    assert!(dir.names().is_empty(), "{:?}", dir.names());
}
