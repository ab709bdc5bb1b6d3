//! The table of what was measured, and of the machine it was measured on.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::Options;
use crate::commands::{Side, Theirs};
use crate::measure::Figures;

/// The generated part of a file stands between these lines.
const BEGIN: &str = "<!-- begin: cargo bench --bench compare -- --write -->";
const END: &str = "<!-- end -->";

/// A command that was run by both programs.
pub(crate) struct Row {
    pub(crate) label: String,
    /// Why the original was not run.
    pub(crate) skipped: Option<&'static str>,
    pub(crate) theirs: Theirs,
    pub(crate) ours: Side,
    pub(crate) source_len: Option<u64>,
}

/// What a part of a report begins with, before the number of entries.
const HEADING: &str = "### ";
const ENTRIES: &str = " entries";

/// The heads of the tables, in their order.
const TABLES: [&str; 3] = [
    "| command | original | ours | ratio | peak memory | file, original | file, ours |\n\
     |---|---|---|---|---|---|---|",
    "| baseline | wall |\n|---|---|",
    "| lookup in this process, every key is there, order jumps about | ns |\n|---|---|",
];
const COMMANDS: usize = 0;
const BASELINES: usize = 1;
const LOOKUPS: usize = 2;

/// What was measured with tables of one size.
pub(crate) struct Report {
    /// How many entries they have.
    size: usize,
    /// The machine.
    about: String,
    /// The rows of each table: what was measured, and the cells behind it.
    tables: [Vec<(String, String)>; 3],
}

impl Report {
    pub(crate) fn new(options: &Options, size: usize) -> Report {
        Report {
            size,
            about: format!(
                "{}. Medians of {} rounds, original and ours in turn.",
                machine(),
                options.rounds
            ),
            tables: Default::default(),
        }
    }

    fn row(&mut self, table: usize, label: &str, cells: String) {
        let label = label.to_owned();
        let rows = &mut self.tables[table];
        match rows.iter_mut().find(|(known, _)| *known == label) {
            Some((_, old)) => *old = cells,
            None => rows.push((label, cells)),
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
        eprintln!("{}: {label}: {}", self.size, seconds(ours.figures.wall));
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
            Theirs::Took(theirs) => (
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
            Theirs::TooLong(limit) => (
                format!("> {} s", limit.as_secs()),
                format!("more than 1/{:.1}", ratio(*limit, ours.figures.wall)),
                String::new(),
            ),
            Theirs::NotRun => (
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
        let (memory, size) = (memory(&ours), size(&ours));
        let cells =
            format!("{their_time} | {our_time} | {ratios} | {memory} | {their_size} | {size}");
        self.row(COMMANDS, &label, cells);
    }

    pub(crate) fn baseline(&mut self, label: &str, figures: Figures) {
        self.row(BASELINES, label, seconds(figures.wall));
    }

    pub(crate) fn lookup(&mut self, label: &str, time: Duration) {
        eprintln!("{}: {label}: {} ns", self.size, time.as_nanos());
        self.row(LOOKUPS, label, time.as_nanos().to_string());
    }

    /// The report as a part of a page.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{HEADING}{}{ENTRIES}\n\n{}\n", self.size, self.about);
        for (head, rows) in TABLES.iter().zip(&self.tables) {
            if !rows.is_empty() {
                let _ = writeln!(text, "\n{head}");
            }
            for (label, cells) in rows {
                let _ = writeln!(text, "| {label} | {cells} |");
            }
        }
        text
    }

    /// What [`markdown`](Report::markdown) made of a report, without its first mark.
    fn parse(part: &str) -> Option<Report> {
        let (size, rest) = part.split_once(ENTRIES)?;
        let mut report = Report {
            size: size.parse().ok()?,
            about: String::new(),
            tables: Default::default(),
        };
        let mut table = None;
        for line in rest.lines().filter(|line| !line.is_empty()) {
            let is_head = |head: &str| head.lines().any(|part| part == line);
            let row = line
                .strip_prefix("| ")
                .and_then(|row| row.strip_suffix(" |"));
            if line.starts_with("|-") {
                continue;
            } else if let Some(at) = TABLES.iter().position(|head| is_head(head)) {
                table = Some(at);
            } else if let Some((label, cells)) = row.and_then(|row| row.split_once(" | ")) {
                report.row(table?, label, cells.to_owned());
            } else {
                report.about.push_str(line);
            }
        }
        Some(report)
    }

    /// Takes over what `newer` measured.
    fn update(&mut self, newer: Report) {
        self.about = newer.about;
        for (table, rows) in newer.tables.into_iter().enumerate() {
            for (label, cells) in rows {
                self.row(table, &label, cells);
            }
        }
    }
}

/// Puts `reports` between the marks of the file, beside what is there of others, smaller tables first.
pub(crate) fn write(path: &Path, reports: Vec<Report>) -> io::Result<()> {
    let old = fs::read_to_string(path)?;
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| {
        let (between, after) = rest.split_once(END)?;
        Some((before, between, after))
    });
    let Some((before, between, after)) = parts else {
        return Err(io::Error::other(format!("has no {BEGIN} .. {END}")));
    };
    let mut all = Vec::new();
    let between = format!("\n{between}");
    for part in between.split(&format!("\n{HEADING}")).skip(1) {
        let report = Report::parse(part);
        all.push(report.ok_or_else(|| io::Error::other(format!("cannot read: {part}")))?);
    }
    for report in reports {
        match all.iter_mut().find(|old| old.size == report.size) {
            Some(old) => old.update(report),
            None => all.push(report),
        }
    }
    all.sort_by_key(|report| report.size);
    let text: Vec<String> = all.iter().map(Report::markdown).collect();
    let text = text.join("\n");
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
