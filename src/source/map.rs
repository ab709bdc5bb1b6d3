//! `key value` sources, as `postmap` reads them.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{
    EntrySource, LineNo, LogicalLines, Warning, WarningKind, file_value, is_blank, trim, trim_start,
};
use crate::error::{Result, with_cause};

/// One entry of a source, without NUL and nothing folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key. In a postmap source never empty, as written, with its quotes and backslashes.
    pub key: &'a [u8],
    /// The value. In a postmap source never empty unless it comes from a file, as written, no blanks
    /// at its ends; joined continuation lines keep the blanks they start with.
    pub value: &'a [u8],
    /// The line the entry starts on.
    pub line: LineNo,
}

/// Reads the entries of a postmap source.
///
/// The key ends at the first blank outside double quotes; a backslash makes the byte behind it
/// ordinary, inside quotes and outside. The rest, without blanks around it, is the value.
///
/// ```
/// use rpostmap::source::MapSource;
///
/// let text = b"# routes\nexample.com  relay:[mx.example.net]\n\"two words\"\n   x\n";
/// let mut source = MapSource::new("transport", text.as_slice(), true);
/// let mut entries = Vec::new();
/// while let Some(entry) = source.next_entry(&mut |warning| panic!("{warning}"))? {
///     entries.push((entry.key.to_vec(), entry.value.to_vec(), entry.line.0));
/// }
/// assert_eq!(
///     entries,
///     [
///         (b"example.com".to_vec(), b"relay:[mx.example.net]".to_vec(), 2),
///         (b"\"two words\"".to_vec(), b"x".to_vec(), 3),
///     ]
/// );
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct MapSource<R> {
    lines: LogicalLines<R>,
    utf8: bool,
    /// What the value of the present entry stands for, if values are names of files.
    file_value: Option<Vec<u8>>,
}

/// Where key and value lie in a line.
struct Split {
    key_len: usize,
    value_offset: usize,
    value_len: usize,
}

impl<R: Read> MapSource<R> {
    /// Reads from `reader`, which messages call `name`. With `utf8`, lines that are not UTF-8
    /// are dropped with a warning; without, every byte is welcome.
    pub fn new(name: impl Into<PathBuf>, reader: R, utf8: bool) -> Self {
        MapSource {
            lines: LogicalLines::new(name, reader),
            utf8,
            file_value: None,
        }
    }

    /// With `yes`, values are names of files, and entries have what the files hold instead, as
    /// base64: see [`file_value::encode_files`]. Names are relative to the working directory.
    pub fn with_file_values(mut self, yes: bool) -> Self {
        self.file_value = yes.then(Vec::new);
        self
    }

    /// What messages call the source.
    pub fn name(&self) -> &Path {
        self.lines.name()
    }

    /// The next entry in file order, or `None` at the end.
    ///
    /// Each logical line that yields no entry is reported through `warn`, before the entry
    /// behind it is returned. The only error is that of reading.
    pub fn next_entry(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<Entry<'_>>> {
        let (line, split) = loop {
            let Some((first, last)) = self.lines.advance(warn)? else {
                return Ok(None);
            };
            let text = self.lines.text();
            let may_be_malformed = self.utf8 && !self.lines.is_known_ascii();
            let kind = match split_line(text, may_be_malformed) {
                Ok(split) => {
                    if alias_like(text, &split) {
                        warn(self.lines.warning(first, last, WarningKind::AliasFormat));
                    }
                    match self.read_files(&split) {
                        Ok(()) => break (first, split),
                        Err(kind) => kind,
                    }
                }
                Err(kind) => kind,
            };
            warn(self.lines.warning(first, last, kind));
        };
        let (key, value) = split.of(self.lines.text());
        let value = self.file_value.as_deref().unwrap_or(value);
        Ok(Some(Entry { key, value, line }))
    }

    /// Reads the files that the value of the present line names, if values do that.
    #[inline]
    fn read_files(&mut self, split: &Split) -> Result<(), WarningKind> {
        let Some(file_value) = &mut self.file_value else {
            return Ok(());
        };
        let (_, list) = split.of(self.lines.text());
        *file_value = file_value::encode_files(list).map_err(|error| WarningKind::FileValue {
            what: with_cause(&error),
        })?;
        Ok(())
    }
}

impl<R: Read> EntrySource for MapSource<R> {
    fn next_entry(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<Entry<'_>>> {
        MapSource::next_entry(self, warn)
    }
}

impl Split {
    /// Key and value of the line `text`.
    #[inline]
    fn of<'a>(&self, text: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (key, rest) = text.split_at_checked(self.key_len).unwrap_or((text, &[]));
        let value = rest
            .get(self.value_offset..)
            .and_then(|value| value.get(..self.value_len))
            .unwrap_or_default();
        (key, value)
    }
}

