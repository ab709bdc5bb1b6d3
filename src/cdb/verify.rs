//! Walks everything in a cdb file once and lists what is wrong with it.
//!
//! Records are walked from front to back, then every slot of every table is compared with them. A
//! table that overlaps another one is left out after the first, so time and memory are linear in
//! the length of the file, whatever it says.

use crate::cdb::forward::Forward;
use crate::cdb::iter::record_at;
use crate::cdb::layout::{
    HEADER_LEN, Header, ORDER, Pointer, SLOT_LEN, SLOT_RECORD_OFFSET, Slot, first_slot, hash,
    no_slots, table_of, too_short,
};
use crate::defect::{Place, rules};
use crate::error::{ErrorKind, Result};
use crate::file::store::{Session, Store};

rules! {
    /// A rule of the cdb file format. Numbered as in `docs/format-cdb.md`.
    pub enum Rule {
        D1 "the file is long enough for its header",
        D2 "a table lies between the header and the end of the file",
        D3 "tables do not overlap",
        D4 "records fill the space between the header and the first table",
        D5 "a slot points at the beginning of a record",
        D6 "a slot holds the hash of its record's key, in the table of that hash",
        D7 "no slot on the way to an entry is empty",
        D8 "each record is in exactly one slot",
        D9 "every byte belongs to something",
    }
}

/// A place where a file breaks a rule: an offset.
pub type Defect = crate::defect::Defect<Rule>;

/// The result of [`verify`].
pub type Report = crate::defect::Report<Rule, Statistics>;

type Defects = crate::defect::Defects<Rule>;

/// What was counted in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// The length of the file in bytes.
    pub file_len: u64,
    /// Records; a key with several values counts once for each.
    pub records: u64,
    /// The bytes of records, with the lengths in front of them.
    pub record_bytes: u64,
    /// Tables that have slots, out of 256.
    pub tables: u32,
    /// The slots of all tables.
    pub slots: u64,
    /// How many of them are not empty.
    pub used_slots: u64,
    /// The most slots that finding an entry looks at.
    pub longest_probe: u32,
}

impl Statistics {
    /// How full the tables are, in per cent.
    pub fn fill_percent(&self) -> f64 {
        if self.slots == 0 {
            return 0.0;
        }
        100.0 * self.used_slots as f64 / self.slots as f64
    }
}

/// Checks the whole cdb file that `store` holds.
///
/// A file without errors (see [`Report::is_clean`]) can be read from end to end.
///
/// ```
/// use rpostmap::cdb::CdbBuilder;
/// use rpostmap::cdb::verify::{Rule, verify};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// CdbBuilder::new().build(&entries, &mut file)?;
///
/// let report = verify(&Store::from_bytes(file.clone()))?;
/// assert!(report.is_clean());
/// assert_eq!(report.statistics.unwrap().records, 1);
///
/// file.truncate(file.len() - 1);
/// let report = verify(&Store::from_bytes(file))?;
/// assert_eq!(report.defects[0].rule, Rule::D2);
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// # Errors
///
/// `Io` when the file cannot be read. Damage is no error.
pub fn verify(store: &Store) -> Result<Report> {
    let session = store.session()?;
    let mut defects = Defects::default();
    let len = session.len();
    if len < HEADER_LEN as u64 {
        defects.error(
            Rule::D1,
            Place::Offset(0),
            too_short(len).kind().to_string(),
        );
        return Ok(defects.into_report(None));
    }
    let header = Header::read(&session)?;
    let mut walk = Walk {
        session,
        defects,
        statistics: Statistics {
            file_len: len,
            ..Statistics::default()
        },
        records: Vec::new(),
        found: Vec::new(),
        walked_to: HEADER_LEN as u64,
    };
    let tables = walk.places(&header);
    let records_end = tables
        .first()
        .map_or(HEADER_LEN as u64, |t| u64::from(t.offset));
    walk.records(records_end)?;
    for table in tables {
        walk.table(table)?;
    }
    walk.unfound();
    Ok(walk.defects.into_report(Some(walk.statistics)))
}

struct Walk<'a> {
    session: Session<'a>,
    defects: Defects,
    statistics: Statistics,
    /// Offset and key hash of each record, in the order of the file.
    records: Vec<(u32, u32)>,
    /// Whether a slot points at it.
    found: Vec<bool>,
    /// Records are known up to here.
    walked_to: u64,
}

