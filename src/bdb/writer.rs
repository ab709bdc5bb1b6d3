//! What the bulk builders of all access methods share: pages gathered into large writes, page
//! numbers, overflow chains, the meta page and the file's unique id.

use xxhash_rust::xxh3::Xxh3;

use crate::bdb::PageNo;
use crate::bdb::meta::{
    LAST_PAGE_OFFSET, MAGIC_OFFSET, META_TYPE_OFFSET, PAGE_SIZE_OFFSET, UID_LEN, UID_OFFSET,
    VERSION_OFFSET,
};
use crate::bdb::page::{LSN_OFFSET, PageFormat};
use crate::bdb::page_buf::{Links, overflow_page};
use crate::error::{Error, ErrorKind, Result};
use crate::file::WriteAt;

/// From this many entries on a file is written while it is worked out.
pub(crate) const OVERLAP_MIN: usize = 10_000;
/// Bytes gathered before they are written.
const REGION_BUFFER_LEN: usize = 1 << 18;

/// Pages that follow each other in the file, gathered and written in large pieces.
pub(crate) struct Region {
    /// Where the buffer begins in the file.
    offset: u64,
    buffer: Vec<u8>,
    digest: Xxh3,
}

impl Region {
    pub(crate) fn new(offset: u64) -> Region {
        Region {
            offset,
            buffer: Vec::new(),
            digest: Xxh3::new(),
        }
    }

    /// A page of zeros to fill in, behind the page before.
    pub(crate) fn page(&mut self, size: usize, out: &mut dyn WriteAt) -> Result<&mut [u8]> {
        if self.buffer.len() + size > REGION_BUFFER_LEN {
            self.flush(out)?;
        }
        let start = self.buffer.len();
        self.buffer.resize(start + size, 0);
        Ok(self.buffer.get_mut(start..).unwrap_or_default())
    }

    pub(crate) fn flush(&mut self, out: &mut dyn WriteAt) -> Result<()> {
        if !self.buffer.is_empty() {
            self.digest.update(&self.buffer);
            let len = self.buffer.len() as u64;
            out.write_buffer(self.offset, &mut self.buffer)?;
            self.offset += len;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes an overflow chain with `bytes` to the pages from `first` on, which are the next of
    /// this region.
    pub(crate) fn write_chain(
        &mut self,
        first: u32,
        bytes: &[u8],
        format: PageFormat,
        out: &mut dyn WriteAt,
    ) -> Result<()> {
        let mut number = first;
        let mut parts = bytes.chunks(format.room()).peekable();
        while let Some(part) = parts.next() {
            let prev = if number == first { 0 } else { number - 1 };
            let next = if parts.peek().is_some() {
                number + 1
            } else {
                0
            };
            let links = Links {
                number: PageNo(number),
                prev: PageNo(prev),
                next: PageNo(next),
            };
            let page = self.page(format.size.bytes(), out)?;
            overflow_page(page, format, links, part);
            number += 1;
        }
        Ok(())
    }
}

/// Hands out page numbers in ascending order.
pub(crate) struct PageNumbers {
    next: u32,
    format: PageFormat,
}

impl PageNumbers {
    /// The numbers from `next` on.
    pub(crate) fn from(next: u32, format: PageFormat) -> PageNumbers {
        PageNumbers { next, format }
    }

    /// The first number not handed out: the number of pages of a file that ends here.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// The first of `count` numbers.
    ///
    /// # Errors
    ///
    /// `TooLong` when the file would have 2^32 pages or more.
    pub(crate) fn take(&mut self, count: u64) -> Result<u32> {
        let first = self.next;
        let end = u64::from(first) + count;
        self.next = u32::try_from(end).map_err(|_| {
            let size = self.format.size.bytes() as u64;
            let max = size * u64::from(u32::MAX);
            Error::new(ErrorKind::TooLong {
                what: "table",
                len: size * end,
                max,
            })
        })?;
        Ok(first)
    }
}

/// A file's unique id from the digests of all its pages but the meta page: the same entries give
/// the same file.
pub(crate) fn content_uid<'r>(regions: impl IntoIterator<Item = &'r Region>) -> [u8; UID_LEN] {
    let mut whole = Xxh3::new();
    for region in regions {
        whole.update(&region.digest.digest128().to_le_bytes());
    }
    let mut uid = [0; UID_LEN];
    if let Some(front) = uid.first_chunk_mut() {
        *front = whole.digest128().to_le_bytes();
    }
    uid
}

/// What the meta page of a new file says, whatever the access method.
pub(crate) struct NewMeta {
    pub(crate) magic: u32,
    pub(crate) version: u32,
    pub(crate) meta_type: u8,
    pub(crate) page_count: u32,
    pub(crate) uid: [u8; UID_LEN],
}

impl NewMeta {
    /// The meta page, with `fields` of the access method: offset and value.
    pub(crate) fn page(
        &self,
        format: PageFormat,
        fields: impl IntoIterator<Item = (usize, u32)>,
    ) -> Vec<u8> {
        let mut page = vec![0; format.size.bytes()];
        let general = [
            (LSN_OFFSET + 4, 1),
            (MAGIC_OFFSET, self.magic),
            (VERSION_OFFSET, self.version),
            (
                PAGE_SIZE_OFFSET,
                u32::try_from(format.size.bytes()).unwrap_or(0),
            ),
            (LAST_PAGE_OFFSET, self.page_count - 1),
        ];
        for (offset, value) in general.into_iter().chain(fields) {
            format
                .order
                .put_u32(&mut page, offset, value)
                .expect("a page holds the meta data");
        }
        if let Some(byte) = page.get_mut(META_TYPE_OFFSET) {
            *byte = self.meta_type;
        }
        if let Some(place) = page.get_mut(UID_OFFSET..UID_OFFSET + UID_LEN) {
            place.copy_from_slice(&self.uid);
        }
        page
    }
}
