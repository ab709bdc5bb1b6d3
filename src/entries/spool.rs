//! Records that do not fit into memory: lists of them, side by side in one file.
//!
//! Each list is gathered in a block of memory; full blocks are appended to the file, one list's
//! among those of the others. A list is read back block by block, in the order it was written in.
//!
//! A record in a block: number, key length and value length, 4 bytes each in the order of this
//! machine, then key and value.

use std::sync::Arc;
use std::vec;

use crate::error::{Error, Result};
use crate::file::scratch::Scratch;
use crate::wire::ByteOrder;

const ORDER: ByteOrder = ByteOrder::NATIVE;
/// What stands in front of a record's key, in bytes.
const HEAD_LEN: usize = 12;
const KEY_LEN_OFFSET: usize = 4;
const VALUE_LEN_OFFSET: usize = 8;

/// The longest blocks, in bytes, and the shortest.
const BLOCK_LEN: (usize, usize) = (4 << 10, 64 << 10);
/// One of so many parts of the memory is for blocks.
const BLOCKS_PART: usize = 2;
/// How many lists there are at least, when blocks are measured.
const LISTS_MIN: usize = 32;

/// A record of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spooled<'s> {
    /// Whatever its writer wanted to know again.
    pub(crate) number: u32,
    pub(crate) key: &'s [u8],
    pub(crate) value: &'s [u8],
}

/// Where a block is in the file.
#[derive(Clone, Copy)]
struct Block {
    offset: u64,
    len: usize,
}

#[derive(Default)]
struct List {
    written: Vec<Block>,
    /// Behind those.
    block: Vec<u8>,
}

/// Lists of records.
pub(crate) struct Spool {
    scratch: Arc<Scratch>,
    block_len: usize,
    lists: Vec<List>,
}

impl Spool {
    /// No records. Blocks are such that those of `list_count` lists take a part of `memory`, in
    /// bytes. There can be more lists.
    pub(crate) fn new(scratch: Arc<Scratch>, memory: usize, list_count: usize) -> Spool {
        let (min, max) = BLOCK_LEN;
        let block_len = memory / BLOCKS_PART / list_count.max(LISTS_MIN);
        Spool {
            scratch,
            block_len: block_len.clamp(min, max),
            lists: Vec::new(),
        }
    }

    /// How many lists can be read side by side with `memory` bytes.
    pub(crate) fn list_count_max(&self, memory: usize) -> usize {
        memory / self.block_len
    }

    /// The file that it shares with others.
    pub(crate) fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// One more than the highest number of a list.
    pub(crate) fn list_count(&self) -> usize {
        self.lists.len()
    }

    /// Adds a record to list number `list`. Key and value are shorter than 4 GiB, as those of
    /// [`Entries`](super::Entries) are.
    ///
    /// # Errors
    ///
    /// `Io` with action "write".
    #[inline]
    pub(crate) fn push(&mut self, list: usize, record: Spooled<'_>) -> Result<()> {
        if list >= self.lists.len() {
            self.lists.resize_with(list + 1, List::default);
        }
        let Some(list) = self.lists.get_mut(list) else {
            return Ok(());
        };
        let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut head = [0; HEAD_LEN];
        let put = ORDER.put_u32(&mut head, 0, record.number);
        put.and_then(|()| ORDER.put_u32(&mut head, KEY_LEN_OFFSET, number(record.key.len())))
            .and_then(|()| ORDER.put_u32(&mut head, VALUE_LEN_OFFSET, number(record.value.len())))
            .expect("there is room for three numbers");
        list.block.extend_from_slice(&head);
        list.block.extend_from_slice(record.key);
        list.block.extend_from_slice(record.value);
        if list.block.len() >= self.block_len {
            list.flush(&self.scratch)?;
        }
        Ok(())
    }

    /// Writes what is left of all blocks, and gives their memory back.
    ///
    /// # Errors
    ///
    /// `Io` with action "write".
    pub(crate) fn flush(&mut self) -> Result<()> {
        for list in &mut self.lists {
            list.flush(&self.scratch)?;
            list.block = Vec::new();
        }
        Ok(())
    }

    /// Reads list number `list`, all of which must have been flushed.
    pub(crate) fn read(&self, list: usize) -> ListReader {
        let list = self.lists.get(list);
        let blocks = list.map_or_else(Vec::new, |list| list.written.clone());
        ListReader {
            scratch: Arc::clone(&self.scratch),
            blocks: blocks.into_iter(),
            block: Vec::new(),
            at: 0,
        }
    }
}

