//! The registry of table types: the only place that lists them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result, masked};
#[cfg(feature = "pcre")]
use crate::pattern::PcreTable;
use crate::pattern::{CidrTable, RegexpTable};
use crate::source::braces;
use crate::table::file::{FileFormat, FileTable};
use crate::table::notice::Notice;
use crate::table::options::OpenOptions;
use crate::table::spec::TableSpec;
use crate::table::traits::Table;
use crate::virt::{
    AccountsTable, DebugTable, EnvironTable, FailTable, InlineTable, InternalTable, PipeTable,
    RandomTable, StaticTable, TextHashTable, UnionTable,
};

/// A type of table.
#[derive(Debug)]
pub struct TableType {
    name: &'static str,
    kind: Kind,
}

/// What tables of a type are.
#[derive(Debug)]
enum Kind {
    /// Files in a database format, which can be made and changed.
    File(FileFormat),
    /// Anything else, which can only be read, and what comes of attempts to change it.
    Read(ReadFn, OnChange),
}

type ReadFn = fn(&TableSpec, &mut Opening<'_>) -> Result<Box<dyn Table>>;

/// What comes of attempts to change a table that is in no database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// It cannot be opened for changes.
    Refuse,
    /// It can be opened, but nothing can be deleted.
    RefuseDeletion,
    /// There is nothing to delete.
    FindNothing,
    /// Whatever is tried fails.
    Fail,
}

/// What a table needs to know while it is opened.
struct Opening<'a> {
    options: &'a OpenOptions,
    notify: &'a mut dyn FnMut(Notice),
    /// How many tables this one is inside of.
    depth: usize,
    /// The members of unions and pipes that have been opened, each as `type:name`.
    members: BTreeSet<Vec<u8>>,
}

impl Opening<'_> {
    /// Passes on what is wrong with the lines of rules.
    fn warn_of_rules(&mut self) -> impl FnMut(Vec<u8>) {
        |text| (self.notify)(Notice::Rule(text))
    }
}

/// How deep tables may be inside each other.
const DEPTH_MAX: usize = 100;

/// In the order of names.
static TYPES: &[TableType] = &[
    file("btree", FileFormat::Btree),
    file("cdb", FileFormat::Cdb),
    read("cidr", |spec, opening| {
        let options = opening.options;
        let mut warn = opening.warn_of_rules();
        Ok(Box::new(CidrTable::open(spec.name(), options, &mut warn)?))
    }),
    read("debug", open_debug),
    read("environ", |spec, with| {
        Ok(Box::new(EnvironTable::new(spec.name(), with.options)))
    })
    .on_change(OnChange::RefuseDeletion),
    read("fail", |spec, _| Ok(Box::new(FailTable::new(spec.name())))).on_change(OnChange::Fail),
    file("hash", FileFormat::Hash),
    read("inline", |spec, with| {
        Ok(Box::new(InlineTable::new(spec.name(), with.options)?))
    }),
    read("internal", |spec, _| {
        Ok(Box::new(InternalTable::new(spec.name())))
    })
    .on_change(OnChange::FindNothing),
    #[cfg(feature = "pcre")]
    read("pcre", |spec, opening| {
        let options = opening.options;
        let mut warn = opening.warn_of_rules();
        Ok(Box::new(PcreTable::open(spec.name(), options, &mut warn)?))
    }),
    read("pipemap", |spec, with| {
        Ok(Box::new(PipeTable::new(spec.name(), members(spec, with)?)))
    }),
    read("randmap", |spec, with| {
        Ok(Box::new(RandomTable::new(spec.name(), with.options)?))
    }),
    file("lmdb", FileFormat::Lmdb),
    read("regexp", |spec, opening| {
        let options = opening.options;
        let mut warn = opening.warn_of_rules();
        Ok(Box::new(RegexpTable::open(
            spec.name(),
            options,
            &mut warn,
        )?))
    }),
    read("static", |spec, with| {
        Ok(Box::new(StaticTable::new(spec.name(), with.options)?))
    })
    .on_change(OnChange::RefuseDeletion),
    read("texthash", |spec, with| {
        let mut warn = |warning| (with.notify)(Notice::Source(warning));
        let table = TextHashTable::open(spec.source(), with.options, &mut warn)?;
        Ok(Box::new(table))
    }),
    read("unionmap", |spec, with| {
        Ok(Box::new(UnionTable::new(spec.name(), members(spec, with)?)))
    }),
    read("unix", |spec, with| {
        Ok(Box::new(AccountsTable::new(spec.name(), with.options)?))
    }),
];

