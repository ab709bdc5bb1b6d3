//! Rule files of `regexp:` and `pcre:`: lines to rules, and a key to the answer of the first rule
//! that matches.
//!
//! ```text
//! [!...]/pattern/flags result            regexp: also  /pattern/flags![!...]/pattern/flags result
//! if [!...]/pattern/flags
//! endif
//! ```
//!
//! What is wrong with a line is told in the order and in the words of the original; a rule or an
//! `if` that cannot be used is skipped, the lines below such an `if` are not.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::Read;
use std::ops::Range;

use crate::error::{Error, ErrorKind, Result, masked, with_cause};
use crate::pattern::scope::{Known, ScopeNo, Scopes};
use crate::pattern::substitute::{Flaw, Template};
use crate::pattern::text::{TakeLines, Teller, behind_keyword, read_lines};
use crate::source::file_value::encode_files;
use crate::source::{LineNo, is_blank, trim_start};
use crate::table::options::OpenOptions;

/// Where the groups of a match are in the key; the first one is the whole match.
pub(super) type Groups = Vec<Option<Range<usize>>>;

/// What makes `regexp:` and `pcre:` different.
pub(super) trait Dialect {
    /// What flags a pattern has.
    type Flags: Copy;
    /// A pattern that is ready to be used.
    type Matcher;
    /// What matching needs to write to, for one lookup.
    type Scratch;

    /// The type of table.
    const TYPE: &'static str;
    /// What becomes of a rule whose pattern does not end.
    const UNCLOSED: &'static str;
    /// Whether a backslash that is the last byte of a line ends a pattern, as the delimiter does.
    const BACKSLASH_ENDS: bool;
    /// How the group 0 is refused.
    const ZERO_GROUP: &'static str;
    /// Whether a second pattern may follow, with `!` and no blank before it.
    const SECOND_PATTERN: bool;

    /// The flags of a pattern without any.
    fn default_flags() -> Self::Flags;

    /// Applies a flag.
    fn flag(flags: &mut Self::Flags, letter: u8) -> FlagEffect;

    /// A pattern with the number of its groups; else what is wrong with it.
    fn compile(&mut self, text: &[u8], flags: Self::Flags) -> Result<(Self::Matcher, u32), String>;

    /// Whether the pattern matches somewhere; else why that cannot be told.
    fn is_match(
        matcher: &Self::Matcher,
        scratch: &mut Self::Scratch,
        key: &[u8],
    ) -> Result<bool, String>;

    /// As [`Dialect::is_match`], and where.
    fn groups(
        matcher: &Self::Matcher,
        scratch: &mut Self::Scratch,
        key: &[u8],
        groups: &mut Groups,
    ) -> Result<bool, String>;
}

/// What a flag does.
pub(super) enum FlagEffect {
    Applied,
    /// Nothing any more, with a warning.
    #[cfg_attr(
        not(feature = "pcre"),
        expect(dead_code, reason = "only pcre has such flags")
    )]
    Obsolete,
    Unknown,
}

/// The rules of a table.
#[derive(Debug)]
pub(super) struct Rules<M> {
    rules: Vec<Rule<M>>,
    scopes: Scopes<Pattern<M>>,
}

/// A pattern, or everything it does not match.
#[derive(Debug)]
pub(super) struct Pattern<M> {
    pub(super) matcher: M,
    pub(super) negated: bool,
}

#[derive(Debug)]
pub(super) struct Rule<M> {
    line: LineNo,
    scope: Option<ScopeNo>,
    pub(super) first: Pattern<M>,
    second: Option<Pattern<M>>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Constant(Constant),
    Template(Template),
}

/// A value that is the same for every key.
#[derive(Debug)]
struct Constant {
    value: Vec<u8>,
    is_utf8: bool,
}

impl Constant {
    fn new(value: &[u8]) -> Constant {
        Constant {
            value: value.to_vec(),
            is_utf8: std::str::from_utf8(value).is_ok(),
        }
    }

