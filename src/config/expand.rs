//! `$name` and `${..}` in parameter values.
//!
//! | form | yields |
//! |---|---|
//! | `$name`, `${name}`, `$(name)` | the value of `name`, expanded; nothing if there is none |
//! | `${name?text}` | `text` if the value of `name`, not expanded, has a length |
//! | `${name:text}` | `text` if it has not |
//! | `${name?{yes}:{no}}`, `${name?{yes}:no}` | one or the other |
//! | `${{a} == {b} ? {yes} : {no}}` | likewise; without `?` and `:`, `true` or nothing |
//! | `$$` | a dollar sign |
//!
//! The operators are `== != < <= >= >`, on numbers if both sides are all digits, else on bytes;
//! with `level` glued to them (`<=level`), on compatibility levels. Blanks between the parts are
//! skipped, blanks inside braces are text. Text is expanded when it is chosen.
//!
//! A reference ends at the bracket that balances its own, counting only brackets of its kind.
//!
//! The wording of the errors is that of the original, artefacts included: the text before `>>>`
//! is what its parser happens to have at hand. The first error ends the expansion here, while
//! the original goes on for a while and can repeat itself.

use std::cmp::Ordering;

use super::level::{CompatibilityLevel, number};
use crate::find::find;
use crate::source::trim_start;

/// How deep references may nest, in each other's values or in each other's text.
const NESTING_MAX: u32 = 100;
/// How many bytes of text an expansion may go through. Doubling (`a = $b$b`, `b = $c$c`, ..)
/// would otherwise take forever within the nesting limit. It bounds the result as well.
const WORK_MAX: usize = 16 << 20;
/// What an operator is read from: more than there are operators, which matters in errors.
const OPERATOR_BYTES: &[u8] = b"!%&*+-/<=>?|~";
/// How much of the text behind an error is shown, in bytes.
const SHOWN_AFTER_LEN: usize = 20;

/// Why a value cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What the original warns of before it gives up.
    Syntax(Vec<u8>),
    /// All digits, but too large a number to compare.
    Number(Vec<u8>),
}

type Result<T> = std::result::Result<T, Failure>;

/// One expansion; `lookup` gives values as they were written.
struct Expander<F> {
    lookup: F,
    /// How many more bytes may be gone through.
    work: usize,
}

/// Expands `text`.
pub(super) fn expand<'c, F>(text: &[u8], lookup: F) -> Result<Vec<u8>>
where
    F: Fn(&[u8]) -> Option<&'c [u8]>,
{
    let mut expander = Expander {
        lookup,
        work: WORK_MAX,
    };
    let mut result = Vec::new();
    expander.text(text, 0, &mut result)?;
    Ok(result)
}

impl<'c, F: Fn(&[u8]) -> Option<&'c [u8]>> Expander<F> {
    /// Appends the expansion of `text`, found `depth` references deep, to `to`.
    fn text(&mut self, text: &[u8], depth: u32, to: &mut Vec<u8>) -> Result<()> {
        let nesting = |piece: &[u8]| quoting("unreasonable macro call nesting", piece);
        self.work = self
            .work
            .checked_sub(text.len() + 1)
            .ok_or_else(|| nesting(text))?;
        let check = |piece: &[u8]| match depth {
            0..=NESTING_MAX => Ok(()),
            _ => Err(nesting(piece)),
        };
        let mut rest = text;
        let mut literal = Vec::new();
        while let Some((before, behind)) = split_at_byte(rest, b'$') {
            literal.extend_from_slice(before);
            if let Some(behind) = behind.strip_prefix(b"$") {
                literal.push(b'$');
                rest = behind;
                continue;
            }
            if !literal.is_empty() {
                check(&literal)?;
                to.append(&mut literal);
            }
            let body;
            (body, rest) =
                reference(behind).ok_or_else(|| quoting("truncated macro reference", text))?;
            if body.is_empty() {
                return Err(quoting("empty macro name", text));
            }
            check(body)?;
            self.reference(body, depth, to)?;
        }
        literal.extend_from_slice(rest);
        if !literal.is_empty() {
            check(&literal)?;
        }
        to.append(&mut literal);
        Ok(())
    }

    /// Appends what the inside of a `${..}` stands for.
    fn reference(&mut self, body: &[u8], depth: u32, to: &mut Vec<u8>) -> Result<()> {
        let inner = trim_start(body);
        if inner.first() == Some(&b'{') {
            let (truth, rest) = self.comparison(inner, depth)?;
            if rest.is_empty() {
                to.extend_from_slice(if truth { b"true" } else { b"" });
                return Ok(());
            }
            if !matches!(rest.first(), Some(b'?' | b':')) {
                return Err(misplaced("\"?\" or \":\" expected", b"}", rest));
            }
            return self.choice(truth, rest, depth, to);
        }
        let name_len = name_len(inner);
        let (name, behind) = inner.split_at_checked(name_len).unwrap_or((inner, &[]));
        let rest = trim_start(behind);
        let value = (self.lookup)(name).unwrap_or_default();
        match rest.first() {
            None => self.text(value, depth + 1, to),
            Some(b'?' | b':') => self.choice(!value.is_empty(), rest, depth, to),
            Some(_) => {
                let before = body.len() - behind.len();
                let before = body.get(..before).unwrap_or_default();
                Err(misplaced("attribute name syntax error", before, behind))
            }
        }
    }

