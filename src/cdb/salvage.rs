//! Gets everything plausible out of a damaged cdb file.
//!
//! A slot of a table proves a record when it holds the hash of the key at the offset it points at:
//! that does not happen by chance. Slots are looked for at every offset of the file, so it does not
//! matter what the header says. Then records are followed from the first one on, by their lengths.
//! Where that comes upon a record that cannot be, or one that would swallow a proven record, it
//! goes on at the next proven one.
//!
//! A file that was cut off has no tables, or not all; its records are followed to the end.

use std::collections::BTreeSet;

use crate::cdb::forward::Forward;
use crate::cdb::iter::{Iter, KeyValue};
use crate::cdb::layout::{HEADER_LEN, Header, RECORD_HEAD_LEN, Record, SLOT_LEN, Slot, hash};
use crate::cdb::verify::verify;
use crate::error::Result;
use crate::file::store::{Session, Store};

/// How many bytes of keys are hashed while slots are looked for, for each byte of the file. In a
/// file that nobody forged each key is hashed once.
const HASHED_PER_BYTE: u64 = 4;

/// How much is searched for slots at once, in bytes.
const PIECE_LEN: u64 = 1 << 20;

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The key's bytes as stored.
    pub key: Vec<u8>,
    /// The value's bytes as stored.
    pub value: Vec<u8>,
    /// Where the record begins in the file.
    pub offset: u64,
    /// Whether a slot confirms it. Without, its key may be damaged, or its lengths.
    pub confirmed: bool,
}

/// A part of the file that should hold records and gave none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
}

/// What was found in a file.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Salvage {
    /// In the order of the file. A key with several values comes once for each.
    pub pairs: Vec<Pair>,
    /// Parts of the file that should hold records.
    pub skipped: Vec<Skipped>,
    /// Whether the file has no defect, so that nothing is missing.
    pub sound: bool,
}

/// Looks for records in the file that `store` holds.
///
/// ```
/// use rpostmap::cdb::CdbBuilder;
/// use rpostmap::cdb::salvage::salvage;
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// CdbBuilder::new().build(&entries, &mut file)?;
/// file[..2048].fill(0);
///
/// let found = salvage(&Store::from_bytes(file))?;
/// assert!(!found.sound);
/// assert_eq!(found.pairs[0].value, b"smtp:[mail.example.com]");
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// # Errors
///
/// `Io` when the file cannot be read.
pub fn salvage(store: &Store) -> Result<Salvage> {
    if verify(store)?.is_clean() {
        let pairs = sound_pairs(Iter::new(store.session()?)?)?;
        return Ok(Salvage {
            pairs,
            skipped: Vec::new(),
            sound: true,
        });
    }
    let session = store.session()?;
    let proof = Proof::find(&session)?;
    let end = records_end(&session, &proof)?;
    follow(&session, &proof, end)
}

fn sound_pairs(iter: Iter<'_>) -> Result<Vec<Pair>> {
    let mut offset = HEADER_LEN as u64;
    iter.map(|pair| {
        let (key, value): KeyValue<'_> = pair?;
        let pair = Pair {
            key: key.into_owned(),
            value: value.into_owned(),
            offset,
            confirmed: true,
        };
        offset += (RECORD_HEAD_LEN + pair.key.len() + pair.value.len()) as u64;
        Ok(pair)
    })
    .collect()
}

/// The records that slots prove.
#[derive(Default)]
struct Proof {
    /// Their offsets.
    records: BTreeSet<u64>,
    /// The offset of the first slot that proves one.
    first_slot: Option<u64>,
}

impl Proof {
    /// Looks for slots at every offset.
    fn find(session: &Session<'_>) -> Result<Proof> {
        let mut proof = Proof::default();
        let mut budget = HASHED_PER_BYTE.saturating_mul(session.len());
        let mut start = HEADER_LEN as u64;
        let mut forward = Forward::default();
        while let Some(rest) = session.len().checked_sub(start).filter(|&rest| rest > 0) {
            // So that slots on the border of two pieces are seen.
            let len = rest.min(PIECE_LEN + SLOT_LEN as u64 - 1);
            let Some(piece) = forward.read(session, start, len)? else {
                break;
            };
            for (at, bytes) in (start..).zip(piece.windows(SLOT_LEN)) {
                let Some(slot) = Slot::parse(bytes) else {
                    continue;
                };
                // A table begins behind all records.
                if u64::from(slot.record) < HEADER_LEN as u64 || u64::from(slot.record) >= at {
                    continue;
                }
                if is_proven(session, slot, at, &mut budget)? {
                    proof.records.insert(u64::from(slot.record));
                    proof.first_slot.get_or_insert(at);
                }
            }
            start += PIECE_LEN;
        }
        Ok(proof)
    }

