//! Replays `tests/corpus/postmap`: what Postfix 3.7 (`expect.*`) or 3.12 (`alt-3.12.*`) did.
//!
//! Every case must do what one of them did, or be named in `docs/original-behaviour.md` as the start
//! of a table row, `` | `NNN-case-name` | ``: a difference kept on purpose. Such a case must differ,
//! and must print exactly what is stored in `tests/corpus/ours/NNN-case-name.{stdout,stderr,status}`.
//!
//! As root the cases run a second time, as an ordinary user.
//!
//! `RPOSTMAP_WRITE_OURS=1` rewrites the stored outputs, and `RPOSTMAP_CASE=text` runs only the cases
//! with `text` in their name and shows how they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{
    MAIN_CF, Outcome, Quoted, TestDir, find_program, is_ci, is_root, is_stand_in, package_file,
    program, set_mode, set_old, shout, sorted_lines,
};

const LIMIT: Duration = Duration::from_secs(30);
const THREADS: usize = 4;

/// The user and group `nobody`, to whom nothing belongs.
const NOBODY: u32 = 65534;

#[test]
fn every_recorded_case_does_what_the_original_did_or_is_listed() {
    replay(&Player { ordinary: None });
}

#[test]
fn an_ordinary_user_gets_what_was_recorded_too() {
    if !is_root() {
        // Then the other test runs the cases as such a user.
        return;
    }
    // Where we were built other users may not be able to go.
    let dir = TestDir::new("corpus-user");
    let program = match is_stand_in() {
        true => None,
        false => {
            let copy = dir.file("rpostmap");
            // Not by this process: while it has the file open for writing, a program that another
            // test starts would keep it open too, and nobody could run it.
            dir.run("/bin/cp").args([&program("rpostmap"), &copy]).ok();
            set_mode(&copy, 0o755);
            dir.run(&copy).args(["--version"]).user(NOBODY).ok();
            Some(copy)
        }
    };
    replay(&Player {
        ordinary: Some(program),
    });
}

/// Who runs the cases.
struct Player {
    /// An ordinary user instead of us, and where our program is for that user.
    ordinary: Option<Option<PathBuf>>,
}

impl Player {
    fn is_root(&self) -> bool {
        is_root() && self.ordinary.is_none()
    }
}

fn replay(player: &Player) {
    let all = case_names();
    let only = std::env::var("RPOSTMAP_CASE").ok();
    let chosen: Vec<&String> = all
        .iter()
        .filter(|name| only.as_ref().is_none_or(|text| name.contains(text)))
        .collect();
    // The list is about ours; whatever stands in for it is held to all cases.
    let kept = match is_stand_in() {
        true => BTreeSet::new(),
        false => kept_differences(),
    };
    let mut complaints = complaints_about_list(&all, &kept);

    let results = run_all(&chosen, player);
    for (name, verdict) in &results {
        match verdict {
            Verdict::Skipped(lack) => {
                if is_ci() && *lack != "root" && *lack != "nonroot" {
                    complaints.push(format!("{name}: `{lack}` is not installed"));
                }
                if player.ordinary.is_none() {
                    shout(format_args!("corpus case {name}: needs {lack}"));
                }
            }
            _ if kept.contains(*name) => complaints.extend(complain_about_kept(name, verdict)),
            Verdict::Same => {}
            Verdict::Different(how) => {
                complaints.push(format!("{name}: {}\n{how}", how.case.title));
            }
        }
    }
    let same = results
        .iter()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Same))
        .count();
    assert!(
        complaints.is_empty(),
        "{}\n{same} of {} cases do what the original did; {} complaints",
        complaints.join("\n"),
        results.len(),
        complaints.len()
    );
}

/// One directory of the corpus.
struct Case {
    dir: PathBuf,
    title: String,
    needs: Vec<String>,
    /// Standard output is compared without regard to the order of its lines.
    any_order: bool,
    modes: BTreeMap<String, u32>,
}

impl Case {
    fn read(name: &str) -> Self {
        let dir = corpus().join(name);
        let text = fs::read_to_string(dir.join("meta")).unwrap_or_default();
        let meta: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let words = |key| {
            meta.get(key)
                .copied()
                .unwrap_or_default()
                .split_whitespace()
        };
        let modes = words("modes").map(|word| {
            let (path, mode) = word.split_once('=').expect("modes: path=mode");
            (
                path.to_owned(),
                u32::from_str_radix(mode, 8).expect("modes: octal mode"),
            )
        });
        Self {
            title: meta.get("title").copied().unwrap_or_default().to_owned(),
            needs: words("needs").map(str::to_owned).collect(),
            any_order: meta.get("order") == Some(&"any"),
            modes: modes.collect(),
            dir,
        }
    }