    /// Appends the alternative for `truth` in `rest`: `?yes`, `:no`, `?{yes}:no`.
    fn choice(&mut self, truth: bool, rest: &[u8], depth: u32, to: &mut Vec<u8>) -> Result<()> {
        let mut rest = rest;
        if let Some(behind) = rest.strip_prefix(b"?") {
            let yes;
            (yes, rest) = alternative(behind)?;
            if truth {
                self.text(yes, depth + 1, to)?;
            }
            if rest.is_empty() {
                return Ok(());
            }
            if rest.first() != Some(&b':') {
                return Err(misplaced("\":\" expected", &closed(yes), rest));
            }
        }
        if let Some(behind) = rest.strip_prefix(b":") {
            let no;
            (no, rest) = alternative(behind)?;
            if !truth {
                self.text(no, depth + 1, to)?;
            }
            if !rest.is_empty() {
                return Err(misplaced("unexpected input", &closed(no), rest));
            }
        }
        Ok(())
    }

    /// The outcome of `{a} <op> {b}` at the start of `text`, and what follows it.
    fn comparison<'t>(&mut self, text: &'t [u8], depth: u32) -> Result<(bool, &'t [u8])> {
        let (left, rest) = braced(text)?;
        let rest = trim_start(rest);
        let operator_len = run(rest, |b| OPERATOR_BYTES.contains(&b));
        let (operator, behind) = rest.split_at_checked(operator_len).unwrap_or((rest, &[]));
        let Some(accepts) = accepted_by(operator) else {
            return Err(misplaced(
                "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected",
                &closed(left),
                rest,
            ));
        };
        let suffix_len = run(behind, |b| b.is_ascii_alphanumeric());
        let (suffix, behind) = behind.split_at_checked(suffix_len).unwrap_or((behind, &[]));
        let levels = match suffix {
            b"" => false,
            b"level" => true,
            _ => {
                return Err(Failure::Syntax(
                    [
                        b"bad operator suffix at: \"...",
                        operator,
                        b">>>",
                        suffix,
                        b"\"",
                    ]
                    .concat(),
                ));
            }
        };
        let right = trim_start(behind);
        if right.first() != Some(&b'{') {
            let before = [b"{", left, b"} ", operator].concat();
            return Err(misplaced("\"{expression}\" expected", &before, behind));
        }
        let (right, rest) = braced(right)?;
        let mut expanded = [Vec::new(), Vec::new()];
        for (side, to) in [left, right].into_iter().zip(&mut expanded) {
            self.text(side, depth + 1, to)?;
        }
        let [left, right] = &expanded;
        let ordering = if levels {
            level(left)?.cmp(&level(right)?)
        } else {
            compare(left, right)?
        };
        Ok((accepts.contains(&ordering), trim_start(rest)))
    }
}

/// The orderings of left and right for which `operator` is true.
fn accepted_by(operator: &[u8]) -> Option<&'static [Ordering]> {
    use Ordering::{Equal, Greater, Less};
    Some(match operator {
        b"==" => &[Equal],
        b"!=" => &[Less, Greater],
        b"<" => &[Less],
        b"<=" => &[Less, Equal],
        b">=" => &[Greater, Equal],
        b">" => &[Greater],
        _ => return None,
    })
}

fn compare(left: &[u8], right: &[u8]) -> Result<Ordering> {
    let numeric = |side: &[u8]| !side.is_empty() && side.iter().all(u8::is_ascii_digit);
    if !numeric(left) || !numeric(right) {
        return Ok(left.cmp(right));
    }
    let number = |side: &[u8]| number(side).ok_or_else(|| Failure::Number(side.to_vec()));
    Ok(number(left)?.cmp(&number(right)?))
}

fn level(text: &[u8]) -> Result<CompatibilityLevel> {
    CompatibilityLevel::parse(text)
        .ok_or_else(|| quoting("malformed compatibility level syntax", text))
}

/// Splits what follows a `$` into the reference's inside and the rest. `None`: no end.
fn reference(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text.first() {
        Some(b'{') => balanced(text, b'{', b'}'),
        Some(b'(') => balanced(text, b'(', b')'),
        _ => text.split_at_checked(name_len(text)),
    }
}

/// Splits off one alternative: `{text}` and blanks, or everything.
fn alternative(text: &[u8]) -> Result<(&[u8], &[u8])> {
    let inner = trim_start(text);
    if inner.first() != Some(&b'{') {
        return Ok((text, &[]));
    }
    let (inside, rest) = braced(inner)?;
    Ok((inside, trim_start(rest)))
}

fn braced(text: &[u8]) -> Result<(&[u8], &[u8])> {
    balanced(text, b'{', b'}').ok_or_else(|| quoting("unbalanced {} in attribute expression", text))
}

/// The inside of the bracket that `text` starts with, and what follows its end.
fn balanced(text: &[u8], open: u8, close: u8) -> Option<(&[u8], &[u8])> {
    let mut depth = 0_usize;
    for (at, &byte) in text.iter().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some((text.get(1..at)?, text.get(at + 1..)?));
            }
        }
    }
    None
}

fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = find(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn name_len(text: &[u8]) -> usize {
    run(text, |b| b.is_ascii_alphanumeric() || b == b'_')
}

fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|&&b| belongs(b)).count()
}

fn closed(inside: &[u8]) -> Vec<u8> {
    [inside, b"}"].concat()
}

fn quoting(what: &str, text: &[u8]) -> Failure {
    Failure::Syntax([what.as_bytes(), b": \"", text, b"\""].concat())
}

fn misplaced(what: &str, before: &[u8], after: &[u8]) -> Failure {
    let after = after.get(..SHOWN_AFTER_LEN).unwrap_or(after);
    Failure::Syntax([what.as_bytes(), b" at: \"...", before, b">>>", after, b"\""].concat())
}

#[cfg(test)]
mod tests;
