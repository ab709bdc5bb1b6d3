//! Opens regular files only, and never waits for the other end of a FIFO.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

use crate::error::{Error, Result};

/// Opens `path` with `options`, whose custom flags are overwritten, and says what was opened.
///
/// Follows symbolic links. Errors carry the action "open": a directory is "Is a directory", a FIFO
/// or device is refused in words.
pub(crate) fn open_regular(path: &Path, options: &mut OpenOptions) -> Result<(File, Metadata)> {
    open_regular_with(path, options, 0)
}

/// [`open_regular`] with further flags of `open(2)`: `O_NOFOLLOW`, say.
pub(super) fn open_regular_with(
    path: &Path,
    options: &mut OpenOptions,
    flags: i32,
) -> Result<(File, Metadata)> {
    let failed = |source| Error::io("open", path, source);
    let quick = flags | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match options.custom_flags(quick).open(path) {
        // Only a regular file on which somebody holds a lease (see fcntl(2)) answers so. The lease
        // is being taken away, and the wait for that is bounded by the kernel.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            options.custom_flags(flags | libc::O_NOCTTY).open(path)
        }
        other => other,
    }
    .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(libc::EISDIR)));
    }
    if !metadata.is_file() {
        let text = "not a regular file";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, text)));
    }
    Ok((file, metadata))
}

/// Whether both describe one file: same device, same inode.
pub(crate) fn same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The directory that the last component of `path` lies in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether `path`, not followed, is `file`.
pub(super) fn names(path: &Path, file: &File) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => same_file(&named, &open),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;
    use nix::sys::stat::Mode;

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_waiting() {
        let dir = TestDir::new();
        let fifo = dir.path("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        for (path, text) in [
            (fifo.as_path(), "not a regular file"),
            (Path::new("/dev/null"), "not a regular file"),
            (dir.root(), "Is a directory (os error 21)"),
        ] {
            let error = open_regular(path, OpenOptions::new().read(true)).unwrap_err();
            assert_eq!(error.io_error().unwrap().to_string(), text, "{path:?}");
        }
    }
}
