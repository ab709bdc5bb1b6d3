//! From a source text to a table.
//!
//! The old table is locked first, then the caller says which text to read, then the new table takes
//! the old one's place. So of two runs at the same time the later one reads the newer text and wins,
//! and nothing is written before the whole text was read without an error.

use std::path::Path;

use crate::entries::OnDuplicate;
use crate::error::Result;
use crate::file::WriteAt;
use crate::key::{Fold, NulPolicy};
use crate::source::EntrySource;
use crate::table::ahead::{StoredForm, for_each};
use crate::table::file::FileFormat;
use crate::table::gather::{Gathered, Gatherer, Gathering};
use crate::table::lmdb::LmdbOptions;
use crate::table::notice::Notice;
use crate::table::replace::Place;

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
    /// The memory to get by with, in bytes; about, and some megabytes at least. What does not fit is
    /// sorted in a file without a name beside the table; the table is the same. `None` is half of
    /// what is available. Where no file can be made there, and for an `lmdb:` table that must be
    /// changed in place, it takes what it takes.
    pub memory: Option<u64>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            on_duplicate: OnDuplicate::KeepFirst,
            lmdb: LmdbOptions::default(),
            memory: None,
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
    let (gathered, entry_count) = gather(format, &mut place, &mut source, options, notify)?;
    let lmdb = &options.lmdb;
    let build = |gathered: &mut Gathered, out: &mut dyn WriteAt| {
        gathered.build_with(lmdb, out, |entries, out| format.build(lmdb, entries, out))
    };
    let len = place.put(source.mode, gathered, build, lmdb, notify)?;
    Ok(Compiled { entry_count, len })
}

fn gather<S: EntrySource + Send>(
    format: FileFormat,
    place: &mut Place,
    source: &mut Source<S>,
    options: &CompileOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<(Gathered, usize)> {
    let nul = options.nul.writes_nul(format.customary_nul());
    let form = StoredForm {
        fold: options.fold,
        nul,
    };
    let gathering = Gathering {
        format,
        form,
        on_duplicate: format.on_duplicate(options.on_duplicate),
        lmdb: &options.lmdb,
        len: source.len,
        memory: options.memory,
    };
    let mut gatherer = Gatherer::new(gathering, place);
    let mut read = for_each(&mut source.entries, source.len, form, &mut |item| {
        gatherer.item(item, notify)
    });
    if read.is_ok() {
        let mut marks = source.entries.marks().iter();
        read = marks.try_for_each(|mark| gatherer.mark(mark, notify));
    }
    gatherer.finish(read, notify)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;
    use crate::source::MapSource;
    use crate::table::gather::Spilled;

    #[test]
    fn entries_are_spilled_where_memory_is_short_and_only_there() {
        let text: String = (0..20_000).map(|n| format!("key{n} value\n")).collect();
        let dir = TestDir::new();
        for (format, name) in [
            (FileFormat::Hash, "hash"),
            (FileFormat::Btree, "btree"),
            (FileFormat::Lmdb, "lmdb"),
            (FileFormat::Cdb, "cdb"),
        ] {
            for (memory, expect) in [
                (None, "memory"),
                (Some(1 << 30), "memory"),
                (Some(1 << 16), name),
                (Some(1), name),
            ] {
                let path = dir.path("t.db");
                let mut place = Place::lock(format, &path, &mut |_| {}).unwrap();
                let mut source = Source {
                    entries: MapSource::new("t", text.as_bytes(), true),
                    len: None,
                    mode: 0o600,
                };
                let options = CompileOptions {
                    memory,
                    ..CompileOptions::default()
                };
                let gathered = gather(format, &mut place, &mut source, &options, &mut |_| {});
                let (gathered, count) = gathered.unwrap();
                assert_eq!(count, 20_000);
                let found = match gathered {
                    Gathered::Memory(_) => "memory",
                    Gathered::Spilled(Spilled::Hash(_)) => "hash",
                    Gathered::Spilled(Spilled::Btree(..)) => "btree",
                    Gathered::Spilled(Spilled::Lmdb(..)) => "lmdb",
                    Gathered::Spilled(Spilled::Cdb(_)) => "cdb",
                };
                assert_eq!(found, expect);
            }
        }
    }
}
