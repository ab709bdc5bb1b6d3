//! Messages on standard error: `PROG: warning: ...`, `PROG: fatal: ...`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, ErrorKind, masked, system_text, with_cause};
use crate::lmdb::layout::EMPTY;
use crate::table::TableSpec;
use crate::table::file::FileFormat;
use crate::table::options::Log;

/// What the C library of LMDB says of a key that it does not store.
const BAD_KEY: &str =
    "MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size";
/// Which program this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Personality {
    Postmap,
    Postalias,
    Newaliases,
}

impl Personality {
    const ALL: [Personality; 3] = [
        Personality::Postmap,
        Personality::Postalias,
        Personality::Newaliases,
    ];

    fn name(self) -> &'static str {
        match self {
            Personality::Postmap => "postmap",
            Personality::Postalias => "postalias",
            Personality::Newaliases => "newaliases",
        }
    }
}

/// Who is speaking, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Program {
    name: OsString,
    pub(super) personality: Personality,
    /// Called by a name of the original: messages and exit status are the original's.
    pub(super) drop_in: bool,
    /// Whether well-formed UTF-8 is printed as it is.
    pub(super) utf8: bool,
}

/// Why the command ends without success. Printed by [`Program::fatal`].
#[derive(Clone, Debug)]
pub(super) struct Fatal(pub(super) Vec<u8>);

impl<T: Into<Vec<u8>>> From<T> for Fatal {
    fn from(text: T) -> Fatal {
        Fatal(text.into())
    }
}

impl Program {
    /// The program called as `word`, a path or a name.
    pub(super) fn named(word: &OsStr) -> Program {
        let bytes = word.as_bytes();
        let name = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(slash) if slash + 1 < bytes.len() => &bytes[slash + 1..],
            _ => bytes,
        };
        let name = OsStr::from_bytes(name);
        Program::called(name).unwrap_or_else(|| Program {
            name: name.to_owned(),
            personality: Personality::Postmap,
            drop_in: false,
            utf8: false,
        })
    }

    /// The original whose name is `name`.
    pub(super) fn called(name: &OsStr) -> Option<Program> {
        let mut all = Personality::ALL.into_iter();
        all.find(|personality| name == personality.name())
            .map(Program::original)
    }

    /// An original.
    pub(super) fn original(personality: Personality) -> Program {
        Program {
            name: personality.name().into(),
            personality,
            drop_in: true,
            utf8: false,
        }
    }

    /// The name, as messages show it.
    pub(super) fn name(&self) -> String {
        masked(&self.name)
    }

    /// A line of information.
    pub(super) fn info(&self, text: &[u8]) {
        self.line("", text);
    }

    /// Something is odd; the command goes on.
    pub(super) fn warning(&self, text: &[u8]) {
        self.line("warning: ", text);
    }

    /// The command ends.
    pub(super) fn fatal(&self, fatal: &Fatal) {
        self.line("fatal: ", &fatal.0);
    }

    /// Prints what tables of type `debug` tell, as information.
    pub(super) fn log(&self) -> Log {
        let program = self.clone();
        Log::new(move |line| program.info(line))
    }

    fn line(&self, severity: &str, text: &[u8]) {
        let line = [self.name.as_bytes(), b": ", severity.as_bytes(), text].concat();
        let mut line = printable(&line, self.utf8);
        line.push(b'\n');
        // One write, so that lines of several programs do not mix. There is nobody to tell when it
        // fails.
        let _ = io::stderr().write_all(&line);
    }

    /// What kept a table from being opened.
    pub(super) fn open_failure(&self, error: &Error) -> Fatal {
        let path = masked(error.path().unwrap_or(Path::new("")));
        if let Some(reason) = self.cdb_reason(error) {
            return format!("dict_cdbq_open: unable to init {path}: {reason}").into();
        }
        match error.kind() {
            ErrorKind::Io { .. } | ErrorKind::Spec { .. } | ErrorKind::Lookup { .. } => {
                failure(error)
            }
            ErrorKind::Unsupported { .. } if error.path().is_none() => failure(error),
            // What the original says of anything that is not a database.
            kind if self.drop_in => {
                format!("open database {path}: {}", original_reason(&path, kind)).into()
            }
            kind => format!("open database {path}: {kind}").into(),
        }
    }

    /// What kept a table from being made or changed.
    pub(super) fn write_failure(
        &self,
        format: FileFormat,
        spec: &TableSpec,
        error: &Error,
    ) -> Fatal {
        let is_bad_key = matches!(
            error.kind(),
            ErrorKind::TooLong { what: "key", .. } | ErrorKind::EmptyKey
        );
        match (format, error.kind()) {
            (FileFormat::Lmdb, kind) if is_bad_key => {
                let reason = match self.drop_in {
                    true => BAD_KEY.to_string(),
                    false => kind.to_string(),
                };
                format!("error updating {}: {reason}", format.title(spec)).into()
            }
            (FileFormat::Cdb, _) => cdb_write_failure(error),
            _ => failure(error),
        }
    }

    /// What kept a table that is open from being read.
    pub(super) fn read_failure(&self, error: &Error) -> Fatal {
        if let (Some(reason), Some(path)) = (self.cdb_reason(error), error.path()) {
            return format!("error reading {}: {reason}", masked(path)).into();
        }
        match (error.kind(), error.path()) {
            (ErrorKind::Io { .. }, _) | (_, None) => failure(error),
            (kind, Some(path)) => format!("error reading {}: {kind}", masked(path)).into(),
        }
    }
}

