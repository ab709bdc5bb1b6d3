//! Tables as Postfix names them: `type:name`.
//!
//! | file | job |
//! |---|---|
//! | [`spec`] | `type:name`, and which file that is |
//! | [`traits`] | [`Table`]: what every table can do |
//! | [`file`](mod@file) | tables in database files: key rules over a file format |
//! | [`options`] | how tables are opened |
//! | [`open`](mod@open) | the registry of types, the only place that lists them |
//! | [`live`] | tables that follow their files |
//! | `watch` | whether the files of a table are still what they were |
//! | [`compile`](mod@compile) | from a source text to a table |
//! | `ahead` | a source read on a thread of its own |
//! | `gather` | its entries in memory, or sorted in a file when they are too many |
//! | `deferred` | what is to be said of them when all are in memory |
//! | `postponed` | what is to be said of them only after the sorting |
//! | [`update`] | add, replace and delete entries |
//! | [`lmdb`] | what is special about `lmdb:` tables in both |
//! | `replace` | put a new table file in the place of the old one |
//! | `notice` | what either has to say to the user |

mod ahead;
pub mod compile;
mod deferred;
pub mod file;
mod gather;
pub mod live;
pub mod lmdb;
mod notice;
pub mod open;
pub mod options;
mod postponed;
mod replace;
pub mod spec;
pub mod traits;
pub mod update;
pub(crate) mod watch;

pub use compile::{CompileOptions, Compiled, Source, compile};
pub use file::{FileFormat, FileTable};
pub use live::{Event, Listener, LiveTable, Reload};
pub use lmdb::LmdbOptions;
pub use notice::Notice;
pub use open::{TableType, open, open_with};
pub use options::OpenOptions;
pub use spec::TableSpec;
pub use traits::{EachAnswer, KeyValue, Listing, Stale, Table};
pub use update::{Missing, TableUpdater};
