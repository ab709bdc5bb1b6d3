//! Tables without a database file: what they answer is in their name, or comes from elsewhere.
//!
//! | file | type | answers |
//! |---|---|---|
//! | `constant` | `static` | one value for every key |
//! | `texthash` | `texthash` | the entries of a source text |
//! | `inline` | `inline` | the entries in its name |
//! | `random` | `randmap` | one of the values in its name, at random |
//! | `union` | `unionmap` | the answers of all its members |
//! | `pipe` | `pipemap` | the answer of its last member to the answer of the one before |
//! | `environ` | `environ` | variables of the environment |
//! | `accounts` | `unix` | users and groups of the system |
//! | `internal` | `internal` | nothing, it is empty |
//! | `fail` | `fail` | failures only |
//! | `debug` | `debug` | what another table answers, and tells |
//!
//! Tables that hold others get them opened: which types there are is known to
//! [`table::open`](mod@crate::table::open) alone.

mod accounts;
mod constant;
mod debug;
mod environ;
mod fail;
mod inline;
mod internal;
mod pipe;
mod random;
mod texthash;
mod union;

pub use accounts::AccountsTable;
pub use constant::StaticTable;
pub use debug::DebugTable;
pub use environ::EnvironTable;
pub use fail::FailTable;
pub use inline::InlineTable;
pub use internal::InternalTable;
pub use pipe::PipeTable;
pub use random::RandomTable;
pub use texthash::TextHashTable;
pub use union::UnionTable;

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};

/// `value` as an answer, which is an error if it must be UTF-8 and is not.
fn checked(value: Cow<'_, [u8]>, utf8: bool) -> Result<Option<Cow<'_, [u8]>>> {
    if utf8 && std::str::from_utf8(&value).is_err() {
        return Err(Error::new(ErrorKind::InvalidUtf8 {
            value: value.into_owned(),
            member: None,
        }));
    }
    Ok(Some(value))
}
