//! Digests of pages: for each key of a page one byte of its hash value, in the order of the page.
//!
//! A lookup by halving reads a key for each step, and each is another line of memory to wait for. A
//! digest says which keys of the page can be the wanted one, mostly none or one: a lookup reads the
//! index entry and the bytes of that key alone, and a key that the table does not hold is found to
//! be absent without a look at the page.
//!
//! Digests are for files that do not change. They are made of pages that were checked: see
//! [`Look`](super::look::Look).

use std::hint::black_box;
use std::sync::OnceLock;

use crate::bdb::PageNo;
use crate::bdb::item::HASH_ON_PAGE;
use crate::bdb::meta::HashMeta;
use crate::bdb::page::PageFormat;

/// How many bytes of memory a processor reads at a time.
pub(super) const CACHE_LINE: usize = 64;
/// So many cache lines of an index are read before it is known which is needed, at most.
const INDEX_LINES_MAX: usize = 4;
/// Keys that are compared at a time.
const WORD_KEYS: usize = 8;
/// Words of a line.
const WORDS: usize = 7;
/// How many keys a line has room for.
const LINE_KEYS: usize = WORD_KEYS * WORDS;
/// The most lines that a page gets.
const LINES_MAX: usize = 8;
/// The fewest bytes of a pair: two index entries and two type bytes.
const PAIR_LEN_MIN: usize = 6;

/// What is known of some keys of a page. With the state of the lock it fills a cache line.
#[repr(align(64))]
struct Line(OnceLock<Part>);

struct Part {
    /// The next page of the chain.
    next: PageNo,
    /// A byte for each key, never 0; 0 behind the last.
    bytes: [[u8; WORD_KEYS]; WORDS],
}

/// The digests of the pages of a file.
pub(super) struct Digests {
    format: PageFormat,
    page_count: u32,
    lines_per_page: usize,
    /// How many cache lines of a page have header and index in them.
    index_lines: usize,
    /// Those of page 0, of page 1, ... Made when they are first needed.
    lines: OnceLock<Box<[Line]>>,
}

/// What digests say about a key.
pub(super) enum Finding<'a> {
    /// Its value.
    Found(&'a [u8]),
    /// It is on none of the pages.
    Absent,
    /// Only the page itself can tell.
    Unsure,
}

impl Digests {
    /// None yet, of the file that `meta` belongs to.
    pub(super) fn new(meta: &HashMeta) -> Digests {
        let format = meta.format;
        let buckets = meta.addressing.max_bucket.saturating_add(1);
        // Buckets differ in length. The counter may be wrong: then there are too few lines, and
        // pages with more keys have no digest.
        let usual = (meta.element_count / buckets) as usize;
        let most = format.room() / PAIR_LEN_MIN;
        let expected = (usual + usual / 2 + WORD_KEYS).min(most);
        Digests {
            format,
            page_count: meta.page_count,
            lines_per_page: expected.div_ceil(LINE_KEYS).clamp(1, LINES_MAX),
            index_lines: (format.header_len() + 4 * usual)
                .div_ceil(CACHE_LINE)
                .min(INDEX_LINES_MAX),
            lines: OnceLock::new(),
        }
    }

    fn of_page(&self, page: PageNo) -> Option<&[Line]> {
        let start = (page.0 as usize).checked_mul(self.lines_per_page)?;
        self.lines.get()?.get(start..)?.get(..self.lines_per_page)
    }

    /// Keeps the digest of a page whose keys have these hash values; `next` is the page behind it
    /// in its chain. `false` when there are too many keys.
    pub(super) fn keep(&self, page: PageNo, hashes: &[u32], next: PageNo) -> bool {
        if hashes.len() > LINE_KEYS * self.lines_per_page {
            return false;
        }
        self.lines.get_or_init(|| {
            let count = self.page_count as usize * self.lines_per_page;
            (0..count).map(|_| Line(OnceLock::new())).collect()
        });
        let Some(lines) = self.of_page(page) else {
            return false;
        };
        let mut parts = hashes.chunks(LINE_KEYS);
        for Line(line) in lines {
            let mut bytes = [[0; WORD_KEYS]; WORDS];
            let hashes = parts.next().unwrap_or_default();
            for (byte, hash) in bytes.as_flattened_mut().iter_mut().zip(hashes) {
                *byte = byte_of(*hash);
            }
            // Whoever was first has made the same of the same page.
            let _ = line.set(Part { next, bytes });
        }
        true
    }

    /// Whether the digest of a page is kept.
    pub(super) fn has(&self, page: PageNo) -> bool {
        self.of_page(page)
            .is_some_and(|lines| lines.iter().all(|line| line.0.get().is_some()))
    }

