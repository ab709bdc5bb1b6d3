//! A table of passwords is never readable by others, not for an instant: system calls are traced.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use crate::common::{TestDir, find_program, is_ci, is_root, package_file, set_mode, shout};
use crate::oracle::have;

/// What happened to a file in the traced directory, by its last name.
#[derive(Debug)]
enum Event {
    Created { name: String, mode: u32 },
    ModeSet { name: String, mode: u32 },
    OwnerSet { name: String },
    Written { name: String },
}

/// Runs `rpostmap hash:relay_password` under strace with umask 0 and gives what it did to files.
fn trace(dir: &TestDir) -> Vec<Event> {
    let program = dir.ours("rpostmap").program();
    let log = dir.path().with_file_name("strace.log");
    dir.run(find_program("strace").expect("asked before"))
        .umask("000")
        .args(["-f", "-y", "-s", "4", "-e", "trace=file,desc,umask", "-o"])
        .args([log.as_os_str(), &program, "hash:relay_password".as_ref()])
        .ok()
        .stderr_is("");
    let log = fs::read_to_string(log).expect("strace.log is ASCII");
    events(&log, &dir.path())
}

/// Puts calls back together that another thread's call has cut in two.
fn whole_calls(log: &str) -> Vec<String> {
    let mut cut: Vec<(String, String)> = Vec::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let (pid, call) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let call = call.trim_start();
        if let Some(head) = call.strip_suffix(" <unfinished ...>") {
            cut.push((pid.to_owned(), head.to_owned()));
        } else if let Some((_, tail)) = call.split_once(" resumed>") {
            if let Some(at) = cut.iter().position(|(of, _)| of == pid) {
                calls.push(cut.swap_remove(at).1 + tail);
            }
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

fn events(log: &str, work: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let mut umask = 0;
    for call in whole_calls(log) {
        let Some((function, rest)) = call.split_once('(') else {
            continue;
        };
        // Arguments hold no ") = ": strings are file names of ours, or cut to four bytes.
        let Some((arguments, result)) = rest.rsplit_once(") ") else {
            continue;
        };
        let result = result.trim_start_matches(['=', ' ']);
        if result.starts_with('-') {
            continue;
        }
        let last_number = || {
            let word = arguments.rsplit(", ").find(|word| word.starts_with('0'));
            word.and_then(|word| u32::from_str_radix(word, 8).ok())
                .unwrap_or_else(|| panic!("no mode in {call}"))
        };
        let of_descriptor = |text: &str| {
            let path = text.split_once('<')?.1.split_once('>')?.0;
            let inside = Path::new(path.trim_end_matches(" (deleted)"))
                .strip_prefix(work)
                .ok()?;
            Some(inside.to_string_lossy().into_owned())
        };
        // Named files: relative to the working directory, or absolute and inside it.
        let of_name = || {
            let path = Path::new(arguments.split('"').nth(1)?);
            let inside = if path.is_absolute() {
                path.strip_prefix(work).ok()?
            } else {
                path
            };
            Some(
                inside
                    .strip_prefix(".")
                    .unwrap_or(inside)
                    .to_string_lossy()
                    .into_owned(),
            )
        };
        let event = match function {
            "umask" => {
                umask = u32::from_str_radix(arguments, 8).expect("umask is octal");
                None
            }
            "open" | "openat"
                if arguments.contains("O_CREAT") || arguments.contains("O_TMPFILE") =>
            {
                let mode = last_number() & !umask;
                of_descriptor(result).map(|name| Event::Created { name, mode })
            }
            "creat" | "mknod" | "mknodat" => of_name().map(|name| Event::Created {
                name,
                mode: last_number() & !umask,
            }),
            "fchmod" => of_descriptor(arguments).map(|name| Event::ModeSet {
                name,
                mode: last_number(),
            }),
            "chmod" | "fchmodat" | "fchmodat2" => of_name().map(|name| Event::ModeSet {
                name,
                mode: last_number(),
            }),
            "fchown" => of_descriptor(arguments).map(|name| Event::OwnerSet { name }),
            "chown" | "lchown" | "fchownat" => of_name().map(|name| Event::OwnerSet { name }),
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "copy_file_range" => {
                of_descriptor(arguments).map(|name| Event::Written { name })
            }
            _ => None,
        };
        events.extend(event);
    }
    events
}

#[test]
fn password_table_is_private_from_its_first_instant() {
    if !have(&["strace"]) {
        return;
    }
    for user in [None, Some(65534)] {
        if user.is_some() && !is_root() {
            shout("password table of another user: needs root");
            continue;
        }
        let dir = TestDir::new("password");
        let example = fs::read(package_file("examples/relay_password")).expect("example");
        set_mode(&dir.write("relay_password", example), 0o600);
        if user.is_some() {
            for path in [dir.path(), dir.file("relay_password")] {
                chown(path, user, user).expect("chown");
            }
        }
        if !can_trace(&dir) {
            return;
        }
        // A new table, then a rebuild.
        for _ in 0..2 {
            let events = trace(&dir);
            let mut written: Vec<&str> = Vec::new();
            for event in &events {
                match event {
                    Event::Created { name, mode } | Event::ModeSet { name, mode } => {
                        assert_eq!(mode & 0o077, 0, "{name} is open to others: {events:#?}");
                    }
                    Event::OwnerSet { .. } | Event::Written { .. } => {}
                }
                match event {
                    Event::ModeSet { name, .. } | Event::OwnerSet { name } => {
                        let late = written.contains(&name.as_str());
                        assert!(!late, "{name} had content before {event:?}: {events:#?}");
                    }
                    Event::Written { name } => written.push(name),
                    Event::Created { .. } => {}
                }
            }
            assert!(
                !written.is_empty(),
                "the trace shows no content written: {events:#?}"
            );
            assert_eq!(dir.mode("relay_password.db"), 0o600);
            assert_eq!(dir.names(), ["relay_password", "relay_password.db"]);
        }
    }
}

/// Some containers forbid tracing.
fn can_trace(dir: &TestDir) -> bool {
    let end = dir
        .run(find_program("strace").expect("asked before"))
        .args(["true"])
        .finish();
    if end.status != 0 {
        assert!(!is_ci(), "strace does not work\n{end}");
        shout(format_args!(
            "password table: strace does not work here\n{end}"
        ));
    }
    end.status == 0
}

#[test]
fn trace_is_read_as_it_was_written() {
    let log = "\
7 umask(000) = 022
7 openat(AT_FDCWD</w>, \"t.tmp\", O_RDWR|O_CREAT|O_EXCL, 0640) = 3</w/t.tmp>
7 openat(AT_FDCWD</w>, \"x\", O_RDWR|O_CREAT, 0644) = -1 EACCES (Permission denied)
8 fchmod(3</w/t.tmp>, 0600 <unfinished ...>
7 write(1</dev/null>, \"a\", 1) = 1
8 <... fchmod resumed>) = 0
7 pwrite64(3</w/t.tmp>, \"\\0\\0\"..., 4096, 0) = 4096
";
    let shown = format!("{:?}", events(log, Path::new("/w")));
    let want = "[Created { name: \"t.tmp\", mode: 416 }, ModeSet { name: \"t.tmp\", mode: 384 }, \
                Written { name: \"t.tmp\" }]";
    assert_eq!(shown, want);
}
