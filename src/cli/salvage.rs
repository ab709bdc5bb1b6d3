//! `rpostmap salvage`: whatever can be got out of a damaged table file, as source text.

use std::os::unix::ffi::OsStrExt;

use crate::bdb::salvage::{Options, Pair, Salvage, salvage};
use crate::bdb::verify::verify;
use crate::cli::getopt::Flag;
use crate::cli::output::Output;
use crate::cli::postmap::Stop;
use crate::cli::report::{Program, failure};
use crate::cli::salvage_text::SalvageText;
use crate::cli::text::{SourceText, shown};
use crate::cli::verb::{Call, HELP, Verb};
use crate::cli::{salvage_cdb, salvage_lmdb};
use crate::file::store::Store;
use crate::lmdb::is_lmdb;
use crate::table::file::FileFormat;
use crate::wire::ByteOrder;

/// Separates what was deleted from what was not.
const DELETED_MARK: &[u8] = b"# deleted entries:";

pub(super) static VERB: Verb = Verb {
    name: "salvage",
    words: &[],
    usage: "[--deleted] [-o FILE] [TYPE:]FILE",
    help: "Print every entry that can be found in a damaged table file, as source text. What could\n\
           not be found is reported on standard error, and the exit status is 1. TYPE:FILE names\n\
           the table of a source; FILE alone is the table file itself. In cdb tables nothing is\n\
           ever deleted.",
    flags: &[
        Flag {
            letter: 0,
            long: "deleted",
            argument: None,
            help: "look for deleted entries too",
        },
        Flag {
            letter: b'o',
            long: "output",
            argument: Some("FILE"),
            help: "write to FILE, which must be new, readable by its owner only",
        },
        HELP,
    ],
    run,
};

fn run(call: &Call<'_>, output: &mut Output) -> Result<bool, Stop> {
    let store = call.open()?;
    if lmdb_in(call, &store)? {
        return salvage_lmdb::run(call, &store, output);
    }
    if call.is_cdb() {
        return salvage_cdb::run(call, &store, output);
    }
    let options = Options::default().deleted(call.has("deleted"));
    let found = salvage(&store, options).map_err(|error| {
        failure(&match store.path() {
            Some(path) => error.in_file(path),
            None => error,
        })
    })?;
    let mut text = SalvageText::new(call, SourceText::default(), output)?;
    let (deleted, live): (Vec<&Pair>, Vec<&Pair>) =
        found.pairs.iter().partition(|pair| pair.deleted);
    let mut last_key = None;
    // What is not deleted comes first, whatever the file says.
    write(&mut text, &live, &mut last_key)?;
    if !deleted.is_empty() {
        text.mark(DELETED_MARK)?;
        write(&mut text, &deleted, &mut last_key)?;
    }
    text.finish(|program| {
        let is_whole = report(program, &found);
        // Of a guessed layout nothing can be verified.
        is_whole & (found.guessed || report_damage(program, &store))
    })
}

/// Whether the operand is an LMDB file: it is called one, or it looks like one.
fn lmdb_in(call: &Call<'_>, store: &Store) -> Result<bool, Stop> {
    Ok(match call.stated_format() {
        Some(format) => format == FileFormat::Lmdb,
        None => {
            let suffix = FileFormat::Lmdb.suffix().as_bytes();
            let is_called_so = call.operand.as_bytes().ends_with(suffix);
            is_called_so || is_lmdb(store).map_err(|error| failure(&error))?
        }
    })
}

/// Writes pairs, of those that follow each other with the same key the first.
fn write<'f>(
    text: &mut SalvageText<'_>,
    pairs: &[&'f Pair],
    last_key: &mut Option<&'f [u8]>,
) -> Result<(), Stop> {
    for pair in pairs {
        match *last_key == Some(&pair.key) {
            true => text.refuse(&pair.key, "a key can have one value only"),
            false => text.entry(&pair.key, &pair.value)?,
        }
        *last_key = Some(&pair.key);
    }
    Ok(())
}

/// Says that entries may be missing when the file as a whole is not sound: what was cut off or
/// overwritten leaves no trace on the pages that are left. `true` when it is sound.
fn report_damage(program: &Program, store: &Store) -> bool {
    match verify(store) {
        Ok(report) if report.is_clean() => return true,
        Ok(report) => tell_unsound(program, report.defect_count()),
        Err(_) => tell_unsound(program, 1),
    }
    false
}

/// Says that entries may be missing from a file with so many defects.
pub(super) fn tell_unsound(program: &Program, defects: u64) {
    let plural = if defects == 1 { "" } else { "s" };
    let text = format!(
        "file has {defects} defect{plural}, so entries may be missing; rpostmap verify lists them"
    );
    program.warning(text.as_bytes());
}

/// Says what was not found; `true` when there is nothing to say.
fn report(program: &Program, found: &Salvage) -> bool {
    let format = found.format;
    if found.guessed {
        let size = format.size.bytes();
        let order = match format.order {
            ByteOrder::Little => "little",
            ByteOrder::Big => "big",
        };
        let text = format!("meta page is damaged; pages look like {size} bytes, {order}-endian");
        program.warning(text.as_bytes());
    }
    for skipped in &found.skipped {
        let mut text = format!("page {}", skipped.page).into_bytes();
        if let Some(slot) = skipped.slot {
            text.extend(format!(", slot {}", slot.0).as_bytes());
        }
        text.extend(b": ");
        if let Some(key) = &skipped.key {
            text.extend(shown(key));
            text.extend(b": ");
        }
        text.extend(skipped.what.as_bytes());
        program.warning(&text);
    }
    for conflict in &found.conflicts {
        let ((page, slot), (other, other_slot)) = (conflict.taken, conflict.dropped);
        let text = format!(
            ": taken from page {page}, slot {}; page {other}, slot {} has another value",
            slot.0, other_slot.0
        );
        program.warning(&[&shown(&conflict.key), text.as_bytes()].concat());
    }
    for orphan in &found.orphans {
        let text = format!(
            "page {}: {} bytes of a long key or value that nothing refers to",
            orphan.first, orphan.len
        );
        program.warning(text.as_bytes());
    }
    if found.omitted > 0 {
        program.warning(format!("{} more warnings are not listed", found.omitted).as_bytes());
    }
    program.info(format!("{} entries found", found.pairs.len()).as_bytes());
    !found.guessed
        && found.skipped.is_empty()
        && found.conflicts.is_empty()
        && found.orphans.is_empty()
}
