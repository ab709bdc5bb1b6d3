//! Source text: the files people write and a table is built from.
//!
//! * [`lines`]: logical lines, the layer below every text format (and below main.cf);
//! * [`map`]: `key value` entries, as `postmap` reads them;
//! * [`alias`]: `name: value` entries, as `postalias` reads them;
//! * `braces`: lists in braces, as the names of some tables hold them;
//! * [`file_value`]: values that are names of files, and base64;
//! * [`message`]: a mail message as header lines and body lines;
//! * [`warning`]: what is wrong with a line, in the words of the original.
//!
//! Everything here works on bytes and streams: memory use is one buffer and the longest logical
//! line, whatever the size of the file. A line that yields no entry always yields a warning.

pub mod alias;
pub(crate) mod braces;
pub mod file_value;
pub mod lines;
pub mod map;
pub mod message;
pub mod warning;

#[cfg(test)]
pub(crate) mod testing;

pub use alias::AliasSource;
pub use lines::{LineNo, LogicalLine, LogicalLines};
pub use map::{Entry, MapSource};
pub use warning::{Warning, WarningKind};

use crate::error::Result;

/// Something that entries of a table can be read from.
pub trait EntrySource {
    /// The next entry, or `None` at the end. What is odd about the lines before it goes to `warn`.
    ///
    /// # Errors
    ///
    /// Those of reading. There is no point in asking for more then.
    fn next_entry(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<Entry<'_>>>;

    /// What a table made from this source holds beside the entries. Stored behind them.
    fn marks(&self) -> &[Mark] {
        &[]
    }
}

/// A record that tells programs something about the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Whether both are stored as they are here: not folded and without NUL.
    pub verbatim: bool,
}

/// Whether `byte` is white space in source text: space, TAB, LF, VT, FF or CR.
///
/// Nothing else is: a no-break space, for example, is part of a word.
#[inline]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `text` without the blanks at its start.
#[inline]
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    text
}

/// `text` without the blanks at both ends.
#[inline]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let mut text = trim_start(text);
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}
