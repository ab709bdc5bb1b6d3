//! Matching of large expressions with long keys, with every step counted.
//!
//! First the lazy automaton is asked. It takes a few instructions for a byte as long as it meets
//! states that it knows, and gives up when it meets new ones all the time: at that pace it would be
//! slower than what it is made from. Then all ways through the expression are followed at once,
//! byte by byte, until there is an answer or no step is left.

use regex_automata::hybrid::{dfa, regex};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::{Input, MatchKind};
use regex_syntax::hir::Hir;

use crate::pattern::pool::Pool;

/// The most steps of one lookup, in all rules together: states that are visited, counted once for
/// each byte of the key. With these a lookup takes about a second.
///
/// That is 500 states for every byte of a header of 100 000 bytes, the longest that Postfix takes
/// (`header_size_limit`); most headers have a hundredth of that, and most ways through an expression
/// end after a byte or two. Nothing is counted as long as the lazy automaton does: a list of 1000
/// words, looked for in such a header full of random letters, takes no step. With `$1` in the result
/// a list of 300 words behind `.*` takes 600 steps for each byte.
pub(super) const STEPS_MAX: u64 = 50_000_000;

/// Expressions with fewer states times bytes of the key than this are matched without counting, a
/// matter of milliseconds.
const UNCOUNTED_MAX: usize = 500_000;

/// Memory for the states of a lazy automaton, in bytes, unless that is too little for a few of them.
const CACHE_SIZE: usize = 8 << 20;

/// About what a lazy automaton costs that gave up: it visited a state for every byte or two of its
/// memory, each time that was filled.
const LAZY_STEPS: u64 = 10_000_000;

/// The steps that are left of a lookup.
pub(super) struct Steps {
    left: u64,
}

/// No step is left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl TooMany {
    pub(super) fn text(&self) -> String {
        "gave up: the key takes too many steps".to_owned()
    }
}

impl Steps {
    pub(super) fn new(max: u64) -> Steps {
        Steps { left: max }
    }

    fn take(&mut self, count: u64) -> Result<(), TooMany> {
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(TooMany)
    }

    /// Whether an expression with about `state_count` states is matched with `key` only with steps
    /// counted.
    pub(super) fn counts(state_count: usize, key: &[u8]) -> bool {
        state_count.saturating_mul(key.len().saturating_add(1)) > UNCOUNTED_MAX
    }
}

/// An expression that is matched with steps counted.
pub(super) struct Counted {
    nfa: NFA,
    /// `None` if there cannot be one.
    lazy: Option<(regex::Regex, Pool<regex::Cache>)>,
}

/// What is asked of [`Counted::simulate`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Any match, anywhere.
    Any,
    /// The leftmost one.
    Leftmost,
    /// All that begin at the first byte: how many steps that takes.
    AllFrom,
}

impl Counted {
    /// `None` for an expression that is too large for any automaton.
    pub(super) fn new(hir: &Hir) -> Option<Counted> {
        let compiled = |reverse| {
            let config = thompson::Config::new()
                .utf8(false)
                .reverse(reverse)
                .which_captures(WhichCaptures::None);
            let mut compiler = thompson::Compiler::new();
            compiler.configure(config).build_from_hir(hir).ok()
        };
        let nfa = compiled(false)?;
        let lazy = compiled(true).and_then(|reverse| lazy(&nfa, reverse));
        Some(Counted { nfa, lazy })
    }

    /// Whether the expression is found in `key`.
    pub(super) fn is_match(&self, key: &[u8], steps: &mut Steps) -> Result<bool, TooMany> {
        let lazily = self.lazy.as_ref().and_then(|(automaton, caches)| {
            let input = Input::new(key).earliest(true);
            caches.with(
                || automaton.create_cache(),
                |cache| {
                    let forward = automaton.forward();
                    forward.try_search_fwd(cache.forward_mut(), &input).ok()
                },
            )
        });
        match lazily {
            Some(found) => Ok(found.is_some()),
            None => {
                steps.take(LAZY_STEPS)?;
                Ok(self.simulate(key, 0, Goal::Any, steps)?.is_some())
            }
        }
    }

    /// Where the leftmost match begins.
    pub(super) fn start(&self, key: &[u8], steps: &mut Steps) -> Result<Option<usize>, TooMany> {
        let lazily = self.lazy.as_ref().and_then(|(automaton, caches)| {
            caches.with(
                || automaton.create_cache(),
                |cache| automaton.try_search(cache, &Input::new(key)).ok(),
            )
        });
        match lazily {
            Some(found) => Ok(found.map(|found| found.start())),
            None => {
                steps.take(LAZY_STEPS)?;
                self.simulate(key, 0, Goal::Leftmost, steps)
            }
        }
    }

