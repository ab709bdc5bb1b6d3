//! Where a table's bytes come from: a snapshot in memory, positioned reads, or a mapping.
//!
//! `hash:` and `btree:` tables are rewritten in place by the original's `postmap`, under an
//! exclusive `flock`. So a reader that wants one consistent table holds a shared `flock` while it
//! reads: once, for the snapshot; during each [`Session`], for positioned reads. `lmdb:` tables have
//! record locks instead, which are not enough for them: `lmdb::open_store` does the rest.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use memmap2::Mmap;

use super::content::{Content, read_all};
use super::lock::{LockKind, LockMode, Wait, acquire, is_unsupported, release};
use super::open::open_regular;
use crate::error::{Error, Result};

/// The longest file that [`StoreMode::AUTO`] reads into memory, in bytes.
const AUTO_MEMORY_MAX: u64 = 256 << 20;

/// How a [`Store`] fetches bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreMode(Mode);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Auto,
    Memory,
    Positioned,
    Mapped,
}

impl StoreMode {
    /// The whole file is read once, under a shared `flock`: a snapshot that no later rewrite in
    /// place can tear. Costs the file's length in memory.
    pub const MEMORY: StoreMode = StoreMode(Mode::Memory);

    /// `pread(2)` for each request, nothing kept: sees changes made in place between sessions, and
    /// is a good choice for a single lookup.
    pub const POSITIONED: StoreMode = StoreMode(Mode::Positioned);

    /// [`MEMORY`](StoreMode::MEMORY) for files of up to 256 MiB,
    /// [`POSITIONED`](StoreMode::POSITIONED) above. The default.
    pub const AUTO: StoreMode = StoreMode(Mode::Auto);

    /// `mmap(2)`: no reads, no copies, memory shared between processes.
    ///
    /// # Safety
    ///
    /// The caller promises that, while a store opened in this mode lives, nobody truncates or
    /// rewrites the file in place, neither another process nor this one. Bytes behind a shared
    /// reference would change, and a mapping of a truncated file kills the process (SIGBUS). The
    /// original's `postmap` does rewrite `hash:` and `btree:` tables in place; a file that is only
    /// ever replaced by rename (`cdb:`, and what this crate writes) is fine.
    #[expect(
        unsafe_code,
        reason = "the promise can only be made by the caller of this"
    )]
    pub const unsafe fn mapped() -> StoreMode {
        StoreMode(Mode::Mapped)
    }

    /// The mode in which a file is opened that may be copied into memory afterwards; `None` for a
    /// file that is mapped.
    pub(crate) fn for_copying(self) -> Option<StoreMode> {
        (self.0 != Mode::Mapped).then_some(StoreMode::POSITIONED)
    }

    /// Whether a file of `len` bytes is to be copied into memory.
    pub(crate) fn wants_memory(self, len: u64) -> bool {
        match self.0 {
            Mode::Auto => len <= AUTO_MEMORY_MAX,
            Mode::Memory => true,
            Mode::Positioned | Mode::Mapped => false,
        }
    }
}

impl Default for StoreMode {
    fn default() -> StoreMode {
        StoreMode::AUTO
    }
}

/// The state of a file at the moment it was looked at, to tell later whether it is still that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileState {
    /// The number of the device that holds the file.
    pub device: u64,
    /// The file's number on that device.
    pub inode: u64,
    /// In bytes.
    pub len: u64,
    /// When the content was last changed.
    pub modified: SystemTime,
}

impl FileState {
    fn of(metadata: &Metadata) -> io::Result<FileState> {
        Ok(FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: metadata.modified()?,
        })
    }

    /// The state of what `path` names now. A difference from [`Store::state`] means that the table
    /// was replaced or changed since. Error action "stat".
    pub fn now(path: &Path) -> Result<FileState> {
        let state = std::fs::metadata(path).and_then(|metadata| FileState::of(&metadata));
        state.map_err(|error| Error::io("stat", path, error))
    }
}

/// A table's bytes. Can be shared between threads.
pub struct Store {
    bytes: Bytes,
    path: Option<PathBuf>,
    state: Option<FileState>,
}

enum Bytes {
    Memory(Content),
    Mapped(Mmap),
    Positioned(Positioned),
}

struct Positioned {
    file: File,
    kind: LockKind,
    /// The sessions that live. A `flock` belongs to the open file and all threads share that one,
    /// so the first session takes the lock and the last one gives it back.
    sessions: Mutex<usize>,
    /// The length of a file that cannot change.
    fixed_len: Option<u64>,
}

impl Store {
    /// Opens the table `path`. Follows symbolic links; takes regular files only and never waits
    /// for a FIFO. In memory and mapped mode it waits for a writer that holds the table's lock; a
    /// file system without `flock` is read without.
    ///
    /// Errors: action "open" (a directory is "Is a directory"), "lock", "read", "map".
    pub fn open(path: &Path, mode: StoreMode) -> Result<Store> {
        Store::open_locking(path, mode, LockKind::Flock)
    }

