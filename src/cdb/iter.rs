//! Lists all records of a cdb file, from front to back.

use std::borrow::Cow;

use crate::cdb::forward::Forward;
use crate::cdb::layout::{HEADER_LEN, Header, RECORD_HEAD_LEN, Record};
use crate::error::{Error, Result};
use crate::file::store::Session;

/// A key and a value.
pub type KeyValue<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// All records of a file, see [`CdbReader::iter`](super::CdbReader::iter).
pub struct Iter<'a> {
    session: Session<'a>,
    forward: Forward,
    /// Where the next record begins.
    next: u64,
    /// Where the records end.
    end: u64,
}

impl<'a> Iter<'a> {
    pub(super) fn new(session: Session<'a>) -> Result<Iter<'a>> {
        let end = Header::read(&session)?.records_end(session.len())?;
        Ok(Iter {
            session,
            forward: Forward::default(),
            next: HEADER_LEN as u64,
            end,
        })
    }

    fn read_next(&mut self) -> Result<Option<KeyValue<'a>>> {
        if self.next >= self.end {
            return Ok(None);
        }
        let record = record_at(&self.session, &mut self.forward, self.next, self.end)?;
        self.next = record.end();
        let body = self
            .forward
            .read(&self.session, record.key_offset(), record.body_len())?;
        body.and_then(|body| split(body, record.key_len))
            .map(Some)
            .ok_or_else(|| Error::corrupt("file was cut while it was read"))
    }
}

/// Where the record at `offset` is, which ends at `limit` at the latest.
pub(super) fn record_at(
    session: &Session<'_>,
    forward: &mut Forward,
    offset: u64,
    limit: u64,
) -> Result<Record> {
    let head = forward.read(session, offset, RECORD_HEAD_LEN as u64)?;
    let record = head.and_then(|head| Record::parse(offset, &head));
    let record = record.filter(|record| record.key_offset() <= limit);
    let record = record.ok_or_else(|| {
        let what = format!("record at offset {offset} has no room before offset {limit}");
        Error::corrupt(what)
    })?;
    if record.end() > limit {
        return Err(Error::corrupt(record.too_long(limit)));
    }
    Ok(record)
}

fn split(body: Cow<'_, [u8]>, key_len: u32) -> Option<KeyValue<'_>> {
    let key_len = usize::try_from(key_len).ok()?;
    match body {
        Cow::Borrowed(body) => {
            let (key, value) = body.split_at_checked(key_len)?;
            Some((key.into(), value.into()))
        }
        Cow::Owned(mut key) => {
            let value = key.get(key_len..)?.to_vec();
            key.truncate(key_len);
            Some((key.into(), value.into()))
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<KeyValue<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read_next().transpose();
        if let Some(Err(_)) = item {
            self.next = self.end;
        }
        item
    }
}