    /// Takes the steps that it costs to find the longest match which begins at `start`, with the
    /// places of its groups, of which there are `slot_count`.
    pub(super) fn take_longest(
        &self,
        key: &[u8],
        start: usize,
        slot_count: usize,
        steps: &mut Steps,
    ) -> Result<(), TooMany> {
        let before = steps.left;
        self.simulate(key, start, Goal::AllFrom, steps)?;
        // Places are copied from state to state.
        let weight = u64::try_from(1 + slot_count / 16).unwrap_or(u64::MAX);
        steps.take((before - steps.left).saturating_mul(weight))
    }

    /// Follows all ways from `from` on; where the match begins that was asked for.
    fn simulate(
        &self,
        key: &[u8],
        from: usize,
        goal: Goal,
        steps: &mut Steps,
    ) -> Result<Option<usize>, TooMany> {
        let mut found = None;
        let mut current = Ways::new(self.nfa.states().len());
        let mut next = Ways::new(self.nfa.states().len());
        for at in from..=key.len() {
            let may_begin = at == from || goal != Goal::AllFrom;
            if may_begin && found.is_none() {
                // Behind the others: so the list is in the order of starts.
                current.enter(&self.nfa, self.nfa.start_anchored(), at, (key, at), steps)?;
            }
            if current.list.is_empty() && (found.is_some() || goal == Goal::AllFrom) {
                break;
            }
            for &(state, start) in &current.list {
                if goal == Goal::Leftmost && found.is_some_and(|found| found <= start) {
                    break;
                }
                let target = match self.nfa.state(state) {
                    State::Match { .. } if goal == Goal::Any => return Ok(Some(start)),
                    State::Match { .. } => {
                        found = Some(start);
                        continue;
                    }
                    State::ByteRange { trans } => trans.matches(key, at).then_some(trans.next),
                    State::Sparse(trans) => trans.matches(key, at),
                    State::Dense(trans) => trans.matches(key, at),
                    _ => None,
                };
                if let Some(target) = target {
                    next.enter(&self.nfa, target, start, (key, at + 1), steps)?;
                }
            }
            std::mem::swap(&mut current, &mut next);
            next.clear();
        }
        Ok(found)
    }
}

fn lazy(nfa: &NFA, reverse: NFA) -> Option<(regex::Regex, Pool<regex::Cache>)> {
    let build = |nfa: NFA, kind| {
        let config = dfa::Config::new()
            .match_kind(kind)
            .cache_capacity(CACHE_SIZE)
            .skip_cache_capacity_check(true)
            // It gives up when its memory was full three times, and there were less than ten bytes
            // for each state it made.
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let mut builder = dfa::Builder::new();
        builder.configure(config).build_from_nfa(nfa).ok()
    };
    let forward = build(nfa.clone(), MatchKind::LeftmostFirst)?;
    let reverse = build(reverse, MatchKind::All)?;
    let automaton = regex::Builder::new().build_from_dfas(forward, reverse);
    Some((automaton, Pool::new()))
}

/// The states that can be reached at one place of the key, each with the start of the first way to
/// it. A set that is cleared in no time.
struct Ways {
    list: Vec<(StateID, usize)>,
    /// For each state where it is in `list`, if it is there.
    places: Vec<usize>,
    /// States whose successors are to be entered.
    open: Vec<StateID>,
}

