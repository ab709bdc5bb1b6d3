//! What an explanation holds, however it is printed.

use serde_json::Value;

use crate::cli::text::escaped;
use crate::error::{Error, with_cause};
use crate::rules::address::Internal;
use crate::rules::trace::{Outcome, Recorder, Step};

use super::near::NearMiss;

/// One lookup by the rules of one feature.
pub(super) struct Lookup {
    /// What was asked: names and texts.
    pub(super) asked: Vec<(&'static str, String)>,
    /// The keys, in order, and the lists that were consulted.
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
    /// Keys that are there but do not count.
    pub(super) near: Vec<NearMiss>,
    /// What else one should know.
    pub(super) notes: Vec<String>,
}

/// What came of a lookup.
pub(super) enum End {
    /// Names, and a text or a list of texts for each.
    Found(Vec<(&'static str, Value)>),
    /// Nothing, and what follows from that.
    Nothing(String),
    /// It could not be told, and why.
    Failed(String),
}

impl Lookup {
    /// A lookup that left `trace` and ended with `end`.
    pub(super) fn new(
        asked: Vec<(&'static str, String)>,
        trace: &Recorder,
        end: Result<Option<Vec<(&'static str, Value)>>, Error>,
        nothing: &str,
    ) -> Lookup {
        Lookup {
            asked,
            steps: trace.steps().to_vec(),
            end: match end {
                Ok(Some(fields)) => End::Found(fields),
                Ok(None) => End::Nothing(nothing.to_owned()),
                Err(error) => End::Failed(with_cause(&error)),
            },
            near: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The parameters whose tables were asked and had nothing, in order.
    pub(super) fn missed(&self) -> Vec<String> {
        let mut missed: Vec<(String, bool)> = Vec::new();
        for step in &self.steps {
            let Step::Key {
                parameter, answers, ..
            } = step
            else {
                continue;
            };
            let has_ended = answers
                .iter()
                .any(|(_, outcome)| matches!(outcome, Outcome::Found(_) | Outcome::Failed(_)));
            match missed.iter_mut().find(|(known, _)| known == parameter) {
                Some((_, ended)) => *ended |= has_ended,
                None => missed.push((parameter.clone(), has_ended)),
            }
        }
        let missed = missed.into_iter().filter(|(_, ended)| !ended);
        missed.map(|(parameter, _)| parameter).collect()
    }

    /// Whether the tables of `parameter` were asked for anything.
    pub(super) fn asks(&self, parameter: &str) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Key { parameter: of, .. } if of == parameter))
    }

    /// Says of a parameter without tables that it is empty.
    pub(super) fn note_empty(&mut self, parameter: &str, value: &[u8]) {
        if value.is_empty() {
            self.notes.push(format!("{parameter} is empty"));
        }
    }
}

/// An address as it is written in tables and messages; `<>` for the null address.
pub(super) fn address_text(address: &Internal<'_>) -> String {
    match address.is_null() {
        true => "<>".to_owned(),
        false => escaped(address.quote().as_bytes()),
    }
}

/// Addresses as a list of texts.
pub(super) fn address_list(addresses: &[Internal<'_>]) -> Value {
    let texts = addresses.iter().map(|address| address_text(address).into());
    Value::Array(texts.collect())
}
