//! `type:name`: how tables are named, and the file a name stands for.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result, masked};

/// The name of a table: its type and, for tables in files, the path of the source text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableSpec {
    type_name: OsString,
    name: OsString,
}

impl TableSpec {
    /// Splits an operand at its **first** colon. One without a colon is a name, and `default_type`
    /// its type. So the name of a file that contains a colon needs its type written before it.
    pub fn parse(operand: &OsStr, default_type: &str) -> TableSpec {
        let mut halves = operand.as_bytes().splitn(2, |&byte| byte == b':');
        match (halves.next(), halves.next()) {
            (Some(type_name), Some(name)) => TableSpec {
                type_name: OsStr::from_bytes(type_name).to_owned(),
                name: OsStr::from_bytes(name).to_owned(),
            },
            _ => TableSpec {
                type_name: default_type.into(),
                name: operand.to_owned(),
            },
        }
    }

    /// The type, as it was written.
    pub fn type_name(&self) -> &OsStr {
        &self.type_name
    }

    /// What stands behind the colon. For tables in files the path of the source text.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The source text of a table in a file.
    pub fn source(&self) -> &Path {
        Path::new(&self.name)
    }

    /// The file of a table whose type puts `suffix` behind the name.
    pub fn file(&self, suffix: &str) -> PathBuf {
        let mut path = self.name.clone();
        path.push(suffix);
        path.into()
    }

    /// That neither half is empty.
    ///
    /// # Errors
    ///
    /// `Spec` when one is.
    pub fn check_complete(&self) -> Result<()> {
        if self.type_name.is_empty() || self.name.is_empty() {
            let what =
                format!("open dictionary: expecting \"type:name\" form instead of \"{self}\"");
            return Err(Error::new(ErrorKind::Spec { what }));
        }
        Ok(())
    }
}

impl fmt::Display for TableSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", masked(&self.type_name), masked(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_separates_type_and_name() {
        for (operand, type_name, name) in [
            (
                "hash:/etc/postfix/transport",
                "hash",
                "/etc/postfix/transport",
            ),
            ("transport", "btree", "transport"),
            ("hash:a:b", "hash", "a:b"),
            (":t", "", "t"),
            ("hash:", "hash", ""),
            (":", "", ""),
            ("", "btree", ""),
        ] {
            let spec = TableSpec::parse(OsStr::new(operand), "btree");
            assert_eq!(
                (spec.type_name(), spec.name()),
                (type_name.as_ref(), name.as_ref())
            );
            assert_eq!(
                spec.check_complete().is_ok(),
                !type_name.is_empty() && !name.is_empty()
            );
        }
    }

    #[test]
    fn names_need_not_be_utf8() {
        let spec = TableSpec::parse(OsStr::from_bytes(b"hash:\xff"), "btree");
        assert_eq!(spec.file(".db").as_os_str().as_bytes(), b"\xff.db");
    }
}
