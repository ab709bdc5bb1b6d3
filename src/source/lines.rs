//! Logical lines: comments and blank lines out, continuation lines joined.
//!
//! The rules, which main.cf, postmap and postalias sources and rule files share:
//!
//! 1. A physical line ends at LF or at the end of the file. One that is empty, all blanks, or
//!    whose first byte after blanks is `#` is dropped wherever it occurs, even between a line
//!    and its continuation; it still counts.
//! 2. A physical line that starts with a blank continues the logical line before it. It is
//!    appended as it is, with its leading blanks and without the LF between the two.
//! 3. So a logical line is complete when the next byte of the file is neither a blank nor `#`,
//!    or when there is none.
//! 4. A logical line that starts with a blank, because nothing stood before it, is dropped
//!    with all its continuation lines, and a warning says so.
//! 5. A logical line ends at its first NUL. Unlike Postfix 3.7, which cuts it silently, we
//!    give the warning that Postfix 3.9 introduced.
//!
//! # How it is fast
//!
//! Most lines are plain: they start in the first column, lie in the read buffer as a whole and
//! are followed by another such line. Those are handed out as a slice of the buffer. Only the
//! others (with a continuation or a comment behind them, the last one, the one that straddles
//! two reads) are copied, into `joined`. The buffer never grows, and comments are skipped
//! without being stored, however long.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{Warning, WarningKind, is_blank};
use crate::error::{Error, Result};
use crate::find::{SHORT_LEN, find};

/// How much is read at a time, in bytes.
const BUFFER_LEN: usize = 256 * 1024;

/// The number of a physical line in its file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineNo(pub u64);

impl fmt::Display for LineNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One logical line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogicalLine<'a> {
    /// Its text up to the first NUL, without LF. It starts with a byte that is not a blank, or
    /// is empty when it starts with a NUL. A CR before an LF is part of it.
    pub text: &'a [u8],
    /// The first physical line that contributed text.
    pub first: LineNo,
    /// The last physical line that contributed text.
    pub last: LineNo,
}

/// Reads logical lines from any reader; no buffering is needed around it.
pub struct LogicalLines<R> {
    name: PathBuf,
    reader: BufReader<R>,
    /// Nothing is read once the reader has said that it is at its end.
    at_end: bool,
    /// Whether the buffer, as it was filled last, holds a NUL anywhere.
    nul_in_buffer: bool,
    /// Whether it holds ASCII only.
    ascii_buffer: bool,
    /// Physical lines taken so far.
    taken: u64,
    current: Current,
    joined: Vec<u8>,
}

/// Where the text of the current logical line is.
#[derive(Clone, Copy)]
enum Current {
    /// `len` bytes at the start of the buffer; they and `skip - len` more are still to be
    /// consumed, which would make them inaccessible.
    Buffer { len: usize, skip: usize },
    /// The first `len` bytes of `joined`.
    Joined { len: usize },
}

impl<R: Read> LogicalLines<R> {
    /// Reads from `reader`, which messages call `name`.
    pub fn new(name: impl Into<PathBuf>, reader: R) -> Self {
        LogicalLines::with_buffer(BUFFER_LEN, name, reader)
    }

    /// As [`LogicalLines::new`] for a source that is rarely long, such as main.cf.
    pub(crate) fn of_short(name: impl Into<PathBuf>, reader: R) -> Self {
        LogicalLines::with_buffer(SHORT_LEN, name, reader)
    }

    fn with_buffer(len: usize, name: impl Into<PathBuf>, reader: R) -> Self {
        LogicalLines {
            name: name.into(),
            reader: BufReader::with_capacity(len, reader),
            at_end: false,
            nul_in_buffer: false,
            ascii_buffer: false,
            taken: 0,
            current: Current::Joined { len: 0 },
            joined: Vec::new(),
        }
    }

    /// What messages call the source.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// What is wrong with the lines from `first` to `last`.
    #[cold]
    pub(super) fn warning(&self, first: LineNo, last: LineNo, kind: WarningKind) -> Warning {
        Warning {
            file: self.name.clone(),
            first,
            last,
            kind,
        }
    }

    /// The next logical line, or `None` at the end. Lines that are dropped, and NULs, are
    /// reported through `warn`.
    ///
    /// A read error ends the source: what was collected of a line by then is lost, and there is
    /// no point in asking for more.
    pub fn next_line(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<LogicalLine<'_>>> {
        Ok(self.advance(warn)?.map(|(first, last)| LogicalLine {
            text: self.text(),
            first,
            last,
        }))
    }

