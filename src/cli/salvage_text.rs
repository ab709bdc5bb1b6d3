//! Salvaged entries as source text, on their way to standard output or to a new file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::output::{Broken, Output};
use crate::cli::postmap::Stop;
use crate::cli::report::{Program, failure};
use crate::cli::text::{SourceText, shown};
use crate::cli::verb::Call;
use crate::error::Error;

/// Salvaged entries may be passwords.
const PRIVATE_MODE: u32 = 0o600;

/// Writes entries, and says which ones cannot be written.
pub(super) struct SalvageText<'c> {
    program: &'c Program,
    text: SourceText,
    target: Target<'c>,
    complete: bool,
}

/// Where the text goes.
enum Target<'o> {
    Output(&'o mut Output),
    File(BufWriter<File>, PathBuf),
}

impl<'c> SalvageText<'c> {
    /// To the file in the options, which must not exist yet, or to `output`.
    pub(super) fn new(
        call: &Call<'c>,
        text: SourceText,
        output: &'c mut Output,
    ) -> Result<SalvageText<'c>, Stop> {
        Ok(SalvageText {
            program: call.program,
            text,
            target: match call.value("output") {
                None => Target::Output(output),
                Some(path) => Target::new_file(path.into())?,
            },
            complete: true,
        })
    }

    /// Writes an entry, or says why not.
    pub(super) fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), Stop> {
        match self.text.entry(key, value) {
            Ok((key, value)) => self.target.line(&[key, b"\t", value]),
            Err(what) => {
                self.refuse(key, what);
                Ok(())
            }
        }
    }

    /// Says that the entry of `key` is not written.
    pub(super) fn refuse(&mut self, key: &[u8], what: &str) {
        self.complete = false;
        let text = [&shown(key), &b": not written: "[..], what.as_bytes()].concat();
        self.program.warning(&text);
    }

    /// Writes a line between entries.
    pub(super) fn mark(&mut self, text: &[u8]) -> Result<(), Stop> {
        self.target.line(&[text])
    }

    /// Sees to it that all is written; then `report` says what the file was like, and whether
    /// nothing is missing; last come the options that the text is to be compiled with. `true` when
    /// all was written and nothing is missing.
    pub(super) fn finish(self, report: impl FnOnce(&Program) -> bool) -> Result<bool, Stop> {
        self.target.finish()?;
        let is_sound = report(self.program);
        for option in self.text.options() {
            let text = format!("compile with {option}");
            self.program.info(text.as_bytes());
        }
        Ok(self.complete && is_sound)
    }
}

impl<'o> Target<'o> {
    /// A file that does not exist yet.
    fn new_file(path: PathBuf) -> Result<Target<'o>, Stop> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(PRIVATE_MODE);
        match options.open(&path) {
            Ok(file) => Ok(Target::File(BufWriter::new(file), path)),
            Err(error) => Err(failure(&Error::io("create", path, error)).into()),
        }
    }

    fn line(&mut self, parts: &[&[u8]]) -> Result<(), Stop> {
        match self {
            Target::Output(output) => output.line(parts).map_err(Broken::into),
            Target::File(file, path) => {
                let line = [&parts.concat()[..], b"\n"].concat();
                let written = file.write_all(&line);
                written.map_err(|error| write_failure(path, error))
            }
        }
    }

    fn finish(self) -> Result<(), Stop> {
        match self {
            Target::Output(_) => Ok(()),
            Target::File(mut file, path) => {
                let synced = file.flush().and_then(|()| file.get_ref().sync_all());
                synced.map_err(|error| write_failure(&path, error))
            }
        }
    }
}

fn write_failure(path: &Path, error: std::io::Error) -> Stop {
    failure(&Error::io("write", path, error)).into()
}
