//! Opens a file that others may be changing.

use std::path::Path;

use crate::error::Result;
use crate::file::lock::LockKind;
use crate::file::store::{Store, StoreMode};
use crate::lmdb::layout::{HEAD_LEN, MAGIC};
use crate::lmdb::reader::pause;
use crate::lmdb::state::{State, busy};
use crate::wire::ByteOrder;

/// How often a copy is taken again because a writer was faster.
const COPIES_MAX: u32 = 100;

/// Opens the LMDB file `path` as Postfix does: by record locks, which some writers heed.
///
/// A copy in memory is one state of the table, whatever writers do meanwhile (see the module
/// `state`). When they do so much that no copy succeeds, [`StoreMode::AUTO`] reads by position
/// instead.
///
/// # Errors
///
/// As [`Store::open`]; `Lookup` with [`StoreMode::MEMORY`] when writers are faster than we are, again
/// and again; `Corrupt` or `Unsupported` when the meta pages are not those of a file this crate
/// reads.
pub fn open_store(path: &Path, mode: StoreMode) -> Result<Store> {
    let live = match mode.for_copying() {
        None => return Store::open_locking(path, mode, LockKind::Record),
        Some(positioned) => Store::open_locking(path, positioned, LockKind::Record)?,
    };
    if !mode.wants_memory(live.session()?.len()) {
        return Ok(live);
    }
    for attempt in 0..COPIES_MAX {
        let session = live.session()?;
        // A file that is damaged, or no LMDB file, has no state; whoever reads the copy finds out.
        let state = State::read(&session).ok();
        let mut copy = session.read_to_end()?;
        match state {
            Some(state) if !state.still_holds(&session) => {}
            None if State::read(&session).is_ok() => {}
            state => {
                drop(session);
                if let Some(state) = state {
                    state.restore(&mut copy);
                }
                return Ok(live.into_memory(copy));
            }
        }
        drop(session);
        pause(attempt);
    }
    if mode == StoreMode::AUTO {
        return Ok(live);
    }
    Err(busy().in_file(path))
}

/// Whether the file begins like one of LMDB, of whatever version.
///
/// # Errors
///
/// `Io` when it cannot be read.
pub fn is_lmdb(store: &Store) -> Result<bool> {
    let session = store.session()?;
    let len = HEAD_LEN.min(usize::try_from(session.len()).unwrap_or(HEAD_LEN));
    let head = session.read(0, len)?.unwrap_or_default();
    let magic = |offset| {
        [ByteOrder::Little, ByteOrder::Big]
            .iter()
            .any(|order| order.u32(&head, offset) == Some(MAGIC))
    };
    Ok([12, 16, 24].into_iter().any(magic))
}
