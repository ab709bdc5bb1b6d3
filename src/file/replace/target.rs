//! The table that will be replaced, found and locked.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::{AccessFlags, eaccess};

use crate::error::{Error, Result};
use crate::file::lock::{
    LockKind, LockMode, LockedFile, ROUNDS_MAX, lock_current_as, replaced_too_often,
};
use crate::file::open::{directory, names};
use crate::file::temporary::{Temporary, remove_stale};

/// What all programs that use a kind of table file keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `hash:` and `btree:`. Locked with `flock`. Writers may rewrite the file in place. One without
    /// a byte is no table, and a symbolic link to nothing is replaced by a file.
    Rewritten,
    /// `lmdb:`. Locked with record locks. Readers have the file mapped, so that its bytes must not be
    /// overwritten but by rules of its format. One without a byte is a table that is not initialised
    /// yet, and a symbolic link to nothing says where the file is to be made.
    Mapped,
}

impl Protocol {
    /// The kind of its locks.
    pub fn lock_kind(self) -> LockKind {
        match self {
            Protocol::Rewritten => LockKind::Flock,
            Protocol::Mapped => LockKind::Record,
        }
    }
}

/// The table to be replaced, and the right to do it: the old one, if any, is locked exclusively.
#[derive(Debug)]
pub struct Target {
    pub(super) protocol: Protocol,
    /// As given, for messages.
    pub(super) shown: PathBuf,
    /// What will be renamed over: symbolic links are followed.
    pub(super) real: PathBuf,
    pub(super) old: Option<LockedFile>,
    /// Whether the old file is there but has no bytes.
    pub(super) empty: bool,
    /// Whether that is so because it was made to have something to lock.
    made: bool,
}

impl Target {
    /// Waits for the exclusive `flock` of the table `path`, if it exists.
    ///
    /// The target of a symbolic link is what will be replaced, not the link; a link to nothing is
    /// itself replaced by a file, as the original does. Errors: action "open" (a directory is "Is
    /// a directory"; a table that cannot be written is refused here) and "lock".
    pub fn lock(path: &Path) -> Result<Target> {
        Target::lock_as(path, Protocol::Rewritten)
    }