    /// The value, which is an error if it must be UTF-8 and is not.
    fn value(&self, utf8: bool) -> Result<Cow<'_, [u8]>> {
        if utf8 && !self.is_utf8 {
            return Err(not_utf8(self.value.clone()));
        }
        Ok(Cow::Borrowed(&self.value))
    }
}

pub(super) fn not_utf8(value: Vec<u8>) -> Error {
    Error::new(ErrorKind::InvalidUtf8 {
        value,
        member: None,
    })
}

/// A pattern as it is written.
struct Written<'t, F> {
    negated: bool,
    text: &'t [u8],
    flags: F,
}

impl<M> Rules<M> {
    /// The rules of the table `type_name:name`, or those in `text`. Without
    /// [`OpenOptions::substitution`] those with parts of the key in their results are left out.
    ///
    /// # Errors
    ///
    /// As [`read_lines`].
    pub(super) fn read<D: Dialect<Matcher = M>>(
        dialect: D,
        options: &OpenOptions,
        name: &OsStr,
        text: Option<&mut dyn Read>,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<Self> {
        let rules = Rules {
            rules: Vec::new(),
            scopes: Scopes::new(),
        };
        let mut reading = Reading {
            rules,
            dialect,
            substitution: options.substitution,
            file_values: options.file_values,
        };
        read_lines(D::TYPE, name, text, warn, &mut reading)?;
        Ok(reading.rules)
    }

    /// The rules, in the order of the lines.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Rule<M>> {
        self.rules.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    fn rule<D: Dialect<Matcher = M>>(
        &self,
        dialect: &mut D,
        file_values: bool,
        line: LineNo,
        text: &[u8],
        tell: &mut Teller<'_>,
    ) -> Option<Rule<M>> {
        let mut rest = text;
        let first = written::<D>(line, &mut rest, tell)?;
        let second = match rest {
            [b'!', ..] if D::SECOND_PATTERN => Some(written::<D>(line, &mut rest, tell)?),
            _ => None,
        };
        let mut result = trim_start(rest);
        if result.is_empty() {
            tell.line(line, &[b"no replacement text: using empty string"]);
        }
        let content;
        if file_values {
            content = content_of(line, result, tell)?;
            result = &content;
        }
        let Some(template) = template::<D>(line, result, tell) else {
            tell.line(line, &[b"bad replacement syntax: skipping this rule"]);
            return None;
        };
        if first.negated && template.group_max > 0 {
            let text = b"$number found in negative match replacement text: skipping this rule";
            tell.line(line, &[text]);
            return None;
        }
        let (first, group_count) = compiled(dialect, line, first, tell)?;
        if template.group_max > group_count {
            let text = format!(
                "out of range replacement index \"{}\": skipping this rule",
                template.group_max
            );
            tell.line(line, &[text.as_bytes()]);
            return None;
        }
        let second = match second {
            Some(second) => Some(compiled(dialect, line, second, tell)?.0),
            None => None,
        };
        Some(Rule {
            line,
            scope: self.scopes.current(),
            first,
            second,
            answer: match template.constant() {
                Some(value) => Answer::Constant(Constant::new(value)),
                None => Answer::Template(template),
            },
        })
    }

    /// The answer of the first rule that matches `key`, of those whose places are in `candidates`,
    /// ascending. With `utf8` it must be UTF-8, and other keys are not found. The table is called
    /// `name`.
    pub(super) fn lookup<D: Dialect<Matcher = M>>(
        &self,
        name: &OsStr,
        key: &[u8],
        utf8: bool,
        candidates: impl Iterator<Item = usize>,
        scratch: &mut D::Scratch,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        if utf8 && std::str::from_utf8(key).is_err() {
            return Ok(None);
        }
        let failure = |line: LineNo, reason: &str| {
            let (type_name, name) = (D::TYPE, masked(name));
            let reason = format!("{type_name} map {name}, line {line}: {reason}");
            Error::new(ErrorKind::Lookup { reason })
        };
        let mut known = Known::new(&self.scopes);
        for rule in candidates.filter_map(|at| self.rules.get(at)) {
            let mut holds = |pattern: &Pattern<M>, line| {
                D::is_match(&pattern.matcher, scratch, key)
                    .map(|is_match| is_match != pattern.negated)
                    .map_err(|reason| failure(line, &reason))
            };
            if !known.holds(rule.scope, &mut holds)? {
                continue;
            }
            let template = match &rule.answer {
                Answer::Constant(constant) => {
                    if holds(&rule.first, rule.line)? && rule.second_holds(&mut holds)? {
                        return constant.value(utf8).map(Some);
                    }
                    continue;
                }
                Answer::Template(template) => template,
            };
            let mut groups = Groups::new();
            let is_match = D::groups(&rule.first.matcher, scratch, key, &mut groups)
                .map_err(|reason| failure(rule.line, &reason))?;
            let mut holds = |pattern: &Pattern<M>, line| {
                D::is_match(&pattern.matcher, scratch, key)
                    .map(|is_match| is_match != pattern.negated)
                    .map_err(|reason| failure(line, &reason))
            };
            if is_match && rule.second_holds(&mut holds)? {
                let value = template.expand(key, &groups);
                if utf8 && std::str::from_utf8(&value).is_err() {
                    return Err(not_utf8(value));
                }
                return Ok(Some(Cow::Owned(value)));
            }
        }
        Ok(None)
    }
}

/// Rules while lines are read.
struct Reading<D: Dialect> {
    rules: Rules<D::Matcher>,
    dialect: D,
    substitution: bool,
    file_values: bool,
}

impl<D: Dialect> TakeLines for Reading<D> {
    fn line(&mut self, line: LineNo, text: &[u8], tell: &mut Teller<'_>) {
        let Some(first) = text.first() else {
            return;
        };
        let (rules, dialect) = (&mut self.rules, &mut self.dialect);
        if !first.is_ascii_alphanumeric() {
            let rule = rules.rule(dialect, self.file_values, line, text, tell);
            match rule {
                Some(rule) if rule.substitutes() && !self.substitution => {
                    let text =
                        b"regular expression substitution is not allowed: skipping this rule";
                    tell.line(line, &[text]);
                }
                rule => rules.rules.extend(rule),
            }
        } else if let Some(behind) = behind_keyword(text, b"if") {
            let behind = trim_start(behind);
            if let Some(condition) = condition(dialect, line, behind, tell) {
                rules.scopes.enter(line, condition);
            }
        } else if let Some(behind) = behind_keyword(text, b"endif") {
            if !rules.scopes.leave() {
                tell.line(line, &[b"ignoring ENDIF without matching IF"]);
            } else if !trim_start(behind).is_empty() {
                tell.line(line, &[b"ignoring extra text after ENDIF"]);
            }
        } else {
            tell.line(line, &[b"ignoring unrecognized request"]);
        }
    }

