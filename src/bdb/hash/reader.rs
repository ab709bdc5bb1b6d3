//! Reads hash files: look up a key, list all pairs.
//!
//! How a lookup goes and what it checks is told in `look`, how a listing goes in [`iter`](super::iter).

use std::borrow::Cow;

use crate::bdb::hash::iter::Iter;
use crate::bdb::hash::known::Known;
use crate::bdb::hash::look::Look;
use crate::bdb::meta::HashMeta;
use crate::bdb::page::ENTRIES_OFFSET;
use crate::error::Result;
use crate::file::store::Store;

/// A hash file, open for reading. `Send + Sync`; every method takes `&self`.
///
/// ```
/// use rpostmap::bdb::hash::{HashBuilder, HashReader};
/// use rpostmap::entries::Entries;
/// use rpostmap::file::store::Store;
///
/// let mut entries = Entries::new();
/// entries.insert(b"example.com", b"smtp:[mail.example.com]")?;
/// let mut file = Vec::new();
/// HashBuilder::new().build(&entries, &mut file)?;
///
/// let reader = HashReader::new(Store::from_bytes(file))?;
/// assert_eq!(reader.get(b"example.com")?.as_deref(), Some(&b"smtp:[mail.example.com]"[..]));
/// assert_eq!(reader.get(b"example.org")?, None);
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct HashReader {
    store: Store,
    meta: HashMeta,
    known: Known,
}

impl HashReader {
    /// Opens the hash file that `store` holds.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Unsupported` when the meta page is not that of a hash file this crate reads;
    /// `Io` when it cannot be read.
    pub fn new(store: Store) -> Result<HashReader> {
        let session = store.session()?;
        let meta = HashMeta::read(&session)?;
        let known = Known::new(if session.is_live() {
            0
        } else {
            meta.page_count
        });
        drop(session);
        Ok(HashReader { store, meta, known })
    }

    /// The meta page as it was when the file was opened.
    pub fn meta(&self) -> &HashMeta {
        &self.meta
    }

    /// The bytes behind the reader.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The value of `key`, whose bytes are compared as they are. Of several values, the first.
    ///
    /// `Ok(None)` means that the file is intact as far as it was looked at and does not hold the
    /// key. Costs one page, more when the bucket has a chain or the value is long.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the file is damaged where the key would be; `Io` when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let look = self.look()?;
        match look.meta.function {
            Some(function) => look.get(key, function),
            None => look.get_anywhere(key),
        }
    }

    /// The offset of the page where a lookup of `key` begins, if the file is in memory.
    #[inline]
    pub(crate) fn place(&self, key: &[u8]) -> Option<usize> {
        self.store.in_memory()?;
        let addressing = &self.meta.addressing;
        let bucket = addressing.bucket_of(self.meta.function?.hash(key));
        let page = addressing.page_of(bucket)?.0 as usize;
        page.checked_mul(self.meta.format.size.bytes())
    }

    /// Reads parts of the page at `place` that a lookup reads: in step 0 its header and its index,
    /// then those keys of a sorted page that halving may come to first.
    #[inline]
    pub(crate) fn touch(&self, place: usize, step: u8) -> u8 {
        const CACHE_LINE: usize = 64;
        let format = self.meta.format;
        let (bytes, order) = (self.store.in_memory().unwrap_or_default(), format.order);
        let page = bytes.get(place..).unwrap_or_default();
        let byte = |at: usize| page.get(at).copied().unwrap_or(0);
        if step == 0 {
            return byte(0) ^ byte(CACHE_LINE) ^ byte(2 * CACHE_LINE);
        }
        let pairs = usize::from(order.u16(page, ENTRIES_OFFSET).unwrap_or(0)) / 2;
        let key = |part: usize| {
            let entry = format.header_len() + 4 * (part * pairs / 8);
            byte(usize::from(order.u16(page, entry).unwrap_or(0)))
        };
        key(4) ^ key(2) ^ key(6) ^ key(1) ^ key(3) ^ key(5) ^ key(7)
    }

    /// All pairs in the order of the file: bucket by bucket. A key with several values comes once
    /// for each. The iterator ends after the first error.
    ///
    /// # Errors
    ///
    /// The meta page is read again when the store is live; `Corrupt` or `Io` as for
    /// [`HashReader::new`].
    pub fn iter(&self) -> Result<Iter<'_>> {
        Ok(Iter::new(self.look()?))
    }

    pub(super) fn look(&self) -> Result<Look<'_>> {
        let session = self.store.session()?;
        if !session.is_live() {
            return Ok(Look::new(
                session,
                Cow::Borrowed(&self.meta),
                Some(&self.known),
            ));
        }
        let meta = HashMeta::read(&session)?;
        // What was known of the file is forgotten when it is another one by now.
        let known = (meta == self.meta).then_some(&self.known);
        Ok(Look::new(session, Cow::Owned(meta), known))
    }
}
