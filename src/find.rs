//! Where a byte is in a text, for texts of any length.

use memchr::arch::all::memchr::One;
use memchr::memchr;

/// Texts up to this length are searched by plain arithmetic.
///
/// `memchr` uses wide registers, and the first time it asks the processor for what it has. In a
/// virtual machine the host answers that, which takes some 20 microseconds: as long as it takes to
/// search so much without them, and a fiftieth of a program that looks one key up.
pub(crate) const SHORT_LEN: usize = 32 * 1024;

/// The first place of `byte` in `text`.
#[inline]
pub(crate) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    if text.len() <= SHORT_LEN {
        One::new(byte).find(text)
    } else {
        memchr(byte, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_are_searched_alike() {
        for len in [0, 1, 7, 8, 9, 100, SHORT_LEN, SHORT_LEN + 1, 2 * SHORT_LEN] {
            let mut text = vec![b'a'; len];
            assert_eq!(find(b'b', &text), None, "{len}");
            assert_eq!(find(b'a', &text), (len > 0).then_some(0), "{len}");
            for at in [0, 6, 8, 99, SHORT_LEN - 1, SHORT_LEN] {
                if let Some(byte) = text.get_mut(at) {
                    *byte = b'b';
                    assert_eq!(find(b'b', &text), Some(at), "{at} of {len}");
                    text[at] = b'a';
                }
            }
        }
    }
}
