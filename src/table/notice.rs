//! What the making or changing of a table has to say to its user.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::source::Warning;

/// Something a caller may want to tell its user, in the order it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// About a line of the source.
    Source(Warning),
    /// About a line of a table of rules: the text.
    Rule(Vec<u8>),
    /// A key was there already.
    Duplicate {
        /// The table as it is named in such warnings: its file, or `lmdb:` and its name.
        table: PathBuf,
        /// The key as it is stored, without NUL.
        key: Vec<u8>,
    },
    /// The old table was a file without a single byte, as an interrupted program leaves it.
    RemovedEmpty {
        /// The table file.
        table: PathBuf,
    },
    /// The table cannot be replaced, so it is rewritten in place: a crash at that moment damages
    /// it.
    InPlace {
        /// The table file.
        table: PathBuf,
        /// Why it cannot be replaced.
        reason: String,
    },
    /// The table cannot be replaced, so it is rewritten in place, in one transaction of the library:
    /// all or nothing, but the file does not get shorter.
    InTransaction {
        /// The table file.
        table: PathBuf,
        /// Why it cannot be replaced.
        reason: String,
    },
    /// The old table has other names, which go on showing the old content.
    OtherLinks {
        /// The table file.
        table: PathBuf,
    },
}

impl Notice {
    /// The text of the notice as bytes: it may quote the source, which can be anything.
    pub fn message(&self) -> Vec<u8> {
        let after =
            |table: &Path, text: &str| [table.as_os_str().as_bytes(), text.as_bytes()].concat();
        match self {
            Notice::Source(warning) => warning.message(),
            Notice::Rule(text) => text.clone(),
            Notice::Duplicate { table, key } => {
                let mut message = after(table, ": duplicate entry: \"");
                message.extend_from_slice(key);
                message.push(b'"');
                message
            }
            Notice::RemovedEmpty { table } => [
                b"removing zero-length database file: ",
                table.as_os_str().as_bytes(),
            ]
            .concat(),
            Notice::InPlace { table, reason } => after(
                table,
                &format!(
                    ": rewriting in place, because {reason}; \
                     if this is interrupted the table is damaged and must be built again"
                ),
            ),
            Notice::InTransaction { table, reason } => after(
                table,
                &format!(": changing in place, in one transaction, because {reason}"),
            ),
            Notice::OtherLinks { table } => {
                after(table, ": has other hard links, which keep the old content")
            }
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message()))
    }
}
