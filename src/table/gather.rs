//! Gathers the entries of a source: in memory, or sorted in a file beside the table when they would
//! take too much of it.
//!
//! ```text
//! insert   entries in memory; too many: a sorted run, with all that come after it
//! settle   those of a long source: which of several with one key stays; others when they are inserted
//! finish   runs merged once: which entries stay, how much room they take, which warnings are due
//!          hash and cdb: merged again, into lists whose entries follow each other in the file
//! build    btree and lmdb: merged again; hash and cdb: one list in memory after the other
//! ```
//!
//! Whichever way they went, the builders get the same entries in the same order.

use std::path::PathBuf;
use std::sync::Arc;

use crate::bdb::btree::BtreeBuilder;
use crate::bdb::btree::builder::LeafCuts;
use crate::bdb::hash::HashBuilder;
use crate::bdb::hash::builder::{BucketLists, RoomNeeded};
use crate::cdb::CdbBuilder;
use crate::cdb::builder::{FileLen, SourceLists};
use crate::entries::{
    ENTRY_OVERHEAD, Entries, EntryStream, Inserted, OnDuplicate, Origin, Spool, Survivors,
    write_run,
};
use crate::error::{Error, ErrorKind, Result};
use crate::file::WriteAt;
use crate::file::memory::available;
use crate::source::{Mark, Warning};
use crate::table::ahead::{Item, LONG_MIN, Stored, StoredForm};
use crate::table::deferred::Deferred;
use crate::table::file::FileFormat;
use crate::table::lmdb::LmdbOptions;
use crate::table::notice::Notice;
use crate::table::postponed::Postponed;
use crate::table::replace::Place;

/// What is needed beside entries: for what was read ahead and what waits to be written. At most so
/// many bytes, and at most half of all.
const BESIDE_ENTRIES: u64 = 24 << 20;
/// The least that entries get, in bytes.
const BUDGET_MIN: usize = 64 << 10;
/// Unless a limit is given, nobody asks how much memory there is for less than this, in bytes.
const ASK_MIN: usize = 16 << 20;
/// Unless a limit is given, one of so many parts of the memory that is available is taken.
const AVAILABLE_PART: u64 = 2;
/// What the lines of a source are taken to have at least, in bytes: the first may be short ones.
const LINE_LEN_MIN: usize = 16;
/// Memory set aside on the word of a file's length, in bytes of text.
const RESERVE_MAX: usize = 1 << 30;
/// How often it is looked whether a signal asks the process to end, where signals are held.
const ITEMS_PER_CHECK: u64 = 4096;

/// The entries of a source.
pub(crate) enum Gathered {
    /// All of them.
    Memory(Entries),
    /// In a file.
    Spilled(Spilled),
}

/// Entries in a file, ready for the builder of a format.
pub(crate) enum Spilled {
    Hash(BucketLists),
    Btree(LeafCuts, Survivors),
    /// And how many there are.
    Lmdb(usize, Survivors),
    Cdb(SourceLists),
}

impl Gathered {
    /// Writes their table to `out`; entries in memory by `build`. Once.
    pub(crate) fn build_with(
        &mut self,
        lmdb: &LmdbOptions,
        out: &mut dyn WriteAt,
        build: impl FnOnce(&Entries, &mut dyn WriteAt) -> Result<u64>,
    ) -> Result<u64> {
        match self {
            Gathered::Memory(entries) => build(entries, out),
            Gathered::Spilled(Spilled::Hash(lists)) => HashBuilder::new().build_lists(lists, out),
            Gathered::Spilled(Spilled::Btree(cuts, entries)) => {
                BtreeBuilder::new().build_sorted(cuts.clone(), entries, out)
            }
            Gathered::Spilled(Spilled::Lmdb(count, entries)) => {
                lmdb.builder(None).build_sorted(*count, entries, out)
            }
            Gathered::Spilled(Spilled::Cdb(lists)) => CdbBuilder::new().build_lists(lists, out),
        }
    }

    /// All of them in memory, for `lmdb:` tables that are changed in place: a transaction of the
    /// library takes all entries at once.
    pub(crate) fn into_memory(self) -> Result<Entries> {
        match self {
            Gathered::Memory(entries) => Ok(entries),
            Gathered::Spilled(Spilled::Lmdb(_, mut sorted)) => {
                let mut entries = Entries::new();
                while let Some((key, value)) = sorted.next_entry()? {
                    entries.append(key, value)?;
                }
                Ok(entries)
            }
            Gathered::Spilled(_) => Err(Error::unsupported("changing such a table in place")),
        }
    }
}

