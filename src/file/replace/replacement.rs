//! The new table while it is written, and how it gets its name.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::libc;

use super::overwrite::{copy_over, sync_directory};
use super::reason::InPlaceReason;
use super::target::{Protocol, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::file::lock::{LockMode, Named, Wait, lock_named};
use crate::file::open::directory;
use crate::file::signals::SignalHold;
use crate::file::sync_ahead::SyncAhead;
use crate::file::temporary::Temporary;
use crate::file::write_at::WriteAt;

/// After so many bytes they are sent to the disk, while more are written.
const SYNC_EVERY: u64 = 4 << 20;

/// A new table being written. Dropped without [`commit`](Replacement::commit) it leaves nothing
/// behind, and the old table as it was.
///
/// Holds signals, so it stays on the thread that made it, and should not live longer than needed.
#[derive(Debug)]
pub struct Replacement {
    // In this order they are dropped: nobody holds on to the temporary file, it is removed, the old
    // table's lock released, and only then may a signal act.
    /// What sends bytes to the disk, once there are many.
    ahead: Option<SyncAhead>,
    content: Content,
    target: Target,
    /// Set if and only if `content` is in memory.
    reason: Option<InPlaceReason>,
    new_mode: u32,
    /// Bytes written since they were last sent to the disk.
    unsynced: u64,
    signals: SignalHold,
}

#[derive(Debug)]
pub(super) enum Content {
    Beside(Temporary),
    Memory(File),
}

impl Content {
    fn file(&self) -> &File {
        match self {
            Content::Beside(temporary) => temporary.file(),
            Content::Memory(file) => file,
        }
    }
}

impl Replacement {
    pub(super) fn new(
        content: Content,
        target: Target,
        reason: Option<InPlaceReason>,
        new_mode: u32,
        signals: SignalHold,
    ) -> Replacement {
        Replacement {
            ahead: None,
            content,
            target,
            reason,
            new_mode,
            unsynced: 0,
            signals,
        }
    }

    /// Sets the new table's length in bytes: cuts it, or fills it with zeros. Error action "write".
    pub fn set_len(&mut self, len: u64) -> Result<()> {
        let done = self.content.file().set_len(len);
        done.map_err(|error| self.failed("write", error))
    }

    /// The table, by the name it was locked by.
    pub fn path(&self) -> &Path {
        self.target.path()
    }

    /// Why the table will be rewritten in place, if so. The caller should warn of it. The new
    /// content takes memory until it is committed.
    pub fn in_place(&self) -> Option<&InPlaceReason> {
        self.reason.as_ref()
    }

    /// Whether the old table has names besides the one that will be replaced. What a dead run left
    /// does not count: it is removed by now.
    pub fn old_has_other_links(&self) -> bool {
        let old = self.target.existing().and_then(|old| old.metadata().ok());
        old.is_some_and(|old| old.nlink() > 1)
    }

    /// Removes the new table, and gives the old one back as it was. A signal that was held acts now.
    pub(crate) fn give_up(self) -> Target {
        drop(self.ahead);
        drop(self.content);
        self.target
    }

    /// Puts the new table in the place of the old one, durably, and releases all locks.
    ///
    /// `Some` when it was rewritten in place: [`in_place`](Replacement::in_place) said so before,
    /// or the rename turned out to be impossible. If a table appeared since [`Target::lock`] found
    /// none, its lock is waited for, and its owner and mode are kept.
    ///
    /// Errors: [`ErrorKind::Interrupted`], action "write", "sync", "rename", "open", "lock": the
    /// old table is unchanged, except after "write" and "sync" in place, where it may be damaged,
    /// and after "sync" of the directory, where the new table is there but may not survive a crash.
    /// A full disk is found before anything is overwritten in place.
    pub fn commit(mut self) -> Result<Option<InPlaceReason>> {
        let reason = self.put_in_place(Newcomer::Replace)?;
        self.finish(reason)
    }

    /// As [`commit`](Replacement::commit), for a table that [`Target::lock`] did not find. Should
    /// there be one by now, it stays as it is, and the answer is `false`; its writer is waited for.
    pub fn commit_unless_there(mut self) -> Result<bool> {
        let was_missing = self.target.is_missing();
        let reason = self.put_in_place(Newcomer::Keep)?;
        if was_missing && !self.target.is_missing() {
            return Ok(false);
        }
        self.finish(reason).map(|_| true)
    }

    /// Gives the finished content the table's name, or says why it must be copied into the old file.
    fn put_in_place(&mut self, newcomer: Newcomer) -> Result<Option<InPlaceReason>> {
        self.check_signals()?;
        match &mut self.content {
            Content::Memory(_) => Ok(self.reason.take()),
            Content::Beside(temporary) => {
                let ahead = self.ahead.take().map_or(Ok(()), SyncAhead::finish);
                let synced = ahead.and_then(|()| temporary.file().sync_all());
                synced.map_err(|error| Error::io("sync", &self.target.shown, error))?;
                check(&mut self.signals, &self.target.shown)?;
                let target = &mut self.target;
                target.publish(temporary, self.new_mode, newcomer, &mut self.signals)
            }
        }
    }

    fn finish(self, reason: Option<InPlaceReason>) -> Result<Option<InPlaceReason>> {
        if let (Some(reason), Protocol::Mapped) = (&reason, self.target.protocol) {
            let error = io::Error::other(reason.to_string());
            return Err(self.failed("rename", error));
        }
        match (&reason, &self.target.old) {
            (Some(_), Some(old)) => copy_over(self.content.file(), old.file()),
            _ => sync_directory(directory(&self.target.real)).map_err(|error| ("sync", error)),
        }
        .map_err(|(action, error)| self.failed(action, error))?;
        Ok(reason)
    }

    fn check_signals(&mut self) -> Result<()> {
        check(&mut self.signals, &self.target.shown)
    }

    fn failed(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(action, &self.target.shown, error)
    }
}

/// Gaps read as zeros. What was written is sent to the disk now and then.
///
/// Errors: action "write"; [`ErrorKind::Interrupted`] when a signal asks the process to end: drop
/// the replacement then, which cleans up and lets the signal act.
impl WriteAt for Replacement {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_signals()?;
        let written = self.content.file().write_all_at(bytes, offset);
        written.map_err(|error| self.failed("write", error))?;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY
            && let Content::Beside(temporary) = &self.content
        {
            self.unsynced = 0;
            if self.ahead.is_none() {
                self.ahead = SyncAhead::start(temporary.file());
            }
            if let Some(ahead) = &self.ahead {
                ahead.ask();
            }
        }
        Ok(())
    }
}