    fn end(&mut self, tell: &mut Teller<'_>) {
        for line in self.rules.scopes.unclosed() {
            tell.line(line, &[b"IF has no matching ENDIF"]);
        }
    }
}

impl<M> Rule<M> {
    /// Whether parts of the key are in the result.
    fn substitutes(&self) -> bool {
        match &self.answer {
            Answer::Constant(_) => false,
            Answer::Template(template) => template.group_max > 0,
        }
    }

    /// Whether the second pattern, if there is one, says what it must.
    fn second_holds(
        &self,
        holds: &mut dyn FnMut(&Pattern<M>, LineNo) -> Result<bool>,
    ) -> Result<bool> {
        match &self.second {
            Some(second) => holds(second, self.line),
            None => Ok(true),
        }
    }
}

/// What the files hold whose names are in a result (`-F`), as base64, in which no part of a key can
/// be asked for. `None` after a warning.
fn content_of(line: LineNo, names: &[u8], tell: &mut Teller<'_>) -> Option<Vec<u8>> {
    encode_files(names)
        .inspect_err(|error| {
            let what = with_cause(error);
            tell.line(line, &[what.as_bytes(), b": skipping this rule"]);
        })
        .ok()
}

/// What stands behind `if`.
fn condition<D: Dialect>(
    dialect: &mut D,
    line: LineNo,
    text: &[u8],
    tell: &mut Teller<'_>,
) -> Option<Pattern<D::Matcher>> {
    let mut rest = text;
    let written = written::<D>(line, &mut rest, tell)?;
    let extra = trim_start(rest);
    if !extra.is_empty() {
        tell.line(
            line,
            &[b"ignoring extra text after IF statement: \"", extra, b"\""],
        );
        tell.line(
            line,
            &[b"do not prepend whitespace to statements between IF and ENDIF"],
        );
    }
    Some(compiled(dialect, line, written, tell)?.0)
}

/// Takes a pattern with its flags off the start of `rest`.
fn written<'t, D: Dialect>(
    line: LineNo,
    rest: &mut &'t [u8],
    tell: &mut Teller<'_>,
) -> Option<Written<'t, D::Flags>> {
    let mut negated = false;
    while let [b'!', behind @ ..] = *rest {
        negated = !negated;
        *rest = trim_start(behind);
    }
    let [delimiter, behind @ ..] = *rest else {
        tell.line(line, &[b"no regexp: skipping this rule"]);
        return None;
    };
    let Some(len) = pattern_len(behind, *delimiter, D::BACKSLASH_ENDS) else {
        let effect = D::UNCLOSED.as_bytes();
        let quoted = [b"\"", [*delimiter].as_slice(), b"\": "].concat();
        tell.line(line, &[b"no closing regexp delimiter ", &quoted, effect]);
        return None;
    };
    let (text, behind) = behind.split_at_checked(len).unwrap_or((behind, &[]));
    *rest = behind.get(1..).unwrap_or_default();
    let mut flags = D::default_flags();
    while let [letter, behind @ ..] = *rest
        && !is_blank(*letter)
        && !(D::SECOND_PATTERN && *letter == b'!')
    {
        let quoted = [b"\"", [*letter].as_slice(), b"\""].concat();
        match D::flag(&mut flags, *letter) {
            FlagEffect::Applied => {}
            FlagEffect::Obsolete => {
                tell.line(line, &[b"ignoring obsolete regexp option ", &quoted]);
            }
            FlagEffect::Unknown => {
                let effect = b": skipping this rule";
                tell.line(line, &[b"unknown regexp option ", &quoted, effect]);
                return None;
            }
        }
        *rest = behind;
    }
    Some(Written {
        negated,
        text,
        flags,
    })
}

