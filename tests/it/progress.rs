//! How far a long run is: shown on a terminal, to those who called `rpostmap`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::common::{TestDir, is_stand_in, program, shout};

/// What a program shows, on a terminal of some type or else in a pipe, whose source comes in two
/// parts, with a pause between them in which others would get impatient. A line in the first part is
/// odd.
fn shown(words: &[&str], terminal: Option<&str>) -> String {
    let dir = TestDir::new("progress");
    dir.write("main.cf", "compatibility_level = 3.6\n");
    mkfifo(&dir.file("t"), Mode::S_IRWXU).expect("a pipe with a name");
    let pty = openpty(None, None).expect("a terminal");
    let (stderr, mut other_end): (Stdio, File) = if terminal.is_some() {
        (pty.slave.into(), pty.master.into())
    } else {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(pty);
        (writer.into(), std::os::fd::OwnedFd::from(reader).into())
    };
    let mut command = Command::new(program("rpostmap"));
    command.args(words).current_dir(dir.path()).stderr(stderr);
    command.env("MAIL_CONFIG", dir.path());
    command.env("TERM", terminal.unwrap_or("xterm"));
    let mut child = command.stdin(Stdio::null()).spawn().expect("started");
    // Ours must be closed, or the end would not be seen.
    drop(command);
    let fifo = dir.file("t");
    let feeder = thread::spawn(move || {
        let mut source = OpenOptions::new().write(true).open(fifo).expect("opened");
        source.write_all(b"a 1\nodd\nb 2\n").expect("read");
        thread::sleep(Duration::from_millis(1_800));
        source.write_all(b"a 3\n").expect("read");
    });
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    // A terminal that nobody has open any more gives an error.
    while let Ok(count @ 1..) = other_end.read(&mut piece) {
        text.extend_from_slice(&piece[..count]);
    }
    assert!(child.wait().expect("ended").success());
    feeder.join().expect("fed");
    let listed = dir
        .run(program("rpostmap"))
        .args(["-s", "btree:t"])
        .finish();
    listed.status_is(0).stdout_is("a\t1\nb\t2\n");
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_long_run_is_shown_on_a_terminal_and_nowhere_else() {
    if is_stand_in() {
        return shout("progress: the original shows none");
    }
    let warnings = |name: &str, end: &str| {
        let odd = format!("{name}: warning: t, line 2: expected format: key whitespace value{end}");
        odd + &format!("{name}: warning: t.db: duplicate entry: \"a\"{end}")
    };
    thread::scope(|scope| {
        let runs = [
            (&["btree:t"][..], Some("xterm"), "rpostmap"),
            (&["--memory=1K", "btree:t"], Some("xterm"), "rpostmap"),
            (&["btree:t"], Some("dumb"), "rpostmap"),
            (&["btree:t"], None, "rpostmap"),
            (&["postmap", "btree:t"], Some("xterm"), "postmap"),
        ];
        let runs = runs.map(|(words, terminal, name)| {
            let run = scope.spawn(move || shown(words, terminal));
            (run, terminal, name, words)
        });
        for (run, terminal, name, words) in runs {
            let text = run.join().expect("ran");
            if terminal == Some("xterm") && name == "rpostmap" {
                assert!(text.contains("t.db: read 12 B"), "{words:?}: {text:?}");
                // Each warning on a line of its own, whole.
                let lines: Vec<&str> = text.split("\r\n").collect();
                for warning in warnings(name, "\n").lines() {
                    let found = lines.iter().any(|line| {
                        line.strip_suffix(warning).is_some_and(|before| {
                            before.is_empty() || before.ends_with('K') || before.ends_with('\r')
                        })
                    });
                    assert!(found, "{words:?}: {warning}: {text:?}");
                }
                // The line is taken away.
                assert!(text.ends_with("\r\u{1b}[2K"), "{words:?}: {text:?}");
            } else {
                let end = if terminal.is_some() { "\r\n" } else { "\n" };
                assert_eq!(text, warnings(name, end), "{words:?}");
            }
        }
    });
}