    /// The first proven record behind `offset`.
    fn next(&self, offset: u64) -> Option<u64> {
        self.records.range(offset + 1..).next().copied()
    }
}

/// Whether the record that `slot`, which is at offset `at`, points at has a key with its hash.
fn is_proven(session: &Session<'_>, slot: Slot, at: u64, budget: &mut u64) -> Result<bool> {
    let offset = u64::from(slot.record);
    let head = session.read(offset, RECORD_HEAD_LEN)?;
    let record = head.and_then(|head| Record::parse(offset, &head));
    // The hash of an empty key proves nothing: any zeros could be its length.
    let Some(record) = record.filter(|record| record.end() <= at && record.key_len > 0) else {
        return Ok(false);
    };
    let Some(left) = budget.checked_sub(u64::from(record.key_len)) else {
        return Ok(false);
    };
    *budget = left;
    let Ok(key_len) = usize::try_from(record.key_len) else {
        return Ok(false);
    };
    let key = session.read(record.key_offset(), key_len)?;
    Ok(key.is_some_and(|key| hash(&key) == slot.hash))
}

/// Where the records end at the latest: at the first table, as the header says if that can be, else
/// at the first slot that proves a record, else at the end of the file.
fn records_end(session: &Session<'_>, proof: &Proof) -> Result<u64> {
    let len = session.len();
    let latest = proof.first_slot.unwrap_or(len);
    if len < HEADER_LEN as u64 {
        return Ok(len);
    }
    let earliest = proof.records.last().map_or(HEADER_LEN as u64, |&last| last);
    let header = Header::read(session)?;
    let offsets = header.pointers.iter().map(|table| u64::from(table.offset));
    let possible = offsets.filter(|offset| (earliest + 1..=latest).contains(offset));
    Ok(possible.min().unwrap_or(latest))
}

/// Follows the records to `end`, by their lengths and from one proven record to the next.
fn follow(session: &Session<'_>, proof: &Proof, end: u64) -> Result<Salvage> {
    let mut found = Salvage::default();
    let mut forward = Forward::default();
    let mut offset = HEADER_LEN as u64;
    while offset < end {
        let next_proven = proof.next(offset);
        let limit = next_proven.unwrap_or(end).min(end);
        if let Some(pair) = pair_at(session, &mut forward, proof, offset, limit)? {
            offset += (RECORD_HEAD_LEN + pair.key.len() + pair.value.len()) as u64;
            found.pairs.push(pair);
            continue;
        }
        if !is_blank(session, &mut forward, offset, limit)? {
            let len = limit - offset;
            found.skipped.push(Skipped { offset, len });
        }
        offset = limit;
    }
    Ok(found)
}

/// The record at `offset`, if it is one and ends at `limit` at the latest.
fn pair_at(
    session: &Session<'_>,
    forward: &mut Forward,
    proof: &Proof,
    offset: u64,
    limit: u64,
) -> Result<Option<Pair>> {
    let head = forward.read(session, offset, RECORD_HEAD_LEN as u64)?;
    let record = head.and_then(|head| Record::parse(offset, &head));
    // A record without key and value is what zeros look like.
    let Some(record) = record.filter(|record| record.body_len() > 0 && record.end() <= limit)
    else {
        return Ok(None);
    };
    let body = forward.read(session, record.key_offset(), record.body_len())?;
    let Some(body) = body else { return Ok(None) };
    let parts = usize::try_from(record.key_len)
        .ok()
        .and_then(|key_len| body.split_at_checked(key_len));
    Ok(parts.map(|(key, value)| Pair {
        key: key.to_vec(),
        value: value.to_vec(),
        offset,
        confirmed: proof.records.contains(&offset),
    }))
}

/// Whether there is nothing but zeros, as in front of a table whose first slots are empty.
fn is_blank(
    session: &Session<'_>,
    forward: &mut Forward,
    mut offset: u64,
    end: u64,
) -> Result<bool> {
    while offset < end {
        let len = (end - offset).min(PIECE_LEN);
        let bytes = forward.read(session, offset, len)?;
        if bytes.is_none_or(|bytes| bytes.iter().any(|&byte| byte != 0)) {
            return Ok(false);
        }
        offset += len;
    }
    Ok(true)
}
