//! The outline of a Perl-compatible pattern: enough of it to tell what every match holds.
//!
//! Most patterns in use are plain: text, lists, groups, alternatives, repetitions. Of those the
//! outline has the text and the structure, and any byte in the place of everything else. A pattern
//! with anything that could mean something unexpected has none, and is asked for every key.

use crate::pattern::posix::ast::{ByteSet, Node};

/// How deep groups can be nested.
const DEPTH_MAX: usize = 20;

/// The outline of `pattern`, which PCRE2 has accepted, without the flag `x`.
pub(super) fn outline(pattern: &[u8]) -> Option<Node> {
    let mut rest = pattern;
    let node = alternation(&mut rest, 0)?;
    rest.is_empty().then_some(node)
}

/// Something that is not followed any further.
fn unknown() -> Node {
    Node::Set(ByteSet::EMPTY.complement())
}

fn alternation(rest: &mut &[u8], depth: usize) -> Option<Node> {
    let mut branches = vec![sequence(rest, depth)?];
    while let [b'|', behind @ ..] = *rest {
        *rest = behind;
        branches.push(sequence(rest, depth)?);
    }
    Some(match branches.len() {
        1 => branches.pop()?,
        _ => Node::Alternation(branches),
    })
}

fn sequence(rest: &mut &[u8], depth: usize) -> Option<Node> {
    let mut nodes = Vec::new();
    while !matches!(*rest, [] | [b'|' | b')', ..]) {
        let node = atom(rest, depth)?;
        nodes.push(repeated(node, rest)?);
    }
    Some(Node::Concat(nodes))
}

fn atom(rest: &mut &[u8], depth: usize) -> Option<Node> {
    let [first, behind @ ..] = *rest else {
        return None;
    };
    *rest = behind;
    Some(match first {
        b'(' => {
            // Options, assertions, verbs and the like are not looked into.
            *rest = match behind {
                [b'?', b':', behind @ ..] => behind,
                [b'?' | b'*', ..] => return None,
                behind => behind,
            };
            if depth >= DEPTH_MAX {
                return None;
            }
            let node = alternation(rest, depth + 1)?;
            let [b')', behind @ ..] = *rest else {
                return None;
            };
            *rest = behind;
            node
        }
        b'[' => {
            *rest = behind_list(behind)?;
            unknown()
        }
        b'\\' => {
            let [escaped, behind @ ..] = behind else {
                return None;
            };
            *rest = behind;
            match escaped {
                // Kinds of bytes, and places.
                b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'H' | b'v' | b'V' | b'b'
                | b'B' | b'A' | b'Z' | b'z' | b't' | b'n' | b'r' => unknown(),
                escaped if escaped.is_ascii_punctuation() => Node::Set(ByteSet::one(*escaped)),
                _ => return None,
            }
        }
        b'.' | b'^' | b'$' => unknown(),
        // Not where something can begin, or a meaning that depends on the release.
        b'*' | b'+' | b'?' | b'{' => return None,
        byte => Node::Set(ByteSet::one(*byte)),
    })
}

/// `node` with the repetition that follows.
fn repeated(node: Node, rest: &mut &[u8]) -> Option<Node> {
    let min = match *rest {
        [b'*' | b'?', behind @ ..] => {
            *rest = behind;
            0
        }
        [b'+', behind @ ..] => {
            *rest = behind;
            1
        }
        [b'{', behind @ ..] => {
            let len = behind.iter().position(|&byte| byte == b'}')?;
            let (interval, behind) = behind.split_at_checked(len)?;
            *rest = behind.get(1..)?;
            let is_plain = interval
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b',');
            let digits = interval.split(|&byte| byte == b',').next()?;
            if !is_plain || digits.is_empty() {
                return None;
            }
            u32::from(digits.iter().any(|digit| *digit != b'0'))
        }
        _ => return Some(node),
    };
    // Lazy or possessive: the same matches, or fewer.
    if let [b'?' | b'+', behind @ ..] = *rest {
        *rest = behind;
    }
    Some(Node::Repeat {
        min,
        max: None,
        node: Box::new(node),
    })
}

/// What stands behind the list that `text` is the inside of.
fn behind_list(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"^").unwrap_or(text);
    rest = rest.strip_prefix(b"]").unwrap_or(rest);
    loop {
        rest = match rest {
            [b']', behind @ ..] => return Some(behind),
            [b'\\', b'Q' | b'E' | b'c', ..] => return None,
            [b'\\', _, behind @ ..] => behind,
            [b'[', b':', behind @ ..] => {
                let is_name = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'^';
                let len = behind.iter().take_while(is_name).count();
                behind.get(len..)?.strip_prefix(b":]")?
            }
            [b'[', b'.' | b'=', ..] => return None,
            [_, behind @ ..] => behind,
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_patterns_have_an_outline() {
        for (pattern, is_plain) in [
            ("^(abc|x[]:]d)+@example\\.com$", true),
            ("(?:a|b)?c{2,3}d{0}e*?f++", true),
            ("[[:alnum:]_-]\\d\\b", true),
            ("a]b}", true),
            ("", true),
            ("(?i)abc", false),
            ("(?=abc)", false),
            ("(*UTF)abc", false),
            ("a\\Qb.\\E", false),
            ("\\x61", false),
            ("(a)\\1", false),
            ("\\Kabc", false),
            ("a{,3}", false),
            ("a{x", false),
            ("[\\Q]\\E]", false),
            ("[[.a.]]", false),
        ] {
            assert_eq!(outline(pattern.as_bytes()).is_some(), is_plain, "{pattern}");
        }
    }
}
