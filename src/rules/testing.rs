//! Tables for tests of rules.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::rules::tables::TableList;
use crate::table::{Listing, Table};

/// Pairs in memory.
pub(super) struct Pairs {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    is_pattern: bool,
}

impl Table for Pairs {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let value = self.pairs.get(&key.to_ascii_lowercase());
        Ok(value.map(|value| Cow::Borrowed(value.as_slice())))
    }

    fn is_pattern(&self) -> bool {
        self.is_pattern
    }

    fn iter(&self) -> Result<Listing<'_>> {
        Err(Error::unsupported("listing"))
    }

    fn title(&self) -> String {
        "pairs".to_owned()
    }
}

/// A list of one table with fixed-string keys.
pub(super) fn list(parameter: &str, pairs: &[(&str, &str)]) -> TableList {
    lists(parameter, &[(false, pairs)])
}

/// A list of tables; each says whether its keys are patterns.
pub(super) fn lists(parameter: &str, tables: &[(bool, &[(&str, &str)])]) -> TableList {
    let tables = tables.iter().map(|&(is_pattern, pairs)| {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let table = Pairs {
            pairs: pairs.collect(),
            is_pattern,
        };
        ("pairs:".to_owned(), Box::new(table) as Box<dyn Table>)
    });
    TableList::from_tables(parameter, tables)
}
