//! An explanation for people.

use serde_json::Value;

use crate::cli::output::{Broken, Output};
use crate::rules::trace::{Outcome, Step};

use super::model::{End, Lookup};

/// Columns are not padded beyond this width.
const PADDED_MAX: usize = 48;

/// Prints `lookups`, with an empty line between them.
pub(super) fn print(lookups: &[Lookup], output: &mut Output) -> Result<(), Broken> {
    for (place, lookup) in lookups.iter().enumerate() {
        if place > 0 {
            output.line(&[])?;
        }
        for line in lines(lookup) {
            output.line(&[line.trim_end().as_bytes()])?;
        }
    }
    Ok(())
}

fn lines(lookup: &Lookup) -> Vec<String> {
    let mut lines = columns(
        lookup
            .asked
            .iter()
            .map(|(name, text)| [name.to_string(), printable(text)]),
        "",
    );
    lines.push(String::new());
    if !lookup.steps.is_empty() {
        steps(&lookup.steps, &mut lines);
        lines.push(String::new());
    }
    match &lookup.end {
        End::Found(fields) => lines.extend(columns(
            fields.iter().flat_map(|(name, value)| rows(name, value)),
            "",
        )),
        End::Nothing(what) => lines.push(format!("not found: {what}")),
        End::Failed(reason) => lines.push(format!("could not tell: {}", printable(reason))),
    }
    for near in &lookup.near {
        let (key, table) = (quoted(&near.key), printable(&near.table));
        let advice = near
            .write
            .as_ref()
            .map(|key| format!("; write {}", quoted(key)));
        let (why, advice) = (&near.why, advice.unwrap_or_default());
        lines.push(format!("near miss: {key} is in {table}, but {why}{advice}"));
    }
    for note in &lookup.notes {
        lines.push(format!("note: {}", printable(note)));
    }
    lines
}

/// A name and its texts, one a line.
fn rows(name: &str, value: &Value) -> Vec<[String; 2]> {
    let text = |value: &Value| match value {
        Value::String(text) => printable(text),
        Value::Null => "(hidden)".to_owned(),
        other => other.to_string(),
    };
    match value {
        Value::Array(values) => {
            let names = std::iter::once(name).chain(std::iter::repeat(""));
            let rows = names.zip(values);
            rows.map(|(name, value)| [name.to_owned(), text(value)])
                .collect()
        }
        value => vec![[name.to_owned(), text(value)]],
    }
}

/// The steps, those of one parameter below its name.
fn steps(steps: &[Step], lines: &mut Vec<String>) {
    let is_together = |one: &Step, next: &Step| match (one, next) {
        (Step::Key { parameter: a, .. }, Step::Key { parameter: b, .. }) => a == b,
        _ => false,
    };
    for run in steps.chunk_by(is_together) {
        let mut rows = Vec::new();
        for step in run {
            match step {
                Step::List {
                    parameter,
                    text,
                    outcome,
                } => lines.push(format!(
                    "{parameter}: {} {}",
                    quoted(text),
                    match outcome {
                        None => "could not be looked for".to_owned(),
                        Some((_, None)) => "is not in the list".to_owned(),
                        Some((true, Some(element))) =>
                            format!("matches {}", quoted(element.as_bytes())),
                        Some((false, Some(element))) =>
                            format!("is excluded by {}", quoted(element.as_bytes())),
                    }
                )),
                Step::Key {
                    parameter,
                    scope,
                    key,
                    answers,
                } => {
                    if rows.is_empty() {
                        lines.push(parameter.clone());
                    }
                    let mut front = [scope.name().to_owned(), text(key)];
                    for (table, outcome) in answers {
                        let [scope, key] = std::mem::take(&mut front);
                        rows.push([scope, key, printable(table), outcome_text(outcome)]);
                    }
                }
            }
        }
        lines.extend(columns(rows.into_iter(), "  "));
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Skipped => "not asked: patterns match whole names".to_owned(),
        Outcome::NotFound => "not found".to_owned(),
        Outcome::Found(None) => "found: (hidden)".to_owned(),
        Outcome::Found(Some(value)) => format!("found: {}", text(value)),
        Outcome::Failed(reason) => format!("failed: {}", printable(reason)),
    }
}

/// Rows with their columns below each other.
fn columns<const N: usize>(rows: impl Iterator<Item = [String; N]>, indent: &str) -> Vec<String> {
    let rows: Vec<[String; N]> = rows.collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(PADDED_MAX);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("{indent}{}", cells.join("  "))
            .trim_end()
            .to_owned()
    };
    rows.iter().map(line).collect()
}

/// `key` between backticks.
fn quoted(key: &[u8]) -> String {
    format!("`{}`", text(key))
}

fn text(bytes: &[u8]) -> String {
    printable(&crate::cli::text::escaped(bytes))
}

/// `text` without anything that a terminal would obey.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(text(b"a\x1b[31m\xff\n"), "a\\u{1b}[31m\\xff\\u{a}");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["a", "b", "c"], ["long", "", "d"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(rows.into_iter(), " "),
            [" a     b  c", " long     d"]
        );
    }
}
