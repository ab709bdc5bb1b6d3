//! Page 0: which access method, version and byte order, how large pages are and where things lie.
//!
//! [`Identity`] is what the first bytes say; [`HashMeta`] and [`BtreeMeta`] are meta pages after
//! every number in them that later arithmetic relies on has been checked.

mod btree;
mod hash;
mod raw;

pub use btree::BtreeMeta;
pub use hash::HashMeta;
pub(crate) use raw::RawMeta;

pub(crate) use btree::{
    BTREE_META_TYPE, BTREE_OLDEST_VERSION, BTREE_VERSION, MIN_KEYS, MIN_KEYS_OFFSET,
    RECORD_LEN_OFFSET, RECORD_PAD, RECORD_PAD_OFFSET, ROOT, ROOT_OFFSET,
};
pub(crate) use hash::{
    CHARKEY_OFFSET, ELEMENT_COUNT_MAX, ELEMENT_COUNT_OFFSET, HASH_META_TYPE, HASH_VERSION,
    HIGH_MASK_OFFSET, LOW_MASK_OFFSET, MAX_BUCKET_OFFSET, SPARES_OFFSET, check_groups,
};

use std::borrow::Cow;

use crate::bdb::PageSize;
use crate::bdb::page::{PGNO_OFFSET, PageFormat, checksum};
use crate::error::{Error, Result};
use crate::file::store::Session;
use crate::wire::ByteOrder;

/// How many bytes of page 0 mean something, whatever the page size.
pub(crate) const META_LEN: usize = 512;

// The generic part.
pub(crate) const MAGIC_OFFSET: usize = 12;
pub(crate) const VERSION_OFFSET: usize = MAGIC_OFFSET + 4;
pub(crate) const PAGE_SIZE_OFFSET: usize = VERSION_OFFSET + 4;
pub(crate) const ENCRYPTION_OFFSET: usize = PAGE_SIZE_OFFSET + 4;
pub(crate) const META_TYPE_OFFSET: usize = ENCRYPTION_OFFSET + 1;
pub(crate) const META_FLAGS_OFFSET: usize = META_TYPE_OFFSET + 1;
pub(crate) const FREE_OFFSET: usize = 28;
pub(crate) const LAST_PAGE_OFFSET: usize = FREE_OFFSET + 4;
pub(crate) const PARTITIONS_OFFSET: usize = LAST_PAGE_OFFSET + 4;
pub(crate) const FLAGS_OFFSET: usize = 48;
pub(crate) const UID_OFFSET: usize = FLAGS_OFFSET + 4;
/// Length of the file's unique id.
pub const UID_LEN: usize = 20;

/// Where the part of the access method begins.
pub(crate) const METHOD_OFFSET: usize = UID_OFFSET + UID_LEN;
/// The checksum of the meta page, which covers the first 512 bytes only.
pub(crate) const META_CHECKSUM_OFFSET: usize = 492;

// Berkeley DB 3.0 (hash version 6, btree version 7) had no `last_pgno`, partitions and counters, so
// that what follows the generic part lies 16 bytes earlier.
const OLD_FLAGS_OFFSET: usize = 32;
const OLD_UID_OFFSET: usize = OLD_FLAGS_OFFSET + 4;
const OLD_METHOD_OFFSET: usize = 56;

/// Version 10: threshold and directory ids of external files, five `u32`.
const BLOB_FIELD_COUNT: usize = 5;
/// Version 10 has those fields, in hash and btree files alike.
const BLOB_VERSION: u32 = 10;

/// Magic number of a hash file.
pub(crate) const HASH_MAGIC: u32 = 0x0006_1561;
/// Magic number of a btree or recno file.
pub(crate) const BTREE_MAGIC: u32 = 0x0005_3162;
const QUEUE_MAGIC: u32 = 0x0004_2253;
const HEAP_MAGIC: u32 = 0x0007_4582;
const RENAME_MAGIC: u32 = 0x0003_0800;

