//! Lists in braces, as the names of some tables hold them: `{item, item}`.
//!
//! Items are separated by commas and blanks. What stands between braces inside an item is part of
//! it, separators too; there is no way to quote a brace.

/// Separates items.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')
}

/// The offset of the brace that closes the one that `text` begins with.
pub(crate) fn closing(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'{') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What stands between the brace that `text` begins with and the one it ends with, if these two
/// belong together.
pub(crate) fn inside(text: &[u8]) -> Option<&[u8]> {
    let end = closing(text)?;
    (end + 1 == text.len()).then(|| text.get(1..end))?
}

/// The items of a list without its braces, in order. A brace that is never closed goes on to the
/// end, one that closes nothing is ordinary.
pub(crate) fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|&byte| !is_separator(byte))?;
        rest = rest.get(start..)?;
        let mut depth = 0_usize;
        let end = rest.iter().position(|&byte| {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && is_separator(byte)
        });
        let (item, behind) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = behind;
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_brace_must_be_the_last_byte() {
        for (text, expected) in [
            ("{a=1}", Some("a=1")),
            ("{a{b}c}", Some("a{b}c")),
            ("{}", Some("")),
            ("{a}b", None),
            ("{a}{b}", None),
            ("{a", None),
            ("a}", None),
            (" {a}", None),
            ("", None),
        ] {
            assert_eq!(
                inside(text.as_bytes()),
                expected.map(str::as_bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn braces_protect_separators() {
        for (list, expected) in [
            ("a=1, b=2", &["a=1", "b=2"][..]),
            (" {k = two words}, ", &["{k = two words}"]),
            ("a=x{1, 2}y b", &["a=x{1, 2}y", "b"]),
            ("a,,\t\r\n,b", &["a", "b"]),
            ("{a}{b} c", &["{a}{b}", "c"]),
            ("a{ b", &["a{ b"]),
            ("a} b", &["a}", "b"]),
            (" , ", &[]),
        ] {
            let items: Vec<&[u8]> = items(list.as_bytes()).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|item| item.as_bytes()).collect();
            assert_eq!(items, expected, "{list}");
        }
    }
}
