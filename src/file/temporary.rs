//! A file beside a table, in which the next one is written.
//!
//! Its name begins like the table's and ends in random digits. A lock on it says that its writer
//! lives, so that the next writer can remove what a dead one left.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use super::lock::{
    FileLock, LockKind, LockMode, ROUNDS_MAX, Wait, acquire, release, replaced_too_often,
};
use super::open::{directory, names, same_file};

/// What a temporary file's name has between the table's name and the random part.
const MARK: &[u8] = b".rpostmap-";

/// The random part: hexadecimal digits of 64 bits.
const RANDOM_LEN: usize = 16;

/// The longest file name of Linux file systems, in bytes.
const NAME_MAX: usize = 255;

/// A hidden file beside the table, under an exclusive lock that says that its writer lives;
/// removed on drop.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    file: File,
    /// Whether `path` still names it.
    named: bool,
}

impl Temporary {
    /// Makes one that its owner alone can read and write.
    pub(super) fn create(target: &Path) -> io::Result<Temporary> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
        for _ in 0..ROUNDS_MAX {
            let path = directory(target).join(temporary_name(target));
            let file = match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let temporary = Temporary {
                path,
                file,
                named: true,
            };
            acquire(
                &temporary.file,
                LockKind::Flock,
                LockMode::Exclusive,
                Wait::Yes,
            )?;
            // Before it was locked, another run may have taken it for left over.
            if names(&temporary.path, &temporary.file) {
                return Ok(temporary);
            }
        }
        Err(replaced_too_often())
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn rename(&mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.named = false;
        Ok(())
    }

    pub(super) fn remove(&mut self) {
        if self.named {
            // What cannot be removed now is removed by the next run.
            let _ = fs::remove_file(&self.path);
            self.named = false;
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.remove();
        release(&self.file, LockKind::Flock);
    }
}

/// ".t.db.rpostmap-" for the table "d/t.db"; shorter when the whole would be too long a name.
pub(super) fn temporary_prefix(target: &Path) -> Vec<u8> {
    let name = target.file_name().unwrap_or_default().as_bytes();
    let kept = name.len().min(NAME_MAX - 1 - MARK.len() - RANDOM_LEN);
    [b".", name.get(..kept).unwrap_or_default(), MARK].concat()
}

pub(super) fn temporary_name(target: &Path) -> OsString {
    // The standard library's hash keys come from the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    let mut name = temporary_prefix(target);
    name.extend_from_slice(format!("{random:0RANDOM_LEN$x}").as_bytes());
    OsString::from_vec(name)
}

pub(super) fn is_temporary_name(name: &OsStr, prefix: &[u8]) -> bool {
    let random = name.as_bytes().strip_prefix(prefix);
    random.is_some_and(|random| {
        random.len() == RANDOM_LEN && random.iter().all(u8::is_ascii_hexdigit)
    })
}

/// Removes the temporary files of `target` whose writers are dead: nobody holds their lock, or we do,
/// because the writer died when the file already was the table, `held`, under its second name. What
/// cannot be looked at or removed is left; nothing here waits.
pub(super) fn remove_stale(target: &Path, held: Option<&File>) {
    let held = held.and_then(|held| held.metadata().ok());
    let prefix = temporary_prefix(target);
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    for entry in fs::read_dir(directory(target)).into_iter().flatten() {
        let Ok(entry) = entry else { return };
        let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !regular || !is_temporary_name(&entry.file_name(), &prefix) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = options.open(&path) else {
            continue;
        };
        let is_held = held.as_ref().is_some_and(|held| {
            let metadata = file.metadata();
            metadata.is_ok_and(|metadata| same_file(&metadata, held))
        });
        let lock = FileLock::try_now(&file, &path, LockKind::Flock, LockMode::Exclusive);
        // The name may have been renamed away, to be the table, between the two calls.
        if (is_held || matches!(lock, Ok(Some(_)))) && names(&path, &file) {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_whatever_the_length_of_the_table_name() {
        for len in [1, 227, 228, 229, 255] {
            let name = "n".repeat(len);
            assert!(temporary_name(Path::new(&name)).len() <= NAME_MAX);
        }
        let name = temporary_name(Path::new("d/t.db"));
        let prefix_of = |target: &str| temporary_prefix(Path::new(target));
        assert!(is_temporary_name(&name, &prefix_of("t.db")));
        assert!(!is_temporary_name(&name, &prefix_of("t")));
    }
}
