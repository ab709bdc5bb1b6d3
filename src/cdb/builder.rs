//! Writes a whole cdb file from its entries, in one pass.
//!
//! The file is byte by byte the one that TinyCDB, and with it the original's `postmap`, makes of
//! the same entries in the same order: tables of twice as many slots as records, records put into
//! them in their own order, and the pointer to an empty table pointing at where it would be.

use crate::cdb::layout::{
    FILE_LEN_MAX, HEADER_LEN, ORDER, POINTER_LEN, POINTER_OFFSET_OFFSET, POINTER_SLOT_COUNT_OFFSET,
    RECORD_HEAD_LEN, SLOT_HASH_OFFSET, SLOT_LEN, SLOT_RECORD_OFFSET, Slot, TABLE_COUNT, first_slot,
    hash, table_of,
};
use crate::entries::Entries;
use crate::error::{Error, ErrorKind, Result};
use crate::file::WriteAt;
use crate::file::overlap::build_and_write;

/// How much is written at once, in bytes.
const PIECE_LEN: usize = 1 << 20;

/// With fewer entries a second thread costs more than it saves.
const OVERLAP_MIN: usize = 10_000;

/// Slots a record.
const SLOTS_PER_RECORD: usize = 2;

/// Writes cdb files. See [`CdbReader`](super::CdbReader) for an example.
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
        let len = file_len(numbers.filter_map(|number| entries.lens(number)))?;
        if entries.len() < OVERLAP_MIN {
            return write(entries, len, out);
        }
        build_and_write(out, |out| write(entries, len, out))
    }
}

/// The length of the file for keys and values of these lengths.
fn file_len(lens: impl Iterator<Item = (usize, usize)>) -> Result<u64> {
    let overhead = (RECORD_HEAD_LEN + SLOTS_PER_RECORD * SLOT_LEN) as u64;
    let len = lens.fold(HEADER_LEN as u64, |len, (key_len, value_len)| {
        len.saturating_add(overhead)
            .saturating_add(key_len as u64)
            .saturating_add(value_len as u64)
    });
    if len > FILE_LEN_MAX {
        return Err(Error::new(ErrorKind::TooLong {
            what: "table",
            len,
            max: FILE_LEN_MAX,
        }));
    }
    Ok(len)
}

/// Writes a file of `len` bytes, which are fewer than 4 GiB.
fn write(entries: &Entries, len: u64, out: &mut dyn WriteAt) -> Result<u64> {
    let mut pieces = Pieces::new(out, HEADER_LEN);
    let mut slots = Vec::with_capacity(entries.len());
    let mut counts = [0usize; TABLE_COUNT];
    for (key, value) in entries.iter() {
        let slot = Slot {
            hash: hash(key),
            record: pieces.offset()?,
        };
        if let Some(count) = counts.get_mut(usize::from(table_of(slot.hash))) {
            *count += 1;
        }
        slots.push(slot);
        let [key_len, value_len] = [number(key.len())?, number(value.len())?];
        pieces.push(&key_len.to_le_bytes())?;
        pieces.push(&value_len.to_le_bytes())?;
        pieces.push(key)?;
        pieces.push(value)?;
    }
    let slots = by_table(&slots, &counts);
    let mut header = vec![0; HEADER_LEN];
    let mut rest = slots.as_slice();
    for (count, pointer) in counts.into_iter().zip(header.chunks_exact_mut(POINTER_LEN)) {
        let (own, others) = rest.split_at_checked(count).unwrap_or_default();
        rest = others;
        let table = table(own);
        let slot_count = number(table.len() / SLOT_LEN)?;
        let placed = ORDER.put_u32(pointer, POINTER_OFFSET_OFFSET, pieces.offset()?);
        placed.expect("a pointer has room for an offset");
        let placed = ORDER.put_u32(pointer, POINTER_SLOT_COUNT_OFFSET, slot_count);
        placed.expect("and for a count");
        pieces.push(&table)?;
    }
    pieces.flush()?;
    out.write_at(0, &header)?;
    Ok(len)
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
        self.out.write_at(self.start as u64, &self.piece)?;
        self.start += self.piece.len();
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
        let len = file_len([(1, fits - 1)].into_iter());
        assert_eq!(len.unwrap(), FILE_LEN_MAX);
        for lens in [[(1, fits), (0, 0)], [(usize::MAX, 1), (1, usize::MAX)]] {
            let error = file_len(lens.into_iter()).unwrap_err();
            let max = FILE_LEN_MAX;
            assert!(
                matches!(error.kind(), ErrorKind::TooLong { what: "table", max: m, .. } if *m == max),
                "{error}"
            );
        }
        let all = (0..1 << 20).map(|_| (3000, 1100));
        assert!(file_len(all).is_err());
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
