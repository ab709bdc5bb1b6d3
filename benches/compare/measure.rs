//! Runs a program and says what it took.
//!
//! The kernel tells the peak memory of the largest child only. So each program is run by a process
//! of its own, this one again, called with [`CHILD`].

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The first word of a call that runs a program and prints what it took.
pub(crate) const CHILD: &str = "--measure";

/// What is printed for one that took too long.
const TOO_LONG: &str = "too long";

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
    let figures = run_for(dir, program, words, input, None);
    figures.expect("it was given all the time it needs")
}

/// As [`run`], so many times one after the other; what they took together.
pub(crate) fn run_times(times: u32, dir: &Path, program: &Path, words: &[&str]) -> Figures {
    let figures = measure(times, dir, program, words, None, None);
    figures.expect("they were given all the time they need")
}

/// As [`run`]; `None` when it takes longer than `limit`, after which it is ended.
pub(crate) fn run_for(
    dir: &Path,
    program: &Path,
    words: &[&str],
    input: Option<&str>,
    limit: Option<Duration>,
) -> Option<Figures> {
    measure(1, dir, program, words, input, limit)
}

fn measure(
    times: u32,
    dir: &Path,
    program: &Path,
    words: &[&str],
    input: Option<&str>,
    limit: Option<Duration>,
) -> Option<Figures> {
    let stdin = match input {
        Some(name) => File::open(dir.join(name)).expect("opened").into(),
        None => Stdio::null(),
    };
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg(CHILD)
        .arg(limit.map_or(0, |limit| limit.as_secs().max(1)).to_string())
        .arg(times.to_string())
        .arg(program)
        .args(words)
        .current_dir(dir)
        .env("MAIL_CONFIG", dir)
        // What cargo sets for its own sake. The dynamic linker would look for each library of each
        // program in all of these directories first, as it does for nobody who installed them.
        .env_remove("LD_LIBRARY_PATH")
        .stdin(stdin)
        .stderr(Stdio::inherit())
        .output()
        .expect("started");
    assert!(output.status.success(), "{} {words:?}", program.display());
    let text = String::from_utf8(output.stdout).expect("numbers");
    if text.trim() == TOO_LONG {
        return None;
    }
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [wall, cpu, peak] = numbers[..] else {
        panic!("{text}: not three numbers");
    };
    Some(Figures {
        wall: Duration::from_nanos(wall),
        cpu: Duration::from_micros(cpu),
        peak,
    })
}

/// Runs a program, the third of `words` and its words, and prints three numbers: wall time in
/// nanoseconds, processor time in microseconds, peak memory in bytes. The first word is a number of
/// seconds after which it is ended, and [`TOO_LONG`] printed; 0 is for ever. The second says how
/// often it is run.
pub(crate) fn child(mut words: impl Iterator<Item = String>) -> ExitCode {
    let limit = words.next().and_then(|word| word.parse().ok());
    let times: Option<u32> = words.next().and_then(|word| word.parse().ok());
    let words: Vec<String> = words.collect();
    let (Some(limit), Some(times), Some((program, words))) = (limit, times, words.split_first())
    else {
        return ExitCode::FAILURE;
    };
    let mut command = Command::new(OsStr::new(program));
    command.args(words).stdout(Stdio::null());
    let start = Instant::now();
    for _ in 0..times {
        let status = match limit {
            0 => command.status().ok(),
            limit => match status_within(&mut command, Duration::from_secs(limit)) {
                Some(status) => Some(status),
                None => {
                    println!("{TOO_LONG}");
                    return ExitCode::SUCCESS;
                }
            },
        };
        if !status.is_some_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel tells");
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{} {cpu} {}", wall.as_nanos(), usage.max_rss() * 1024);
    ExitCode::SUCCESS
}

/// Runs `command`, and ends it after `limit`.
fn status_within(command: &mut Command, limit: Duration) -> Option<ExitStatus> {
    let mut child = command.spawn().expect("started");
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        // Of what takes minutes, nothing.
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
    None
}
