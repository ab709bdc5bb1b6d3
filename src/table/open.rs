//! The registry of table types: the only place that lists them.

use std::ffi::OsStr;

use crate::error::{Error, ErrorKind, Result, masked};
use crate::file::store::StoreMode;
use crate::key::{Fold, NulPolicy};
use crate::table::file::{FileFormat, FileTable};
use crate::table::spec::TableSpec;
use crate::table::traits::Table;

/// How a table is opened for reading. The default is what Postfix does with
/// `smtputf8_enable = yes`.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How keys are folded before they are looked up.
    pub fold: Fold,
    /// Which forms of a key are looked for.
    pub nul: NulPolicy,
    /// Whether keys and values must be UTF-8. A key that is not is not found; a value that is not
    /// is an error.
    pub utf8: bool,
    /// How the bytes of the file are held.
    pub store: StoreMode,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            fold: Fold::Unicode,
            nul: NulPolicy::Auto,
            utf8: true,
            store: StoreMode::AUTO,
        }
    }
}

/// A type of table.
#[derive(Debug)]
pub struct TableType {
    name: &'static str,
    format: FileFormat,
}

static TYPES: &[TableType] = &[
    TableType {
        name: "btree",
        format: FileFormat::Btree,
    },
    TableType {
        name: "hash",
        format: FileFormat::Hash,
    },
];

/// Types of Postfix that this version does not know how to read yet.
static NOT_YET: &[&str] = &[
    "cdb",
    "cidr",
    "debug",
    "environ",
    "fail",
    "inline",
    "internal",
    "ldap",
    "lmdb",
    "memcache",
    "mongodb",
    "mysql",
    "nis",
    "pcre",
    "pgsql",
    "pipemap",
    "proxy",
    "randmap",
    "regexp",
    "socketmap",
    "sqlite",
    "static",
    "tcp",
    "texthash",
    "unionmap",
    "unix",
];

impl TableType {
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
        Err(if NOT_YET.iter().any(|known| name == *known) {
            let version = env!("CARGO_PKG_VERSION");
            Error::unsupported(format!(
                "table type {shown} is not supported by rpostmap {version}"
            ))
        } else {
            Error::new(ErrorKind::Spec {
                what: format!("unsupported dictionary type: {shown}"),
            })
        })
    }

    /// The format of the file that tables of this type are kept in.
    pub fn format(&self) -> FileFormat {
        self.format
    }
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
    spec.check_complete()?;
    let table_type = TableType::find(spec.type_name())?;
    Ok(Box::new(FileTable::open(table_type.format, spec, options)?))
}
