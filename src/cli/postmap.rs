//! `postmap`: make tables, look keys up, list.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::ExitCode;

use crate::cli::args::{Action, BadUsage, Request, help, usage};
use crate::cli::getopt::Misuse;
use crate::cli::output::{Broken, CLOSED_PIPE_STATUS, Output};
use crate::cli::report::{Fatal, Program, failure};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::file::privilege::ActAs;
use crate::file::store::StoreMode;
use crate::key::{Fold, NulForms, strip_nul};
use crate::source::MapSource;
use crate::table::open::TableType;
use crate::table::traits::Table;
use crate::table::update::{Missing, TableUpdater};
use crate::table::{CompileOptions, Notice, OpenOptions, TableSpec, compile, open};

/// Where main.cf is unless something else is said.
const CONFIG_DIR: &str = "/etc/postfix";

/// The permissions a table takes over from its source: reading, for group and others.
const SOURCE_MODE_MASK: u32 = 0o044;
/// The permissions of a table that takes over none, or whose source is no regular file.
const DEFAULT_MODE: u32 = 0o644;

/// Why a run ends early.
enum Stop {
    Fatal(Fatal),
    Output(Broken),
}

impl<T: Into<Fatal>> From<T> for Stop {
    fn from(fatal: T) -> Stop {
        Stop::Fatal(fatal.into())
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        Stop::Output(broken)
    }
}

/// Runs the command.
pub(super) fn run(mut program: Program, words: Vec<OsString>) -> ExitCode {
    let request = match Request::parse(words, !program.drop_in) {
        Ok(request) => request,
        Err(bad) => return bad_usage(&program, bad),
    };
    let mut output = Output::new();
    let result = execute(&mut program, &request, &mut output);
    // What was found is printed, whatever happened afterwards.
    let flushed = output.flush();
    let stop = match (result, flushed) {
        (Ok(found), Ok(())) => {
            return if found {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        (Err(stop), _) => stop,
        (Ok(_), Err(broken)) => Stop::Output(broken),
    };
    match stop {
        Stop::Output(Broken::ClosedPipe) => ExitCode::from(CLOSED_PIPE_STATUS),
        Stop::Fatal(fatal) | Stop::Output(Broken::Failed(fatal)) => {
            program.fatal(&fatal);
            ExitCode::FAILURE
        }
    }
}

fn bad_usage(program: &Program, bad: BadUsage) -> ExitCode {
    let letter = |letter: u8| [letter].escape_ascii().to_string();
    match bad {
        BadUsage::Silent => return ExitCode::FAILURE,
        BadUsage::Conflict(text) => {
            program.fatal(&text.into());
            return ExitCode::FAILURE;
        }
        BadUsage::Usage => {}
        BadUsage::Option(Misuse::Unknown(bad)) => {
            program.info(format!("invalid option -- '{}'", letter(bad)).as_bytes());
        }
        BadUsage::Option(Misuse::ArgumentMissing(bad)) => {
            program.info(format!("option requires an argument -- '{}'", letter(bad)).as_bytes());
        }
        BadUsage::Option(Misuse::Long(text)) => program.info(text.as_bytes()),
    }
    program.fatal(&usage(&program.name()).into());
    ExitCode::FAILURE
}

/// Does what was asked; `false` when nothing was found.
fn execute(program: &mut Program, request: &Request, output: &mut Output) -> Result<bool, Stop> {
    match &request.action {
        Action::Help => {
            output.line(&[help(&program.name()).trim_end().as_bytes()])?;
            return Ok(true);
        }
        Action::Version => {
            let version = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
            output.line(&[version.as_bytes()])?;
            return Ok(true);
        }
        _ => {}
    }
    let work = Work::new(program, request)?;
    match &request.action {
        Action::Create => work.create(),
        Action::Query(key) if key == "-" => work.query_lines(io::stdin().lock(), output),
        Action::Query(key) => work.query(key, output),
        Action::List => work.list(output),
        Action::Increment => work.increment(),
        Action::Delete(key) if key == "-" => work.delete_lines(io::stdin().lock()),
        Action::Delete(key) => work.delete(key),
        Action::Help | Action::Version => Ok(true),
    }
}

fn not_yet(program: &Program, option: &str) -> Fatal {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "option {option} is not supported by rpostmap {version}, called as {}",
        program.name()
    )
    .into()
}

/// A run that has read its configuration.
struct Work<'r> {
    program: &'r Program,
    request: &'r Request,
    default_type: String,
    fold: Fold,
    utf8: bool,
}

