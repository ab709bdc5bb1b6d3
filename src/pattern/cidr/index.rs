//! Which networks an address is in.
//!
//! Networks are nested or apart, never half in each other. So the addresses fall into ranges, and
//! all of a range are in the same networks: the innermost and those around it. A search for the
//! range finds the innermost, which knows the first rule of all of them.

use super::network::{Bits, Network};

/// The number of a rule, in the order of the lines.
pub(super) type RuleNo = u32;

/// Networks of one family and the rules that apply to them.
pub(super) struct Index<B> {
    /// Where ranges begin, ascending.
    starts: Vec<B>,
    /// The innermost network of each range: a place in `nested`.
    innermost: Vec<Option<u32>>,
    nested: Vec<Nested>,
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
        let mut index = Index {
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
                index.close(&mut open);
            }
            let around = open.last().map(|(_, number)| *number);
            let Ok(number) = u32::try_from(index.nested.len()) else {
                return index;
            };
            let nested = index.nest(around, same);
            index.nested.push(nested);
            index.range(network.start, Some(number));
            open.push((network, number));
        }
        while !open.is_empty() {
            index.close(&mut open);
        }
        index
    }

    fn nest(&self, around: Option<u32>, same: &[Entry<B>]) -> Nested {
        let outer = around.and_then(|number| self.nested(number));
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
            self.range(behind, open.last().map(|(_, number)| *number));
        }
    }

    /// From `start` on, `innermost` is the innermost network.
    fn range(&mut self, start: B, innermost: Option<u32>) {
        match (self.starts.last(), self.innermost.last_mut()) {
            (Some(last), Some(place)) if *last == start => *place = innermost,
            _ => {
                self.starts.push(start);
                self.innermost.push(innermost);
            }
        }
    }

    fn nested(&self, number: u32) -> Option<&Nested> {
        self.nested.get(usize::try_from(number).ok()?)
    }

    /// The first rule without condition whose network `address` is in; and into `conditional` the
    /// rules below an `if` that come before it, ascending.
    pub(super) fn find(&self, address: B, conditional: &mut Vec<RuleNo>) -> Option<RuleNo> {
        let after = self.starts.partition_point(|start| *start <= address);
        let innermost = self.innermost.get(after.checked_sub(1)?)?;
        let nested = self.nested((*innermost)?)?;
        let first = nested.first;
        let before = first.unwrap_or(RuleNo::MAX);
        let mut next = Some(nested);
        while let Some(nested) = next
            && nested.has_conditional
        {
            conditional.extend(nested.conditional.iter().filter(|rule| **rule < before));
            next = nested.around.and_then(|number| self.nested(number));
        }
        conditional.sort_unstable();
        first
    }
}