    /// As [`Store::open`], with the lock that the table's writers take.
    pub fn open_locking(path: &Path, mode: StoreMode, kind: LockKind) -> Result<Store> {
        let (file, metadata) = open_regular(path, OpenOptions::new().read(true))?;
        let failed = |action| move |error| Error::io(action, path, error);
        let (bytes, metadata) = match mode.0 {
            Mode::Auto if metadata.len() <= AUTO_MEMORY_MAX => snapshot(&file, kind, path)?,
            Mode::Memory => snapshot(&file, kind, path)?,
            Mode::Auto | Mode::Positioned => {
                let sessions = Mutex::new(0);
                (
                    Bytes::Positioned(Positioned {
                        file,
                        kind,
                        sessions,
                        fixed_len: None,
                    }),
                    metadata,
                )
            }
            Mode::Mapped => {
                let _lock = SharedLock::wait(&file, kind).map_err(failed("lock"))?;
                let metadata = file.metadata().map_err(failed("read"))?;
                (Bytes::Mapped(map(&file).map_err(failed("map"))?), metadata)
            }
        };
        Ok(Store {
            bytes,
            path: Some(path.to_path_buf()),
            state: Some(FileState::of(&metadata).map_err(failed("read"))?),
        })
    }

    /// A table that the caller has open and locked for as long as the store lives, so that it takes
    /// no lock itself. `path` is what messages call it.
    ///
    /// Errors: action "read"; "map".
    pub fn of_locked(file: File, path: &Path, mode: StoreMode) -> Result<Store> {
        let failed = |action| move |error| Error::io(action, path, error);
        let state = file
            .metadata()
            .and_then(|metadata| FileState::of(&metadata));
        let state = state.map_err(failed("read"))?;
        let bytes = match mode.0 {
            Mode::Auto | Mode::Memory if state.len <= AUTO_MEMORY_MAX || mode.0 == Mode::Memory => {
                Bytes::Memory(read_all(&file, state.len).map_err(failed("read"))?)
            }
            Mode::Mapped => Bytes::Mapped(map(&file).map_err(failed("map"))?),
            Mode::Auto | Mode::Memory | Mode::Positioned => {
                // The caller's lock counts as a session that never ends, and nothing changes
                // meanwhile.
                let sessions = Mutex::new(1);
                Bytes::Positioned(Positioned {
                    file,
                    kind: LockKind::Flock,
                    sessions,
                    fixed_len: Some(state.len),
                })
            }
        };
        Ok(Store {
            bytes,
            path: Some(path.to_path_buf()),
            state: Some(state),
        })
    }

    /// A table that is in memory already.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Store {
        Store {
            bytes: Bytes::Memory(Content::from(bytes.into())),
            path: None,
            state: None,
        }
    }

    /// The same table with its content in memory, which the caller read from it.
    pub(crate) fn into_memory(self, content: Content) -> Store {
        Store {
            bytes: Bytes::Memory(content),
            ..self
        }
    }

    /// All bytes, if they are in memory or mapped.
    #[inline]
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(content) => Some(content),
            Bytes::Mapped(map) => Some(map),
            Bytes::Positioned(_) => None,
        }
    }

    /// The name it was opened by; `None` for [`Store::from_bytes`].
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The file's state as of opening (of a snapshot: just before it was read, under the lock);
    /// `None` for [`Store::from_bytes`].
    pub fn state(&self) -> Option<&FileState> {
        self.state.as_ref()
    }

    /// One consistent look at the file. Free in memory and mapped mode.
    ///
    /// In positioned mode it waits until no writer holds the table's lock, and keeps writers out
    /// until the last session of this store is gone: keep sessions short. Errors: action "lock"
    /// and "read".
    pub fn session(&self) -> Result<Session<'_>> {
        let view = match &self.bytes {
            Bytes::Memory(content) => View::Bytes(content),
            Bytes::Mapped(map) => View::Bytes(map),
            Bytes::Positioned(positioned) => View::Live(
                positioned
                    .enter()
                    .map_err(|(action, error)| self.failed(action, error))?,
            ),
        };
        Ok(Session { store: self, view })
    }

    fn failed(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(action, self.path.clone().unwrap_or_default(), error)
    }
}

impl fmt::Debug for Store {
    /// Without the content, which may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match &self.bytes {
            Bytes::Memory(_) => Mode::Memory,
            Bytes::Mapped(_) => Mode::Mapped,
            Bytes::Positioned(_) => Mode::Positioned,
        };
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("mode", &mode)
            .finish_non_exhaustive()
    }
}

/// One consistent look at a [`Store`].
pub struct Session<'a> {
    store: &'a Store,
    view: View<'a>,
}

