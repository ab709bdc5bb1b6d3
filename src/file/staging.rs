//! Replaces a cdb table the way its other writers do, so that they wait for each other.
//!
//! The original's `postmap cdb:t` makes `t.cdb.tmp` under an exclusive `flock` of that very file
//! and renames it to `t.cdb` while it holds the lock. Whoever waited finds that the locked file no
//! longer has the name, and begins again. So the temporary file is the lock, and has to have that
//! name here too:
//!
//! ```text
//! Staging::lock   make or open t.cdb.tmp, wait for its exclusive flock; hold signals
//! Staging::start  empty it and set its mode
//! write_at ...    a signal, an error or a drop removes it again; the old table is untouched
//! commit          fsync, rename over the table, fsync the directory, release the lock
//! ```
//!
//! The original that waited gives up when nothing has the name by then ("stat(t.cdb.tmp): No such
//! file or directory"). So if somebody waits, an empty file is left for it: it opens that, locks it
//! and renames it in its turn.
//!
//! The old table is not looked at: it has no lock, its owner and mode do not count, and a symbolic
//! link in its place is replaced.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::geteuid;

use super::lock::{
    LockKind, LockMode, LockedFile, ROUNDS_MAX, Wait, acquire, is_waited_for, replaced_too_often,
};
use super::open::open_regular_with;
use super::open::{directory, names};
use super::replace::{check, sync_directory};
use super::signals::SignalHold;
use super::write_at::WriteAt;
use crate::error::{Error, Result};

/// What stands behind the table's name in that of the temporary file.
const SUFFIX: &str = ".tmp";

/// The temporary file of a table, locked, and the right to rename it over the table. Dropped
/// without [`commit`](Staging::commit) it leaves nothing behind, and the old table as it was.
///
/// Holds signals, so it stays on the thread that made it, and should not live longer than needed.
#[derive(Debug)]
pub struct Staging {
    /// The table.
    path: PathBuf,
    temporary: PathBuf,
    /// Whether `temporary` still names the file.
    named: bool,
    /// The permission bits of the new table, once they are known.
    mode: Option<u32>,
    // In this order they are dropped: the lock is released, and only then may a signal act.
    locked: LockedFile,
    signals: SignalHold,
}

impl Staging {
    /// Makes the temporary file of the table `path` and waits for its lock.
    ///
    /// One that was left behind by a run that died is taken over; if it belongs to another user
    /// or has another name too, it is removed and a new one made. A symbolic link in its place is
    /// refused.
    ///
    /// Errors: action "open database" and "lock", which name the temporary file; "hold signals for".
    pub fn lock(path: &Path) -> Result<Staging> {
        let mut temporary = OsString::from(path);
        temporary.push(SUFFIX);
        let temporary = PathBuf::from(temporary);
        let failed = |action| {
            let temporary = &temporary;
            move |error| Error::io(action, temporary, error)
        };
        let mut options = OpenOptions::new();
        // Nobody else may read it before it has the mode of the table.
        options.read(true).write(true).create(true).mode(0o600);
        for _ in 0..ROUNDS_MAX {
            let (file, _) = open_regular_with(&temporary, &mut options, libc::O_NOFOLLOW)
                .map_err(|error| error.with_action("open database"))?;
            acquire(&file, LockKind::Flock, LockMode::Exclusive, Wait::Yes)
                .map_err(failed("lock"))?;
            let locked = LockedFile::flocked(file);
            // It became the table of another run, or was removed, while we waited.
            if !names(&temporary, locked.file()) {
                continue;
            }
            let metadata = locked.file().metadata().map_err(failed("open database"))?;
            if metadata.uid() != geteuid().as_raw() || metadata.nlink() != 1 {
                fs::remove_file(&temporary).map_err(failed("open database"))?;
                continue;
            }
            let signals = SignalHold::start(path)?;
            return Ok(Staging {
                path: path.to_path_buf(),
                temporary,
                named: true,
                mode: None,
                locked,
                signals,
            });
        }
        Err(Error::io("lock", &temporary, replaced_too_often()))
    }

    /// The table, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a signal asks the process to end: [`ErrorKind::Interrupted`](crate::ErrorKind) then.
    /// Drop this, which cleans up and lets the signal act.
    pub fn check_signals(&mut self) -> Result<()> {
        check(&mut self.signals, &self.path)
    }

    /// Starts the new table, with nothing in it and with the nine permission bits of `mode`,
    /// whatever the umask.
    ///
    /// Errors: action "write", "chmod".
    pub fn start(&mut self, mode: u32) -> Result<()> {
        let file = self.locked.file();
        let emptied = file.set_len(0);
        emptied.map_err(|error| self.failed("write", error))?;
        let permissions = Permissions::from_mode(mode & 0o777);
        let set = file.set_permissions(permissions);
        set.map_err(|error| self.failed("chmod", error))?;
        self.mode = Some(mode & 0o777);
        Ok(())
    }

    /// Puts the new table in the place of the old one, durably, and releases the lock.
    ///
    /// Errors: `Interrupted`, action "sync", "rename": the old table is unchanged, except after
    /// "sync" of the directory, where the new table is there but may not survive a crash.
    pub fn commit(mut self) -> Result<()> {
        self.check_signals()?;
        let synced = self.locked.file().sync_all();
        synced.map_err(|error| self.failed("sync", error))?;
        self.check_signals()?;
        let renamed = fs::rename(&self.temporary, &self.path);
        renamed.map_err(|error| self.failed("rename", error))?;
        self.named = false;
        if let Some(mode) = self.mode.filter(|_| is_waited_for(self.locked.file())) {
            // The original makes its table with the mode of the file it finds.
            let mut options = OpenOptions::new();
            let made = options.write(true).create_new(true).mode(0o600);
            let made = made.open(&self.temporary);
            // If it cannot be made, whoever waits has to begin again.
            let _ = made.and_then(|file| file.set_permissions(Permissions::from_mode(mode)));
        }
        let synced = sync_directory(directory(&self.path));
        synced.map_err(|error| self.failed("sync", error))
    }

    fn failed(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(action, &self.path, error)
    }
}

/// Gaps read as zeros.
///
/// Errors: action "write"; `Interrupted` when a signal asks the process to end.
impl WriteAt for Staging {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_signals()?;
        let written = self.locked.file().write_all_at(bytes, offset);
        written.map_err(|error| self.failed("write", error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // While it is locked and has the name it is ours to remove.
        if !self.named || !names(&self.temporary, self.locked.file()) {
            return;
        }
        let file = self.locked.file();
        // Whoever waits goes on with it, unless its mode is not that of a table yet.
        let is_left = self.mode.is_some() && is_waited_for(file) && file.set_len(0).is_ok();
        if !is_left {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests;