    /// The first condition that is not met here.
    fn lacks(&self, player: &Player) -> Option<&str> {
        self.needs
            .iter()
            .map(String::as_str)
            .find(|&need| match need {
                "root" => !player.is_root(),
                "nonroot" => player.is_root(),
                // Ours brings both.
                "newaliases" | "berkeleydb" => false,
                program => find_program(program).is_none(),
            })
    }

    /// Runs `cmd` in a fresh copy of `in/`, as `capture.py` does.
    fn run(&self, label: &str, player: &Player) -> Recorded {
        let dir = TestDir::new(label);
        let work = dir.path();
        let input = self.dir.join("in");
        if input.is_dir() {
            copy_tree(&input, &work).expect("copy the input files");
        }
        if !work.join("cf/main.cf").is_file() {
            fs::create_dir_all(work.join("cf")).expect("mkdir cf");
            fs::write(work.join("cf/main.cf"), MAIN_CF).expect("write main.cf");
        }
        self.age(&work, &work).expect("set modes and times");
        // Beside the working directory, where every user can read it.
        let script = work.with_file_name("cmd");
        fs::copy(self.dir.join("cmd"), &script).expect("copy the script");
        set_mode(&script, 0o644);
        if let Some(program) = &player.ordinary {
            give_away(&work).expect("chown");
            if let Some(program) = program {
                dir.ours_is(program);
            }
        }
        let mut run = dir
            .shell("MAIL_CONFIG=$PWD/cf; export MAIL_CONFIG; exec /bin/sh \"$0\"")
            .args([&script])
            .limit(LIMIT);
        if player.ordinary.is_some() {
            run = run.user(NOBODY);
        }
        let outcome = run.finish();
        let work = work.to_string_lossy().into_owned();
        Recorded::normalised(outcome, &work)
    }

    fn age(&self, dir: &Path, work: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                self.age(&path, work)?;
                continue;
            }
            let name = path
                .strip_prefix(work)
                .expect("inside")
                .to_string_lossy()
                .into_owned();
            set_mode(&path, self.modes.get(&name).copied().unwrap_or(0o644));
            set_old(&path);
        }
        set_mode(dir, 0o755);
        set_old(dir);
        Ok(())
    }

    fn is_same(&self, got: &Recorded, want: &Recorded) -> bool {
        let stdout = if self.any_order {
            sorted_lines(&got.stdout) == sorted_lines(&want.stdout)
        } else {
            got.stdout == want.stdout
        };
        stdout && got.status == want.status && got.stderr == want.stderr
    }

    fn judge(self, name: &str, player: &Player) -> Verdict {
        if let Some(lack) = self.lacks(player) {
            return Verdict::Skipped(lack.to_owned());
        }
        let got = self.run(name, player);
        let want = Recorded::load(&self.dir, "expect").expect("every case has expect.*");
        let newer = Recorded::load(&self.dir, "alt-3.12");
        if self.is_same(&got, &want) || newer.is_some_and(|newer| self.is_same(&got, &newer)) {
            Verdict::Same
        } else {
            Verdict::Different(Box::new(Difference {
                case: self,
                got,
                want,
            }))
        }
    }
}

/// What a case printed, after everything was removed that differs from run to run.
struct Recorded {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: i32,
}

impl Recorded {
    fn load(dir: &Path, prefix: &str) -> Option<Self> {
        let read = |suffix| fs::read(dir.join(format!("{prefix}.{suffix}"))).ok();
        Some(Self {
            stdout: read("stdout")?,
            stderr: read("stderr")?,
            status: String::from_utf8(read("status")?)
                .ok()?
                .trim()
                .parse()
                .ok()?,
        })
    }

    fn store(&self, dir: &Path, prefix: &str) {
        let status = format!("{}\n", self.status);
        let parts: [(&str, &[u8]); 3] = [
            ("stdout", &self.stdout),
            ("stderr", &self.stderr),
            ("status", status.as_bytes()),
        ];
        for (suffix, bytes) in parts {
            fs::write(dir.join(format!("{prefix}.{suffix}")), bytes).expect("write");
        }
    }

