//! Writes a whole cdb file from its entries, in one pass.
//!
//! The file is byte by byte the one that TinyCDB, and with it the original's `postmap`, makes of
//! the same entries in the same order: tables of twice as many slots as records, records put into
//! them in their own order, and the pointer to an empty table pointing at where it would be.

use std::sync::Arc;

use crate::cdb::layout::{
    FILE_LEN_MAX, HEADER_LEN, ORDER, POINTER_LEN, POINTER_OFFSET_OFFSET, POINTER_SLOT_COUNT_OFFSET,
    RECORD_HEAD_LEN, SLOT_HASH_OFFSET, SLOT_LEN, SLOT_RECORD_OFFSET, Slot, TABLE_COUNT, first_slot,
    hash, table_of,
};
use crate::entries::{Entries, Spool, Spooled, Survivor, Survivors};
use crate::error::{Error, ErrorKind, Result};
use crate::file::WriteAt;
use crate::file::overlap::build_and_write;

/// How much is written at once, in bytes.
const PIECE_LEN: usize = 1 << 20;

/// With fewer entries a second thread costs more than it saves.
const OVERLAP_MIN: usize = 10_000;

/// Slots a record.
const SLOTS_PER_RECORD: usize = 2;

/// Writes cdb files.
///
/// ```
/// use rpostmap::cdb::{CdbBuilder, CdbReader};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::{Store, StoreMode};
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"relay:[mx.example.net]")?;
/// let mut file = Vec::new();
/// CdbBuilder::new().build(&entries, &mut file)?;
/// # let path = std::env::temp_dir().join(format!("rpostmap-doc-{}.cdb", std::process::id()));
/// std::fs::write(&path, file).expect("a file");
/// let reader = CdbReader::new(Store::open(&path, StoreMode::AUTO)?)?;
/// assert_eq!(reader.get(b"example.com")?.as_deref(), Some(&b"relay:[mx.example.net]"[..]));
/// # std::fs::remove_file(&path).expect("removed");
/// # Ok::<(), rpostmap::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CdbBuilder(());

impl CdbBuilder {
    /// A builder; there is nothing to set.
    pub fn new() -> CdbBuilder {
        CdbBuilder::default()
    }

    /// Writes the file that holds `entries`, in their order, to `out`, which is empty, and returns
    /// the file's length in bytes.
    ///
    /// Needs 16 bytes of memory for each entry, and some megabytes.
    ///
    /// # Errors
    ///
    /// `TooLong` when the file would have 4 GiB or more, which is found out before anything is
    /// written; whatever `out` fails with.
    pub fn build(&self, entries: &Entries, out: &mut dyn WriteAt) -> Result<u64> {
        let numbers = 0..u32::try_from(entries.number_end()).unwrap_or(u32::MAX);
        let mut len = FileLen::default();
        for (key_len, value_len) in numbers.filter_map(|number| entries.lens(number)) {
            len.add(key_len, value_len);
        }
        let write = |out: &mut dyn WriteAt| {
            let slots = Vec::with_capacity(entries.len());
            let mut file = FileWriter::new(out, Slots::Memory(slots));
            for (key, value) in entries.iter() {
                file.add(key, value)?;
            }
            file.finish()
        };
        let entry_count = len.entry_count;
        let len = len.finish()?;
        if entry_count < OVERLAP_MIN {
            write(out)?;
        } else {
            build_and_write(out, write)?;
        }
        Ok(len)
    }

