//! Which state of a file is read, and whether it still is there afterwards.
//!
//! Writers of LMDB never change a page that the current state uses. They write pages that no state
//! uses, and then one of the two meta pages. So a reader without a lock that writers heed has to
//! find out afterwards whether what it read was one state:
//!
//! 1. it reads both meta pages until two reads agree, and takes the state S of the newer one;
//! 2. it reads pages of S;
//! 3. it reads both meta pages again. If that of S is what it was and the other one is of S + 1 or
//!    older, no writer could have touched a page of S yet. Otherwise whatever was read, errors
//!    included, means nothing and is read again.
//!
//! That is needed even under the table's lock, which some of Postfix' writers do not take.

use crate::error::{Error, ErrorKind, Result};
use crate::file::store::Session;
use crate::lmdb::PageNo;
use crate::lmdb::layout::{HEAD_LEN, Layout};
use crate::lmdb::meta::Meta;

/// How often meta pages are read in a row until two reads agree.
const READS_MAX: u32 = 100;

/// Both meta pages, byte for byte.
#[derive(Clone, PartialEq, Eq)]
struct Raw {
    layout: Layout,
    pages: [Vec<u8>; 2],
}

impl Raw {
    fn read(session: &Session<'_>) -> Result<Raw> {
        let head_len = HEAD_LEN.min(usize::try_from(session.len()).unwrap_or(HEAD_LEN));
        let head = session.read(0, head_len)?.unwrap_or_default();
        let layout = Layout::recognise(&head)?;
        let first = head.get(..layout.meta_end());
        let second = session.read(layout.page_size.bytes() as u64, layout.meta_end())?;
        match (first, second) {
            (Some(first), Some(second)) => Ok(Raw {
                layout,
                pages: [first.to_vec(), second.into_owned()],
            }),
            _ => Err(Error::corrupt("file ends in its meta pages")),
        }
    }
}

/// A state of a file, and how to tell whether it still is there.
pub(crate) struct State {
    raw: Raw,
    /// The meta pages.
    metas: [Meta; 2],
    /// Which of them counts: 0 or 1.
    current: usize,
}

impl State {
    /// The newest state of the file.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Unsupported` when the meta pages are not those of a file this crate reads;
    /// `Lookup` when they never were the same twice; `Io`.
    pub(crate) fn read(session: &Session<'_>) -> Result<State> {
        let mut raw = Raw::read(session);
        if session.is_live() {
            let mut reads = 0;
            loop {
                let again = Raw::read(session);
                match (&raw, &again) {
                    (Ok(raw), Ok(again)) if raw == again => break,
                    // Damage, unless it goes away.
                    (Err(_), Err(_)) if reads > 2 => break,
                    _ => {}
                }
                reads += 1;
                if reads > READS_MAX {
                    return Err(busy());
                }
                raw = again;
            }
        }
        State::new(raw?)
    }

    fn new(raw: Raw) -> Result<State> {
        let [first, second] = &raw.pages;
        let first = Meta::parse(&raw.layout, PageNo(0), first)?;
        let second = Meta::parse(&raw.layout, PageNo(1), second)?;
        Ok(State {
            current: usize::from(second.txn > first.txn),
            metas: [first, second],
            raw,
        })
    }

    pub(crate) fn layout(&self) -> Layout {
        self.raw.layout
    }

    /// The meta page that counts.
    pub(crate) fn meta(&self) -> &Meta {
        let [first, second] = &self.metas;
        match self.current {
            0 => first,
            _ => second,
        }
    }

    /// Whether everything that was read since is of this state.
    pub(crate) fn still_holds(&self, session: &Session<'_>) -> bool {
        let Ok(now) = Raw::read(session) else {
            return false;
        };
        let layout = &self.raw.layout;
        let txn = |raw: &Raw, at: usize| {
            let page = raw.pages.get(at).map_or(&[][..], Vec::as_slice);
            layout.word(page, layout.txn_offset())
        };
        now.layout == *layout
            && now.pages.get(self.current) == self.raw.pages.get(self.current)
            && txn(&now, 1 - self.current) <= Some(self.meta().txn.saturating_add(1))
    }

