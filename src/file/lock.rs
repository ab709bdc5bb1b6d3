//! Advisory locks on whole files, released when their guard goes.
//!
//! Postfix guards `hash:`, `btree:` and `cdb:` tables with `flock(2)` and `lmdb:` tables with
//! `fcntl(2)` record locks. The two kinds do not see each other (docs/original-behaviour.md), so
//! the kind is part of a table's protocol, not a choice.
//!
//! All waits are unlimited and go on after a signal handler has run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::open::{open_regular, same_file};
use crate::error::{Error, Result};

/// How often a file may turn out to have been replaced while we waited for its lock. That happens
/// once or twice; a file system whose inode numbers change from call to call must not spin us.
pub(super) const ROUNDS_MAX: u32 = 1000;

/// Which of the two kinds of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// `flock(2)`: belongs to the open file, is shared with every copy of its descriptor.
    Flock,
    /// A record lock over the whole file, however long it grows, that belongs to the open file
    /// (`F_OFD_SETLK`). Classic `fcntl` locks of other processes exclude it and are excluded by
    /// it, but unlike those it is not lost when another descriptor of the file is closed.
    Record,
}

/// What a lock allows others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Others may hold shared locks: for reading.
    Shared,
    /// Nobody else holds any: for changing.
    Exclusive,
}

/// A lock on a borrowed file, released on drop.
#[derive(Debug)]
pub struct FileLock<'f> {
    file: &'f File,
    kind: LockKind,
}

impl<'f> FileLock<'f> {
    /// Waits for the lock. `path` names the file in errors (action "lock"). A record lock needs
    /// the file open for reading when shared, for writing when exclusive.
    pub fn wait(
        file: &'f File,
        path: &Path,
        kind: LockKind,
        mode: LockMode,
    ) -> Result<FileLock<'f>> {
        acquire(file, kind, mode, Wait::Yes).map_err(|e| Error::io("lock", path, e))?;
        Ok(FileLock { file, kind })
    }

    /// The lock if it can be had at once, else `None`. Errors as [`FileLock::wait`].
    pub fn try_now(
        file: &'f File,
        path: &Path,
        kind: LockKind,
        mode: LockMode,
    ) -> Result<Option<FileLock<'f>>> {
        let got = acquire(file, kind, mode, Wait::No).map_err(|e| Error::io("lock", path, e))?;
        Ok(got.then_some(FileLock { file, kind }))
    }
}

impl Drop for FileLock<'_> {
    fn drop(&mut self) {
        release(self.file, self.kind);
    }
}

/// A file together with a lock on it, released on drop.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
    kind: LockKind,
}