    /// As [`lock`](Target::lock), for a table file with this protocol. Whether a link to nothing is
    /// followed is a part of that.
    pub fn lock_as(path: &Path, protocol: Protocol) -> Result<Target> {
        let failed = |error| Error::io("open", path, error);
        for _ in 0..ROUNDS_MAX {
            let Some(old) = lock_current_as(path, protocol.lock_kind(), LockMode::Exclusive)?
            else {
                let real = match protocol {
                    Protocol::Rewritten => path.to_path_buf(),
                    Protocol::Mapped => end_of_links(path).map_err(failed)?,
                };
                return Ok(Target {
                    protocol,
                    shown: path.to_path_buf(),
                    real,
                    old: None,
                    empty: false,
                    made: false,
                });
            };
            let real = match fs::symlink_metadata(path) {
                Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).map_err(failed)?,
                _ => path.to_path_buf(),
            };
            if names(&real, old.file()) {
                return Ok(Target {
                    protocol,
                    made: false,
                    shown: path.to_path_buf(),
                    empty: old.file().metadata().map_err(failed)?.len() == 0,
                    real,
                    old: Some(old),
                });
            }
            // The link was turned meanwhile.
        }
        Err(Error::io("lock", path, replaced_too_often()))
    }

    /// As [`lock_as`](Target::lock_as) for [`Protocol::Mapped`]; a file without a byte is made when
    /// there is none, so that of several programs that add to a new table each sees what the one
    /// before it added. It has the permission bits `mode`, and is removed again unless something
    /// takes its place. Error action "open database" when it cannot be made.
    pub fn lock_or_make(path: &Path, mode: u32) -> Result<Target> {
        let mut made = false;
        for _ in 0..ROUNDS_MAX {
            let mut target = Target::lock_as(path, Protocol::Mapped)?;
            if target.old.is_some() {
                target.made = made;
                return Ok(target);
            }
            made |= target.make_empty(mode)?;
        }
        Err(Error::io("lock", path, replaced_too_often()))
    }

    /// Makes a file without a byte; `false` when there is one by now.
    fn make_empty(&self, mode: u32) -> Result<bool> {
        let failed = |error| Error::io("open database", &self.shown, error);
        remove_stale(&self.real, None);
        let temporary = Temporary::create(&self.real).map_err(failed)?;
        // It gets its name when its mode is right already.
        self.dress(temporary.file(), mode)?;
        let there = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
        let made = match fs::hard_link(&temporary.path, &self.real) {
            // A file system without hard links.
            Err(error) if !there(&error) => {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(mode & 0o777);
                options.open(&self.real).map(drop)
            }
            other => other,
        };
        match made {
            Ok(()) => Ok(true),
            Err(error) if there(&error) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// The old table, open for reading and writing and locked. `None` when there is none or it has
    /// no bytes.
    pub fn existing(&self) -> Option<&File> {
        let old = self.old.as_ref().filter(|_| !self.empty);
        old.map(LockedFile::file)
    }

    /// Lets readers of the old table in, for as long as nothing in it is changed. Other writers, who
    /// all take an exclusive lock first, are kept out nevertheless. Does nothing but for
    /// [`Protocol::Mapped`], whose record locks can be exchanged without a gap.
    ///
    /// Error action "lock".
    pub fn admit_readers(&self) -> Result<()> {
        self.exchange(LockMode::Shared)
    }

    /// Waits until no reader is left, and lets none in until the end: for a change in place.
    ///
    /// Error action "lock".
    pub fn exclude_readers(&self) -> Result<()> {
        self.exchange(LockMode::Exclusive)
    }

    fn exchange(&self, mode: LockMode) -> Result<()> {
        match (&self.old, self.protocol) {
            (Some(old), Protocol::Mapped) => old
                .exchange(mode)
                .map_err(|error| Error::io("lock", &self.shown, error)),
            _ => Ok(()),
        }
    }

    /// What it was locked by.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The locked file, also when it has no bytes; `None` when there is none.
    pub fn locked(&self) -> Option<&File> {
        self.old.as_ref().map(LockedFile::file)
    }

    /// The file whose owner and mode the new table gets.
    pub(super) fn predecessor(&self) -> Option<&File> {
        let keeps = !self.empty || self.protocol == Protocol::Mapped;
        let old = self.old.as_ref().filter(|_| keeps);
        old.map(LockedFile::file)
    }

    /// Whether the old table is a file without a single byte. It counts as absent: the original
    /// warns "removing zero-length database file" and makes a new one. Never so for
    /// [`Protocol::Mapped`].
    pub fn removed_empty(&self) -> bool {
        self.empty && self.protocol == Protocol::Rewritten
    }

    /// Whether there is neither an old table nor an empty file that stands for one.
    pub fn is_missing(&self) -> bool {
        self.old.is_none()
    }

    /// Looks whether a table that is missing could be made, so that this is told before anything is
    /// said of its source.
    ///
    /// Error action "open database".
    pub(crate) fn check_makeable(&self) -> Result<()> {
        if !self.is_missing() {
            return Ok(());
        }
        eaccess(directory(&self.real), AccessFlags::W_OK | AccessFlags::X_OK)
            .map_err(|error| Error::io("open database", &self.shown, error.into()))
    }

    /// The name it was locked by.
    pub fn path(&self) -> &Path {
        &self.shown
    }

    /// The file that it stands for, behind all symbolic links.
    pub fn real_path(&self) -> &Path {
        &self.real
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let Some(old) = self.old.as_ref().filter(|_| self.made) else {
            return;
        };
        let is_empty = old.file().metadata().is_ok_and(|old| old.len() == 0);
        if is_empty && names(&self.real, old.file()) {
            let _ = fs::remove_file(&self.real);
        }
    }
}

/// What `path` stands for when nothing is there: the place that its symbolic links lead to.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    /// As many as the kernel follows.
    const LINKS_MAX: u32 = 40;
    let mut end = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&end) {
            Ok(next) => end = directory(&end).join(next),
            // No link, or nothing at all.
            Err(_) => return Ok(end),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}
