//! Where things are in a cdb file: `docs/format-cdb.md`, in the same order.
//!
//! ```text
//! header    256 pointers, one for each hash table
//! records   key length, value length, key, value; in the order of insertion
//! tables    slots: hash, offset of the record; twice as many as records
//! ```

use crate::error::{Error, Result};
use crate::file::store::Session;
use crate::wire::ByteOrder;

/// All numbers of a cdb file are little-endian.
pub(super) const ORDER: ByteOrder = ByteOrder::Little;

/// How many hash tables a file has.
pub const TABLE_COUNT: usize = 256;

/// The length of a pointer to a table, in bytes.
pub const POINTER_LEN: usize = 8;
/// In a pointer: the offset of the table's first slot in the file.
pub const POINTER_OFFSET_OFFSET: usize = 0;
/// In a pointer: the number of slots.
pub const POINTER_SLOT_COUNT_OFFSET: usize = 4;

/// The length of the header, in bytes: the shortest file.
pub const HEADER_LEN: usize = TABLE_COUNT * POINTER_LEN;

/// The length of what stands in front of a record's key, in bytes.
pub const RECORD_HEAD_LEN: usize = 8;
/// In a record: the length of the key.
pub const RECORD_KEY_LEN_OFFSET: usize = 0;
/// In a record: the length of the value.
pub const RECORD_VALUE_LEN_OFFSET: usize = 4;

/// The length of a slot, in bytes.
pub const SLOT_LEN: usize = 8;
/// In a slot: the hash of the key.
pub const SLOT_HASH_OFFSET: usize = 0;
/// In a slot: the offset of the record in the file; 0 in an empty slot.
pub const SLOT_RECORD_OFFSET: usize = 4;

/// The longest file, in bytes: whatever is in it is found by 32-bit offsets.
pub const FILE_LEN_MAX: u64 = u32::MAX as u64;

/// The hash of a key.
#[inline]
pub fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, &byte| {
        hash.wrapping_mul(33) ^ u32::from(byte)
    })
}

/// The number of the table that holds keys of this hash.
#[inline]
pub(super) fn table_of(hash: u32) -> u8 {
    let [low, ..] = hash.to_le_bytes();
    low
}

/// The slot at which the search for a hash begins in a table of `slot_count` slots, which is not 0.
#[inline]
pub(super) fn first_slot(hash: u32, slot_count: u32) -> u32 {
    (hash >> 8) % slot_count
}

/// The pointer to a hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The number of the table, which is the low byte of the hashes in it.
    pub table: u8,
    /// The offset of the table's first slot in the file.
    pub offset: u32,
    /// The number of slots.
    pub slot_count: u32,
}

impl Pointer {
    /// The pointer in the first 8 bytes of `bytes`.
    #[inline]
    fn parse(table: u8, bytes: &[u8]) -> Option<Pointer> {
        Some(Pointer {
            table,
            offset: ORDER.u32(bytes, POINTER_OFFSET_OFFSET)?,
            slot_count: ORDER.u32(bytes, POINTER_SLOT_COUNT_OFFSET)?,
        })
    }

    /// Reads the pointer to a table, unchecked.
    #[inline]
    pub(super) fn read(session: &Session<'_>, table: u8) -> Result<Pointer> {
        let bytes = session.read(u64::from(table) * POINTER_LEN as u64, POINTER_LEN)?;
        bytes
            .and_then(|bytes| Pointer::parse(table, &bytes))
            .ok_or_else(|| too_short(session.len()))
    }

