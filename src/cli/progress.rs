//! How far a long run is, shown to people who wait for it: on a terminal, as `rpostmap` only.
//!
//! Nothing is shown at first: a thread waits until the run has lasted for a while. What is said
//! meanwhile stands above the line, which is taken away in the end.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use console::{Term, is_dumb, measure_text_width, truncate_str};
use unit_prefix::NumberPrefix;

use crate::cli::report::Program;
use crate::cli::stream::Stream;
use crate::error::masked;
use crate::file::signals::without_signals;

/// A run that is over by then shows nothing.
const DELAY: Duration = Duration::from_secs(1);
/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// What turns at the end of the line, one after the other. Terminals that know no more than ASCII
/// show these too.
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];
/// In the place of the end of a name that is too long.
const CUT: &str = "...";

/// A run that may be watched.
pub(super) struct Progress(Option<Watched>);

struct Watched {
    line: Arc<Line>,
    /// Closed in the end.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the line says.
struct Line {
    table: String,
    /// Bytes of the source so far.
    read: AtomicU64,
    /// Whoever writes to the terminal holds it.
    drawing: Mutex<Drawing>,
}

struct Drawing {
    stage: Stage,
    /// `None` while nothing is shown.
    terminal: Option<Term>,
    spinner: char,
}

/// How far a run is.
#[derive(Clone, Copy)]
enum Stage {
    /// Until the source is opened.
    Waiting,
    /// A source of so many bytes, if that is known.
    Reading(Option<u64>),
    /// From the end of the source on.
    Writing,
}

impl Progress {
    /// A run that makes `table`, watched if there is somebody to look.
    pub(super) fn of(program: &Program, table: &Path) -> Progress {
        let terminal = Term::buffered_stderr();
        if program.drop_in || !terminal.is_term() || is_dumb() {
            return Progress(None);
        }
        Progress::on(terminal, DELAY, &masked(table))
    }

    fn on(terminal: Term, delay: Duration, table: &str) -> Progress {
        let line = Arc::new(Line {
            // It is to stay one line.
            table: table.replace(char::is_control, "?"),
            read: AtomicU64::new(0),
            drawing: Mutex::new(Drawing {
                stage: Stage::Waiting,
                terminal: None,
                spinner: SPINNER[0],
            }),
        });
        let (end, ended) = channel();
        let shown = Arc::clone(&line);
        // Signals are for the thread that does the work, which cleans up first.
        let thread = without_signals(|| {
            let watch = move || shown.show(terminal, delay, &ended);
            thread::Builder::new().spawn(watch).ok()
        });
        Progress(Some(Watched {
            line,
            end: Some(end),
            thread,
        }))
    }

    /// The source `file`, from which bytes are counted.
    pub(super) fn input(&self, file: File, len: Option<u64>) -> Input {
        let line = self.0.as_ref().map(|watched| Arc::clone(&watched.line));
        if let Some(line) = &line {
            line.lock().stage = Stage::Reading(len);
        }
        Input {
            stream: file.into(),
            line,
        }
    }

    /// Does what prints lines on standard error.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(watched) => watched.line.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Line {
    /// Shows the line from `delay` on until the run has ended.
    fn show(&self, terminal: Term, delay: Duration, ended: &Receiver<()>) {
        let lasts = |time| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        if !lasts(delay) {
            return;
        }
        self.lock().terminal = Some(terminal);
        for spinner in SPINNER.into_iter().cycle() {
            let mut drawing = self.lock();
            drawing.spinner = spinner;
            self.draw(&mut drawing);
            drop(drawing);
            if !lasts(TICK) {
                break;
            }
        }
        let mut drawing = self.lock();
        drawing.replace_line(|_| String::new());
        drawing.terminal = None;
    }

    /// Does what prints lines on the terminal, which stand above this one.
    fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        let mut drawing = self.lock();
        drawing.replace_line(|_| String::new());
        let printed = print();
        self.draw(&mut drawing);
        printed
    }

    /// Draws the line in the place of the one before.
    fn draw(&self, drawing: &mut Drawing) {
        let read = Bytes(self.read.load(Ordering::Relaxed));
        let state = match drawing.stage {
            Stage::Waiting => ": waiting for its lock".to_owned(),
            Stage::Reading(Some(len)) => format!(": read {read} of {}", Bytes(len)),
            Stage::Reading(None) => format!(": read {read}"),
            Stage::Writing => format!(": read {read}, sorting and writing"),
        };
        let state = format!("{state} {}", drawing.spinner);
        drawing.replace_line(|width| fitted(&self.table, &state, width));
    }

