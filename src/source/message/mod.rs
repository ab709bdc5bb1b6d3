//! A mail message taken apart into header lines and body lines, as `postmap -h`, `-b` and `-m`
//! look them up.
//!
//! | file | job |
//! |---|---|
//! | `mod` | the order of things: headers, separators, bodies, parts |
//! | `content_type` | what a `Content-Type:` header says of the text behind it |
//! | `boundary` | the boundaries that are waited for |
//!
//! The rules, found by giving messages to Postfix 3.7:
//!
//! 1. A physical line ends at LF or at the end of the message, and for whoever looks at it at its
//!    first NUL. A CR is an ordinary byte, so in a message with CR LF no line is empty.
//! 2. A header begins with its name: printable ASCII but no blank and no colon, then perhaps
//!    spaces and tabs, which are dropped, then a colon. Lines that begin with a space or a tab
//!    continue it and are joined with LF; once the header has `header_len` bytes they are dropped.
//! 3. The first other line ends the headers. An empty one is the separator. In front of any other
//!    an empty line is imagined if these were the message's own headers. So a message that begins
//!    with `From somebody` has no header.
//! 4. Without MIME all that follows is body.
//! 5. With MIME the last `Content-Type:` of the headers says what follows the separator. A message
//!    is headers again, anything else is body. Each `boundary=` of a multipart is waited for, even
//!    if another `Content-Type:` follows.
//! 6. A line that begins with `--` and the text of a boundary begins a part: headers. It is looked
//!    for in bodies and where the headers of a part end; `--x: y` is a header there. Inner
//!    boundaries are tried first, and those inside the one found are forgotten. With another `--`
//!    behind the text the boundary itself is forgotten too, and what follows is body.
//! 7. Parts of `multipart/digest` are messages unless they say otherwise.
//! 8. Transfer encodings do not matter: what is encoded has no boundary in it.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

mod boundary;
mod content_type;

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use memchr::memchr;

use crate::error::{Error, ErrorKind, Result};

use boundary::{Boundaries, Delimiter};
use content_type::ContentType;

/// The longest line that is read, in bytes.
const LINE_LEN_MAX: usize = 64 << 20;

/// How much of a message is looked at. The default is that of Postfix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// A header that has this many bytes takes no further line (`header_size_limit`).
    pub header_len: usize,
    /// Two boundaries more than this are waited for at a time (`mime_nesting_limit`); those inside
    /// are not known.
    pub nesting: usize,
    /// Of a boundary only so many bytes count (`mime_boundary_length_limit`).
    pub boundary_len: usize,
}

impl Default for MessageLimits {
    fn default() -> Self {
        MessageLimits {
            header_len: 102_400,
            nesting: 100,
            boundary_len: 2048,
        }
    }
}

/// What a piece of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// A header with the lines that continue it, joined with LF.
    Header,
    /// A line of a body, a separator, or a boundary.
    Body,
    /// The empty line that is missing between the message's headers and its body.
    MissingSeparator,
}

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it is.
    pub kind: PieceKind,
    /// Its text without LF at the end and without any NUL.
    pub text: &'a [u8],
}

/// Reads the pieces of one message, in its order.
///
/// ```
/// use rpostmap::source::message::{MessageLimits, MessagePieces, PieceKind};
///
/// let text = b"Subject : a\n long one\nFrom: b\n\nHello\n";
/// let mut pieces = MessagePieces::new("m", text.as_slice(), true, MessageLimits::default());
/// let mut found = Vec::new();
/// while let Some(piece) = pieces.next_piece()? {
///     found.push((piece.kind, piece.text.to_vec()));
/// }
/// assert_eq!(
///     found,
///     [
///         (PieceKind::Header, b"Subject: a\n long one".to_vec()),
///         (PieceKind::Header, b"From: b".to_vec()),
///         (PieceKind::Body, b"".to_vec()),
///         (PieceKind::Body, b"Hello".to_vec()),
///     ]
/// );
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct MessagePieces<R> {
    name: PathBuf,
    reader: BufReader<R>,
    limits: MessageLimits,
    mime: bool,
    place: Place,
    /// What follows the separator of the present headers.
    content: ContentType,
    boundaries: Boundaries,
    line: Line,
    /// Whether `line` is still to be looked at.
    is_pending: bool,
    /// The header that is being joined; empty between two.
    header: Vec<u8>,
    /// Whether `header` was handed out.
    is_spent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The headers of the message itself.
    MainHeaders,
    /// The headers of a part, or of a message in the message.
    PartHeaders,
    Body,
}

/// A physical line.
#[derive(Default)]
struct Line {
    /// Up to the first NUL.
    text: Vec<u8>,
    /// With what follows a NUL, without LF.
    len: usize,
}

