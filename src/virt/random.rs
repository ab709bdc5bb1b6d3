//! `randmap:{value, ...}`: a table that answers with one of its values, whatever the key.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;

use super::checked;
use crate::error::{Error, ErrorKind, Result, masked};
use crate::source::{braces, file_value};
use crate::table::options::OpenOptions;
use crate::table::traits::Table;

/// A table that answers with one of its values at random.
#[derive(Debug)]
pub struct RandomTable {
    title: String,
    values: Vec<Vec<u8>>,
    utf8: bool,
}

impl RandomTable {
    /// The table `randmap:name`. With `file_values` its values are names of files, and an answer is
    /// what a file holds, as base64.
    ///
    /// # Errors
    ///
    /// `Spec` when `name` is not a list of values in braces; with `file_values` as
    /// [`file_value::encode_files`].
    pub fn new(name: &OsStr, options: &OpenOptions) -> Result<RandomTable> {
        let title = format!("randmap:{}", masked(name));
        let list = braces::inside(name.as_bytes()).unwrap_or_default();
        let values = braces::items(list).map(|value| match options.file_values {
            true => file_value::encode_files(value),
            false => Ok(value.to_vec()),
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        if values.is_empty() {
            let what = format!("bad syntax: \"{title}\"; need \"randmap:{{value...}}\"");
            return Err(Error::new(ErrorKind::Spec { what }));
        }
        Ok(RandomTable {
            title,
            values,
            utf8: options.utf8,
        })
    }
}

impl Table for RandomTable {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        // Each state has keys of its own: the hash of anything is a random number.
        let number = RandomState::new().hash_one(());
        let at = usize::try_from(number % self.values.len() as u64).unwrap_or(0);
        match self.values.get(at) {
            Some(value) => checked(Cow::Borrowed(value), self.utf8),
            None => Ok(None),
        }
    }

    fn is_pattern(&self) -> bool {
        true
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
        let table = RandomTable::new(OsStr::new("{a, {b c}}"), &OpenOptions::default()).unwrap();
        let answers: std::collections::HashSet<Vec<u8>> = (0..200)
            .map(|_| table.lookup(b"any").unwrap().unwrap().into_owned())
            .collect();
        assert_eq!(answers, [b"a".to_vec(), b"{b c}".to_vec()].into());
    }

    #[test]
    fn a_list_in_braces_is_needed() {
        for name in ["{}", "x", "{,}", "{ }", "{a", "a}", "{a}x"] {
            let error = RandomTable::new(OsStr::new(name), &OpenOptions::default()).unwrap_err();
            let text = format!("bad syntax: \"randmap:{name}\"; need \"randmap:{{value...}}\"");
            assert_eq!(error.to_string(), text);
        }
    }
}
