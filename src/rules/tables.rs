//! Lists of tables, as parameters like `transport_maps` hold them.
//!
//! The outer loop of every search is over keys, the inner one, which is here, over tables: a
//! specific key in the last table beats a general key in the first.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, masked, with_cause};
use crate::key::Fold;
use crate::rules::list_file::ListFile;
use crate::rules::trace::{Answer, Scope, Trace};
use crate::source::WarningKind;
use crate::table::live::{Listener, Snapshot};
use crate::table::{Event, Notice, OpenOptions, Table, TableSpec, open_with};

/// The items of a list: separated by commas and white space, but not inside braces.
///
/// ```
/// use rpostmap::rules::tables::items;
///
/// let found: Vec<_> = items(b"hash:/etc/t, inline:{a=b, c=d}").collect();
/// assert_eq!(found, [b"hash:/etc/t".as_slice(), b"inline:{a=b, c=d}"]);
/// ```
pub fn items(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while let [first, behind @ ..] = rest
            && is_separator(*first)
        {
            rest = behind;
        }
        let mut depth = 0_usize;
        let end = rest.iter().position(|&byte| {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => return depth == 0 && is_separator(byte),
            }
            false
        });
        let item;
        (item, rest) = rest.split_at(end.unwrap_or(rest.len()));
        (!item.is_empty()).then_some(item)
    })
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')
}

/// How the tables of a list are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListOptions {
    /// Whether keys are folded before tables with fixed-string keys are asked.
    pub fold: bool,
    /// Whether results of patterns may contain parts of the key (`$1`). Rules that do so where it
    /// is not allowed are dropped.
    pub substitution: bool,
    /// Whether values are secrets, which a trace does not show.
    pub secret: bool,
}

impl ListOptions {
    /// Keys folded, substitution allowed, no secrets.
    pub const PLAIN: ListOptions = ListOptions {
        fold: true,
        substitution: true,
        secret: false,
    };

    /// As [`ListOptions::PLAIN`], but for results that must not be made of parts of the key.
    pub const NO_SUBSTITUTION: ListOptions = ListOptions {
        substitution: false,
        ..ListOptions::PLAIN
    };

    /// What match lists use: the text they look for is folded already.
    pub const UNFOLDED: ListOptions = ListOptions {
        fold: false,
        ..ListOptions::PLAIN
    };
}

/// All tables that are open, each once: many parameters may name the same.
#[derive(Clone, Default)]
pub struct TableSet {
    options: OpenOptions,
    opened: Opened,
    /// What was open before, to be used again.
    earlier: Opened,
    given: HashMap<Vec<u8>, Arc<OpenTable>>,
}

/// What follows files.
#[derive(Clone, Default)]
struct Opened {
    /// By `type:name`, and whether keys are folded and results substituted.
    tables: HashMap<(Vec<u8>, bool, bool), Arc<OpenTable>>,
    /// Files in match lists, by path.
    lists: HashMap<Vec<u8>, Arc<ListFile>>,
}

impl TableSet {
    /// No tables yet. `options` is for all of them, but for the case folding that a list may do
    /// without.
    pub fn new(options: OpenOptions) -> TableSet {
        TableSet {
            options,
            ..TableSet::default()
        }
    }

    /// Uses what is open in `earlier` instead of opening it anew, if it would be opened alike.
    pub(crate) fn reuse(&mut self, earlier: TableSet) {
        if self.options.utf8 == earlier.options.utf8 {
            self.earlier = earlier.opened;
        }
    }

    /// Closes what was open before and has not been used again.
    pub(crate) fn close_unused(&mut self) {
        self.earlier = Opened::default();
    }

    /// Says that `spec` is this table, which nothing opens. Tables inside others, as in
    /// `unionmap:{..}`, are not found so.
    pub fn give(&mut self, spec: &str, table: Arc<dyn Table>) {
        let table = OpenTable::given(spec.to_owned(), table);
        self.given.insert(spec.into(), Arc::new(table));
    }

