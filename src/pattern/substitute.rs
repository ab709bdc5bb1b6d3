//! Results with `$1`, `${1}`, `$(1)` and `$$`.

use std::ops::Range;

/// What a rule answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    /// The largest number of a group in it; 0 without any.
    pub(crate) group_max: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Group(u32),
}

/// What is wrong with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// `$` with nothing behind it that could be a name.
    EmptyName,
    /// `${` or `$(` that is not closed.
    Truncated,
    /// A name that is no number.
    NotANumber(Vec<u8>),
    /// The group 0, as it was written.
    Zero(Vec<u8>),
}

impl Template {
    /// Reads a result. Every flaw is told; with any there is no template.
    pub(crate) fn parse(text: &[u8], tell: &mut dyn FnMut(Flaw)) -> Option<Template> {
        let mut template = Template {
            pieces: Vec::new(),
            group_max: 0,
        };
        let mut is_good = true;
        let mut rest = text;
        while let Some(dollar) = memchr::memchr(b'$', rest) {
            let (before, from) = rest.split_at_checked(dollar).unwrap_or((rest, &[]));
            template.push(before);
            let (name, behind) = match from {
                [_, b'$', behind @ ..] => {
                    template.push(b"$");
                    rest = behind;
                    continue;
                }
                [_, open @ (b'{' | b'('), behind @ ..] => {
                    let Some(len) = closing(behind, *open) else {
                        tell(Flaw::Truncated);
                        return None;
                    };
                    let (name, behind) = behind.split_at_checked(len).unwrap_or((behind, &[]));
                    (name, behind.get(1..).unwrap_or_default())
                }
                [_, behind @ ..] => {
                    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                    let len = behind.iter().take_while(|byte| is_name(byte)).count();
                    behind.split_at_checked(len).unwrap_or((behind, &[]))
                }
                [] => break,
            };
            rest = behind;
            if name.is_empty() {
                tell(Flaw::EmptyName);
                return None;
            }
            match group_number(name) {
                None => {
                    tell(Flaw::NotANumber(name.to_vec()));
                    is_good = false;
                }
                Some(0) => {
                    tell(Flaw::Zero(name.to_vec()));
                    is_good = false;
                }
                Some(number) => {
                    template.group_max = template.group_max.max(number);
                    template.pieces.push(Piece::Group(number));
                }
            }
        }
        template.push(rest);
        is_good.then_some(template)
    }

    fn push(&mut self, text: &[u8]) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.extend_from_slice(text),
            _ => self.pieces.push(Piece::Text(text.to_vec())),
        }
    }

    /// The text, when no group is in it.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text with the groups filled in, which are places in `key`; those that are not set, or
    /// that `groups` does not have, are empty.
    pub(crate) fn expand(&self, key: &[u8], groups: &[Option<Range<usize>>]) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.extend_from_slice(piece),
                Piece::Group(number) => {
                    let group = usize::try_from(*number).ok().and_then(|at| groups.get(at));
                    if let Some(Some(place)) = group {
                        text.extend_from_slice(key.get(place.clone()).unwrap_or_default());
                    }
                }
            }
        }
        text
    }
}

/// Where in `text` the brace or parenthesis is closed that was opened before it.
fn closing(text: &[u8], open: u8) -> Option<usize> {
    let close = if open == b'{' { b'}' } else { b')' };
    let mut depth = 1_usize;
    for (at, &byte) in text.iter().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// A number of digits; one that is too large for a number is the largest.
fn group_number(name: &[u8]) -> Option<u32> {
    name.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u32::from(byte - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_filled_in() {
        let key = b"abc";
        let groups = [Some(0..3), Some(0..1), None, Some(1..3)];
        for (text, expect) in [
            ("plain", "plain"),
            ("$1", "a"),
            ("${1}x$(3)", "axbc"),
            ("$1,$2,$3,$4", "a,,bc,"),
            ("$$1$$", "$1$"),
            ("${03}", "bc"),
            ("", ""),
        ] {
            let template =
                Template::parse(text.as_bytes(), &mut |flaw| panic!("{text}: {flaw:?}")).unwrap();
            let expanded = template.expand(key, &groups);
            assert_eq!(expanded.escape_ascii().to_string(), expect, "{text}");
            let is_constant = template.group_max == 0;
            assert_eq!(template.constant().is_some(), is_constant, "{text}");
        }
    }

    #[test]
    fn flaws_are_told_in_their_order_up_to_the_first_that_ends_the_text() {
        let not_a_number = |name: &str| Flaw::NotANumber(name.into());
        let zero = |name: &str| Flaw::Zero(name.into());
        for (text, expect) in [
            ("a $", vec![Flaw::EmptyName]),
            ("$-1", vec![Flaw::EmptyName]),
            ("${}$x", vec![Flaw::EmptyName]),
            ("$()", vec![Flaw::EmptyName]),
            ("${1", vec![Flaw::Truncated]),
            ("${1)", vec![Flaw::Truncated]),
            ("$1b", vec![not_a_number("1b")]),
            ("${-1}", vec![not_a_number("-1")]),
            ("${${1}}", vec![not_a_number("${1}")]),
            ("$(a(b))", vec![not_a_number("a(b)")]),
            ("$0 $x", vec![zero("0"), not_a_number("x")]),
            ("$00 $", vec![zero("00"), Flaw::EmptyName]),
        ] {
            let mut flaws = Vec::new();
            let template = Template::parse(text.as_bytes(), &mut |flaw| flaws.push(flaw));
            assert_eq!((template, flaws), (None, expect), "{text}");
        }
    }

    #[test]
    fn a_number_too_large_is_the_largest() {
        let template = Template::parse(b"${99999999999}", &mut |_| {}).unwrap();
        assert_eq!(template.group_max, u32::MAX);
    }
}
