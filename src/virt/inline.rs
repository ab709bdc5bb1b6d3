//! `inline:{key=value, ...}`: a table whose entries are in its name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, ErrorKind, Result, masked, with_cause};
use crate::key::Fold;
use crate::source::{braces, file_value, is_blank, trim, trim_start};
use crate::table::options::OpenOptions;
use crate::table::traits::{Listing, Table};

/// A table whose entries are in its name.
///
/// An item is `key=value` without blanks, or `{ key = value }` with any. A key with blanks or an
/// equals sign stands in double quotes, which are part of it, or has a backslash before them, which
/// is too. Of two items with one key the last counts.
#[derive(Debug)]
pub struct InlineTable {
    title: String,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    fold: Fold,
    utf8: bool,
}

impl InlineTable {
    /// The table `inline:name`.
    ///
    /// # Errors
    ///
    /// `Spec` when `name` is not a list of entries in braces, or with `utf8` not UTF-8, or when the
    /// files cannot be read that are its values with `file_values`.
    pub fn new(name: &OsStr, options: &OpenOptions) -> Result<InlineTable> {
        let title = format!("inline:{}", masked(name));
        let need = |noun: &str, reason: &str| {
            let what = format!("{reason}: \"{title}\"; need \"inline:{{name={noun}...}}\"");
            Error::new(ErrorKind::Spec { what })
        };
        // Names of files are not thought of until there is an item.
        let malformed = |reason: &str| need("value", reason);
        let wrong = |reason: &str| match options.file_values {
            true => need("filename", reason),
            false => need("value", reason),
        };
        let list = braces::inside(name.as_bytes())
            .filter(|list| !list.is_empty())
            .ok_or_else(|| malformed("bad syntax"))?;
        if options.utf8 && std::str::from_utf8(list).is_err() {
            return Err(malformed("bad UTF-8 syntax"));
        }
        let mut entries = BTreeMap::new();
        for item in braces::items(list) {
            let (key, value) = entry(item).map_err(|reason| wrong(&reason))?;
            let value = match options.file_values {
                true => file_value::encode_files(value).map_err(|e| wrong(&with_cause(&e)))?,
                false => value.to_vec(),
            };
            entries.insert(options.fold.fold(key).into_owned(), value);
        }
        if entries.is_empty() {
            return Err(wrong("empty table"));
        }
        Ok(InlineTable {
            title,
            entries,
            fold: options.fold,
            utf8: options.utf8,
        })
    }
}

/// Key and value of an item.
fn entry(item: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let text = match braces::closing(item) {
        _ if !item.starts_with(b"{") => item,
        Some(end) if end + 1 == item.len() => trim(item.get(1..end).unwrap_or_default()),
        _ => {
            let shown = masked(OsStr::from_bytes(item));
            return Err(format!("syntax error after '}}' in \"{shown}\""));
        }
    };
    if text.is_empty() {
        return Err("no key found; expected format: key = value".into());
    }
    let key_len = key_len(text).ok_or("unbalanced '\"'")?;
    let (key, rest) = text.split_at_checked(key_len).unwrap_or((text, &[]));
    match trim_start(rest) {
        [b'=', value @ ..] => Ok((key, trim_start(value))),
        _ => Err("missing '=' after attribute name".into()),
    }
}

/// The length of the key that `text` begins with, or `None` when a quote is still open at the end.
fn key_len(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => quoted = !quoted,
            byte if !quoted && (byte == b'=' || is_blank(byte)) => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

impl Table for InlineTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        if self.utf8 && std::str::from_utf8(key).is_err() {
            return Ok(None);
        }
        let value = self.entries.get(&*self.fold.fold(key));
        Ok(value.map(|value| Cow::Borrowed(value.as_slice())))
    }

    /// In the order of the keys.
    fn iter(&self) -> Result<Listing<'_>> {
        let pairs = self.entries.iter();
        Ok(Box::new(pairs.map(|(key, value)| {
            Ok((
                Cow::Borrowed(key.as_slice()),
                Cow::Borrowed(value.as_slice()),
            ))
        })))
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str) -> Result<InlineTable> {
        InlineTable::new(OsStr::new(name), &OpenOptions::default())
    }

    #[test]
    fn items_are_read_as_postmap_reads_them() {
        for (name, key, value) in [
            ("{a=1, B=2}", "a", Some("1")),
            ("{a=1, B=2}", "b", Some("2")),
            ("{a=1, B=2}", "B", Some("2")),
            ("{a=1 a=2}", "a", Some("2")),
            ("{a=1}", "c", None),
            ("{ {k = two words}, }", "k", Some("two words")),
            ("{a=}", "a", Some("")),
            ("{=v}", "", Some("v")),
            ("{ { = v } }", "", Some("v")),
            ("{{\"x y\" = 3}}", "\"x y\"", Some("3")),
            ("{{a\\ b = c}}", "a\\ b", Some("c")),
            ("{a\\=b=c}", "a\\=b", Some("c")),
            ("{a=b=c}", "a", Some("b=c")),
            ("{a==1}", "a", Some("=1")),
            ("{{a== 1}}", "a", Some("= 1")),
            ("{a={1 2}}", "a", Some("{1 2}")),
            ("{a=x{1, 2}y}", "a", Some("x{1, 2}y")),
            ("{{{a}=1}}", "{a}", Some("1")),
            ("{{a =1 2  3 }}", "a", Some("1 2  3")),
            ("{\u{c4}=1}", "\u{e4}", Some("1")),
        ] {
            let table = open(name).unwrap();
            let found = table.lookup(key.as_bytes()).unwrap();
            assert_eq!(found.as_deref(), value.map(str::as_bytes), "{name} {key}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_postmap_says_it() {
        for (name, reason) in [
            ("{}", "bad syntax"),
            ("a=1", "bad syntax"),
            ("{a=1", "bad syntax"),
            ("{a=1}x", "bad syntax"),
            (" {a=1}", "bad syntax"),
            ("{a=1}}", "bad syntax"),
            ("{a}", "missing '=' after attribute name"),
            ("{a =1}", "missing '=' after attribute name"),
            ("{{a b = c}}", "missing '=' after attribute name"),
            ("{,}", "empty table"),
            ("{ }", "empty table"),
            ("{{}}", "no key found; expected format: key = value"),
            ("{{},a=1}", "no key found; expected format: key = value"),
            ("{\"a=1}", "unbalanced '\"'"),
            ("{{a=1}x}", "syntax error after '}' in \"{a=1}x\""),
            ("{{a}=1}", "syntax error after '}' in \"{a}=1\""),
        ] {
            let text = open(name).unwrap_err().to_string();
            let whole = format!("{reason}: \"inline:{name}\"; need \"inline:{{name=value...}}\"");
            assert_eq!(text, whole);
        }
        let malformed = OsStr::from_bytes(b"{a=\xff}");
        assert!(InlineTable::new(malformed, &OpenOptions::default()).is_err());
    }

    #[test]
    fn entries_are_listed() {
        let table = open("{b=1,a=2}").unwrap();
        let pairs: Vec<_> = table.iter().unwrap().map(|pair| pair.unwrap()).collect();
        let pair = |key: &'static str, value: &'static str| {
            (Cow::from(key.as_bytes()), Cow::from(value.as_bytes()))
        };
        assert_eq!(pairs, [pair("a", "2"), pair("b", "1")]);
    }
}