    /// Goes to the next logical line and says which physical lines it comes from.
    ///
    /// Apart from [`Self::text`] so that a caller can go through lines in a loop and hand out
    /// the text of the one it likes.
    #[inline]
    pub(super) fn advance(
        &mut self,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Option<(LineNo, LineNo)>> {
        if let Current::Buffer { skip, .. } = self.current {
            self.reader.consume(skip);
            self.current = Current::Joined { len: 0 };
        }
        match plain_line(self.reader.buffer()) {
            Some(len) if !self.nul_in_buffer => {
                self.taken += 1;
                self.current = Current::Buffer { len, skip: len + 1 };
                let line = LineNo(self.taken);
                Ok(Some((line, line)))
            }
            _ => self.join(warn),
        }
    }

    /// The text of the line that `advance` went to.
    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        let (bytes, len) = match self.current {
            Current::Buffer { len, .. } => (self.reader.buffer(), len),
            Current::Joined { len } => (self.joined.as_slice(), len),
        };
        bytes.get(..len).unwrap_or_default()
    }

    /// Whether that text is known to be ASCII, without a look at it.
    #[inline]
    pub(super) fn is_known_ascii(&self) -> bool {
        self.ascii_buffer && matches!(self.current, Current::Buffer { .. })
    }

    /// Collects a logical line of any form in `joined`.
    fn join(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<(LineNo, LineNo)>> {
        loop {
            self.joined.clear();
            let mut lines: Option<(LineNo, LineNo)> = None;
            while let Some(next) = self.peek()? {
                if lines.is_some() && !is_blank(next) && next != b'#' {
                    break;
                }
                let has_text = self.append_physical_line()?;
                self.taken += 1;
                if has_text {
                    let line = LineNo(self.taken);
                    lines = Some((lines.map_or(line, |(first, _)| first), line));
                }
            }
            let Some((first, last)) = lines else {
                return Ok(None);
            };
            let mut report = |kind| {
                warn(Warning {
                    file: self.name.clone(),
                    first,
                    last,
                    kind,
                });
            };
            let mut len = self.joined.len();
            if let Some(nul) = find(0, &self.joined) {
                report(WarningKind::TextAfterNul);
                len = nul;
            }
            if self.joined.first().copied().is_some_and(is_blank) {
                let text = self.joined.get(..len).unwrap_or_default().to_vec();
                report(WarningKind::LeadingBlank {
                    text,
                    len: self.joined.len(),
                });
                continue;
            }
            self.current = Current::Joined { len };
            return Ok(Some((first, last)));
        }
    }

    /// Takes one physical line, which must be there, and appends it to `joined` without its LF
    /// if it is text. Says whether it is.
    fn append_physical_line(&mut self) -> Result<bool> {
        let mark = self.joined.len();
        // Blanks may turn out to be text or not, perhaps only after another read.
        loop {
            let bytes = self.reader.buffer();
            let at = bytes.iter().position(|&b| !is_blank(b) || b == b'\n');
            match at.and_then(|at| Some((at, *bytes.get(at)?))) {
                Some((at, b'\n')) => {
                    self.reader.consume(at + 1);
                    self.joined.truncate(mark);
                    return Ok(false);
                }
                Some((_, b'#')) => {
                    self.joined.truncate(mark);
                    self.take_rest_of_line(false)?;
                    return Ok(false);
                }
                Some(_) => break,
                None => {
                    self.joined.extend_from_slice(bytes);
                    if !self.refill()? {
                        self.joined.truncate(mark);
                        return Ok(false);
                    }
                }
            }
        }
        self.take_rest_of_line(true)?;
        Ok(true)
    }

    /// Consumes up to and including the next LF; appends what stands before it if `keep`.
    fn take_rest_of_line(&mut self, keep: bool) -> Result<()> {
        loop {
            let bytes = self.reader.buffer();
            let end = find(b'\n', bytes);
            if keep {
                let rest = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
                self.joined.extend_from_slice(rest);
            }
            match end {
                Some(end) => {
                    self.reader.consume(end + 1);
                    return Ok(());
                }
                None if self.refill()? => {}
                None => return Ok(()),
            }
        }
    }

    /// The next byte of the file.
    fn peek(&mut self) -> Result<Option<u8>> {
        if self.reader.buffer().is_empty() && !self.refill()? {
            return Ok(None);
        }
        Ok(self.reader.buffer().first().copied())
    }

    /// Drops what is in the buffer and reads more; `false` at the end of the file.
    fn refill(&mut self) -> Result<bool> {
        self.reader.consume(self.reader.buffer().len());
        while !self.at_end {
            match self.reader.fill_buf() {
                Ok(bytes) => {
                    self.at_end = bytes.is_empty();
                    self.nul_in_buffer = find(0, bytes).is_some();
                    self.ascii_buffer = bytes.is_ascii();
                    return Ok(!self.at_end);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.name, error)),
            }
        }
        Ok(false)
    }
}

/// The length of the line at the start of `bytes` if that is a logical line for sure.
#[inline]
fn plain_line(bytes: &[u8]) -> Option<usize> {
    let starts_line = |byte: u8| !is_blank(byte) && byte != b'#';
    if !starts_line(*bytes.first()?) {
        return None;
    }
    let len = find(b'\n', bytes)?;
    starts_line(*bytes.get(len + 1)?).then_some(len)
}

#[cfg(test)]
mod tests;
