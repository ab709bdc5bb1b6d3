//! `name: value` sources, as `postalias` reads them: aliases(5).
//!
//! A logical line is taken apart as RFC 822 takes apart an address, and put together again; what
//! is stored is not what was written:
//!
//! | token | written | name | value |
//! |---|---|---|---|
//! | atom | `back\ slash`, `plain` | without backslashes | in quotes if it needs them |
//! | quoted string | `"two words"` | without quotes and backslashes | `"two words"` |
//! | domain literal | `[10.0.0.1]` | in brackets, without backslashes | in brackets, `\\` for a backslash |
//! | comment | `(a (nested) one)` | as it is | as it is |
//! | operator | one of `OPERATORS` | as it is | as it is, `,` with a space behind it |
//!
//! Two neighbours have one space between them when neither is an operator; `<` has one before it
//! unless it comes first or behind a comma.
//! A token that is not closed ends at the end of the line; a string and a literal are closed then,
//! a comment is not.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Entry, EntrySource, LogicalLines, Mark, Warning, WarningKind};
use crate::error::Result;

/// The bytes that end an atom and stand for themselves, or begin a token of another kind.
const OPERATORS: &[u8] = b"|%!()<>@,;:\\\".[]";

/// Reads the entries of an aliases(5) source.
///
/// The name is what stands before the first colon, which must be neither in quotes nor in a
/// comment nor behind a backslash.
///
/// ```
/// use rpostmap::source::AliasSource;
///
/// let text = b"# people\npostmaster: root,  \"|/usr/bin/tell me\"\n\"two words\" : you\n";
/// let mut source = AliasSource::new("aliases", text.as_slice(), true);
/// let mut entries = Vec::new();
/// while let Some(entry) = source.next_entry(&mut |warning| panic!("{warning}"))? {
///     entries.push((entry.key.to_vec(), entry.value.to_vec()));
/// }
/// assert_eq!(
///     entries,
///     [
///         (b"postmaster".to_vec(), b"root, \"|/usr/bin/tell me\"".to_vec()),
///         (b"two words".to_vec(), b"you".to_vec()),
///     ]
/// );
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct AliasSource<R> {
    lines: LogicalLines<R>,
    utf8: bool,
    key: Vec<u8>,
    value: Vec<u8>,
    /// The text of the token at hand.
    token: Vec<u8>,
    marks: Vec<Mark>,
}

impl<R: Read> AliasSource<R> {
    /// Reads from `reader`, which messages call `name`. With `utf8`, lines that are not UTF-8
    /// are dropped with a warning; without, every byte is welcome.
    pub fn new(name: impl Into<PathBuf>, reader: R, utf8: bool) -> Self {
        AliasSource {
            lines: LogicalLines::new(name, reader),
            utf8,
            key: Vec::new(),
            value: Vec::new(),
            token: Vec::new(),
            // Tells sendmail and NIS that the table is complete.
            marks: vec![Mark {
                key: b"@".to_vec(),
                value: b"@".to_vec(),
                verbatim: false,
            }],
        }
    }

    /// Adds the marks that NIS wants: `YP_LAST_MODIFIED`, `modified` in seconds since 1970, and
    /// `YP_MASTER_NAME`, the host name `master`.
    pub fn with_nis_marks(mut self, modified: SystemTime, master: &[u8]) -> Self {
        let seconds = modified
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        let marks = [
            (&b"YP_LAST_MODIFIED"[..], format!("{seconds:010}").into()),
            (b"YP_MASTER_NAME", master.to_vec()),
        ];
        self.marks.extend(marks.map(|(key, value)| Mark {
            key: key.to_vec(),
            value,
            verbatim: true,
        }));
        self
    }

    /// What messages call the source.
    pub fn name(&self) -> &Path {
        self.lines.name()
    }

    /// The next entry in file order, or `None` at the end. Its key and value may be empty: `"": x`
    /// and `x: \` are entries.
    ///
    /// Each logical line that yields no entry is reported through `warn`, before the entry
    /// behind it is returned. The only error is that of reading.
    pub fn next_entry(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<Entry<'_>>> {
        loop {
            let Some((first, last)) = self.lines.advance(warn)? else {
                return Ok(None);
            };
            match self.split_line() {
                Ok(true) => {
                    return Ok(Some(Entry {
                        key: &self.key,
                        value: &self.value,
                        line: first,
                    }));
                }
                Ok(false) => {}
                Err(kind) => warn(self.lines.warning(first, last, kind)),
            }
        }
    }

    /// Takes the line at hand apart into `key` and `value`; `false` when it holds no token. The
    /// checks come in the order of the original; the first that fails is the one reported.
    fn split_line(&mut self) -> Result<bool, WarningKind> {
        let text = self.lines.text();
        if self.utf8 && std::str::from_utf8(text).is_err() {
            return Err(WarningKind::NotUtf8 {
                text: text.to_vec(),
            });
        }
        self.key.clear();
        self.value.clear();
        let mut tokens = Tokens { rest: text };
        let mut key = Written::new(&mut self.key, Form::Internal);
        let (mut has_comma, mut is_remote, mut has_colon) = (false, false, false);
        while let Some(kind) = tokens.next(&mut self.token) {
            match kind {
                Kind::Operator(b':') => {
                    has_colon = true;
                    break;
                }
                Kind::Operator(b',') => has_comma = true,
                Kind::Operator(b'@' | b'%') => is_remote = true,
                _ => {}
            }
            key.push(kind, &self.token);
        }
        let has_key = key.last.is_some();
        if !has_key && !has_colon {
            return Ok(false);
        }
        let mut value = Written::new(&mut self.value, Form::External);
        while let Some(kind) = tokens.next(&mut self.token) {
            value.push(kind, &self.token);
        }
        if !has_key || value.last.is_none() || has_comma {
            return Err(WarningKind::NoNameValue);
        }
        if is_remote {
            return Err(WarningKind::NameNotLocal);
        }
        Ok(true)
    }
}

