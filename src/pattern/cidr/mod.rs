//! `cidr:` tables: networks and addresses.
//!
//! | file | job |
//! |---|---|
//! | `network` | addresses, networks, and what is wrong with them |
//! | `index` | which networks an address is in |
//! | `answers` | the results of rules |
//!
//! ```text
//! [!...]network result
//! if [!...]network
//! endif
//! ```
//!
//! A network applies to addresses of its own family, also when it is negated.

mod answers;
mod index;
mod network;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::net::IpAddr;

use self::answers::Answers;
use self::index::{Entry, Index, RuleNo};
use self::network::{AnyNetwork, parse_address};
use crate::error::{Result, masked, with_cause};
use crate::pattern::scope::{Known, ScopeNo, Scopes};
use crate::pattern::text::{TakeLines, Teller, behind_keyword, read_lines};
use crate::source::file_value::encode_files;
use crate::source::{LineNo, is_blank, trim_start};
use crate::table::options::OpenOptions;
use crate::table::traits::Table;

const TYPE: &str = "cidr";

/// A table of networks.
pub struct CidrTable {
    name: OsString,
    utf8: bool,
    rules: Vec<Rule>,
    answers: Answers,
    scopes: Scopes<Pattern>,
    v4: Index<u32>,
    v6: Index<u128>,
    /// The rules that apply to what is not in their network, ascending.
    negated: Vec<RuleNo>,
}

/// A network, or all addresses of its family that are not in it.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    network: AnyNetwork,
    negated: bool,
}

impl Pattern {
    fn holds(&self, address: IpAddr) -> bool {
        self.network
            .contains(address)
            .is_some_and(|is_in| is_in != self.negated)
    }
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    scope: Option<ScopeNo>,
}

impl CidrTable {
    /// Opens the table `cidr:name`: a file, or `{{rule}, {rule}}`. `warn` hears what is wrong with
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
    ) -> Result<CidrTable> {
        CidrTable::read(name, options, warn, None)
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
    ) -> Result<CidrTable> {
        CidrTable::read(name, options, warn, Some(&mut text))
    }

    fn read(
        name: &OsStr,
        options: &OpenOptions,
        warn: &mut dyn FnMut(Vec<u8>),
        text: Option<&mut dyn Read>,
    ) -> Result<CidrTable> {
        let mut reading = Reading {
            rules: Vec::new(),
            answers: Answers::new(),
            scopes: Scopes::new(),
            file_values: options.file_values,
        };
        read_lines(TYPE, name, text, warn, &mut reading)?;
        let Reading {
            rules,
            answers,
            scopes,
            ..
        } = reading;
        let (mut v4, mut v6, mut negated) = (Vec::new(), Vec::new(), Vec::new());
        for (rule, number) in rules.iter().zip(0..) {
            let is_conditional = rule.scope.is_some();
            match rule.pattern.network {
                _ if rule.pattern.negated => negated.push(number),
                AnyNetwork::V4(network) => v4.push(Entry {
                    network,
                    rule: number,
                    is_conditional,
                }),
                AnyNetwork::V6(network) => v6.push(Entry {
                    network,
                    rule: number,
                    is_conditional,
                }),
            }
        }
        Ok(CidrTable {
            name: name.to_owned(),
            utf8: options.utf8,
            v4: Index::new(v4),
            v6: Index::new(v6),
            rules,
            answers,
            scopes,
            negated,
        })
    }

    fn rule(&self, number: RuleNo) -> Option<&Rule> {
        self.rules.get(usize::try_from(number).ok()?)
    }

    /// The first rule for `address`.
    fn find(&self, address: IpAddr) -> Option<RuleNo> {
        let mut conditional = Vec::new();
        let mut first = match address {
            IpAddr::V4(address) => self.v4.find(address.to_bits(), &mut conditional),
            IpAddr::V6(address) => self.v6.find(address.to_bits(), &mut conditional),
        };
        if !conditional.is_empty() || !self.negated.is_empty() {
            let mut known = Known::new(&self.scopes);
            let mut is_asked = |number: &&RuleNo| {
                let scope = self.rule(**number).and_then(|rule| rule.scope);
                let ask = |pattern: &Pattern, _| Ok::<_, ()>(pattern.holds(address));
                known.holds(scope, ask) == Ok(true)
            };
            // Those in `conditional` come before `first`.
            first = conditional.iter().find(&mut is_asked).copied().or(first);
            let before = first.unwrap_or(RuleNo::MAX);
            first = self
                .negated
                .iter()
                .take_while(|number| **number < before)
                .filter(|number| {
                    self.rule(**number)
                        .is_some_and(|rule| rule.pattern.holds(address))
                })
                .find(&mut is_asked)
                .copied()
                .or(first);
        }
        first
    }

    /// As [`Table::lookup`], asking every rule: what the index must not change.
    ///
    /// # Errors
    ///
    /// As [`Table::lookup`].
    pub fn lookup_by_scan(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let Some(address) = parse_address(key) else {
            return Ok(None);
        };
        let mut known = Known::new(&self.scopes);
        let mut rules = self.rules.iter().zip(0..);
        let found = rules.find(|(rule, _)| {
            let ask = |pattern: &Pattern, _| Ok::<_, ()>(pattern.holds(address));
            known.holds(rule.scope, ask) == Ok(true) && rule.pattern.holds(address)
        });
        match found {
            Some((_, number)) => self.answers.value(number, self.utf8),
            None => Ok(None),
        }
    }
}

