//! `fail:name`: a table that fails whatever is asked, to try how a mail server takes it.

use std::borrow::Cow;
use std::ffi::OsStr;

use crate::error::{Error, ErrorKind, Result, masked};
use crate::table::traits::{Listing, Table};

/// A table that answers nothing but errors.
#[derive(Debug)]
pub struct FailTable {
    title: String,
}

impl FailTable {
    /// The table `fail:name`.
    pub fn new(name: &OsStr) -> FailTable {
        let title = format!("fail:{}", masked(name));
        FailTable { title }
    }

    /// What comes of any attempt to look something up or to change something.
    pub fn failure() -> Error {
        // What the C library says of an error without a number.
        let reason = "Application error".into();
        Error::new(ErrorKind::Lookup { reason })
    }
}

impl Table for FailTable {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        Err(FailTable::failure())
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn iter(&self) -> Result<Listing<'_>> {
        Err(FailTable::failure())
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_could_not_tell() {
        let table = FailTable::new(OsStr::new("x"));
        assert!(table.lookup(b"any").unwrap_err().is_temporary());
        assert!(table.iter().is_err());
    }
}
