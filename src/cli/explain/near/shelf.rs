//! The tables of a parameter, opened once more to look around in.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::masked;
use crate::rules::setup::Setup;
use crate::rules::tables::items;
use crate::rules::trace::Scope;
use crate::source::{AliasSource, EntrySource, MapSource};
use crate::table::{OpenOptions, Table, TableSpec, TableType, open};

use super::{Candidate, NearMiss, Tried};

/// Of a table or text with more entries than these the rest is not read through.
const READ_MAX: usize = 10_000;
/// Nor is a text that is longer than this, in bytes.
const TEXT_LEN_MAX: u64 = 4 << 20;

pub(super) struct Shelf {
    books: Vec<Book>,
    is_alias: bool,
    utf8: bool,
}

struct Book {
    /// As it is written in the parameter.
    name: String,
    spec: TableSpec,
    table: Option<Box<dyn Table>>,
}

/// What is said of a key that was come across: why it does not count, and what to write.
pub(super) type Verdict = Option<(String, Option<Vec<u8>>)>;

impl Shelf {
    /// The tables that `text` lists. With `is_alias` their sources are those of postalias.
    pub(super) fn open(text: &[u8], is_alias: bool, setup: &Setup<'_>) -> Shelf {
        let options = OpenOptions {
            fold: setup.fold(),
            utf8: setup.utf8(),
            ..OpenOptions::default()
        };
        let books = items(text).map(|item| {
            let mut direct = item;
            while let Some(behind) = direct.strip_prefix(b"proxy:") {
                direct = behind;
            }
            let spec = TableSpec::parse(OsStr::from_bytes(direct), "");
            Book {
                name: masked(OsStr::from_bytes(item)),
                // Why it cannot be opened is told where it was asked.
                table: open(&spec, &options).ok(),
                spec,
            }
        });
        Shelf {
            books: books.collect(),
            is_alias,
            utf8: setup.utf8(),
        }
    }

    /// Which tables are missing or older than their source.
    pub(super) fn state(&self) -> Vec<String> {
        let command = if self.is_alias {
            "postalias"
        } else {
            "postmap"
        };
        let states = self.books.iter().filter_map(|book| {
            let Book { name, spec, .. } = book;
            let what = match &book.table {
                Some(table) => {
                    table.stale()?;
                    "is older than its source"
                }
                None => {
                    let file = spec.file(book.suffix()?);
                    (!file.exists() && spec.source().exists()).then_some("was not made yet")?
                }
            };
            Some(format!("{name} {what}: run {command} {spec}"))
        });
        states.collect()
    }

    /// Near misses: of `candidates` those that are there, then what `judge` says of other keys.
    pub(super) fn look(
        &self,
        candidates: &[Candidate],
        tried: &Tried,
        judge: &dyn Fn(&[u8]) -> Verdict,
    ) -> Vec<NearMiss> {
        let mut found = Vec::new();
        for book in &self.books {
            let Some(table) = book.table.as_deref() else {
                continue;
            };
            let mut near = Finds {
                tried,
                name: &book.name,
                found: &mut found,
            };
            if table.is_pattern() {
                near.matched_by_patterns(table);
                continue;
            }
            near.made(table, candidates);
            near.listed(table, book.suffix().is_some(), judge);
            if book.suffix().is_some() {
                near.in_source(book.spec.source(), &book.spec, self);
            }
        }
        found
    }
}

impl Book {
    /// What the name of the table file has behind that of its source, if the table is a file.
    fn suffix(&self) -> Option<&'static str> {
        let table_type = TableType::find(self.spec.type_name()).ok()?;
        table_type.format().map(|format| format.suffix())
    }
}

/// What was found in one table.
struct Finds<'f> {
    tried: &'f Tried,
    name: &'f str,
    found: &'f mut Vec<NearMiss>,
}

impl Finds<'_> {
    fn add(&mut self, key: &[u8], why: &str, write: Option<Vec<u8>>) {
        let is_known = |near: &NearMiss| near.table == self.name && near.key == key;
        if !self.found.iter().any(is_known) {
            self.found.push(NearMiss {
                table: self.name.to_owned(),
                key: key.to_vec(),
                why: why.to_owned(),
                write,
            });
        }
    }

    /// Parts of a name that a pattern would match if it were asked.
    fn matched_by_patterns(&mut self, table: &dyn Table) {
        let parts = self.tried.keys.iter();
        let mut parts = parts.filter(|(scope, _)| *scope == Scope::Fixed);
        let matched = parts.find(|(_, key)| matches!(table.lookup(key), Ok(Some(_))));
        if let Some((_, key)) = matched {
            let why = "patterns are matched with the whole name alone";
            self.add(key, why, None);
        }
    }

    fn made(&mut self, table: &dyn Table, candidates: &[Candidate]) {
        for candidate in candidates {
            let key = &candidate.key;
            if !self.tried.has(key) && matches!(table.lookup(key), Ok(Some(_))) {
                self.add(key, &candidate.why, candidate.write.clone());
            }
        }
    }

    /// Reads through the table. Keys in a file are what they are, others were folded already.
    fn listed(&mut self, table: &dyn Table, is_file: bool, judge: &dyn Fn(&[u8]) -> Verdict) {
        let Ok(entries) = table.iter() else { return };
        for (key, _) in entries.take(READ_MAX).flatten() {
            let folded = self.tried.fold.fold(&key);
            if is_file && *folded != *key && self.tried.has(&key) {
                let why = "keys are looked up in lower case: the table was made with -f";
                self.add(&key, why, Some(folded.into_owned()));
            } else if !self.tried.has(&key)
                && !self.is_told(&key)
                && let Some((why, write)) = judge(&key)
            {
                self.add(&key, &why, write);
            }
        }
    }

    /// Whether the key was told of this table already, in any case of letters.
    fn is_told(&self, key: &[u8]) -> bool {
        let fold = self.tried.fold;
        self.found
            .iter()
            .any(|near| near.table == self.name && fold.fold(&near.key) == fold.fold(key))
    }

    /// Keys that count, in the text that the table is made from but not in the table.
    fn in_source(&mut self, path: &Path, spec: &TableSpec, shelf: &Shelf) {
        let Ok(file) = File::open(path) else { return };
        let is_short = |len: u64| len <= TEXT_LEN_MAX;
        if !file
            .metadata()
            .is_ok_and(|meta| meta.is_file() && is_short(meta.len()))
        {
            return;
        }
        let (command, mut source): (_, Box<dyn EntrySource>) = match shelf.is_alias {
            true => (
                "postalias",
                Box::new(AliasSource::new(path, file, shelf.utf8)),
            ),
            false => ("postmap", Box::new(MapSource::new(path, file, shelf.utf8))),
        };
        let mut found = Vec::new();
        for _ in 0..READ_MAX {
            match source.next_entry(&mut |_| {}) {
                Ok(Some(entry)) if self.tried.has(entry.key) => {
                    found.push((entry.key.to_vec(), entry.line));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        for (key, line) in found {
            // A table that was made with -f has it, and more was said of that.
            if self.is_told(&key) {
                continue;
            }
            let why = format!(
                "only in the text, in line {line}, not in the table that is made of it: run \
                 {command} {spec}"
            );
            self.add(&key, &why, None);
        }
    }
}
