//! `texthash:file`: a source text that is read whole when the table is opened.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::entries::{Entries, Inserted, OnDuplicate};
use crate::error::{Error, Result, masked};
use crate::key::Fold;
use crate::source::{MapSource, Warning, WarningKind};
use crate::table::options::OpenOptions;
use crate::table::traits::{Listing, Table};

/// The entries of a source text, in memory.
///
/// Keys are folded as those of tables in files are, so that a text answers as the table made of it
/// does. Later releases of the original fold the text's keys by ASCII rules alone and then miss
/// those with other capital letters.
pub struct TextHashTable {
    title: String,
    entries: Entries,
    fold: Fold,
    utf8: bool,
}

impl TextHashTable {
    /// The table `texthash:path`. `warn` hears what is odd about the text; a text that changes
    /// afterwards has to be opened again.
    ///
    /// # Errors
    ///
    /// `Io` with action "open database" or "read", `TooLong` for more than 2^32 - 1 entries.
    pub fn open(
        path: &Path,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<TextHashTable> {
        let file = File::open(path).map_err(|error| Error::io("open database", path, error))?;
        TextHashTable::read(path, file, options, warn)
    }

    fn read(
        path: &Path,
        reader: impl Read,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<TextHashTable> {
        let source = MapSource::new(path, reader, options.utf8);
        let mut source = source.with_file_values(options.file_values);
        // What allows several entries for a key of cdb files only leaves the warning out here.
        let on_duplicate = match options.on_duplicate {
            OnDuplicate::KeepAll => OnDuplicate::KeepFirst,
            one_of_them => one_of_them,
        };
        let mut entries = Entries::new();
        let mut key = Vec::new();
        while let Some(entry) = source.next_entry(&mut |warning| warn(as_ignored(warning)))? {
            key.clear();
            options.fold.fold_into(entry.key, &mut key);
            let inserted = entries.insert_or(on_duplicate, &key, entry.value)?;
            if inserted == Inserted::Duplicate {
                warn(Warning {
                    file: path.to_path_buf(),
                    first: entry.line,
                    last: entry.line,
                    kind: WarningKind::Duplicate {
                        key: entry.key.to_vec(),
                    },
                });
            }
        }
        Ok(TextHashTable {
            title: format!("texthash:{}", masked(path)),
            entries,
            fold: options.fold,
            utf8: options.utf8,
        })
    }
}

/// A warning in the words of this type.
fn as_ignored(warning: Warning) -> Warning {
    match warning.kind {
        WarningKind::NoKeyValue => Warning {
            kind: WarningKind::NoKeyValueIgnored,
            ..warning
        },
        _ => warning,
    }
}

impl Table for TextHashTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        if self.utf8 && std::str::from_utf8(key).is_err() {
            return Ok(None);
        }
        let value = self.fold.with_folded(key, |key| self.entries.get(key));
        Ok(value.map(Cow::Borrowed))
    }

    fn iter(&self) -> Result<Listing<'_>> {
        let entries = self.entries.iter();
        Ok(Box::new(entries.map(|(key, value)| {
            Ok((Cow::Borrowed(key), Cow::Borrowed(value)))
        })))
    }

    fn title(&self) -> String {
        self.title.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: &OpenOptions) -> (TextHashTable, Vec<String>) {
        let mut warnings = Vec::new();
        let mut warn = |warning: Warning| warnings.push(warning.to_string());
        let table = TextHashTable::read(Path::new("t"), text.as_bytes(), options, &mut warn);
        (table.unwrap(), warnings)
    }

    fn list(table: &TextHashTable) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let entries = table.iter().unwrap().map(|entry| entry.unwrap());
        entries
            .map(|(key, value)| format!("{} {}", text(&key), text(&value)))
            .collect()
    }

    #[test]
    fn entries_are_those_of_the_text_in_its_order() {
        let text = "Beta two\n  words\nalpha 1\nALPHA 2\nbad\n";
        let (table, warnings) = read(text, &OpenOptions::default());
        assert_eq!(list(&table), ["beta two  words", "alpha 1"]);
        assert_eq!(
            warnings,
            [
                "t, line 4: duplicate entry: \"ALPHA\"",
                "t, line 5: expected format: key whitespace value -- ignoring this line",
            ]
        );
        assert_eq!(table.lookup(b"BETA").unwrap().unwrap(), &b"two  words"[..]);
        assert!(table.lookup(b"bad").unwrap().is_none());
        assert!(table.lookup(b"").unwrap().is_none());
    }

    #[test]
    fn the_last_of_two_entries_counts_when_asked() {
        let options = OpenOptions {
            on_duplicate: OnDuplicate::KeepLast,
            ..OpenOptions::default()
        };
        let (table, _) = read("a 1\nb 2\nA 3\n", &options);
        assert_eq!(list(&table), ["b 2", "a 3"]);
    }

    #[test]
    fn of_several_entries_for_a_key_one_stays() {
        let options = OpenOptions {
            on_duplicate: OnDuplicate::KeepAll,
            ..OpenOptions::default()
        };
        let (table, _) = read("a 1\nb 2\nA 3\n", &options);
        assert_eq!(list(&table), ["a 1", "b 2"]);
    }

    #[test]
    fn text_and_keys_are_folded_by_the_same_rules() {
        let text = "\u{c4}b 1\nstra\u{df}e 2\n";
        for (fold, found, missing) in [
            (Fold::Unicode, ["\u{e4}B", "STRASSE"], "stras\u{df}e"),
            (Fold::Ascii, ["\u{c4}B", "STRA\u{df}E"], "\u{e4}b"),
            (Fold::None, ["\u{c4}b", "stra\u{df}e"], "\u{c4}B"),
        ] {
            let options = OpenOptions {
                fold,
                utf8: fold == Fold::Unicode,
                ..OpenOptions::default()
            };
            let (table, _) = read(text, &options);
            for key in found {
                assert!(table.lookup(key.as_bytes()).unwrap().is_some(), "{key}");
            }
            assert!(table.lookup(missing.as_bytes()).unwrap().is_none());
        }
    }
}
