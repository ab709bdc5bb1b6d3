//! main.cf: the parameters that table tools read.
//!
//! The file is read by the rules of logical lines ([`crate::source::lines`]), each being
//! `name = value`; `$name` in values is expanded when they are asked for, and then they are
//! checked; a mistake elsewhere in the file harms nobody, unlike in the original, which validates
//! everything first.
//!
//! Nothing here looks at the environment or knows a compiled-in path: the caller says where
//! main.cf is. And nothing waits: the original sleeps until main.cf is a second old.

mod defaults;
mod expand;
mod import;
mod level;
mod limits;
mod typed;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::source::{LogicalLine, LogicalLines, is_blank, trim};

use expand::Failure;
pub use level::CompatibilityLevel;

/// The parameters of one main.cf, and defaults for what it does not set.
///
/// Accessors take a `warn` callback for what the original prints before a fatal error; texts
/// are raw bytes and can hold anything that main.cf holds.
///
/// [`Config::default`] is for programs without any main.cf: the table type is `hash` and UTF-8
/// support is **on**. With a main.cf that sets neither, UTF-8 support is **off**, because an
/// unset `compatibility_level` is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Those that were set; the others are in a table.
    defaults: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Default for Config {
    fn default() -> Config {
        let mut config = Config::without_values();
        config.set_default("smtputf8_enable", "yes");
        config
    }
}

impl Config {
    /// What an empty main.cf is.
    fn without_values() -> Config {
        Config {
            values: BTreeMap::new(),
            defaults: BTreeMap::new(),
        }
    }

    /// Reads `<dir>/main.cf`.
    ///
    /// The parameter `config_directory` is `dir` from the start, as in the original.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the file is missing or cannot be read. [`ErrorKind::Config`], with
    /// file and line in its text, for a line that is not `name = value`.
    pub fn load(dir: &Path, warn: &mut dyn FnMut(Vec<u8>)) -> Result<Config> {
        // Not `join`: the directory `""` means the root, and `c/` is shown as `c//main.cf`.
        let mut path = OsString::from(dir);
        path.push("/main.cf");
        let path = PathBuf::from(path);
        let file = File::open(&path).map_err(|error| Error::io("open", &path, error))?;
        let mut config = Config::without_values();
        config.values.insert(
            b"config_directory".to_vec(),
            dir.as_os_str().as_bytes().to_vec(),
        );
        config.read(&path, file, warn)?;
        Ok(config)
    }

