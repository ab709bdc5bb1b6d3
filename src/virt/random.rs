//! `randmap:{value, ...}`: a table that answers with one of its values, whatever the key.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;

use super::no_listing;
use crate::error::{Error, ErrorKind, Result, masked};
use crate::source::{braces, file_value};
use crate::table::traits::{Listing, Table};

/// A table that answers with one of its values at random.
#[derive(Debug)]
pub struct RandomTable {
    title: String,
    values: Vec<Vec<u8>>,
}

impl RandomTable {
    /// The table `randmap:name`.
    ///
    /// # Errors
    ///
    /// `Spec` when `name` is not a list of values in braces.
    pub fn new(name: &OsStr) -> Result<RandomTable> {
        RandomTable::with_values(name, |value| Ok(value.to_vec()))
    }

    /// The same table if what would be its values is names of files (`-F`): a value is what a file
    /// holds, as base64.
    ///
    /// # Errors
    ///
    /// As [`RandomTable::new`] and [`file_value::encode_files`].
    pub fn of_files(name: &OsStr) -> Result<RandomTable> {
        RandomTable::with_values(name, file_value::encode_files)
    }

    fn with_values(
        name: &OsStr,
        value_of: impl FnMut(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<RandomTable> {
        let title = format!("randmap:{}", masked(name));
        let list = braces::inside(name.as_bytes()).unwrap_or_default();
        let values = braces::items(list).map(value_of);
        let values = values.collect::<Result<Vec<_>>>()?;
        if values.is_empty() {
            let what = format!("bad syntax: \"{title}\"; need \"randmap:{{value...}}\"");
            return Err(Error::new(ErrorKind::Spec { what }));
        }
        Ok(RandomTable { title, values })
    }
}

impl Table for RandomTable {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        // Each state has keys of its own: the hash of anything is a random number.
        let number = RandomState::new().hash_one(());
        let at = usize::try_from(number % self.values.len() as u64).unwrap_or(0);
        Ok(self
            .values
            .get(at)
            .map(|value| Cow::Borrowed(value.as_slice())))
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn iter(&self) -> Result<Listing<'_>> {
        Err(no_listing(&self.title))
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_turn() {
        let table = RandomTable::new(OsStr::new("{a, {b c}}")).unwrap();
        let answers: std::collections::HashSet<Vec<u8>> = (0..200)
            .map(|_| table.lookup(b"any").unwrap().unwrap().into_owned())
            .collect();
        assert_eq!(answers, [b"a".to_vec(), b"{b c}".to_vec()].into());
    }

    #[test]
    fn a_list_in_braces_is_needed() {
        for name in ["{}", "x", "{,}", "{ }", "{a", "a}", "{a}x"] {
            let error = RandomTable::new(OsStr::new(name)).unwrap_err();
            let text = format!("bad syntax: \"randmap:{name}\"; need \"randmap:{{value...}}\"");
            assert_eq!(error.to_string(), text);
        }
    }
}
