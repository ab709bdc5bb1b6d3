//! A throw-away directory in which programs are run, for both test binaries.
//!
//! A test reads as a story: make a [`TestDir`], write files, run the built program (under its own
//! name or as `postmap`), say what is expected. Every failure shows the whole run.
//!
//! `RPOSTMAP_UNDER_TEST=/usr/sbin/postmap` puts another program in the place of ours: that is how
//! the tests themselves are tested against the original. Another build of ours can be tested too,
//! if its file is called `rpostmap`.

pub(crate) mod raw;
pub(crate) mod updater;
pub(crate) mod updating;

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// UTF-8 support is on from compatibility level 1; a fixed host name keeps output the same.
pub(crate) const MAIN_CF: &str = "compatibility_level = 3.6\nmyhostname = host.example\n";

/// Where programs other than ours are looked for.
pub(crate) const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// 2021-01-01 00:00:00 UTC. Postfix waits for files that were changed within the last second and
/// warns of sources newer than their table; files of this age do neither.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_609_459_200)
}

/// The program that is tested when it is called `name`.
pub(crate) fn program(name: &str) -> PathBuf {
    let Some(instead) = std::env::var_os("RPOSTMAP_UNDER_TEST").map(PathBuf::from) else {
        return PathBuf::from(env!("CARGO_BIN_EXE_rpostmap"));
    };
    let Some(dir) = instead.parent() else {
        return instead;
    };
    // The original is three programs in two directories; ours is one.
    [dir.join(name), dir.join("../bin").join(name)]
        .into_iter()
        .find(|near| near.exists())
        .unwrap_or(instead)
}

/// Whether the original stands in for ours: a program called `rpostmap` is another build of ours.
pub(crate) fn is_stand_in() -> bool {
    let instead = std::env::var_os("RPOSTMAP_UNDER_TEST").map(PathBuf::from);
    instead.is_some_and(|path| path.file_name() != Some(OsStr::new("rpostmap")))
}

/// The file `name` in one of the system's program directories.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    SYSTEM_PATH
        .split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Whether a missing program or condition is a failure: CI installs everything.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Says on the real standard error that something was not tested. `eprintln!` would be captured.
pub(crate) fn shout(text: impl Display) {
    // A test run without standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "SKIPPED {text}");
}

/// A file of this package, by its name relative to the manifest.
pub(crate) fn package_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A fresh directory: `w` is where programs run, `cf` holds main.cf, `bin` the names of ours.
/// It is removed when dropped, unless the test is failing.
pub(crate) struct TestDir {
    top: PathBuf,
}

impl TestDir {
    /// `label` makes the directory of a failed test easy to find.
    pub(crate) fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Programs print the directory they work in without symbolic links.
        let temp = fs::canonicalize(std::env::temp_dir()).expect("temporary directory");
        let name = format!("rpostmap-test.{}.{count}.{label}", std::process::id());
        let dir = Self {
            top: temp.join(name),
        };
        for part in ["", "w", "cf", "bin"] {
            let path = dir.top.join(part);
            fs::create_dir(&path).unwrap_or_else(|e| panic!("mkdir {}: {e}", path.display()));
            // Users other than root must be able to pass.
            set_mode(&path, 0o755);
        }
        dir.main_cf(MAIN_CF);
        dir
    }

    /// The working directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.top.join("w")
    }

    /// The path of the file `name` in the working directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes main.cf anew.
    pub(crate) fn main_cf(&self, text: &str) {
        let path = self.top.join("cf/main.cf");
        fs::write(&path, text).expect("write main.cf");
        set_old(&path);
    }

    /// Writes a file of mode 0644 that was last changed long ago.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        set_mode(&path, 0o644);
        set_old(&path);
        path
    }

    /// The names in the working directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .expect("list the working directory")
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    /// Permission bits of the file `name`.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        let path = self.file(name);
        let meta = fs::metadata(&path).unwrap_or_else(|e| panic!("stat {}: {e}", path.display()));
        meta.mode() & 0o7777
    }

    /// Our program, called `name`.
    pub(crate) fn ours(&self, name: &str) -> Run<'_> {
        let link = self.top.join("bin").join(name);
        match symlink(program(name), &link) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => panic!("symlink: {e}"),
            _ => self.run(link),
        }
    }

    /// Puts another copy of our program behind the names of ours.
    pub(crate) fn ours_is(&self, program: &Path) {
        for name in ["postmap", "postalias", "newaliases"] {
            symlink(program, self.top.join("bin").join(name)).expect("symlink");
        }
    }

    /// Any program, by its absolute path.
    pub(crate) fn run(&self, program: impl AsRef<OsStr>) -> Run<'_> {
        Run {
            dir: self,
            words: vec![program.as_ref().to_owned()],
            stdin: Vec::new(),
            umask: "022",
            limit: Duration::from_secs(120),
            user: None,
        }
    }

    /// `/bin/sh -c script`, with the names `postmap`, `postalias` and `newaliases` being ours.
    pub(crate) fn shell(&self, script: &str) -> Run<'_> {
        for name in ["postmap", "postalias", "newaliases"] {
            let _ = self.ours(name);
        }
        self.run("/bin/sh").args(["-c", script])
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "left for inspection: {}", self.top.display());
        } else {
            let _ = fs::remove_dir_all(&self.top);
        }
    }
}

/// Sets the permission bits of a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .unwrap_or_else(|e| panic!("chmod {}: {e}", path.display()));
}

/// Makes a file look as if it had been written long ago.
pub(crate) fn set_old(path: &Path) {
    let times = FileTimes::new()
        .set_accessed(long_ago())
        .set_modified(long_ago());
    File::open(path)
        .and_then(|file| file.set_times(times))
        .unwrap_or_else(|e| panic!("set times of {}: {e}", path.display()));
}