impl LockedFile {
    /// A file whose `flock` the caller has taken.
    pub(super) fn flocked(file: File) -> LockedFile {
        LockedFile {
            file,
            kind: LockKind::Flock,
        }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Exchanges the lock for one of another mode. A shared one is had at once, and nobody can have
    /// had an exclusive one in between. For an exclusive one it waits until other holders of shared
    /// ones are gone; should one of them want the same, both wait for ever.
    pub fn exchange(&self, mode: LockMode) -> io::Result<()> {
        acquire(&self.file, self.kind, mode, Wait::Yes).map(drop)
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child that inherited the descriptor.
        release(&self.file, self.kind);
    }
}

/// The file that `path` names now, open for reading and writing and under an exclusive `flock`;
/// `None` when there is none. Symbolic links are followed.
///
/// A file that was replaced or removed while we waited for its lock is let go and the new one
/// taken: whoever holds the result holds *the* table, against other runs that rename as well as
/// against the original's `postmap`, which rewrites in place.
///
/// Errors: action "open" ("Permission denied", "Is a directory", ...) and "lock".
pub fn lock_current(path: &Path) -> Result<Option<LockedFile>> {
    lock_current_as(path, LockKind::Flock, LockMode::Exclusive)
}

/// [`lock_current`] with the kind and mode of lock chosen. With a shared one the file is open for
/// reading only.
pub fn lock_current_as(path: &Path, kind: LockKind, mode: LockMode) -> Result<Option<LockedFile>> {
    Ok(match lock_named(path, kind, mode, Wait::Yes)? {
        Named::Locked(file) => Some(file),
        Named::Absent | Named::Busy => None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Yes,
    No,
}

pub(super) enum Named {
    Locked(LockedFile),
    Absent,
    /// Somebody holds it; never the answer to [`Wait::Yes`].
    Busy,
}

pub(super) fn lock_named(path: &Path, kind: LockKind, mode: LockMode, wait: Wait) -> Result<Named> {
    let mut options = OpenOptions::new();
    options.read(true).write(mode == LockMode::Exclusive);
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    for _ in 0..ROUNDS_MAX {
        let file = match open_regular(path, &mut options) {
            Ok((file, _)) => file,
            Err(error) if error.io_error().is_some_and(absent) => return Ok(Named::Absent),
            Err(error) => return Err(error),
        };
        if !acquire(&file, kind, mode, wait).map_err(|e| Error::io("lock", path, e))? {
            return Ok(Named::Busy);
        }
        let locked = LockedFile { file, kind };
        let ours = locked.file.metadata();
        let ours = ours.map_err(|e| Error::io("open", path, e))?;
        match fs::metadata(path) {
            Ok(named) if same_file(&named, &ours) => return Ok(Named::Locked(locked)),
            Ok(_) => {}
            Err(error) if absent(&error) => {}
            Err(error) => return Err(Error::io("open", path, error)),
        }
    }
    Err(Error::io("lock", path, replaced_too_often()))
}

/// The error after [`ROUNDS_MAX`].
pub(super) fn replaced_too_often() -> io::Error {
    io::Error::other("the file is replaced again and again")
}

/// Whether the lock was taken; `false` only for [`Wait::No`].
pub(super) fn acquire(file: &File, kind: LockKind, mode: LockMode, wait: Wait) -> io::Result<bool> {
    loop {
        let result = match kind {
            LockKind::Flock => flock(file, mode, wait),
            LockKind::Record => record_lock(file, mode, wait),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Gives the lock back. That cannot fail on an open file, and closing it would do the same.
pub(super) fn release(file: &File, kind: LockKind) {
    let _ = match kind {
        LockKind::Flock => file.unlock(),
        LockKind::Record => fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)))
            .map(drop)
            .map_err(io::Error::from),
    };
}

/// Whether `error` says that the file system has no such locks, rather than that one is refused.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS)
    )
}

fn flock(file: &File, mode: LockMode, wait: Wait) -> io::Result<bool> {
    let tried = match (mode, wait) {
        (LockMode::Shared, Wait::Yes) => return file.lock_shared().map(|()| true),
        (LockMode::Exclusive, Wait::Yes) => return file.lock().map(|()| true),
        (LockMode::Shared, Wait::No) => file.try_lock_shared(),
        (LockMode::Exclusive, Wait::No) => file.try_lock(),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn record_lock(file: &File, mode: LockMode, wait: Wait) -> io::Result<bool> {
    let lock = whole_file(match mode {
        LockMode::Shared => libc::F_RDLCK,
        LockMode::Exclusive => libc::F_WRLCK,
    });
    let argument = match wait {
        Wait::Yes => FcntlArg::F_OFD_SETLKW(&lock),
        Wait::No => FcntlArg::F_OFD_SETLK(&lock),
    };
    match fcntl(file, argument).map_err(io::Error::from) {
        Ok(_) => Ok(true),
        // fcntl(2): "EACCES or EAGAIN" when another holds it.
        Err(error)
            if wait == Wait::No
                && matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether somebody, this process included, holds an `fcntl(2)` lock on any part of `file`.
pub(crate) fn is_record_locked(file: &File) -> io::Result<bool> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

fn whole_file(lock_type: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: lock_type as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0, // to the end, wherever that will be
        l_pid: 0, // required to be 0 for open-file-description locks
    }
}

/// A look whether a process waits for the `flock` of a file, as far as procfs tells.
///
/// The kernel may take tens of milliseconds for it, without using a processor, after a lock was
/// taken: it is a look for another thread while this one has other work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaiterLook {
    inode: u64,
}

impl WaiterLook {
    /// A look at `file`. `None` when its number is not to be had.
    pub(crate) fn at(file: &File) -> Option<WaiterLook> {
        let inode = file.metadata().ok()?.ino();
        Some(WaiterLook { inode })
    }

    /// Whether somebody waits now.
    pub(crate) fn finds_one(self) -> bool {
        let inode = self.inode.to_string();
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        locks.lines().any(|line| waits_for(line, &inode))
    }
}

/// Whether a process waits for the `flock` of `file`: see [`WaiterLook`].
pub(crate) fn is_waited_for(file: &File) -> bool {
    WaiterLook::at(file).is_some_and(WaiterLook::finds_one)
}

/// Whether a line of `/proc/locks` is about somebody who waits for the `flock` of an inode. The
/// device is left out: file systems give another one there than in stat(2). proc_locks(5):
///
/// ```text
/// 1: FLOCK  ADVISORY  WRITE 711 08:01:131077 0 EOF
/// 1: -> FLOCK  ADVISORY  WRITE 712 08:01:131077 0 EOF
/// ```
pub(super) fn waits_for(line: &str, inode: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip(1);
    words.next() == Some("->")
        && words.next() == Some("FLOCK")
        && words.nth(3).and_then(|place| place.rsplit(':').next()) == Some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;
    use std::io::Read;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    fn open(path: &Path) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn guards_exclude_by_kind_and_mode_and_release_on_drop() {
        let dir = TestDir::new();
        let path = dir.write("t.db", "x");
        let (one, two) = (open(&path), open(&path));
        for kind in [LockKind::Flock, LockKind::Record] {
            for (held, wanted, free) in [
                (LockMode::Shared, LockMode::Shared, true),
                (LockMode::Shared, LockMode::Exclusive, false),
                (LockMode::Exclusive, LockMode::Shared, false),
                (LockMode::Exclusive, LockMode::Exclusive, false),
            ] {
                let case = format!("{kind:?} {held:?} {wanted:?}");
                let guard = FileLock::wait(&one, &path, kind, held).unwrap();
                let other = FileLock::try_now(&two, &path, kind, wanted).unwrap();
                assert_eq!(other.is_some(), free, "{case}");
                drop((guard, other));
                let again = FileLock::try_now(&two, &path, kind, LockMode::Exclusive).unwrap();
                assert!(again.is_some(), "{case}");
            }
        }
        let _flock = FileLock::wait(&one, &path, LockKind::Flock, LockMode::Exclusive).unwrap();
        let record = FileLock::try_now(&two, &path, LockKind::Record, LockMode::Exclusive);
        assert!(record.unwrap().is_some(), "the kinds do not see each other");
    }

    #[test]
    fn a_file_that_is_not_there_is_none() {
        let dir = TestDir::new();
        assert!(lock_current(&dir.path("t.db")).unwrap().is_none());
        std::os::unix::fs::symlink("nowhere", dir.path("link.db")).unwrap();
        assert!(lock_current(&dir.path("link.db")).unwrap().is_none());
        let error = lock_current(dir.root()).unwrap_err();
        assert_eq!(error.to_string(), format!("open {}", dir.root().display()));
        assert_eq!(
            error.io_error().unwrap().kind(),
            io::ErrorKind::IsADirectory
        );
    }

    #[test]
    fn a_table_renamed_over_while_we_wait_is_let_go_for_the_new_one() {
        for kind in [LockKind::Flock, LockKind::Record] {
            let dir = TestDir::new();
            let path = dir.write("t.db", "old");
            let old = open(&path);
            let held = FileLock::wait(&old, &path, kind, LockMode::Exclusive).unwrap();
            let (send, receive) = mpsc::channel();
            let waiter = thread::spawn({
                let path = path.clone();
                move || {
                    send.send(()).unwrap();
                    let locked = lock_current_as(&path, kind, LockMode::Exclusive);
                    let mut text = String::new();
                    let locked = locked.unwrap().unwrap();
                    locked.file().read_to_string(&mut text).unwrap();
                    text
                }
            });
            receive.recv().unwrap();
            thread::sleep(Duration::from_millis(50));
            assert!(!waiter.is_finished(), "{kind:?}");
            fs::rename(dir.write("new", "new"), &path).unwrap();
            drop(held);
            assert_eq!(waiter.join().unwrap(), "new", "{kind:?}");
        }
    }

    #[test]
    fn a_table_removed_while_we_wait_is_none() {
        let dir = TestDir::new();
        let path = dir.write("t.db", "old");
        let old = open(&path);
        let held = FileLock::wait(&old, &path, LockKind::Flock, LockMode::Exclusive).unwrap();
        let waiter = thread::spawn({
            let path = path.clone();
            move || lock_current(&path).unwrap().is_none()
        });
        thread::sleep(Duration::from_millis(50));
        fs::remove_file(&path).unwrap();
        drop(held);
        assert!(waiter.join().unwrap());
    }
}
