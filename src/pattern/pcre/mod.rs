//! `pcre:` tables: Perl-compatible regular expressions, by the C library PCRE2.
//!
//! Patterns and keys are bytes. A key on which the library gives up (it limits how often it tries,
//! and how much memory it takes) is an error, not a key that is not found.

mod engine;
mod outline;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;

use self::engine::{Code, Workspace};
use self::outline::outline;
use crate::error::{Result, masked};
use crate::pattern::index::{Index, Requirement};
use crate::pattern::pool::Pool;
use crate::pattern::posix::ast::Node;
use crate::pattern::rules::{Dialect, FlagEffect, Groups, Rules};
use crate::table::options::OpenOptions;
use crate::table::traits::Table;

const TYPE: &str = "pcre";

/// A table of Perl-compatible regular expressions.
pub struct PcreTable {
    name: OsString,
    utf8: bool,
    rules: Rules<Pattern>,
    index: Index,
    /// The most groups of a pattern.
    group_max: u32,
    workspaces: Pool<Workspace>,
}

impl PcreTable {
    /// Opens the table `pcre:name`: a file, or `{{rule}, {rule}}`. `warn` hears what is wrong with
    /// its lines.
    ///
    /// # Errors
    ///
    /// `Io` when there is no such file or it cannot be read, `Spec` when the name begins with a
    /// brace and is no list of rules.
    pub fn open(
        name: &OsStr,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<PcreTable> {
        PcreTable::read(name, options, warn, None)
    }

    /// The table that the rules in `text` are, called `name`.
    ///
    /// # Errors
    ///
    /// `Io` when the text cannot be read.
    pub fn from_text(
        name: &OsStr,
        mut text: impl Read,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<PcreTable> {
        PcreTable::read(name, options, warn, Some(&mut text))
    }

    fn read(
        name: &OsStr,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
        text: Option<&mut dyn Read>,
    ) -> Result<PcreTable> {
        let rules: Rules<Pattern> = Rules::read(Perl, options, name, text, warn)?;
        let requirements: Vec<Requirement> = rules
            .iter()
            .map(|rule| match &rule.first.matcher.outline {
                Some(node) if !rule.first.negated => Requirement::of(node),
                _ => Requirement::none(),
            })
            .collect();
        let group_counts = rules.iter().map(|rule| rule.first.matcher.group_count);
        Ok(PcreTable {
            name: name.to_owned(),
            utf8: options.utf8,
            group_max: group_counts.max().unwrap_or(0),
            rules,
            index: Index::new(&requirements),
            workspaces: Pool::new(),
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
        self.workspaces.with(
            || Workspace::new(self.group_max),
            |workspace| {
                self.rules
                    .lookup::<Perl>(&self.name, key, self.utf8, candidates, workspace)
            },
        )
    }
}

impl Table for PcreTable {
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

impl fmt::Debug for PcreTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcreTable")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Pattern {
    code: Code,
    group_count: u32,
    /// For the index; `None` for a pattern that is not plain.
    outline: Option<Node>,
}

struct Perl;

impl Dialect for Perl {
    type Flags = u32;
    type Matcher = Pattern;
    type Scratch = Workspace;

    const TYPE: &'static str = TYPE;
    const UNCLOSED: &'static str = "ignoring this rule";
    const BACKSLASH_ENDS: bool = false;
    const ZERO_GROUP: &'static str = "out of range";
    const SECOND_PATTERN: bool = false;

    fn default_flags() -> u32 {
        pcre2_sys::PCRE2_CASELESS | pcre2_sys::PCRE2_DOTALL
    }

    fn flag(flags: &mut u32, letter: u8) -> FlagEffect {
        *flags ^= match letter {
            b'i' => pcre2_sys::PCRE2_CASELESS,
            b'm' => pcre2_sys::PCRE2_MULTILINE,
            b's' => pcre2_sys::PCRE2_DOTALL,
            b'x' => pcre2_sys::PCRE2_EXTENDED,
            b'A' => pcre2_sys::PCRE2_ANCHORED,
            b'E' => pcre2_sys::PCRE2_DOLLAR_ENDONLY,
            b'U' => pcre2_sys::PCRE2_UNGREEDY,
            b'X' => return FlagEffect::Obsolete,
            _ => return FlagEffect::Unknown,
        };
        FlagEffect::Applied
    }

    fn compile(&mut self, text: &[u8], flags: u32) -> Result<(Pattern, u32), String> {
        let code = Code::compile(text, flags).map_err(|failure| {
            format!(
                "error in regex at offset {}: {}",
                failure.offset, failure.text
            )
        })?;
        let group_count = code.group_count();
        let is_plain = flags & pcre2_sys::PCRE2_EXTENDED == 0;
        let pattern = Pattern {
            code,
            group_count,
            outline: is_plain.then(|| outline(text)).flatten(),
        };
        Ok((pattern, group_count))
    }

    fn is_match(pattern: &Pattern, workspace: &mut Workspace, key: &[u8]) -> Result<bool, String> {
        workspace
            .matches(&pattern.code, key)
            .map_err(|failure| failure.text)
    }

    fn groups(
        pattern: &Pattern,
        workspace: &mut Workspace,
        key: &[u8],
        groups: &mut Groups,
    ) -> Result<bool, String> {
        if !Perl::is_match(pattern, workspace, key)? {
            return Ok(false);
        }
        let count = usize::try_from(pattern.group_count).unwrap_or(0);
        groups.clear();
        groups.extend((0..=count).map(|number| {
            let (start, end) = workspace.group(number)?;
            Some(start..end)
        }));
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