    /// The offset behind the table's last slot.
    #[inline]
    pub fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.slot_count) * SLOT_LEN as u64
    }

    /// That the table lies inside a file of `file_len` bytes, behind the header.
    #[inline]
    pub(super) fn check(self, file_len: u64) -> Result<()> {
        match self.defect(file_len) {
            None => Ok(()),
            Some(what) => Err(Error::corrupt(what)),
        }
    }

    /// What is wrong with the place of the table.
    #[inline]
    pub(super) fn defect(self, file_len: u64) -> Option<String> {
        if self.slot_count == 0 || (self.offset as usize >= HEADER_LEN && self.end() <= file_len) {
            return None;
        }
        let Pointer {
            table,
            offset,
            slot_count,
        } = self;
        Some(format!(
            "table {table}: {slot_count} slots at offset {offset} do not lie between the header \
             and the end of the file, {file_len} bytes"
        ))
    }
}

/// The pointers to all tables.
pub(super) struct Header {
    pub(super) pointers: Vec<Pointer>,
}

impl Header {
    /// Reads the header, whose pointers are not checked.
    pub(super) fn read(session: &Session<'_>) -> Result<Header> {
        let bytes = session.read(0, HEADER_LEN)?;
        let bytes = bytes.ok_or_else(|| too_short(session.len()))?;
        let pointers = (0..=u8::MAX).zip(bytes.chunks_exact(POINTER_LEN));
        let pointers = pointers.filter_map(|(table, bytes)| Pointer::parse(table, bytes));
        Ok(Header {
            pointers: pointers.collect(),
        })
    }

    /// The offset behind the last record: that of the first table that has slots.
    pub(super) fn records_end(&self, file_len: u64) -> Result<u64> {
        let used = self.pointers.iter().filter(|table| table.slot_count > 0);
        match used.min_by_key(|table| table.offset) {
            Some(first) => first.check(file_len).map(|()| u64::from(first.offset)),
            None if file_len == HEADER_LEN as u64 => Ok(file_len),
            // A file of zeros is what a crash leaves of one that was not synced.
            None => Err(Error::corrupt(no_slots(file_len))),
        }
    }
}

/// What is wrong with a file that has more than a header, although no table has slots.
#[cold]
pub(super) fn no_slots(file_len: u64) -> String {
    format!("no table has slots, but the file has {file_len} bytes")
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) key_len: u32,
    pub(super) value_len: u32,
}

impl Record {
    /// The record at `offset` whose first 8 bytes are those of `head`, unchecked.
    #[inline]
    pub(super) fn parse(offset: u64, head: &[u8]) -> Option<Record> {
        Some(Record {
            offset,
            key_len: ORDER.u32(head, RECORD_KEY_LEN_OFFSET)?,
            value_len: ORDER.u32(head, RECORD_VALUE_LEN_OFFSET)?,
        })
    }

    /// The offset of the key.
    #[inline]
    pub(super) fn key_offset(self) -> u64 {
        self.offset + RECORD_HEAD_LEN as u64
    }

    /// The length of key and value together.
    #[inline]
    pub(super) fn body_len(self) -> u64 {
        u64::from(self.key_len) + u64::from(self.value_len)
    }

    /// The offset behind the record.
    #[inline]
    pub(super) fn end(self) -> u64 {
        self.key_offset() + self.body_len()
    }

    /// What is wrong with a record that ends behind `limit`.
    pub(super) fn too_long(self, limit: u64) -> String {
        let Record {
            offset,
            key_len,
            value_len,
        } = self;
        format!(
            "record at offset {offset}: key of {key_len} and value of {value_len} bytes reach past \
             offset {limit}"
        )
    }
}

/// A slot of a table: the hash of a key and the offset of its record, which is 0 in an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) hash: u32,
    pub(super) record: u32,
}

impl Slot {
    /// The slot in the first 8 bytes of `bytes`.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Option<Slot> {
        Some(Slot {
            hash: ORDER.u32(bytes, SLOT_HASH_OFFSET)?,
            record: ORDER.u32(bytes, SLOT_RECORD_OFFSET)?,
        })
    }
}

/// The error for a file without a whole header.
pub(super) fn too_short(file_len: u64) -> Error {
    Error::corrupt(format!(
        "{file_len} bytes are too short for a cdb file, whose header has {HEADER_LEN}"
    ))
}
