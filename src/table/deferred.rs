//! Many entries put into memory at once: which keys are repeated is known, and said, when all are
//! there, in the order of the source nevertheless.

use std::collections::BTreeMap;
use std::path::Path;

use crate::entries::{Entries, OnDuplicate, Origin};
use crate::error::Result;
use crate::source::Warning;
use crate::table::ahead::StoredForm;
use crate::table::notice::Notice;
use crate::table::postponed::Postponed;

/// What warnings may take, in bytes, until they are said.
const WARNINGS_LEN_MAX: usize = 4 << 20;

/// What is to be said of entries that were appended.
pub(super) struct Deferred {
    /// The number of the first of them.
    first: u32,
    /// Each stands before the entry with its number.
    warnings: Vec<(u32, Warning)>,
    /// Their bytes.
    warnings_len: usize,
    /// Keys as they are shown, of entries that are no lines.
    marks: BTreeMap<u32, Vec<u8>>,
}

impl Deferred {
    /// About entries that are appended to `entries` from now on.
    pub(super) fn new(entries: &Entries) -> Deferred {
        Deferred {
            first: next(entries),
            warnings: Vec::new(),
            warnings_len: 0,
            marks: BTreeMap::new(),
        }
    }

    /// Notes a warning that comes before the next entry. Returns whether it is time to say them.
    #[must_use]
    pub(super) fn warning(&mut self, entries: &Entries, warning: Warning) -> bool {
        self.warnings_len += warning.memory();
        self.warnings.push((next(entries), warning));
        self.warnings_len > WARNINGS_LEN_MAX
    }

    /// Notes that the next entry is no line, but a mark with this key.
    pub(super) fn mark(&mut self, entries: &Entries, key: &[u8]) {
        self.marks.insert(next(entries), key.to_vec());
    }

    /// Decides which entries stay, and says what is to be said of them and of their lines. `table` is
    /// its name in warnings.
    pub(super) fn settle(
        mut self,
        entries: &mut Entries,
        on_duplicate: OnDuplicate,
        form: StoredForm,
        table: &Path,
        notify: &mut dyn FnMut(Notice),
    ) {
        let repeated = entries.settle(on_duplicate, self.first);
        let mut warnings = self.warnings.into_iter().peekable();
        for entry in repeated {
            while let Some((_, warning)) = warnings.next_if(|(next, _)| *next <= entry.number) {
                notify(Notice::Source(warning));
            }
            let shown = self.marks.remove(&entry.number);
            notify(Notice::Duplicate {
                table: table.to_path_buf(),
                key: shown.unwrap_or_else(|| form.shown(entries.repeated_key(entry))),
            });
        }
        warnings.for_each(|(_, warning)| notify(Notice::Source(warning)));
        entries.compact_all();
    }

    /// Hands over what is to be said, for entries that are going to be the first run.
    pub(super) fn postpone(&self, postponed: &mut Postponed) -> Result<()> {
        let run = 0;
        for (number, key) in &self.marks {
            let number = *number;
            postponed.mark(Origin { run, number }, key);
        }
        for (number, warning) in &self.warnings {
            let number = *number;
            postponed.warning(Origin { run, number }, warning)?;
        }
        Ok(())
    }
}

/// The number of the next entry.
fn next(entries: &Entries) -> u32 {
    u32::try_from(entries.number_end()).unwrap_or(u32::MAX)
}
