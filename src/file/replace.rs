//! Replaces a table so that readers see the old one or the new one, never half of one.
//!
//! ```text
//! Target::lock    wait for the exclusive lock of the table the name stands for now
//! Target::start   hold signals; make and lock a hidden file beside it, give it owner and mode
//! write_at ...    a signal, an error or a drop removes that file again; the old table is untouched
//! commit          fsync, rename over the table, fsync the directory, release the locks
//! ```
//!
//! The original rewrites `hash:` and `btree:` tables in place under the same lock, so both kinds
//! of program wait for each other. Its daemons notice a renamed-over table by its link count.
//!
//! Where a new file cannot take the place of the old one, the new content is collected in memory
//! and the old file rewritten at the end, still under its lock: see [`InPlaceReason`]. Files that
//! programs map into memory are never overwritten so: see [`Protocol`].

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{AccessFlags, eaccess};

use super::lock::{
    LockKind, LockMode, LockedFile, Named, ROUNDS_MAX, Wait, lock_current_as, lock_named,
    replaced_too_often,
};
use super::open::{directory, names};
use super::signals::SignalHold;
use super::temporary::{Temporary, remove_stale};
use super::write_at::WriteAt;
use crate::error::{Error, ErrorKind, Result, masked, system_text};

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

/// After so many bytes they are sent to the disk, while more are worked out: then little is left to
/// wait for in the end.
const SYNC_EVERY: u64 = 8 << 20;

/// The table to be replaced, and the right to do it: the old one, if any, is locked exclusively.
#[derive(Debug)]
pub struct Target {
    protocol: Protocol,
    /// As given, for messages.
    shown: PathBuf,
    /// What will be renamed over: symbolic links are followed.
    real: PathBuf,
    old: Option<LockedFile>,
    /// Whether the old file is there but has no bytes.
    empty: bool,
    /// Whether that is so because it was made to have something to lock.
    made: bool,
}

/// Why a table is rewritten in place: a reader that takes no lock can see half of it, and a crash
/// or a failing disk leaves it half-written. `Display` is text for people.
#[derive(Debug)]
#[non_exhaustive]
pub enum InPlaceReason {
    /// The process may not create files in the table's directory.
    Directory {
        /// Of the table.
        path: PathBuf,
        /// What creating a file there gave.
        source: io::Error,
    },
    /// The process may not give a new file the table's owner and group.
    Owner {
        /// User id of the table.
        uid: u32,
        /// Group id of the table.
        gid: u32,
    },
    /// The system does not let go of this very file, as when it is a mount point.
    Busy,
}