enum View<'a> {
    Bytes(&'a [u8]),
    Live(Live<'a>),
}

impl<'a> Session<'a> {
    /// The file's length in bytes.
    pub fn len(&self) -> u64 {
        match &self.view {
            View::Bytes(bytes) => bytes.len() as u64,
            View::Live(live) => live.len,
        }
    }

    /// Whether the file has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `len` bytes at byte `offset`, or `None` when they do not all lie inside the file, which
    /// allocates nothing. Borrowed in memory and mapped mode. Error action "read".
    pub fn read(&self, offset: u64, len: usize) -> Result<Option<Cow<'a, [u8]>>> {
        if offset
            .checked_add(len as u64)
            .is_none_or(|end| end > self.len())
        {
            return Ok(None);
        }
        match &self.view {
            View::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
                Ok(rest.and_then(|rest| rest.get(..len)).map(Cow::Borrowed))
            }
            View::Live(live) => match live.read(offset, len) {
                Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                // Somebody who takes no lock cut the file short.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                Err(error) => Err(self.store.failed("read", error)),
            },
        }
    }

    /// Takes note of the length that the file has by now: some writers take no lock.
    pub(crate) fn refresh_len(&mut self) -> Result<()> {
        if let View::Live(live) = &mut self.view {
            let len = live.positioned.len();
            live.len = len.map_err(|error| self.store.failed("read", error))?;
        }
        Ok(())
    }

    /// Everything up to the end of the file, which may have grown meanwhile. Error action "read".
    pub(crate) fn read_to_end(&self) -> Result<Content> {
        match &self.view {
            View::Bytes(bytes) => Ok(bytes.to_vec().into()),
            View::Live(live) => {
                let bytes = read_all(&live.positioned.file, live.len);
                bytes.map_err(|error| self.store.failed("read", error))
            }
        }
    }

    /// Whether the bytes may differ from those of an earlier session: true in positioned mode,
    /// unless the caller keeps the file locked.
    pub fn is_live(&self) -> bool {
        match &self.view {
            View::Bytes(_) => false,
            View::Live(live) => live.positioned.fixed_len.is_none(),
        }
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("store", &self.store)
            .field("len", &self.len())
            .finish()
    }
}

/// A living session of a positioned store; counted.
struct Live<'a> {
    positioned: &'a Positioned,
    len: u64,
}

impl Positioned {
    fn enter(&self) -> Result<Live<'_>, (&'static str, io::Error)> {
        let mut sessions = self.sessions();
        if *sessions == 0 {
            // Others wait at the mutex meanwhile; they would have to wait for this lock anyway.
            lock_shared(&self.file, self.kind).map_err(|error| ("lock", error))?;
        }
        *sessions += 1;
        drop(sessions);
        let mut live = Live {
            positioned: self,
            len: 0,
        };
        live.len = self.len().map_err(|error| ("read", error))?;
        Ok(live)
    }

    fn len(&self) -> io::Result<u64> {
        match self.fixed_len {
            Some(len) => Ok(len),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, usize> {
        // A count stays right even if some thread panicked while it held the mutex.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live<'_> {
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len)?;
        bytes.resize(len, 0);
        self.positioned.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        let mut sessions = self.positioned.sessions();
        *sessions -= 1;
        if *sessions == 0 {
            release(&self.positioned.file, self.positioned.kind);
        }
    }
}

/// A shared lock, or none where the file system has none.
struct SharedLock<'f>(&'f File, LockKind);

impl<'f> SharedLock<'f> {
    fn wait(file: &'f File, kind: LockKind) -> io::Result<SharedLock<'f>> {
        lock_shared(file, kind).map(|()| SharedLock(file, kind))
    }
}

impl Drop for SharedLock<'_> {
    fn drop(&mut self) {
        release(self.0, self.1);
    }
}

fn lock_shared(file: &File, kind: LockKind) -> io::Result<()> {
    match acquire(file, kind, LockMode::Shared, Wait::Yes) {
        Err(error) if !is_unsupported(&error) => Err(error),
        _ => Ok(()),
    }
}

/// The whole content, read in one go under a shared lock, and the metadata of that moment.
fn snapshot(file: &File, kind: LockKind, path: &Path) -> Result<(Bytes, Metadata)> {
    let failed = |error| Error::io("read", path, error);
    let _lock = SharedLock::wait(file, kind).map_err(|error| Error::io("lock", path, error))?;
    let metadata = file.metadata().map_err(failed)?;
    let bytes = read_all(file, metadata.len()).map_err(failed)?;
    Ok((Bytes::Memory(bytes), metadata))
}

fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file must not be truncated or rewritten in place while the map lives. Whoever
    // made the `StoreMode` by the unsafe `StoreMode::mapped` promised that; there is no other way
    // to make one.
    #[expect(unsafe_code, reason = "memmap2 cannot know what others do to the file")]
    unsafe {
        Mmap::map(file)
    }
}

#[cfg(test)]
mod tests;