/// What a builder must know of all entries before it writes the first.
enum Measure {
    Hash(RoomNeeded),
    Btree(LeafCuts),
    Lmdb,
    Cdb(FileLen),
}

impl Measure {
    fn new(format: FileFormat) -> Measure {
        match format {
            FileFormat::Hash => Measure::Hash(HashBuilder::new().room()),
            FileFormat::Btree => Measure::Btree(BtreeBuilder::new().leaf_cuts()),
            FileFormat::Lmdb => Measure::Lmdb,
            FileFormat::Cdb => Measure::Cdb(FileLen::default()),
        }
    }

    /// Adds an entry, in the order of keys.
    fn add(&mut self, key_len: usize, value_len: usize) {
        match self {
            Measure::Hash(room) => room.add(key_len, value_len),
            Measure::Btree(cuts) => cuts.add(key_len, value_len),
            Measure::Lmdb => {}
            Measure::Cdb(len) => len.add(key_len, value_len),
        }
    }
}

/// How entries are gathered.
pub(crate) struct Gathering<'g> {
    pub(crate) format: FileFormat,
    pub(crate) form: StoredForm,
    pub(crate) on_duplicate: OnDuplicate,
    pub(crate) lmdb: &'g LmdbOptions,
    /// The length of the source in bytes, if it is known.
    pub(crate) len: Option<u64>,
    /// The memory that may be taken, in bytes; by default a part of what is available.
    pub(crate) memory: Option<u64>,
}

/// Gathers entries.
pub(crate) struct Gatherer<'g> {
    gathering: Gathering<'g>,
    place: &'g mut Place,
    /// The table, as it is named in warnings.
    table: PathBuf,
    /// What is not in a run.
    entries: Entries,
    /// As long as entries are appended, and none of them is in a run.
    deferred: Option<Deferred>,
    /// What `entries` may take, in bytes.
    budget: usize,
    /// Whether the budget is what there is.
    is_asked: bool,
    /// Whether there can be no run, so that memory is to be saved otherwise.
    has_no_scratch: bool,
    runs: Option<Runs>,
    item_count: u64,
}

/// Entries that did not fit into memory.
struct Runs {
    spool: Spool,
    /// The run that is gathered.
    run: usize,
    postponed: Postponed,
    /// What is postponed of this run, in bytes.
    postponed_len: usize,
    /// Whether it is known already which keys the first run repeats.
    first_is_settled: bool,
    /// Whether some are lost, because they could not be written.
    is_broken: bool,
}

