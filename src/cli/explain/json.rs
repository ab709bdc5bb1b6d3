//! An explanation for programs: one object.
//!
//! ```json
//! {"word": "sasl", "found": true, "lookups": [{
//!   "asked": {"destination": "[gw.example.org]:587"},
//!   "steps": [{"parameter": "smtp_sasl_password_maps", "scope": "all", "key": "gw.example.org",
//!              "answers": [{"table": "hash:sasl", "outcome": "found", "value": null}]}],
//!   "outcome": "found", "result": {"username": "ann", "password": null}, "reason": null,
//!   "near_misses": [], "notes": []}]}
//! ```

use serde_json::{Map, Value, json};

use crate::cli::output::{Broken, Output};
use crate::cli::text::escaped;
use crate::rules::trace::{Outcome, Step};

use super::model::{End, Lookup};

/// Prints the explanation of `word`.
pub(super) fn print(word: &str, lookups: &[Lookup], output: &mut Output) -> Result<(), Broken> {
    let found = lookups
        .iter()
        .any(|lookup| matches!(lookup.end, End::Found(_)));
    let lookups: Vec<Value> = lookups.iter().map(lookup_object).collect();
    let object = json!({"word": word, "found": found, "lookups": lookups});
    output.line(&[object.to_string().as_bytes()])
}

fn lookup_object(lookup: &Lookup) -> Value {
    let asked = lookup.asked.iter();
    let asked: Map<String, Value> = asked
        .map(|(name, text)| (name.to_string(), text.as_str().into()))
        .collect();
    let (outcome, result, reason) = match &lookup.end {
        End::Found(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.to_string(), value.clone()));
            ("found", Value::Object(fields.collect()), Value::Null)
        }
        End::Nothing(what) => ("not found", Value::Null, what.as_str().into()),
        End::Failed(reason) => ("failed", Value::Null, reason.as_str().into()),
    };
    let near = lookup.near.iter().map(|near| {
        json!({
            "table": near.table,
            "key": escaped(&near.key),
            "why": near.why,
            "write": near.write.as_deref().map(escaped),
        })
    });
    json!({
        "asked": asked,
        "steps": lookup.steps.iter().map(step_object).collect::<Vec<Value>>(),
        "outcome": outcome,
        "result": result,
        "reason": reason,
        "near_misses": near.collect::<Vec<Value>>(),
        "notes": lookup.notes,
    })
}

fn step_object(step: &Step) -> Value {
    match step {
        Step::Key {
            parameter,
            scope,
            key,
            answers,
        } => {
            let answers = answers.iter().map(|(table, outcome)| {
                let (outcome, value) = match outcome {
                    Outcome::Skipped => ("skipped", None),
                    Outcome::NotFound => ("not found", None),
                    Outcome::Found(value) => ("found", value.as_deref().map(escaped)),
                    Outcome::Failed(reason) => ("failed", Some(reason.clone())),
                };
                json!({"table": table, "outcome": outcome, "value": value})
            });
            json!({
                "parameter": parameter,
                "scope": scope.name(),
                "key": escaped(key),
                "answers": answers.collect::<Vec<Value>>(),
            })
        }
        Step::List {
            parameter,
            text,
            outcome,
        } => json!({
            "parameter": parameter,
            "text": escaped(text),
            "matches": outcome.as_ref().map(|(matches, _)| *matches),
            "element": outcome.as_ref().and_then(|(_, element)| element.as_deref()),
        }),
    }
}