const META_FLAG_CHECKSUM: u8 = 0x01;
const META_FLAGS_PARTITIONED: u8 = 0x02 | 0x04;

/// How the entries of a file are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessMethod {
    /// `hash:` tables.
    Hash,
    /// `btree:` tables.
    Btree,
}

/// What the first bytes of a file say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How the entries are arranged.
    pub method: AccessMethod,
    /// The order of every number in the file.
    pub order: ByteOrder,
    /// The version of the access method's format.
    pub version: u32,
}

impl Identity {
    /// Reads the identity from the first bytes of a file, at least 512.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is no Berkeley DB file, `Unsupported` with the name of the kind when it
    /// is one that holds no table of ours.
    pub fn parse(page0: &[u8]) -> Result<Identity> {
        if page0.len() < META_LEN {
            let what = format!("not a Berkeley DB file: {} bytes is too short", page0.len());
            return Err(Error::corrupt(what));
        }
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let field = |offset| order.u32(page0, offset).unwrap_or(0);
            let method = match field(MAGIC_OFFSET) {
                HASH_MAGIC => AccessMethod::Hash,
                BTREE_MAGIC => AccessMethod::Btree,
                QUEUE_MAGIC => return Err(Error::unsupported("Berkeley DB queue database")),
                HEAP_MAGIC => return Err(Error::unsupported("Berkeley DB heap database")),
                RENAME_MAGIC => {
                    let what = "Berkeley DB placeholder of a renamed or removed database";
                    return Err(Error::unsupported(what));
                }
                _ => continue,
            };
            return Ok(Identity {
                method,
                order,
                version: field(VERSION_OFFSET),
            });
        }
        // Version 1.85 begins with its magic number.
        for order in [ByteOrder::Little, ByteOrder::Big] {
            if matches!(order.u32(page0, 0), Some(HASH_MAGIC | BTREE_MAGIC)) {
                return Err(Error::unsupported("Berkeley DB 1.85 format"));
            }
        }
        Err(Error::corrupt("not a Berkeley DB file"))
    }
}

impl AccessMethod {
    /// "hash" or "btree".
    pub fn name(self) -> &'static str {
        match self {
            AccessMethod::Hash => "hash",
            AccessMethod::Btree => "btree",
        }
    }
}

/// The file is of another access method than the caller thinks.
pub(crate) fn wrong_method(found: AccessMethod, expected: AccessMethod) -> Error {
    let (found, expected) = (found.name(), expected.name());
    Error::unsupported(format!(
        "Berkeley DB {found} file where a {expected} file is expected"
    ))
}

/// What the meta pages of an access method do differently.
struct Method {
    kind: AccessMethod,
    /// "hash" or "btree".
    name: &'static str,
    /// Type byte of the meta page.
    meta_type: u8,
    /// The version of Berkeley DB 3.0, whose fields lie elsewhere.
    oldest: u32,
    /// From this version on `last_pgno` can be relied on. Before, it was missing or not kept.
    last_page_kept: u32,
    /// Where version 10 has the fields of external files.
    blob_offset: usize,
}

/// A meta page after the checks that all access methods share.
struct General<'p> {
    page0: Cow<'p, [u8]>,
    order: ByteOrder,
    version: u32,
    is_oldest: bool,
    format: PageFormat,
    page_count: u32,
    /// The number of pages of the file, which can be more.
    file_page_count: u32,
}