/// The checks in the order of the original; the first that fails is the one reported. With
/// `check_utf8` that of UTF-8 is one of them.
fn split_line(text: &[u8], check_utf8: bool) -> Result<Split, WarningKind> {
    if check_utf8 && std::str::from_utf8(text).is_err() {
        return Err(WarningKind::NotUtf8 {
            text: text.to_vec(),
        });
    }
    let Some(key_len) = key_len(text) else {
        return Err(WarningKind::UnbalancedQuote {
            text: text.to_vec(),
        });
    };
    let rest = text.get(key_len..).unwrap_or_default();
    let value = trim(rest);
    if key_len == 0 || value.is_empty() {
        return Err(WarningKind::NoKeyValue);
    }
    Ok(Split {
        key_len,
        value_offset: rest.len() - trim_start(rest).len(),
        value_len: value.len(),
    })
}

/// Length of the key at the start of `text`, or `None` when a quote is still open at the end.
fn key_len(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut at = 0;
    while let Some((found, byte)) = next_special(text, at) {
        at = found + 1;
        match byte {
            // A backslash at the end quotes nothing; it is an ordinary byte.
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            _ if !quoted => return Some(found),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

/// The first byte from `at` on that a key scan has to look at, and where it is.
#[inline]
fn next_special(text: &[u8], mut at: usize) -> Option<(usize, u8)> {
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let candidates = may_be_special(u64::from_le_bytes(*word));
        if candidates == 0 {
            at += word.len();
            continue;
        }
        at += candidates.trailing_zeros() as usize / 8;
        match text.get(at) {
            Some(&byte) if ENDS_PLAIN_KEY_RUN[usize::from(byte)] => return Some((at, byte)),
            _ => at += 1,
        }
    }
    let mut rest = (at..).zip(text.get(at..)?);
    let (at, byte) = rest.find(|(_, byte)| ENDS_PLAIN_KEY_RUN[usize::from(**byte)])?;
    Some((at, *byte))
}

/// The high bit of each byte that is a blank, another control character, a double quote or a
/// backslash. Bytes above such a byte may be named too, those below are never.
#[inline]
fn may_be_special(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let up_to_blank = word.wrapping_sub(ONES * (b' ' as u64 + 1)) & !word;
    let quote = is_zero(word ^ (ONES * b'"' as u64));
    let backslash = is_zero(word ^ (ONES * b'\\' as u64));
    (up_to_blank | quote | backslash) & HIGH
}

/// The bytes a key scan has to look at: blanks, double quote, backslash.
static ENDS_PLAIN_KEY_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "byte is below 256")]
        let value = byte as u8;
        table[byte] = is_blank(value) || value == b'"' || value == b'\\';
        byte += 1;
    }
    table
};

/// Why an entry cannot be written as a line of source text, or `None` when `key`, a blank, and
/// `value` read back as they are.
///
/// ```
/// use rpostmap::source::map::unwritable;
///
/// assert_eq!(unwritable(b"\"two words\"", b"some value"), None);
/// assert_eq!(unwritable(b"two words", b"x"), Some("the key contains blanks"));
/// ```
pub fn unwritable(key: &[u8], value: &[u8]) -> Option<&'static str> {
    let what = match (key.first(), key_len(key)) {
        (None, _) => "the key is empty",
        (Some(b'#'), _) => "the key begins like a comment",
        // In quotes too: a line that begins with a blank belongs to the one before.
        (_, None) => "a quote in the key is not closed",
        (_, Some(len)) if len < key.len() => "the key contains blanks",
        _ if ends_in_backslash(key) => "the key ends in a backslash",
        _ if value.is_empty() => "the value is empty",
        _ if trim(value).len() < value.len() => "the value begins or ends with a blank",
        _ if key.contains(&b'\n') || value.contains(&b'\n') => "there is a line feed in it",
        _ if key.contains(&0) || value.contains(&0) => "there is a NUL in it",
        _ => return None,
    };
    Some(what)
}

/// Whether the last byte would make the blank behind it part of the key.
fn ends_in_backslash(key: &[u8]) -> bool {
    let count = key.iter().rev().take_while(|&&byte| byte == b'\\').count();
    !count.is_multiple_of(2)
}

/// Whether the key ends in a colon: `root: admin`.
fn alias_like(text: &[u8], split: &Split) -> bool {
    split.key_len.checked_sub(1).and_then(|at| text.get(at)) == Some(&b':')
}

#[cfg(test)]
mod tests;
