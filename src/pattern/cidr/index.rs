//! Which networks an address is in.
//!
//! Networks are nested or apart, never half in each other. So the addresses fall into ranges, and
//! all of a range are in the same networks: the innermost and those around it. A search for the
//! range finds the first rule of all of them.
//!
//! What a lookup costs is the bytes it touches that are in no cache. So the starts of the ranges are
//! searched as a tree of chunks, one or two of which are that far away, and a range has its rule in
//! four bytes; the networks are looked at only for rules below an `if`.

use super::network::{Bits, Network};

/// The number of a rule, in the order of the lines.
pub(super) type RuleNo = u32;

/// Stands for no rule, and for no network. A table has fewer of both.
const NONE: u32 = u32::MAX;

/// Networks of one family and the rules that apply to them.
pub(super) struct Index<B> {
    /// Where ranges begin.
    starts: Starts<B>,
    /// The first rule without condition of each range, or [`NONE`].
    firsts: Vec<RuleNo>,
    /// The innermost network of each range: a place in `nested`, or [`NONE`]. Empty in a table
    /// without conditions.
    innermost: Vec<u32>,
    nested: Vec<Nested>,
}

/// Ascending numbers: a tree whose lowest level are all of them.
struct Starts<B> {
    /// From the lowest. Each is the first number of each chunk of the one below it; the highest is
    /// one chunk at most.
    levels: Vec<Vec<B>>,
}

/// How many numbers of a level are searched at a time: 64 bytes of IPv4.
const CHUNK_LEN: usize = 16;

impl<B: Bits> Starts<B> {
    fn new(starts: Vec<B>) -> Starts<B> {
        let mut levels = vec![starts];
        while let Some(highest) = levels.last()
            && highest.len() > CHUNK_LEN
        {
            let firsts = highest.chunks(CHUNK_LEN).filter_map(|chunk| chunk.first());
            let firsts = firsts.copied().collect();
            levels.push(firsts);
        }
        Starts { levels }
    }

    /// The place of the last one that is `number` or below.
    fn at_or_below(&self, number: B) -> Option<usize> {
        let mut chunk_no = 0;
        for level in self.levels.iter().rev() {
            let chunk = level.chunks(CHUNK_LEN).nth(chunk_no)?;
            let after = chunk.partition_point(|start| *start <= number);
            chunk_no = chunk_no * CHUNK_LEN + after.checked_sub(1)?;
        }
        // On the lowest level a place is what a chunk was above it.
        Some(chunk_no)
    }
}

/// A network among others.
struct Nested {
    /// The next one around it.
    around: Option<u32>,
    /// The first rule without condition of it and those around it.
    first: Option<RuleNo>,
    /// Its rules below an `if`, ascending.
    conditional: Vec<RuleNo>,
    /// Whether it or one around it has such rules.
    has_conditional: bool,
}

/// A rule for an index.
pub(super) struct Entry<B> {
    pub(super) network: Network<B>,
    pub(super) rule: RuleNo,
    /// Whether it stands below an `if`.
    pub(super) is_conditional: bool,
}

impl<B: Bits> Index<B> {
    pub(super) fn new(mut entries: Vec<Entry<B>>) -> Index<B> {
        // Outer networks come before the inner ones that begin where they do.
        entries.sort_by_key(|entry| (entry.network.start, entry.network.len, entry.rule));
        let mut ranges = Ranges {
            starts: Vec::new(),
            innermost: Vec::new(),
            nested: Vec::new(),
        };
        // The networks that the one at hand may be in, outermost first, with their numbers.
        let mut open: Vec<(Network<B>, u32)> = Vec::new();
        for same in entries.chunk_by(|a, b| a.network == b.network) {
            let Some(network) = same.first().map(|entry| entry.network) else {
                continue;
            };
            while let Some((outer, _)) = open.last()
                && outer.end() < network.start
            {
                ranges.close(&mut open);
            }
            let around = open.last().map(|(_, number)| *number);
            let Ok(number) = u32::try_from(ranges.nested.len()) else {
                break;
            };
            let nested = ranges.nest(around, same);
            ranges.nested.push(nested);
            ranges.begin(network.start, number);
            open.push((network, number));
        }
        while !open.is_empty() {
            ranges.close(&mut open);
        }
        ranges.into_index()
    }

