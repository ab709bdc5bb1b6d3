//! Which expressions can match a key at all.
//!
//! Most expressions hold some text that every key they match must hold, too: `@example\.com$` is
//! found only where `exa` is. Each such expression is filed under one piece of three bytes of that
//! text (fewer if the text is shorter), the one that the fewest expressions of the table hold. A
//! key then leads to the few expressions filed under a piece of its own. Expressions without such
//! text are asked always.
//!
//! Nothing here decides that an expression matches; it only leaves out what cannot. Case of ASCII
//! is folded on both sides, which leaves out less.

use std::collections::HashMap;

use hashbrown::HashTable;

use crate::pattern::posix::ast::Node;

/// The longest piece, in bytes.
const PIECE_LEN: usize = 3;
/// The longest text that is followed through repetitions, in bytes.
const TEXT_LEN_MAX: usize = 64;
/// The most pieces an expression is filed under, one for each alternative.
const ALTERNATIVES_MAX: usize = 64;
/// The number of bits that tell most pieces apart from those of the table.
const FILTER_LEN: usize = 1 << 16;

/// One to three bytes, in lower case, as a number: the length is the highest byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Piece(u32);

impl Piece {
    fn new(bytes: &[u8]) -> Piece {
        let value = bytes.iter().fold(0, |value: u32, byte| {
            value << 8 | u32::from(byte.to_ascii_lowercase())
        });
        Piece(u32::try_from(bytes.len()).unwrap_or(0) << 24 | value)
    }

    fn len(self) -> usize {
        usize::try_from(self.0 >> 24).unwrap_or(0)
    }