/// A command line being put together.
pub(crate) struct Run<'a> {
    dir: &'a TestDir,
    words: Vec<OsString>,
    stdin: Vec<u8>,
    umask: &'a str,
    limit: Duration,
    user: Option<u32>,
}

impl<'a> Run<'a> {
    /// Adds words to the command line.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.words
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The path of the program, to hand it to a script.
    pub(crate) fn program(&self) -> OsString {
        self.words.first().cloned().unwrap_or_default()
    }

    /// What the program reads; nothing at first.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The umask, in octal; 022 at first.
    pub(crate) fn umask(mut self, umask: &'a str) -> Self {
        self.umask = umask;
        self
    }

    /// The user and the only group to run as, for root.
    pub(crate) fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// After this time the run is killed and the test fails; two minutes at first.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts the program without waiting for it.
    ///
    /// Its environment is PATH, HOME, LC_ALL, TZ and MAIL_CONFIG and nothing else.
    pub(crate) fn start(self) -> Running {
        let bin = self.dir.top.join("bin");
        let shown = self
            .words
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        let shown = shown.collect::<Vec<_>>().join(" ");
        // The shell sets the umask; it is the one process attribute `Command` does not offer.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "umask \"$0\" && exec \"$@\"", self.umask])
            .args(&self.words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", format!("{}:{SYSTEM_PATH}", bin.display()))
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("MAIL_CONFIG", self.dir.top.join("cf"))
            .process_group(0)
            .stdin(if self.stdin.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read all of it closes the pipe; that is its business.
            thread::spawn(move || drop(pipe.write_all(&self.stdin)));
        }
        let stdout = drain(child.stdout.take().expect("stdout is piped"));
        let stderr = drain(child.stderr.take().expect("stderr is piped"));
        let started = Instant::now();
        Running {
            child,
            shown,
            stdout,
            stderr,
            started,
            limit: self.limit,
        }
    }

    /// Runs the program to its end.
    pub(crate) fn finish(self) -> Outcome {
        self.start().finish()
    }

    /// Runs the program, which must succeed, and gives what it printed.
    pub(crate) fn ok(self) -> Outcome {
        self.finish().status_is(0)
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes)
            .expect("read the program's output");
        bytes
    })
}

/// A program at work.
pub(crate) struct Running {
    child: Child,
    shown: String,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    started: Instant,
    limit: Duration,
}

impl Running {
    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Ends it with SIGKILL, by its process id, together with what it started itself.
    pub(crate) fn kill(&mut self) {
        if !self.is_over() {
            // The number cannot belong to anything else: it is free again only when the program is
            // reaped and the last process of its group, which holds a pipe to us, is gone.
            let group = Pid::from_raw(i32::try_from(self.child.id()).expect("pids are small"));
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Whether the program and all that write to the same pipes have ended.
    fn is_over(&mut self) -> bool {
        !self.is_running() && self.stdout.is_finished() && self.stderr.is_finished()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Outcome {
        let mut late = false;
        let mut pause = Duration::from_micros(200);
        while !self.is_over() {
            if !late && self.started.elapsed() > self.limit {
                self.kill();
                late = true;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        let elapsed = self.started.elapsed();
        let status = self.child.wait().expect("wait");
        let outcome = Outcome {
            shown: self.shown,
            status: status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: self.stdout.join().expect("reader of stdout"),
            stderr: self.stderr.join().expect("reader of stderr"),
            elapsed,
        };
        assert!(!late, "killed after {:?}: {outcome}", self.limit);
        outcome
    }
}

/// How a run ended.
#[derive(Clone)]
pub(crate) struct Outcome {
    shown: String,
    /// Exit status, or the signal's number, negative.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Requires this exit status.
    #[track_caller]
    pub(crate) fn status_is(self, status: i32) -> Self {
        assert_eq!(self.status, status, "exit status\n{self}");
        self
    }

    /// Requires exactly this standard output.
    #[track_caller]
    pub(crate) fn stdout_is(self, text: impl AsRef<[u8]>) -> Self {
        let want = text.as_ref();
        assert!(
            self.stdout == want,
            "stdout is not\n{}{self}",
            Quoted("want  ", want)
        );
        self
    }

    /// Requires exactly this standard error.
    #[track_caller]
    pub(crate) fn stderr_is(self, text: impl AsRef<[u8]>) -> Self {
        let want = text.as_ref();
        assert!(
            self.stderr == want,
            "stderr is not\n{}{self}",
            Quoted("want  ", want)
        );
        self
    }

    /// The lines of standard output, sorted: what a listing holds, whatever its order.
    pub(crate) fn sorted_lines(&self) -> Vec<&[u8]> {
        sorted_lines(&self.stdout)
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.shown)?;
        write!(
            f,
            "{}{}",
            Quoted("stdout", &self.stdout),
            Quoted("stderr", &self.stderr)
        )?;
        writeln!(f, "status {} after {:?}", self.status, self.elapsed)
    }
}

/// The lines of a text, sorted.
pub(crate) fn sorted_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Bytes shown line by line after a tag; long lines and long texts are cut.
pub(crate) struct Quoted<'a>(pub(crate) &'a str, pub(crate) &'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 40;
        const BYTES: usize = 300;
        let lines = self.1.split_inclusive(|&byte| byte == b'\n');
        for line in lines.clone().take(LINES) {
            let dots = if line.len() > BYTES { "..." } else { "" };
            let text = &line[..line.len().min(BYTES)];
            writeln!(f, "  {}| {}{dots}", self.0, text.escape_ascii())?;
        }
        match lines.count() {
            count if count > LINES => writeln!(f, "  {}| ({} more lines)", self.0, count - LINES),
            _ => Ok(()),
        }
    }
}
