//! Whole commands, the original's and ours in turn: making tables, adding to them and looking keys up.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Options;
use crate::data::MORE;
use crate::measure::{Figures, run, run_for, run_times};
use crate::report::{Report, Row};

/// The types of tables, and the end of their files' names.
pub(crate) const TYPES: [(&str, &str); 4] = [
    ("hash", ".db"),
    ("btree", ".db"),
    ("lmdb", ".lmdb"),
    ("cdb", ".cdb"),
];

/// More entries than these take the original minutes. `None`: never.
fn original_is_slow(kind: &str, count: usize) -> bool {
    count > if kind == "cdb" { 1_000_000 } else { 3_000_000 }
}

/// What ours is given to make a table with less memory than the entries take.
const LITTLE_MEMORY: &[&str] = &["--memory=256M"];

/// How often one process that looks up one key is run for one measurement.
const PROCESS_COUNT: u32 = 50;

/// The program the original is, and ours under the same name.
struct Programs {
    original: Option<PathBuf>,
    /// Under the name of the original.
    ours: PathBuf,
    /// Under its own name, with its own options.
    rpostmap: PathBuf,
}

pub(crate) fn compare(options: &Options, dir: &Path, count: usize, report: &mut Report) {
    let ours = dir.join("postmap");
    symlink(env!("CARGO_BIN_EXE_rpostmap"), &ours).expect("linked");
    let original = Path::new("/usr/sbin/postmap");
    let programs = Programs {
        original: original.exists().then(|| original.to_path_buf()),
        ours,
        rpostmap: env!("CARGO_BIN_EXE_rpostmap").into(),
    };
    for source in ["transport", "relay_password"] {
        for (kind, suffix) in TYPES {
            make(
                options,
                dir,
                &programs,
                source,
                (kind, suffix),
                &[],
                count,
                report,
            );
        }
    }
    // Next to what it takes without the option.
    make(
        options,
        dir,
        &programs,
        "transport",
        TYPES[0],
        LITTLE_MEMORY,
        count,
        report,
    );
    baseline(options, dir, report);
    for (kind, suffix) in TYPES.into_iter().filter(|(kind, _)| *kind != "cdb") {
        let label = format!("postmap -i {kind}:transport, {count} more");
        if label.contains(&options.only) && dir.join(MORE).exists() {
            add(options, dir, &programs, (kind, suffix), label, report);
        }
    }
    for (kind, suffix) in TYPES {
        for keys in ["hits", "misses"] {
            let label = format!("postmap -q - {kind}:transport, {keys}");
            if label.contains(&options.only) {
                query(options, dir, &programs, (kind, suffix), keys, label, report);
            }
        }
        let label = format!("postmap -q KEY {kind}:transport, {PROCESS_COUNT} processes");
        if label.contains(&options.only) {
            one_key(options, dir, &programs, (kind, suffix), label, report);
        }
    }
}

/// Makes a table, with `more` words for ours, which the original does not know.
#[expect(clippy::too_many_arguments, reason = "what a row is about")]
fn make(
    options: &Options,
    dir: &Path,
    programs: &Programs,
    source: &str,
    (kind, suffix): (&str, &str),
    more: &[&str],
    count: usize,
    report: &mut Report,
) {
    let words = more.iter().map(|word| format!(" {word}"));
    let words: String = words.collect();
    let label = format!("make {kind}:{source}{words}");
    if !label.contains(&options.only) {
        return;
    }
    let slow = original_is_slow(kind, count) && !options.slow && options.limit.is_none();
    let skipped = if !more.is_empty() {
        Some("it has no such option")
    } else if slow {
        Some("takes minutes; --slow or --limit runs it")
    } else {
        None
    };
    let operand = format!("{kind}:{source}");
    let file = dir.join(format!("{source}{suffix}"));
    let source_len = len(&dir.join(source));
    let mut words = more.to_vec();
    words.push(&operand);
    let skip = skipped.is_some();
    // To rewrite a table that is there is another job for each program.
    let prepare = || {
        let _ = fs::remove_file(&file);
        // What the original leaves when it is ended while it makes a cdb table.
        let mut temporary = file.as_os_str().to_owned();
        temporary.push(".tmp");
        let _ = fs::remove_file(temporary);
    };
    let job = Job {
        words: &words,
        input: None,
        file: &file,
        prepare: &prepare,
    };
    let (theirs, ours) = in_turn(options, dir, programs, skip, &job);
    // What a test needs is made anew; of 10^7 entries each takes gigabytes.
    let _ = fs::remove_file(&file);
    report.command(Row {
        label,
        skipped,
        theirs,
        ours,
        source_len: Some(source_len),
    });
}

/// What both programs are to do.
struct Job<'j> {
    words: &'j [&'j str],
    /// The name of a file that is their standard input.
    input: Option<&'j str>,
    /// The table.
    file: &'j Path,
    /// What is done before each run.
    prepare: &'j dyn Fn(),
}