    fn normalised(outcome: Outcome, work: &str) -> Self {
        let mut stdout = Vec::new();
        for line in outcome.stdout.split_inclusive(|&byte| byte == b'\n') {
            // Records for NIS, which carry the time of day; builds without NIS write none.
            let nis = ["YP_LAST_MODIFIED", "YP_MASTER_NAME"].iter().any(|key| {
                let rest = line.strip_prefix(key.as_bytes());
                rest.is_some_and(|rest| matches!(rest.first(), Some(b':' | b'\t')))
            });
            if !nis {
                stdout.extend(replace(line, work.as_bytes(), b"@WD@"));
            }
        }
        let mut stderr = Vec::new();
        for line in outcome.stderr.split_inclusive(|&byte| byte == b'\n') {
            if !is_library_chatter(line) {
                let line = replace(line, work.as_bytes(), b"@WD@");
                stderr.extend(without_package_hint(&with_plain_usage(&with_plain_name(
                    &line,
                ))));
            }
        }
        Self {
            stdout,
            stderr,
            status: outcome.status,
        }
    }
}

enum Verdict {
    Same,
    Different(Box<Difference>),
    Skipped(String),
}

struct Difference {
    case: Case,
    got: Recorded,
    want: Recorded,
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { got, want, .. } = self;
        if got.status != want.status {
            writeln!(f, "  status want {} got {}", want.status, got.status)?;
        }
        for (tag, got, want) in [
            ("stdout", &got.stdout, &want.stdout),
            ("stderr", &got.stderr, &want.stderr),
        ] {
            if got != want {
                write!(f, "{}", Quoted(&format!("{tag} want"), want))?;
                write!(f, "{}", Quoted(&format!("{tag} got "), got))?;
            }
        }
        Ok(())
    }
}

fn run_all<'a>(names: &[&'a String], player: &Player) -> BTreeMap<&'a String, Verdict> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = Case::read(name).judge(name, player);
                    results
                        .lock()
                        .expect("no worker panicked")
                        .insert(*name, verdict);
                }
            });
        }
    });
    results.into_inner().expect("no worker panicked")
}

/// A difference kept on purpose must be there, and must be the one that was agreed on.
fn complain_about_kept(name: &str, verdict: &Verdict) -> Option<String> {
    let Verdict::Different(how) = verdict else {
        return Some(format!(
            "{name}: a kept difference, but it does what the original did"
        ));
    };
    if std::env::var_os("RPOSTMAP_WRITE_OURS").is_some() {
        fs::create_dir_all(ours()).expect("mkdir ours");
        how.got.store(&ours(), name);
        return None;
    }
    let Some(want) = Recorded::load(&ours(), name) else {
        return Some(format!(
            "{name}: a kept difference without files in tests/corpus/ours"
        ));
    };
    if how.case.is_same(&how.got, &want) {
        return None;
    }
    let got = Recorded {
        stdout: how.got.stdout.clone(),
        stderr: how.got.stderr.clone(),
        ..how.got
    };
    let title = how.case.title.clone();
    let how = Difference {
        case: Case::read(name),
        got,
        want,
    };
    Some(format!(
        "{name}: {title}: not what tests/corpus/ours says\n{how}"
    ))
}

/// Names that are listed but not in the corpus, and outputs of cases that are not listed.
fn complaints_about_list(all: &BTreeSet<String>, kept: &BTreeSet<String>) -> Vec<String> {
    let unknown = kept.iter().filter(|name| !all.contains(*name));
    let mut complaints: Vec<String> = unknown
        .map(|name| format!("{name}: listed, but there is no such case"))
        .collect();
    for entry in fs::read_dir(ours())
        .into_iter()
        .flatten()
        .filter(|_| !is_stand_in())
    {
        let path = entry.expect("entry of tests/corpus/ours").path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !kept.contains(&name) {
            complaints.push(format!("{}: not a kept difference", path.display()));
        }
    }
    complaints
}

fn corpus() -> PathBuf {
    package_file("tests/corpus/postmap")
}

fn ours() -> PathBuf {
    package_file("tests/corpus/ours")
}

fn case_names() -> BTreeSet<String> {
    let names: BTreeSet<String> = fs::read_dir(corpus())
        .expect("the corpus is part of the package's tree")
        .map(|entry| entry.expect("entry of the corpus").path())
        .filter(|path| path.join("cmd").is_file())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert!(
        names.len() > 100,
        "the corpus has only {} cases",
        names.len()
    );
    names
}

fn kept_differences() -> BTreeSet<String> {
    let text = fs::read_to_string(package_file("docs/original-behaviour.md")).unwrap_or_default();
    rows_naming_cases(&text)
}

