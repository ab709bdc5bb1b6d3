//! The value of a `Content-Type:` header: tokens as RFC 2045 has them, read as the original does.

use std::borrow::Cow;

use super::boundary::PartType;

/// What the text behind the separator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentType {
    /// Nothing to look into.
    Text,
    /// A message with headers of its own.
    Message,
    /// Parts between boundaries, and what they are unless they say otherwise.
    Multipart {
        /// The type of the parts.
        parts: PartType,
    },
}

impl ContentType {
    /// The type in `value`, which is what stands behind the colon, folded lines and all.
    ///
    /// A multipart needs no subtype; a message without one, or any but `rfc822` and `global`, is
    /// text: parts of a message, for example, need not begin with headers.
    pub(super) fn parse(value: &[u8]) -> ContentType {
        let mut tokens = Tokens(value);
        let main = tokens.next();
        let subtype = match tokens.next() {
            Some(Token::Special(b'/')) => tokens.next(),
            _ => None,
        };
        let is = |token: &Option<Token<'_>>, word| token.as_ref().is_some_and(|t| t.is_word(word));
        if is(&main, "multipart") {
            let parts = match is(&subtype, "digest") {
                true => PartType::Message,
                false => PartType::Text,
            };
            return ContentType::Multipart { parts };
        }
        if is(&main, "message") && (is(&subtype, "rfc822") || is(&subtype, "global")) {
            return ContentType::Message;
        }
        ContentType::Text
    }
}

/// The boundaries among the parameters of a multipart's `value`.
///
/// The name is a bare word; its value is a word, the text of a quoted string, or any single special
/// character but a semicolon. What stands behind that, up to the next semicolon, does not count.
pub(super) fn boundaries(value: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut tokens = Tokens(value);
    std::iter::from_fn(move || {
        loop {
            // The next parameter.
            tokens.find(Token::is_semicolon)?;
            let mut rest = tokens;
            if rest.next().is_some_and(|token| token.is_word("boundary"))
                && let Some(Token::Special(b'=')) = rest.next()
                && let Some(boundary) = rest.next().filter(|token| !token.is_semicolon())
            {
                tokens = rest;
                return Some(boundary.into_text());
            }
        }
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a [u8]),
    /// A quoted string: what stands between the quotes, with backslashes.
    Quoted(&'a [u8]),
    /// Anything that is in no word, a control character too.
    Special(u8),
}

impl<'a> Token<'a> {
    /// Whether this is the bare `word`, in any case.
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(text) if text.eq_ignore_ascii_case(word.as_bytes()))
    }

    fn is_semicolon(&self) -> bool {
        *self == Token::Special(b';')
    }

    fn into_text(self) -> Cow<'a, [u8]> {
        match self {
            Token::Word(text) => Cow::Borrowed(text),
            Token::Quoted(text) => Cow::Owned(unquote(text)),
            Token::Special(byte) => Cow::Owned(vec![byte]),
        }
    }
}

/// Quoted text without its backslashes and without line ends that have none before them.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            b'\n' => {
                if plain.last() == Some(&b'\r') {
                    plain.pop();
                }
            }
            _ => plain.push(byte),
        }
    }
    plain
}

/// The tokens of a text. Blanks and comments, which nest, are none.
#[derive(Clone, Copy)]
struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    /// Takes the bytes before `at`, and drops `skip` behind them.
    fn take(&mut self, at: usize, skip: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(at).unwrap_or((self.0, &[]));
        self.0 = rest.get(skip..).unwrap_or_default();
        taken
    }

    /// Skips a comment whose opening parenthesis is skipped already.
    fn skip_comment(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.take(1, 0) {
                [] => return,
                b"\\" => drop(self.take(1, 0)),
                b"(" => depth += 1,
                b")" => depth -= 1,
                _ => {}
            }
        }
    }

    /// A quoted string whose opening quote is skipped already; the closing one may be missing.
    fn quoted(&mut self) -> &'a [u8] {
        let mut len = 0;
        loop {
            match self.0.get(len) {
                None | Some(b'"') => return self.take(len, 1),
                Some(b'\\') => len += 2,
                Some(_) => len += 1,
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let &first = self.0.first()?;
            if is_word_byte(first) {
                let len = self.0.iter().take_while(|byte| is_word_byte(**byte));
                let len = len.count();
                return Some(Token::Word(self.take(len, 0)));
            }
            self.take(1, 0);
            match first {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'(' => self.skip_comment(),
                b'"' => return Some(Token::Quoted(self.quoted())),
                special => return Some(Token::Special(special)),
            }
        }
    }
}

/// Whether `byte` can be part of a word: not a blank, a control character or a `tspecial`.
fn is_word_byte(byte: u8) -> bool {
    let is_special = b"()<>@,;:\\\"/[]?=".contains(&byte);
    !is_special && !byte.is_ascii_control() && byte != b' '
}
