//! The new file beside the table, with the owner and mode it is to have.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::reason::InPlaceReason;
use super::replacement::{Content, Replacement};
use super::target::Target;
use crate::error::{Error, Result};
use crate::file::lock::LockedFile;
use crate::file::open::directory;
use crate::file::signals::SignalHold;
use crate::file::temporary::{Temporary, remove_stale};

/// A table that is still the old one.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) target: Target,
    /// Why no new file can take its place, or could be made.
    pub(crate) reason: Result<InPlaceReason>,
}

impl Target {
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
    pub(crate) fn start_beside(self, new_mode: u32) -> Result<Replacement, NotStarted> {
        let started = SignalHold::start(&self.shown)
            .and_then(|signals| self.beside(new_mode).map(|beside| (beside, signals)));
        match started {
            Ok((Ok(temporary), signals)) => {
                let content = Content::Beside(temporary);
                Ok(Replacement::new(content, self, None, new_mode, signals))
            }
            Ok((Err(reason), _)) => Err(NotStarted {
                target: self,
                reason: Ok(reason),
            }),
            Err(error) => Err(NotStarted {
                target: self,
                reason: Err(error),
            }),
        }
    }

    pub(super) fn start_with(
        self,
        new_mode: u32,
        forced: Option<InPlaceReason>,
    ) -> Result<Replacement> {
        let signals = SignalHold::start(&self.shown)?;
        let in_memory = |reason| Ok((Content::Memory(self.memory()?), Some(reason)));
        let (content, reason) = match forced {
            Some(reason) => in_memory(reason)?,
            None => match self.beside(new_mode)? {
                Ok(temporary) => (Content::Beside(temporary), None),
                Err(reason) => in_memory(reason)?,
            },
        };
        Ok(Replacement::new(content, self, reason, new_mode, signals))
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
    pub(super) fn dress(&self, file: &File, new_mode: u32) -> Result<Option<InPlaceReason>> {
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

/// Whether the directory does not let us create files.
pub(in crate::file) fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EACCES | libc::EPERM | libc::EROFS)
    )
}
