//! Makes tables from their sources.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::cli::postalias::AnySource;
use crate::cli::postmap::{Stop, Work};
use crate::cli::progress::Progress;
use crate::cli::report::{Fatal, failure};
use crate::error::{Error, masked};
use crate::file::open::same_file;
use crate::file::privilege::ActAs;
use crate::source::{EntrySource, Warning, WarningKind};
use crate::table::open::{OnChange, TableType};
use crate::table::{CompileOptions, FileFormat, LmdbOptions, Notice, Source, TableSpec, compile};
use crate::virt::FailTable;

/// The permissions a table takes over from its source: reading, for group and others.
const SOURCE_MODE_MASK: u32 = 0o044;
/// The permissions of a table that takes over none, or whose source is no regular file.
const DEFAULT_MODE: u32 = 0o644;

/// The type of tables that another program reads for its askers.
pub(super) const PROXY: &str = "proxy";

impl Work<'_> {
    pub(super) fn create(&self) -> Result<bool, Stop> {
        for spec in self.specs() {
            self.create_one(&spec)?;
        }
        Ok(true)
    }

    fn create_one(&self, spec: &TableSpec) -> Result<(), Fatal> {
        if spec.type_name() == PROXY {
            return Err("can't create maps via the proxy service".into());
        }
        let path = spec.source();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| failure(&Error::io("open", path, error)))?;
        let made = made_of(spec)?;
        let _acting = self.act_as_owner(&metadata)?;
        let format = match made {
            Made::File(format) => format,
            Made::Nothing => return self.fail_to_store(spec, self.entries(path, file)),
        };
        let table = spec.file(format.suffix());
        let progress = Progress::of(self.program, &table);
        let source = || {
            let failed = |error| Error::io("open", path, error);
            let (file, metadata) = newest(path, file, metadata).map_err(failed)?;
            let len = metadata.is_file().then_some(metadata.len());
            Ok(Source {
                entries: self.entries(path, progress.input(file, len)),
                len,
                mode: self.table_mode(&metadata),
            })
        };
        let mut notify = |notice| progress.suspend(|| self.notify(notice));
        let made = compile(format, &table, source, &self.compile_options(), &mut notify);
        drop(progress);
        let made = made.map_err(|error| self.program.write_failure(format, spec, &error))?;
        self.verbose(|| {
            format!(
                "{}: {} entries, {} bytes",
                masked(&table),
                made.entry_count,
                made.len
            )
        });
        Ok(())
    }

    /// "Makes" or "changes" a table of type `fail`: the first entry is one too many.
    pub(super) fn fail_to_store(
        &self,
        spec: &TableSpec,
        mut source: AnySource,
    ) -> Result<(), Fatal> {
        let mut warn = |warning| self.notify(Notice::Source(warning));
        let first = source.next_entry(&mut warn);
        let is_empty = first.map_err(|error| failure(&error))?.is_none();
        match is_empty && source.marks().is_empty() {
            true => Ok(()),
            false => Err(change_failure(spec, "write")),
        }
    }

    /// How entries are stored.
    pub(super) fn compile_options(&self) -> CompileOptions {
        CompileOptions {
            fold: self.fold,
            nul: self.request.nul,
            on_duplicate: self.request.on_duplicate.unwrap_or_default(),
            lmdb: self.lmdb_options(),
            memory: self.request.memory,
        }
    }

    pub(super) fn lmdb_options(&self) -> LmdbOptions {
        LmdbOptions {
            version: self.request.lmdb_format,
            map_size: self.lmdb_map_size,
        }
    }

    /// The permissions of a new table, from those of its source.
    pub(super) fn table_mode(&self, source: &Metadata) -> u32 {
        if source.is_file() && !self.request.no_mode {
            0o600 | source.permissions().mode() & SOURCE_MODE_MASK
        } else {
            DEFAULT_MODE
        }
    }

    /// As root, works with the rights of the source's owner until the result is dropped.
    pub(super) fn act_as_owner(&self, source: &Metadata) -> Result<Option<ActAs>, Fatal> {
        if self.request.keep_root {
            return Ok(None);
        }
        ActAs::owner(source.uid(), source.gid())
            .map(Some)
            .map_err(|error| failure(&error))
    }

    pub(super) fn notify(&self, notice: Notice) {
        match notice {
            Notice::Duplicate { .. } if self.request.on_duplicate.is_some() => {}
            Notice::Source(Warning {
                kind: WarningKind::Duplicate { .. },
                ..
            }) if self.request.on_duplicate.is_some() => {}
            notice => self.program.warning(&notice.message()),
        }
    }
}

/// What a table is made of that takes entries.
pub(super) enum Made {
    /// A file.
    File(FileFormat),
    /// Nothing: each entry fails.
    Nothing,
}

/// What a table is made of that is to be made, or to take more entries.
pub(super) fn made_of(spec: &TableSpec) -> Result<Made, Fatal> {
    match TableType::find(spec.type_name()) {
        Ok(known) if known.if_changed() == Some(OnChange::Fail) => Ok(Made::Nothing),
        _ => TableType::format_to_make(spec.type_name())
            .map(Made::File)
            .map_err(|error| failure(&error)),
    }
}

/// What is said when a table of type `fail` fails.
pub(super) fn change_failure(spec: &TableSpec, action: &str) -> Fatal {
    format!("table {spec}: {action} error: {}", FailTable::failure()).into()
}

/// The source once the table is locked: another file may have taken its name while the lock was
/// waited for. `opened` is what was there before.
fn newest(path: &Path, opened: File, metadata: Metadata) -> io::Result<(File, Metadata)> {
    match path.metadata() {
        // Anything but a regular file could keep the reader waiting, and the table's lock with it.
        Ok(now) if now.is_file() && !same_file(&now, &metadata) => {
            let file = File::open(path)?;
            let now = file.metadata()?;
            // The rights that the table is made with are those of the owner before.
            if (now.uid(), now.gid()) != (metadata.uid(), metadata.gid()) {
                let text = "its owner changed while the table was locked by others; try again";
                return Err(io::Error::other(text));
            }
            Ok((file, now))
        }
        _ => Ok((opened, metadata)),
    }
}
