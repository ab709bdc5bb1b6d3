//! Runs cases of lookup rules from standard input, one JSON object per line, and prints what came
//! of each: `{"id", "result", "keys"}`, or `{"id", "error"}` for what cannot be run.
//! The format of cases is in `tests/corpus/lookup/README.md`.
//!
//! ```sh
//! cargo run --example lookup_cases < tests/corpus/lookup/sasl.jsonl
//! ```

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;

use serde_json::{Value, json};

#[path = "../tests/common/lookup_cases.rs"]
mod lookup_cases;

fn main() -> io::Result<()> {
    let top = std::env::temp_dir().join(format!("rpostmap-cases.{}", std::process::id()));
    fs::create_dir(&top)?;
    let done = run_all(&top);
    fs::remove_dir_all(&top)?;
    done
}

fn run_all(top: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let dir = top.join(number.to_string());
        fs::create_dir(&dir)?;
        writeln!(out, "{}", run_line(&line, &dir))?;
        fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn run_line(line: &str, dir: &Path) -> Value {
    let case: Value = match serde_json::from_str(line) {
        Ok(case) => case,
        Err(error) => return json!({"id": null, "error": error.to_string()}),
    };
    match lookup_cases::run(&case, dir) {
        Ok(done) => json!({"id": case["id"], "result": done.result, "keys": done.keys}),
        Err(error) => json!({"id": case["id"], "error": error}),
    }
}
