//! Changes of a file in place, in one transaction of the C library.
//!
//! The library believes what a file says: of damaged ones it dies, or worse. So whoever calls
//! [`apply`] has had the whole file verified under the lock that it still holds.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};
use crate::lmdb::layout::{DataVersion, Layout};

/// A file to be changed.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    /// The file, open, verified, and under the lock that all its writers take.
    pub(crate) file: &'p File,
    /// Its name, no symbolic link.
    pub(crate) path: &'p Path,
    /// What messages call it.
    pub(crate) shown: &'p Path,
    /// How far it may grow at first, in bytes. What more it needs it gets.
    pub(crate) map_size: u64,
    /// Whether programs use the library's own locks, by a second file beside this one. The
    /// library keeps a transaction number there too, so those who use it must all do so.
    pub(crate) has_lock_file: bool,
}

/// What is changed in one transaction: all of it or nothing.
#[derive(Default)]
pub(crate) struct Changes<'c> {
    /// Whether everything that is there goes first.
    pub(crate) clear: bool,
    /// Keys to delete.
    pub(crate) deletes: Vec<&'c [u8]>,
    /// Entries to put, replacing what has their key. Ascending when `clear` is set.
    pub(crate) puts: Vec<(&'c [u8], &'c [u8])>,
}

/// Refuses a file that cannot be changed in place.
///
/// # Errors
///
/// `Unsupported`, saying why and what to do.
pub(crate) fn check(layout: &Layout) -> Result<()> {
    let native = Layout::native(DataVersion::V1);
    let instead = "build it again from its source instead";
    Err(Error::unsupported(if !cfg!(feature = "lmdb") {
        format!(
            "this build of rpostmap has no LMDB library (feature \"lmdb\"), without which tables \
                 cannot be changed; {instead}"
        )
    } else if layout.version != DataVersion::V1 {
        let release = layout.version.release();
        format!(
            "file of LMDB {release}, which the LMDB 0.9 library in rpostmap cannot change; \
                 {instead}, with --lmdb-format={release} to keep the format"
        )
    } else if (layout.width, layout.order) != (native.width, native.order) {
        format!("file of another kind of machine, which cannot be changed on this one; {instead}")
    } else {
        return Ok(());
    }))
}

/// Makes the changes.
///
/// # Errors
///
/// `Io` with action "write": nothing was changed.
pub(crate) fn apply(place: Place<'_>, changes: &Changes<'_>) -> Result<()> {
    #[cfg(feature = "lmdb")]
    return super::heed::apply(place, changes);
    #[cfg(not(feature = "lmdb"))]
    {
        let _ = (place.file, place.path, place.map_size, place.has_lock_file);
        let _ = (changes.clear, &changes.deletes, &changes.puts);
        check(&Layout::NATIVE_V1).map_err(|error| error.in_file(place.shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lmdb::layout::WordWidth;
    use crate::wire::ByteOrder;

    #[test]
    fn what_the_library_cannot_change_is_refused_with_advice() {
        let other = match ByteOrder::NATIVE {
            ByteOrder::Little => ByteOrder::Big,
            ByteOrder::Big => ByteOrder::Little,
        };
        for (layout, text) in [
            (Layout::NATIVE_V1, None),
            (Layout::native(DataVersion::V3), Some("--lmdb-format=1.0")),
            (
                Layout {
                    order: other,
                    ..Layout::NATIVE_V1
                },
                Some("another kind of machine"),
            ),
            (
                Layout {
                    width: WordWidth::Four,
                    ..Layout::V1
                },
                Some("another kind of machine"),
            ),
        ] {
            let error = check(&layout).err().map(|error| error.to_string());
            let expect = if cfg!(feature = "lmdb") {
                text
            } else {
                Some("feature \"lmdb\"")
            };
            match (&error, expect) {
                (Some(error), Some(expect)) => assert!(error.contains(expect), "{error}"),
                (error, expect) => assert_eq!(error.as_deref(), expect),
            }
        }
    }
}
