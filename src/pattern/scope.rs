//! `if` and `endif`: which rules are asked for a key.

use crate::source::LineNo;

/// The number of an `if`, from 0 in the order of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScopeNo(usize);

/// The conditions of a table. A rule knows the innermost it stands below.
#[derive(Debug)]
pub(super) struct Scopes<C> {
    conditions: Vec<Condition<C>>,
    /// Those that are not closed yet, while lines are read.
    open: Vec<ScopeNo>,
}

#[derive(Debug)]
struct Condition<C> {
    line: LineNo,
    parent: Option<ScopeNo>,
    condition: C,
}

impl<C> Scopes<C> {
    pub(super) fn new() -> Self {
        Scopes {
            conditions: Vec::new(),
            open: Vec::new(),
        }
    }

    /// An `if`.
    pub(super) fn enter(&mut self, line: LineNo, condition: C) {
        let parent = self.current();
        self.open.push(ScopeNo(self.conditions.len()));
        self.conditions.push(Condition {
            line,
            parent,
            condition,
        });
    }

    /// An `endif`; `false` without an `if`.
    pub(super) fn leave(&mut self) -> bool {
        self.open.pop().is_some()
    }

    /// The innermost `if` that is open.
    pub(super) fn current(&self) -> Option<ScopeNo> {
        self.open.last().copied()
    }

    /// At the end: the lines of those that are still open, innermost first. They reach to the end.
    pub(super) fn unclosed(&self) -> impl Iterator<Item = LineNo> + '_ {
        let lines = self.open.iter().rev();
        lines.filter_map(|number| Some(self.conditions.get(number.0)?.line))
    }
}

/// What is known of the conditions for one key: each is asked at most once.
pub(super) struct Known<'s, C> {
    scopes: &'s Scopes<C>,
    holds: Vec<Option<bool>>,
}

impl<'s, C> Known<'s, C> {
    pub(super) fn new(scopes: &'s Scopes<C>) -> Self {
        Known {
            scopes,
            // Allocates nothing without conditions.
            holds: vec![None; scopes.conditions.len()],
        }
    }

    /// Whether all conditions hold that `scope` stands for: its own and those around it, which are
    /// asked first.
    pub(super) fn holds<E>(
        &mut self,
        scope: Option<ScopeNo>,
        mut ask: impl FnMut(&C, LineNo) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let mut unknown = Vec::new();
        let mut next = scope;
        let mut outer = true;
        while let Some(number) = next {
            if let Some(Some(known)) = self.holds.get(number.0) {
                outer = *known;
                break;
            }
            let Some(condition) = self.scopes.conditions.get(number.0) else {
                break;
            };
            unknown.push((number, condition));
            next = condition.parent;
        }
        for (number, condition) in unknown.into_iter().rev() {
            outer = outer && ask(&condition.condition, condition.line)?;
            if let Some(holds) = self.holds.get_mut(number.0) {
                *holds = Some(outer);
            }
        }
        Ok(outer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_once_and_only_below_one_that_holds() {
        let mut scopes = Scopes::new();
        scopes.enter(LineNo(1), "yes");
        let outer = scopes.current();
        scopes.enter(LineNo(2), "no");
        let middle = scopes.current();
        scopes.enter(LineNo(3), "never");
        let inner = scopes.current();
        let unclosed: Vec<u64> = scopes.unclosed().map(|line| line.0).collect();
        assert_eq!(unclosed, [3, 2, 1]);
        assert!(scopes.leave() && scopes.leave() && scopes.leave() && !scopes.leave());

        let mut asked = Vec::new();
        let mut known = Known::new(&scopes);
        for (scope, expect) in [
            (None, true),
            (inner, false),
            (middle, false),
            (outer, true),
            (inner, false),
        ] {
            let holds = known.holds(scope, |condition, line| {
                asked.push(line.0);
                Ok::<_, ()>(*condition == "yes")
            });
            assert_eq!(holds, Ok(expect));
        }
        assert_eq!(asked, [1, 2]);
    }
}
