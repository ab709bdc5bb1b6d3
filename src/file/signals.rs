//! Holds back the signals that would end the process half-way through a change.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{Error, Result};

/// Signals that are none of our business: they cannot be held, do not end a process, stop and
/// continue it, or report a fault of the very instruction that runs.
const LEFT_ALONE: [Signal; 16] = [
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGCHLD,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGURG,
    Signal::SIGWINCH,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGSEGV,
    Signal::SIGSYS,
];

/// While it lives, signals that would end the process (SIGINT, SIGTERM, SIGHUP, SIGQUIT, ...) wait;
/// when it is dropped they act. So clean up first, drop this last.
///
/// Only signals whose disposition is the default are held: one that the program ignores (`nohup`)
/// stays ignored, one it handles reaches its handler at once. Signals already blocked stay the
/// caller's; holds can be nested, then only the outermost sees signals.
///
/// The mask is the calling thread's, hence the value cannot be sent to another. In a program with
/// more threads a signal sent to the process is held only if all of them block it; otherwise it
/// ends the process at once, and what was unfinished is cleaned up by the next run.
#[derive(Debug)]
pub struct SignalHold {
    /// The thread's mask before.
    before: SigSet,
    queue: SignalFd,
    /// Taken from the queue, to be raised again.
    caught: Vec<Signal>,
    this_thread_only: PhantomData<*const ()>,
}

impl SignalHold {
    /// Starts to hold signals for a change of the file `path`, which is only named in errors:
    /// action "hold signals for".
    pub fn start(path: &Path) -> Result<SignalHold> {
        let failed = |error| Error::io("hold signals for", path, error);
        SignalHold::begin(|_| true).map_err(failed)
    }

    /// Holds the one signal that ends a process whose file gets longer than it may, and none else:
    /// the write fails then, and its error says so. Errors: as those of [`start`](SignalHold::start).
    pub(crate) fn of_file_size(path: &Path) -> Result<SignalHold> {
        let failed = |error| Error::io("hold signals for", path, error);
        SignalHold::begin(|signal| signal == Signal::SIGXFSZ).map_err(failed)
    }

    fn begin(is_meant: impl Fn(Signal) -> bool) -> io::Result<SignalHold> {
        let before = SigSet::thread_get_mask()?;
        let chosen = chosen_dispositions();
        let held: SigSet = Signal::iterator()
            .filter(|signal| !LEFT_ALONE.contains(signal) && is_meant(*signal))
            .filter(|signal| !before.contains(*signal))
            .filter(|signal| chosen & bit(*signal) == 0)
            .collect();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let queue = SignalFd::with_flags(&held, flags)?;
        held.thread_block()?;
        Ok(SignalHold {
            before,
            queue,
            caught: Vec::new(),
            this_thread_only: PhantomData,
        })
    }

    /// The number of the first signal that waits, if any does. One system call.
    pub fn pending(&mut self) -> Option<i32> {
        while let Ok(Some(info)) = self.queue.read_signal() {
            let number = i32::try_from(info.ssi_signo).ok();
            match number.and_then(|number| Signal::try_from(number).ok()) {
                // A write beyond RLIMIT_FSIZE was refused; its error says so, and better.
                Some(Signal::SIGXFSZ) | None => {}
                Some(signal) => self.caught.push(signal),
            }
        }
        self.caught.first().map(|signal| *signal as i32)
    }
}

impl Drop for SignalHold {
    fn drop(&mut self) {
        self.pending();
        // Still blocked, so nothing happens before the last line. Raising a signal that exists and
        // restoring a mask that was read cannot fail.
        for signal in &self.caught {
            let _ = raise(*signal);
        }
        let _ = self.before.thread_set_mask();
    }
}

/// Does `start`, which starts a thread: one to which no signal is delivered, so that those sent to the
/// process reach a thread that may hold them.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let started = start();
    if let Ok(before) = before {
        // A mask that was read can be set.
        let _ = before.thread_set_mask();
    }
    started
}

/// The signals this process ignores or handles, as a bit set: "SigIgn" and "SigCgt" of proc(5).
/// Without procfs none is known, and all count as default.
fn chosen_dispositions() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter_map(|line| {
            line.strip_prefix("SigIgn:")
                .or_else(|| line.strip_prefix("SigCgt:"))
        })
        .filter_map(|set| u64::from_str_radix(set.trim(), 16).ok())
        .fold(0, |all, set| all | set)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::{TestDir, again, stage};
    use std::os::unix::process::ExitStatusExt;

    const PATH: &str = "t.db";

    #[test]
    fn a_held_signal_acts_when_the_hold_ends() {
        if let Some(dir) = stage() {
            let mut hold = SignalHold::start(Path::new(PATH)).unwrap();
            assert_eq!(hold.pending(), None);
            raise(Signal::SIGTERM).unwrap();
            assert_eq!(hold.pending(), Some(15));
            assert_eq!(hold.pending(), Some(15), "it is remembered");
            fs::write(dir.join("held"), "").unwrap();
            drop(hold);
            fs::write(dir.join("survived"), "").unwrap();
            return;
        }
        let dir = TestDir::new();
        let name = "file::signals::tests::a_held_signal_acts_when_the_hold_ends";
        let output = again(name, dir.root(), "").output().unwrap();
        assert_eq!(output.status.signal(), Some(15), "{output:?}");
        assert_eq!(dir.names(), ["held"]);
    }

    #[test]
    fn a_thread_started_without_signals_leaves_them_to_others() {
        let before = SigSet::thread_get_mask().unwrap();
        let mask = without_signals(|| std::thread::spawn(SigSet::thread_get_mask));
        let mask = mask.join().unwrap().unwrap();
        assert!(mask.contains(Signal::SIGTERM) && mask.contains(Signal::SIGINT));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn a_signal_nobody_looked_for_acts_too() {
        if stage().is_some() {
            let hold = SignalHold::start(Path::new(PATH)).unwrap();
            raise(Signal::SIGINT).unwrap();
            drop(hold);
            return;
        }
        let dir = TestDir::new();
        let name = "file::signals::tests::a_signal_nobody_looked_for_acts_too";
        let output = again(name, dir.root(), "").output().unwrap();
        assert_eq!(output.status.signal(), Some(2), "{output:?}");
    }

    #[test]
    fn what_is_ignored_stays_ignored_and_an_inner_hold_leaves_all_to_the_outer() {
        if stage().is_some() {
            let mut outer = SignalHold::start(Path::new(PATH)).unwrap();
            raise(Signal::SIGHUP).unwrap();
            assert_eq!(outer.pending(), None);
            raise(Signal::SIGQUIT).unwrap();
            let mut inner = SignalHold::start(Path::new(PATH)).unwrap();
            assert_eq!(inner.pending(), None);
            drop(inner);
            assert_eq!(outer.pending(), Some(3));
            return;
        }
        let dir = TestDir::new();
        let name = "file::signals::tests::\
                    what_is_ignored_stays_ignored_and_an_inner_hold_leaves_all_to_the_outer";
        let mut child = again(name, dir.root(), "trap '' HUP\nulimit -c 0");
        let output = child.output().unwrap();
        assert_eq!(output.status.signal(), Some(3), "{output:?}");
    }
}
