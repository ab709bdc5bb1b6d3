//! Adds the entries of a source.
//!
//! Few are looked for in the old table one by one. Many, which make it be built anew, are gathered
//! with its entries, and those that repeat a key found when all are there.

use super::{TableUpdater, Work};
use crate::entries::OnDuplicate;
use crate::error::Result;
use crate::source::{EntrySource, Warning};
use crate::table::ahead::{Item, LONG_MIN, Stored, StoredForm, for_each};
use crate::table::compile::{CompileOptions, Source};
use crate::table::deferred::Deferred;
use crate::table::notice::Notice;

/// The least memory, in bytes, that entries take before it is looked which of them stay.
const DEFERRED_LEN_MIN: usize = 64 << 20;

impl TableUpdater {
    /// Adds the entries of a source. What is done about keys that are there already is told in
    /// `options`; `notify` hears of those whose first entry stays.
    ///
    /// # Errors
    ///
    /// As [`TableUpdater::contains`]; `Io` when the source cannot be read.
    pub fn add<S: EntrySource + Send>(
        &mut self,
        source: &mut Source<S>,
        options: &CompileOptions,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<()> {
        self.lmdb = options.lmdb;
        let nul = options.nul.writes_nul(self.format.customary_nul());
        let form = StoredForm {
            fold: options.fold,
            nul,
        };
        self.form = Some(form);
        let mut addition = Addition {
            on_duplicate: self.format.on_duplicate(options.on_duplicate),
            table: self,
            form,
            expected: source.len,
            deferred: None,
            limit: 0,
        };
        let read = for_each(&mut source.entries, source.len, form, &mut |item| {
            addition.item(item, notify)
        });
        // Also of the part in front of an error.
        addition.settle(notify);
        read?;
        // They are about the table as it becomes now.
        for mark in source.entries.marks() {
            let Stored { key, value } = form.mark(mark);
            self.put(&key, &value, OnDuplicate::KeepLast)?;
        }
        Ok(())
    }
}

struct Addition<'t> {
    table: &'t mut TableUpdater,
    on_duplicate: OnDuplicate,
    form: StoredForm,
    /// The length of the source in bytes, if it is known; until the first entry.
    expected: Option<u64>,
    /// As long as entries are appended to those in memory.
    deferred: Option<Deferred>,
    /// The memory, in bytes, from which on it is looked which of them stay.
    limit: usize,
}

impl Addition<'_> {
    fn item(&mut self, item: Item<'_>, notify: &mut dyn FnMut(Notice)) -> Result<()> {
        match item {
            Item::Warning(warning) => self.warning(warning, notify),
            Item::Entry(key, value) => {
                // Only now, so that the old table is read while the source is read on.
                if let Some(len) = self.expected.take() {
                    self.start(len)?;
                }
                if self.deferred.is_some() {
                    self.table.check_key(key)?;
                    if let Work::Whole { entries, .. } = &mut self.table.work {
                        entries.append(key, value)?;
                        if entries.memory() >= self.limit {
                            self.settle(notify);
                            self.defer();
                        }
                        return Ok(());
                    }
                }
                if !self.table.put(key, value, self.on_duplicate)? {
                    let table = self.table.format.name_in_warnings(&self.table.path);
                    let key = self.form.shown(key);
                    notify(Notice::Duplicate { table, key });
                }
            }
        }
        Ok(())
    }

    fn warning(&mut self, warning: Warning, notify: &mut dyn FnMut(Notice)) {
        match (&mut self.deferred, &self.table.work) {
            (Some(deferred), Work::Whole { entries, .. }) => {
                if deferred.warning(entries, warning) {
                    self.settle(notify);
                }
            }
            _ => notify(Notice::Source(warning)),
        }
    }

    /// Goes over to building the table anew when many entries are to come, `len` bytes.
    fn start(&mut self, len: u64) -> Result<()> {
        if len < LONG_MIN || !self.table.asked.note_many(self.on_duplicate) {
            return self.table.expect(len);
        }
        self.table.gather_if_many(len)?;
        self.defer();
        Ok(())
    }

    /// Has entries appended from now on, if the table is built anew; as many as are there, or some
    /// millions of bytes. A source may repeat few keys without end.
    fn defer(&mut self) {
        if let Work::Whole { entries, .. } = &self.table.work {
            self.deferred = Some(Deferred::new(entries));
            self.limit = (2 * entries.memory()).max(DEFERRED_LEN_MIN);
        }
    }

    /// Decides which of the entries that were appended stay. Others are looked at as they come.
    fn settle(&mut self, notify: &mut dyn FnMut(Notice)) {
        let table = &mut *self.table;
        let (Some(deferred), Work::Whole { entries, .. }) = (self.deferred.take(), &mut table.work)
        else {
            return;
        };
        let keeps_first = self.on_duplicate == OnDuplicate::KeepFirst;
        let name = table.format.name_in_warnings(&table.path);
        let mut tell = |notice| {
            if keeps_first || !matches!(notice, Notice::Duplicate { .. }) {
                notify(notice);
            }
        };
        deferred.settle(entries, self.on_duplicate, self.form, &name, &mut tell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;
    use crate::source::MapSource;
    use crate::table::FileFormat;
    use crate::table::update::Missing;

    #[test]
    fn a_source_that_repeats_few_keys_does_not_fill_the_memory() {
        for (value_len, line_count) in [(1_000, 150_000), (100_000, 1_500)] {
            let dir = TestDir::new();
            let missing = Missing::Create { mode: 0o600 };
            let path = dir.path("t.db");
            let table = TableUpdater::open(FileFormat::Hash, &path, missing, &mut |_| {});
            let mut table = table.unwrap();
            let value = "v".repeat(value_len);
            let text: String = (0..10).map(|n| format!("key{n} {value}\n")).collect();
            let text = text.repeat(line_count / 10);
            let mut source = Source {
                entries: MapSource::new("t", text.as_bytes(), true),
                len: Some(LONG_MIN),
                mode: 0o600,
            };
            let options = CompileOptions {
                on_duplicate: OnDuplicate::KeepLast,
                ..CompileOptions::default()
            };
            table.add(&mut source, &options, &mut |_| {}).unwrap();
            let Work::Whole { entries, .. } = &table.work else {
                panic!("it is built anew");
            };
            assert_eq!(entries.len(), 10);
            assert!(entries.memory() < text.len() / 2, "{}", entries.memory());
            table.commit(&mut |_| {}).unwrap();
        }
    }
}
