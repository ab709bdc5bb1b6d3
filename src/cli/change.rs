//! `-i` and `-d`: adds entries to tables and deletes them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cli::create::{Made, change_failure, made_of};
use crate::cli::input::KeyLines;
use crate::cli::postmap::{Stop, Work};
use crate::cli::report::{Fatal, failure};
use crate::cli::stream::Stream;
use crate::error::{Error, ErrorKind};
use crate::file::store::StoreMode;
use crate::key::NulForms;
use crate::table::open::{OnChange, TableType, is_read_only_service};
use crate::table::update::{Missing, TableUpdater};
use crate::table::{FileFormat, Source, TableSpec};

/// The least and the most bytes of a stream that are read ahead. From the least on a source counts
/// as long, which also helps if the table need not be built anew.
const READ_AHEAD_MIN: usize = 1 << 20;
const READ_AHEAD_MAX: usize = 16 << 20;

impl Work<'_> {
    /// `-i`: the first table takes all of standard input, further ones only come into being.
    pub(super) fn increment(&self) -> Result<bool, Stop> {
        for spec in self.specs() {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            let stdin = stdin.map_err(|error| failure(&Error::io("read", "stdin", error)))?;
            self.increment_one(&spec, File::from(stdin))?;
        }
        Ok(true)
    }

    fn increment_one(&self, spec: &TableSpec, stdin: File) -> Result<(), Fatal> {
        let made = made_of(spec)?;
        if matches!(made, Made::File(format) if format != FileFormat::Cdb) {
            spec.check_complete().map_err(|error| failure(&error))?;
        }
        let metadata = stdin.metadata();
        let metadata = metadata.map_err(|e| failure(&Error::io("read", "stdin", e)))?;
        let _acting = self.act_as_owner(&metadata)?;
        let name = Path::new("stdin");
        let format = match made {
            Made::File(format) => format,
            Made::Nothing => return self.fail_to_store(spec, self.entries(name, stdin)),
        };
        let mode = self.table_mode(&metadata);
        let mut notify = |notice| self.notify(notice);
        let missing = Missing::Create { mode };
        let path = spec.file(format.suffix());
        let mut table = TableUpdater::open(format, &path, missing, &mut notify)
            .map_err(|error| self.program.change_failure(format, &error))?;
        // Not before the table is locked: whoever feeds us may wait for that.
        let mut stream = Stream::from(stdin);
        let len = match metadata.is_file() {
            true => Some(metadata.len()),
            false => stream.read_ahead(read_ahead_len(table.len_to_rebuild())),
        };
        let mut source = Source {
            entries: self.entries(name, stream),
            len,
            mode,
        };
        table
            .add(&mut source, &self.compile_options(), &mut notify)
            .and_then(|()| table.commit(&mut notify))
            .map_err(|error| match error.kind() {
                ErrorKind::TooLong { .. } | ErrorKind::EmptyKey => {
                    self.program.write_failure(format, spec, &error)
                }
                _ => self.program.read_failure(&error),
            })
    }

    fn open_for_deletion(&self, spec: &TableSpec) -> Result<Deletion, Fatal> {
        spec.check_complete().map_err(|error| failure(&error))?;
        let read_only = || Fatal::from(format!("{spec} map requires O_RDONLY access mode"));
        if is_read_only_service(spec.type_name()) {
            return Err(read_only());
        }
        let table_type = TableType::find(spec.type_name()).map_err(|error| failure(&error))?;
        let target = match (table_type.format(), table_type.if_changed()) {
            (Some(format), _) => return self.open_file_for_deletion(spec, format),
            (None, Some(OnChange::FindNothing)) => Target::Nothing,
            (None, Some(OnChange::Fail)) => Target::Refused(change_failure(spec, "delete")),
            (None, Some(OnChange::RefuseDeletion)) => {
                if self.request.file_values {
                    // What is wrong with its files comes first.
                    self.open(spec, StoreMode::AUTO)?;
                }
                let text = format!("table {spec}: delete operation is not supported");
                Target::Refused(text.into())
            }
            (None, Some(OnChange::Refuse) | None) => return Err(read_only()),
        };
        Ok(Deletion {
            target,
            title: spec.to_string(),
            forms: NulForms::new(self.request.nul),
        })
    }

    fn open_file_for_deletion(
        &self,
        spec: &TableSpec,
        format: FileFormat,
    ) -> Result<Deletion, Fatal> {
        let path = spec.file(format.suffix());
        let mut notify = |notice| self.notify(notice);
        let mut table =
            TableUpdater::open(format, &path, Missing::Refuse, &mut notify).map_err(|error| {
                self.program
                    .change_failure(format, &error.with_action("open database"))
            })?;
        table.set_lmdb_options(self.lmdb_options());
        let title = format.title(spec);
        Ok(Deletion {
            target: Target::File(Box::new(table)),
            title,
            forms: NulForms::new(self.request.nul),
        })
    }

    fn delete_from(&self, deletion: &mut Deletion, key: &[u8]) -> Result<bool, Fatal> {
        if self.utf8 && std::str::from_utf8(key).is_err() {
            self.warn_malformed(&[deletion.title.as_bytes(), b": non-UTF-8 key \"", key]);
            return Ok(false);
        }
        let table = match &mut deletion.target {
            Target::File(table) => table,
            Target::Nothing => return Ok(false),
            Target::Refused(fatal) => return Err(fatal.clone()),
        };
        let mut stored = self.fold.fold(key).into_owned();
        stored.push(0);
        for with_nul in deletion.forms.to_try() {
            let key = &stored[..stored.len() - usize::from(!with_nul)];
            if table
                .delete(key)
                .map_err(|error| self.program.read_failure(&error))?
            {
                deletion.forms.learn(with_nul);
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn delete(&self, key: &OsStr) -> Result<bool, Stop> {
        let mut found = false;
        for spec in self.specs() {
            let mut deletion = self.open_for_deletion(&spec)?;
            found |= self.delete_from(&mut deletion, key.as_bytes())?;
            self.commit(deletion)?;
        }
        Ok(found)
    }

    /// Opens all tables for deletions, each file once: one that is named twice would be locked
    /// already, by us. In the order of their files, so that of two runs that name the same tables in
    /// different order none waits for the other for ever. An error is that of the first table with
    /// one, as named.
    fn open_all_for_deletion(&self) -> Result<Vec<Deletion>, Fatal> {
        let mut files = HashSet::new();
        let mut specs = Vec::new();
        for spec in self.specs() {
            let table_type = TableType::find(spec.type_name()).ok();
            let file = table_type
                .and_then(TableType::format)
                .map(|format| spec.file(format.suffix()))
                .map(|file| fs::canonicalize(&file).unwrap_or(file));
            if file.clone().is_none_or(|file| files.insert(file)) {
                specs.push((file, specs.len(), spec));
            }
        }
        specs.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut failed = None;
        let mut deletions = Vec::new();
        for (_, at, spec) in specs {
            if failed.as_ref().is_some_and(|(first, _)| at > *first) {
                continue;
            }
            match self.open_for_deletion(&spec) {
                Ok(deletion) => deletions.push((at, deletion)),
                Err(error) => failed = Some((at, error)),
            }
        }
        if let Some((_, error)) = failed {
            return Err(error);
        }
        deletions.sort_by_key(|(at, _)| *at);
        Ok(deletions
            .into_iter()
            .map(|(_, deletion)| deletion)
            .collect())
    }

    /// `-d -`: all tables are opened first, and each key is deleted from each.
    pub(super) fn delete_lines(&self, input: impl io::Read) -> Result<bool, Stop> {
        let mut deletions = self.open_all_for_deletion()?;
        let mut found = false;
        let mut lines = KeyLines::new(input);
        loop {
            let keys = lines.next_keys()?;
            if keys.is_empty() {
                break;
            }
            for key in keys {
                for deletion in &mut deletions {
                    found |= self.delete_from(deletion, key)?;
                }
            }
        }
        deletions
            .into_iter()
            .try_for_each(|deletion| self.commit(deletion))?;
        Ok(found)
    }

    fn commit(&self, deletion: Deletion) -> Result<(), Fatal> {
        let mut notify = |notice| self.notify(notice);
        match deletion.target {
            Target::File(table) => table
                .commit(&mut notify)
                .map_err(|error| self.program.read_failure(&error)),
            Target::Nothing | Target::Refused(_) => Ok(()),
        }
    }
}

/// How much of a stream is read before anything is done with it: as much as makes the table be built
/// anew, so that this is known from the start.
fn read_ahead_len(len_to_rebuild: Option<u64>) -> usize {
    let len = len_to_rebuild.and_then(|len| usize::try_from(len).ok());
    len.unwrap_or(0).clamp(READ_AHEAD_MIN, READ_AHEAD_MAX)
}

/// A table that keys are being deleted from.
struct Deletion {
    target: Target,
    /// The table as messages name it.
    title: String,
    forms: NulForms,
}

/// What keys are being deleted from.
enum Target {
    File(Box<TableUpdater>),
    /// There are no keys.
    Nothing,
    /// Each key is one too many, for this reason.
    Refused(Fatal),
}