/// Why the original cannot open the file `path`, which is no database.
fn original_reason(path: &str, kind: &ErrorKind) -> &'static str {
    match kind {
        _ if !path.ends_with(FileFormat::Lmdb.suffix()) => "Invalid argument",
        ErrorKind::Corrupt { what, .. } if what == EMPTY => "Bad file descriptor",
        _ => "MDB_INVALID: File is not an LMDB file",
    }
}

impl Program {
    /// What the original says of a damaged cdb table, and of a directory in its place, when we are
    /// called by its name.
    fn cdb_reason(&self, error: &Error) -> Option<&'static str> {
        let is_cdb = error.path().is_some_and(is_cdb);
        let io = error.io_error().and_then(std::io::Error::raw_os_error);
        match error.kind() {
            _ if !self.drop_in || !is_cdb => None,
            ErrorKind::Corrupt { .. } => Some("Protocol error"),
            ErrorKind::Io { .. } if io == Some(nix::libc::EISDIR) => Some("No such device"),
            _ => None,
        }
    }

    /// What kept a table from being opened for changes.
    pub(super) fn change_failure(&self, format: FileFormat, error: &Error) -> Fatal {
        match error.kind() {
            ErrorKind::Unsupported { .. } if self.drop_in && format == FileFormat::Cdb => {
                let text = "dict_cdb_open: inappropriate open flags for cdb database - \
                            specify O_RDONLY or O_WRONLY|O_CREAT|O_TRUNC";
                text.into()
            }
            _ => self.open_failure(error),
        }
    }
}

/// What kept a cdb table from being made.
fn cdb_write_failure(error: &Error) -> Fatal {
    let (ErrorKind::Io { action }, Some(path), Some(cause)) = (
        error.kind(),
        error.path().filter(|path| is_cdb(path)),
        error.io_error(),
    ) else {
        return failure(error);
    };
    let (path, cause) = (masked(path), system_text(cause));
    match *action {
        "write" => format!("error writing {path}.tmp: {cause}").into(),
        "rename" => format!("rename database from {path}.tmp to {path}: {cause}").into(),
        _ => failure(error),
    }
}

/// Whether `path` is that of a cdb table: files of other formats have other suffixes.
fn is_cdb(path: &Path) -> bool {
    let suffix = FileFormat::Cdb.suffix().as_bytes();
    path.as_os_str().as_bytes().ends_with(suffix)
}

/// The text of an error with its cause, as the C library words it.
pub(super) fn failure(error: &Error) -> Fatal {
    with_cause(error).into()
}

/// `text` with every byte replaced by `?` that is not printable ASCII, or with `utf8` not part of
/// a well-formed character beyond ASCII.
fn printable(text: &[u8], utf8: bool) -> Vec<u8> {
    let mut shown = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                ' '..='~' => shown.push(c as u8),
                c if c.is_ascii() => shown.push(b'?'),
                c if utf8 => shown.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => shown.extend(std::iter::repeat_n(b'?', c.len_utf8())),
            }
        }
        shown.extend(std::iter::repeat_n(b'?', chunk.invalid().len()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_stands_behind_the_last_slash() {
        for (word, name, drop_in) in [
            ("postmap", "postmap", true),
            ("/usr/sbin/postmap", "postmap", true),
            ("./rpostmap", "rpostmap", false),
            ("bin/newaliases", "newaliases", true),
            ("postalias.old", "postalias.old", false),
            ("bin/", "bin/", false),
            ("", "", false),
        ] {
            let program = Program::named(OsStr::new(word));
            assert_eq!(
                (program.name().as_str(), program.drop_in),
                (name, drop_in),
                "{word}"
            );
        }
    }

    #[test]
    fn messages_hold_nothing_a_terminal_would_obey() {
        for (text, ascii, utf8) in [
            (&b"plain ~"[..], &b"plain ~"[..], &b"plain ~"[..]),
            (b"a\tb\n\x1b[0m\x7f", b"a?b??[0m?", b"a?b??[0m?"),
            ("ä€".as_bytes(), b"?????", "ä€".as_bytes()),
            (b"\xff\xc3", b"??", b"??"),
            (b"\xed\xa0\x80", b"???", b"???"),
        ] {
            assert_eq!(printable(text, false), ascii);
            assert_eq!(printable(text, true), utf8);
        }
    }
}
