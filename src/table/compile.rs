//! From a source text to a table.
//!
//! The old table is locked first, then the text is read, then the new table takes the old one's
//! place. So of two runs at the same time the later one reads the newer text and wins, and nothing
//! is written before the whole text was read without an error.

use std::fmt;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::entries::{Entries, Inserted, OnDuplicate};
use crate::error::Result;
use crate::file::replace::Target;
use crate::key::{Fold, NulPolicy};
use crate::source::{MapSource, Warning};
use crate::table::file::FileFormat;

/// How a table is made from its source.
#[derive(Clone, Copy, Debug)]
pub struct CompileOptions {
    /// How keys are folded before they are stored.
    pub fold: Fold,
    /// Whether keys and values get a NUL.
    pub nul: NulPolicy,
    /// Whether lines must be UTF-8.
    pub utf8: bool,
    /// Which of two entries with one key stays.
    pub on_duplicate: OnDuplicate,
    /// Permission bits of the table when there is no old one whose bits it takes over.
    pub mode: u32,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            utf8: true,
            on_duplicate: OnDuplicate::KeepFirst,
            mode: 0o600,
        }
    }
}

/// Something the caller of [`compile`] may want to tell its user, in the order it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// About a line of the source.
    Source(Warning),
    /// A key was there already.
    Duplicate {
        /// The table file.
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

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The number of entries.
    pub entry_count: usize,
    /// The table's length in bytes.
    pub len: u64,
}

/// Makes the table file `path` from the entries of `source`.
///
/// Readers see the old table or the new one. On any error, and when a signal ends the process, the
/// old table stays as it was.
///
/// # Errors
///
/// `Io` when the source cannot be read or the table cannot be written; `TooLong` when an entry or
/// the table exceeds what the format can hold; `Interrupted`.
pub fn compile<R: Read>(
    format: FileFormat,
    path: &Path,
    source: &mut MapSource<R>,
    options: &CompileOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Compiled> {
    let target = Target::lock(path)?;
    if target.removed_empty() {
        notify(Notice::RemovedEmpty {
            table: path.to_path_buf(),
        });
    }
    let entries = read_entries(format, path, source, options, notify)?;
    let other_links = has_other_links(&target);
    let mut new = target.start(options.mode)?;
    let told = new
        .in_place()
        .map(|reason| notify(in_place(path, reason)))
        .is_some();
    let len = format.build(&entries, &mut new)?;
    new.set_len(len)?;
    match new.commit()? {
        Some(reason) if !told => notify(in_place(path, &reason)),
        None if other_links => notify(Notice::OtherLinks {
            table: path.to_path_buf(),
        }),
        _ => {}
    }
    Ok(Compiled {
        entry_count: entries.len(),
        len,
    })
}

fn in_place(path: &Path, reason: &impl fmt::Display) -> Notice {
    Notice::InPlace {
        table: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

fn has_other_links(target: &Target) -> bool {
    use std::os::unix::fs::MetadataExt;
    let old = target.existing().and_then(|old| old.metadata().ok());
    old.is_some_and(|old| old.nlink() > 1)
}

fn read_entries<R: Read>(
    format: FileFormat,
    path: &Path,
    source: &mut MapSource<R>,
    options: &CompileOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Entries> {
    let nul: &[u8] = if options.nul.writes_nul(format.customary_nul()) {
        b"\0"
    } else {
        b""
    };
    let mut entries = Entries::with_duplicates(options.on_duplicate);
    while let Some(entry) = source.next_entry(&mut |warning| notify(Notice::Source(warning)))? {
        let inserted = entries.insert_with(
            |arena| {
                options.fold.fold_into(entry.key, arena);
                arena.extend_from_slice(nul);
            },
            |arena| {
                arena.extend_from_slice(entry.value);
                arena.extend_from_slice(nul);
            },
        )?;
        if inserted == Inserted::Duplicate {
            let key = options.fold.fold(entry.key).into_owned();
            notify(Notice::Duplicate {
                table: path.to_path_buf(),
                key,
            });
        }
    }
    Ok(entries)
}
