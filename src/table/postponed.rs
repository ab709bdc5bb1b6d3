//! What is to be said of a source whose repeated keys are known only when all of it is sorted: told
//! in the order of the source nevertheless.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use crate::entries::{Origin, Spool, Spooled};
use crate::error::{Error, Result};
use crate::file::scratch::Scratch;
use crate::source::{LineNo, Warning, WarningKind};
use crate::table::ahead::StoredForm;
use crate::table::notice::Notice;

/// In the place of a key: a warning, which stands before the entry with its number.
const WARNING: &[u8] = b"\0";
/// The entry with this number has a key that was there. The value is the key.
const REPEATED: &[u8] = b"\x01";

/// What is to be said, by run.
pub(super) struct Postponed {
    runs: Spool,
    /// Keys as they are shown, of entries that are no lines.
    marks: BTreeMap<Origin, Vec<u8>>,
}

impl Postponed {
    pub(super) fn new(scratch: Arc<Scratch>, memory: usize) -> Postponed {
        Postponed {
            runs: Spool::new(scratch, memory, 0),
            marks: BTreeMap::new(),
        }
    }

    /// Notes a warning that comes before the entry `next`. Returns how many bytes it takes.
    pub(super) fn warning(&mut self, next: Origin, warning: &Warning) -> Result<usize> {
        let value = encode(warning);
        let record = Spooled {
            number: next.number,
            key: WARNING,
            value: &value,
        };
        self.runs.push(next.run, record)?;
        Ok(value.len())
    }

    /// Notes that the entry `origin` was no line, but a mark with this key.
    pub(super) fn mark(&mut self, origin: Origin, key: &[u8]) {
        self.marks.insert(origin, key.to_vec());
    }

    /// Notes that the key of the entry `origin` was there before.
    pub(super) fn repeated(&mut self, origin: Origin, key: &[u8]) -> Result<()> {
        let record = Spooled {
            number: origin.number,
            key: REPEATED,
            value: key,
        };
        self.runs.push(origin.run, record)
    }

    /// Tells everything. `table` is its name in warnings.
    pub(super) fn tell(
        mut self,
        table: &Path,
        form: StoredForm,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<()> {
        self.runs.flush()?;
        for run in 0..self.runs.list_count() {
            let mut records = self.runs.read(run);
            // Together no longer than the entries of the run, but for a few warnings of the first.
            let mut notes = Vec::new();
            let mut texts = Vec::new();
            while records.advance()? {
                if let Some(Spooled { number, key, value }) = records.record() {
                    notes.push(Note {
                        number,
                        is_repeated: key == REPEATED,
                        start: texts.len(),
                    });
                    texts.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_ne_bytes());
                    texts.extend_from_slice(value);
                }
            }
            // Warnings of one place stay in their order.
            notes.sort_unstable();
            for note in notes {
                let text = texts.get(note.start..).and_then(text).unwrap_or_default();
                notify(if note.is_repeated {
                    let number = note.number;
                    let shown = self.marks.remove(&Origin { run, number });
                    Notice::Duplicate {
                        table: table.to_path_buf(),
                        key: shown.unwrap_or_else(|| form.shown(text)),
                    }
                } else {
                    let warning = decode(text);
                    Notice::Source(
                        warning.ok_or_else(|| {
                            Error::corrupt("temporary file is not what was written")
                        })?,
                    )
                });
            }
        }
        Ok(())
    }
}

/// Something that is to be said of a run, in the order in which it is said.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    number: u32,
    is_repeated: bool,
    /// Where its text begins, with its length in front.
    start: usize,
}

/// The text that `bytes` begin with.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let (len, text) = bytes.split_first_chunk()?;
    text.get(..usize::try_from(u32::from_ne_bytes(*len)).ok()?)
}

/// A warning as bytes: kind, three numbers, the length of its text, the text, the file's name.
fn encode(warning: &Warning) -> Vec<u8> {
    let Warning {
        file,
        first,
        last,
        kind,
    } = warning;
    let (tag, len, text): (u8, usize, &[u8]) = match kind {
        WarningKind::LeadingBlank { text, len } => (0, *len, text),
        WarningKind::TextAfterNul => (1, 0, &[]),
        WarningKind::NotUtf8 { text } => (2, 0, text),
        WarningKind::UnbalancedQuote { text } => (3, 0, text),
        WarningKind::NoKeyValue => (4, 0, &[]),
        WarningKind::NoKeyValueIgnored => (5, 0, &[]),
        WarningKind::FileValue { what } => (6, 0, what.as_bytes()),
        WarningKind::Duplicate { key } => (7, 0, key),
        WarningKind::AliasFormat => (8, 0, &[]),
        WarningKind::NoNameValue => (9, 0, &[]),
        WarningKind::NameNotLocal => (10, 0, &[]),
    };
    let mut bytes = vec![tag];
    for number in [first.0, last.0, len as u64, text.len() as u64] {
        bytes.extend_from_slice(&number.to_ne_bytes());
    }
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(file.as_os_str().as_bytes());
    bytes
}

/// What [`encode`] made of a warning.
fn decode(bytes: &[u8]) -> Option<Warning> {
    let (&tag, mut rest) = bytes.split_first()?;
    let mut number = || {
        let (number, behind) = rest.split_first_chunk::<8>()?;
        rest = behind;
        Some(u64::from_ne_bytes(*number))
    };
    let (first, last, len, text_len) = (number()?, number()?, number()?, number()?);
    let (text, file) = rest.split_at_checked(usize::try_from(text_len).ok()?)?;
    let text = text.to_vec();
    let kind = match tag {
        0 => WarningKind::LeadingBlank {
            text,
            len: usize::try_from(len).ok()?,
        },
        1 => WarningKind::TextAfterNul,
        2 => WarningKind::NotUtf8 { text },
        3 => WarningKind::UnbalancedQuote { text },
        4 => WarningKind::NoKeyValue,
        5 => WarningKind::NoKeyValueIgnored,
        6 => WarningKind::FileValue {
            what: String::from_utf8(text).ok()?,
        },
        7 => WarningKind::Duplicate { key: text },
        8 => WarningKind::AliasFormat,
        9 => WarningKind::NoNameValue,
        10 => WarningKind::NameNotLocal,
        _ => return None,
    };
    Some(Warning {
        file: OsString::from_vec(file.to_vec()).into(),
        first: LineNo(first),
        last: LineNo(last),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_comes_back_as_it_was() {
        let text = b"\xff text".to_vec();
        let what = "open x: no".to_string();
        for kind in [
            WarningKind::LeadingBlank {
                text: text.clone(),
                len: 90,
            },
            WarningKind::TextAfterNul,
            WarningKind::NotUtf8 { text: text.clone() },
            WarningKind::UnbalancedQuote { text: Vec::new() },
            WarningKind::NoKeyValue,
            WarningKind::NoKeyValueIgnored,
            WarningKind::FileValue { what },
            WarningKind::Duplicate { key: text },
            WarningKind::AliasFormat,
            WarningKind::NoNameValue,
            WarningKind::NameNotLocal,
        ] {
            let warning = Warning {
                file: "dir/t".into(),
                first: LineNo(1 << 40),
                last: LineNo(3),
                kind,
            };
            assert_eq!(decode(&encode(&warning)), Some(warning));
        }
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"\x01\0\0"), None);
    }
}
