//! Ours next to the original programs, and next to crates that read such tables: one table of
//! medians and of ratios measured in one run.
//!
//! ```sh
//! cargo bench --bench compare                        # 10^4 and 10^6 entries, a few minutes
//! cargo bench --bench compare -- --sizes 10000000 --rounds 1 --limit 900 --write docs/performance.md
//! cargo bench --bench compare -- --write docs/performance.md
//! ```
//!
//! | file | job |
//! |---|---|
//! | `data` | table sources and keys, made up |
//! | `measure` | runs a program and says what it took |
//! | `commands` | whole commands: building tables, looking keys up |
//! | `lookups` | lookups inside this process |
//! | `report` | the table, and the machine it was measured on |

#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]
#![expect(clippy::print_stderr, reason = "and how far it is")]

mod commands;
mod data;
mod lookups;
mod measure;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use report::Report;

/// What the command line asks for.
struct Options {
    sizes: Vec<usize>,
    /// How often each command is run; the median counts.
    rounds: usize,
    /// Whether to run what takes the original more than a few minutes, however long it takes.
    slow: bool,
    /// When a command of the original is ended. With it, slow ones are run as well.
    limit: Option<Duration>,
    /// The file whose generated part gets the rows in the place of older ones; what was not measured
    /// stays.
    write: Option<PathBuf>,
    /// Only rows whose label contains this.
    only: String,
}

fn options(words: Vec<String>) -> Result<Options, String> {
    let mut options = Options {
        sizes: vec![10_000, 100_000, 1_000_000],
        rounds: 5,
        slow: false,
        limit: None,
        write: None,
        only: String::new(),
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut argument = || words.next().ok_or(format!("{word} needs an argument"));
        match word.as_str() {
            "--sizes" => {
                let sizes = argument()?;
                let sizes: Result<_, _> = sizes.split(',').map(str::parse).collect();
                options.sizes = sizes.map_err(|error| format!("--sizes: {error}"))?;
            }
            "--rounds" => {
                let rounds = argument()?.parse::<usize>();
                options.rounds = rounds.map_err(|error| format!("--rounds: {error}"))?.max(1);
            }
            "--limit" => {
                let limit = argument()?.parse::<u64>();
                let limit = limit.map_err(|error| format!("--limit: {error}"))?;
                options.limit = Some(Duration::from_secs(limit.max(1)));
            }
            "--slow" => options.slow = true,
            "--write" => options.write = Some(argument()?.into()),
            "--only" => options.only = argument()?,
            // What cargo adds.
            "--bench" => {}
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == measure::CHILD) {
        return measure::child(words.into_iter().skip(1));
    }
    let options = match options(words) {
        Ok(options) => options,
        Err(what) => {
            eprintln!("compare: {what}");
            return ExitCode::FAILURE;
        }
    };
    let dir = std::env::temp_dir().join(format!("rpostmap-compare-{}", std::process::id()));
    let reports = run(&options, &dir);
    let _ = std::fs::remove_dir_all(&dir);
    for report in &reports {
        println!("{}", report.markdown());
    }
    if let Some(path) = &options.write
        && let Err(error) = report::write(path, reports)
    {
        eprintln!("compare: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A report for each size.
fn run(options: &Options, dir: &Path) -> Vec<Report> {
    let sizes = options.sizes.iter().map(|&size| {
        let mut report = Report::new(options, size);
        let _ = std::fs::remove_dir_all(dir);
        data::write(dir, size);
        commands::compare(options, dir, size, &mut report);
        lookups::compare(options, dir, size, &mut report);
        report
    });
    sizes.collect()
}