/// The names in rows that begin with `` | `NNN-name` | ``.
fn rows_naming_cases(markdown: &str) -> BTreeSet<String> {
    let rows = markdown
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let names = rows.map(|(name, _)| name);
    let is_name = |name: &&str| {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        digits == 3 && name[digits..].starts_with('-')
    };
    names.filter(is_name).map(str::to_owned).collect()
}

/// Makes a directory, with all that is in it, nobody's.
fn give_away(path: &Path) -> io::Result<()> {
    lchown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}

/// Copies what is below `from` into the directory `to`. `.keep` only keeps a directory in git.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else if entry.file_name() != ".keep" {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn contains(text: &[u8], what: &str) -> bool {
    find(text, what.as_bytes()).is_some()
}

/// `BDB0134 ...`: the Berkeley DB library speaks for itself, without the program's name.
fn is_library_chatter(line: &[u8]) -> bool {
    let number = line
        .strip_prefix(b"BDB")
        .and_then(|rest| rest.split_at_checked(4));
    number.is_some_and(|(digits, rest)| {
        digits.iter().all(u8::is_ascii_digit) && rest.first() == Some(&b' ')
    })
}

/// `/somewhere/postmap: text` -> `PROG: text`
fn with_plain_name(line: &[u8]) -> Vec<u8> {
    let word_len = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(word_len);
    let name = word
        .rsplit(|&byte| byte == b'/')
        .next()
        .and_then(|name| name.strip_suffix(b":"));
    let is_ours = name.is_some_and(|name| {
        name.iter()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
            && ["postmap", "postalias", "newaliases"]
                .iter()
                .any(|known| contains(name, known))
    });
    if is_ours && rest.first() == Some(&b' ') {
        [b"PROG:", rest].concat()
    } else {
        line.to_vec()
    }
}

/// `usage: /somewhere/postmap [-b..]` -> `usage: PROG [-b..]`
fn with_plain_usage(line: &[u8]) -> Vec<u8> {
    let Some(at) = find(line, b"usage: ") else {
        return line.to_vec();
    };
    let (head, tail) = line.split_at(at + b"usage: ".len());
    let word_len = tail
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(tail.len());
    let (word, rest) = tail.split_at(word_len);
    if rest.starts_with(b" [") && (contains(word, "postmap") || contains(word, "postalias")) {
        [head, b"PROG", rest].concat()
    } else {
        line.to_vec()
    }
}

/// Drops the packager's `. Is the postfix-lmdb package installed?`.
fn without_package_hint(line: &[u8]) -> Vec<u8> {
    const TAIL: &[u8] = b" package installed?";
    let hint = find(line, b". Is the postfix-")
        .and_then(|start| Some((start, start + find(&line[start..], TAIL)? + TAIL.len())));
    match hint {
        Some((start, end)) => [&line[..start], &line[end..]].concat(),
        None => line.to_vec(),
    }
}

#[test]
fn normalisation_leaves_only_what_the_program_decides() {
    let outcome = |bytes: &[u8]| {
        let dir = TestDir::new("normalise");
        dir.run("/bin/sh").args(["-c", "cat >&2"]).stdin(bytes).ok()
    };
    for (line, plain) in [
        ("postmap: warning: x", "PROG: warning: x"),
        (
            "/w/bin/postalias: fatal: open /w/t: no",
            "PROG: fatal: open @WD@/t: no",
        ),
        (
            "postmap: fatal: usage: /b/postmap [-x] f",
            "PROG: fatal: usage: PROG [-x] f",
        ),
        ("other: warning: postmap: x", "other: warning: postmap: x"),
        ("BDB0134 read: Is a directory", ""),
        ("BDB134 read", "BDB134 read"),
        (
            "postmap: fatal: unsupported dictionary type: x. Is the postfix-x package installed?",
            "PROG: fatal: unsupported dictionary type: x",
        ),
    ] {
        let got = Recorded::normalised(outcome(line.as_bytes()), "/w").stderr;
        assert_eq!(
            got,
            plain.as_bytes(),
            "{line} became {}",
            got.escape_ascii()
        );
    }
}

#[test]
fn kept_differences_are_the_rows_that_name_a_case() {
    let text = "# t\n| case | why |\n|---|---|\n| `094-source-is-directory` | better |\n\
                | `hash` | not a case |\n`001-usage` is prose\n";
    let names: Vec<String> = rows_naming_cases(text).into_iter().collect();
    assert_eq!(names, ["094-source-is-directory"]);
}
