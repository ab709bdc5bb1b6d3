//! What was asked about the keys of a table that was not there.

use std::collections::HashMap;

use crate::entries::OnDuplicate;

/// What was asked about the keys of a table that is not there: somebody else may make it meanwhile.
#[derive(Default)]
pub(super) struct Asked {
    /// As the first was.
    usual: Option<OnDuplicate>,
    /// Keys of the others.
    unusual: HashMap<Vec<u8>, OnDuplicate>,
}

impl Asked {
    pub(super) fn note(&mut self, key: &[u8], on_duplicate: OnDuplicate) {
        if *self.usual.get_or_insert(on_duplicate) != on_duplicate {
            self.unusual.insert(key.to_vec(), on_duplicate);
        } else if !self.unusual.is_empty() {
            self.unusual.remove(key);
        }
    }

    /// Notes that it is asked about many keys. `false` if something else was asked about others: then
    /// each must be noted.
    #[must_use]
    pub(super) fn note_many(&mut self, on_duplicate: OnDuplicate) -> bool {
        self.unusual.is_empty() && *self.usual.get_or_insert(on_duplicate) == on_duplicate
    }

    pub(super) fn about(&self, key: &[u8]) -> OnDuplicate {
        let asked = self.unusual.get(key).copied().or(self.usual);
        asked.unwrap_or_default()
    }
}
