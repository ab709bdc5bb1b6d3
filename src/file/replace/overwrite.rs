//! The old file overwritten where nothing can take its place; directories made durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::libc;

/// Overwrites the old table. Its length is made sure of first, so that a full disk leaves it as it
/// was. The error says what was tried.
pub(super) fn copy_over(new: &File, old: &File) -> Result<(), (&'static str, io::Error)> {
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
pub(in crate::file) fn sync_directory(path: &Path) -> io::Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    match synced {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EINVAL)) => Ok(()),
        other => other,
    }
}
