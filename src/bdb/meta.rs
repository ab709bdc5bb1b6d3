//! Page 0: which access method, version and byte order, how large pages are and where things lie.
//!
//! [`Identity`] is what the first bytes say; [`HashMeta`] is the meta page of a hash file after
//! every number in it that later arithmetic relies on has been checked.

use crate::bdb::PageSize;
use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT, ceil_log2};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::page::{PageFormat, checksum};
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

// The hash part, versions 7 and later.
pub(crate) const MAX_BUCKET_OFFSET: usize = UID_OFFSET + UID_LEN;
pub(crate) const HIGH_MASK_OFFSET: usize = MAX_BUCKET_OFFSET + 4;
pub(crate) const LOW_MASK_OFFSET: usize = HIGH_MASK_OFFSET + 4;
pub(crate) const FILL_FACTOR_OFFSET: usize = LOW_MASK_OFFSET + 4;
pub(crate) const ELEMENT_COUNT_OFFSET: usize = FILL_FACTOR_OFFSET + 4;
pub(crate) const CHARKEY_OFFSET: usize = ELEMENT_COUNT_OFFSET + 4;
pub(crate) const SPARES_OFFSET: usize = CHARKEY_OFFSET + 4;
/// Version 10: threshold and directory ids of external files, five `u32`.
const BLOB_OFFSET: usize = SPARES_OFFSET + 4 * GROUP_COUNT;
const BLOB_FIELD_COUNT: usize = 5;
/// The checksum of the meta page, which covers the first 512 bytes only.
pub(crate) const META_CHECKSUM_OFFSET: usize = 492;

// What version 6 had elsewhere; the fields from `max_bucket` on keep their order.
const V6_FLAGS_OFFSET: usize = 32;
const V6_MAX_BUCKET_OFFSET: usize = 56;

/// Magic number of a hash file.
pub(crate) const HASH_MAGIC: u32 = 0x0006_1561;
/// Magic number of a btree or recno file.
pub(crate) const BTREE_MAGIC: u32 = 0x0005_3162;
const QUEUE_MAGIC: u32 = 0x0004_2253;
const HEAP_MAGIC: u32 = 0x0007_4582;
const RENAME_MAGIC: u32 = 0x0003_0800;

/// The version of hash files that this crate writes, as Berkeley DB 4.6 to 5.3 do.
pub(crate) const HASH_VERSION: u32 = 9;
/// Page type of a hash meta page.
pub(crate) const HASH_META_TYPE: u8 = 8;

const META_FLAG_CHECKSUM: u8 = 0x01;
const META_FLAGS_PARTITIONED: u8 = 0x02 | 0x04;

const HASH_FLAG_DUP: u32 = 0x01;
const HASH_FLAG_SUBDB: u32 = 0x02;
const HASH_FLAG_DUPSORT: u32 = 0x04;

/// The most that the element counter of a hash file may say.
const ELEMENT_COUNT_MAX: u32 = 0x8000_0000;

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

/// The meta page of a hash file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashMeta {
    /// The format version, 6 to 10.
    pub version: u32,
    /// Page size, byte order, checksums.
    pub format: PageFormat,
    /// The number of pages that belong to the database, the meta page included.
    pub page_count: u32,
    /// The number of pages of the file. More than `page_count` when an update was interrupted
    /// before it had written the meta page.
    pub file_page_count: u32,
    /// The first page of the free list, 0 for none. Not checked: readers do not need it.
    pub free: u32,
    /// Buckets and their pages.
    pub addressing: Addressing,
    /// Split a bucket when a page holds more pairs than this; 0 for never.
    pub fill_factor: u32,
    /// The element counter. Not exact: files of Postfix say 4096 more than there are.
    pub element_count: u32,
    /// The hash function, or `None` for one that the application brought along.
    pub function: Option<HashFunction>,
    /// Whether keys may have several values.
    pub duplicates: bool,
    /// The file's unique id.
    pub uid: [u8; UID_LEN],
}

impl HashMeta {
    /// Reads and checks the meta page of a hash file.
    ///
    /// # Errors
    ///
    /// `Corrupt` when a number is impossible or disagrees with another or with the file's length;
    /// `Unsupported` when the file uses a feature this crate refuses, by name.
    pub fn read(session: &Session<'_>) -> Result<HashMeta> {
        let file_len = session.len();
        let Some(page0) = session.read(0, META_LEN)? else {
            return Identity::parse(&[]).and(Err(Error::corrupt("file is too short")));
        };
        let identity = Identity::parse(&page0)?;
        if identity.method != AccessMethod::Hash {
            return Err(Error::unsupported(
                "Berkeley DB btree file where a hash file is expected",
            ));
        }
        HashMeta::parse(identity, &page0, file_len)
    }