/// What becomes of a table that appeared after none was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newcomer {
    Replace,
    Keep,
}

pub(in crate::file) fn check(signals: &mut SignalHold, path: &Path) -> Result<()> {
    match signals.pending() {
        None => Ok(()),
        Some(signal) => Err(Error::new(ErrorKind::Interrupted { signal }).in_file(path)),
    }
}

impl Target {
    /// Gives the finished `temporary` the table's name; or says why the old table must be
    /// rewritten instead. A newcomer that is kept becomes the old table, and nothing else happens.
    fn publish(
        &mut self,
        temporary: &mut Temporary,
        new_mode: u32,
        newcomer: Newcomer,
        signals: &mut SignalHold,
    ) -> Result<Option<InPlaceReason>> {
        loop {
            if self.old.is_some() {
                return match temporary.rename(&self.real) {
                    Ok(()) => Ok(None),
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        Ok(Some(InPlaceReason::Busy))
                    }
                    Err(error) => Err(Error::io("rename", &self.shown, error)),
                };
            }
            // Unlike rename(2), link(2) leaves alone what is there.
            if fs::hard_link(&temporary.path, &self.real).is_ok() {
                temporary.remove();
                return Ok(None);
            }
            let there = fs::symlink_metadata(&self.real);
            let kind = self.protocol.lock_kind();
            match lock_named(&self.real, kind, LockMode::Exclusive, Wait::No)? {
                Named::Locked(old) => {
                    // It appeared after we looked: now it is the old table.
                    let metadata = old.file().metadata();
                    let metadata = metadata.map_err(|e| Error::io("open", &self.shown, e))?;
                    self.empty = metadata.len() == 0;
                    self.old = Some(old);
                    if newcomer == Newcomer::Keep {
                        return Ok(None);
                    }
                    if let Some(reason) = self.dress(temporary.file(), new_mode)? {
                        return Ok(Some(reason));
                    }
                }
                Named::Busy => {
                    // Signals are held, so a lock must not be waited for inside the kernel.
                    check(signals, &self.shown)?;
                    thread::sleep(Duration::from_millis(20));
                }
                // A link to nothing is replaced; and not all file systems have hard links.
                Named::Absent if there.as_ref().map_or(true, Metadata::is_symlink) => {
                    let renamed = temporary.rename(&self.real);
                    renamed.map_err(|error| Error::io("rename", &self.shown, error))?;
                    return Ok(None);
                }
                // It went away again.
                Named::Absent => {}
            }
        }
    }
}
