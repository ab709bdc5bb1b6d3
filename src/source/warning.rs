//! Warnings about source text.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::LineNo;

/// How much of an indented line [`WarningKind::LeadingBlank`] quotes, in bytes.
const LEADING_BLANK_QUOTE_MAX: usize = 30;

/// Something is wrong with one logical line of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The source, as its reader was told to call it.
    pub file: PathBuf,
    /// The first physical line that contributed text to the logical line.
    pub first: LineNo,
    /// The last one that did.
    pub last: LineNo,
    /// What is wrong.
    pub kind: WarningKind,
}

/// What is wrong with a logical line. The text in a variant ends before the line's first NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// It starts with white space although there is nothing it could continue: dropped.
    LeadingBlank {
        /// The whole line.
        text: Vec<u8>,
        /// The line's length in bytes, with what follows a NUL.
        len: usize,
    },
    /// It contains a NUL; what follows the NUL is not read.
    TextAfterNul,
    /// It is not UTF-8 although UTF-8 is asked for: dropped.
    NotUtf8 {
        /// The whole line.
        text: Vec<u8>,
    },
    /// A double quote in the key is never closed: dropped.
    UnbalancedQuote {
        /// The whole line.
        text: Vec<u8>,
    },
    /// The key or the value is missing: dropped.
    NoKeyValue,
    /// The key or the value is missing: dropped. Said so where a table is read as text.
    NoKeyValueIgnored,
    /// The files that the value names cannot be read (`-F`): dropped.
    FileValue {
        /// What cannot be done, with its reason.
        what: String,
    },
    /// The key was there already. Which of the two stays is told by whoever reads the source.
    Duplicate {
        /// The key as written.
        key: Vec<u8>,
    },
    /// The key ends in a colon, as if this were an alias file. The entry is **not** dropped.
    AliasFormat,
    /// A line of an aliases source that is not `name: value`, or has a comma in the name: dropped.
    NoNameValue,
    /// The name of an alias has a domain, or a route: dropped.
    NameNotLocal,
}

impl WarningKind {
    /// Whether the logical line yields no entry because of this.
    pub fn drops_line(&self) -> bool {
        match self {
            WarningKind::TextAfterNul
            | WarningKind::AliasFormat
            | WarningKind::Duplicate { .. } => false,
            WarningKind::LeadingBlank { .. }
            | WarningKind::NotUtf8 { .. }
            | WarningKind::UnbalancedQuote { .. }
            | WarningKind::NoKeyValue
            | WarningKind::NoKeyValueIgnored
            | WarningKind::FileValue { .. }
            | WarningKind::NoNameValue
            | WarningKind::NameNotLocal => true,
        }
    }
}

impl Warning {
    /// The memory it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let text = match &self.kind {
            WarningKind::LeadingBlank { text, .. }
            | WarningKind::NotUtf8 { text }
            | WarningKind::UnbalancedQuote { text } => text.len(),
            WarningKind::FileValue { what } => what.len(),
            WarningKind::Duplicate { key } => key.len(),
            WarningKind::TextAfterNul
            | WarningKind::NoKeyValue
            | WarningKind::NoKeyValueIgnored
            | WarningKind::AliasFormat
            | WarningKind::NoNameValue
            | WarningKind::NameNotLocal => 0,
        };
        size_of::<Warning>() + self.file.as_os_str().len() + text
    }

    /// The text the original prints after `postmap: warning: `, byte for byte.
    ///
    /// It quotes the source, so it can hold any byte: control characters, half of a UTF-8
    /// sequence. Whoever shows it to people has to make it harmless first.
    pub fn message(&self) -> Vec<u8> {
        let mut message = self.file.as_os_str().as_bytes().to_vec();
        if let WarningKind::LeadingBlank { text, len } = &self.kind {
            let shown = text.get(..LEADING_BLANK_QUOTE_MAX).unwrap_or(text);
            // By the length with NUL and all, even when the text shown is short.
            let is_cut = *len > LEADING_BLANK_QUOTE_MAX;
            message.extend(b": logical line must not start with whitespace: \"");
            message.extend(shown);
            message.extend(if is_cut { b"...\"".as_slice() } else { b"\"" });
            return message;
        }
        message.extend(format!(", line {}", self.first).as_bytes());
        match &self.kind {
            WarningKind::LeadingBlank { .. } => {}
            WarningKind::TextAfterNul => {
                if self.last != self.first {
                    message.extend(format!("-{}", self.last).as_bytes());
                }
                message.extend(b": text after null byte may be ignored");
            }
            WarningKind::NotUtf8 { text } => {
                message.extend(b": non-UTF-8 input \"");
                message.extend(text);
                message.extend(b"\" -- ignoring this line");
            }
            WarningKind::UnbalancedQuote { text } => {
                message.extend(b": unbalanced '\"' in '");
                message.extend(text);
                message.extend(b"' -- ignoring this line");
            }
            WarningKind::NoKeyValue => {
                message.extend(b": expected format: key whitespace value");
            }
            WarningKind::NoKeyValueIgnored => message.extend(
                b": expected format: key whitespace value -- ignoring this line".as_slice(),
            ),
            WarningKind::FileValue { what } => {
                message.extend(format!(": {what}: skipping this entry").as_bytes());
            }
            WarningKind::Duplicate { key } => {
                message.extend(b": duplicate entry: \"");
                message.extend(key);
                message.push(b'"');
            }
            WarningKind::AliasFormat => message
                .extend(b": record is in \"key: value\" format; is this an alias file?".as_slice()),
            WarningKind::NoNameValue => message.extend(b": need name:value pair"),
            WarningKind::NameNotLocal => message.extend(b": name must be local"),
        }
        message
    }
}