    fn hash(self) -> u64 {
        (u64::from(self.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The piece's place in the filter.
    fn bit(self) -> usize {
        usize::try_from(self.hash() >> 48).unwrap_or(0) % FILTER_LEN
    }
}

/// What a key must hold to be matched: one of these pieces.
type Needed = Vec<Piece>;

/// What is known of an expression.
struct Known {
    /// The one text it matches, in lower case.
    exact: Option<Vec<u8>>,
    /// Each of these must be fulfilled.
    needed: Vec<Needed>,
}

/// The pieces of `text`.
fn pieces(text: &[u8]) -> Vec<Needed> {
    let len = text.len().min(PIECE_LEN);
    if len == 0 {
        return Vec::new();
    }
    text.windows(len)
        .map(|bytes| vec![Piece::new(bytes)])
        .collect()
}

fn known(node: &Node) -> Known {
    let exact = |text: Vec<u8>| Known {
        exact: Some(text),
        needed: Vec::new(),
    };
    let nothing = Known {
        exact: None,
        needed: Vec::new(),
    };
    match node {
        // A place takes no room: what stands on its two sides is neighbours.
        Node::Empty | Node::Look(_) => exact(Vec::new()),
        Node::Set(set) => {
            let mut folded = set.iter().map(|byte| byte.to_ascii_lowercase());
            match folded.next() {
                Some(first) if folded.all(|byte| byte == first) => exact(vec![first]),
                _ => nothing,
            }
        }
        Node::Group(_, node) => known(node),
        Node::Concat(nodes) => concat(nodes.iter().map(known)),
        Node::Alternation(nodes) => {
            let mut either: Needed = Vec::new();
            for node in nodes {
                // Any of what a branch needs will do; the longest piece tells most.
                match known(node)
                    .needed()
                    .into_iter()
                    .max_by_key(|needed| needed.iter().map(|piece| piece.len()).min())
                {
                    Some(needed) => either.extend(needed),
                    None => return nothing,
                }
            }
            if either.len() > ALTERNATIVES_MAX {
                return nothing;
            }
            Known {
                exact: None,
                needed: vec![either],
            }
        }
        Node::Repeat { min: 0, .. } => nothing,
        Node::Repeat { min, max, node } => {
            let known = known(node);
            let times = usize::try_from(*min).unwrap_or(usize::MAX);
            match &known.exact {
                Some(text)
                    if *max == Some(*min) && text.len().saturating_mul(times) <= TEXT_LEN_MAX =>
                {
                    exact(text.repeat(times))
                }
                _ => Known {
                    exact: None,
                    needed: known.needed(),
                },
            }
        }
    }
}

impl Known {
    fn needed(self) -> Vec<Needed> {
        match self.exact {
            Some(text) => pieces(&text),
            None => self.needed,
        }
    }
}

fn concat(parts: impl Iterator<Item = Known>) -> Known {
    let mut text = Vec::new();
    let mut needed = Vec::new();
    let mut is_exact = true;
    for part in parts {
        match part.exact {
            Some(more) => text.extend(more),
            None => {
                is_exact = false;
                needed.extend(pieces(&text));
                text.clear();
                needed.extend(part.needed);
            }
        }
    }
    if is_exact {
        return Known {
            exact: Some(text),
            needed,
        };
    }
    needed.extend(pieces(&text));
    Known {
        exact: None,
        needed,
    }
}

/// Finds the expressions that can match a key.
pub(super) struct Index {
    /// Those that are asked always, ascending.
    always: Vec<usize>,
    /// The other ones, by piece.
    filed: HashTable<(Piece, Vec<usize>)>,
    /// A bit for each piece that is filed, by its hash.
    filter: Vec<u64>,
    /// Whether pieces of one, two and three bytes are filed.
    lens: [bool; PIECE_LEN],
}

/// Under what an expression is filed.
pub(super) struct Requirement(Vec<Needed>);

impl Requirement {
    /// What every match of `node` holds.
    pub(super) fn of(node: &Node) -> Requirement {
        Requirement(known(node).needed())
    }

    /// Nothing: such an expression is asked always.
    pub(super) fn none() -> Requirement {
        Requirement(Vec::new())
    }
}

impl Index {
    /// The index of expressions that have these requirements.
    pub(super) fn new(requirements: &[Requirement]) -> Index {
        let mut counts: HashMap<Piece, usize> = HashMap::new();
        for piece in requirements.iter().flat_map(|r| r.0.iter().flatten()) {
            *counts.entry(*piece).or_default() += 1;
        }
        let mut index = Index {
            always: Vec::new(),
            filed: HashTable::new(),
            filter: vec![0; FILTER_LEN / 64],
            lens: [false; PIECE_LEN],
        };
        for (at, requirement) in requirements.iter().enumerate() {
            let cost = |needed: &&Needed| -> (bool, usize) {
                // A piece of one byte is in many keys, however few expressions hold it.
                let is_short = needed.iter().any(|piece| piece.len() < PIECE_LEN);
                let count = needed.iter().filter_map(|piece| counts.get(piece)).sum();
                (is_short, count)
            };
            match requirement.0.iter().min_by_key(cost) {
                Some(needed) => {
                    for piece in needed {
                        index.file(*piece, at);
                    }
                }
                None => index.always.push(at),
            }
        }
        index
    }

    fn file(&mut self, piece: Piece, at: usize) {
        let bit = piece.bit();
        if let Some(word) = self.filter.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
        if let Some(len) = self.lens.get_mut(piece.len().wrapping_sub(1)) {
            *len = true;
        }
        let entry = self.filed.entry(
            piece.hash(),
            |(other, _)| *other == piece,
            |(other, _)| other.hash(),
        );
        let places = &mut entry.or_insert_with(|| (piece, Vec::new())).into_mut().1;
        if places.last() != Some(&at) {
            places.push(at);
        }
    }

    /// The expressions that can match `key`, ascending, each once.
    pub(super) fn candidates(&self, key: &[u8]) -> impl Iterator<Item = usize> + '_ {
        let mut found = Vec::new();
        for (len, _) in (1..).zip(self.lens).filter(|(_, is_filed)| *is_filed) {
            for bytes in key.windows(len) {
                let piece = Piece::new(bytes);
                let bit = piece.bit();
                let may_be_filed = self
                    .filter
                    .get(bit / 64)
                    .is_some_and(|word| word >> (bit % 64) & 1 == 1);
                if may_be_filed
                    && let Some((_, places)) =
                        self.filed.find(piece.hash(), |(other, _)| *other == piece)
                {
                    found.extend_from_slice(places);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Merged {
            left: self.always.iter().copied().peekable(),
            right: found.into_iter().peekable(),
        }
    }
}

/// Two ascending sequences as one.
struct Merged<L: Iterator<Item = usize>, R: Iterator<Item = usize>> {
    left: std::iter::Peekable<L>,
    right: std::iter::Peekable<R>,
}

impl<L: Iterator<Item = usize>, R: Iterator<Item = usize>> Iterator for Merged<L, R> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match (self.left.peek(), self.right.peek()) {
            (Some(left), Some(right)) if left > right => self.right.next(),
            (Some(_), _) => self.left.next(),
            (None, _) => self.right.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::posix::{Flags, parse};

    fn requirement(text: &str) -> Requirement {
        let flags = Flags {
            extended: true,
            ignore_case: true,
            lines: false,
        };
        Requirement::of(&parse(text.as_bytes(), flags).unwrap().node)
    }

    #[test]
    fn what_every_match_holds_is_found() {
        for (text, expect) in [
            ("Exa", vec!["exa"]),
            ("^ab$", vec!["ab"]),
            ("a.b\\.c[dD]", vec!["a", "b.c", ".cd"]),
            ("a(bc)d", vec!["abc", "bcd"]),
            ("ab*cde", vec!["a", "cde"]),
            ("x(ab|cde)", vec!["x", "ab|cde"]),
            ("(ab|c*)", vec![]),
            ("[0-9]+", vec![]),
            ("(ab){2}", vec!["aba", "bab"]),
            ("(abc)+", vec!["abc"]),
            ("(abc)?", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<String> = requirement(text)
                .0
                .iter()
                .map(|needed| {
                    let texts = needed.iter().map(|piece| {
                        let bytes = &piece.0.to_be_bytes()[4 - piece.len()..];
                        String::from_utf8(bytes.to_vec()).unwrap()
                    });
                    texts.collect::<Vec<_>>().join("|")
                })
                .collect();
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn candidates_come_in_order_and_once() {
        let texts = ["com", "", "a", "x@y|foo", "com", "[0-9]", "FOO.*bar"];
        let requirements: Vec<Requirement> = texts.iter().map(|text| requirement(text)).collect();
        let index = Index::new(&requirements);
        for (key, expect) in [
            ("", vec![1, 5]),
            ("zz", vec![1, 5]),
            ("comcom", vec![0, 1, 4, 5]),
            ("foo", vec![1, 3, 5]),
            ("foobar@x@y", vec![1, 2, 3, 5, 6]),
        ] {
            let found: Vec<usize> = index.candidates(key.as_bytes()).collect();
            assert_eq!(found, expect, "{key}");
        }
    }
}