    /// Puts the meta pages of this state into a copy of the file.
    pub(crate) fn restore(&self, copy: &mut [u8]) {
        let starts = [0, self.raw.layout.page_size.bytes()];
        for (start, page) in starts.into_iter().zip(&self.raw.pages) {
            let place = copy.get_mut(start..start + page.len());
            if let Some(place) = place {
                place.copy_from_slice(page);
            }
        }
    }
}

/// The error when writers are faster than we are.
pub(crate) fn busy() -> Error {
    Error::new(ErrorKind::Lookup {
        reason: "the table is changed faster than it can be read".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::store::{Store, StoreMode};
    use crate::file::testing::TestDir;
    use crate::lmdb::meta::TreeRecord;
    use std::fs::{File, OpenOptions};
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    const LAYOUT: Layout = Layout::V1;

    /// What transaction `txn` writes.
    fn meta_page(txn: u64) -> Vec<u8> {
        let meta = Meta {
            map_size: 1 << 20,
            free: TreeRecord::empty(4096, 0x4008),
            main: TreeRecord::empty(0, 0),
            last_page: PageNo(1),
            txn,
        };
        let mut page = vec![0; 4096];
        meta.put(&LAYOUT, PageNo(txn % 2), &mut page).unwrap();
        page
    }

    fn commit(file: &File, txn: u64) {
        file.write_all_at(&meta_page(txn), 4096 * (txn % 2))
            .unwrap();
    }

    fn writable(path: &Path) -> File {
        OpenOptions::new().write(true).open(path).unwrap()
    }

    #[test]
    fn the_newer_meta_page_counts_and_page_0_of_two_equal_ones() {
        for (first, second, current) in [(4, 3, 4), (4, 5, 5), (0, 0, 0), (0, 1, 1)] {
            let mut bytes = meta_page(first);
            bytes.extend(meta_page(second | 1));
            // Both pages of a new file say 0.
            if second == 0 {
                LAYOUT
                    .put_word(&mut bytes, 4096 + LAYOUT.txn_offset(), 0)
                    .unwrap();
            }
            let store = Store::from_bytes(bytes);
            let state = State::read(&store.session().unwrap()).unwrap();
            assert_eq!(state.meta().txn, current);
            assert_eq!(state.current, usize::try_from(current).unwrap() % 2);
        }
    }

    #[test]
    fn a_state_holds_until_its_meta_page_is_written_again() {
        let dir = TestDir::new();
        let path = dir.write("t.lmdb", "");
        let file = writable(&path);
        commit(&file, 4);
        commit(&file, 5);
        let store = Store::open(&path, StoreMode::POSITIONED).unwrap();
        let session = store.session().unwrap();
        let state = State::read(&session).unwrap();
        assert_eq!(state.meta().txn, 5);
        assert!(state.still_holds(&session));
        commit(&file, 6);
        assert!(
            state.still_holds(&session),
            "pages of 5 are left alone until 7 is complete"
        );
        commit(&file, 7);
        assert!(
            !state.still_holds(&session),
            "8 may be at work on pages of 5"
        );
        commit(&file, 5);
        assert!(state.still_holds(&session));
        // Written over by a file that is of other transactions, or none.
        commit(&file, 100);
        assert!(!state.still_holds(&session));
        file.set_len(0).unwrap();
        assert!(!state.still_holds(&session));
    }

    #[test]
    fn a_copy_gets_the_meta_pages_of_its_state() {
        let old: Vec<u8> = [meta_page(4), meta_page(5), vec![7; 4096]].concat();
        let store = Store::from_bytes(old.clone());
        let state = State::read(&store.session().unwrap()).unwrap();
        let mut copy = [meta_page(6), meta_page(5), vec![7; 4096]].concat();
        state.restore(&mut copy);
        assert_eq!(copy, old);
        state.restore(&mut copy[..10]);
    }
}
