//! cdb tables, written by one side and read by the other, and both at once.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::common::{Run, TestDir, is_stand_in, set_mode};
use crate::oracle::{have, original};

/// Whose program, and how it is run.
type Side = (&'static str, for<'d> fn(&'d TestDir) -> Run<'d>);

/// Ours and the original, each called `postmap`.
fn sides() -> [Side; 2] {
    [
        ("ours", |dir| dir.ours("postmap")),
        ("the original's", |dir| original(dir, "postmap")),
    ]
}

/// Unicode, quotes, long keys and values, keys that fold to one another.
fn source(count: usize) -> String {
    let mut text = String::from("# comment\n");
    for n in 0..count {
        let key = match n % 10 {
            0 => format!("\"quoted key {n}\""),
            1 => format!("J\u{dc}RGEN{n}@M\u{dc}LLER.example"),
            2 => format!("stra\u{df}e{n}"),
            3 => format!("{}{n}", "k".repeat(n % 300)),
            _ => format!("User{n}@example{}.com", n % 97),
        };
        let value = match n % 1000 {
            7 => "v".repeat(n % 5000 + 1),
            _ => format!("relay:[mx{}.example.net]:{} \u{20ac}", n % 7, n % 600),
        };
        text.push_str(&format!("{key}\t{value}\n"));
    }
    text
}

/// The records of `cdb -d` as `key TAB value LF`; keys and values hold no `->`.
fn dumped(dump: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in dump
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let colon = line.iter().position(|&byte| byte == b':').expect("lengths");
        let pair = &line[colon + 1..];
        let arrow = pair.windows(2).position(|two| two == b"->").expect("arrow");
        lines.extend([&pair[..arrow], b"\t", &pair[arrow + 2..], b"\n"].concat());
    }
    lines
}

#[test]
fn both_make_the_same_bytes_and_say_the_same() {
    if !have(&["postmap"]) {
        return;
    }
    let mut duplicates = source(500);
    duplicates.push_str(&source(300).replace("relay", "smtp"));
    duplicates.push_str("k\n\"open\n  indented\nA 1\na 2\n\"A\" 3\n\u{c4} 1\n\u{e4} 2\nx: y\n");
    for text in ["", "a 1\n", &duplicates] {
        for options in [
            &[][..],
            &["-r"],
            &["-w"],
            &["-N"],
            &["-n"],
            &["-f"],
            &["-u"],
            &["-w", "-r"],
            &["-N", "-w", "-f"],
        ] {
            let results = sides().map(|(_, postmap)| {
                let dir = TestDir::new("cdb-bytes");
                dir.write("t", text);
                let run = postmap(&dir).args(options).args(["cdb:t"]).finish();
                assert_eq!(dir.names(), ["t", "t.cdb"]);
                (run.status, run.stderr, fs::read(dir.file("t.cdb")).unwrap())
            });
            let [ours, theirs] = results;
            assert_eq!(ours.0, theirs.0, "{options:?}");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(&ours.1), text(&theirs.1), "{options:?}");
            assert!(ours.2 == theirs.2, "{options:?}: files differ");
        }
    }
}

#[test]
fn each_reads_100000_entries_of_the_other() {
    if !have(&["postmap", "cdb"]) {
        return;
    }
    let text = source(100_000);
    let mut files = Vec::new();
    for (name, postmap) in sides() {
        let dir = TestDir::new("cdb-large");
        dir.write("t", &text);
        postmap(&dir).args(["cdb:t"]).ok();
        files.push(fs::read(dir.file("t.cdb")).unwrap());
        let theirs = dumped(&original(&dir, "cdb").args(["-d", "t.cdb"]).ok().stdout);
        if !is_stand_in() {
            let listed = dir.ours("postmap").args(["-s", "cdb:t"]).ok().stderr_is("");
            assert!(listed.stdout == theirs, "{name}: listings differ");
        }
        let lines = theirs.split_inclusive(|&byte| byte == b'\n');
        assert!(lines.clone().count() > 99_000);
        let keys = lines.flat_map(|line| line.split(|&byte| byte == b'\t').next());
        let mut keys: Vec<u8> = keys.flat_map(|key| [key, b"\n"].concat()).collect();
        keys.extend(b"nobody@example.com\n");
        for (reader, postmap) in sides() {
            let answers = postmap(&dir).args(["-q", "-", "cdb:t"]).stdin(&*keys).ok();
            assert!(
                answers.stdout == theirs,
                "{reader} answers for {name} table"
            );
        }
    }
    assert!(files[0] == files[1]);
}

