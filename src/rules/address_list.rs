//! Values that are addresses: a list as in the header of a message.
//!
//! | text | addresses |
//! |---|---|
//! | `a@x, b@y` | two |
//! | `a@x b@y` | two: a comma was forgotten |
//! | `Ann Smith <a@x>` | `a@x` |
//! | `team: a@x, b@y;` | two |
//! | `a@x (comment)` | `a@x` |
//! | `team: a@x` | `team:a@x`, for a group needs its semicolon |
//! | `<>` | the null address |
//!
//! Commands (`|cmd`), files and `:include:` mean nothing here.

use crate::rules::address::External;

/// One word of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// An atom, a quoted string or a `[literal]`, as it is written.
    Word(Vec<u8>),
    /// One of `@ . , : ; < > ! % |`.
    Operator(u8),
}

/// The addresses in `text`, in external form, without comments and names. Empty when there are
/// none.
///
/// Read from its end, as the original does. So a colon is the name of a group only if a semicolon
/// stands behind it, and else a part of an address.
pub fn addresses(text: &[u8]) -> Vec<External<'static>> {
    if crate::source::trim(text) == b"<>" {
        return vec![External::new(Vec::new())];
    }
    let tokens = tokens(text);
    let mut list = List::default();
    let mut in_group = false;
    let mut rest = tokens.as_slice();
    while let Some((token, before)) = rest.split_last() {
        rest = before;
        match token {
            Token::Operator(b',') => list.end(),
            Token::Operator(b';') => {
                list.end();
                in_group = true;
            }
            Token::Operator(b':') if in_group => {
                list.end();
                in_group = false;
                rest = without_name(rest, b",");
            }
            Token::Operator(b'>') => {
                list.end();
                let start = rest
                    .iter()
                    .rposition(|token| *token == Token::Operator(b'<'));
                let inside = rest.get(start.map_or(0, |start| start + 1)..);
                list.found.extend(written(inside.unwrap_or_default()));
                rest = rest.get(..start.unwrap_or(0)).unwrap_or_default();
                rest = without_name(rest, if in_group { b",;>:" } else { b",;>" });
            }
            token => list.add(token),
        }
    }
    list.end();
    list.found.reverse();
    list.found
}

/// `tokens` without the name at their end, which begins behind one of the operators `ends`.
fn without_name<'t>(tokens: &'t [Token], ends: &[u8]) -> &'t [Token] {
    let is_end =
        |token: &Token| matches!(token, Token::Operator(operator) if ends.contains(operator));
    let len = tokens.iter().rposition(is_end).map_or(0, |at| at + 1);
    tokens.get(..len).unwrap_or_default()
}

/// Addresses, the last one first.
#[derive(Default)]
struct List {
    found: Vec<External<'static>>,
    /// What is behind the current token and belongs to the same address, the last token first.
    current: Vec<Token>,
}

impl List {
    fn add(&mut self, token: &Token) {
        // Two words without an operator between them: a comma was forgotten.
        if matches!(
            (token, self.current.last()),
            (Token::Word(_), Some(Token::Word(_)))
        ) {
            self.end();
        }
        self.current.push(token.clone());
    }

    /// Ends the current address.
    fn end(&mut self) {
        self.current.reverse();
        self.found.extend(written(&self.current));
        self.current.clear();
    }
}

/// The tokens as an address, if there are any.
fn written(tokens: &[Token]) -> Option<External<'static>> {
    let mut text = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) => text.extend_from_slice(word),
            Token::Operator(b',') => text.extend_from_slice(b", "),
            Token::Operator(b'<') if !text.is_empty() => text.extend_from_slice(b" <"),
            Token::Operator(operator) => text.push(*operator),
        }
    }
    (!text.is_empty()).then(|| External::new(text))
}

/// Cuts `text` into tokens. White space and comments only separate.
fn tokens(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let (len, end) = match first {
            b if crate::source::is_blank(b) => {
                rest = behind;
                continue;
            }
            b'(' => {
                rest = rest.split_at(comment_len(rest)).1;
                continue;
            }
            b if is_operator(b) => {
                tokens.push(Token::Operator(b));
                rest = behind;
                continue;
            }
            b'"' => delimited_len(rest, b'"'),
            b'[' => delimited_len(rest, b']'),
            _ => (atom_len(rest), None),
        };
        let word;
        (word, rest) = rest.split_at(len);
        let mut word = word.to_vec();
        word.extend(end);
        tokens.push(Token::Word(word));
    }
    tokens
}

fn is_operator(byte: u8) -> bool {
    b"@.,:;<>!%|".contains(&byte)
}