/// Runs the original, unless `skip`, and ours in turn; medians. The last file each made is kept to
/// tell its length.
fn in_turn(
    options: &Options,
    dir: &Path,
    programs: &Programs,
    skip: bool,
    job: &Job<'_>,
) -> (Theirs, Side) {
    let Job {
        words,
        input,
        file,
        prepare,
    } = *job;
    let mut original = programs.original.as_deref().filter(|_| !skip);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let mut their_len = None;
    let mut too_long = None;
    for _ in 0..options.rounds {
        if let Some(program) = original {
            prepare();
            match run_for(dir, program, words, input, options.limit) {
                Some(figures) => {
                    theirs.push(figures);
                    their_len = file_len(file);
                }
                None => {
                    // Once is enough.
                    too_long = options.limit;
                    original = None;
                }
            }
        }
        prepare();
        let program = match words.first() {
            Some(word) if word.starts_with("--") => &programs.rpostmap,
            _ => &programs.ours,
        };
        ours.push(run(dir, program, words, input));
    }
    let side = |runs: Vec<Figures>, file_len| {
        (!runs.is_empty()).then(|| Side {
            figures: median(runs),
            file_len,
        })
    };
    let ours = side(ours, file_len(file)).expect("at least one round");
    let theirs = match (too_long, side(theirs, their_len)) {
        (Some(limit), _) => Theirs::TooLong(limit),
        (None, Some(side)) => Theirs::Took(side),
        (None, None) => Theirs::NotRun,
    };
    (theirs, ours)
}

/// What the original took.
pub(crate) enum Theirs {
    Took(Side),
    /// It was ended after so long.
    TooLong(Duration),
    NotRun,
}

/// What a program took, and the file it left.
pub(crate) struct Side {
    pub(crate) figures: Figures,
    pub(crate) file_len: Option<u64>,
}

/// As many entries again from standard input. Both begin with the same table, which is the original's
/// if there is one.
fn add(
    options: &Options,
    dir: &Path,
    programs: &Programs,
    (kind, suffix): (&str, &str),
    label: String,
    report: &mut Report,
) {
    let operand = format!("{kind}:transport");
    let file = dir.join(format!("transport{suffix}"));
    let base = dir.join("base");
    let maker = programs.original.as_deref().unwrap_or(&programs.ours);
    let _ = fs::remove_file(&file);
    run(dir, maker, &[&operand], None);
    fs::rename(&file, &base).expect("renamed");
    let prepare = || {
        fs::copy(&base, &file).expect("copied");
        // So that nobody waits for the bytes of the copy.
        File::open(&file)
            .and_then(|file| file.sync_all())
            .expect("synced");
    };
    let words = ["-i", &operand];
    let job = Job {
        words: &words,
        input: Some(MORE),
        file: &file,
        prepare: &prepare,
    };
    let sides = in_turn(options, dir, programs, false, &job);
    let _ = fs::remove_file(&base);
    let _ = fs::remove_file(&file);
    report.command(row(label, sides));
}

fn query(
    options: &Options,
    dir: &Path,
    programs: &Programs,
    (kind, suffix): (&str, &str),
    keys: &str,
    label: String,
    report: &mut Report,
) {
    // Both read the same file, which ours made. Exit status 1 says that nothing was found: one key
    // of the table is at the end of either list.
    let operand = format!("{kind}:transport");
    let file = dir.join(format!("transport{suffix}"));
    run(dir, &programs.ours, &[&operand], None);
    let input = format!("{keys}.found");
    let mut text = fs::read(dir.join(keys)).expect("read");
    text.extend_from_slice(crate::data::transport_key(0).as_bytes());
    fs::write(dir.join(&input), text).expect("written");
    let words = ["-q", "-", &operand];
    let job = Job {
        words: &words,
        input: Some(&input),
        file: &file,
        prepare: &|| {},
    };
    report.command(row(label, in_turn(options, dir, programs, false, &job)));
}

/// Processes that look up one key each.
fn one_key(
    options: &Options,
    dir: &Path,
    programs: &Programs,
    (kind, suffix): (&str, &str),
    label: String,
    report: &mut Report,
) {
    let operand = format!("{kind}:transport");
    let file = dir.join(format!("transport{suffix}"));
    run(dir, &programs.ours, &[&operand], None);
    let key = crate::data::transport_key(1);
    let processes =
        |program: &Path| run_times(PROCESS_COUNT, dir, program, &["-q", &key, &operand]);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        theirs.extend(programs.original.as_deref().map(processes));
        ours.push(processes(&programs.ours));
    }
    let side = |runs: Vec<Figures>| Side {
        figures: median(runs),
        file_len: file_len(&file),
    };
    let theirs = match theirs.is_empty() {
        true => Theirs::NotRun,
        false => Theirs::Took(side(theirs)),
    };
    report.command(row(label, (theirs, side(ours))));
}

/// A row about a command that reads no source.
fn row(label: String, (theirs, ours): (Theirs, Side)) -> Row {
    Row {
        label,
        skipped: None,
        theirs,
        ours,
        source_len: None,
    }
}

/// The least that writing the bytes of the hash table takes.
fn baseline(options: &Options, dir: &Path, report: &mut Report) {
    let label = "dd conv=fsync of the bytes of hash:transport";
    if !label.contains(&options.only) {
        return;
    }
    run(dir, &dir.join("postmap"), &["hash:transport"], None);
    let words = ["if=transport.db", "of=copy", "bs=1M", "conv=fsync"];
    let runs = (0..options.rounds).map(|_| {
        let _ = fs::remove_file(dir.join("copy"));
        run(
            dir,
            Path::new("/bin/dd"),
            &[&words[..], &["status=none"]].concat(),
            None,
        )
    });
    report.baseline(label, median(runs.collect()));
}

fn median(mut runs: Vec<Figures>) -> Figures {
    runs.sort_by_key(|figures| figures.wall);
    let middle = runs[runs.len() / 2];
    let mut cpu: Vec<Duration> = runs.iter().map(|figures| figures.cpu).collect();
    cpu.sort();
    Figures {
        cpu: cpu[cpu.len() / 2],
        ..middle
    }
}

fn file_len(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.len())
}

fn len(path: &Path) -> u64 {
    file_len(path).expect("it was written")
}