    /// Sorts entries that do not fit into `memory` bytes into lists that do, in the order of
    /// insertion. `len` has seen all of them. `check` is called now and then.
    ///
    /// # Errors
    ///
    /// `Io`; those of `check`.
    pub(crate) fn distribute(
        &self,
        len: FileLen,
        entries: &mut Survivors,
        runs: &Spool,
        memory: usize,
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<SourceLists> {
        let mut lists = Spool::new(Arc::clone(runs.scratch()), memory, runs.list_count());
        while let Some(Survivor { origin, key, value }) = entries.next(&mut |_, _| Ok(()))? {
            check()?;
            let number = origin.number;
            lists.push(origin.run, Spooled { number, key, value })?;
        }
        lists.flush()?;
        Ok(SourceLists { lists, len, memory })
    }

    /// As [`build`](CdbBuilder::build), with one list at a time in memory.
    pub(crate) fn build_lists(&self, lists: &SourceLists, out: &mut dyn WriteAt) -> Result<u64> {
        let SourceLists { lists, len, memory } = lists;
        let file_len = len.finish()?;
        build_and_write(out, |out| {
            let slots = Spool::new(Arc::clone(lists.scratch()), *memory, TABLE_COUNT);
            let mut file = FileWriter::new(out, Slots::Spooled(slots));
            let mut entries = Entries::new();
            let mut order = Vec::new();
            for list in 0..lists.list_count() {
                entries.clear();
                order.clear();
                let mut records = lists.read(list);
                for at in 0u32.. {
                    if !records.advance()? {
                        break;
                    }
                    if let Some(Spooled { number, key, value }) = records.record() {
                        entries.append(key, value)?;
                        order.push((number, at));
                    }
                }
                order.sort_unstable();
                for &(_, at) in &order {
                    if let Some((key, value)) = entries.entry(at) {
                        file.add(key, value)?;
                    }
                }
            }
            file.finish()
        })?;
        Ok(file_len)
    }
}

/// Entries that do not fit into memory together: each list has those of a part of the source.
pub(crate) struct SourceLists {
    lists: Spool,
    len: FileLen,
    memory: usize,
}

/// The length of the file for keys and values of known lengths.
pub(crate) struct FileLen {
    entry_count: usize,
    len: u64,
}

impl Default for FileLen {
    fn default() -> Self {
        FileLen {
            entry_count: 0,
            len: HEADER_LEN as u64,
        }
    }
}

impl FileLen {
    /// Adds an entry, in any order.
    #[inline]
    pub(crate) fn add(&mut self, key_len: usize, value_len: usize) {
        let overhead = (RECORD_HEAD_LEN + SLOTS_PER_RECORD * SLOT_LEN) as u64;
        let entry_len = (key_len as u64).saturating_add(value_len as u64);
        self.len = self.len.saturating_add(overhead).saturating_add(entry_len);
        self.entry_count += 1;
    }

    /// The length, which is below 4 GiB.
    fn finish(&self) -> Result<u64> {
        if self.len > FILE_LEN_MAX {
            return Err(Error::new(ErrorKind::TooLong {
                what: "table",
                len: self.len,
                max: FILE_LEN_MAX,
            }));
        }
        Ok(self.len)
    }
}

/// A file in the making.
struct FileWriter<'o> {
    pieces: Pieces<'o>,
    slots: Slots,
    /// How many records each table has.
    counts: [usize; TABLE_COUNT],
}

impl FileWriter<'_> {
    fn new(out: &mut dyn WriteAt, slots: Slots) -> FileWriter<'_> {
        FileWriter {
            pieces: Pieces::new(out, HEADER_LEN),
            slots,
            counts: [0; TABLE_COUNT],
        }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let pieces = &mut self.pieces;
        let slot = Slot {
            hash: hash(key),
            record: pieces.offset()?,
        };
        if let Some(count) = self.counts.get_mut(usize::from(table_of(slot.hash))) {
            *count += 1;
        }
        self.slots.push(slot)?;
        let [key_len, value_len] = [number(key.len())?, number(value.len())?];
        pieces.push(&key_len.to_le_bytes())?;
        pieces.push(&value_len.to_le_bytes())?;
        pieces.push(key)?;
        pieces.push(value)
    }

    fn finish(self) -> Result<()> {
        let FileWriter {
            mut pieces,
            slots,
            counts,
        } = self;
        let mut header = vec![0; HEADER_LEN];
        let pointers = header.chunks_exact_mut(POINTER_LEN);
        match slots {
            Slots::Memory(slots) => {
                let slots = by_table(&slots, &counts);
                let mut rest = slots.as_slice();
                for (count, pointer) in counts.into_iter().zip(pointers) {
                    let (own, others) = rest.split_at_checked(count).unwrap_or_default();
                    rest = others;
                    write_table(own, pointer, &mut pieces)?;
                }
            }
            Slots::Spooled(mut spool) => {
                spool.flush()?;
                for (table, pointer) in pointers.enumerate() {
                    write_table(&Slots::read(&spool, table)?, pointer, &mut pieces)?;
                }
            }
        }
        pieces.flush()?;
        pieces.out.write_at(0, &header)
    }
}

/// Writes the table that holds `slots`, and what points at it.
fn write_table(slots: &[Slot], pointer: &mut [u8], pieces: &mut Pieces<'_>) -> Result<()> {
    let table = table(slots);
    let slot_count = number(table.len() / SLOT_LEN)?;
    let placed = ORDER.put_u32(pointer, POINTER_OFFSET_OFFSET, pieces.offset()?);
    placed.expect("a pointer has room for an offset");
    let placed = ORDER.put_u32(pointer, POINTER_SLOT_COUNT_OFFSET, slot_count);
    placed.expect("and for a count");
    pieces.push(&table)
}

/// The slots of all records, in their order.
enum Slots {
    Memory(Vec<Slot>),
    /// A list for each table, of records with a hash as number and an offset as key.
    Spooled(Spool),
}

