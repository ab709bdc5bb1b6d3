//! Tables as Postfix names them: `type:name`.
//!
//! | file | job |
//! |---|---|
//! | [`spec`] | `type:name`, and which file that is |
//! | [`traits`] | [`Table`]: what every table can do |
//! | [`file`](mod@file) | tables in database files: key rules over a file format |
//! | [`open`](mod@open) | the registry of types, the only place that lists them |
//! | [`compile`](mod@compile) | from a source text to a table |

pub mod compile;
pub mod file;
pub mod open;
pub mod spec;
pub mod traits;

pub use compile::{CompileOptions, Notice, compile};
pub use open::{OpenOptions, open};
pub use spec::TableSpec;
pub use traits::{KeyValue, Table};
