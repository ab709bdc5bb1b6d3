//! The meta page of hash files.

use super::{AccessMethod, FREE_OFFSET, General, METHOD_OFFSET, Method, UID_LEN};
use crate::bdb::PageNo;
use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT, ceil_log2};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::page::PageFormat;
use crate::error::{Error, Result};
use crate::file::store::Session;

// Versions 7 and later.
pub(crate) const MAX_BUCKET_OFFSET: usize = METHOD_OFFSET;
pub(crate) const HIGH_MASK_OFFSET: usize = MAX_BUCKET_OFFSET + 4;
pub(crate) const LOW_MASK_OFFSET: usize = HIGH_MASK_OFFSET + 4;
pub(crate) const FILL_FACTOR_OFFSET: usize = LOW_MASK_OFFSET + 4;
pub(crate) const ELEMENT_COUNT_OFFSET: usize = FILL_FACTOR_OFFSET + 4;
pub(crate) const CHARKEY_OFFSET: usize = ELEMENT_COUNT_OFFSET + 4;
pub(crate) const SPARES_OFFSET: usize = CHARKEY_OFFSET + 4;
pub(super) const BLOB_OFFSET: usize = SPARES_OFFSET + 4 * GROUP_COUNT;

/// The version of hash files that this crate writes, as Berkeley DB 4.6 to 5.3 do.
pub(crate) const HASH_VERSION: u32 = 9;
/// Page type of a hash meta page.
pub(crate) const HASH_META_TYPE: u8 = 8;

pub(super) const HASH_FLAG_DUP: u32 = 0x01;
pub(super) const HASH_FLAG_SUBDB: u32 = 0x02;
pub(super) const HASH_FLAG_DUPSORT: u32 = 0x04;

/// The most that the element counter of a hash file may say.
pub(crate) const ELEMENT_COUNT_MAX: u32 = 0x8000_0000;

pub(super) const HASH: Method = Method {
    kind: AccessMethod::Hash,
    name: "hash",
    meta_type: HASH_META_TYPE,
    oldest: 6,
    last_page_kept: 8,
    blob_offset: BLOB_OFFSET,
};

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
        let general = General::read(session, &HASH)?;
        let duplicates = check_flags(general.flags()?)?;
        let mut addressing = Addressing {
            max_bucket: general.method_field(MAX_BUCKET_OFFSET)?,
            spares: [0; GROUP_COUNT],
        };
        for (group, spare) in addressing.spares.iter_mut().enumerate() {
            *spare = general.method_field(SPARES_OFFSET + 4 * group)?;
        }
        check_addressing(
            &addressing,
            general.method_field(HIGH_MASK_OFFSET)?,
            general.method_field(LOW_MASK_OFFSET)?,
            general.page_count,
        )?;
        let element_count = general.method_field(ELEMENT_COUNT_OFFSET)?;
        if element_count > ELEMENT_COUNT_MAX {
            let what = format!("element counter is {element_count}");
            return Err(Error::corrupt_page(0, what));
        }
        Ok(HashMeta {
            version: general.version,
            format: general.format,
            page_count: general.page_count,
            file_page_count: general.file_page_count,
            free: general.field(FREE_OFFSET)?,
            addressing,
            fill_factor: general.method_field(FILL_FACTOR_OFFSET)?,
            element_count,
            function: HashFunction::from_charkey(general.method_field(CHARKEY_OFFSET)?),
            duplicates,
            uid: general.uid(),
        })
    }
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
    check_groups(addressing, addressing.group_count(), page_count).map(drop)
}

/// The pages, first and last, of each of the first `groups` groups that has any, in the order of
/// the file.
///
/// # Errors
///
/// `Corrupt` when pages lie outside the file or belong to two groups, or when a group of a bucket
/// in use has none.
pub(crate) fn check_groups(
    addressing: &Addressing,
    groups: usize,
    page_count: u32,
) -> Result<Vec<(PageNo, PageNo)>> {
    let mut ranges = Vec::with_capacity(groups);
    for group in 0..groups {
        let (first, last) = Addressing::buckets_of_group(group);
        match (addressing.page_of(first), addressing.page_of(last)) {
            (None, None) if group >= addressing.group_count() => {}
            (Some(first), Some(last)) if first.0 >= 1 && last.0 < page_count && first <= last => {
                ranges.push((first, last));
            }
            _ => {
                let what = format!("pages of bucket group {group} lie outside the file");
                return Err(Error::corrupt_page(0, what));
            }
        }
    }
    ranges.sort_unstable();
    if ranges
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.1 >= b.0))
    {
        return Err(Error::corrupt_page(0, "two bucket groups share pages"));
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

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