impl Table for CidrTable {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let Some(address) = parse_address(key) else {
            return Ok(None);
        };
        match self.find(address) {
            Some(number) => self.answers.value(number, self.utf8),
            None => Ok(None),
        }
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn title(&self) -> String {
        format!("{TYPE}:{}", masked(&self.name))
    }
}

/// A table while its lines are read.
struct Reading {
    rules: Vec<Rule>,
    answers: Answers,
    scopes: Scopes<Pattern>,
    file_values: bool,
}

impl TakeLines for Reading {
    fn line(&mut self, line: LineNo, text: &[u8], tell: &mut Teller<'_>) {
        if let Err(flaw) = self.take(line, text) {
            tell.line(line, &[&flaw, b": skipping this rule"]);
        }
    }

    fn end(&mut self, tell: &mut Teller<'_>) {
        for line in self.scopes.unclosed() {
            tell.line(line, &[b"IF has no matching ENDIF"]);
        }
    }
}

impl Reading {
    /// Takes a line; else says what is wrong with it.
    fn take(&mut self, line: LineNo, text: &[u8]) -> Result<(), Vec<u8>> {
        if let Some(behind) = behind_keyword(text, b"if") {
            let (negated, network) = without_marks(trim_start(behind));
            let pattern = pattern(negated, network)?;
            self.scopes.enter(line, pattern);
            return Ok(());
        }
        if let Some(behind) = behind_keyword(text, b"endif") {
            if !behind.is_empty() {
                return Err(b"garbage after ENDIF".to_vec());
            }
            return match self.scopes.leave() {
                true => Ok(()),
                false => Err(b"ENDIF without IF".to_vec()),
            };
        }
        let (negated, text) = without_marks(text);
        let len = text.iter().take_while(|byte| !is_blank(**byte)).count();
        let (network, result) = text.split_at_checked(len).unwrap_or((text, &[]));
        let pattern = pattern(negated, network)?;
        let result = trim_start(result);
        if result.is_empty() {
            return Err(b"no lookup result".to_vec());
        }
        let answer = match self.file_values {
            true => encode_files(result).map_err(|error| with_cause(&error).into_bytes())?,
            false => result.to_vec(),
        };
        self.rules.push(Rule {
            pattern,
            scope: self.scopes.current(),
        });
        self.answers.push(&answer);
        Ok(())
    }
}

/// Whether an odd number of `!` stands before the text, and the text.
fn without_marks(mut text: &[u8]) -> (bool, &[u8]) {
    let mut negated = false;
    while let [b'!', behind @ ..] = text {
        negated = !negated;
        text = trim_start(behind);
    }
    (negated, text)
}

fn pattern(negated: bool, network: &[u8]) -> Result<Pattern, Vec<u8>> {
    if network.is_empty() {
        return Err(b"no address pattern".to_vec());
    }
    let network = AnyNetwork::parse(network)?;
    Ok(Pattern { network, negated })
}

#[cfg(test)]
mod tests;
