//! The numbers of a meta page as they stand there, for those who report damage instead of refusing
//! it.

use std::borrow::Cow;

use super::btree::{
    BTREE, FLAG_COMPRESS, FLAG_DUP, FLAG_DUPSORT, FLAG_RECNO, FLAG_RECNUM, FLAG_SUBDB,
};
use super::hash::{HASH, HASH_FLAG_DUP, HASH_FLAG_DUPSORT, HASH_FLAG_SUBDB};
use super::{
    AccessMethod, BLOB_FIELD_COUNT, BLOB_VERSION, ENCRYPTION_OFFSET, FLAGS_OFFSET, Identity,
    LAST_PAGE_OFFSET, META_CHECKSUM_OFFSET, META_FLAG_CHECKSUM, META_FLAGS_OFFSET,
    META_FLAGS_PARTITIONED, META_TYPE_OFFSET, METHOD_OFFSET, Method, OLD_FLAGS_OFFSET,
    OLD_METHOD_OFFSET, PAGE_SIZE_OFFSET, PARTITIONS_OFFSET,
};
use crate::bdb::PageSize;
use crate::bdb::page::{PGNO_OFFSET, checksum};

/// The first bytes of a file that says it is a hash or btree file.
pub(crate) struct RawMeta<'a> {
    page0: Cow<'a, [u8]>,
    identity: Identity,
    method: &'static Method,
}

impl<'a> RawMeta<'a> {
    /// `page0` is as long as a meta page.
    pub(crate) fn new(page0: Cow<'a, [u8]>, identity: Identity) -> RawMeta<'a> {
        let method = match identity.method {
            AccessMethod::Hash => &HASH,
            AccessMethod::Btree => &BTREE,
        };
        RawMeta {
            page0,
            identity,
            method,
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether this is a version whose layout is known.
    pub(crate) fn is_known_version(&self) -> bool {
        (self.method.oldest..=BLOB_VERSION).contains(&self.identity.version)
    }

    /// What the page says it is, and what it should say.
    pub(crate) fn page_types(&self) -> (u8, u8) {
        (self.byte(META_TYPE_OFFSET), self.method.meta_type)
    }

    /// The number the page carries.
    pub(crate) fn number(&self) -> u32 {
        self.field(PGNO_OFFSET)
    }

    /// The page size in bytes, and as such.
    pub(crate) fn page_size(&self) -> (u32, Option<PageSize>) {
        let bytes = self.field(PAGE_SIZE_OFFSET);
        (bytes, PageSize::new(bytes))
    }

    /// The number of the last page, in versions that keep it.
    pub(crate) fn last_page(&self) -> Option<u32> {
        (self.identity.version >= self.method.last_page_kept).then(|| self.field(LAST_PAGE_OFFSET))
    }

    /// Whether pages carry checksums.
    pub(crate) fn has_checksums(&self) -> bool {
        !self.is_oldest() && self.byte(META_FLAGS_OFFSET) & META_FLAG_CHECKSUM != 0
    }

    /// Whether the checksum of this page is right, or none is kept.
    pub(crate) fn has_right_sum(&self) -> bool {
        !self.has_checksums()
            || checksum(&self.page0, META_CHECKSUM_OFFSET) == self.field(META_CHECKSUM_OFFSET)
    }

    /// Whether keys may have several values.
    pub(crate) fn duplicates(&self) -> bool {
        let flags = match self.identity.method {
            AccessMethod::Hash => HASH_FLAG_DUP | HASH_FLAG_DUPSORT,
            AccessMethod::Btree => FLAG_DUP | FLAG_DUPSORT,
        };
        self.flags() & flags != 0
    }

    /// The features by their names that no reader of ours knows, and unknown flags.
    pub(crate) fn refused_features(&self) -> Vec<String> {
        let mut refused = Vec::new();
        let mut refuse = |is: bool, name: &str| {
            if is {
                refused.push(name.to_string());
            }
        };
        refuse(self.byte(ENCRYPTION_OFFSET) != 0, "encryption");
        if !self.is_oldest() {
            let meta_flags = self.byte(META_FLAGS_OFFSET);
            let partitions = self.field(PARTITIONS_OFFSET);
            let partitioned = meta_flags & META_FLAGS_PARTITIONED != 0 || partitions != 0;
            refuse(partitioned, "partitions");
            let unknown = meta_flags & !(META_FLAG_CHECKSUM | META_FLAGS_PARTITIONED);
            refuse(unknown != 0, &format!("meta flags {unknown:#x}"));
        }
        if self.identity.version >= BLOB_VERSION {
            let blob = |at| self.field(self.method.blob_offset + 4 * at) != 0;
            refuse((0..BLOB_FIELD_COUNT).any(blob), "external files");
        }
        let flags = self.flags();
        let known = match self.identity.method {
            AccessMethod::Hash => {
                refuse(flags & HASH_FLAG_SUBDB != 0, "several databases");
                HASH_FLAG_DUP | HASH_FLAG_DUPSORT | HASH_FLAG_SUBDB
            }
            AccessMethod::Btree => {
                refuse(flags & FLAG_SUBDB != 0, "several databases");
                refuse(flags & FLAG_RECNO != 0, "numbered records");
                refuse(flags & FLAG_COMPRESS != 0, "compression");
                FLAG_DUP | FLAG_DUPSORT | FLAG_RECNUM | FLAG_SUBDB | FLAG_RECNO | FLAG_COMPRESS
            }
        };
        let unknown = flags & !known;
        refuse(unknown != 0, &format!("flags {unknown:#x}"));
        refused
    }

    fn is_oldest(&self) -> bool {
        self.identity.version == self.method.oldest
    }

    fn flags(&self) -> u32 {
        self.field(if self.is_oldest() {
            OLD_FLAGS_OFFSET
        } else {
            FLAGS_OFFSET
        })
    }

    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.page0.get(offset).copied().unwrap_or(0)
    }

    /// A field of the generic part.
    pub(crate) fn field(&self, offset: usize) -> u32 {
        self.identity.order.u32(&self.page0, offset).unwrap_or(0)
    }

    /// A field of the access method's part, by its offset in today's layout.
    pub(crate) fn method_field(&self, offset: usize) -> u32 {
        if self.is_oldest() {
            self.field(OLD_METHOD_OFFSET + (offset - METHOD_OFFSET))
        } else {
            self.field(offset)
        }
    }
}
