//! The table of what was measured, and of the machine it was measured on.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::Options;
use crate::commands::Side;
use crate::measure::Figures;

/// The generated part of a file stands between these lines.
const BEGIN: &str = "<!-- begin: cargo bench --bench compare -- --write -->";
const END: &str = "<!-- end -->";

/// A command that was run by both programs.
pub(crate) struct Row {
    pub(crate) label: String,
    /// Why the original was not run.
    pub(crate) skipped: Option<&'static str>,
    pub(crate) theirs: Option<Side>,
    pub(crate) ours: Side,
    pub(crate) source_len: Option<u64>,
}

pub(crate) struct Report {
    rounds: usize,
    commands: String,
    baselines: String,
    lookups: String,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Report {
        Report {
            rounds: options.rounds,
            commands: String::new(),
            baselines: String::new(),
            lookups: String::new(),
        }
    }

    pub(crate) fn command(&mut self, row: Row) {
        let Row {
            label,
            skipped,
            theirs,
            ours,
            source_len,
        } = row;
        eprintln!("{label}: {}", seconds(ours.figures.wall));
        let memory = |side: &Side| match source_len {
            Some(len) => format!(
                "{} = {:.1} x source",
                mebibytes(side.figures.peak),
                side.figures.peak as f64 / len as f64
            ),
            None => mebibytes(side.figures.peak),
        };
        let size = |side: &Side| side.file_len.map_or_else(String::new, mebibytes);
        let (their_time, ratios, their_size) = match &theirs {
            Some(theirs) => (
                format!(
                    "{} ({} CPU)",
                    seconds(theirs.figures.wall),
                    seconds(theirs.figures.cpu)
                ),
                format!(
                    "1/{:.1} (1/{:.1} CPU)",
                    ratio(theirs.figures.wall, ours.figures.wall),
                    ratio(theirs.figures.cpu, ours.figures.cpu)
                ),
                size(theirs),
            ),
            None => (
                format!("not run: {}", skipped.unwrap_or("not installed")),
                String::new(),
                String::new(),
            ),
        };
        let our_time = format!(
            "{} ({} CPU)",
            seconds(ours.figures.wall),
            seconds(ours.figures.cpu)
        );
        let _ = writeln!(
            self.commands,
            "| {label} | {their_time} | {our_time} | {ratios} | {} | {their_size} | {} |",
            memory(&ours),
            size(&ours)
        );
    }

    pub(crate) fn baseline(&mut self, label: String, figures: Figures) {
        let _ = writeln!(self.baselines, "| {label} | {} |", seconds(figures.wall));
    }

    pub(crate) fn lookup(&mut self, label: String, time: Duration) {
        eprintln!("{label}: {} ns", time.as_nanos());
        let _ = writeln!(self.lookups, "| {label} | {} |", time.as_nanos());
    }

    /// The report as a part of a page.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "{}. Medians of {} rounds, original and ours in turn.\n",
            machine(),
            self.rounds
        );
        for (head, rows) in [
            (
                "| command | original | ours | ratio | peak memory | file, original | file, ours |\n\
                 |---|---|---|---|---|---|---|\n",
                &self.commands,
            ),
            ("| baseline | wall |\n|---|---|\n", &self.baselines),
            (
                "| lookup in this process, every key is there, order jumps about | ns |\n|---|---|\n",
                &self.lookups,
            ),
        ] {
            if !rows.is_empty() {
                let _ = write!(text, "\n{head}{rows}");
            }
        }
        text
    }
}

/// Puts `text` between the marks of the file.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(path)?;
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(io::Error::other(format!("has no {BEGIN} .. {END}")));
    };
    fs::write(path, format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim()));
        value.unwrap_or("unknown").to_string()
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{processors} processors ({}), {} of memory, Linux {}",
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

fn ratio(theirs: Duration, ours: Duration) -> f64 {
    theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9)
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
