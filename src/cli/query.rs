//! `-q` and `-s`: looks keys up, and lists tables.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::cli::input::KeyLines;
use crate::cli::output::Output;
use crate::cli::postmap::{Stop, Work};
use crate::cli::report::Fatal;
use crate::error::ErrorKind;
use crate::file::store::StoreMode;
use crate::table::traits::Table;
use crate::table::{OpenOptions, TableSpec, open};

impl Work<'_> {
    fn open(&self, spec: &TableSpec, store: StoreMode) -> Result<Box<dyn Table>, Fatal> {
        let options = OpenOptions {
            fold: self.fold,
            nul: self.request.nul,
            utf8: self.utf8,
            store,
        };
        let table = open(spec, &options).map_err(|error| self.program.open_failure(&error))?;
        if let Some(stale) = table.stale() {
            let (table, source) = (stale.table.display(), stale.source.display());
            let text = format!("database {table} is older than source file {source}");
            self.program.warning(text.as_bytes());
        }
        self.verbose(|| format!("open {}", table.title()));
        Ok(table)
    }

    pub(super) fn query(&self, key: &OsStr, output: &mut Output) -> Result<bool, Stop> {
        let key = key.as_bytes();
        for spec in self.specs() {
            // One page or two are all that is needed.
            let table = self.open(&spec, StoreMode::POSITIONED)?;
            if let Some(value) = self.lookup(&*table, key)? {
                if value.is_empty() {
                    self.warn_empty_value(&spec.to_string(), key);
                }
                output.line(&[&value])?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn query_lines(
        &self,
        input: impl io::Read,
        output: &mut Output,
    ) -> Result<bool, Stop> {
        let mut tables: Vec<Box<dyn Table>> = Vec::new();
        let specs: Vec<TableSpec> = self.specs().collect();
        let mut found = false;
        let mut lines = KeyLines::new(input);
        while let Some(key) = lines.next_key()? {
            for (at, spec) in specs.iter().enumerate() {
                if at == tables.len() {
                    tables.push(self.open(spec, StoreMode::AUTO)?);
                }
                let table = &*tables[at];
                if let Some(value) = self.lookup(table, key)? {
                    if value.is_empty() {
                        self.warn_empty_value(&table.title(), key);
                    }
                    output.line(&[key, b"\t", &value])?;
                    found = true;
                    break;
                }
            }
        }
        Ok(found)
    }

    fn lookup<'t>(&self, table: &'t dyn Table, key: &[u8]) -> Result<Option<Cow<'t, [u8]>>, Fatal> {
        if self.utf8 && std::str::from_utf8(key).is_err() {
            let title = table.title();
            self.warn_malformed(&[title.as_bytes(), b": non-UTF-8 key \"", key]);
            return Ok(None);
        }
        table.lookup(key).map_err(|error| match error.kind() {
            ErrorKind::InvalidUtf8 { value } => {
                let title = table.title();
                let (before, between) = (b": key \"".as_slice(), b"\": non-UTF-8 value \"");
                self.warn_malformed(&[title.as_bytes(), before, key, between, value]);
                format!("table {title}: query error").into()
            }
            _ => self.program.read_failure(&error),
        })
    }

    pub(super) fn warn_malformed(&self, parts: &[&[u8]]) {
        let end = b"\": malformed UTF-8 or invalid codepoint".as_slice();
        self.program.warning(&[&parts.concat(), end].concat());
    }

    pub(super) fn list(&self, output: &mut Output) -> Result<bool, Stop> {
        let Some(spec) = self.specs().next() else {
            return Ok(false);
        };
        let table = self.open(&spec, StoreMode::AUTO)?;
        let entries = table
            .iter()
            .map_err(|error| self.program.read_failure(&error))?;
        for entry in entries {
            let (key, value) = entry.map_err(|error| self.program.read_failure(&error))?;
            if key.is_empty() {
                let text = format!("table {spec}: empty lookup key value is not allowed");
                self.program.warning(text.as_bytes());
            }
            if value.is_empty() {
                self.warn_empty_value(&spec.to_string(), &key);
            }
            output.line(&[&key, b"\t", &value])?;
        }
        Ok(true)
    }

    fn warn_empty_value(&self, table: &str, key: &[u8]) {
        let before = format!("table {table}: key ");
        let after = b": empty string result is not allowed".as_slice();
        self.program
            .warning(&[before.as_bytes(), key, after].concat());
        let text = format!("table {table} should return NO RESULT in case of NOT FOUND");
        self.program.warning(text.as_bytes());
    }
}
