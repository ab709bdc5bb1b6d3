//! `environ:name`: the variables of the environment.

use std::borrow::Cow;
use std::ffi::OsStr;

use super::checked;
use crate::error::{Result, masked};
use crate::key::Fold;
use crate::table::options::{Environment, OpenOptions};
use crate::table::traits::Table;

/// The variables of the process's environment.
#[derive(Debug)]
pub struct EnvironTable {
    title: String,
    fold: Fold,
    environment: Environment,
    utf8: bool,
}

impl EnvironTable {
    /// The table `environ:name`; the name means nothing. Keys are folded: variables with capitals
    /// are found only with [`Fold::None`].
    pub fn new(name: &OsStr, options: &OpenOptions) -> EnvironTable {
        let title = format!("environ:{}", masked(name));
        EnvironTable {
            title,
            fold: options.fold,
            environment: options.environment.clone(),
            utf8: options.utf8,
        }
    }
}

impl Table for EnvironTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let name = self.fold.fold(key);
        // No variable has such a name.
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            return Ok(None);
        }
        match self.environment.value(&name) {
            Some(value) => checked(Cow::Owned(value), self.utf8),
            None => Ok(None),
        }
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_odd_ones_are_no_variables() {
        let lookup = |fold, key: &[u8]| {
            let environment = vec![
                (b"odd".to_vec(), b"1".to_vec()),
                (b"odd".to_vec(), b"2".to_vec()),
            ];
            let options = OpenOptions {
                fold,
                environment: Environment::new(environment),
                ..OpenOptions::default()
            };
            let table = EnvironTable::new(OsStr::new("x"), &options);
            table.lookup(key).unwrap().map(Cow::into_owned)
        };
        // Cargo sets it for tests.
        assert!(lookup(Fold::None, b"CARGO_PKG_NAME").is_some());
        assert_eq!(lookup(Fold::Ascii, b"CARGO_PKG_NAME"), None);
        assert_eq!(lookup(Fold::Ascii, b"ODD").unwrap(), b"2");
        for key in [&b""[..], b"a=b", b"a\0b"] {
            assert_eq!(lookup(Fold::None, key), None);
        }
    }
}
