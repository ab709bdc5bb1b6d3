//! Reads hash files: look up a key, list all pairs.
//!
//! How a lookup goes and what it checks is told in `look`, how a listing goes in [`iter`](super::iter).

use std::borrow::Cow;

use crate::bdb::PageNo;
use crate::bdb::hash::digest::{CACHE_LINE, Finding};
use crate::bdb::hash::iter::Iter;
use crate::bdb::hash::known::{Known, Mark};
use crate::bdb::hash::look::Look;
use crate::bdb::meta::HashMeta;
use crate::bdb::page::{ENTRIES_OFFSET, PageFormat};
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
        let known = Known::new(&meta, session.is_live());
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
        if let (Some(_), Some(function)) = (self.store.in_memory(), self.meta.function) {
            return self.get_hashed(key, function.hash(key), true);
        }
        self.get_checked(key)
    }

    /// As [`HashReader::get`], for a key whose place is known.
    #[inline]
    pub(crate) fn get_at(&self, key: &[u8], place: usize) -> Result<Option<Cow<'_, [u8]>>> {
        match u32::try_from(place) {
            Ok(hash) => self.get_hashed(key, hash, false),
            Err(_) => self.get(key),
        }
    }

    /// As [`HashReader::get`], for a key of this hash value and a file in memory; `ahead` as for
    /// [`Digests::find`](crate::bdb::hash::digest::Digests::find).
    fn get_hashed(&self, key: &[u8], hash: u32, ahead: bool) -> Result<Option<Cow<'_, [u8]>>> {
        match self.find_listed(key, hash, ahead) {
            Finding::Found(value) => Ok(Some(Cow::Borrowed(value))),
            Finding::Absent => Ok(None),
            Finding::Unsure => self.get_checked(key),
        }
    }

    /// Looks a key up in a bucket that was checked before.
    #[inline]
    fn find_listed(&self, key: &[u8], hash: u32, ahead: bool) -> Finding<'_> {
        let addressing = &self.meta.addressing;
        let is = |page: PageNo, mark: Mark| self.known.is(page, mark);
        let (Some(file), Some(first)) = (
            self.store.in_memory(),
            addressing.page_of(addressing.bucket_of(hash)),
        ) else {
            return Finding::Unsure;
        };
        if !is(first, Mark::Listed) {
            return Finding::Unsure;
        }
        let finding = self.known.digests().find(file, first, hash, key, ahead);
        if matches!(finding, Finding::Absent) {
            // What `Look::get` asks before it says no.
            let unfolded = addressing.unfolded(hash);
            let may_have_grown = unfolded.0 > addressing.max_bucket
                && addressing
                    .page_of(unfolded)
                    .is_some_and(|page| !is(page, Mark::Empty));
            if may_have_grown || self.meta.page_count != self.meta.file_page_count {
                return Finding::Unsure;
            }
        }
        finding
    }

    #[cold]
    fn get_checked(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let look = self.look()?;
        match look.meta.function {
            Some(function) => look.get(key, function),
            None => look.get_anywhere(key),
        }
    }

    /// Where lookups of keys begin, if the file is in memory: their hash values.
    pub(crate) fn places<const N: usize>(&self, keys: &[Option<&[u8]>; N]) -> [Option<usize>; N] {
        let mut places = [None; N];
        let (Some(_), Some(function)) = (self.store.in_memory(), self.meta.function) else {
            return places;
        };
        for (places, keys) in places.chunks_mut(4).zip(keys.chunks(4)) {
            let mut four = [&[][..]; 4];
            for (place, key) in four.iter_mut().zip(keys) {
                *place = key.unwrap_or_default();
            }
            let hashes = function.hash_four(four);
            for ((place, key), hash) in places.iter_mut().zip(keys).zip(hashes) {
                *place = key.and_then(|_| usize::try_from(hash).ok());
            }
        }
        places
    }

    /// Reads parts of what a lookup from `place` on reads. In a bucket that was checked before these
    /// are in step 0 the digest of the first page, then the index entry and then the bytes of the
    /// key; else the header and the index of the page, and then those keys that halving may come to
    /// first.
    #[inline]
    pub(crate) fn touch(&self, place: usize, step: u8) -> u8 {
        let addressing = &self.meta.addressing;
        let hash = u32::try_from(place).unwrap_or(0);
        let first = addressing.page_of(addressing.bucket_of(hash));
        let (Some(file), Some(first)) = (self.store.in_memory(), first) else {
            return 0;
        };
        if self.known.is(first, Mark::Listed) {
            return self.known.digests().touch(file, first, hash, step);
        }
        let format = self.meta.format;
        let start = (first.0 as usize).checked_mul(format.size.bytes());
        let page = start
            .and_then(|start| file.get(start..))
            .unwrap_or_default();
        touch_unlisted(page, format, step)
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

    #[cfg(test)]
    pub(super) fn known(&self) -> &Known {
        &self.known
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

/// Reads the header and the index of a page, then the keys that halving may come to first.
fn touch_unlisted(page: &[u8], format: PageFormat, step: u8) -> u8 {
    let byte = |at: usize| page.get(at).copied().unwrap_or(0);
    let key = |part: usize| {
        let pairs = usize::from(format.order.u16(page, ENTRIES_OFFSET).unwrap_or(0)) / 2;
        let entry = format.header_len() + 4 * (part * pairs / 8);
        byte(usize::from(format.order.u16(page, entry).unwrap_or(0)))
    };
    match step {
        0 => byte(0) ^ byte(CACHE_LINE) ^ byte(2 * CACHE_LINE),
        1 => key(4) ^ key(2) ^ key(6) ^ key(1) ^ key(3) ^ key(5) ^ key(7),
        _ => 0,
    }
}