    /// The table `spec` (`type:name`), opened now or earlier. One that cannot be opened is a table
    /// that fails whenever it is asked.
    pub fn open(
        &mut self,
        spec: &[u8],
        list: ListOptions,
        notify: &mut dyn FnMut(Notice),
    ) -> Arc<OpenTable> {
        // A proxied table is opened here: there is no proxymap(8) to ask.
        let mut direct = spec;
        while let Some(behind) = direct.strip_prefix(b"proxy:") {
            direct = behind;
        }
        if let Some(given) = self.given.get(direct) {
            return Arc::clone(given);
        }
        let mut options = self.options.clone();
        if !list.fold {
            options.fold = Fold::None;
        }
        options.substitution = list.substitution;
        let key = (spec.to_vec(), list.fold, list.substitution);
        if let Some(table) = self.opened.tables.get(&key) {
            return Arc::clone(table);
        }
        let table = match self.earlier.tables.remove(&key) {
            Some(table) => table,
            None => Arc::new(OpenTable::open(spec, direct, options, notify)),
        };
        self.opened.tables.insert(key, Arc::clone(&table));
        table
    }

    /// The file `path` in a match list, read now or earlier.
    pub(crate) fn list_file(&mut self, path: &[u8]) -> Arc<ListFile> {
        if let Some(file) = self.opened.lists.get(path) {
            return Arc::clone(file);
        }
        let earlier = self.earlier.lists.remove(path);
        let file = earlier.unwrap_or_else(|| Arc::new(ListFile::read(path)));
        self.opened.lists.insert(path.to_vec(), Arc::clone(&file));
        file
    }

    /// The same tables, those opened anew whose files have changed; `None` when none has. Where the
    /// new content is damaged or cannot be opened the old one stays. So for files in lists.
    pub(crate) fn refreshed(&self, listener: &Listener) -> Option<TableSet> {
        let mut refreshed = None;
        for (key, table) in &self.opened.tables {
            if let Some(new) = table.renewed(listener) {
                let set = refreshed.get_or_insert_with(|| self.clone());
                set.opened.tables.insert(key.clone(), Arc::new(new));
            }
        }
        for (path, file) in &self.opened.lists {
            if let Some(new) = file.renewed(listener) {
                let set = refreshed.get_or_insert_with(|| self.clone());
                set.opened.lists.insert(path.clone(), Arc::new(new));
            }
        }
        refreshed
    }

    /// All tables that were opened.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<OpenTable>> {
        self.opened.tables.values()
    }

    /// The tables and files that could not be opened, and why.
    pub(crate) fn unavailable(&self) -> impl Iterator<Item = (String, String)> {
        let tables = self.tables().filter_map(|table| {
            let error = table.open_error()?;
            Some((table.name().to_owned(), with_cause(error)))
        });
        let lists = self.opened.lists.values();
        let lists = lists.filter_map(|file| Some((file.name(), file.lines().err()?.to_owned())));
        tables.chain(lists)
    }
}

/// A table, or why there is none.
pub struct OpenTable {
    name: String,
    spec: TableSpec,
    options: OpenOptions,
    snapshot: Snapshot,
}

impl OpenTable {
    fn open(
        name: &[u8],
        spec: &[u8],
        options: OpenOptions,
        notify: &mut dyn FnMut(Notice),
    ) -> OpenTable {
        // Without a default type: what is no `type:name` is not complete.
        let spec = TableSpec::parse(OsStr::from_bytes(spec), "");
        let snapshot = Snapshot::take(&spec, &mut || open_strictly(&spec, &options, notify));
        OpenTable {
            name: masked(OsStr::from_bytes(name)),
            spec,
            options,
            snapshot,
        }
    }

    fn given(name: String, table: Arc<dyn Table>) -> OpenTable {
        OpenTable {
            spec: TableSpec::parse(OsStr::new(&name), ""),
            name,
            options: OpenOptions::default(),
            snapshot: Snapshot::fixed(table),
        }
    }

    fn renewed(&self, listener: &Listener) -> Option<OpenTable> {
        let mut open = || {
            let mut notify = |notice: Notice| listener.tell(&Event::Warning(notice.message()));
            open_strictly(&self.spec, &self.options, &mut notify)
        };
        let snapshot = self
            .snapshot
            .renewed(&self.name, &self.spec, &mut open, listener)?;
        Some(OpenTable {
            name: self.name.clone(),
            spec: self.spec.clone(),
            options: self.options.clone(),
            snapshot,
        })
    }

    /// `type:name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it could not be opened.
    pub fn open_error(&self) -> Option<&Error> {
        self.snapshot.table.as_ref().err().map(|error| &**error)
    }