    fn lock(&self) -> MutexGuard<'_, Drawing> {
        // Nothing that is behind the lock can be half done.
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drawing {
    /// Puts the text that `line` makes for a number of columns in the place of the line before, if
    /// the line is shown. A terminal that takes no more is left alone: the run is not to fail.
    fn replace_line(&mut self, line: impl FnOnce(usize) -> String) {
        let Some(terminal) = &mut self.terminal else {
            return;
        };
        let (_, width) = terminal.size();
        // After a character in the last column some terminals are in the next line.
        let line = line(usize::from(width).saturating_sub(1));
        let replaced = terminal
            .clear_line()
            .and_then(|()| terminal.write_all(line.as_bytes()))
            .and_then(|()| Write::flush(terminal));
        if replaced.is_err() {
            self.terminal = None;
        }
    }
}

/// The name of a table and its state, in so many columns: long names are shortened.
fn fitted(table: &str, state: &str, width: usize) -> String {
    let room = width.saturating_sub(measure_text_width(state));
    let line = truncate_str(table, room, CUT) + state;
    truncate_str(&line, width, "").into_owned()
}

/// A number of bytes, shown with two decimals of the largest unit of which there is a whole one.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NumberPrefix::binary(self.0 as f64) {
            NumberPrefix::Standalone(_) => write!(f, "{} B", self.0),
            NumberPrefix::Prefixed(prefix, count) => write!(f, "{count:.2} {prefix}B"),
        }
    }
}

/// A source whose bytes are counted as they are read.
pub(super) struct Input {
    stream: Stream,
    line: Option<Arc<Line>>,
}

impl<S: Into<Stream>> From<S> for Input {
    /// One that nobody counts.
    fn from(stream: S) -> Input {
        Input {
            stream: stream.into(),
            line: None,
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if let Some(line) = &self.line {
            match count {
                0 => line.lock().stage = Stage::Writing,
                count => {
                    line.read.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::file::testing::TestDir;

    fn run(delay: Duration, lasting: Duration) -> String {
        let dir = TestDir::new();
        let paper = dir.write("paper", "");
        let mut paper_file = File::options().append(true).open(&paper).unwrap();
        let reader = File::open(&paper).unwrap();
        let terminal = Term::read_write_pair(reader, paper_file.try_clone().unwrap());
        let progress = Progress::on(terminal, delay, "t\n.db");
        let file = File::open(dir.write("t", [b'x'; 8192])).unwrap();
        let len = 8192;
        let mut input = progress.input(file, Some(len));
        thread::sleep(lasting / 2);
        input.read_exact(&mut [0; 2048]).unwrap();
        progress.suspend(|| paper_file.write_all(b"[a warning]\n").unwrap());
        thread::sleep(lasting / 2);
        io::copy(&mut input, &mut io::sink()).unwrap();
        thread::sleep(lasting / 2);
        drop(progress);
        fs::read_to_string(&paper).unwrap()
    }

    #[test]
    fn a_run_that_lasts_is_shown_and_its_line_taken_away() {
        const CLEAR: &str = "\r\x1b[2K";
        let text = run(Duration::ZERO, Duration::from_millis(600));
        for part in [
            &format!("{CLEAR}t?.db: read 0 B of 8.00 KiB "),
            "t?.db: read 2.00 KiB of ",
            "t?.db: read 8.00 KiB, sorting and writing ",
            // It turns.
            &format!(" |{CLEAR}"),
            &format!(" /{CLEAR}"),
            &format!("{CLEAR}[a warning]\n{CLEAR}t?.db: read "),
        ] {
            assert!(text.contains(part), "{part:?}: {text:?}");
        }
        assert!(text.ends_with(CLEAR), "{text:?}");
    }

    #[test]
    fn a_short_run_is_not_shown() {
        let text = run(Duration::from_secs(600), Duration::from_millis(2));
        assert_eq!(text, "[a warning]\n");
    }

    #[test]
    fn a_long_name_gives_way_to_what_is_said_of_it() {
        for (width, expect) in [
            (80, "/etc/t\u{e9}st.db: read 1 B |"),
            (24, "/etc/t\u{e9}st.db: read 1 B |"),
            (23, "/etc/t\u{e9}s...: read 1 B |"),
            (15, "...: read 1 B |"),
            (14, "...: read 1 B "),
            (2, ".."),
            (0, ""),
        ] {
            let line = fitted("/etc/t\u{e9}st.db", ": read 1 B |", width);
            assert_eq!(line, expect, "{width}");
        }
    }

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        for (count, expect) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1535, "1.50 KiB"),
            (1 << 20, "1.00 MiB"),
            (53_000_000, "50.54 MiB"),
            (u64::MAX, "16.00 EiB"),
        ] {
            assert_eq!(Bytes(count).to_string(), expect);
        }
    }
}