impl<'p> General<'p> {
    /// Reads and checks the meta page of a file that `method` should be the method of.
    fn read(session: &Session<'p>, method: &Method) -> Result<General<'p>> {
        let Some(page0) = session.read(0, META_LEN)? else {
            return Err(Identity::parse(&[])
                .err()
                .unwrap_or_else(|| Error::corrupt("file is too short")));
        };
        let identity = Identity::parse(&page0)?;
        if identity.method != method.kind {
            return Err(wrong_method(identity.method, method.kind));
        }
        let Identity { order, version, .. } = identity;
        if !(method.oldest..=BLOB_VERSION).contains(&version) {
            return Err(Error::unsupported(format!(
                "Berkeley DB {} version {version}",
                method.name
            )));
        }
        let mut meta = General {
            page0,
            order,
            version,
            is_oldest: version == method.oldest,
            format: PageFormat {
                size: PageSize::DEFAULT,
                order,
                checksum: false,
            },
            page_count: 0,
            file_page_count: 0,
        };
        meta.check(session.len(), method)?;
        // Otherwise the number of pages proves their size.
        if version < method.last_page_kept || meta.page_count != meta.file_page_count {
            meta.check_page_size(session)?;
        }
        Ok(meta)
    }

    /// That pages are as long as the meta page says: the first page with a number on it carries
    /// its own. Cut at the wrong places, a small file can look like nothing but empty buckets.
    fn check_page_size(&self, session: &Session<'_>) -> Result<()> {
        let size = self.format.size.bytes() as u64;
        for number in 1..self.file_page_count {
            let offset = u64::from(number) * size + PGNO_OFFSET as u64;
            let bytes = session.read(offset, 4)?.unwrap_or_default();
            match self.order.u32(&bytes, 0) {
                None | Some(0) => {}
                Some(own) if own == number => break,
                Some(own) => {
                    let what = format!("page carries the number {own}, is its size {size}?");
                    return Err(Error::corrupt_page(number, what));
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, file_len: u64, method: &Method) -> Result<()> {
        let defect = |what: String| Err(Error::corrupt_page(0, what));
        let meta_type = self.byte(META_TYPE_OFFSET);
        if meta_type != method.meta_type {
            return defect(format!("{} meta page has type {meta_type}", method.name));
        }
        if self.field(PGNO_OFFSET)? != 0 {
            return defect("meta page carries a page number".into());
        }
        self.format.checksum = self.check_features(method)?;
        let size = self.field(PAGE_SIZE_OFFSET)?;
        self.format.size = match PageSize::new(size) {
            Some(size) => size,
            None => return defect(format!("page size {size}")),
        };
        if self.format.checksum
            && checksum(&self.page0, META_CHECKSUM_OFFSET) != self.field(META_CHECKSUM_OFFSET)?
        {
            return defect("checksum is wrong".into());
        }
        self.file_page_count = page_count(file_len, self.format.size)?;
        let last_page = if self.version >= method.last_page_kept {
            self.field(LAST_PAGE_OFFSET)?
        } else {
            self.file_page_count - 1
        };
        // Files that went through Berkeley DB's upgrade program say one too many.
        if last_page == 0 || last_page > self.file_page_count {
            let what = format!(
                "last page is said to be {last_page}, but the file has {} pages",
                self.file_page_count
            );
            return Err(Error::corrupt_page(0, what));
        }
        self.page_count = self.file_page_count.min(last_page + 1);
        Ok(())
    }

    /// Refuses what no reader of ours can do; tells whether pages carry checksums.
    fn check_features(&self, method: &Method) -> Result<bool> {
        if self.byte(ENCRYPTION_OFFSET) != 0 {
            return Err(Error::unsupported("encrypted Berkeley DB database"));
        }
        // The oldest versions had neither these flags nor partitions.
        if self.is_oldest {
            return Ok(false);
        }
        let meta_flags = self.byte(META_FLAGS_OFFSET);
        if meta_flags & META_FLAGS_PARTITIONED != 0 || self.field(PARTITIONS_OFFSET)? != 0 {
            return Err(Error::unsupported("partitioned Berkeley DB database"));
        }
        if meta_flags & !META_FLAG_CHECKSUM != 0 {
            return Err(Error::unsupported(format!(
                "Berkeley DB meta flags {meta_flags:#x}"
            )));
        }
        if self.version >= BLOB_VERSION {
            for at in 0..BLOB_FIELD_COUNT {
                if self.field(method.blob_offset + 4 * at)? != 0 {
                    return Err(Error::unsupported(
                        "Berkeley DB database with external files",
                    ));
                }
            }
        }
        Ok(meta_flags & META_FLAG_CHECKSUM != 0)
    }

    fn byte(&self, offset: usize) -> u8 {
        self.page0.get(offset).copied().unwrap_or(0)
    }

    fn field(&self, offset: usize) -> Result<u32> {
        self.order
            .u32(&self.page0, offset)
            .ok_or_else(|| Error::corrupt("meta page is cut short"))
    }

    /// A field of the access method's part, by its offset in today's layout.
    fn method_field(&self, offset: usize) -> Result<u32> {
        if self.is_oldest {
            self.field(OLD_METHOD_OFFSET + (offset - METHOD_OFFSET))
        } else {
            self.field(offset)
        }
    }

    /// The flags of the access method.
    fn flags(&self) -> Result<u32> {
        self.field(if self.is_oldest {
            OLD_FLAGS_OFFSET
        } else {
            FLAGS_OFFSET
        })
    }

    fn uid(&self) -> [u8; UID_LEN] {
        let offset = if self.is_oldest {
            OLD_UID_OFFSET
        } else {
            UID_OFFSET
        };
        let uid = self
            .page0
            .get(offset..)
            .and_then(|rest| rest.first_chunk::<UID_LEN>());
        uid.copied().unwrap_or_default()
    }
}

/// Brings the checksum of a meta page up to date, if the file has checksums.
pub(crate) fn seal(page0: &mut [u8], format: PageFormat) {
    if format.checksum
        && let Some(covered) = page0.get_mut(..META_LEN)
    {
        let sum = checksum(covered, META_CHECKSUM_OFFSET);
        format
            .order
            .put_u32(covered, META_CHECKSUM_OFFSET, sum)
            .expect("the field is covered");
    }
}

/// How many pages of `size` a file of `file_len` bytes has.
pub(crate) fn page_count(file_len: u64, size: PageSize) -> Result<u32> {
    let size = size.bytes() as u64;
    if !file_len.is_multiple_of(size) {
        let what = format!("file of {file_len} bytes is no multiple of the {size}-byte page");
        return Err(Error::corrupt(what));
    }
    match u32::try_from(file_len / size) {
        Ok(count) if count >= 2 => Ok(count),
        Ok(count) => Err(Error::corrupt(format!(
            "file has {count} pages, the least is 2"
        ))),
        Err(_) => Err(Error::corrupt(format!(
            "file of {file_len} bytes has too many pages"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn identity(magic_offset: usize, magic: u32, order: ByteOrder) -> Result<Identity> {
        let mut page0 = vec![0; META_LEN];
        order.put_u32(&mut page0, magic_offset, magic).unwrap();
        order.put_u32(&mut page0, VERSION_OFFSET, 9).unwrap();
        Identity::parse(&page0)
    }

    #[test]
    fn the_magic_number_tells_method_and_byte_order() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for (magic, method) in [
                (HASH_MAGIC, AccessMethod::Hash),
                (BTREE_MAGIC, AccessMethod::Btree),
            ] {
                let found = identity(MAGIC_OFFSET, magic, order).unwrap();
                assert_eq!(
                    found,
                    Identity {
                        method,
                        order,
                        version: 9
                    }
                );
            }
        }
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        for (offset, magic, name) in [
            (MAGIC_OFFSET, QUEUE_MAGIC, "queue"),
            (MAGIC_OFFSET, HEAP_MAGIC, "heap"),
            (MAGIC_OFFSET, RENAME_MAGIC, "renamed"),
            (0, HASH_MAGIC, "1.85"),
            (0, BTREE_MAGIC, "1.85"),
        ] {
            let error = identity(offset, magic, ByteOrder::Big).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Unsupported { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = identity(MAGIC_OFFSET, 1, ByteOrder::Little).unwrap_err();
        assert_eq!(error.to_string(), "not a Berkeley DB file");
        assert!(Identity::parse(&[0; 511]).is_err());
    }
}
