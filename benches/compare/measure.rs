//! Runs a program and says what it took.
//!
//! The kernel tells the peak memory of the largest child only. So each program is run by a process
//! of its own, this one again, called with [`CHILD`].

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The first word of a call that runs a program and prints what it took.
pub(crate) const CHILD: &str = "--measure";

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor time, of user and system.
    pub(crate) cpu: Duration,
    /// The most memory it had at a time, in bytes.
    pub(crate) peak: u64,
}

/// Runs `program`, which must succeed, in `dir`, with `input` from there as standard input.
pub(crate) fn run(dir: &Path, program: &Path, words: &[&str], input: Option<&str>) -> Figures {
    let stdin = match input {
        Some(name) => File::open(dir.join(name)).expect("opened").into(),
        None => Stdio::null(),
    };
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg(CHILD)
        .arg(program)
        .args(words)
        .current_dir(dir)
        .env("MAIL_CONFIG", dir)
        .stdin(stdin)
        .stderr(Stdio::inherit())
        .output()
        .expect("started");
    assert!(output.status.success(), "{} {words:?}", program.display());
    let text = String::from_utf8(output.stdout).expect("numbers");
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [wall, cpu, peak] = numbers[..] else {
        panic!("{text}: not three numbers");
    };
    Figures {
        wall: Duration::from_nanos(wall),
        cpu: Duration::from_micros(cpu),
        peak,
    }
}

/// Runs the program that `words` are, and prints three numbers: wall time in nanoseconds, processor
/// time in microseconds, peak memory in bytes.
pub(crate) fn child(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<String> = words.collect();
    let Some((program, words)) = words.split_first() else {
        return ExitCode::FAILURE;
    };
    let start = Instant::now();
    let status = Command::new(OsStr::new(program))
        .args(words)
        .stdout(Stdio::null())
        .status();
    let wall = start.elapsed();
    if !status.is_ok_and(|status| status.success()) {
        return ExitCode::FAILURE;
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel tells");
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{} {cpu} {}", wall.as_nanos(), usage.max_rss() * 1024);
    ExitCode::SUCCESS
}