/// The length of the atom that `text` begins with, at least 1.
fn atom_len(text: &[u8]) -> usize {
    let mut protected = false;
    let end = text.iter().skip(1).position(|&byte| {
        let was_protected = std::mem::replace(&mut protected, byte == b'\\');
        let ends = is_operator(byte) || crate::source::is_blank(byte) || b"\"([".contains(&byte);
        if was_protected {
            protected = false;
        }
        ends && !was_protected
    });
    end.map_or(text.len(), |end| end + 1)
}

/// The length of what begins at `text` and ends at the next `end` that no backslash protects, and
/// `end` if it is missing.
fn delimited_len(text: &[u8], end: u8) -> (usize, Option<u8>) {
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, &byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if byte == end {
            return (at + 1, None);
        }
    }
    (text.len(), Some(end))
}

/// The length of the comment that `text` begins with. Comments nest.
fn comment_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Seen with values of virtual_alias_maps in Postfix 3.7.11.
    #[test]
    fn lists_are_read_as_in_headers() {
        for (text, expect) in [
            ("a@x", &["a@x"][..]),
            ("a@x, b@y", &["a@x", "b@y"]),
            ("a@x b@y", &["a@x", "b@y"]),
            ("a@x b@y c", &["a@x", "b@y", "c"]),
            ("a@x,,b@y, ,", &["a@x", "b@y"]),
            ("a;b", &["a", "b"]),
            (";a@b", &["a@b"]),
            ("Ann Smith <a@x>", &["a@x"]),
            ("a@y <b@x>", &["b@x"]),
            ("\"Smith, Ann\" <a@x>, b", &["a@x", "b"]),
            ("<a@x> b@y", &["a@x", "b@y"]),
            ("Ann <a@x> <b@y> c", &["a@x", "b@y", "c"]),
            ("<a> b <c>", &["a", "c"]),
            ("<a@x", &["<a@x"]),
            ("a@x < b@y", &["a@x <b@y"]),
            ("a@x>", &["a@x"]),
            ("a <b <c>>", &["c>"]),
            ("<a@x,b@y>", &["a@x, b@y"]),
            ("team: a@x, b@y; c", &["a@x", "b@y", "c"]),
            ("a ,b : c@x ; d", &["a", "c@x", "d"]),
            ("x y: Ann <a@x>;", &["a@x"]),
            ("team:a;b:c;d", &["c", "d"]),
            ("team:;", &[]),
            ("team: a@x", &["team:a@x"]),
            ("a: b: c", &["a:b:c"]),
            (":include:/x", &[":include:/x"]),
            ("a@x:", &["a@x:"]),
            ("a@x (one, (two)) , b", &["a@x", "b"]),
            ("a . b @ x", &["a.b@x"]),
            ("x.y .z a. .b", &["x.y.z", "a..b"]),
            ("\"a b\"@x", &["\"a b\"@x"]),
            ("\"a@b, c\"@x", &["\"a@b, c\"@x"]),
            ("\"a\"\"b\"@c", &["\"a\"", "\"b\"@c"]),
            ("a@[192.0.2.1]", &["a@[192.0.2.1]"]),
            ("[x]y", &["[x]", "y"]),
            ("[a", &["[a]"]),
            ("\"a", &["\"a\""]),
            ("<>", &[""]),
            ("Ann <>", &[]),
            ("", &[]),
            (" , ", &[]),
            ("(all)", &[]),
            ("(open", &[]),
            ("|cmd arg", &["|cmd", "arg"]),
            ("a\\ b@x", &["a\\ b@x"]),
            ("a@", &["a@"]),
            ("@x", &["@x"]),
            ("@a:b@c", &["@a:b@c"]),
            ("a%b!c@d", &["a%b!c@d"]),
            ("/file/name", &["/file/name"]),
        ] {
            let found: Vec<_> = addresses(text.as_bytes());
            let found: Vec<_> = found.iter().map(External::as_bytes).collect();
            let expect: Vec<_> = expect.iter().map(|address| address.as_bytes()).collect();
            assert_eq!(found, expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_address_is_read_back(local in r#"[a ."\\@+<(,-]{1,8}"#) {
            use crate::rules::address::Internal;
            let address = Internal::new([local.as_bytes(), b"@x.example"].concat());
            let read = addresses(address.quote().as_bytes());
            prop_assert_eq!(read, [address.quote()]);
        }

        #[test]
        fn any_text_is_some_list(text in r#"[a@.,:;<>()"\[\]\\ ]{0,20}"#) {
            prop_assert!(addresses(text.as_bytes()).len() <= text.len());
        }
    }
}
