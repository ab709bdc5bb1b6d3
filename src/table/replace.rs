//! Puts a new table file in the place of the old one.

use std::fmt;
use std::path::Path;
use std::thread;

use crate::entries::Entries;
use crate::error::Result;
use crate::file::WriteAt;
use crate::file::replace::Target;
use crate::table::notice::Notice;

/// Writes the table of `entries` as `build` does, and puts it in the place of `target`. Returns what
/// `build` returned, the length in bytes. `mode` is for a table that does not exist yet.
pub(crate) fn replace(
    target: Target,
    mode: u32,
    entries: Entries,
    build: impl FnOnce(&Entries, &mut dyn WriteAt) -> Result<u64>,
    notify: &mut dyn FnMut(Notice),
) -> Result<u64> {
    let path = target.path().to_path_buf();
    let mut new = target.start(mode)?;
    let other_links = new.old_has_other_links();
    let told = new
        .in_place()
        .map(|reason| notify(in_place(&path, reason)))
        .is_some();
    let len = build(&entries, &mut new)?;
    new.set_len(len)?;
    let committed = thread::scope(|scope| {
        // To give back the memory of millions of entries takes as long as to wait for the disk.
        scope.spawn(|| drop(entries));
        new.commit()
    });
    match committed? {
        Some(reason) if !told => notify(in_place(&path, &reason)),
        None if other_links => notify(Notice::OtherLinks { table: path }),
        _ => {}
    }
    Ok(len)
}

fn in_place(path: &Path, reason: &impl fmt::Display) -> Notice {
    Notice::InPlace {
        table: path.to_path_buf(),
        reason: reason.to_string(),
    }
}