impl List {
    fn flush(&mut self, scratch: &Scratch) -> Result<()> {
        if !self.block.is_empty() {
            let offset = scratch.append(&self.block)?;
            let len = self.block.len();
            self.written.push(Block { offset, len });
            self.block.clear();
        }
        Ok(())
    }
}

/// The records of a list, in order.
pub(crate) struct ListReader {
    scratch: Arc<Scratch>,
    blocks: vec::IntoIter<Block>,
    block: Vec<u8>,
    /// Where the next record begins in the block.
    at: usize,
}

impl ListReader {
    /// Goes on to the next record: whether there is one.
    ///
    /// # Errors
    ///
    /// `Io` with action "read".
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if let Some(record) = self.record() {
            self.at += HEAD_LEN + record.key.len() + record.value.len();
        }
        while self.at >= self.block.len() {
            let Some(next) = self.blocks.next() else {
                return Ok(false);
            };
            self.at = 0;
            self.block.resize(next.len, 0);
            self.scratch.read_at(&mut self.block, next.offset)?;
        }
        match self.record() {
            Some(_) => Ok(true),
            None => Err(Error::corrupt("temporary file is not what was written")),
        }
    }

    /// The record at hand. `None` before the first and behind the last.
    #[inline]
    pub(crate) fn record(&self) -> Option<Spooled<'_>> {
        let (head, rest) = self.block.get(self.at..)?.split_at_checked(HEAD_LEN)?;
        let key_len = ORDER.u32(head, KEY_LEN_OFFSET)? as usize;
        let value_len = ORDER.u32(head, VALUE_LEN_OFFSET)? as usize;
        let (key, rest) = rest.split_at_checked(key_len)?;
        Some(Spooled {
            number: ORDER.u32(head, 0)?,
            key,
            value: rest.get(..value_len)?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::file::testing::TestDir;

    pub(in crate::entries) fn scratch(dir: &TestDir) -> Arc<Scratch> {
        let table = dir.path("t.db");
        Arc::new(Scratch::create(&table, &table).unwrap().unwrap())
    }

    #[test]
    fn blocks_of_all_lists_fit_into_memory() {
        let dir = TestDir::new();
        let scratch = scratch(&dir);
        for (memory, lists, len) in [
            (256 << 20, 0, 64 << 10),
            (256 << 20, 3_000, 44_739),
            (1 << 20, 0, 16 << 10),
            (1 << 20, 64, 8 << 10),
            (1 << 10, 0, 4 << 10),
            (1 << 20, 9_000, 4 << 10),
        ] {
            let spool = Spool::new(Arc::clone(&scratch), memory, lists);
            assert_eq!(spool.block_len, len, "{memory} {lists}");
            assert_eq!(spool.list_count_max(memory), memory / len);
        }
    }

    #[test]
    fn each_list_is_read_back_in_its_order() {
        let dir = TestDir::new();
        let mut spool = Spool::new(scratch(&dir), 0, 0);
        let record = |n: u32| {
            let key = format!("key{n}").repeat((n % 7) as usize);
            // Now and then one that is longer than a block.
            let len = if n % 1000 == 5 { 10_000 } else { n % 50 };
            (key, vec![b'v'; len as usize])
        };
        for n in 0..5_000 {
            let (key, value) = record(n);
            let spooled = Spooled {
                number: n,
                key: key.as_bytes(),
                value: &value,
            };
            spool.push([0, 1, 3][n as usize % 3], spooled).unwrap();
        }
        spool.flush().unwrap();
        assert_eq!(spool.list_count(), 4);
        for (list, first) in [(0, 0), (1, 1), (3, 2)] {
            let mut reader = spool.read(list);
            assert_eq!(reader.record(), None);
            for n in (first..5_000).step_by(3) {
                assert!(reader.advance().unwrap());
                let (key, value) = record(n);
                let found = reader.record().unwrap();
                assert_eq!((found.number, found.key), (n, key.as_bytes()));
                assert_eq!(found.value, value);
            }
            for _ in 0..2 {
                assert!(!reader.advance().unwrap());
                assert_eq!(reader.record(), None);
            }
        }
        for none in [2, 4] {
            assert!(!spool.read(none).advance().unwrap());
        }
    }
}
