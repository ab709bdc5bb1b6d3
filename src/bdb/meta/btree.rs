//! The meta page of btree files.

use super::{AccessMethod, FREE_OFFSET, General, METHOD_OFFSET, Method, UID_LEN};
use crate::bdb::PageNo;
use crate::bdb::page::PageFormat;
use crate::error::{Error, Result};
use crate::file::store::Session;

// Versions 8 and later.
pub(crate) const MIN_KEYS_OFFSET: usize = METHOD_OFFSET + 4;
pub(crate) const RECORD_LEN_OFFSET: usize = MIN_KEYS_OFFSET + 4;
pub(crate) const RECORD_PAD_OFFSET: usize = RECORD_LEN_OFFSET + 4;
pub(crate) const ROOT_OFFSET: usize = RECORD_PAD_OFFSET + 4;
const BLOB_OFFSET: usize = ROOT_OFFSET + 4;

/// The version of btree files that this crate writes, as Berkeley DB 4.1 to 5.3 do.
pub(crate) const BTREE_VERSION: u32 = 9;
/// Page type of a btree meta page.
pub(crate) const BTREE_META_TYPE: u8 = 9;
/// The version of Berkeley DB 3.0, which put long keys in the wrong place.
pub(crate) const BTREE_OLDEST_VERSION: u32 = 7;
/// The least number of keys that must find room on a page; decides which go to overflow pages.
pub(crate) const MIN_KEYS: u32 = 2;
/// The root of every file with a single table.
pub(crate) const ROOT: PageNo = PageNo(1);
/// How records are padded in files that are numbered; Berkeley DB writes it into every file.
pub(crate) const RECORD_PAD: u32 = 0x20;

pub(super) const FLAG_DUP: u32 = 0x01;
pub(super) const FLAG_RECNO: u32 = 0x02;
pub(super) const FLAG_RECNUM: u32 = 0x04;
pub(super) const FLAG_SUBDB: u32 = 0x20;
pub(super) const FLAG_DUPSORT: u32 = 0x40;
pub(super) const FLAG_COMPRESS: u32 = 0x80;

pub(super) const BTREE: Method = Method {
    kind: AccessMethod::Btree,
    name: "btree",
    meta_type: BTREE_META_TYPE,
    oldest: BTREE_OLDEST_VERSION,
    last_page_kept: 9,
    blob_offset: BLOB_OFFSET,
};

/// The meta page of a btree file, checked. The root is page 1 always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtreeMeta {
    /// The format version, 7 to 10.
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
    /// The least number of keys that must find room on a page (`minkey`), 2 or more.
    pub min_keys: u32,
    /// Whether keys may have several values.
    pub duplicates: bool,
    /// Whether internal pages count records, so that entries can be fetched by number.
    pub record_numbers: bool,
    /// The file's unique id.
    pub uid: [u8; UID_LEN],
}

impl BtreeMeta {
    /// Reads and checks the meta page of a btree file.
    ///
    /// # Errors
    ///
    /// `Corrupt` when a number is impossible or disagrees with another or with the file's length;
    /// `Unsupported` when the file uses a feature this crate refuses, by name.
    pub fn read(session: &Session<'_>) -> Result<BtreeMeta> {
        let general = General::read(session, &BTREE)?;
        let flags = general.flags()?;
        check_flags(flags)?;
        let defect = |what: String| Err(Error::corrupt_page(0, what));
        let root = general.method_field(ROOT_OFFSET)?;
        if root != ROOT.0 {
            return defect(format!("root is said to be page {root}, not {ROOT}"));
        }
        let min_keys = general.method_field(MIN_KEYS_OFFSET)?;
        if min_keys < MIN_KEYS {
            return defect(format!("least number of keys per page is {min_keys}"));
        }
        let record_len = general.method_field(RECORD_LEN_OFFSET)?;
        if record_len != 0 {
            return defect(format!("records of {record_len} bytes in a btree file"));
        }
        Ok(BtreeMeta {
            version: general.version,
            format: general.format,
            page_count: general.page_count,
            file_page_count: general.file_page_count,
            free: general.field(FREE_OFFSET)?,
            min_keys,
            duplicates: flags & (FLAG_DUP | FLAG_DUPSORT) != 0,
            record_numbers: flags & FLAG_RECNUM != 0,
            uid: general.uid(),
        })
    }
}

/// Refuses what no reader of ours can do, and unknown flags.
fn check_flags(flags: u32) -> Result<()> {
    for (flag, name) in [
        (FLAG_RECNO, "Berkeley DB recno database"),
        (FLAG_SUBDB, "Berkeley DB file that holds several databases"),
        (FLAG_COMPRESS, "compressed Berkeley DB btree database"),
    ] {
        if flags & flag != 0 {
            return Err(Error::unsupported(name));
        }
    }
    if flags & !(FLAG_DUP | FLAG_RECNUM | FLAG_DUPSORT) != 0 {
        let what = format!("Berkeley DB btree flags {flags:#x}");
        return Err(Error::unsupported(what));
    }
    Ok(())
}
