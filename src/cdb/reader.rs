//! Looks keys up in cdb files.

use std::borrow::Cow;

use crate::cdb::iter::Iter;
use crate::cdb::layout::{
    HEADER_LEN, Header, Pointer, RECORD_HEAD_LEN, Record, SLOT_LEN, Slot, first_slot, hash,
    table_of, too_short,
};
use crate::error::{Error, Result};
use crate::file::store::{Session, Store};

/// How many slots are read at once, at first and at most: nearly all searches end in the first
/// few.
const SLOTS_MIN: u32 = 8;
const SLOTS_MAX: u32 = 4096;

/// A cdb file, open for reading. `Send + Sync`; every method takes `&self`.
///
/// ```
/// use rpostmap::cdb::{CdbBuilder, CdbReader};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// CdbBuilder::new().build(&entries, &mut file)?;
///
/// let reader = CdbReader::new(Store::from_bytes(file))?;
/// assert_eq!(reader.get(b"example.com")?.as_deref(), Some(&b"smtp:[mail.example.com]"[..]));
/// assert_eq!(reader.get(b"example.org")?, None);
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct CdbReader {
    store: Store,
}

impl CdbReader {
    /// Opens the cdb file that `store` holds. A cdb file has no magic number: anything that is long
    /// enough for a header is taken for one until something in it is looked at.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the file is shorter than a header; `Io` when it cannot be read.
    pub fn new(store: Store) -> Result<CdbReader> {
        let len = store.session()?.len();
        if len < HEADER_LEN as u64 {
            return Err(too_short(len));
        }
        Ok(CdbReader { store })
    }

    /// The bytes behind the reader.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The value of `key`, whose bytes are compared as they are. Of several values, the first.
    ///
    /// `Ok(None)` means that the file is intact as far as it was looked at and does not hold the
    /// key.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the file is damaged where the key would be; `Io` when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let session = self.store.session()?;
        let hash = hash(key);
        let table = Pointer::read(&session, table_of(hash))?;
        if table.slot_count == 0 {
            if (table.offset as usize) < HEADER_LEN {
                // Nobody writes such a pointer, unless perhaps to an empty table.
                Header::read(&session)?.records_end(session.len())?;
            }
            return Ok(None);
        }
        table.check(session.len())?;
        let mut search = Search::new(table, hash);
        while let Some(slot) = search.next_slot(&session)? {
            if slot.record == 0 {
                return Ok(None);
            }
            if slot.hash == hash
                && let Some(value) = value_of(&session, u64::from(slot.record), key)?
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The offset of the slot where a lookup of `key` begins, if the file is in memory.
    #[inline]
    pub(crate) fn place(&self, key: &[u8]) -> Option<usize> {
        self.store.in_memory()?;
        let session = self.store.session().ok()?;
        let hash = hash(key);
        let table = Pointer::read(&session, table_of(hash)).ok()?;
        if table.slot_count == 0 {
            return None;
        }
        let slot = first_slot(hash, table.slot_count) as usize;
        (table.offset as usize).checked_add(slot.checked_mul(SLOT_LEN)?)
    }

    /// Reads parts of what a lookup reads that begins with the slot at `place`: in step 0 the slot,
    /// then the record it leads to.
    #[inline]
    pub(crate) fn touch(&self, place: usize, step: u8) -> u8 {
        const CACHE_LINE: usize = 64;
        let bytes = self.store.in_memory().unwrap_or_default();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        if step == 0 {
            return byte(place);
        }
        match bytes.get(place..).and_then(Slot::parse) {
            Some(slot) => {
                let record = slot.record as usize;
                byte(record) ^ byte(record.saturating_add(CACHE_LINE))
            }
            None => 0,
        }
    }

    /// All records in the order of the file, which is that of insertion. A key with several values
    /// comes once for each. The iterator ends after the first error.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the header does not tell where the records end; `Io` when it cannot be read.
    pub fn iter(&self) -> Result<Iter<'_>> {
        Iter::new(self.store.session()?)
    }
}

/// The value of the record at `offset` if its key is `key`.
#[inline]
fn value_of<'a>(session: &Session<'a>, offset: u64, key: &[u8]) -> Result<Option<Cow<'a, [u8]>>> {
    let head = session.read(offset, RECORD_HEAD_LEN)?;
    let record = head.and_then(|head| Record::parse(offset, &head));
    let record = record
        .filter(|_| offset >= HEADER_LEN as u64)
        .ok_or_else(|| misplaced(offset, session.len()))?;
    if record.end() > session.len() {
        return Err(Error::corrupt(record.too_long(session.len())));
    }
    if usize::try_from(record.key_len) != Ok(key.len()) {
        return Ok(None);
    }
    let cut = || misplaced(offset, session.len());
    let stored = session.read(record.key_offset(), key.len())?;
    if *stored.ok_or_else(cut)? != *key {
        return Ok(None);
    }
    let value_len = usize::try_from(record.value_len).map_err(|_| cut())?;
    let value = session.read(record.key_offset() + u64::from(record.key_len), value_len)?;
    value.map(Some).ok_or_else(cut)
}

#[cold]
fn misplaced(offset: u64, file_len: u64) -> Error {
    Error::corrupt(format!(
        "record at offset {offset} does not lie between the header and the end of the file, \
         {file_len} bytes"
    ))
}

/// The slots at which a hash can be, in the order to look at them: from its first slot to the end
/// of the table and on from the table's start, each once.
struct Search<'a> {
    table: Pointer,
    /// The slot behind those of `slots`.
    next: u32,
    /// How many slots of the table are not in `slots` yet.
    left: u32,
    /// How many to read next.
    count: u32,
    slots: Cow<'a, [u8]>,
    /// How many bytes of `slots` were given out.
    used: usize,
}

impl<'a> Search<'a> {
    #[inline]
    fn new(table: Pointer, hash: u32) -> Search<'a> {
        Search {
            table,
            next: first_slot(hash, table.slot_count),
            left: table.slot_count,
            count: SLOTS_MIN,
            slots: Cow::Borrowed(&[]),
            used: 0,
        }
    }

    #[inline]
    fn next_slot(&mut self, session: &Session<'a>) -> Result<Option<Slot>> {
        loop {
            let rest = self.slots.get(self.used..).unwrap_or_default();
            if let Some(slot) = Slot::parse(rest) {
                self.used += SLOT_LEN;
                return Ok(Some(slot));
            }
            if self.left == 0 {
                return Ok(None);
            }
            self.read(session)?;
        }
    }

    fn read(&mut self, session: &Session<'a>) -> Result<()> {
        let to_end = self.table.slot_count - self.next;
        let count = self.count.min(self.left).min(to_end);
        let offset = u64::from(self.table.offset) + u64::from(self.next) * SLOT_LEN as u64;
        let slots = session.read(offset, count as usize * SLOT_LEN)?;
        self.slots = slots.ok_or_else(|| Error::corrupt("file was cut while it was read"))?;
        self.used = 0;
        self.left -= count;
        self.next = if count == to_end {
            0
        } else {
            self.next + count
        };
        self.count = (2 * self.count).min(SLOTS_MAX);
        Ok(())
    }
}
