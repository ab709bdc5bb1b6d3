//! `regexp:` tables: POSIX regular expressions.
//!
//! # How a key is matched
//!
//! The automata of `regex_automata` take time that grows with the length of the key, whatever the
//! expression. Whether an expression matches, and where the leftmost match begins, does not depend
//! on which of several matches is preferred. POSIX wants the longest of those that begin there:
//! only a rule with `$1` needs to know, and asks a second automaton, which goes on to the longest
//! match and keeps the groups of the first of several ways to it.
//!
//! Where the expression is large and the key long, steps are counted ([`counted`]): a lookup that
//! would take more than about a second is given up.
//!
//! An expression is read when the table is opened, but its automata are made when a key needs them
//! first. Most keys need few: see [`index`](super::index).

mod counted;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::sync::OnceLock;

use regex_automata::nfa::thompson::{self, WhichCaptures, pikevm};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input, MatchKind, meta};

use self::counted::{Counted, STEPS_MAX, Steps};
use crate::error::{Result, masked};
use crate::pattern::index::{Index, Requirement};
use crate::pattern::pool::Pool;
use crate::pattern::posix::ast::Node;
use crate::pattern::posix::{Flags, PatternError, parse};
use crate::pattern::rules::{Dialect, FlagEffect, Groups, Rules};
use crate::table::options::OpenOptions;
use crate::table::traits::Table;

const TYPE: &str = "regexp";

/// The most states that all automata of a table may have together.
const TABLE_SIZE_MAX: usize = 4_000_000;

/// A table of POSIX regular expressions.
pub struct RegexpTable {
    name: OsString,
    utf8: bool,
    rules: Rules<Posix>,
    index: Index,
    /// How many steps a lookup may take.
    steps_max: u64,
}

impl RegexpTable {
    /// Opens the table `regexp:name`: a file, or `{{rule}, {rule}}`. `warn` hears what is wrong
    /// with its lines.
    ///
    /// # Errors
    ///
    /// `Io` when there is no such file or it cannot be read, `Spec` when the name begins with a
    /// brace and is no list of rules.
    pub fn open(
        name: &OsStr,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<RegexpTable> {
        RegexpTable::read(name, options, warn, None)
    }

    /// The table that the rules in `text` are, called `name`.
    ///
    /// # Errors
    ///
    /// `Io` when the text cannot be read.
    pub fn from_text(
        name: &OsStr,
        text: impl Read,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<RegexpTable> {
        let mut text = text;
        RegexpTable::read(name, options, warn, Some(&mut text))
    }

    fn read(
        name: &OsStr,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
        text: Option<&mut dyn Read>,
    ) -> Result<RegexpTable> {
        let rules = Rules::read(PosixDialect { size: 0 }, options, name, text, warn)?;
        let requirements: Vec<Requirement> = rules
            .iter()
            .map(|rule| match rule.first.negated {
                true => Requirement::none(),
                false => Requirement::of(&rule.first.matcher.node),
            })
            .collect();
        Ok(RegexpTable {
            name: name.to_owned(),
            utf8: options.utf8,
            rules,
            index: Index::new(&requirements),
            steps_max: STEPS_MAX,
        })
    }

    /// As [`Table::lookup`], asking every rule: what the index must not change.
    ///
    /// # Errors
    ///
    /// As [`Table::lookup`].
    pub fn lookup_by_scan(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.lookup_among(key, 0..self.rules.len())
    }

    fn lookup_among(
        &self,
        key: &[u8],
        candidates: impl Iterator<Item = usize>,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        let mut steps = Steps::new(self.steps_max);
        self.rules
            .lookup::<PosixDialect>(&self.name, key, self.utf8, candidates, &mut steps)
    }
}

impl Table for RegexpTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.lookup_among(key, self.index.candidates(key))
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn title(&self) -> String {
        format!("{TYPE}:{}", masked(&self.name))
    }
}

impl fmt::Debug for RegexpTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegexpTable")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// A POSIX regular expression. Its automata are made when they are needed.
struct Posix {
    node: Node,
    /// About how many states an automaton for it has.
    state_count: usize,
    /// Finds where matches begin.
    search: OnceLock<Option<meta::Regex>>,
    /// The same, where [`Steps::counts`].
    counted: OnceLock<Option<Counted>>,
    /// Finds the longest match and its groups, when the rule needs them.
    groups: OnceLock<Option<(pikevm::PikeVM, Pool<pikevm::Cache>)>>,
}

impl fmt::Debug for Posix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl Posix {
    fn new(node: Node, state_count: usize) -> Posix {
        Posix {
            node,
            state_count,
            search: OnceLock::new(),
            counted: OnceLock::new(),
            groups: OnceLock::new(),
        }
    }