/// How many bytes of `text` come before `delimiter`. A backslash protects the byte behind it; one at
/// the end of the text has none, and may end the pattern itself.
fn pattern_len(text: &[u8], delimiter: u8, backslash_ends: bool) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if *byte == delimiter => return Some(at),
            _ => at += 1,
        }
    }
    let ends_in_backslash = at > text.len();
    (backslash_ends && ends_in_backslash).then(|| text.len() - 1)
}

fn template<D: Dialect>(line: LineNo, text: &[u8], tell: &mut Teller<'_>) -> Option<Template> {
    Template::parse(text, &mut |flaw| match flaw {
        Flaw::EmptyName => tell.plain(&[b"empty macro name: \"", text, b"\""]),
        Flaw::Truncated => tell.plain(&[b"truncated macro reference: \"", text, b"\""]),
        Flaw::NotANumber(name) => {
            tell.line(line, &[b"non-numeric replacement index \"", &name, b"\""])
        }
        Flaw::Zero(name) => {
            let start = D::ZERO_GROUP.as_bytes();
            tell.line(line, &[start, b" replacement index \"", &name, b"\""]);
        }
    })
}

fn compiled<D: Dialect>(
    dialect: &mut D,
    line: LineNo,
    written: Written<'_, D::Flags>,
    tell: &mut Teller<'_>,
) -> Option<(Pattern<D::Matcher>, u32)> {
    match dialect.compile(written.text, written.flags) {
        Ok((matcher, group_count)) => {
            let negated = written.negated;
            Some((Pattern { matcher, negated }, group_count))
        }
        Err(text) => {
            tell.line(line, &[text.as_bytes()]);
            None
        }
    }
}