impl Ways {
    fn new(state_count: usize) -> Ways {
        Ways {
            list: Vec::new(),
            places: vec![0; state_count],
            open: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.list.clear();
    }

    /// Adds `state` and all that is reached from it without a byte, for a way that began at `start`;
    /// `here` is the key and the place in it.
    fn enter(
        &mut self,
        nfa: &NFA,
        state: StateID,
        start: usize,
        here: (&[u8], usize),
        steps: &mut Steps,
    ) -> Result<(), TooMany> {
        self.open.push(state);
        while let Some(state) = self.open.pop() {
            steps.take(1)?;
            let Some(place) = self.places.get_mut(state.as_usize()) else {
                continue;
            };
            if self
                .list
                .get(*place)
                .is_some_and(|(known, _)| *known == state)
            {
                continue;
            }
            *place = self.list.len();
            self.list.push((state, start));
            match nfa.state(state) {
                State::Look { look, next } => {
                    let (key, at) = here;
                    if nfa.look_matcher().matches(*look, key, at) {
                        self.open.push(*next);
                    }
                }
                State::Union { alternates } => self.open.extend(alternates.iter()),
                State::BinaryUnion { alt1, alt2 } => self.open.extend([alt1, alt2]),
                State::Capture { next, .. } => self.open.push(*next),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::posix::{Flags, parse};

    fn counted(pattern: &str) -> Counted {
        let flags = Flags {
            extended: true,
            ignore_case: true,
            lines: true,
        };
        let parsed = parse(pattern.as_bytes(), flags).expect(pattern);
        Counted::new(&parsed.node.hir()).unwrap()
    }

    /// Parts of patterns.
    const PARTS: &[&str] = &[
        "a", "b", ".", "[^a]", "(a|ab)", "(b*c)?", "(a|$)+", "(a?){3}", "^", "$", "\\b", "\\>",
        "a*",
    ];

    proptest! {
        #[test]
        fn following_all_ways_finds_what_the_lazy_automaton_finds(
            parts in prop::collection::vec(prop::sample::select(PARTS), 0..6),
            key in "[abc\n ]{0,12}",
        ) {
            let counted = counted(&parts.concat());
            let key = key.as_bytes();
            let mut steps = Steps::new(STEPS_MAX);
            let start = counted.start(key, &mut steps).unwrap();
            prop_assert_eq!(steps.left, STEPS_MAX, "the lazy automaton did not give up");
            let any = counted.simulate(key, 0, Goal::Any, &mut steps).unwrap();
            prop_assert_eq!(any.is_some(), start.is_some());
            prop_assert_eq!(counted.is_match(key, &mut steps).unwrap(), start.is_some());
            let leftmost = counted.simulate(key, 0, Goal::Leftmost, &mut steps).unwrap();
            prop_assert_eq!(leftmost, start);
            if let Some(start) = start {
                let longest = counted.simulate(key, start, Goal::AllFrom, &mut steps);
                prop_assert_eq!(longest.unwrap(), Some(start));
            }
        }
    }

    #[test]
    fn steps_are_those_of_the_ways_that_are_open() {
        let taken = |pattern: &str, key: &[u8]| {
            let mut steps = Steps::new(STEPS_MAX);
            let found = counted(pattern).simulate(key, 0, Goal::AllFrom, &mut steps);
            (found.unwrap().is_some(), STEPS_MAX - steps.left)
        };
        let (found, few) = taken("x{1000}", &[b'y'; 5000]);
        assert!(!found && few < 10, "{few}");
        let (found, some) = taken("y*", &[b'y'; 5000]);
        assert!(found && (5000..50_000).contains(&some), "{some}");
        let (found, many) = taken("(y?){100}", &[b'y'; 5000]);
        assert!(found && many > 100 * 50, "{many}");
    }

    #[test]
    fn no_answer_is_given_when_no_step_is_left() {
        let counted = counted("(a?){200}c");
        let key = [b'a'; 5000];
        let few = || Steps::new(10_000);
        for goal in [Goal::Any, Goal::Leftmost, Goal::AllFrom] {
            let found = counted.simulate(&key, 0, goal, &mut few());
            assert_eq!(found, Err(TooMany));
        }
        assert_eq!(counted.take_longest(&key, 0, 4, &mut few()), Err(TooMany));
        let without_lazy = Counted {
            lazy: None,
            ..counted
        };
        let mut steps = Steps::new(LAZY_STEPS + 10_000);
        assert_eq!(without_lazy.is_match(&key, &mut steps), Err(TooMany));
        assert_eq!(without_lazy.start(&key, &mut steps), Err(TooMany));
        let counted = without_lazy;
        // Of groups there can be so many that copying them is what takes steps.
        let steps = |slot_count| {
            let mut steps = Steps::new(STEPS_MAX);
            let taken = counted.take_longest(&key[..100], 0, slot_count, &mut steps);
            (taken, STEPS_MAX - steps.left)
        };
        let ((few_taken, few), (many_taken, many)) = (steps(2), steps(800));
        assert_eq!((few_taken, many_taken), (Ok(()), Ok(())));
        assert!(many > 10 * few, "{few} {many}");
    }

    #[test]
    fn what_is_left_is_never_less_than_nothing() {
        let mut steps = Steps::new(5);
        assert_eq!(steps.take(3), Ok(()));
        assert_eq!(steps.take(3), Err(TooMany));
        assert_eq!(steps.take(1), Err(TooMany));
    }
}