/// Opens the tables that the name of another lists, each as `type:name`.
fn members(spec: &TableSpec, with: &mut Opening<'_>) -> Result<Vec<Box<dyn Table>>> {
    let bad_syntax = || {
        let of = masked(spec.type_name());
        let what = format!("bad syntax: \"{spec}\"; need \"{of}:{{type:name...}}\"");
        Error::new(ErrorKind::Spec { what })
    };
    let list = braces::inside(spec.name().as_bytes()).unwrap_or_default();
    let mut members = Vec::new();
    for item in braces::items(list) {
        if !item.contains(&b':') {
            return Err(bad_syntax());
        }
        let member = TableSpec::parse(OsStr::from_bytes(item), "");
        members.push(if with.members.insert(item.to_vec()) {
            open_inside(&member, with)?
        } else {
            // The original opens it once and would say once what is odd about it.
            open_silently(&member, with)?
        });
    }
    if members.is_empty() {
        return Err(bad_syntax());
    }
    Ok(members)
}

fn open_silently(spec: &TableSpec, with: &mut Opening<'_>) -> Result<Box<dyn Table>> {
    let mut silent = Opening {
        options: with.options,
        notify: &mut |_| {},
        depth: with.depth,
        members: BTreeSet::new(),
    };
    open_inside(spec, &mut silent)
}

fn open_debug(spec: &TableSpec, with: &mut Opening<'_>) -> Result<Box<dyn Table>> {
    let of = TableSpec::parse(spec.name(), "");
    let table = open_inside(&of, with)?;
    let log = with.options.log.clone();
    Ok(Box::new(DebugTable::new(table, of.to_string(), log)))
}

/// Opens a table that another is made of.
fn open_inside(spec: &TableSpec, with: &mut Opening<'_>) -> Result<Box<dyn Table>> {
    if with.depth == DEPTH_MAX {
        let what = format!("more than {DEPTH_MAX} tables inside each other");
        return Err(Error::new(ErrorKind::Spec { what }));
    }
    with.depth += 1;
    let table = open_any(spec, with);
    with.depth -= 1;
    table
}

const fn file(name: &'static str, format: FileFormat) -> TableType {
    TableType {
        name,
        kind: Kind::File(format),
    }
}

const fn read(name: &'static str, open: ReadFn) -> TableType {
    TableType {
        name,
        kind: Kind::Read(open, OnChange::Refuse),
    }
}

/// Types that need a feature of the crate that is off.
static LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "pcre"))]
    "pcre",
];

/// Types of Postfix that ask other programs for their answers.
static SERVICES: &[&str] = &["memcache", "nis", "proxy", "socketmap", "tcp"];

/// The same, for types that Postfix has in packages of their own.
static PACKAGED: &[&str] = &["ldap", "mongodb", "mysql", "pgsql", "sqlite"];

impl TableType {
    const fn on_change(mut self, new: OnChange) -> TableType {
        if let Kind::Read(_, on_change) = &mut self.kind {
            *on_change = new;
        }
        self
    }

    /// The type with this name; names are case-sensitive.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a type of Postfix that is missing here, `Spec` for any other name.
    pub fn find(name: &OsStr) -> Result<&'static TableType> {
        if let Some(found) = TYPES.iter().find(|table_type| name == table_type.name) {
            return Ok(found);
        }
        let shown = masked(name);
        let is_any_of = |names: &[&str]| names.iter().any(|known| name == *known);
        Err(if is_any_of(LEFT_OUT) {
            let version = env!("CARGO_PKG_VERSION");
            Error::unsupported(format!(
                "table type {shown} is not supported by rpostmap {version}"
            ))
        } else if is_any_of(SERVICES) || is_any_of(PACKAGED) {
            Error::unsupported(format!(
                "table type {shown} asks another program, which rpostmap does not do"
            ))
        } else {
            unknown(name)
        })
    }

    /// The format of a table that is to be made or changed, by the name of its type.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a type whose tables are not made by programs, `Spec` for one that is not
    /// known, both in the words of the original.
    pub fn format_to_make(name: &OsStr) -> Result<FileFormat> {
        let is_any_of = |names: &[&str]| names.iter().any(|known| name == *known);
        let known = TYPES.iter().find(|table_type| name == table_type.name);
        match known.map(|table_type| &table_type.kind) {
            Some(Kind::File(format)) => Ok(*format),
            Some(Kind::Read(..)) => Err(not_made(name)),
            None if is_any_of(SERVICES) => Err(not_made(name)),
            None if is_any_of(PACKAGED) => Err(unknown(name)),
            None => TableType::find(name).and(Err(unknown(name))),
        }
    }

    /// The name, as it is written before the colon.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The format of the file that tables of this type are kept in; `None` for a type that can only
    /// be read.
    pub fn format(&self) -> Option<FileFormat> {
        match self.kind {
            Kind::File(format) => Some(format),
            Kind::Read(..) => None,
        }
    }

    /// What comes of attempts to change a table of this type, if it is in no database file.
    pub fn if_changed(&self) -> Option<OnChange> {
        match self.kind {
            Kind::File(_) => None,
            Kind::Read(_, on_change) => Some(on_change),
        }
    }
}

