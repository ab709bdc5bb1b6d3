//! `-q` and `-s`: looks keys up, and lists tables.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::cli::create::PROXY;
use crate::cli::input::KeyLines;
use crate::cli::output::{Broken, Output};
use crate::cli::postmap::{Stop, Work};
use crate::cli::report::Fatal;
use crate::error::{ErrorKind, masked};
use crate::file::store::StoreMode;
use crate::key::strip_nul;
use crate::source::file_value;
use crate::table::traits::Table;
use crate::table::{OpenOptions, TableSpec, open_with};
use crate::threads::both;

/// How much of a value that is no base64 is shown, in bytes.
const BASE64_QUOTE_MAX: usize = 30;

/// From this many keys at a time on two threads look them up.
const PARALLEL_MIN: usize = 512;

impl Work<'_> {
    pub(super) fn open(&self, spec: &TableSpec, store: StoreMode) -> Result<Box<dyn Table>, Fatal> {
        let options = OpenOptions {
            fold: self.fold,
            nul: self.request.nul,
            utf8: self.utf8,
            store,
            log: self.program.log(),
            environment: self.environment.clone(),
            on_duplicate: self.request.on_duplicate.unwrap_or_default(),
            file_values: self.request.file_values,
            substitution: true,
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
            if let Some(value) = self.checked(&*table, key, None)? {
                let value = self.content(&*table, key, value)?;
                if value.is_empty() {
                    self.warn_empty_value(&spec.to_string(), key);
                }
                match self.request.json {
                    true => output.json(key, &value)?,
                    false => output.line(&[&value])?,
                }
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
        let tables = self.tables();
        let mut found = false;
        let mut lines = KeyLines::new(input);
        loop {
            let keys = lines.next_keys()?;
            if keys.is_empty() {
                return Ok(found);
            }
            // What the first table says; the others are asked only if it says nothing.
            let first = tables.first().and_then(|table| table.opened.get());
            let first = first.filter(|_| keys.len() >= PARALLEL_MIN);
            let printing = Printing {
                separator: (!self.request.json && !self.request.file_values)
                    .then(|| self.separator()),
                is_alone: tables.len() == 1,
                utf8: self.utf8,
            };
            let first = match first {
                Some(first) if first.is_settled() => first,
                // Absent keys settle nothing, and so their order does not matter.
                Some(first) if printing.lacks_all(&**first, &keys) => continue,
                _ => {
                    for key in keys {
                        found |= self.query_key(&tables, key, None, output)?;
                    }
                    continue;
                }
            };
            for Answers { lines, others } in printing.answers(&**first, &keys) {
                found |= !lines.is_empty();
                let mut printed = 0;
                for Other { at, key, answer } in others {
                    output.raw(lines.get(printed..at).unwrap_or_default())?;
                    printed = at;
                    found |= self.query_key(&tables, key, Some(answer), output)?;
                }
                output.raw(lines.get(printed..).unwrap_or_default())?;
            }
        }
    }

    /// Looks one key up and prints what is found; `false` when nothing is. What the first table says
    /// may be known already.
    fn query_key<'t>(
        &self,
        tables: &'t [LazyTable],
        key: &[u8],
        first: Option<Answer<'t>>,
        output: &mut Output,
    ) -> Result<bool, Stop> {
        let Some((table, value)) = self.first_answer(tables, key, first)? else {
            return Ok(false);
        };
        let value = self.content(table, key, value)?;
        self.print_answer(output, table, key, &value)?;
        Ok(true)
    }

    /// The tables of the command line; each is opened when it is first needed.
    pub(super) fn tables(&self) -> Vec<LazyTable> {
        let closed = |spec| LazyTable {
            spec,
            opened: OnceCell::new(),
        };
        self.specs().map(closed).collect()
    }

    /// The answer of the first table that has one, and that table. What the first of all says may
    /// be known already.
    pub(super) fn first_answer<'t>(
        &self,
        tables: &'t [LazyTable],
        key: &[u8],
        mut first: Option<Answer<'t>>,
    ) -> Result<Option<Found<'t>>, Fatal> {
        for LazyTable { spec, opened } in tables {
            let table = match opened.get() {
                Some(table) => &**table,
                None => {
                    let table = self.open(spec, StoreMode::AUTO)?;
                    &**opened.get_or_init(|| table)
                }
            };
            if let Some(value) = self.checked(table, key, first.take())? {
                return Ok(Some((table, value)));
            }
        }
        Ok(None)
    }

    /// Prints what a table says about a key as a line.
    pub(super) fn print_answer(
        &self,
        output: &mut Output,
        table: &dyn Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Broken> {
        if value.is_empty() {
            self.warn_empty_value(&table.title(), key);
        }
        self.print(output, key, value)
    }

    /// Prints an entry as a line.
    fn print(&self, output: &mut Output, key: &[u8], value: &[u8]) -> Result<(), Broken> {
        match self.request.json {
            true => output.json(key, value),
            false => output.line(&[key, self.separator(), value]),
        }
    }

    /// What is printed of an answer.
    fn content<'v>(
        &self,
        table: &dyn Table,
        key: &[u8],
        value: Cow<'v, [u8]>,
    ) -> Result<Cow<'v, [u8]>, Fatal> {
        if !self.request.file_values {
            return Ok(value);
        }
        let title = table.title();
        let content = self.decoded(&title, key, &value);
        let content = content.ok_or_else(|| format!("table {title}: query error"))?;
        Ok(Cow::Owned(content))
    }

    /// What `value` is the base64 of, up to the first NUL. `None` for what is no base64, after a
    /// warning.
    fn decoded(&self, table: &str, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let content = file_value::decode(value);
        if content.is_none() {
            let start = value.get(..BASE64_QUOTE_MAX).unwrap_or(value);
            let before = format!("table {table}: key ");
            let between = b": malformed BASE64 value: ".as_slice();
            let text = [before.as_bytes(), key, between, start].concat();
            self.program.warning(&text);
        }
        let mut content = content?;
        content.truncate(strip_nul(&content).len());
        Some(content)
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
            ErrorKind::InvalidUtf8 { value, member } => {
                let title = table.title();
                let (of, key) = match member {
                    Some((of, key)) => (of, key.as_slice()),
                    None => (&title, key),
                };
                let (before, between) = (b": key \"".as_slice(), b"\": non-UTF-8 value \"");
                self.warn_malformed(&[of.as_bytes(), before, key, between, value]);
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
            if !self.request.file_values {
                self.print(output, &key, &value)?;
            } else if let Some(value) = self.decoded(&table.title(), &key, &value) {
                self.print(output, &key, &value)?;
            }
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

/// A table that is opened when it is first needed.
pub(super) struct LazyTable {
    spec: TableSpec,
    opened: OnceCell<Box<dyn Table>>,
}

/// A table that has an answer, and the answer.
pub(super) type Found<'t> = (&'t dyn Table, Cow<'t, [u8]>);

/// What a table says about a key.
pub(super) type Answer<'t> = crate::Result<Option<Cow<'t, [u8]>>>;

/// What a table says about keys, in their order: lines ready to be printed, and answers between
/// them that somebody has to look at.
struct Answers<'k, 't> {
    lines: Vec<u8>,
    others: Vec<Other<'k, 't>>,
}

/// An answer that is no line, or not yet.
struct Other<'k, 't> {
    /// How many bytes of the lines come before it.
    at: usize,
    key: &'k [u8],
    answer: Answer<'t>,
}

/// Which answers can be made lines on any thread.
#[derive(Clone, Copy)]
struct Printing<'p> {
    /// What stands between key and value, if values are printed as they are.
    separator: Option<&'p [u8]>,
    /// Whether no other table is asked about keys that are not found.
    is_alone: bool,
    /// Whether keys that are not UTF-8 get a warning.
    utf8: bool,
}

impl Printing<'_> {
    /// The answers of `table` for `keys`, looked up on two threads: most of the time of a lookup is
    /// waiting for memory. A line is made where its value was found, while it is still at hand.
    fn answers<'k, 't>(self, table: &'t dyn Table, keys: &[&'k [u8]]) -> [Answers<'k, 't>; 2] {
        on_two_threads(keys, |keys| self.answers_of(table, keys))
    }

    /// Whether nothing is to be printed and nobody else to be asked about any of the keys, as
    /// `table` holds none of them.
    fn lacks_all(self, table: &dyn Table, keys: &[&[u8]]) -> bool {
        let lacks =
            |keys: &[&[u8]]| keys.iter().all(|key| self.is_sound(key)) && table.lacks_all(keys);
        self.is_alone && on_two_threads(keys, lacks) == [true, true]
    }

    /// Whether the key gets no warning.
    fn is_sound(self, key: &[u8]) -> bool {
        !self.utf8 || key.is_ascii() || std::str::from_utf8(key).is_ok()
    }

    fn answers_of<'k, 't>(self, table: &'t dyn Table, keys: &[&'k [u8]]) -> Answers<'k, 't> {
        let (mut lines, mut others) = (Vec::new(), Vec::new());
        table.lookup_all(keys, &mut |number, answer| {
            let key: &'k [u8] = keys.get(number).copied().unwrap_or_default();
            let is_sound = self.is_sound(key);
            match (&answer, self.separator) {
                (Ok(Some(value)), Some(separator)) if is_sound && !value.is_empty() => {
                    for part in [key, separator, value, b"\n"] {
                        lines.extend_from_slice(part);
                    }
                }
                (Ok(None), _) if is_sound && self.is_alone => {}
                _ => {
                    let at = lines.len();
                    others.push(Other { at, key, answer });
                }
            }
        });
        Answers { lines, others }
    }
}

/// What `work` makes of the first half of the keys, and of the rest.
fn on_two_threads<'k, T: Send>(
    keys: &[&'k [u8]],
    work: impl Fn(&[&'k [u8]]) -> T + Sync,
) -> [T; 2] {
    let (front, back) = keys.split_at(keys.len() / 2);
    both(|| work(front), || work(back)).into()
}