    fn parse(identity: Identity, page0: &[u8], file_len: u64) -> Result<HashMeta> {
        let Identity { order, version, .. } = identity;
        let field = |offset| {
            order
                .u32(page0, offset)
                .ok_or_else(|| Error::corrupt("meta page is cut short"))
        };
        let byte = |offset: usize| page0.get(offset).copied().unwrap_or(0);
        let defect = |what: String| Err(Error::corrupt_page(0, what));

        let (flags_offset, hash_offset) = match version {
            6 => (V6_FLAGS_OFFSET, V6_MAX_BUCKET_OFFSET),
            7..=10 => (FLAGS_OFFSET, MAX_BUCKET_OFFSET),
            _ => {
                return Err(Error::unsupported(format!(
                    "Berkeley DB hash version {version}"
                )));
            }
        };
        if byte(META_TYPE_OFFSET) != HASH_META_TYPE {
            return defect(format!(
                "hash meta page has type {}",
                byte(META_TYPE_OFFSET)
            ));
        }
        if field(crate::bdb::page::PGNO_OFFSET)? != 0 {
            return defect("meta page carries a page number".into());
        }
        let checksum_flag = check_features(version, byte, field)?;
        let format = PageFormat {
            size: match PageSize::new(field(PAGE_SIZE_OFFSET)?) {
                Some(size) => size,
                None => return defect(format!("page size {}", field(PAGE_SIZE_OFFSET)?)),
            },
            order,
            checksum: checksum_flag,
        };
        if checksum_flag && checksum(page0, META_CHECKSUM_OFFSET) != field(META_CHECKSUM_OFFSET)? {
            return defect("checksum is wrong".into());
        }
        let file_page_count = page_count(file_len, format.size)?;
        // Before version 8 the field was missing or not kept.
        let last_page = if version >= 8 {
            field(LAST_PAGE_OFFSET)?
        } else {
            file_page_count - 1
        };
        // Files that went through Berkeley DB's upgrade program say one too many.
        if last_page == 0 || last_page > file_page_count {
            return defect(format!(
                "last page is said to be {last_page}, but the file has {file_page_count} pages"
            ));
        }
        let page_count = file_page_count.min(last_page + 1);

        let duplicates = check_flags(field(flags_offset)?)?;
        let hash_field = |at: usize| field(hash_offset + (at - MAX_BUCKET_OFFSET));
        let mut addressing = Addressing {
            max_bucket: hash_field(MAX_BUCKET_OFFSET)?,
            spares: [0; GROUP_COUNT],
        };
        for (group, spare) in addressing.spares.iter_mut().enumerate() {
            *spare = hash_field(SPARES_OFFSET + 4 * group)?;
        }
        check_addressing(
            &addressing,
            hash_field(HIGH_MASK_OFFSET)?,
            hash_field(LOW_MASK_OFFSET)?,
            page_count,
        )?;
        let element_count = hash_field(ELEMENT_COUNT_OFFSET)?;
        if element_count > ELEMENT_COUNT_MAX {
            return defect(format!("element counter is {element_count}"));
        }
        let uid_offset = if version == 6 {
            V6_FLAGS_OFFSET + 4
        } else {
            UID_OFFSET
        };
        let uid = page0
            .get(uid_offset..)
            .and_then(|rest| rest.first_chunk::<UID_LEN>());
        Ok(HashMeta {
            version,
            format,
            page_count,
            file_page_count,
            free: field(FREE_OFFSET)?,
            addressing,
            fill_factor: hash_field(FILL_FACTOR_OFFSET)?,
            element_count,
            function: HashFunction::from_charkey(hash_field(CHARKEY_OFFSET)?),
            duplicates,
            uid: uid.copied().unwrap_or_default(),
        })
    }
}