/// The files that the content of the table `spec` is in, those of tables inside it included.
pub(crate) fn files_of(spec: &TableSpec) -> Vec<PathBuf> {
    let mut files = Vec::new();
    add_files_of(spec, 0, &mut files);
    files
}

fn add_files_of(spec: &TableSpec, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(table_type) = TableType::find(spec.type_name()) else {
        return;
    };
    if depth > DEPTH_MAX {
        return;
    }
    let name = spec.name().as_bytes();
    match (table_type.name, table_type.format()) {
        (_, Some(format)) => files.push(spec.file(format.suffix())),
        // Rules can stand in the name itself, in braces.
        ("cidr" | "pcre" | "regexp" | "texthash", None) if !name.starts_with(b"{") => {
            files.push(spec.source().to_path_buf());
        }
        ("debug", None) => add_files_of(&TableSpec::parse(spec.name(), ""), depth + 1, files),
        ("pipemap" | "unionmap", None) => {
            for item in braces::items(braces::inside(name).unwrap_or_default()) {
                let inside = TableSpec::parse(OsStr::from_bytes(item), "");
                add_files_of(&inside, depth + 1, files);
            }
        }
        _ => {}
    }
}

/// Whether tables of the type `name` ask other programs, and never have anything changed.
pub fn is_read_only_service(name: &OsStr) -> bool {
    ["nis", "socketmap", "tcp"]
        .iter()
        .any(|known| name == *known)
}

fn unknown(name: &OsStr) -> Error {
    let what = format!("unsupported dictionary type: {}", masked(name));
    Error::new(ErrorKind::Spec { what })
}

fn not_made(name: &OsStr) -> Error {
    let name = masked(name);
    let what = format!("unsupported dictionary type: {name} does not support bulk-mode creation.");
    Error::unsupported(what)
}

/// Opens a table for reading.
///
/// ```no_run
/// use std::ffi::OsStr;
/// use rpostmap::table::{OpenOptions, TableSpec, open};
///
/// let spec = TableSpec::parse(OsStr::new("hash:/etc/postfix/relay_password"), "hash");
/// let table = open(&spec, &OpenOptions::default())?;
/// match table.lookup(b"[submission.example.org]:587") {
///     Ok(Some(credentials)) => println!("{} bytes", credentials.len()),
///     Ok(None) => println!("no such destination"),
///     Err(error) if error.is_temporary() => println!("try again later: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// # Errors
///
/// `Spec` or `Unsupported` for the name, `Io` with action "open database" when the file cannot be
/// opened, `Corrupt` or `Unsupported` when it is not what its type says.
pub fn open(spec: &TableSpec, options: &OpenOptions) -> Result<Box<dyn Table>> {
    open_with(spec, options, &mut |_| {})
}

/// As [`open`]; `notify` hears what is odd about the text of a table that is read as text.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(
    spec: &TableSpec,
    options: &OpenOptions,
    notify: &mut dyn FnMut(Notice),
) -> Result<Box<dyn Table>> {
    let mut with = Opening {
        options,
        notify,
        depth: 0,
        members: BTreeSet::new(),
    };
    open_any(spec, &mut with)
}

fn open_any(spec: &TableSpec, with: &mut Opening<'_>) -> Result<Box<dyn Table>> {
    spec.check_complete()?;
    match TableType::find(spec.type_name())?.kind {
        Kind::File(format) => Ok(Box::new(FileTable::open(format, spec, with.options)?)),
        Kind::Read(open, _) => open(spec, with),
    }
}