    /// Looks for a key of hash value `hash` on `first` and the pages behind it, all of which must have
    /// been checked. With `ahead` the index is read while the digest is waited for: better for a key
    /// that is there, if nothing was fetched before.
    #[inline]
    pub(super) fn find<'a>(
        &self,
        file: &'a [u8],
        first: PageNo,
        hash: u32,
        key: &[u8],
        ahead: bool,
    ) -> Finding<'a> {
        let pattern = u64::from_ne_bytes([byte_of(hash); 8]);
        let mut number = first;
        let size = self.format.size.bytes();
        while number != PageNo::NONE {
            let start = (number.0 as usize).checked_mul(size);
            let page = start.and_then(|start| file.get(start..)?.get(..size));
            let (Some(page), Some(lines)) = (page, self.of_page(number)) else {
                return Finding::Unsure;
            };
            if ahead {
                let index = page.iter().step_by(CACHE_LINE).take(self.index_lines);
                black_box(index.fold(0, |sum, byte| sum ^ byte));
            }
            let mut next = PageNo::NONE;
            let mut slot = 0;
            for Line(line) in lines {
                let Some(part) = line.get() else {
                    return Finding::Unsure;
                };
                next = part.next;
                let mut equal = part.equal_keys(pattern);
                while equal != 0 {
                    match self.pair(page, slot + equal.trailing_zeros() as usize, key) {
                        Finding::Absent => equal &= equal - 1,
                        finding => return finding,
                    }
                }
                let [.., [.., last]] = part.bytes;
                if last == 0 {
                    break;
                }
                slot += LINE_KEYS;
            }
            number = next;
        }
        Finding::Absent
    }

    /// Reads what a lookup needs of the first line of page `number`: in step 0 the line, then the index
    /// entry of the key that may be the wanted one, then its bytes.
    #[inline]
    pub(super) fn touch(&self, file: &[u8], number: PageNo, hash: u32, step: u8) -> u8 {
        let part = self
            .of_page(number)
            .and_then(|lines| lines.first()?.0.get());
        let Some(part) = part else { return 0 };
        let [[first, ..], ..] = part.bytes;
        if step == 0 {
            return first;
        }
        let pattern = u64::from_ne_bytes([byte_of(hash); 8]);
        let equal = part.equal_keys(pattern);
        let pair = (equal != 0).then(|| equal.trailing_zeros() as usize);
        let start = (number.0 as usize).checked_mul(self.format.size.bytes());
        let page = start
            .and_then(|start| file.get(start..))
            .unwrap_or_default();
        let entry = self.format.header_len() + 4 * pair.unwrap_or(0);
        let key = match (pair, step) {
            (Some(_), 1) => entry,
            (Some(_), _) => usize::from(self.format.order.u16(page, entry).unwrap_or(0)),
            (None, _) => return 0,
        };
        page.get(key).copied().unwrap_or(0)
    }

    /// The value of pair `pair` of a page, if it is the pair of `key`.
    #[inline]
    fn pair<'a>(&self, page: &'a [u8], pair: usize, key: &[u8]) -> Finding<'a> {
        let entry = self.format.header_len() + 4 * pair;
        let offset = |at: usize| self.format.order.u16(page, at).map(usize::from);
        let item = |start: usize, end: usize| page.get(start..end)?.split_first();
        let end = match pair {
            0 => Some(page.len()),
            _ => offset(entry - 2),
        };
        let (Some(start), Some(end), Some(value)) = (offset(entry), end, offset(entry + 2)) else {
            return Finding::Unsure;
        };
        match item(start, end) {
            Some((&HASH_ON_PAGE, found)) if found == key => {}
            Some((&HASH_ON_PAGE, _)) => return Finding::Absent,
            _ => return Finding::Unsure,
        }
        match item(value, start) {
            Some((&HASH_ON_PAGE, value)) => Finding::Found(value),
            _ => Finding::Unsure,
        }
    }
}

/// The byte that stands for a hash value. The low bits of all keys of a bucket are the same, and some
/// functions leave the high ones of short keys zero.
#[inline]
fn byte_of(hash: u32) -> u8 {
    let mixed = hash.wrapping_mul(0x9e37_79b1);
    let [byte, ..] = mixed.to_be_bytes();
    byte.max(1)
}

impl Part {
    /// A bit for each key whose byte is that of `pattern`, the first in the lowest place. All words are
    /// looked at, whether it was found or not: where it is cannot be foreseen, and a processor that
    /// foresees it wrongly loses more time.
    #[inline]
    fn equal_keys(&self, pattern: u64) -> u64 {
        let words = self.bytes.iter().enumerate();
        words.fold(0, |found, (at, word)| {
            let equal = equal_bytes(u64::from_le_bytes(*word), pattern);
            found | equal << (WORD_KEYS * at)
        })
    }
}

/// A bit for each byte in which both words agree, the first in the lowest place.
#[inline]
fn equal_bytes(word: u64, pattern: u64) -> u64 {
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    /// Moves the lowest bit of each byte into the highest byte, side by side.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let different = word ^ pattern;
    // The high bit of each byte that is not zero.
    let different = ((different & !HIGH) + !HIGH) | different;
    ((!different & HIGH) >> 7).wrapping_mul(GATHER) >> 56
}

#[cfg(test)]
mod tests;