/// Refuses what no reader of ours can do; tells whether pages carry checksums.
fn check_features(
    version: u32,
    byte: impl Fn(usize) -> u8,
    field: impl Fn(usize) -> Result<u32>,
) -> Result<bool> {
    if byte(ENCRYPTION_OFFSET) != 0 {
        return Err(Error::unsupported("encrypted Berkeley DB database"));
    }
    let meta_flags = byte(META_FLAGS_OFFSET);
    // Version 6 had neither these flags nor partitions: its flags and id begin at 32.
    if version == 6 {
        return Ok(false);
    }
    if meta_flags & META_FLAGS_PARTITIONED != 0 || field(PARTITIONS_OFFSET)? != 0 {
        return Err(Error::unsupported("partitioned Berkeley DB database"));
    }
    if meta_flags & !META_FLAG_CHECKSUM != 0 {
        return Err(Error::unsupported(format!(
            "Berkeley DB meta flags {meta_flags:#x}"
        )));
    }
    if version >= 10 {
        for at in 0..BLOB_FIELD_COUNT {
            if field(BLOB_OFFSET + 4 * at)? != 0 {
                return Err(Error::unsupported(
                    "Berkeley DB database with external files",
                ));
            }
        }
    }
    Ok(meta_flags & META_FLAG_CHECKSUM != 0)
}

/// Refuses unknown flags; tells whether keys may have several values.
fn check_flags(flags: u32) -> Result<bool> {
    if flags & HASH_FLAG_SUBDB != 0 {
        return Err(Error::unsupported(
            "Berkeley DB file that holds several databases",
        ));
    }
    if flags & !(HASH_FLAG_DUP | HASH_FLAG_DUPSORT) != 0 {
        return Err(Error::unsupported(format!(
            "Berkeley DB hash flags {flags:#x}"
        )));
    }
    Ok(flags != 0)
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

/// Everything bucket arithmetic relies on: the masks follow from `max_bucket`, every group in use
/// has its pages inside the file, and no page belongs to two groups.
fn check_addressing(
    addressing: &Addressing,
    high_mask: u32,
    low_mask: u32,
    page_count: u32,
) -> Result<()> {
    let defect = |what: String| Err(Error::corrupt_page(0, what));
    let max_bucket = addressing.max_bucket;
    if max_bucket == 0 || max_bucket >= page_count {
        return defect(format!(
            "highest bucket {max_bucket} in a file of {page_count} pages"
        ));
    }
    if high_mask != addressing.high_mask() || low_mask != addressing.low_mask() {
        return defect(format!(
            "masks {high_mask:#x} and {low_mask:#x} do not belong to highest bucket {max_bucket}"
        ));
    }
    debug_assert_eq!(
        addressing.group_count() - 1,
        ceil_log2(max_bucket + 1) as usize
    );
    let mut ranges = [(0, 0); GROUP_COUNT];
    let groups = addressing.group_count();
    for (group, range) in ranges.iter_mut().enumerate().take(groups) {
        let (first, last) = Addressing::buckets_of_group(group);
        match (addressing.page_of(first), addressing.page_of(last)) {
            (Some(first), Some(last)) if first.0 >= 1 && last.0 < page_count && first <= last => {
                *range = (first.0, last.0);
            }
            _ => {
                return defect(format!(
                    "pages of bucket group {group} lie outside the file"
                ));
            }
        }
    }
    let ranges = ranges.get_mut(..groups).unwrap_or_default();
    ranges.sort_unstable();
    if ranges
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.1 >= b.0))
    {
        return defect("two bucket groups share pages".into());
    }
    Ok(())
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

    #[test]
    fn bucket_groups_must_lie_in_the_file_and_apart() {
        let spares = |list: &[u32]| {
            let mut spares = [0; GROUP_COUNT];
            spares[..list.len()].copy_from_slice(list);
            spares
        };
        for (max_bucket, list, page_count, good) in [
            (3, &[1, 1, 1][..], 5, true),
            (3, &[1, 1, 1], 4, false),        // last page outside
            (3, &[1, 1, 0], 5, false),        // group without pages
            (3, &[1, 1, 5], 9, true),         // apart from each other is fine
            (3, &[1, 1, u32::MAX], 9, false), // wraps
            (3, &[1, 0, 1], 9, false),
            (3, &[2, 1, 1], 9, false), // bucket 0 on the page of bucket 1
            (0, &[1], 9, false),
            (9, &[1, 1, 1, 1, 1], 9, false),
        ] {
            let addressing = Addressing {
                max_bucket,
                spares: spares(list),
            };
            let (high, low) = (addressing.high_mask(), addressing.low_mask());
            let checked = check_addressing(&addressing, high, low, page_count);
            assert_eq!(checked.is_ok(), good, "{max_bucket} {list:?} {page_count}");
        }
        let addressing = Addressing {
            max_bucket: 3,
            spares: spares(&[1, 1, 1]),
        };
        assert!(check_addressing(&addressing, 7, 1, 5).is_err());
        assert!(check_addressing(&addressing, 3, 3, 5).is_err());
    }
}
