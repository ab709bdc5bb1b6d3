//! Why a table cannot be replaced, and is rewritten in place.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::error::{masked, system_text};

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