impl<'r> Work<'r> {
    fn new(program: &'r mut Program, request: &'r Request) -> Result<Work<'r>, Fatal> {
        let config = load_config(program, request)?;
        let mut warn = |text: Vec<u8>| program.warning(&text);
        let smtputf8 = config.smtputf8_enable(&mut warn).map_err(|e| failure(&e))?;
        let default_type = config
            .default_database_type(&mut warn)
            .map_err(|e| failure(&e))?;
        if let Some(&letter) = request.missing.first() {
            return Err(not_yet(program, &format!("-{}", char::from(letter))));
        }
        program.utf8 = smtputf8;
        let utf8 = smtputf8 && !request.no_utf8;
        let fold = match (request.no_fold, utf8) {
            (true, _) => Fold::None,
            (false, true) => Fold::Unicode,
            (false, false) => Fold::Ascii,
        };
        Ok(Work {
            program,
            request,
            default_type,
            fold,
            utf8,
        })
    }

    fn specs(&self) -> impl Iterator<Item = TableSpec> + use<'_, 'r> {
        self.request
            .operands
            .iter()
            .map(|word| TableSpec::parse(word, &self.default_type))
    }

    fn verbose(&self, text: impl FnOnce() -> String) {
        if self.request.verbose {
            self.program.info(text().as_bytes());
        }
    }

    fn create(&self) -> Result<bool, Stop> {
        for spec in self.specs() {
            self.create_one(&spec)?;
        }
        Ok(true)
    }

    fn create_one(&self, spec: &TableSpec) -> Result<(), Fatal> {
        let path = spec.source();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| failure(&Error::io("open", path, error)))?;
        let format = TableType::find(spec.type_name())
            .map_err(|e| failure(&e))?
            .format();
        let _acting = self.act_as_owner(&metadata)?;
        let options = CompileOptions {
            fold: self.fold,
            nul: self.request.nul,
            utf8: self.utf8,
            on_duplicate: self.request.on_duplicate.unwrap_or_default(),
            mode: self.table_mode(&metadata),
        };
        let table = spec.file(format.suffix());
        let mut source = MapSource::new(path, file, self.utf8);
        let mut notify = |notice| self.notify(notice);
        let made = compile(format, &table, &mut source, &options, &mut notify)
            .map_err(|error| failure(&error))?;
        self.verbose(|| {
            format!(
                "{}: {} entries, {} bytes",
                table.display(),
                made.entry_count,
                made.len
            )
        });
        Ok(())
    }

    /// The permissions of a new table, from those of its source.
    fn table_mode(&self, source: &Metadata) -> u32 {
        if source.is_file() && !self.request.no_mode {
            0o600 | source.permissions().mode() & SOURCE_MODE_MASK
        } else {
            DEFAULT_MODE
        }
    }

    /// As root, works with the rights of the source's owner until the result is dropped.
    fn act_as_owner(&self, source: &Metadata) -> Result<Option<ActAs>, Fatal> {
        if self.request.keep_root {
            return Ok(None);
        }
        ActAs::owner(source.uid(), source.gid())
            .map(Some)
            .map_err(|error| failure(&error))
    }

    fn notify(&self, notice: Notice) {
        match notice {
            Notice::Duplicate { .. } if self.request.on_duplicate.is_some() => {}
            notice => self.program.warning(&notice.message()),
        }
    }

    /// `-i`: the first table takes all of standard input, further ones only come into being.
    fn increment(&self) -> Result<bool, Stop> {
        let stdin = || io::stdin().as_fd().try_clone_to_owned().map(File::from);
        for spec in self.specs() {
            let opened = stdin().and_then(|file| Ok((file.metadata()?, file)));
            let (metadata, file) =
                opened.map_err(|error| failure(&Error::io("read", "stdin", error)))?;
            self.increment_one(&spec, &metadata, MapSource::new("stdin", file, self.utf8))?;
        }
        Ok(true)
    }

    fn increment_one(
        &self,
        spec: &TableSpec,
        stdin: &Metadata,
        mut source: MapSource<File>,
    ) -> Result<(), Fatal> {
        spec.check_complete().map_err(|error| failure(&error))?;
        let format = TableType::find(spec.type_name())
            .map_err(|e| failure(&e))?
            .format();
        let _acting = self.act_as_owner(stdin)?;
        let path = spec.file(format.suffix());
        let missing = Missing::Create {
            mode: self.table_mode(stdin),
        };
        let mut notify = |notice| self.notify(notice);
        let mut table = TableUpdater::open(format, &path, missing, &mut notify)
            .map_err(|error| self.program.open_failure(&error))?;
        let nul: &[u8] = if self.request.nul.writes_nul(format.customary_nul()) {
            b"\0"
        } else {
            b""
        };
        let on_duplicate = self.request.on_duplicate.unwrap_or_default();
        let read = |error: Error| self.program.read_failure(&error);
        if stdin.is_file() {
            table.expect(stdin.len()).map_err(read)?;
        }
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while let Some(entry) = source
            .next_entry(&mut |warning| self.notify(Notice::Source(warning)))
            .map_err(read)?
        {
            key.clear();
            self.fold.fold_into(entry.key, &mut key);
            key.extend_from_slice(nul);
            value.clear();
            value.extend_from_slice(entry.value);
            value.extend_from_slice(nul);
            if !table.put(&key, &value, on_duplicate).map_err(read)? {
                let key = self.fold.fold(entry.key).into_owned();
                self.notify(Notice::Duplicate {
                    table: path.clone(),
                    key,
                });
            }
        }
        table.commit(&mut notify).map_err(read)
    }

    fn open_for_deletion(&self, spec: &TableSpec) -> Result<Deletion, Fatal> {
        spec.check_complete().map_err(|error| failure(&error))?;
        let format = TableType::find(spec.type_name())
            .map_err(|e| failure(&e))?
            .format();
        let path = spec.file(format.suffix());
        let mut notify = |notice| self.notify(notice);
        let table =
            TableUpdater::open(format, &path, Missing::Refuse, &mut notify).map_err(|error| {
                self.program
                    .open_failure(&error.with_action("open database"))
            })?;
        let title = format!("{}:{}", format.type_name(), path.display());
        Ok(Deletion {
            table,
            title,
            forms: NulForms::new(self.request.nul),
        })
    }

    fn delete_from(&self, deletion: &mut Deletion, key: &[u8]) -> Result<bool, Fatal> {
        if self.utf8 && std::str::from_utf8(key).is_err() {
            self.warn_malformed(&[deletion.title.as_bytes(), b": non-UTF-8 key \"", key]);
            return Ok(false);
        }
        let mut stored = self.fold.fold(key).into_owned();
        stored.push(0);
        for with_nul in deletion.forms.to_try() {
            let key = &stored[..stored.len() - usize::from(!with_nul)];
            if deletion
                .table
                .delete(key)
                .map_err(|error| self.program.read_failure(&error))?
            {
                deletion.forms.learn(with_nul);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn delete(&self, key: &OsStr) -> Result<bool, Stop> {
        let mut found = false;
        for spec in self.specs() {
            let mut deletion = self.open_for_deletion(&spec)?;
            found |= self.delete_from(&mut deletion, key.as_bytes())?;
            self.commit(deletion)?;
        }
        Ok(found)
    }

    /// `-d -`: all tables are opened first, and each key is deleted from each.
    fn delete_lines(&self, input: impl io::Read) -> Result<bool, Stop> {
        let specs = self.specs();
        let mut deletions = specs
            .map(|spec| self.open_for_deletion(&spec))
            .collect::<Result<Vec<_>, _>>()?;
        let mut found = false;
        let mut lines = KeyLines::new(input);
        while let Some(key) = lines.next_key()? {
            for deletion in &mut deletions {
                found |= self.delete_from(deletion, key)?;
            }
        }
        deletions
            .into_iter()
            .try_for_each(|deletion| self.commit(deletion))?;
        Ok(found)
    }

    fn commit(&self, deletion: Deletion) -> Result<(), Fatal> {
        let mut notify = |notice| self.notify(notice);
        deletion
            .table
            .commit(&mut notify)
            .map_err(|error| self.program.read_failure(&error))
    }

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

    fn query(&self, key: &OsStr, output: &mut Output) -> Result<bool, Stop> {
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

    fn query_lines(&self, input: impl io::Read, output: &mut Output) -> Result<bool, Stop> {
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

    fn warn_malformed(&self, parts: &[&[u8]]) {
        let end = b"\": malformed UTF-8 or invalid codepoint".as_slice();
        self.program.warning(&[&parts.concat(), end].concat());
    }

    fn list(&self, output: &mut Output) -> Result<bool, Stop> {
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

/// A table that keys are being deleted from.
struct Deletion {
    table: TableUpdater,
    /// The table as messages name it.
    title: String,
    forms: NulForms,
}

/// The keys on standard input, one on each line: without the line feed, up to the first NUL.
struct KeyLines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
}

impl<R: io::Read> KeyLines<R> {
    fn new(input: R) -> KeyLines<R> {
        KeyLines {
            input: BufReader::with_capacity(64 * 1024, input),
            line: Vec::new(),
        }
    }

    fn next_key(&mut self) -> Result<Option<&[u8]>, Fatal> {
        self.line.clear();
        match self.input.read_until(b'\n', &mut self.line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(strip_nul(
                self.line.strip_suffix(b"\n").unwrap_or(&self.line),
            ))),
            Err(error) => Err(failure(&Error::io("read", "standard input", error))),
        }
    }
}

fn load_config(program: &Program, request: &Request) -> Result<Config, Fatal> {
    let asked = request
        .config_dir
        .clone()
        .or_else(|| std::env::var_os("MAIL_CONFIG"));
    let dir = asked.clone().unwrap_or_else(|| CONFIG_DIR.into());
    let mut warn = |text: Vec<u8>| program.warning(&text);
    match Config::load(dir.as_ref(), &mut warn) {
        Ok(config) => Ok(config),
        // Nothing was asked for and there is nothing: a machine without Postfix.
        Err(error) if asked.is_none() && !program.drop_in && is_missing(&error) => {
            Ok(Config::default())
        }
        Err(error) => Err(failure(&error)),
    }
}

fn is_missing(error: &Error) -> bool {
    error
        .io_error()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}
