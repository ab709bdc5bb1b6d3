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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::lock::{FileLock, LockMode};
    use crate::file::testing::TestDir;
    use crate::lmdb::LmdbReader;
    use crate::lmdb::PageNo;
    use crate::lmdb::layout::Layout;
    use crate::lmdb::meta::{Meta, TreeRecord};
    use std::fs::OpenOptions;
    use std::thread;
    use std::time::Duration;

    fn empty_table() -> Vec<u8> {
        let meta = Meta {
            map_size: 1 << 20,
            free: TreeRecord::empty(4096, 0x4008),
            main: TreeRecord::empty(0, 0),
            last_page: PageNo(1),
            txn: 0,
        };
        let mut file = vec![0; 8192];
        for (number, page) in [PageNo(0), PageNo(1)]
            .into_iter()
            .zip(file.chunks_mut(4096))
        {
            meta.put(&Layout::V1, number, page).unwrap();
        }
        file
    }

    #[test]
    fn readers_wait_for_the_record_lock_of_a_writer_and_not_for_flock() {
        let dir = TestDir::new();
        let path = dir.path("t.lmdb");
        std::fs::write(&path, empty_table()).unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let flock = FileLock::wait(&file, &path, LockKind::Flock, LockMode::Exclusive).unwrap();
        let reader = LmdbReader::new(open_store(&path, StoreMode::POSITIONED).unwrap()).unwrap();
        assert_eq!(reader.get(b"a").unwrap(), None);
        drop(flock);
        let lock = FileLock::wait(&file, &path, LockKind::Record, LockMode::Exclusive).unwrap();
        let (opening, looking) = thread::scope(|scope| {
            let opening = scope.spawn(|| open_store(&path, StoreMode::MEMORY).is_ok());
            let looking = scope.spawn(|| reader.get(b"a").unwrap().is_none());
            thread::sleep(Duration::from_millis(50));
            assert!(!opening.is_finished() && !looking.is_finished());
            drop(lock);
            (opening.join().unwrap(), looking.join().unwrap())
        });
        assert!(opening && looking);
    }

    #[test]
    fn what_is_no_lmdb_file_is_opened_all_the_same() {
        let dir = TestDir::new();
        for (content, lmdb) in [
            (&b""[..], false),
            (b"text\n", false),
            (&empty_table(), true),
        ] {
            let path = dir.path("t.lmdb");
            std::fs::write(&path, content).unwrap();
            for mode in [StoreMode::AUTO, StoreMode::MEMORY, StoreMode::POSITIONED] {
                let store = open_store(&path, mode).unwrap();
                assert_eq!(is_lmdb(&store).unwrap(), lmdb);
                assert_eq!(store.session().unwrap().len(), content.len() as u64);
            }
        }
    }
}
