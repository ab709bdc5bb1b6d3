//! Entries as source text, and bytes as text.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::key::{Fold, strip_nul};
use crate::source::map::unwritable;
use crate::table::FileFormat;

/// Turns stored entries into lines of source text, and notes what compiling them back needs.
#[derive(Default)]
pub(super) struct SourceText {
    /// The format of the table; `None` counts as one of Berkeley DB.
    format: Option<FileFormat>,
    /// The keys so far, where a key can come again.
    keys: HashSet<Vec<u8>>,
    /// A key that came again.
    repeats: bool,
    /// Whether the entries end in a NUL, as the first one does.
    nul: Option<bool>,
    /// A key that folding would change.
    folds: bool,
    /// Bytes that are not UTF-8.
    binary: bool,
}

impl SourceText {
    /// For the entries of a table of this format.
    pub(super) fn of(format: FileFormat) -> SourceText {
        SourceText {
            format: Some(format),
            ..SourceText::default()
        }
    }

    /// Key and value as they are written, or why they cannot be.
    pub(super) fn entry<'e>(
        &mut self,
        key: &'e [u8],
        value: &'e [u8],
    ) -> Result<(&'e [u8], &'e [u8]), &'static str> {
        let nul = key.last() == Some(&0);
        if (value.last() == Some(&0)) != nul {
            return Err("only one of key and value ends in a NUL");
        }
        let unended = |bytes: &'e [u8]| match nul {
            true => bytes.strip_suffix(&[0]).unwrap_or(bytes),
            false => bytes,
        };
        let (key, value) = (unended(key), unended(value));
        if let Some(what) = unwritable(key, value) {
            return Err(what);
        }
        if *self.nul.get_or_insert(nul) != nul {
            return Err("other entries end in a NUL or not, unlike this one");
        }
        if self.format == Some(FileFormat::Cdb) && !self.repeats {
            self.repeats = !self.keys.insert(key.to_vec());
        }
        self.folds |= matches!(Fold::Unicode.fold(key), Cow::Owned(_));
        self.binary |= std::str::from_utf8(key).is_err() || std::str::from_utf8(value).is_err();
        Ok((key, value))
    }

    /// The options that compiling the text back to the same table needs, each with its reason.
    pub(super) fn options(&self) -> Vec<&'static str> {
        let mut options = Vec::new();
        let customary = self.format.is_none_or(FileFormat::customary_nul);
        match self.nul {
            Some(false) if customary => options.push("-n (entries do not end in a NUL)"),
            Some(true) if !customary => options.push("-N (entries end in a NUL)"),
            _ => {}
        }
        if self.repeats {
            options.push("-w (a key has several values)");
        }
        if self.folds {
            options.push("-f (keys hold upper case)");
        }
        if self.binary {
            options.push("-u (not all of it is UTF-8)");
        }
        options
    }
}

/// A stored key as messages show it: up to its NUL.
pub(super) fn shown(key: &[u8]) -> Vec<u8> {
    let text = strip_nul(key);
    [b"key \"", text, b"\""].concat()
}

/// Bytes as UTF-8: `\xNN` for each byte that is not.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_escaped() {
        assert_eq!(escaped(b"a\xc3\xa4\xff\xc3b"), "a\u{e4}\\xff\\xc3b");
    }

    #[test]
    fn text_says_how_to_compile_it_back() {
        let mut text = SourceText::default();
        assert_eq!(text.entry(b"Key\0", b"v\0"), Ok((&b"Key"[..], &b"v"[..])));
        assert!(text.entry(b"key", b"v").is_err());
        assert!(text.entry(b"key\0", b"v").is_err());
        assert!(text.entry(b"two words\0", b"v\0").is_err());
        assert_eq!(text.options(), ["-f (keys hold upper case)"]);
        let mut text = SourceText::default();
        assert!(text.entry(b"\xff", b"v").is_ok());
        assert_eq!(text.options().len(), 2);
    }
}