impl<'g> Gatherer<'g> {
    pub(crate) fn new(gathering: Gathering<'g>, place: &'g mut Place) -> Gatherer<'g> {
        let table = gathering.format.name_in_warnings(place.path());
        let asked = gathering.memory;
        let entries = Entries::new();
        let is_long = gathering.len.is_some_and(|len| len >= LONG_MIN);
        Gatherer {
            gathering,
            place,
            table,
            deferred: is_long.then(|| Deferred::new(&entries)),
            entries,
            budget: asked.map_or(ASK_MIN, budget),
            is_asked: asked.is_some(),
            has_no_scratch: false,
            runs: None,
            item_count: 0,
        }
    }

    /// Makes room for all entries of a source of `len` bytes, as far as that is allowed: once some
    /// have been seen, it is known how many there are about.
    fn reserve(&mut self, len: u64) {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(RESERVE_MAX);
        if !self.is_asked && len > ASK_MIN {
            self.ask();
        }
        let seen = self.entries.memory();
        let count = self.entries.number_end().max(1);
        let bytes = seen - ENTRY_OVERHEAD * self.entries.number_end();
        // Keys and values are about as long as their lines.
        let line_len = bytes.div_ceil(count).max(LINE_LEN_MIN);
        let budget = self.budget.saturating_sub(seen);
        let count = (len / line_len).min(budget / (line_len + ENTRY_OVERHEAD));
        self.entries.reserve(count, count.saturating_mul(line_len));
    }

    fn ask(&mut self) {
        self.is_asked = true;
        self.budget = available().map_or(usize::MAX, |bytes| budget(bytes / AVAILABLE_PART));
    }

    /// Takes what comes out of the source.
    pub(crate) fn item(&mut self, item: Item<'_>, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        self.item_count += 1;
        if self.item_count.is_multiple_of(ITEMS_PER_CHECK) {
            self.place.check_signals()?;
            if let Some(len) = self
                .gathering
                .len
                .filter(|_| self.item_count == ITEMS_PER_CHECK)
            {
                self.reserve(len);
            }
        }
        match item {
            Item::Warning(warning) => self.warning(warning, notify),
            Item::Entry(key, value) => {
                let checked = self.gathering.format.check_key(self.gathering.lmdb, key);
                checked.map_err(|error| error.in_file(self.place.path()))?;
                if self.insert(key, value)? == Some(Inserted::Duplicate) {
                    let key = self.gathering.form.shown(key);
                    notify(self.duplicate(key));
                }
                if self.has_no_scratch {
                    self.settle_deferred(notify);
                }
                Ok(())
            }
        }
    }

    /// Takes an entry that is no line of the source.
    pub(crate) fn mark(&mut self, mark: &Mark, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        let Stored { key, value } = self.gathering.form.mark(mark);
        if let Some(deferred) = &mut self.deferred {
            deferred.mark(&self.entries, &mark.key);
        }
        if let Some(next) = self.next() {
            self.postponed(|postponed| {
                postponed.mark(next, &mark.key);
                Ok(0)
            })?;
        }
        if self.insert(&key, &value)? == Some(Inserted::Duplicate) {
            notify(self.duplicate(mark.key.clone()));
        }
        Ok(())
    }

    fn duplicate(&self, key: Vec<u8>) -> Notice {
        let table = self.table.clone();
        Notice::Duplicate { table, key }
    }

    fn warning(&mut self, warning: Warning, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        if let Some(deferred) = &mut self.deferred {
            if deferred.warning(&self.entries, warning) {
                self.settle_deferred(notify);
            }
            return Ok(());
        }
        match self.next() {
            None => {
                notify(Notice::Source(warning));
                Ok(())
            }
            Some(next) => self.postponed(|postponed| postponed.warning(next, &warning)),
        }
    }

    /// Decides which of the entries in memory stay. Others are looked at as they come from now on.
    fn settle_deferred(&mut self, notify: &mut dyn FnMut(Notice)) {
        if let Some(deferred) = self.deferred.take() {
            let Gathering {
                on_duplicate, form, ..
            } = self.gathering;
            deferred.settle(&mut self.entries, on_duplicate, form, &self.table, notify);
        }
    }

    /// Where the next entry goes, if that is a run.
    fn next(&self) -> Option<Origin> {
        let run = self.runs.as_ref()?.run;
        let number = u32::try_from(self.entries.number_end()).unwrap_or(u32::MAX);
        Some(Origin { run, number })
    }

    fn postponed(&mut self, note: impl FnOnce(&mut Postponed) -> Result<usize>) -> Result<()> {
        let Some(runs) = &mut self.runs else {
            return Ok(());
        };
        runs.is_broken = true;
        runs.postponed_len += note(&mut runs.postponed)?;
        runs.is_broken = false;
        self.spill_if_full()
    }

    /// `None` when nobody knows yet whether the key was there.
    #[inline]
    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Inserted>> {
        let inserted = if self.deferred.is_some() || self.runs.is_some() {
            self.entries.append(key, value)?;
            None
        } else {
            let on_duplicate = self.gathering.on_duplicate;
            Some(self.entries.insert_or(on_duplicate, key, value)?)
        };
        self.spill_if_full()?;
        Ok(inserted)
    }

    #[inline]
    fn spill_if_full(&mut self) -> Result<()> {
        let postponed = self.runs.as_ref().map_or(0, |runs| runs.postponed_len);
        if self.entries.memory().saturating_add(postponed) <= self.budget {
            return Ok(());
        }
        self.spill()
    }

    /// Makes a run of what is in memory.
    #[cold]
    fn spill(&mut self) -> Result<()> {
        if !self.is_asked {
            self.ask();
            return self.spill_if_full();
        }
        self.entries.drop_index();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => {
                let Some(scratch) = self.place.scratch()? else {
                    // The new table is gathered in memory as well then.
                    self.budget = usize::MAX;
                    self.has_no_scratch = true;
                    return Ok(());
                };
                let scratch = Arc::new(scratch);
                let mut postponed = Postponed::new(Arc::clone(&scratch), self.budget);
                let first_is_settled = self.deferred.is_none();
                if let Some(deferred) = &self.deferred {
                    deferred.postpone(&mut postponed)?;
                }
                self.runs.insert(Runs {
                    spool: Spool::new(scratch, self.budget, 0),
                    run: 0,
                    postponed,
                    postponed_len: 0,
                    first_is_settled,
                    is_broken: false,
                })
            }
        };
        runs.is_broken = true;
        write_run(&self.entries, runs.run, &mut runs.spool)?;
        runs.is_broken = false;
        // If it could not be written, it is told of what is in memory.
        self.deferred = None;
        runs.run += 1;
        runs.postponed_len = 0;
        if runs.run >= runs.spool.list_count_max(self.budget) {
            // More of them would take more memory to merge than longer ones do.
            self.budget = self.budget.saturating_mul(2);
        }
        self.entries.clear();
        Ok(())
    }

    /// What was gathered, and how many entries it has. `read` says whether the source was read to
    /// its end; if not, what is to be said of the part in front is said.
    pub(crate) fn finish(
        mut self,
        read: Result<()>,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<(Gathered, usize)> {
        // With runs, that is what could not become the first.
        if !matches!(&read, Err(error) if is_interruption(error)) {
            self.settle_deferred(notify);
        }
        let Some(runs) = &mut self.runs else {
            read?;
            self.entries.drop_index();
            let count = self.entries.len();
            return Ok((Gathered::Memory(self.entries), count));
        };
        if let Err(error) = read {
            if !runs.is_broken && !is_interruption(&error) {
                // The error that comes first is the one to tell.
                let _ = self.settle(notify);
            }
            return Err(error);
        }
        self.settle(notify)
    }

    /// Merges all runs: says what is to be said of their entries, and hands them over in the order
    /// that the format needs.
    fn settle(self, notify: &mut dyn FnMut(Notice)) -> Result<(Gathered, usize)> {
        let Gatherer {
            gathering,
            place,
            table,
            entries,
            budget,
            runs,
            ..
        } = self;
        let Some(Runs {
            mut spool,
            run,
            mut postponed,
            first_is_settled,
            ..
        }) = runs
        else {
            return Ok((Gathered::Memory(entries), 0));
        };
        write_run(&entries, run, &mut spool)?;
        drop(entries);
        spool.flush()?;
        let mut passed = 0u64;
        let mut check = || {
            passed += 1;
            match passed.is_multiple_of(ITEMS_PER_CHECK) {
                true => place.check_signals(),
                false => Ok(()),
            }
        };
        let on_duplicate = gathering.on_duplicate;
        let sorted = || Survivors::new(&spool, on_duplicate);
        let mut measure = Measure::new(gathering.format);
        let mut count = 0;
        let mut survivors = sorted()?;
        // What the first run repeats was told when it was seen, if it was.
        let mut repeated = |origin: Origin, key: &[u8]| match origin.run {
            0 if first_is_settled => Ok(()),
            _ => postponed.repeated(origin, key),
        };
        while let Some(entry) = survivors.next(&mut repeated)? {
            measure.add(entry.key.len(), entry.value.len());
            count += 1;
            check()?;
        }
        postponed.tell(&table, gathering.form, notify)?;
        let mut survivors = sorted()?;
        let spilled = match measure {
            Measure::Hash(room) => {
                let builder = HashBuilder::new();
                let lists =
                    builder.distribute(&room, &mut survivors, &spool, budget, &mut check)?;
                Spilled::Hash(lists)
            }
            Measure::Btree(cuts) => Spilled::Btree(cuts, survivors),
            Measure::Lmdb => Spilled::Lmdb(count, survivors),
            Measure::Cdb(len) => {
                let builder = CdbBuilder::new();
                let lists = builder.distribute(len, &mut survivors, &spool, budget, &mut check)?;
                Spilled::Cdb(lists)
            }
        };
        Ok((Gathered::Spilled(spilled), count))
    }
}

/// Whether a signal asked the process to end: then there is nothing more to say.
fn is_interruption(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted { .. })
}

/// What entries may take of `limit` bytes.
fn budget(limit: u64) -> usize {
    let left = limit - BESIDE_ENTRIES.min(limit / 2);
    usize::try_from(left).unwrap_or(usize::MAX).max(BUDGET_MIN)
}
