//! Integers in bytes, in a byte order that is known only at run time.
//!
//! Every access is checked: a read past the end is `None`, never a panic. The
//! bytes come from files, and files lie.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation
)]

use std::cmp::Ordering;

/// The order of the bytes of a multi-byte integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first, as x86 writes.
    Little,
    /// Most significant byte first, as SPARC and s390x write.
    Big,
}

/// `a.cmp(b)`, eight bytes at a time. Quicker than a call where most pairs differ early, as the keys
/// that a search passes do.
#[inline]
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a_words.iter().zip(b_words) {
        if x != y {
            return u64::from_be_bytes(*x).cmp(&u64::from_be_bytes(*y));
        }
    }
    if a_words.len() == b_words.len() {
        return a_rest.cmp(b_rest);
    }
    let start = 8 * a_words.len().min(b_words.len());
    a.get(start..).cmp(&b.get(start..))
}

impl ByteOrder {
    /// The order of the machine this program runs on.
    pub const NATIVE: ByteOrder = if cfg!(target_endian = "big") {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    };

    /// The `u16` at byte `offset`, or `None` when it does not lie inside `bytes`.
    #[inline]
    pub fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let raw = *bytes.get(offset..)?.first_chunk::<2>()?;
        Some(match self {
            ByteOrder::Little => u16::from_le_bytes(raw),
            ByteOrder::Big => u16::from_be_bytes(raw),
        })
    }

    /// The `u32` at byte `offset`, or `None` when it does not lie inside `bytes`.
    #[inline]
    pub fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let raw = *bytes.get(offset..)?.first_chunk::<4>()?;
        Some(match self {
            ByteOrder::Little => u32::from_le_bytes(raw),
            ByteOrder::Big => u32::from_be_bytes(raw),
        })
    }

    /// The `u64` at byte `offset`, or `None` when it does not lie inside `bytes`.
    #[inline]
    pub fn u64(self, bytes: &[u8], offset: usize) -> Option<u64> {
        let raw = *bytes.get(offset..)?.first_chunk::<8>()?;
        Some(match self {
            ByteOrder::Little => u64::from_le_bytes(raw),
            ByteOrder::Big => u64::from_be_bytes(raw),
        })
    }

    /// Writes `value` at byte `offset`; `None`, and nothing written, when it does not fit.
    #[inline]
    #[must_use = "None means that nothing was written"]
    pub fn put_u16(self, bytes: &mut [u8], offset: usize, value: u16) -> Option<()> {
        *bytes.get_mut(offset..)?.first_chunk_mut::<2>()? = match self {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        Some(())
    }

    /// Writes `value` at byte `offset`; `None`, and nothing written, when it does not fit.
    #[inline]
    #[must_use = "None means that nothing was written"]
    pub fn put_u32(self, bytes: &mut [u8], offset: usize, value: u32) -> Option<()> {
        *bytes.get_mut(offset..)?.first_chunk_mut::<4>()? = match self {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        Some(())
    }

    /// Writes `value` at byte `offset`; `None`, and nothing written, when it does not fit.
    #[inline]
    #[must_use = "None means that nothing was written"]
    pub fn put_u64(self, bytes: &mut [u8], offset: usize, value: u64) -> Option<()> {
        *bytes.get_mut(offset..)?.first_chunk_mut::<8>()? = match self {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_read_what_they_wrote() {
        for (order, bytes16, bytes32) in [
            (ByteOrder::Little, [0x34, 0x12], [0x78, 0x56, 0x34, 0x12]),
            (ByteOrder::Big, [0x12, 0x34], [0x12, 0x34, 0x56, 0x78]),
        ] {
            let mut page = [0xff; 8];
            order.put_u16(&mut page, 1, 0x1234).unwrap();
            order.put_u32(&mut page, 4, 0x1234_5678).unwrap();
            assert_eq!(page[1..3], bytes16, "{order:?}");
            assert_eq!(page[4..8], bytes32, "{order:?}");
            assert_eq!(order.u16(&page, 1), Some(0x1234), "{order:?}");
            assert_eq!(order.u32(&page, 4), Some(0x1234_5678), "{order:?}");
            order.put_u64(&mut page, 0, 0x1234_5678_9abc_def0).unwrap();
            assert_eq!(order.u64(&page, 0), Some(0x1234_5678_9abc_def0));
            let half = [0x9abc_def0, 0x1234_5678][usize::from(order == ByteOrder::Big)];
            assert_eq!(order.u32(&page, 0), Some(half), "{order:?}");
        }
    }

    #[test]
    fn what_does_not_lie_inside_is_none() {
        let mut page = [0; 4];
        for offset in [3, 4, 5, usize::MAX] {
            assert_eq!(ByteOrder::Little.u16(&page, offset), None, "{offset}");
            assert_eq!(ByteOrder::Big.u32(&page, offset), None, "{offset}");
            assert_eq!(ByteOrder::Big.u64(&page, offset), None, "{offset}");
            assert_eq!(
                ByteOrder::Big.put_u64(&mut page, offset, 1),
                None,
                "{offset}"
            );
            assert_eq!(
                ByteOrder::Big.put_u16(&mut page, offset, 1),
                None,
                "{offset}"
            );
            assert_eq!(
                ByteOrder::Little.put_u32(&mut page, offset, 1),
                None,
                "{offset}"
            );
        }
        assert_eq!(page, [0; 4]);
    }

    #[test]
    fn comparing_by_words_is_comparing() {
        let strings: Vec<Vec<u8>> = (0..27)
            .flat_map(|len| {
                let base: Vec<u8> = (0..len).collect();
                let changed = (0..base.len()).map(|at| {
                    let mut other = (0..len).collect::<Vec<u8>>();
                    other[at] ^= 0x81;
                    other
                });
                changed.chain([base.clone()]).collect::<Vec<_>>()
            })
            .collect();
        for a in &strings {
            for b in &strings {
                assert_eq!(compare(a, b), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