impl fmt::Display for InPlaceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InPlaceReason::Directory { path, source } => {
                let path = masked(path);
                let source = system_text(source);
                write!(f, "no file can be created in {path}: {source}")
            }
            InPlaceReason::Owner { uid, gid } => {
                write!(f, "a new file cannot be given to owner {uid}, group {gid}")
            }
            InPlaceReason::Busy => f.write_str("it is in use as a mount point"),
        }
    }
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
    fn predecessor(&self) -> Option<&File> {
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

    /// Starts the new table, with nothing in it.
    ///
    /// It gets owner, group and permission bits of the old one; without an old one `new_mode`, of
    /// which the nine permission bits count, whatever the umask. Both are set before the first
    /// byte is written. Signals that would end the process are held from here on: see
    /// [`SignalHold`]. Left-over temporary files of runs that died are removed.
    ///
    /// Errors: action "open database" when no file can be made beside the table and there is no
    /// old one to rewrite; "hold signals for", "chown", "chmod", "write".
    pub fn start(self, new_mode: u32) -> Result<Replacement> {
        self.start_with(new_mode, None)
    }

    /// As [`start`](Target::start), but where the table cannot be replaced it gives itself back, with
    /// the reason.
    pub fn start_beside(
        self,
        new_mode: u32,
    ) -> Result<Result<Replacement, (Target, InPlaceReason)>> {
        let signals = SignalHold::start(&self.shown)?;
        Ok(match self.beside(new_mode)? {
            Ok(temporary) => Ok(Replacement {
                content: Content::Beside(temporary),
                target: self,
                reason: None,
                new_mode,
                unsynced: 0,
                signals,
            }),
            Err(reason) => Err((self, reason)),
        })
    }

    fn start_with(self, new_mode: u32, forced: Option<InPlaceReason>) -> Result<Replacement> {
        let signals = SignalHold::start(&self.shown)?;
        let in_memory = |reason| Ok((Content::Memory(self.memory()?), Some(reason)));
        let (content, reason) = match forced {
            Some(reason) => in_memory(reason)?,
            None => match self.beside(new_mode)? {
                Ok(temporary) => (Content::Beside(temporary), None),
                Err(reason) => in_memory(reason)?,
            },
        };
        Ok(Replacement {
            content,
            target: self,
            reason,
            new_mode,
            unsynced: 0,
            signals,
        })
    }

    /// A new file in the table's directory, or why that cannot be and the old one must do.
    fn beside(&self, new_mode: u32) -> Result<Result<Temporary, InPlaceReason>> {
        remove_stale(&self.real, self.old.as_ref().map(LockedFile::file));
        let temporary = match Temporary::create(&self.real) {
            Ok(temporary) => temporary,
            Err(source) if self.old.is_some() && is_refused(&source) => {
                let path = directory(&self.real).to_path_buf();
                return Ok(Err(InPlaceReason::Directory { path, source }));
            }
            Err(error) => return Err(Error::io("open database", &self.shown, error)),
        };
        Ok(match self.dress(temporary.file(), new_mode)? {
            None => Ok(temporary),
            Some(reason) => Err(reason),
        })
    }

    /// Gives `file` the owner, then the mode it will have as the table; or says why it cannot.
    fn dress(&self, file: &File, new_mode: u32) -> Result<Option<InPlaceReason>> {
        let failed = |action| move |error| Error::io(action, &self.shown, error);
        let mut mode = new_mode;
        if let Some(old) = self.predecessor() {
            let old = old.metadata().map_err(failed("chown"))?;
            let now = file.metadata().map_err(failed("chown"))?;
            let uid = (old.uid() != now.uid()).then_some(old.uid());
            let gid = (old.gid() != now.gid()).then_some(old.gid());
            if uid.is_some() || gid.is_some() {
                match fchown(file, uid, gid) {
                    Ok(()) => {}
                    // EINVAL: an id that this user namespace does not know.
                    Err(error)
                        if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) =>
                    {
                        return Ok(Some(InPlaceReason::Owner {
                            uid: old.uid(),
                            gid: old.gid(),
                        }));
                    }
                    Err(error) => return Err(failed("chown")(error)),
                }
            }
            mode = old.mode();
        }
        file.set_permissions(Permissions::from_mode(mode & 0o777))
            .map_err(failed("chmod"))?;
        Ok(None)
    }

    fn memory(&self) -> Result<File> {
        memfd_create("rpostmap", MFdFlags::MFD_CLOEXEC)
            .map(File::from)
            .map_err(|error| Error::io("write", &self.shown, error.into()))
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

/// A new table being written. Dropped without [`commit`](Replacement::commit) it leaves nothing
/// behind, and the old table as it was.
///
/// Holds signals, so it stays on the thread that made it, and should not live longer than needed.
#[derive(Debug)]
pub struct Replacement {
    // In this order they are dropped: the temporary file is removed, the old table's lock released,
    // and only then may a signal act.
    content: Content,
    target: Target,
    /// Set if and only if `content` is in memory.
    reason: Option<InPlaceReason>,
    new_mode: u32,
    /// Bytes written since the last sync.
    unsynced: u64,
    signals: SignalHold,
}

#[derive(Debug)]
enum Content {
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
    /// Sets the new table's length in bytes: cuts it, or fills it with zeros. Error action "write".
    pub fn set_len(&mut self, len: u64) -> Result<()> {
        let done = self.content.file().set_len(len);
        done.map_err(|error| self.failed("write", error))
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
                let synced = temporary.file().sync_all();
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

/// Gaps read as zeros. What was written is synced now and then.
///
/// Errors: action "write" and "sync"; [`ErrorKind::Interrupted`] when a signal asks the process to end: drop
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
            let synced = temporary.file().sync_data();
            synced.map_err(|error| self.failed("sync", error))?;
            self.unsynced = 0;
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

pub(super) fn check(signals: &mut SignalHold, path: &Path) -> Result<()> {
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

/// Overwrites the old table. Its length is made sure of first, so that a full disk leaves it as it
/// was. The error says what was tried.
fn copy_over(new: &File, old: &File) -> Result<(), (&'static str, io::Error)> {
    let write = |error| ("write", error);
    let len = new.metadata().map_err(write)?.len();
    let old_len = old.metadata().map_err(write)?.len();
    if let Err(error) = allocate(old, old_len, len) {
        let _ = old.set_len(old_len);
        return Err(write(error));
    }
    let mut chunk = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let count = match new.read_at(&mut chunk, offset) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(write(error)),
        };
        let bytes = chunk.get(..count).unwrap_or_default();
        old.write_all_at(bytes, offset).map_err(write)?;
        offset += count as u64;
    }
    old.set_len(len).map_err(write)?;
    old.sync_all().map_err(|error| ("sync", error))
}

/// Makes sure that `file`, `old_len` bytes long, has room for `len`. May lengthen it by zeros.
fn allocate(file: &File, old_len: u64, len: u64) -> io::Result<()> {
    let signed = i64::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    if signed == 0 {
        return Ok(());
    }
    loop {
        match posix_fallocate(file, 0, signed) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENODEV | Errno::ENOSYS) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let zeros = vec![0; 1 << 16];
    let mut offset = old_len;
    while offset < len {
        let count = usize::try_from(len - offset).map_or(zeros.len(), |n| n.min(zeros.len()));
        file.write_all_at(zeros.get(..count).unwrap_or_default(), offset)?;
        offset += count as u64;
    }
    Ok(())
}

/// Makes a rename durable. A directory that cannot be opened for reading, and a file system that
/// has nothing to do here, are no failure.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    match synced {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EINVAL)) => Ok(()),
        other => other,
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

/// Whether the directory does not let us create files.
fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EACCES | libc::EPERM | libc::EROFS)
    )
}

#[cfg(test)]
mod tests;
