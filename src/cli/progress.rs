//! How far a long run is, shown to people who wait for it: on a terminal, as `rpostmap` only.
//!
//! Nothing is shown at first: a thread waits until the run has lasted for a while. What is said
//! meanwhile stands above the line, which is taken away in the end.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::report::Program;
use crate::cli::stream::Stream;
use crate::error::masked;
use crate::file::signals::without_signals;

/// A run that is over by then shows nothing.
const DELAY: Duration = Duration::from_secs(1);
/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Until the source is opened.
const WAITING: &str = "{msg}: waiting for its lock {spinner}";
/// A source whose length is known, and any other one.
const READING: &str = "{msg}: read {bytes} of {total_bytes} {spinner}";
const READING_ON: &str = "{msg}: read {bytes} {spinner}";
/// From the end of the source on.
const WRITING: &str = "{msg}: read {bytes}, sorting and writing {spinner}";

/// A run that may be watched.
pub(super) struct Progress(Option<Watched>);

struct Watched {
    bar: ProgressBar,
    /// Closed in the end.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// A run that makes `table`, watched if there is somebody to look.
    pub(super) fn of(program: &Program, table: &Path) -> Progress {
        if program.drop_in || !io::stderr().is_terminal() {
            return Progress(None);
        }
        Progress::on(ProgressDrawTarget::stderr(), DELAY, &masked(table))
    }

    fn on(target: ProgressDrawTarget, delay: Duration, table: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        set_style(&bar, WAITING);
        bar.set_message(table.to_owned());
        let (end, ended) = channel();
        let shown = bar.clone();
        // Signals are for the thread that does the work, which cleans up first.
        let thread = without_signals(|| {
            let watch = move || show(&shown, target, delay, &ended);
            thread::Builder::new().spawn(watch).ok()
        });
        Progress(Some(Watched {
            bar,
            end: Some(end),
            thread,
        }))
    }

    /// The source `file`, from which bytes are counted.
    pub(super) fn input(&self, file: File, len: Option<u64>) -> Input {
        let bar = self.0.as_ref().map(|watched| watched.bar.clone());
        if let Some(bar) = &bar {
            set_style(bar, len.map_or(READING_ON, |_| READING));
            len.inspect(|&len| bar.set_length(len));
        }
        Input {
            stream: file.into(),
            bar,
        }
    }

    /// Does what prints lines on standard error.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(watched) => watched.bar.suspend(print),
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

/// Shows the line from `delay` on until the run has ended.
fn show(bar: &ProgressBar, target: ProgressDrawTarget, delay: Duration, ended: &Receiver<()>) {
    let lasts = |time| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    if !lasts(delay) {
        return;
    }
    bar.set_draw_target(target);
    bar.tick();
    while lasts(TICK) {
        bar.tick();
    }
    bar.finish_and_clear();
}

fn set_style(bar: &ProgressBar, template: &str) {
    let style = ProgressStyle::with_template(template);
    let style = style.expect("the templates above are good ones");
    // Terminals that know no more than ASCII show these too.
    bar.set_style(style.tick_chars("|/-\\ "));
}

/// A source whose bytes are counted as they are read.
pub(super) struct Input {
    stream: Stream,
    bar: Option<ProgressBar>,
}

impl<S: Into<Stream>> From<S> for Input {
    /// One that nobody counts.
    fn from(stream: S) -> Input {
        Input {
            stream: stream.into(),
            bar: None,
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if let Some(bar) = &self.bar {
            match count {
                0 => set_style(bar, WRITING),
                count => bar.inc(count as u64),
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::file::testing::TestDir;

    /// A terminal that remembers everything written to it.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl Paper {
        fn write(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write(text)?;
            self.write("\n")
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.write(text)
        }

        fn clear_line(&self) -> io::Result<()> {
            self.write("<clear>")
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(delay: Duration, lasting: Duration) -> String {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let progress = Progress::on(target, delay, "t.db");
        let dir = TestDir::new();
        let file = File::open(dir.write("t", [b'x'; 8192])).unwrap();
        let len = 8192;
        let mut input = progress.input(file, Some(len));
        thread::sleep(lasting / 2);
        input.read_exact(&mut [0; 2048]).unwrap();
        progress.suspend(|| paper.write("[a warning]").unwrap());
        thread::sleep(lasting / 2);
        io::copy(&mut input, &mut io::sink()).unwrap();
        thread::sleep(lasting / 2);
        drop(progress);
        let text = paper.0.lock().unwrap();
        text.clone()
    }

    #[test]
    fn a_run_that_lasts_is_shown_and_its_line_taken_away() {
        let text = run(Duration::ZERO, Duration::from_millis(600));
        for part in [
            "t.db: read 0 B of 8.00 KiB",
            "t.db: read 2.00 KiB of ",
            ", sorting and writing",
        ] {
            assert!(text.contains(part), "{part:?}: {text}");
        }
        assert!(text.contains("<clear>[a warning]"), "{text}");
        assert!(text.ends_with("<clear>"), "{text}");
    }

    #[test]
    fn a_short_run_is_not_shown() {
        let text = run(Duration::from_secs(600), Duration::from_millis(2));
        assert_eq!(text, "[a warning]");
    }
}
