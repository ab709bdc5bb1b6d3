//! `static:value`: a table with one answer for every key.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::checked;
use crate::error::{Error, ErrorKind, Result, masked};
use crate::source::{braces, file_value, trim};
use crate::table::options::OpenOptions;
use crate::table::traits::Table;

/// A table with one answer for every key.
#[derive(Debug)]
pub struct StaticTable {
    title: String,
    value: Vec<u8>,
    utf8: bool,
}

impl StaticTable {
    /// The table `static:name`. The answer is `name`, or what stands between the braces of
    /// `{ text }` without the blanks around it. With `file_values` these are names of files, and
    /// the answer is what the files hold, as base64.
    ///
    /// # Errors
    ///
    /// `Spec` when `name` begins with a brace and is not `{text}`; with `file_values` as
    /// [`file_value::encode_files`].
    pub fn new(name: &OsStr, options: &OpenOptions) -> Result<StaticTable> {
        let title = format!("static:{}", masked(name));
        let value = match name.as_bytes() {
            text if text.starts_with(b"{") => braced(text).map_err(|reason| {
                let what = format!("bad static:name syntax: {reason} \"{}\"", masked(name));
                Error::new(ErrorKind::Spec { what })
            })?,
            text => text,
        };
        Ok(StaticTable {
            title,
            value: match options.file_values {
                true => file_value::encode_files(value)?,
                false => value.to_vec(),
            },
            utf8: options.utf8,
        })
    }
}

/// What stands between the brace that `text` begins with and the one that closes it.
fn braced(text: &[u8]) -> Result<&[u8], &'static str> {
    match braces::inside(text) {
        Some(inside) => Ok(trim(inside)),
        None if braces::closing(text).is_some() => Err("syntax error after '}' in"),
        None => Err("missing '}' in"),
    }
}

impl Table for StaticTable {
    fn lookup(&self, _key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        checked(Cow::Borrowed(&self.value), self.utf8)
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_the_blanks_in_them_are_not_part_of_the_answer() {
        for (name, answer) in [
            ("answer", Some("answer")),
            ("a:b", Some("a:b")),
            ("{ some words }", Some("some words")),
            ("{a{b}}", Some("a{b}")),
            ("{}", Some("")),
            ("a}", Some("a}")),
            ("{a}b", None),
            ("{a} ", None),
            ("{a", None),
        ] {
            let table = StaticTable::new(OsStr::new(name), &OpenOptions::default());
            match answer {
                Some(answer) => {
                    let table = table.unwrap();
                    let value = table.lookup(b"any").unwrap().unwrap();
                    assert_eq!(*value, *answer.as_bytes(), "{name}");
                }
                None => assert!(table.is_err(), "{name}"),
            }
        }
    }

    #[test]
    fn files_are_read_when_the_table_is_opened() {
        let options = OpenOptions {
            file_values: true,
            ..OpenOptions::default()
        };
        let of_files = |name| StaticTable::new(OsStr::new(name), &options);
        let table = of_files("{ /dev/null, /dev/null }").unwrap();
        assert_eq!(*table.lookup(b"any").unwrap().unwrap(), *b"Cg==");
        assert!(of_files("/nonexistent/a").is_err());
    }
}
