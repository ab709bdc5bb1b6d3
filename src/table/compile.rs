//! From a source text to a table.
//!
//! The old table is locked first, then the caller says which text to read, then the new table takes
//! the old one's place. So of two runs at the same time the later one reads the newer text and wins,
//! and nothing is written before the whole text was read without an error.

use std::path::Path;

use crate::entries::{Entries, Inserted, OnDuplicate};
use crate::error::Result;
use crate::file::WriteAt;
use crate::key::{Fold, NulPolicy};
use crate::source::EntrySource;
use crate::table::ahead::{Item, Stored, StoredForm, for_each};
use crate::table::file::FileFormat;
use crate::table::lmdb::LmdbOptions;
use crate::table::notice::Notice;
use crate::table::replace::Place;

/// A guess at the length of a line.
const SOURCE_LINE_LEN: usize = 40;
/// Memory set aside on the word of a file's length, in bytes of text.
const RESERVE_MAX: usize = 1 << 30;

/// How often it is looked whether a signal asks the process to end, where signals are held.
const ITEMS_PER_CHECK: u64 = 4096;

/// How a table is made from its source.
#[derive(Clone, Copy, Debug)]
pub struct CompileOptions {
    /// How keys are folded before they are stored.
    pub fold: Fold,
    /// Whether keys and values get a NUL.
    pub nul: NulPolicy,
    /// Which of two entries with one key stays. `KeepAll` is `KeepFirst` where the format holds one
    /// entry a key.
    pub on_duplicate: OnDuplicate,
    /// For `lmdb:` tables alone.
    pub lmdb: LmdbOptions,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            on_duplicate: OnDuplicate::KeepFirst,
            lmdb: LmdbOptions::default(),
        }
    }
}

/// A source as [`compile`] gets it.
pub struct Source<S> {
    /// Its entries.
    pub entries: S,
    /// Its length in bytes, or how long it is at least, if that is known. A hint that saves time.
    pub len: Option<u64>,
    /// Permission bits of the table when there is no old one whose bits it takes over. They should
    /// not allow more than those of the source.
    pub mode: u32,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The number of entries.
    pub entry_count: usize,
    /// The table's length in bytes.
    pub len: u64,
}

/// Makes the table file `path` from the entries of the source that `source` gives.
///
/// `source` is called once the old table is locked, which can take as long as somebody else holds
/// the lock: a source opened only then is the one that counts now.
///
/// Readers see the old table or the new one. On any error, and when a signal ends the process, the
/// old table stays as it was.
///
/// # Errors
///
/// What `source` fails with; `Io` when the source cannot be read or the table cannot be written; `TooLong` when an entry or
/// the table exceeds what the format can hold; `Interrupted`.
pub fn compile<S: EntrySource + Send>(
    format: FileFormat,
    path: &Path,
    source: impl FnOnce() -> Result<Source<S>>,
    options: &CompileOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Compiled> {
    let mut place = Place::lock(format, path, notify)?;
    let mut source = source()?;
    let entries = read_entries(format, &mut place, &mut source, options, notify)?;
    let entry_count = entries.len();
    let lmdb = &options.lmdb;
    let build = |entries: &Entries, out: &mut dyn WriteAt| format.build(lmdb, entries, out);
    let len = place.put(source.mode, entries, build, lmdb, notify)?;
    Ok(Compiled { entry_count, len })
}

fn read_entries<S: EntrySource + Send>(
    format: FileFormat,
    place: &mut Place,
    source: &mut Source<S>,
    options: &CompileOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Entries> {
    let nul = options.nul.writes_nul(format.customary_nul());
    let form = StoredForm {
        fold: options.fold,
        nul,
    };
    let mut entries = Entries::new();
    let len = source
        .len
        .and_then(|len| usize::try_from(len).ok())
        .unwrap_or(0)
        .min(RESERVE_MAX);
    // The bytes of entries are about those of their lines, which are a few dozen each.
    entries.reserve(len / SOURCE_LINE_LEN, len);
    let on_duplicate = format.on_duplicate(options.on_duplicate);
    let mut item_count = 0u64;
    for_each(&mut source.entries, source.len, form, &mut |item| {
        item_count += 1;
        if item_count.is_multiple_of(ITEMS_PER_CHECK) {
            place.check_signals()?;
        }
        match item {
            Item::Warning(warning) => notify(Notice::Source(warning)),
            Item::Entry(key, value) => {
                let checked = format.check_key(&options.lmdb, key);
                checked.map_err(|error| error.in_file(place.path()))?;
                if entries.insert_or(on_duplicate, key, value)? == Inserted::Duplicate {
                    let table = format.name_in_warnings(place.path());
                    let key = form.shown(key);
                    notify(Notice::Duplicate { table, key });
                }
            }
        }
        Ok(())
    })?;
    for mark in source.entries.marks() {
        let Stored { key, value } = form.mark(mark);
        if entries.insert_or(on_duplicate, &key, &value)? == Inserted::Duplicate {
            let table = format.name_in_warnings(place.path());
            let key = mark.key.clone();
            notify(Notice::Duplicate { table, key });
        }
    }
    entries.close();
    Ok(entries)
}