impl Walk<'_> {
    /// The tables that have slots and lie where a table can, in the order of the file.
    fn places(&mut self, header: &Header) -> Vec<Pointer> {
        let len = self.session.len();
        let mut tables = Vec::new();
        for &table in header.pointers.iter().filter(|table| table.slot_count > 0) {
            match table.defect(len) {
                None => tables.push(table),
                Some(what) => {
                    self.defects
                        .error(Rule::D2, Place::Offset(u64::from(table.offset)), what)
                }
            }
        }
        tables.sort_by_key(|table| (table.offset, table.table));
        let mut end = None;
        tables.retain(|table| {
            let offset = u64::from(table.offset);
            let before = end.unwrap_or(offset);
            if offset < before {
                let number = table.table;
                let what = format!(
                    "table {number} at offset {offset} overlaps another one, which ends at {before}"
                );
                self.defects.error(Rule::D3, Place::Offset(offset), what);
                return false;
            }
            if offset > before {
                self.defects
                    .warn(Rule::D9, Place::Offset(before), unowned(before, offset));
            }
            end = Some(table.end());
            true
        });
        if header.pointers.iter().all(|table| table.slot_count == 0) && len > HEADER_LEN as u64 {
            self.defects
                .error(Rule::D2, Place::Offset(HEADER_LEN as u64), no_slots(len));
            return tables;
        }
        let end = end.unwrap_or(HEADER_LEN as u64);
        if end < len {
            self.defects
                .warn(Rule::D9, Place::Offset(end), unowned(end, len));
        }
        self.statistics.tables = u32::try_from(tables.len()).unwrap_or(u32::MAX);
        tables
    }

    fn records(&mut self, end: u64) -> Result<()> {
        let mut forward = Forward::default();
        while self.walked_to < end {
            let offset = self.walked_to;
            let record = match record_at(&self.session, &mut forward, offset, end) {
                Ok(record) => record,
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
                    self.defects
                        .error(Rule::D4, Place::Offset(offset), error.kind().to_string());
                    break;
                }
                Err(error) => return Err(error),
            };
            let key = forward.read(
                &self.session,
                record.key_offset(),
                u64::from(record.key_len),
            )?;
            // Offsets of records are those of 32 bits: a file whose tables begin further on has
            // none that a slot could point at.
            if let (Some(key), Ok(offset)) = (key, u32::try_from(offset)) {
                self.records.push((offset, hash(&key)));
            }
            self.statistics.records += 1;
            self.walked_to = record.end();
        }
        self.statistics.record_bytes = self.walked_to - HEADER_LEN as u64;
        self.found = vec![false; self.records.len()];
        Ok(())
    }

    fn table(&mut self, table: Pointer) -> Result<()> {
        // Tables lie inside the file and do not overlap.
        let len = table.slot_count as usize * SLOT_LEN;
        let Some(slots) = self.session.read(u64::from(table.offset), len)? else {
            return Ok(());
        };
        self.statistics.slots += u64::from(table.slot_count);
        // How many slots in front of the first one are used without a gap: the search goes on from
        // the end of the table to its start.
        let used = |slot: &[u8]| ORDER.u32(slot, SLOT_RECORD_OFFSET) != Some(0);
        let backwards = slots.rchunks_exact(SLOT_LEN);
        let mut run = backwards.take_while(|slot| used(slot)).count() as u64;
        for (number, bytes) in (0..table.slot_count).zip(slots.chunks_exact(SLOT_LEN)) {
            let Some(slot) = Slot::parse(bytes).filter(|slot| slot.record != 0) else {
                run = 0;
                continue;
            };
            run += 1;
            self.statistics.used_slots += 1;
            self.slot(table, number, slot, run);
        }
        Ok(())
    }

    /// A slot that is not empty; `run` slots up to it are used without a gap.
    fn slot(&mut self, table: Pointer, number: u32, slot: Slot, run: u64) {
        let offset = u64::from(table.offset) + u64::from(number) * SLOT_LEN as u64;
        let place = format!("table {}, slot {number}", table.table);
        let record = slot.record;
        let first = first_slot(slot.hash, table.slot_count);
        let probe = match number.checked_sub(first) {
            Some(distance) => distance + 1,
            None => number + (table.slot_count - first) + 1,
        };
        let in_table = table_of(slot.hash) == table.table;
        if u64::from(probe) > run {
            let what = format!(
                "{place}: the search for record {record} begins at slot {first} and ends at an \
                 empty one before it gets here"
            );
            self.defects.error(Rule::D7, Place::Offset(offset), what);
        } else if in_table {
            self.statistics.longest_probe = self.statistics.longest_probe.max(probe);
        }
        let Ok(index) = self
            .records
            .binary_search_by_key(&record, |&(offset, _)| offset)
        else {
            // Where records are not known, nothing can be said.
            if u64::from(record) < self.walked_to || self.is_walked() {
                let what = format!("{place}: no record begins at offset {record}");
                self.defects.error(Rule::D5, Place::Offset(offset), what);
            }
            return;
        };
        let key_hash = self.records.get(index).map_or(0, |&(_, hash)| hash);
        if key_hash != slot.hash || !in_table {
            let what = format!(
                "{place}: hash is {:#010x}, that of the key at offset {record} is {key_hash:#010x}",
                slot.hash
            );
            self.defects.error(Rule::D6, Place::Offset(offset), what);
        }
        if let Some(found) = self.found.get_mut(index) {
            if *found {
                let what = format!("{place}: another slot points at offset {record} already");
                self.defects.error(Rule::D8, Place::Offset(offset), what);
            }
            *found = true;
        }
    }

    /// Whether all records are known.
    fn is_walked(&self) -> bool {
        !self.defects.has(Rule::D4)
    }

    fn unfound(&mut self) {
        let records = self.records.iter().zip(&self.found);
        for (&(offset, _), _) in records.filter(|(_, found)| !**found) {
            let what = format!("record at offset {offset} is in no table");
            self.defects
                .error(Rule::D8, Place::Offset(u64::from(offset)), what);
        }
    }
}

fn unowned(from: u64, to: u64) -> String {
    format!("{} bytes at offset {from} belong to nothing", to - from)
}