impl<R: Read> EntrySource for AliasSource<R> {
    fn next_entry(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<Entry<'_>>> {
        AliasSource::next_entry(self, warn)
    }

    fn marks(&self) -> &[Mark] {
        &self.marks
    }
}

/// What a token is. Its text is kept apart: without quotes, brackets and backslashes, except in a
/// comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Atom,
    QuotedString,
    Literal,
    Comment,
    Operator(u8),
}

/// The tokens of a line.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl Tokens<'_> {
    /// The next token, whose text becomes that of `text`.
    fn next(&mut self, text: &mut Vec<u8>) -> Option<Kind> {
        text.clear();
        loop {
            match self.take()? {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'"' => {
                    self.quoted_until(b'"', text);
                    return Some(Kind::QuotedString);
                }
                b'[' => {
                    self.quoted_until(b']', text);
                    return Some(Kind::Literal);
                }
                b'(' => {
                    self.comment(text);
                    return Some(Kind::Comment);
                }
                b'\\' => {
                    self.escaped(text);
                    return Some(self.atom(text));
                }
                byte if OPERATORS.contains(&byte) => return Some(Kind::Operator(byte)),
                byte => {
                    text.push(byte);
                    return Some(self.atom(text));
                }
            }
        }
    }

    fn take(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// Appends the byte behind a backslash, if there is one.
    fn escaped(&mut self, text: &mut Vec<u8>) {
        text.extend(self.take().map(without_line_break));
    }

    /// Appends what stands before the next byte `end`, and takes that away.
    fn quoted_until(&mut self, end: u8, text: &mut Vec<u8>) {
        while let Some(byte) = self.take() {
            match byte {
                b'\\' => self.escaped(text),
                byte if byte == end => return,
                byte => text.push(without_line_break(byte)),
            }
        }
    }

    /// Appends the rest of a comment whose parenthesis is taken, and both parentheses.
    fn comment(&mut self, text: &mut Vec<u8>) {
        text.push(b'(');
        let mut depth = 1_usize;
        while let Some(byte) = self.take() {
            text.push(byte);
            match byte {
                b'\\' => text.extend(self.take()),
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Appends the rest of an atom. One that holds what only a string can hold is a string.
    fn atom(&mut self, text: &mut Vec<u8>) -> Kind {
        while let Some(&byte) = self.rest.first() {
            if matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
                || byte != b'\\' && OPERATORS.contains(&byte)
            {
                break;
            }
            self.take();
            match byte {
                b'\\' => self.escaped(text),
                byte => text.push(byte),
            }
        }
        let needs_quotes =
            |&byte: &u8| byte == b' ' || byte.is_ascii_control() || OPERATORS.contains(&byte);
        if text.iter().any(needs_quotes) {
            Kind::QuotedString
        } else {
            Kind::Atom
        }
    }
}

fn without_line_break(byte: u8) -> u8 {
    match byte {
        b'\t' | b'\r' | b'\n' => b' ',
        byte => byte,
    }
}

/// How tokens are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As programs see a name: strings without quotes.
    Internal,
    /// As it could be written in a source.
    External,
}

/// Tokens put together.
struct Written<'a> {
    to: &'a mut Vec<u8>,
    form: Form,
    last: Option<Kind>,
}

impl<'a> Written<'a> {
    fn new(to: &'a mut Vec<u8>, form: Form) -> Written<'a> {
        Written {
            to,
            form,
            last: None,
        }
    }

    fn push(&mut self, kind: Kind, text: &[u8]) {
        let is_word = !matches!(kind, Kind::Operator(_));
        let (after_word, begins) = match self.last {
            None => (false, true),
            Some(Kind::Operator(byte)) => (false, byte == b','),
            Some(_) => (true, false),
        };
        if is_word && after_word || kind == Kind::Operator(b'<') && !begins {
            self.to.push(b' ');
        }
        match kind {
            Kind::QuotedString if self.form == Form::External => {
                self.to.push(b'"');
                self.escaped(text, b"\"\\");
                self.to.push(b'"');
            }
            Kind::Literal => {
                self.to.push(b'[');
                let special: &[u8] = match self.form {
                    Form::Internal => b"",
                    Form::External => b"\\",
                };
                self.escaped(text, special);
                self.to.push(b']');
            }
            Kind::Atom | Kind::Comment | Kind::QuotedString => self.to.extend_from_slice(text),
            // In a name a comma is an error.
            Kind::Operator(b',') => self.to.extend_from_slice(b", "),
            Kind::Operator(byte) => self.to.push(byte),
        }
        self.last = Some(kind);
    }

    /// Appends `text` with a backslash before each byte that is `special`.
    fn escaped(&mut self, text: &[u8], special: &[u8]) {
        for &byte in text {
            if special.contains(&byte) {
                self.to.push(b'\\');
            }
            self.to.push(byte);
        }
    }
}

#[cfg(test)]
mod tests;
