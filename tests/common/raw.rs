//! Berkeley DB files byte by byte, without the code that is tested.

use rpostmap::wire::ByteOrder;

/// Offsets in the meta page.
pub(crate) const VERSION: usize = 16;
pub(crate) const FREE: usize = 28;
pub(crate) const LAST_PAGE: usize = 32;
pub(crate) const UID: std::ops::Range<usize> = 52..72;
pub(crate) const MAX_BUCKET: usize = 72;
pub(crate) const ELEMENT_COUNT: usize = 88;
pub(crate) const CHARKEY: usize = 92;
pub(crate) const SPARES: usize = 96;
pub(crate) const META_CHECKSUM: usize = 492;

/// Page types.
pub(crate) const FREE_PAGE: u8 = 0;
pub(crate) const HASH_UNSORTED: u8 = 2;
pub(crate) const BTREE_INTERNAL: u8 = 3;
pub(crate) const BTREE_LEAF: u8 = 5;
pub(crate) const OVERFLOW: u8 = 7;
pub(crate) const HASH_SORTED: u8 = 13;

/// First bytes of items on hash pages.
pub(crate) const ON_PAGE: u8 = 1;
pub(crate) const OFF_PAGE: u8 = 3;

/// A file, cut into pages.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) bytes: Vec<u8>,
    pub(crate) order: ByteOrder,
    pub(crate) page_size: usize,
    /// Where the index begins: behind the checksum, in a file that has them.
    pub(crate) header_len: usize,
}

impl Raw {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Raw {
        let bytes = bytes.into();
        // Byte 12 of the magic number is one of `61`, `62`; in the other order it is 0.
        let order = match bytes[12] {
            0 => ByteOrder::Big,
            _ => ByteOrder::Little,
        };
        let page_size = order.u32(&bytes, 20).unwrap() as usize;
        assert_eq!(bytes.len() % page_size, 0, "a whole number of pages");
        let header_len = if bytes[26] & 1 == 0 { 26 } else { 32 };
        Raw {
            bytes,
            order,
            page_size,
            header_len,
        }
    }

    /// A number of the meta page.
    pub(crate) fn meta(&self, offset: usize) -> u32 {
        self.order.u32(&self.bytes, offset).unwrap()
    }

    pub(crate) fn set_meta(&mut self, offset: usize, value: u32) {
        self.order.put_u32(&mut self.bytes, offset, value).unwrap();
    }

    /// The number of pages, the meta page included.
    pub(crate) fn page_count(&self) -> usize {
        self.bytes.len() / self.page_size
    }

    pub(crate) fn page(&self, number: usize) -> &[u8] {
        &self.bytes[number * self.page_size..][..self.page_size]
    }

    pub(crate) fn page_mut(&mut self, number: usize) -> &mut [u8] {
        &mut self.bytes[number * self.page_size..][..self.page_size]
    }

    pub(crate) fn kind(&self, number: usize) -> u8 {
        self.page(number)[25]
    }

    pub(crate) fn u16(&self, number: usize, offset: usize) -> usize {
        usize::from(self.order.u16(self.page(number), offset).unwrap())
    }

    pub(crate) fn u32(&self, number: usize, offset: usize) -> usize {
        self.order.u32(self.page(number), offset).unwrap() as usize
    }

    pub(crate) fn next(&self, number: usize) -> usize {
        self.u32(number, 16)
    }

    /// The number of index entries; of references, on overflow pages.
    pub(crate) fn entries(&self, number: usize) -> usize {
        self.u16(number, 20)
    }

    /// Where items begin; on overflow pages the number of bytes there.
    pub(crate) fn items_offset(&self, number: usize) -> usize {
        self.u16(number, 22)
    }

    /// The index of a page.
    pub(crate) fn offsets(&self, number: usize) -> Vec<usize> {
        let at = |entry| self.u16(number, self.header_len + 2 * entry);
        (0..self.entries(number)).map(at).collect()
    }

    /// The items of a hash page, which follow each other without a gap from the end down.
    pub(crate) fn hash_items(&self, number: usize) -> Vec<&[u8]> {
        let mut end = self.page_size;
        let item = |start: usize| {
            let item = &self.page(number)[start..end];
            end = start;
            item
        };
        self.offsets(number).into_iter().map(item).collect()
    }

    /// The bytes between index and items, which mean nothing.
    pub(crate) fn gap(&self, number: usize) -> std::ops::Range<usize> {
        let end = match self.items_offset(number) {
            0 => self.page_size,
            offset => offset,
        };
        self.header_len + 2 * self.entries(number)..end
    }

    /// The numbers of all pages of these types.
    pub(crate) fn pages_of(&self, kinds: &[u8]) -> Vec<usize> {
        let wanted = |page: &usize| kinds.contains(&self.kind(*page));
        (1..self.page_count()).filter(wanted).collect()
    }

    /// The page of a bucket, by the table in the meta page.
    pub(crate) fn page_of_bucket(&self, bucket: u32) -> usize {
        let group = u32::BITS - bucket.leading_zeros();
        bucket as usize + self.spare(group as usize) as usize
    }

    /// What the table in the meta page says for a group of buckets.
    pub(crate) fn spare(&self, group: usize) -> u32 {
        self.meta(SPARES + 4 * group)
    }

    /// The bucket of a key, with the function that all these files have.
    pub(crate) fn bucket_of(&self, key: &[u8]) -> u32 {
        let max_bucket = self.meta(MAX_BUCKET);
        let high_mask = (max_bucket + 1).next_power_of_two() - 1;
        match hash(0, key) & high_mask {
            bucket if bucket > max_bucket => bucket & (high_mask >> 1),
            bucket => bucket,
        }
    }

    /// Every key that lies on a page of a bucket, with the bucket and the page.
    pub(crate) fn keys_on_pages(&self) -> Vec<(u32, usize, Vec<u8>)> {
        let mut keys = Vec::new();
        for bucket in 0..=self.meta(MAX_BUCKET) {
            let mut page = self.page_of_bucket(bucket);
            while page != 0 {
                for item in self.hash_items(page).iter().step_by(2) {
                    if let [ON_PAGE, key @ ..] = item {
                        keys.push((bucket, page, key.to_vec()));
                    }
                }
                page = self.next(page);
            }
        }
        keys
    }

    /// Whether these bytes are anywhere in the file.
    pub(crate) fn contains(&self, bytes: &[u8]) -> bool {
        self.bytes.windows(bytes.len()).any(|part| part == bytes)
    }
}

/// Fowler/Noll/Vo, multiplication first, from `start` on.
pub(crate) fn hash(start: u32, key: &[u8]) -> u32 {
    key.iter().fold(start, |hash, &byte| {
        hash.wrapping_mul(16_777_619) ^ u32::from(byte)
    })
}

/// The checksum of a page, with the four bytes at `field` taken as zero.
pub(crate) fn checksum(page: &[u8], field: usize) -> u32 {
    let byte = |(at, &byte)| match (field..field + 4).contains(&at) {
        true => 0,
        false => u32::from(byte),
    };
    let bytes = page.iter().enumerate().map(byte);
    bytes.fold(0, |sum: u32, byte| sum.wrapping_mul(33).wrapping_add(byte))
}