impl Slots {
    #[inline]
    fn push(&mut self, slot: Slot) -> Result<()> {
        match self {
            Slots::Memory(slots) => {
                slots.push(slot);
                Ok(())
            }
            Slots::Spooled(spool) => {
                let record = Spooled {
                    number: slot.hash,
                    key: &slot.record.to_le_bytes(),
                    value: &[],
                };
                spool.push(usize::from(table_of(slot.hash)), record)
            }
        }
    }

    /// Those of a table.
    fn read(spool: &Spool, table: usize) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        let mut records = spool.read(table);
        while records.advance()? {
            slots.extend(records.record().and_then(|record| {
                let hash = record.number;
                let record = ORDER.u32(record.key, 0)?;
                Some(Slot { hash, record })
            }));
        }
        Ok(slots)
    }
}

/// The slots of table 0, then those of table 1, and so on, each in the order of the records.
fn by_table(slots: &[Slot], counts: &[usize; TABLE_COUNT]) -> Vec<Slot> {
    let empty = Slot { hash: 0, record: 0 };
    let mut sorted = vec![empty; slots.len()];
    let mut next = [0; TABLE_COUNT];
    let mut start = 0;
    for (next, count) in next.iter_mut().zip(counts) {
        *next = start;
        start += count;
    }
    for &slot in slots {
        if let Some(next) = next.get_mut(usize::from(table_of(slot.hash))) {
            if let Some(place) = sorted.get_mut(*next) {
                *place = slot;
            }
            *next += 1;
        }
    }
    sorted
}

/// The bytes of the table that holds `slots`.
fn table(slots: &[Slot]) -> Vec<u8> {
    let slot_count = slots.len() * SLOTS_PER_RECORD;
    let mut table = vec![0; slot_count * SLOT_LEN];
    for slot in slots {
        let mut place =
            u32::try_from(slot_count).map_or(0, |count| first_slot(slot.hash, count)) as usize;
        // There are more places than slots.
        while ORDER.u32(&table, place * SLOT_LEN + SLOT_RECORD_OFFSET) != Some(0) {
            place = if place + 1 == slot_count {
                0
            } else {
                place + 1
            };
        }
        let start = place * SLOT_LEN;
        let placed = ORDER.put_u32(&mut table, start + SLOT_HASH_OFFSET, slot.hash);
        placed.expect("places lie in the table");
        let placed = ORDER.put_u32(&mut table, start + SLOT_RECORD_OFFSET, slot.record);
        placed.expect("places lie in the table");
    }
    table
}

fn number(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| {
        Error::new(ErrorKind::TooLong {
            what: "table",
            len: len as u64,
            max: FILE_LEN_MAX,
        })
    })
}

/// Writes from front to back, a large piece at a time.
struct Pieces<'o> {
    out: &'o mut dyn WriteAt,
    /// The offset of `piece` in the file.
    start: usize,
    piece: Vec<u8>,
}

impl Pieces<'_> {
    fn new(out: &mut dyn WriteAt, start: usize) -> Pieces<'_> {
        Pieces {
            out,
            start,
            piece: Vec::with_capacity(PIECE_LEN),
        }
    }

    /// Where in the file the next byte goes.
    #[inline]
    fn offset(&self) -> Result<u32> {
        number(self.start + self.piece.len())
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.piece.len() + bytes.len() > PIECE_LEN {
            self.flush()?;
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let len = self.piece.len();
        self.out.write_buffer(self.start as u64, &mut self.piece)?;
        self.start += len;
        self.piece.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_less_than_4_gib() {
        let fits = 0xffff_ffff - 2048 - 24usize;
        let file_len = |lens: &mut dyn Iterator<Item = (usize, usize)>| {
            let mut len = FileLen::default();
            lens.for_each(|(key_len, value_len)| len.add(key_len, value_len));
            len.finish()
        };
        let len = file_len(&mut [(1, fits - 1)].into_iter());
        assert_eq!(len.unwrap(), FILE_LEN_MAX);
        for lens in [[(1, fits), (0, 0)], [(usize::MAX, 1), (1, usize::MAX)]] {
            let error = file_len(&mut lens.into_iter()).unwrap_err();
            let max = FILE_LEN_MAX;
            assert!(
                matches!(error.kind(), ErrorKind::TooLong { what: "table", max: m, .. } if *m == max),
                "{error}"
            );
        }
        let mut all = (0..1 << 20).map(|_| (3000, 1100));
        assert!(file_len(&mut all).is_err());
    }

    #[test]
    fn pieces_join_without_gaps() {
        let mut entries = Entries::new();
        for i in 0..30 {
            let key = format!("key{i}");
            let value = vec![b'v'; i * 10_000];
            entries.insert(key.as_bytes(), &value).unwrap();
        }
        let mut file = Vec::new();
        let len = CdbBuilder::new().build(&entries, &mut file).unwrap();
        assert_eq!(len, file.len() as u64);
    }
}
