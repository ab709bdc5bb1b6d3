//! What every table can do.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// A key and its value, without trailing NUL.
pub type KeyValue<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// All entries of a table; ends after the first error.
pub type Listing<'a> = Box<dyn Iterator<Item = Result<KeyValue<'a>>> + 'a>;

/// Takes the answers of [`Table::lookup_all`].
pub type EachAnswer<'e, 't> = dyn FnMut(usize, Result<Option<Cow<'t, [u8]>>>) + 'e;

/// A table that is open for reading. Can be shared between threads as it is.
pub trait Table: Send + Sync {
    /// The value of `key`.
    ///
    /// There are three answers: `Ok(Some(value))`, found; `Ok(None)`, the table does not hold the
    /// key; `Err`, it could not be told. The key is text without NUL; case is folded as the table
    /// was opened to do. The value comes without its NUL, borrowed where the table is in memory.
    ///
    /// # Errors
    ///
    /// Whatever kept the answer from being found; see
    /// [`Error::is_temporary`](crate::Error::is_temporary).
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>>;

    /// Looks up several keys, and gives the answers to `each` in the order of the keys, with the
    /// number of the key among them. As so many lookups, but quicker where the table can see to
    /// several at a time.
    fn lookup_all<'t>(&'t self, keys: &[&[u8]], each: &mut EachAnswer<'_, 't>) {
        for (number, key) in keys.iter().enumerate() {
            each(number, self.lookup(key));
        }
    }

    /// Whether it is certain that the table holds none of the keys, in whatever form it stores them.
    /// Nothing is learned from that: see [`Table::is_settled`].
    fn lacks_all(&self, _keys: &[&[u8]]) -> bool {
        false
    }

    /// Whether a lookup gives the same answer whatever was looked up before. A table that does not
    /// know yet whether its keys end in a NUL follows the first that is found.
    fn is_settled(&self) -> bool {
        true
    }

    /// Whether keys are patterns. Such a table is not asked for parts of a name, like the parent
    /// domain: its patterns match the whole.
    fn is_pattern(&self) -> bool {
        false
    }

    /// All entries in the table's own order, bytes as stored but for the NUL.
    ///
    /// # Errors
    ///
    /// When the table cannot be read, or its type has no listing (`Unsupported`): without a method
    /// of its own a type has none.
    fn iter(&self) -> Result<Listing<'_>> {
        let title = self.title();
        let what = format!("table {title}: sequence operation is not supported");
        Err(Error::unsupported(what))
    }

    /// The table as messages about it name it, for example `hash:transport.db`.
    fn title(&self) -> String;

    /// For a table in a file that is older than the text it was made from: the two.
    fn stale(&self) -> Option<&Stale> {
        None
    }
}

/// A table file that is older than the text it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The table file.
    pub table: PathBuf,
    /// The source text.
    pub source: PathBuf,
}