    /// Whether it is only asked for whole names: its keys are patterns, or it could not be opened.
    pub fn is_pattern(&self) -> bool {
        let table = self.snapshot.table.as_ref();
        table.map_or(true, |table| table.is_pattern())
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// That of the table. `Lookup`, always, if it could not be opened; and when the value is empty,
    /// which is a mistake in the table and must not pass for "not found".
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        match self.opened()?.lookup(key)? {
            Some(value) if value.is_empty() => {
                let (name, key) = (&self.name, key.escape_ascii());
                let reason = format!("{name} has an empty value for \"{key}\"");
                Err(Error::new(ErrorKind::Lookup { reason }))
            }
            answer => Ok(answer),
        }
    }

    /// Whether the table has `key`, with any value or none. The empty key is in no table.
    ///
    /// # Errors
    ///
    /// That of the table. `Lookup`, always, if it could not be opened.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(!key.is_empty() && self.opened()?.lookup(key)?.is_some())
    }

    fn opened(&self) -> Result<&dyn Table> {
        self.snapshot.table.as_deref().map_err(|error| {
            let reason = format!("{} is unavailable: {error}", self.name);
            Error::new(ErrorKind::Lookup { reason })
        })
    }
}

/// Opens a table as servers do: they do without the whole of a text that has a key twice. The
/// programs that query tables are more lenient.
fn open_strictly(
    spec: &TableSpec,
    options: &OpenOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Box<dyn Table>> {
    let mut duplicate = None;
    let table = open_with(spec, options, &mut |notice| {
        if let Notice::Source(warning) = &notice
            && matches!(warning.kind, WarningKind::Duplicate { .. })
        {
            duplicate.get_or_insert_with(|| notice.to_string());
        }
        notify(notice);
    });
    match duplicate.filter(|_| spec.type_name() == "texthash") {
        Some(reason) => Err(Error::new(ErrorKind::Lookup { reason })),
        None => table,
    }
}

/// The tables that one parameter lists.
pub struct TableList {
    parameter: String,
    tables: Vec<Arc<OpenTable>>,
    secret: bool,
}

impl TableList {
    /// The list `text`, which is the expanded value of `parameter`.
    pub fn parse(
        parameter: &str,
        text: &[u8],
        options: ListOptions,
        tables: &mut TableSet,
        notify: &mut dyn FnMut(Notice),
    ) -> TableList {
        TableList {
            parameter: parameter.to_owned(),
            tables: items(text)
                .map(|spec| tables.open(spec, options, notify))
                .collect(),
            secret: options.secret,
        }
    }

    /// A list of tables that are open already, each with the name that traces call it.
    pub fn from_tables(
        parameter: &str,
        tables: impl IntoIterator<Item = (String, Box<dyn Table>)>,
    ) -> TableList {
        let tables = tables
            .into_iter()
            .map(|(name, table)| OpenTable::given(name, table.into()));
        TableList {
            parameter: parameter.to_owned(),
            tables: tables.map(Arc::new).collect(),
            secret: false,
        }
    }

    /// The name of the parameter.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The tables in the order they are asked.
    pub fn tables(&self) -> &[Arc<OpenTable>] {
        &self.tables
    }

    /// Whether there are no tables: nothing is ever found.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The value of `key` in the first table that has it. The empty key is in no table.
    ///
    /// # Errors
    ///
    /// The first error of a table ends the search; see [`OpenTable::lookup`].
    pub fn find(
        &self,
        key: &[u8],
        scope: Scope,
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        if key.is_empty() || self.is_empty() {
            return Ok(None);
        }
        trace.key(&self.parameter, scope, key);
        for table in &self.tables {
            if scope == Scope::Fixed && table.is_pattern() {
                trace.answer(&table.name, Answer::Skipped);
                continue;
            }
            if let Some(value) = self.ask(table, key, trace)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The value of one of two spellings of the same name: each table is asked for the first and
    /// then for the second, before the next table.
    ///
    /// # Errors
    ///
    /// As [`TableList::find`].
    pub fn find_spellings(
        &self,
        spellings: [&[u8]; 2],
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        let [first, second] = spellings;
        if first == second {
            return self.find(first, Scope::All, trace);
        }
        for table in &self.tables {
            for key in spellings {
                if key.is_empty() {
                    continue;
                }
                trace.key(&self.parameter, Scope::All, key);
                if let Some(value) = self.ask(table, key, trace)? {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    fn ask<'t>(
        &self,
        table: &'t OpenTable,
        key: &[u8],
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'t, [u8]>>> {
        let answer = table.lookup(key);
        trace.answer(
            &table.name,
            match &answer {
                Ok(None) => Answer::NotFound,
                Ok(Some(value)) => Answer::Found((!self.secret).then_some(value)),
                Err(error) => Answer::Failed(error),
            },
        );
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::trace::{NoTrace, Outcome, Recorder, Step};

    fn list(text: &str) -> TableList {
        let mut tables = TableSet::default();
        TableList::parse(
            "maps",
            text.as_bytes(),
            ListOptions::PLAIN,
            &mut tables,
            &mut |_| {},
        )
    }

    #[test]
    fn separators_in_braces_do_not_separate() {
        for (text, expect) in [
            ("", &[][..]),
            (" ,\t\r\n", &[]),
            ("a,b c", &["a", "b", "c"]),
            ("inline:{a=b, {c = d}}, x", &["inline:{a=b, {c = d}}", "x"]),
            ("{a b", &["{a b"]),
            ("a} b", &["a}", "b"]),
            ("a{b c}d e", &["a{b c}d", "e"]),
        ] {
            let found: Vec<_> = items(text.as_bytes()).collect();
            let expect: Vec<_> = expect.iter().map(|item| item.as_bytes()).collect();
            assert_eq!(found, expect, "{text:?}");
        }
    }

    #[test]
    fn the_first_answer_ends_the_search_be_it_an_error() {
        for (text, scope, expect) in [
            ("", Scope::All, Some(None)),
            ("static:a static:b", Scope::All, Some(Some("a"))),
            ("static:a fail:x", Scope::All, Some(Some("a"))),
            ("proxy:static:a", Scope::Fixed, Some(Some("a"))),
            ("fail:x static:a", Scope::All, None),
            ("no-table static:a", Scope::All, None),
            ("hash:/does/not/exist static:a", Scope::All, None),
            // What cannot be opened counts as a table of patterns.
            (
                "hash:/does/not/exist static:a",
                Scope::Fixed,
                Some(Some("a")),
            ),
            // An empty value is no value.
            ("static:{} static:a", Scope::All, None),
        ] {
            let list = list(text);
            let found = list.find(b"key", scope, &mut NoTrace);
            match (found, expect) {
                (Ok(found), Some(expect)) => {
                    assert_eq!(found.as_deref(), expect.map(str::as_bytes), "{text}");
                }
                (Err(error), None) => assert!(error.is_temporary(), "{text}: {error}"),
                (found, expect) => panic!("{text}: {found:?}, not {expect:?}"),
            }
            assert!(list.find(b"", scope, &mut NoTrace).unwrap().is_none());
        }
    }

    #[test]
    fn a_text_with_a_key_twice_is_no_table() {
        let path = std::env::temp_dir().join(format!("rpostmap-twice-{}", std::process::id()));
        for (text, expect) in [("a 1\nb 2\n", true), ("a 1\nb 2\nA 3\n", false)] {
            std::fs::write(&path, text).unwrap();
            let list = list(&format!("texthash:{}", path.display()));
            let found = list.find(b"b", Scope::All, &mut NoTrace);
            assert_eq!(found.is_ok(), expect, "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_trace_shows_no_secrets() {
        let options = ListOptions {
            secret: true,
            ..ListOptions::PLAIN
        };
        let mut tables = TableSet::default();
        let list = TableList::parse("maps", b"static:u:p", options, &mut tables, &mut |_| {});
        let mut trace = Recorder::default();
        assert!(list.find(b"key", Scope::All, &mut trace).unwrap().is_some());
        let [Step::Key { answers, .. }] = trace.steps() else {
            panic!("{:?}", trace.steps());
        };
        assert_eq!(
            answers[..],
            [("static:u:p".to_owned(), Outcome::Found(None))]
        );
    }

    #[test]
    fn a_table_that_two_parameters_name_is_opened_once() {
        let mut tables = TableSet::default();
        let mut open = |options| tables.open(b"static:a", options, &mut |_| {});
        let first = open(ListOptions::PLAIN);
        assert!(Arc::ptr_eq(&first, &open(ListOptions::PLAIN)));
        assert!(!Arc::ptr_eq(&first, &open(ListOptions::UNFOLDED)));
    }
}
