//! `-q` and `-s`: looks keys up, and lists tables.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::{io, panic, thread};

use crate::cli::create::PROXY;
use crate::cli::input::KeyLines;
use crate::cli::output::Output;
use crate::cli::postmap::{Stop, Work};
use crate::cli::report::Fatal;
use crate::error::{ErrorKind, masked};
use crate::file::store::StoreMode;
use crate::table::traits::Table;
use crate::table::{OpenOptions, TableSpec, open_with};

/// From this many keys at a time on two threads look them up.
const PARALLEL_MIN: usize = 512;

impl Work<'_> {
    fn open(&self, spec: &TableSpec, store: StoreMode) -> Result<Box<dyn Table>, Fatal> {
        let options = OpenOptions {
            fold: self.fold,
            nul: self.request.nul,
            utf8: self.utf8,
            store,
            log: self.program.log(),
            environment: self.environment.clone(),
            on_duplicate: self.request.on_duplicate.unwrap_or_default(),
            file_values: false,
        };
        let mut notify = |notice| self.notify(notice);
        let table = open_with(spec, &options, &mut notify)
            .map_err(|error| self.program.open_failure(&error))?;
        if let Some(stale) = table.stale() {
            let (table, source) = (masked(&stale.table), masked(&stale.source));
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
        // Each table is opened when it is first needed.
        let tables: Vec<(TableSpec, OnceCell<Box<dyn Table>>)> =
            self.specs().map(|spec| (spec, OnceCell::new())).collect();
        let mut found = false;
        let mut lines = KeyLines::new(input);
        loop {
            let keys = lines.next_keys()?;
            if keys.is_empty() {
                return Ok(found);
            }
            // What the first table says; the others are asked only if it says nothing.
            let mut first = match tables.first().and_then(|(_, table)| table.get()) {
                Some(table) if keys.len() >= PARALLEL_MIN && table.is_settled() => {
                    lookup_all(&**table, &keys)
                }
                _ => Vec::new(),
            }
            .into_iter();
            for key in keys {
                let mut answer = first.next();
                for (spec, table) in &tables {
                    let table = match table.get() {
                        Some(table) => &**table,
                        None => {
                            let opened = self.open(spec, StoreMode::AUTO)?;
                            &**table.get_or_init(|| opened)
                        }
                    };
                    if let Some(value) = self.checked(table, key, answer.take())? {
                        if value.is_empty() {
                            self.warn_empty_value(&table.title(), key);
                        }
                        output.line(&[key, self.separator(), &value])?;
                        found = true;
                        break;
                    }
                }
            }
        }
    }

    fn lookup<'t>(&self, table: &'t dyn Table, key: &[u8]) -> Result<Option<Cow<'t, [u8]>>, Fatal> {
        self.checked(table, key, None)
    }

    /// The answer of a table for a key, asked for here unless it is known already, with the
    /// warnings that belong to it.
    fn checked<'t>(
        &self,
        table: &'t dyn Table,
        key: &[u8],
        answer: Option<Answer<'t>>,
    ) -> Result<Option<Cow<'t, [u8]>>, Fatal> {
        if self.utf8 && std::str::from_utf8(key).is_err() {
            let title = table.title();
            self.warn_malformed(&[title.as_bytes(), b": non-UTF-8 key \"", key]);
            return Ok(None);
        }
        let answer = answer.unwrap_or_else(|| table.lookup(key));
        answer.map_err(|error| match error.kind() {
            ErrorKind::InvalidUtf8 { value } => {
                let title = table.title();
                let (before, between) = (b": key \"".as_slice(), b"\": non-UTF-8 value \"");
                self.warn_malformed(&[title.as_bytes(), before, key, between, value]);
                format!("table {title}: query error").into()
            }
            ErrorKind::Lookup { reason } => {
                format!("table {}: query error: {reason}", table.title()).into()
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
        if spec.type_name() == PROXY {
            return Err("can't sequence maps via the proxy service".into());
        }
        let table = self.open(&spec, StoreMode::AUTO)?;
        let entries = table.iter().map_err(|error| match error.kind() {
            ErrorKind::Lookup { reason } => {
                format!("table {}: sequence error: {reason}", table.title()).into()
            }
            _ => self.program.read_failure(&error),
        })?;
        for entry in entries {
            let (key, value) = entry.map_err(|error| self.program.read_failure(&error))?;
            if key.is_empty() {
                let text = format!("table {spec}: empty lookup key value is not allowed");
                self.program.warning(text.as_bytes());
            }
            if value.is_empty() {
                self.warn_empty_value(&spec.to_string(), &key);
            }
            output.line(&[&key, self.separator(), &value])?;
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

/// What a table says about a key.
type Answer<'t> = crate::Result<Option<Cow<'t, [u8]>>>;

/// What a table says about each of `keys`, looked up on two threads: most of the time of a lookup
/// is waiting for memory.
fn lookup_all<'t>(table: &'t dyn Table, keys: &[&[u8]]) -> Vec<Answer<'t>> {
    let lookup =
        |keys: &[&[u8]]| -> Vec<Answer<'t>> { keys.iter().map(|key| table.lookup(key)).collect() };
    let (front, back) = keys.split_at(keys.len() / 2);
    thread::scope(|scope| {
        let back = scope.spawn(|| lookup(back));
        let mut answers = lookup(front);
        answers.extend(
            back.join()
                .unwrap_or_else(|payload| panic::resume_unwind(payload)),
        );
        answers
    })
}
