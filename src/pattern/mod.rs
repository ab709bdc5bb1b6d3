//! Tables of rules: the first rule that matches a key gives the answer.
//!
//! | file | job |
//! |---|---|
//! | `text` | the text of rules, in a file or in the table's name |
//! | `rules` | lines to rules, for `regexp` and `pcre`; keys to answers |
//! | `scope` | `if` and `endif` |
//! | `substitute` | `$1` in results |
//! | [`posix`] | POSIX regular expressions: text to tree |
//! | `regexp` | `regexp:` tables |
//! | `index` | which of many expressions can match a key |
//! | `pcre` | `pcre:` tables, with the feature `pcre` |
//! | `cidr` | `cidr:` tables |
//! | `pool` | memory that lookups share |
//!
//! What the rules look like is in `docs/pattern-tables.md`.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]
mod cidr;
mod index;
#[cfg(feature = "pcre")]
mod pcre;
mod pool;
pub mod posix;
mod regexp;
mod rules;
mod scope;
mod substitute;
mod text;

pub use cidr::CidrTable;
#[cfg(feature = "pcre")]
pub use pcre::PcreTable;
pub use regexp::RegexpTable;
