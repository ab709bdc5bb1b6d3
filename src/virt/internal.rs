//! `internal:name`: a table that is always empty.

use std::borrow::Cow;
use std::ffi::OsStr;

use crate::error::{Result, masked};
use crate::table::traits::{Listing, Table};

/// An empty table.
#[derive(Debug)]
pub struct InternalTable {
    title: String,
}

impl InternalTable {
    /// The table `internal:name`.
    pub fn new(name: &OsStr) -> InternalTable {
        let title = format!("internal:{}", masked(name));
        InternalTable { title }
    }
}

impl Table for InternalTable {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(None)
    }

    fn iter(&self) -> Result<Listing<'_>> {
        Ok(Box::new(std::iter::empty()))
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}