#[test]
fn duplicates_of_w_are_listed_by_all_and_the_first_is_the_answer() {
    if !have(&["postmap", "cdb"]) {
        return;
    }
    for (_, postmap) in sides() {
        let dir = TestDir::new("cdb-all");
        dir.write("t", "a 1\nb 2\na 3\n");
        postmap(&dir).args(["-w", "cdb:t"]).ok().stderr_is("");
        let dump = original(&dir, "cdb").args(["-d", "t.cdb"]).ok();
        let dump = dump.stdout_is("+1,1:a->1\n+1,1:b->2\n+1,1:a->3\n\n");
        if !is_stand_in() {
            let listed = dir.ours("postmap").args(["-s", "cdb:t"]).ok();
            listed.stdout_is(dumped(&dump.stdout));
        }
        for (_, reader) in sides() {
            reader(&dir)
                .args(["-q", "a", "cdb:t"])
                .ok()
                .stdout_is("1\n");
        }
    }
}

#[test]
fn odd_files_are_refused_in_the_same_words() {
    if !have(&["postmap"]) {
        return;
    }
    let make = |dir: &TestDir| {
        dir.write("t", "a 1\nb 2\n");
        original(dir, "postmap").args(["cdb:t"]).ok();
        fs::read(dir.file("t.cdb")).unwrap()
    };
    type Spoil = fn(&TestDir, &[u8]);
    let cases: [(&str, Spoil); 10] = [
        ("good", |_, _| {}),
        ("empty", |dir, _| drop(dir.write("t.cdb", ""))),
        ("text", |dir, _| drop(dir.write("t.cdb", "hello\n"))),
        ("2047 bytes", |dir, file| {
            drop(dir.write("t.cdb", &file[..2047]))
        }),
        ("header only", |dir, file| {
            drop(dir.write("t.cdb", &file[..2048]))
        }),
        ("cut", |dir, file| drop(dir.write("t.cdb", &file[..2070]))),
        ("bytes of 0xff", |dir, _| {
            drop(dir.write("t.cdb", [0xff; 5000]))
        }),
        ("missing", |dir, _| {
            fs::remove_file(dir.file("t.cdb")).unwrap()
        }),
        ("directory", |dir, _| {
            fs::remove_file(dir.file("t.cdb")).unwrap();
            fs::create_dir(dir.file("t.cdb")).unwrap();
        }),
        ("dangling link", |dir, _| {
            fs::remove_file(dir.file("t.cdb")).unwrap();
            symlink("nowhere", dir.file("t.cdb")).unwrap();
        }),
    ];
    for (name, spoil) in cases {
        let results = sides().map(|(_, postmap)| {
            let dir = TestDir::new("cdb-odd");
            let file = make(&dir);
            spoil(&dir, &file);
            let actions = [
                &["-q", "a", "cdb:t"][..],
                &["-q", "zz", "cdb:t"],
                &["-d", "a", "cdb:t"],
                &["-i", "cdb:t"],
                &["-o", "cdb:t"],
            ];
            let said = actions.map(|words| {
                let run = postmap(&dir).args(words).stdin("x y\n").finish();
                let text = String::from_utf8_lossy(&run.stderr).into_owned();
                (run.status, run.stdout, text)
            });
            let names = dir.names();
            let is_file = fs::symlink_metadata(dir.file("t.cdb")).unwrap().is_file();
            // The original leaves its temporary file where the table is a directory.
            let names: Vec<String> = names.into_iter().filter(|n| !n.ends_with(".tmp")).collect();
            (said, names, is_file)
        });
        let [ours, theirs] = results;
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn a_table_gets_the_mode_of_its_source_each_time_and_a_new_inode() {
    if !have(&["postmap"]) {
        return;
    }
    for (_, postmap) in sides() {
        let dir = TestDir::new("cdb-mode");
        let path = dir.file("t.cdb");
        set_mode(&dir.write("t", "k v\n"), 0o640);
        postmap(&dir).umask("077").args(["cdb:t"]).ok();
        assert_eq!(dir.mode("t.cdb"), 0o640);
        set_mode(&path, 0o604);
        fs::hard_link(&path, dir.file("old")).unwrap();
        postmap(&dir).args(["cdb:t"]).ok().stderr_is("");
        assert_eq!(dir.mode("t.cdb"), 0o640);
        let inode = |name| fs::metadata(dir.file(name)).unwrap().ino();
        assert_ne!(inode("t.cdb"), inode("old"));
        postmap(&dir).args(["-p", "cdb:t"]).ok();
        assert_eq!(dir.mode("t.cdb"), 0o644);
    }
}

/// Holds the lock that writers of `t.cdb` take.
fn lock(dir: &TestDir) -> File {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    let file = options.open(dir.file("t.cdb.tmp")).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn writers_wait_for_the_lock_and_begin_again_when_it_has_another_name() {
    if !have(&["postmap"]) {
        return;
    }
    for (name, postmap) in sides() {
        for successor in [true, false] {
            let dir = TestDir::new("cdb-lock");
            dir.write("t", "k new\n");
            let held = lock(&dir);
            let mut running = postmap(&dir).args(["cdb:t"]).start();
            thread::sleep(Duration::from_millis(500));
            assert!(running.is_running(), "{name}: does not wait");
            assert_eq!(dir.names(), ["t", "t.cdb.tmp"]);
            fs::rename(dir.file("t.cdb.tmp"), dir.file("t.cdb")).unwrap();
            if successor {
                dir.write("t.cdb.tmp", "");
            }
            drop(held);
            let run = running.finish();
            if name == "ours" || successor {
                run.status_is(0).stderr_is("");
                assert_eq!(dir.names(), ["t", "t.cdb"]);
                let found = original(&dir, "postmap").args(["-q", "k", "cdb:t"]).ok();
                found.stdout_is("new\n");
            } else {
                // So two of the original cannot wait for each other.
                let text = "postmap: fatal: stat(t.cdb.tmp): No such file or directory\n";
                run.status_is(1).stderr_is(text);
            }
        }
    }
}

#[test]
fn the_original_goes_on_when_ours_has_finished() {
    if !have(&["postmap"]) || is_stand_in() {
        return;
    }
    let dir = TestDir::new("cdb-turns");
    mkfifo(&dir.file("t"), Mode::S_IRWXU).unwrap();
    set_mode(&dir.file("t"), 0o644);
    // Neither end waits for the other.
    let mut options = File::options();
    let mut fifo = options.read(true).write(true).open(dir.file("t")).unwrap();
    let ours = dir.ours("postmap").args(["cdb:t"]).start();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(dir.names(), ["t", "t.cdb.tmp"], "ours reads its source");
    fs::remove_file(dir.file("t")).unwrap();
    set_mode(&dir.write("t", "k theirs\n"), 0o644);
    let mut theirs = original(&dir, "postmap").args(["cdb:t"]).start();
    thread::sleep(Duration::from_millis(500));
    assert!(theirs.is_running());
    fifo.write_all(b"k ours\n").unwrap();
    drop(fifo);
    ours.finish().status_is(0).stderr_is("");
    theirs.finish().status_is(0).stderr_is("");
    assert_eq!(
        (dir.names(), dir.mode("t.cdb")),
        (vec!["t".into(), "t.cdb".into()], 0o644)
    );
    let found = dir.ours("postmap").args(["-q", "k", "cdb:t"]).ok();
    found.stdout_is("theirs\n");
}

#[test]
fn rebuilds_of_both_at_once_leave_a_whole_table() {
    if !have(&["postmap"]) {
        return;
    }
    let dir = TestDir::new("cdb-both");
    dir.write("t", source(3000));
    original(&dir, "postmap").args(["cdb:t"]).ok();
    let want = fs::read(dir.file("t.cdb")).unwrap();
    for round in 0..5 {
        // One of the original only: two of them cannot wait for each other.
        let theirs = original(&dir, "postmap").args(["cdb:t"]).start();
        let ours: Vec<_> = (0..4)
            .map(|_| dir.ours("postmap").args(["cdb:t"]).start())
            .collect();
        // Readers meanwhile see a whole table.
        for _ in 0..3 {
            let key = ["-q", "user4@example4.com", "cdb:t"];
            dir.ours("postmap").args(key).ok();
        }
        for run in ours {
            run.finish().status_is(0).stderr_is("");
        }
        // It may have opened a file that had its name no longer when it asked for the lock, before
        // anybody could see that it waits.
        let theirs = theirs.finish();
        let gave_up = b"postmap: fatal: stat(t.cdb.tmp): No such file or directory\n";
        assert!(theirs.status == 0 || theirs.stderr == gave_up, "{theirs}");
        assert_eq!(dir.names(), ["t", "t.cdb"], "round {round}");
        assert!(
            fs::read(dir.file("t.cdb")).unwrap() == want,
            "round {round}"
        );
    }
}

#[test]
fn what_fails_leaves_the_old_table_and_nothing_else() {
    if is_stand_in() {
        return;
    }
    let dir = TestDir::new("cdb-full");
    dir.write("t", "k old\n");
    dir.ours("postmap").args(["cdb:t"]).ok();
    let old = fs::read(dir.file("t.cdb")).unwrap();
    dir.write("t", source(3000));
    // 64 KiB is the longest file.
    dir.shell("ulimit -f 128; postmap cdb:t")
        .finish()
        .status_is(1)
        .stderr_is("postmap: fatal: error writing t.cdb.tmp: File too large\n");
    assert_eq!(dir.names(), ["t", "t.cdb"]);
    assert!(fs::read(dir.file("t.cdb")).unwrap() == old);
    // A signal while the source is read, and while the table is written.
    dir.write("t", source(200_000));
    for pause in [20, 60, 100, 150, 250] {
        let script = format!(
            "postmap cdb:t & sleep {}; kill -TERM $!; wait $!",
            pause as f64 / 1e3
        );
        let run = dir.shell(&script).finish();
        let names = dir.names();
        assert_eq!(names, ["t", "t.cdb"], "{run}");
        let is_old = fs::read(dir.file("t.cdb")).unwrap() == old;
        assert_eq!(is_old, run.status != 0, "{run}");
    }
}

#[test]
fn what_a_dead_run_left_is_taken_over_and_a_link_is_not_followed() {
    if !have(&["postmap"]) || is_stand_in() {
        return;
    }
    let dir = TestDir::new("cdb-left");
    set_mode(&dir.write("t", "k v\n"), 0o600);
    let left = dir.write("t.cdb.tmp", vec![b'x'; 5000]);
    set_mode(&left, 0o666);
    dir.ours("postmap").args(["cdb:t"]).ok().stderr_is("");
    assert_eq!(
        (dir.names(), dir.mode("t.cdb")),
        (vec!["t".into(), "t.cdb".into()], 0o600)
    );
    let good = fs::read(dir.file("t.cdb")).unwrap();
    // One with two names may be somebody's file.
    let other = dir.write("other", "precious");
    fs::hard_link(&other, dir.file("t.cdb.tmp")).unwrap();
    dir.ours("postmap").args(["cdb:t"]).ok().stderr_is("");
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    assert!(fs::read(dir.file("t.cdb")).unwrap() == good);
    symlink("other", dir.file("t.cdb.tmp")).unwrap();
    let text = "postmap: fatal: open database t.cdb.tmp: Too many levels of symbolic links\n";
    let run = dir.ours("postmap").args(["cdb:t"]).finish();
    run.status_is(1).stderr_is(text);
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    let mode = fs::metadata(&other).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
}