/// [`Warning::message`] with U+FFFD for what is not UTF-8. Control characters are kept.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: WarningKind) -> String {
        let warning = Warning {
            file: "t".into(),
            first: LineNo(3),
            last: LineNo(5),
            kind,
        };
        assert_eq!(warning.to_string().as_bytes(), warning.message());
        warning.to_string()
    }

    #[test]
    fn messages_are_those_of_the_original() {
        let text = |text: &str| text.as_bytes().to_vec();
        for (kind, expect) in [
            (
                WarningKind::LeadingBlank {
                    text: text("  123456789012345678901234567 "),
                    len: 30,
                },
                "t: logical line must not start with whitespace: \
                 \"  123456789012345678901234567 \"",
            ),
            (
                WarningKind::LeadingBlank {
                    text: text("  12345678901234567890123456789"),
                    len: 31,
                },
                "t: logical line must not start with whitespace: \
                 \"  1234567890123456789012345678...\"",
            ),
            (
                WarningKind::TextAfterNul,
                "t, line 3-5: text after null byte may be ignored",
            ),
            (
                WarningKind::NotUtf8 { text: text("x y") },
                "t, line 3: non-UTF-8 input \"x y\" -- ignoring this line",
            ),
            (
                WarningKind::UnbalancedQuote {
                    text: text("\"open   "),
                },
                "t, line 3: unbalanced '\"' in '\"open   ' -- ignoring this line",
            ),
            (
                WarningKind::NoKeyValue,
                "t, line 3: expected format: key whitespace value",
            ),
            (
                WarningKind::NoKeyValueIgnored,
                "t, line 3: expected format: key whitespace value -- ignoring this line",
            ),
            (
                WarningKind::FileValue {
                    what: "open x: No such file or directory".into(),
                },
                "t, line 3: open x: No such file or directory: skipping this entry",
            ),
            (
                WarningKind::Duplicate { key: text("Key") },
                "t, line 3: duplicate entry: \"Key\"",
            ),
            (
                WarningKind::AliasFormat,
                "t, line 3: record is in \"key: value\" format; is this an alias file?",
            ),
            (WarningKind::NoNameValue, "t, line 3: need name:value pair"),
            (WarningKind::NameNotLocal, "t, line 3: name must be local"),
        ] {
            assert_eq!(message(kind), expect);
        }
    }

    #[test]
    fn bytes_that_are_not_text_reach_the_message_unchanged() {
        let warning = Warning {
            file: "t".into(),
            first: LineNo(1),
            last: LineNo(1),
            kind: WarningKind::NotUtf8 {
                text: b"\xff\x07".to_vec(),
            },
        };
        assert_eq!(
            warning.message(),
            b"t, line 1: non-UTF-8 input \"\xff\x07\" -- ignoring this line"
        );
    }
}