    /// The first rule without condition whose network `address` is in; and into `conditional` the
    /// rules below an `if` that come before it, ascending.
    pub(super) fn find(&self, address: B, conditional: &mut Vec<RuleNo>) -> Option<RuleNo> {
        let at = self.starts.at_or_below(address)?;
        // That of no rule is the highest number, so all rules come before it.
        let first = *self.firsts.get(at)?;
        let mut next = self.innermost.get(at).copied();
        while let Some(nested) = next.and_then(|number| nested(&self.nested, number))
            && nested.has_conditional
        {
            conditional.extend(nested.conditional.iter().filter(|rule| **rule < first));
            next = nested.around;
        }
        conditional.sort_unstable();
        (first != NONE).then_some(first)
    }
}

fn nested(all: &[Nested], number: u32) -> Option<&Nested> {
    all.get(usize::try_from(number).ok()?)
}

/// An index while it is made.
struct Ranges<B> {
    /// Where ranges begin, ascending.
    starts: Vec<B>,
    /// The innermost network of each range: a place in `nested`, or [`NONE`].
    innermost: Vec<u32>,
    nested: Vec<Nested>,
}

impl<B: Bits> Ranges<B> {
    fn nest(&self, around: Option<u32>, same: &[Entry<B>]) -> Nested {
        let outer = around.and_then(|number| nested(&self.nested, number));
        let of = |is_conditional| {
            let entries = same.iter();
            let entries = entries.filter(move |entry| entry.is_conditional == is_conditional);
            entries.map(|entry| entry.rule)
        };
        let conditional: Vec<RuleNo> = of(true).collect();
        let outer_first = outer.and_then(|outer| outer.first);
        Nested {
            around,
            first: of(false).chain(outer_first).min(),
            has_conditional: !conditional.is_empty()
                || outer.is_some_and(|outer| outer.has_conditional),
            conditional,
        }
    }

    /// Behind the last network that is open, the one around it is the innermost again.
    fn close(&mut self, open: &mut Vec<(Network<B>, u32)>) {
        if let Some((network, _)) = open.pop()
            && let Some(behind) = network.end().next()
        {
            self.begin(behind, open.last().map_or(NONE, |(_, number)| *number));
        }
    }

    /// From `start` on, `innermost` is the innermost network.
    fn begin(&mut self, start: B, innermost: u32) {
        match (self.starts.last(), self.innermost.last_mut()) {
            (Some(last), Some(place)) if *last == start => *place = innermost,
            _ => {
                self.starts.push(start);
                self.innermost.push(innermost);
            }
        }
    }

    fn into_index(self) -> Index<B> {
        let Ranges {
            starts,
            innermost,
            nested: all,
        } = self;
        let first = |number: &u32| nested(&all, *number).and_then(|nested| nested.first);
        let firsts = innermost.iter().map(|number| first(number).unwrap_or(NONE));
        let firsts = firsts.collect();
        let starts = Starts::new(starts);
        if all.iter().any(|nested| nested.has_conditional) {
            return Index {
                starts,
                firsts,
                innermost,
                nested: all,
            };
        }
        Index {
            starts,
            firsts,
            innermost: Vec::new(),
            nested: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_the_one_below_it_is_found_in_trees_of_any_height() {
        for len in [0, 1, 15, 16, 17, 255, 256, 257, 4096, 4097] {
            let starts: Vec<u32> = (0..len).map(|n| n * 2 + 1).collect();
            let tree = Starts::new(starts.clone());
            for number in 0..=len * 2 + 2 {
                let after = starts.partition_point(|start| *start <= number);
                let expect = after.checked_sub(1);
                assert_eq!(tree.at_or_below(number), expect, "{number} of {len}");
            }
        }
    }
}