    /// Reads the text of a main.cf that messages call `name`.
    ///
    /// # Errors
    ///
    /// As [`Config::load`], but for a missing file.
    pub fn from_reader(
        name: &Path,
        reader: impl Read,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<Config> {
        let mut config = Config::without_values();
        config.read(name, reader, warn)?;
        Ok(config)
    }

    fn read(
        &mut self,
        path: &Path,
        reader: impl Read,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<()> {
        let mut lines = LogicalLines::of_short(path, reader);
        while let Some(line) = lines.next_line(&mut |warning| warn(warning.message()))? {
            let at = |what: &[u8]| {
                let line_no = format!(", line {}: ", line.first);
                [path.as_os_str().as_bytes(), line_no.as_bytes(), what].concat()
            };
            let (name, value) =
                parameter(line).map_err(|what| config_error(&at(what.as_bytes()), line.text))?;
            let old = self.values.insert(name.to_vec(), value.to_vec());
            if let Some(old) = old
                && old != value
            {
                let what = [b"overriding earlier entry: ", name, b"=", &old].concat();
                warn(at(&what));
            }
        }
        Ok(())
    }

    /// Says what `name` is when main.cf does not set it. The value is expanded when used.
    pub fn set_default(&mut self, name: &str, value: &str) {
        self.defaults.insert(name.into(), value.into());
    }

    /// Whether main.cf sets `name`, be it to nothing.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name.as_bytes())
    }

    fn raw(&self, name: &[u8]) -> Option<&[u8]> {
        let value = self.values.get(name).or_else(|| self.defaults.get(name));
        value
            .map(Vec::as_slice)
            .or_else(|| defaults::default_of(name))
    }

    /// The expanded value of `name`; empty when it is neither set nor has a default.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it cannot be expanded; `warn` then got the reason.
    pub fn text(&self, name: &str, warn: &mut dyn FnMut(Vec<u8>)) -> Result<Vec<u8>> {
        let raw = self.raw(name.as_bytes()).unwrap_or_default();
        expand::expand(raw, |name| self.raw(name)).map_err(|failure| match failure {
            Failure::Syntax(reason) => {
                warn(reason);
                config_error(b"dictionary mail_dict: macro processing error", None)
            }
            Failure::Number(digits) => config_error(
                &[b"mac_exp_eval: bad conversion: ", &*digits].concat(),
                None,
            ),
        })
    }

    /// `compatibility_level`: how old the defaults are that the file was written for.
    pub fn compatibility_level(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<CompatibilityLevel> {
        let text = self.text("compatibility_level", warn)?;
        CompatibilityLevel::parse(&text)
            .ok_or_else(|| config_error(b"malformed compatibility level syntax: ", &*text))
    }

    /// `smtputf8_enable`: whether keys and values are UTF-8. When the file does not say, yes
    /// from compatibility level 1 on.
    ///
    /// A malformed `compatibility_level` is an error even when it does not matter, as in the
    /// original, which looks at that one first.
    pub fn smtputf8_enable(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<bool> {
        self.compatibility_level(warn)?;
        let name = "smtputf8_enable";
        let text = self.text(name, warn)?;
        if text.eq_ignore_ascii_case(b"yes") {
            Ok(true)
        } else if text.eq_ignore_ascii_case(b"no") {
            Ok(false)
        } else {
            let what = format!("bad boolean configuration: {name} = ");
            Err(config_error(&[what.as_bytes(), &text].concat(), None))
        }
    }

    /// `default_database_type`: the type of a table that is named without one; never empty.
    pub fn default_database_type(&self, warn: &mut dyn FnMut(Vec<u8>)) -> Result<String> {
        let text = self.non_empty("default_database_type", warn)?;
        Ok(shown(&text))
    }

    /// The expanded value of a parameter that must not be empty.
    ///
    /// # Errors
    ///
    /// As [`Config::text`]; [`ErrorKind::Config`] for an empty value.
    pub fn non_empty(&self, name: &str, warn: &mut dyn FnMut(Vec<u8>)) -> Result<Vec<u8>> {
        let text = self.text(name, warn)?;
        if text.is_empty() {
            let what = format!("bad string length 0 < 1: {name} = ");
            return Err(config_error(what.as_bytes(), None));
        }
        Ok(text)
    }
}

/// Splits `name = value`.
fn parameter<'a>(line: LogicalLine<'a>) -> Result<(&'a [u8], &'a [u8]), &'static str> {
    let end = line.text.iter().position(|&b| is_blank(b) || b == b'=');
    let (name, rest) = end
        .and_then(|end| line.text.split_at_checked(end))
        .unwrap_or((line.text, &[]));
    if name.is_empty() {
        return Err("missing attribute name: ");
    }
    match trim(rest).strip_prefix(b"=") {
        Some(value) => Ok((name, trim(value))),
        None => Err("missing '=' after attribute name: "),
    }
}

/// An error with the text `what`, followed by `quoted` in quotes if there is any.
fn config_error<'a>(what: &[u8], quoted: impl Into<Option<&'a [u8]>>) -> Error {
    let mut text = what.to_vec();
    if let Some(quoted) = quoted.into() {
        text.push(b'"');
        text.extend_from_slice(quoted);
        text.push(b'"');
    }
    Error::new(ErrorKind::Config { what: shown(&text) })
}

/// `bytes` as text, with a question mark for each byte that is not: what a message shows.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

#[cfg(test)]
mod tests;
