//! The one error type: what went wrong, where, and whether trying again can help.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong and where. One machine word, so that `Result` stays small.
///
/// `Display` is one line without the cause; the cause is [`std::error::Error::source`].
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    path: Option<PathBuf>,
    /// The type of table that `path` has the rules of.
    rules_of: Option<&'static str>,
    source: Option<io::Error>,
}

/// The kinds of failure, for programs that act on them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused `action` ("open", "read", "rename", ...) on
    /// [`Error::path`]. The cause is the [`io::Error`].
    Io {
        /// What was tried, as one or two words.
        action: &'static str,
    },
    /// The bytes of a table break the rules of its format.
    Corrupt {
        /// The page, counted from 0, when the defect lies in one.
        page: Option<u32>,
        /// The index entry on that page, counted from 0, when it lies in one.
        slot: Option<u16>,
        /// What was expected and what was found.
        what: String,
    },
    /// A well-formed file or request that uses something this crate does not do.
    Unsupported {
        /// The name of the feature.
        what: String,
    },
    /// A `type:name` that cannot be understood, or a type that is not known.
    Spec {
        /// What is wrong with it.
        what: String,
    },
    /// A configuration file, or a value in it, that cannot be understood.
    Config {
        /// What is wrong with it.
        what: String,
    },
    /// A key or a value that does not fit in the format.
    TooLong {
        /// "key", "value" or "table".
        what: &'static str,
        /// Its length in bytes.
        len: u64,
        /// The most that fits, in bytes.
        max: u64,
    },
    /// A key without a single byte, which the format cannot hold.
    EmptyKey,
    /// A value found in a table is not UTF-8 although the table was opened as UTF-8.
    InvalidUtf8 {
        /// The value as stored, without a trailing NUL.
        value: Vec<u8>,
        /// If the table that was asked is made of others: the title of the one that holds the
        /// value, and the key that it was asked for.
        member: Option<(String, Vec<u8>)>,
    },
    /// A table could not tell, for a reason of its own: it stands for a service that is down, or
    /// gave up on a key that takes too long to match.
    Lookup {
        /// The reason.
        reason: String,
    },
    /// The process cannot take another user or group. The cause is the [`io::Error`].
    Identity {
        /// The system call: "seteuid", "setegid", "setgroups", "getgroups".
        call: &'static str,
        /// The user or group id it was asked for.
        id: u32,
    },
    /// A signal asked the program to stop; nothing was changed.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Error {
        Error(Box::new(Inner {
            kind,
            path: None,
            rules_of: None,
            source: None,
        }))
    }

    /// The operating system refused `action` ("open", "read", "write", ...) on `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        Error(Box::new(Inner {
            kind: ErrorKind::Io { action },
            path: Some(path.into()),
            rules_of: None,
            source: Some(source),
        }))
    }

    /// `call` refused to make the process user or group `id`.
    pub(crate) fn identity(call: &'static str, id: u32, source: io::Error) -> Error {
        Error(Box::new(Inner {
            kind: ErrorKind::Identity { call, id },
            path: None,
            rules_of: None,
            source: Some(source),
        }))
    }

    /// A defect that belongs to no single page.
    pub(crate) fn corrupt(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt {
            page: None,
            slot: None,
            what: what.into(),
        })
    }

    /// A defect on page `page`.
    pub(crate) fn corrupt_page(page: u32, what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt {
            page: Some(page),
            slot: None,
            what: what.into(),
        })
    }

    /// A defect in index entry `slot` of page `page`.
    pub(crate) fn corrupt_slot(page: u32, slot: u16, what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt {
            page: Some(page),
            slot: Some(slot),
            what: what.into(),
        })
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsupported { what: what.into() })
    }

    /// The same error, naming the file it was found in unless one is named already.
    pub(crate) fn in_file(mut self, path: &Path) -> Error {
        self.0.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// The same error of the operating system, for another action.
    pub(crate) fn with_action(mut self, new: &'static str) -> Error {
        if let ErrorKind::Io { action } = &mut self.0.kind {
            *action = new;
        }
        self
    }

    /// The same error of the operating system, in the words of tables of rules: its path is the
    /// name of a table of type `type_name`.
    pub(crate) fn in_rules(mut self, type_name: &'static str) -> Error {
        self.0.rules_of = Some(type_name);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The file concerned, when there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The operating system's error, when there is one.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.0.source.as_ref()
    }

    /// The same of a table that is one of those another is made of: it has this title and was
    /// asked for `key`. The innermost is kept.
    pub(crate) fn in_member(mut self, title: impl FnOnce() -> String, key: &[u8]) -> Error {
        if let ErrorKind::InvalidUtf8 { member, .. } = &mut self.0.kind {
            member.get_or_insert_with(|| (title(), key.to_vec()));
        }
        self
    }

    /// Whether the same request can succeed later without a change of the request: the file may
    /// be repaired, rebuilt or become readable. A mail server answers 4xx then, not 5xx.
    pub fn is_temporary(&self) -> bool {
        match self.0.kind {
            ErrorKind::Io { .. }
            | ErrorKind::Corrupt { .. }
            | ErrorKind::InvalidUtf8 { .. }
            | ErrorKind::Lookup { .. }
            | ErrorKind::Identity { .. }
            | ErrorKind::Interrupted { .. } => true,
            ErrorKind::Unsupported { .. }
            | ErrorKind::Spec { .. }
            | ErrorKind::Config { .. }
            | ErrorKind::TooLong { .. }
            | ErrorKind::EmptyKey => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (ErrorKind::Io { action }, Some(path)) = (&self.0.kind, &self.0.path) {
            let path = masked(path);
            return match self.0.rules_of {
                Some(type_name) => write!(f, "{type_name} map {path}: {action} error"),
                None => write!(f, "{action} {path}"),
            };
        }
        if let Some(path) = &self.0.path {
            write!(f, "{}: ", masked(path))?;
        }
        write!(f, "{}", self.0.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Io { action } => f.write_str(action),
            ErrorKind::Corrupt { page, slot, what } => {
                if let Some(page) = page {
                    write!(f, "page {page}")?;
                    if let Some(slot) = slot {
                        write!(f, ", slot {slot}")?;
                    }
                    f.write_str(": ")?;
                }
                f.write_str(what)
            }
            ErrorKind::Unsupported { what }
            | ErrorKind::Spec { what }
            | ErrorKind::Config { what } => f.write_str(what),
            ErrorKind::TooLong { what, len, max } => {
                write!(f, "{what} of {len} bytes is too long, the most is {max}")
            }
            ErrorKind::EmptyKey => f.write_str("key is empty"),
            ErrorKind::InvalidUtf8 { value, .. } => {
                write!(f, "value is not UTF-8: \"{}\"", value.escape_ascii())
            }
            ErrorKind::Lookup { reason } => f.write_str(reason),
            ErrorKind::Identity { call, id } => write!(f, "set_eugid: {call}({id})"),
            ErrorKind::Interrupted { signal } => write!(f, "interrupted by signal {signal}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("path", &self.0.path)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// A name as text: each byte that is not UTF-8 becomes a `?`, as in messages of the original.
pub(crate) fn masked(name: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in name.as_ref().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// The text of an error followed by that of its cause.
pub(crate) fn with_cause(error: &Error) -> String {
    match error.io_error() {
        Some(cause) => format!("{error}: {}", system_text(cause)),
        None => error.to_string(),
    }
}

/// The text of an error of the operating system as the C library has it, without the number that
/// [`io::Error`] adds.
pub(crate) fn system_text(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(number) = error.raw_os_error() {
        let suffix = format!(" (os error {number})");
        text.truncate(text.strip_suffix(&suffix).unwrap_or(&text).len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    use nix::libc;

    #[test]
    fn text_says_where_and_keeps_the_cause_apart() {
        for (error, text) in [
            (
                Error::io("open", "t.db", io::ErrorKind::NotFound.into()),
                "open t.db",
            ),
            (
                Error::io("read", "r", io::ErrorKind::IsADirectory.into()).in_rules("cidr"),
                "cidr map r: read error",
            ),
            (Error::corrupt("no magic"), "no magic"),
            (
                Error::corrupt_slot(17, 3, "item past the page").in_file(Path::new("t.db")),
                "t.db: page 17, slot 3: item past the page",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
        assert!(
            Error::io("read", "x", io::ErrorKind::Other.into())
                .source()
                .is_some()
        );
        assert!(Error::corrupt("x").source().is_none());
    }

    #[test]
    fn each_byte_of_a_name_that_is_no_text_is_a_question_mark() {
        let name = OsStr::from_bytes(b"\xc3\xa4\xff\xe2\x82.db");
        assert_eq!(masked(name), "\u{e4}???.db");
        let error = Error::io("open", name, io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "open \u{e4}???.db");
    }

    #[test]
    fn texts_of_the_system_are_those_of_the_c_library() {
        for (number, text) in [
            (libc::ENOENT, "No such file or directory"),
            (libc::EIO, "Input/output error"),
            (libc::ELOOP, "Too many levels of symbolic links"),
            (libc::ENAMETOOLONG, "File name too long"),
        ] {
            assert_eq!(system_text(&io::Error::from_raw_os_error(number)), text);
        }
        assert_eq!(
            system_text(&io::Error::other("x (os error 5)")),
            "x (os error 5)"
        );
    }

    #[test]
    fn an_error_is_one_word_and_crosses_threads() {
        fn send_sync<T: Send + Sync>() {}
        send_sync::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_damaged_file_is_a_temporary_failure_and_a_bad_name_is_not() {
        assert!(Error::corrupt("x").is_temporary());
        assert!(!Error::new(ErrorKind::Spec { what: "x".into() }).is_temporary());
    }
}
