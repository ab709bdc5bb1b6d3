//! The text of rules: a file, or `{{rule}, {rule}}` in the place of its name; and what is said of
//! its lines.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, ErrorKind, Result, masked};
use crate::source::{LineNo, LogicalLines, is_blank, trim};

/// Tells what is wrong with lines.
pub(super) struct Teller<'w> {
    /// The type of table.
    type_name: &'static str,
    /// The name of the table.
    name: &'w [u8],
    warn: &'w mut dyn FnMut(Vec<u8>),
}

impl Teller<'_> {
    /// `regexp map NAME, line 3: TEXT`.
    pub(super) fn line(&mut self, line: LineNo, parts: &[&[u8]]) {
        let before = format!("{} map ", self.type_name);
        let between = format!(", line {line}: ");
        let mut text = [before.as_bytes(), self.name, between.as_bytes()].concat();
        text.extend(parts.concat());
        (self.warn)(text);
    }

    /// The parts, and nothing before them.
    pub(super) fn plain(&mut self, parts: &[&[u8]]) {
        (self.warn)(parts.concat());
    }
}

/// Whoever makes rules of lines.
pub(super) trait TakeLines {
    /// A logical line, without the blanks at its end.
    fn line(&mut self, line: LineNo, text: &[u8], tell: &mut Teller<'_>);

    /// There are no more lines.
    fn end(&mut self, tell: &mut Teller<'_>);
}

/// Hands out the logical lines of the table `type_name:name`; or those of `text`, if that is
/// given.
///
/// # Errors
///
/// `Io` when there is no such file or it cannot be read, `Spec` when a name that begins with a
/// brace is not `{{rule}, {rule}}`.
pub(super) fn read_lines(
    type_name: &'static str,
    name: &OsStr,
    text: Option<&mut dyn Read>,
    warn: &mut dyn FnMut(Vec<u8>),
    taker: &mut dyn TakeLines,
) -> Result<()> {
    if let Some(text) = text {
        return hand_out(type_name, name, text, warn, taker);
    }
    if name.as_bytes().starts_with(b"{") {
        let text = inline_rules(name.as_bytes()).map_err(|(what, quoted)| {
            let quoted = masked(OsStr::from_bytes(quoted));
            let what = format!("{type_name} map: {what} in \"{quoted}\"");
            Error::new(ErrorKind::Spec { what })
        })?;
        return hand_out(type_name, name, &mut Cursor::new(text), warn, taker);
    }
    let mut file = File::open(name).map_err(|error| Error::io("open", name, error))?;
    hand_out(type_name, name, &mut file, warn, taker)
}

fn hand_out(
    type_name: &'static str,
    name: &OsStr,
    text: &mut dyn Read,
    warn: &mut dyn FnMut(Vec<u8>),
    taker: &mut dyn TakeLines,
) -> Result<()> {
    let mut lines = LogicalLines::new(name, text);
    loop {
        let next = lines.next_line(&mut |warning| warn(warning.message()));
        let Some(next) = next.map_err(|error| error.in_rules(type_name))? else {
            break;
        };
        let mut tell = Teller {
            type_name,
            name: name.as_bytes(),
            warn: &mut *warn,
        };
        // No logical line begins with a blank.
        taker.line(next.first, trim(next.text), &mut tell);
    }
    taker.end(&mut Teller {
        type_name,
        name: name.as_bytes(),
        warn,
    });
    Ok(())
}

/// The rules of `{{rule}, {rule}}`, one to a line; else what is wrong, and with what.
fn inline_rules(name: &[u8]) -> Result<Vec<u8>, (&'static str, &[u8])> {
    let mut text = Vec::new();
    let mut rest = braced(name)?;
    loop {
        let skipped = rest.iter().take_while(|byte| is_separator(**byte)).count();
        rest = rest.get(skipped..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(text);
        }
        let (word, behind) = rest.split_at_checked(word_len(rest)).unwrap_or((rest, &[]));
        text.extend_from_slice(trim(braced(word)?));
        text.push(b'\n');
        rest = behind;
    }
}

fn is_separator(byte: u8) -> bool {
    byte == b',' || is_blank(byte)
}

/// The length of what stands before the first separator that is not between braces.
fn word_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            byte if depth == 0 && is_separator(byte) => return at,
            _ => {}
        }
    }
    text.len()
}

/// What stands between the brace that `text` begins with and the one that ends it.
fn braced(text: &[u8]) -> Result<&[u8], (&'static str, &[u8])> {
    if !text.starts_with(b"{") {
        return Err(("no '{' at start of text", text));
    }
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if at + 1 == text.len() {
                Ok(text.get(1..at).unwrap_or_default())
            } else {
                Err(("syntax error after '}'", text))
            };
        }
    }
    Err(("missing '}'", text))
}

/// `text` behind the word `keyword`, in any case, which an end, a blank or any byte that is
/// neither letter nor digit must follow.
pub(super) fn behind_keyword<'t>(text: &'t [u8], keyword: &[u8]) -> Option<&'t [u8]> {
    let (word, behind) = text.split_at_checked(keyword.len())?;
    let ends = !behind.first().is_some_and(u8::is_ascii_alphanumeric);
    (word.eq_ignore_ascii_case(keyword) && ends).then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_between_braces_are_lines() {
        for (name, expect) in [
            ("{}", Ok("")),
            ("{ , }", Ok("")),
            ("{{}}", Ok("\n")),
            ("{{/a/ 1}}", Ok("/a/ 1\n")),
            ("{ { /a/ 1 }, {/b/ {2}},}", Ok("/a/ 1\n/b/ {2}\n")),
            ("{/a/}", Err(("no '{' at start of text", "/a/"))),
            ("{", Err(("missing '}'", "{"))),
            ("{{/a/ 1}", Err(("missing '}'", "{{/a/ 1}"))),
            ("{{a}} ", Err(("syntax error after '}'", "{{a}} "))),
            ("{{a}b c}", Err(("syntax error after '}'", "{a}b"))),
            ("{{a}{b}}", Err(("syntax error after '}'", "{a}{b}"))),
        ] {
            let expect = expect
                .map(|text| text.as_bytes().to_vec())
                .map_err(|(what, quoted)| (what, quoted.as_bytes()));
            assert_eq!(inline_rules(name.as_bytes()), expect, "{name}");
        }
    }

    #[test]
    fn keywords_end_where_no_letter_or_digit_follows() {
        for (text, behind) in [
            ("if", Some("")),
            ("IF /a/", Some(" /a/")),
            ("If/a/", Some("/a/")),
            ("if_", Some("_")),
            ("ifa", None),
            ("if1", None),
            ("i", None),
        ] {
            let found = behind_keyword(text.as_bytes(), b"if");
            assert_eq!(found, behind.map(str::as_bytes), "{text}");
        }
    }
}
