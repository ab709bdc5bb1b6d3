//! Files that stand in match lists (`mydestination = /file`): their lines, and whether they are still
//! what they were.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, masked};
use crate::source::LogicalLines;
use crate::table::Event;
use crate::table::live::Listener;
use crate::table::watch::Watched;

/// A file in a list, read as a whole.
pub(crate) struct ListFile {
    path: PathBuf,
    /// Logical lines without their line feeds; or why they cannot be read.
    lines: Result<Vec<Vec<u8>>, String>,
    watched: Watched,
    /// Why the file, as it is now, does not do.
    trouble: Option<String>,
}

impl ListFile {
    /// Reads the file `path`.
    pub(crate) fn read(path: &[u8]) -> ListFile {
        let path = PathBuf::from(OsStr::from_bytes(path));
        // What is looked at before it is read cannot be newer than what is read.
        let watched = Watched::of(vec![path.clone()]);
        let lines = lines(&path).map_err(|error| error.to_string());
        ListFile {
            trouble: lines.as_ref().err().cloned(),
            path,
            lines,
            watched,
        }
    }

    /// The lines, or why they cannot be read.
    pub(crate) fn lines(&self) -> Result<&[Vec<u8>], &str> {
        match &self.lines {
            Ok(lines) => Ok(lines),
            Err(reason) => Err(reason),
        }
    }

    /// The path as messages show it.
    pub(crate) fn name(&self) -> String {
        masked(&self.path)
    }

    /// What is there now, if that is not the same. A file that cannot be read leaves the old lines in
    /// place.
    pub(crate) fn renewed(&self, listener: &Listener) -> Option<ListFile> {
        let is_same = Watched::of(vec![self.path.clone()]).is_as(&self.watched);
        if is_same && !self.watched.is_recent() && self.trouble.is_none() {
            return None;
        }
        let mut new = ListFile::read(self.path.as_os_str().as_bytes());
        let table = self.name();
        match &new.trouble {
            None if !is_same || self.trouble.is_some() => {
                listener.tell(&Event::Reloaded { table });
            }
            Some(reason) if self.trouble.as_ref() != Some(reason) => {
                let reason = reason.clone();
                listener.tell(&match self.lines {
                    Ok(_) => Event::Kept { table, reason },
                    Err(_) => Event::Unavailable { table, reason },
                });
            }
            _ => {}
        }
        if new.lines.is_err() && self.lines.is_ok() {
            new.lines.clone_from(&self.lines);
        }
        Some(new)
    }
}

fn lines(path: &Path) -> Result<Vec<Vec<u8>>> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let mut reader = LogicalLines::new(path, file);
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line(&mut |_| {})? {
        lines.push(line.text.to_vec());
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::TestDir;
    use std::fs;
    use std::sync::{Arc, Mutex};

    #[test]
    fn old_lines_stay_while_the_file_cannot_be_read() {
        let dir = TestDir::new();
        let path = dir.path("list");
        let told = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&told);
        let listener = Listener::new(move |event| hear.lock().unwrap().push(event.to_string()));
        let renewed = |file: &ListFile| file.renewed(&listener).unwrap();

        let file = ListFile::read(path.as_os_str().as_bytes());
        assert!(file.lines().is_err());
        fs::write(&path, "# a comment\na\n  b\nc\n").unwrap();
        let file = renewed(&file);
        assert_eq!(file.lines().unwrap(), [b"a  b".to_vec(), b"c".to_vec()]);
        fs::remove_file(&path).unwrap();
        let file = renewed(&renewed(&file));
        assert_eq!(file.lines().unwrap().len(), 2);
        fs::write(&path, "d").unwrap();
        assert_eq!(renewed(&file).lines().unwrap(), [b"d".to_vec()]);
        let told = told.lock().unwrap();
        assert!(
            matches!(&told[..], [first, second, third]
                if first.ends_with("reloaded") && second.contains("still using the old content")
                    && third.ends_with("reloaded")),
            "{told:?}"
        );
    }
}
