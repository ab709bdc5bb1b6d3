//! A file beside a table for what does not fit into memory while the table is made. It has no name,
//! so nothing is left of it whatever happens, and nobody else can open it: it holds passwords.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;

use super::open::directory;
use super::replace::is_refused;
use super::temporary::{Temporary, remove_stale};
use crate::error::{Error, Result};

/// A file that is appended to, and read anywhere.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    /// What messages call it: the table.
    shown: PathBuf,
    len: AtomicU64,
}

impl Scratch {
    /// Makes one in the directory of the table file `target`, which messages call `shown`. `None`
    /// when the process may not create files there.
    ///
    /// # Errors
    ///
    /// `Io` with action "write".
    pub(crate) fn create(target: &Path, shown: &Path) -> Result<Option<Scratch>> {
        let made = match nameless(target) {
            // Not every file system, and not every kernel, has files that never had a name.
            Err(error) if !is_refused(&error) => named(target),
            other => other,
        };
        match made {
            Ok(file) => Ok(Some(Scratch {
                file,
                shown: shown.to_path_buf(),
                len: AtomicU64::new(0),
            })),
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(Error::io("write", shown, error)),
        }
    }

    /// Appends `bytes`, and returns the offset at which they are.
    ///
    /// # Errors
    ///
    /// `Io` with action "write".
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<u64> {
        let offset = self.len.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| Error::io("write", &self.shown, error))?;
        Ok(offset)
    }

    /// Fills `bytes` with what was appended at `offset`.
    ///
    /// # Errors
    ///
    /// `Io` with action "read".
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let read = self.file.read_exact_at(bytes, offset);
        read.map_err(|error| Error::io("read", &self.shown, error))
    }
}

fn nameless(target: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    // With O_EXCL it can never be given a name.
    options.custom_flags(libc::O_TMPFILE | libc::O_EXCL);
    options.open(directory(target))
}

fn named(target: &Path) -> io::Result<File> {
    // Should we die before it is removed, the next run finds it.
    remove_stale(target, None);
    let mut temporary = Temporary::create(target)?;
    temporary.remove();
    temporary.file().try_clone()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::file::testing::TestDir;

    #[test]
    fn it_has_no_name_and_nobody_else_can_read_it() {
        let dir = TestDir::new();
        let table = dir.path("t.db");
        for make in [nameless, named] {
            let file = make(&table).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!((metadata.nlink(), metadata.mode() & 0o7777), (0, 0o600));
            assert_eq!(fs::read_dir(dir.root()).unwrap().count(), 0);
        }
        let scratch = Scratch::create(&table, &table).unwrap().unwrap();
        assert_eq!(scratch.append(b"one").unwrap(), 0);
        assert_eq!(scratch.append(b"two").unwrap(), 3);
        let mut bytes = [0; 4];
        scratch.read_at(&mut bytes, 1).unwrap();
        assert_eq!(&bytes, b"netw");
        let error = scratch.read_at(&mut bytes, 3).unwrap_err();
        assert_eq!(error.path(), Some(table.as_path()));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let path = Path::new("/nonexistent/t.db");
        assert!(Scratch::create(path, path).is_err());
    }
}
