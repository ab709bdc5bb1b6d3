//! The results of rules, in one piece of memory: one each would be one more place for a lookup to
//! wait for.

use std::borrow::Cow;

use super::index::RuleNo;
use crate::error::Result;
use crate::pattern::rules::not_utf8;

/// The results of rules, in the order of the lines.
pub(super) struct Answers {
    /// All of them, one behind the other.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Whether all are UTF-8.
    is_utf8: bool,
}

impl Answers {
    pub(super) fn new() -> Answers {
        Answers {
            text: Vec::new(),
            ends: Vec::new(),
            is_utf8: true,
        }
    }

    /// The result of the next rule.
    pub(super) fn push(&mut self, result: &[u8]) {
        self.text.extend_from_slice(result);
        self.ends.push(self.text.len());
        self.is_utf8 &= std::str::from_utf8(result).is_ok();
    }

    /// The result of a rule, which is an error if it must be UTF-8 and is not. `None` only for a
    /// number that no rule has.
    pub(super) fn value(&self, rule: RuleNo, utf8: bool) -> Result<Option<Cow<'_, [u8]>>> {
        let Some(value) = self.get(rule) else {
            return Ok(None);
        };
        if utf8 && !self.is_utf8 && std::str::from_utf8(value).is_err() {
            return Err(not_utf8(value.to_vec()));
        }
        Ok(Some(Cow::Borrowed(value)))
    }

    fn get(&self, rule: RuleNo) -> Option<&[u8]> {
        let at = usize::try_from(rule).ok()?;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(at)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_result_that_is_not_utf8_is_an_error() {
        let mut answers = Answers::new();
        for result in [&b"a"[..], b"\xff", b"\xc3", b"\xa4", b"bc"] {
            answers.push(result);
        }
        let value = |rule, utf8| {
            let value = answers.value(rule, utf8).ok()?;
            value.map(Cow::into_owned)
        };
        assert_eq!(value(0, true).unwrap(), b"a");
        assert_eq!(value(4, true).unwrap(), b"bc");
        for rule in 1..4 {
            assert!(answers.value(rule, true).is_err());
        }
        assert_eq!(value(2, false).unwrap(), b"\xc3");
        assert!(answers.value(5, true).unwrap().is_none());
    }
}
