//! Compatibility levels: `3.6`, compared part by part.

use crate::source::trim_start;

/// The most that the first part can be, and the most that the others can.
const PART_MAX: [u64; 3] = [(1 << 43) - 1, 1023, 1023];

/// A compatibility level, `major.minor.patch`. Parts that are not written are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CompatibilityLevel([u64; 3]);

impl CompatibilityLevel {
    /// A level from its three parts.
    pub const fn new(major: u64, minor: u64, patch: u64) -> CompatibilityLevel {
        CompatibilityLevel([major, minor, patch])
    }

    /// Reads `a`, `a.b` or `a.b.c`. As the original does, blanks and a plus sign before each
    /// number are let pass; blanks behind one are not.
    pub(super) fn parse(text: &[u8]) -> Option<CompatibilityLevel> {
        let mut level = [0; 3];
        let mut rest = text;
        for ((part, max), at) in level.iter_mut().zip(PART_MAX).zip(0..) {
            if at > 0 {
                match rest.split_first() {
                    None => break,
                    Some((b'.', behind)) => rest = behind,
                    Some(_) => return None,
                }
            }
            rest = trim_start(rest);
            rest = rest.strip_prefix(b"+").unwrap_or(rest);
            let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (digits, behind) = rest.split_at_checked(len)?;
            *part = number(digits).filter(|&number| number <= max)?;
            rest = behind;
        }
        rest.is_empty().then_some(CompatibilityLevel(level))
    }
}

/// The value of one or more decimal digits that fits an `i64`, the original's `long`.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|&number| i64::try_from(number).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_parse_as_in_the_original() {
        for (text, level) in [
            ("0", Some([0, 0, 0])),
            ("3.6", Some([3, 6, 0])),
            ("3.6.1", Some([3, 6, 1])),
            ("01.02", Some([1, 2, 0])),
            (" 1", Some([1, 0, 0])),
            ("\t1", Some([1, 0, 0])),
            ("+1.+2. 3", Some([1, 2, 3])),
            ("1.1023.1023", Some([1, 1023, 1023])),
            ("8796093022207", Some([(1 << 43) - 1, 0, 0])),
            ("8796093022208", None),
            ("1.1024", None),
            ("1.1.1024", None),
            ("99999999999999999999", None),
            ("", None),
            ("x", None),
            ("1x", None),
            ("1 ", None),
            ("1 .2", None),
            ("1.", None),
            (".1", None),
            ("1..2", None),
            ("1.2.", None),
            ("1.2.3.4", None),
            ("-1", None),
            ("1.-2", None),
            ("0x1", None),
            ("3,6", None),
        ] {
            assert_eq!(
                CompatibilityLevel::parse(text.as_bytes()),
                level.map(CompatibilityLevel),
                "{text:?}"
            );
        }
    }

    #[test]
    fn levels_compare_as_numbers_not_as_text() {
        assert!(CompatibilityLevel::new(1, 2, 0) < CompatibilityLevel::new(1, 10, 0));
        assert!(CompatibilityLevel::new(2, 256, 0) < CompatibilityLevel::new(3, 0, 0));
    }
}
