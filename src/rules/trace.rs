//! Which keys were looked up, where, and what came of it.
//!
//! Every lookup of this module tells a [`Trace`] what it does, with borrowed text only: with
//! [`NoTrace`] nothing is allocated and nothing is kept. [`Recorder`] keeps it all, to be printed or
//! compared.

use crate::error::Error;

/// Which tables of a list are asked for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every table.
    All,
    /// Tables with fixed-string keys only: the key is a part of an address or name, and patterns are
    /// matched with whole ones.
    Fixed,
}

impl Scope {
    /// `all` or `fixed`.
    pub fn name(self) -> &'static str {
        match self {
            Scope::All => "all",
            Scope::Fixed => "fixed",
        }
    }
}

/// What a table had to say to a key.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// Not asked: keys of [`Scope::Fixed`] are not for tables of patterns.
    Skipped,
    /// Asked, without result.
    NotFound,
    /// The value; `None` when it is a secret.
    Found(Option<&'a [u8]>),
    /// It could not tell.
    Failed(&'a Error),
}

/// Hears of each step of a search. All methods do nothing unless written.
pub trait Trace {
    /// `key` is now looked up in the tables of `parameter`. The key is shown before case folding.
    fn key(&mut self, parameter: &str, scope: Scope, key: &[u8]) {
        let _ = (parameter, scope, key);
    }

    /// What the table `table` (`type:name`) said to the key announced last.
    fn answer(&mut self, table: &str, answer: Answer<'_>) {
        let _ = (table, answer);
    }

    /// `text` is now compared with the elements of the match list `parameter`.
    fn list(&mut self, parameter: &str, text: &[u8]) {
        let _ = (parameter, text);
    }

    /// What came of the match that was announced last: `Some(element)` decided, the element as it
    /// was written. `None` when no element matched.
    fn decided(&mut self, matches: bool, element: Option<&str>) {
        let _ = (matches, element);
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {}

/// One step that a [`Recorder`] has kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key and what the tables said, in the order they were asked.
    Key {
        /// The parameter that lists the tables.
        parameter: String,
        /// Which of them were asked.
        scope: Scope,
        /// The key before case folding.
        key: Vec<u8>,
        /// `type:name` of each table and its answer.
        answers: Vec<(String, Outcome)>,
    },
    /// A match of a text with a list.
    List {
        /// The parameter that holds the list.
        parameter: String,
        /// The text that was searched for.
        text: Vec<u8>,
        /// Whether it matches, and the element that decided. `None` when it could not be told.
        outcome: Option<(bool, Option<String>)>,
    },
}

/// An [`Answer`] that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not asked.
    Skipped,
    /// Asked, without result.
    NotFound,
    /// The value; `None` when it is a secret.
    Found(Option<Vec<u8>>),
    /// It could not tell; the text of the error.
    Failed(String),
}

/// Keeps every step.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    steps: Vec<Step>,
}

impl Recorder {
    /// What was done so far, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The keys looked up in the tables of `parameter`, in order.
    pub fn keys(&self, parameter: &str) -> Vec<(Scope, &[u8])> {
        let of_parameter =
            |step: &'_ Step| matches!(step, Step::Key { parameter: of, .. } if of == parameter);
        self.steps
            .iter()
            .filter(|step| of_parameter(step))
            .filter_map(|step| match step {
                Step::Key { scope, key, .. } => Some((*scope, key.as_slice())),
                Step::List { .. } => None,
            })
            .collect()
    }
}

impl Trace for Recorder {
    fn key(&mut self, parameter: &str, scope: Scope, key: &[u8]) {
        self.steps.push(Step::Key {
            parameter: parameter.to_owned(),
            scope,
            key: key.to_vec(),
            answers: Vec::new(),
        });
    }

    fn answer(&mut self, table: &str, answer: Answer<'_>) {
        let outcome = match answer {
            Answer::Skipped => Outcome::Skipped,
            Answer::NotFound => Outcome::NotFound,
            Answer::Found(value) => Outcome::Found(value.map(<[u8]>::to_vec)),
            Answer::Failed(error) => Outcome::Failed(error.to_string()),
        };
        // A list with tables in it announces no keys, so its answers are not kept.
        if let Some(Step::Key { answers, .. }) = self.steps.last_mut() {
            answers.push((table.to_owned(), outcome));
        }
    }

    fn list(&mut self, parameter: &str, text: &[u8]) {
        self.steps.push(Step::List {
            parameter: parameter.to_owned(),
            text: text.to_vec(),
            outcome: None,
        });
    }

    fn decided(&mut self, matches: bool, element: Option<&str>) {
        if let Some(Step::List { outcome, .. }) = self.steps.last_mut() {
            *outcome = Some((matches, element.map(str::to_owned)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_keeps_keys_per_parameter_in_order() {
        let mut trace = Recorder::default();
        trace.key("a", Scope::All, b"1");
        trace.answer("hash:x", Answer::NotFound);
        trace.answer("regexp:y", Answer::Found(None));
        trace.list("l", b"text");
        trace.decided(true, Some("te"));
        trace.key("b", Scope::All, b"2");
        trace.key("a", Scope::Fixed, b"3");
        assert_eq!(
            trace.keys("a"),
            [(Scope::All, b"1".as_slice()), (Scope::Fixed, b"3")]
        );
        let Step::Key { answers, .. } = &trace.steps()[0] else {
            panic!("{:?}", trace.steps());
        };
        assert_eq!(answers[1].1, Outcome::Found(None));
        let Step::List { outcome, .. } = &trace.steps()[1] else {
            panic!("{:?}", trace.steps());
        };
        assert_eq!(*outcome, Some((true, Some("te".to_owned()))));
    }
}
