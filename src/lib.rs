//! Postfix's lookup tables, without Postfix and without Berkeley DB: reads, makes and changes the
//! files that `postmap` makes, for mail servers and for the command `rpostmap`. Linux.
//!
//! # Looking up
//!
//! ```no_run
//! use std::ffi::OsStr;
//!
//! let spec = rpostmap::TableSpec::parse(OsStr::new("hash:/etc/postfix/transport"), "hash");
//! let table = rpostmap::open(&spec, &rpostmap::OpenOptions::default())?;
//! match table.lookup(b"example.com")? {
//!     Some(next_hop) => println!("{}", next_hop.escape_ascii()),
//!     None => println!("not in the table"),
//! }
//! # Ok::<(), rpostmap::Error>(())
//! ```
//!
//! An open [`Table`] can be shared between threads. Unless [`OpenOptions::store`] says otherwise it
//! is a snapshot, for files of up to 256 MiB: open the table again to see changes.
//!
//! # Making
//!
//! From a source text to a table, all or nothing, under the lock that Postfix's programs take:
//!
//! ```
//! use rpostmap::source::MapSource;
//! use rpostmap::table::Source;
//! use rpostmap::{CompileOptions, FileFormat, compile};
//!
//! # let dir = std::env::temp_dir().join(format!("rpostmap-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).expect("a directory");
//! let path = dir.join("transport.db");
//! let text = "example.com relay:[mx.example.net]\nexample.org\n";
//! let entries = MapSource::new("transport", text.as_bytes(), true);
//! let source = || Ok(Source { entries, len: None, mode: 0o644 });
//! let mut notices = Vec::new();
//! let mut notify = |notice| notices.push(notice);
//! let made = compile(FileFormat::Hash, &path, source, &CompileOptions::default(), &mut notify)?;
//! assert_eq!((made.entry_count, notices.len()), (1, 1));
//! # std::fs::remove_dir_all(&dir).expect("removed");
//! # Ok::<(), rpostmap::Error>(())
//! ```
//!
//! From pairs of bytes to the bytes of a file, and back, with nothing that Postfix adds:
//!
//! ```
//! use rpostmap::bdb::hash::{HashBuilder, HashReader};
//! use rpostmap::entries::Entries;
//! use rpostmap::file::store::Store;
//!
//! let mut entries = Entries::new();
//! entries.insert(b"example.com\0", b"relay:[mx.example.net]\0")?;
//! let mut file = Vec::new();
//! HashBuilder::new().build(&entries, &mut file)?;
//! let reader = HashReader::new(Store::from_bytes(file))?;
//! assert!(reader.get(b"example.com\0")?.is_some());
//! # Ok::<(), rpostmap::Error>(())
//! ```
//!
//! [`TableUpdater`] adds entries to a table and deletes them.
//!
//! # Modules
//!
//! | module | job |
//! |---|---|
//! | [`table`] | `type:name`, lookups, making and changing tables: the place to start |
//! | [`rules`] | which keys Postfix looks up for an address, a host or a destination |
//! | [`mta`] | routes and credentials from main.cf, in a few lines |
//! | [`virt`] | tables without a file of their own |
//! | [`pattern`] | tables of rules: `regexp`, `pcre`, `cidr` |
//! | [`source`] | the text tables are made from |
//! | [`key`] | case folding, the NUL at the end of keys |
//! | [`entries`] | pairs on their way from a source to a file |
//! | [`bdb`] | Berkeley DB files: hash and btree, verify, salvage |
//! | [`cdb`] | cdb files: the same |
//! | [`lmdb`] | LMDB files of versions 0.9 and 1.0: read and made, verify, salvage |
//! | [`file`](mod@file) | bytes of files: fetched, locked, replaced |
//! | [`config`] | the few parameters of main.cf that matter to tables |
//! | [`defect`] | what the verifiers of file formats find |
//! | [`wire`] | numbers out of bytes nobody vouches for |
//! | [`error`](mod@error) | the one error type |
//!
//! # Errors
//!
//! Everything that can fail gives an [`Error`]: one line of text without the cause, which is its
//! `source()`. [`ErrorKind`] says what can go wrong, the section "Errors" of each function which
//! kinds it gives. [`Error::is_temporary`] tells what may succeed later from what will not. No
//! input makes the library panic, and it never prints; [`Notice`] carries what users may want to
//! know.
//!
//! # Features
//!
//! * `cli`, on by default: the module `cli`, which is the command. Without it the crate is a
//!   library alone.
//! * `lmdb`, on by default: changes of `lmdb:` tables in place, by the C library of LMDB, which is
//!   compiled and linked in. Without it such tables are read and made, but not changed.
//! * `pcre`, on by default: tables of type `pcre`, by the C library PCRE2.
//!
//! Without `lmdb` and `pcre` the crate is Rust throughout; no C compiler is needed.

pub mod bdb;
pub mod cdb;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod defect;
pub mod entries;
pub mod error;
pub mod file;
mod find;
pub mod key;
pub mod lmdb;
pub mod mta;
pub mod pattern;
pub mod rules;
pub mod source;
pub mod table;
mod threads;
pub mod virt;
pub mod wire;

pub use error::{Error, ErrorKind, Result};
pub use mta::{Router, SaslPasswords};
// By their modules, whose names are those of the functions in them.
pub use table::compile::{CompileOptions, compile};
pub use table::file::FileFormat;
pub use table::open::{open, open_with};
pub use table::{Notice, OpenOptions, Table, TableSpec, TableUpdater};
