//! Writes to a file that exists, in place, under a lock that somebody else holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::signals::SignalHold;
use super::write_at::{UpdateAt, WriteAt};
use crate::error::{Error, Result};

/// A locked file being changed. While it lives, signals that would end the process are held: an
/// update once begun is brought to its end.
#[derive(Debug)]
pub struct InPlace<'f> {
    file: &'f File,
    path: &'f Path,
    _signals: SignalHold,
}

impl<'f> InPlace<'f> {
    /// Changes to `file`, which messages call `path`. The caller holds its exclusive lock.
    ///
    /// Error: action "hold signals for".
    pub fn start(file: &'f File, path: &'f Path) -> Result<InPlace<'f>> {
        Ok(InPlace {
            file,
            path,
            _signals: SignalHold::start(path)?,
        })
    }

    fn done(&self, action: &'static str, result: io::Result<()>) -> Result<()> {
        result.map_err(|error| Error::io(action, self.path, error))
    }
}

impl WriteAt for InPlace<'_> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.done("write", self.file.write_all_at(bytes, offset))
    }
}

impl UpdateAt for InPlace<'_> {
    fn set_file_len(&mut self, len: u64) -> Result<()> {
        self.done("write", self.file.set_len(len))
    }

    fn sync(&mut self) -> Result<()> {
        self.done("sync", self.file.sync_data())
    }
}