impl<R: Read> MessagePieces<R> {
    /// Takes apart what `reader` gives, which errors call `name`. With `mime` parts and messages
    /// inside the message have headers, too.
    pub fn new(name: impl Into<PathBuf>, reader: R, mime: bool, limits: MessageLimits) -> Self {
        MessagePieces {
            name: name.into(),
            reader: BufReader::new(reader),
            limits,
            mime,
            place: Place::MainHeaders,
            content: ContentType::Text,
            boundaries: Boundaries::new(limits.nesting, limits.boundary_len),
            line: Line::default(),
            is_pending: false,
            header: Vec::new(),
            is_spent: false,
        }
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    ///
    /// `Io` when the message cannot be read, `TooLong` for a line of more than 64 MiB.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>> {
        if self.is_spent {
            self.header.clear();
            self.is_spent = false;
        }
        loop {
            if !self.is_pending && !self.read_line()? {
                return Ok((!self.header.is_empty()).then(|| self.finish_header()));
            }
            self.is_pending = true;
            if self.place == Place::Body {
                self.is_pending = false;
                self.cross_boundary();
                return Ok(Some(self.body_line()));
            }
            if !self.header.is_empty() {
                if !matches!(self.line.text.first(), Some(b' ' | b'\t')) {
                    return Ok(Some(self.finish_header()));
                }
                self.continue_header();
            } else if let Some((name, rest)) = split_name(&self.line.text) {
                self.header.extend_from_slice(name);
                self.header.extend_from_slice(rest);
                self.is_pending = false;
            } else {
                return Ok(Some(self.end_headers()));
            }
        }
    }

    /// Appends the line to the header.
    fn continue_header(&mut self) {
        self.is_pending = false;
        if self.header.len() < self.limits.header_len {
            self.header.push(b'\n');
            self.header.extend_from_slice(&self.line.text);
        }
    }

    /// The header that was joined, which may say what follows.
    fn finish_header(&mut self) -> Piece<'_> {
        self.is_spent = true;
        let name = b"Content-Type:";
        if self.mime
            && let Some((start, value)) = self.header.split_at_checked(name.len())
            && start.eq_ignore_ascii_case(name)
        {
            self.content = ContentType::parse(value);
            if let ContentType::Multipart { parts } = self.content {
                for boundary in content_type::boundaries(value) {
                    self.boundaries.push(&boundary, parts);
                }
            }
        }
        Piece {
            kind: PieceKind::Header,
            text: &self.header,
        }
    }

    /// Leaves the headers with a line that is none.
    fn end_headers(&mut self) -> Piece<'_> {
        let was_main = self.place == Place::MainHeaders;
        self.place = Place::Body;
        if self.line.len == 0 {
            self.is_pending = false;
            if self.content == ContentType::Message {
                self.place = Place::PartHeaders;
                self.content = ContentType::Text;
            }
            return self.body_line();
        }
        if was_main {
            // The line itself is looked at next.
            return Piece {
                kind: PieceKind::MissingSeparator,
                text: b"",
            };
        }
        self.is_pending = false;
        self.cross_boundary();
        self.body_line()
    }

    /// If the line is a boundary, goes where it leads.
    fn cross_boundary(&mut self) {
        // A line of two bytes is never one, even if the boundary is empty.
        if !self.mime || self.line.len <= 2 {
            return;
        }
        match self.boundaries.cross(&self.line.text) {
            Some(Delimiter::Part(part)) => {
                self.place = Place::PartHeaders;
                self.content = part;
            }
            Some(Delimiter::Close) => self.place = Place::Body,
            None => {}
        }
    }

    fn body_line(&self) -> Piece<'_> {
        Piece {
            kind: PieceKind::Body,
            text: &self.line.text,
        }
    }

    /// Reads a line; `false` at the end of the message.
    fn read_line(&mut self) -> Result<bool> {
        self.line.text.clear();
        self.line.len = 0;
        let mut has_nul = false;
        let mut is_there = false;
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", &self.name, error)),
            };
            if bytes.is_empty() {
                return Ok(is_there);
            }
            is_there = true;
            let end = memchr(b'\n', bytes);
            let part = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
            if !has_nul {
                let nul = memchr(0, part);
                has_nul = nul.is_some();
                let text = nul.and_then(|nul| part.get(..nul)).unwrap_or(part);
                if self.line.text.len() + text.len() > LINE_LEN_MAX {
                    return Err(Error::new(ErrorKind::TooLong {
                        what: "line",
                        len: (self.line.text.len() + text.len()) as u64,
                        max: LINE_LEN_MAX as u64,
                    })
                    .in_file(&self.name));
                }
                self.line.text.extend_from_slice(text);
            }
            self.line.len = self.line.len.saturating_add(part.len());
            let taken = part.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// The name a header line begins with and the rest from its colon on, without the blanks between
/// the two; `None` for any other line.
fn split_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_name = |byte: &u8| byte.is_ascii_graphic() && *byte != b':';
    let name_len = line.iter().take_while(|byte| is_name(byte)).count();
    let (name, rest) = line.split_at_checked(name_len)?;
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let rest = rest.get(blanks.count()..)?;
    (!name.is_empty() && rest.starts_with(b":")).then_some((name, rest))
}

#[cfg(test)]
mod tests;