    fn search(&self) -> Result<&meta::Regex, String> {
        let search = self.search.get_or_init(|| {
            let config = meta::Config::new()
                .utf8_empty(false)
                .nfa_size_limit(None)
                .which_captures(WhichCaptures::Implicit);
            let mut builder = meta::Builder::new();
            let builder = builder.configure(config);
            builder.build_from_hir(&self.node.hir()).ok()
        });
        search.as_ref().ok_or_else(too_big)
    }

    fn counted(&self) -> Result<&Counted, String> {
        let counted = self.counted.get_or_init(|| Counted::new(&self.node.hir()));
        counted.as_ref().ok_or_else(too_big)
    }

    fn groups(&self) -> Result<&(pikevm::PikeVM, Pool<pikevm::Cache>), String> {
        let groups = self.groups.get_or_init(|| {
            let nfa = thompson::Compiler::new()
                .configure(thompson::Config::new().utf8(false))
                .build_from_hir(&self.node.hir());
            // `All` is what makes it go on to the longest match.
            let config = pikevm::Config::new().match_kind(MatchKind::All);
            let vm = pikevm::Builder::new()
                .configure(config)
                .build_from_nfa(nfa.ok()?);
            Some((vm.ok()?, Pool::new()))
        });
        groups.as_ref().ok_or_else(too_big)
    }
}

fn too_big() -> String {
    PatternError::Size.text().into()
}

struct PosixDialect {
    /// The size of all expressions so far.
    size: usize,
}

impl Dialect for PosixDialect {
    type Flags = Flags;
    type Matcher = Posix;
    type Scratch = Steps;

    const TYPE: &'static str = TYPE;
    const UNCLOSED: &'static str = "skipping this rule";
    const BACKSLASH_ENDS: bool = true;
    const ZERO_GROUP: &'static str = "out-of-range";
    const SECOND_PATTERN: bool = true;

    fn default_flags() -> Flags {
        Flags {
            extended: true,
            ignore_case: true,
            lines: false,
        }
    }

    fn flag(flags: &mut Flags, letter: u8) -> FlagEffect {
        match letter {
            b'i' => flags.ignore_case = !flags.ignore_case,
            b'm' => flags.lines = !flags.lines,
            b'x' => flags.extended = !flags.extended,
            _ => return FlagEffect::Unknown,
        }
        FlagEffect::Applied
    }

    fn compile(&mut self, text: &[u8], flags: Flags) -> Result<(Posix, u32), String> {
        let parsed = parse(text, flags).map_err(|error| error.text().to_owned())?;
        let state_count = parsed.node.size();
        self.size = self.size.saturating_add(state_count);
        if self.size > TABLE_SIZE_MAX {
            return Err(too_big());
        }
        let posix = Posix::new(parsed.node, state_count);
        Ok((posix, parsed.groups))
    }

    fn is_match(matcher: &Posix, steps: &mut Steps, key: &[u8]) -> Result<bool, String> {
        if !Steps::counts(matcher.state_count, key) {
            return Ok(matcher.search()?.is_match(key));
        }
        let found = matcher.counted()?.is_match(key, steps);
        found.map_err(|error| error.text())
    }

    fn groups(
        matcher: &Posix,
        steps: &mut Steps,
        key: &[u8],
        groups: &mut Groups,
    ) -> Result<bool, String> {
        let is_counted = Steps::counts(matcher.state_count, key);
        let start = match is_counted {
            true => {
                let start = matcher.counted()?.start(key, steps);
                start.map_err(|error| error.text())?
            }
            false => matcher.search()?.find(key).map(|found| found.start()),
        };
        let Some(start) = start else {
            return Ok(false);
        };
        let (vm, pool) = matcher.groups()?;
        let input = Input::new(key).range(start..).anchored(Anchored::Yes);
        let slot_count = vm.get_nfa().group_info().slot_len();
        if is_counted {
            let taken = matcher
                .counted()?
                .take_longest(key, start, slot_count, steps);
            taken.map_err(|error| error.text())?;
        }
        let mut slots = vec![None; slot_count];
        pool.with(
            || vm.create_cache(),
            |cache| vm.search_slots(cache, &input, &mut slots),
        );
        groups.clear();
        let offset = |slot: Option<NonMaxUsize>| slot.map(NonMaxUsize::get);
        groups.extend(slots.chunks_exact(2).map(|pair| match pair {
            [start, end] => Some(offset(*start)?..offset(*end)?),
            _ => None,
        }));
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
