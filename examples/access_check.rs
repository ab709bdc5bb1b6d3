//! What an access table says: `cargo run --example access_check -- texthash:examples/access
//! client mail.example.com 192.0.2.1`, or `sender ADDRESS`, or `recipient ADDRESS`.
//!
//! Prints the action, and before it each key that was looked up.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use rpostmap::config::Config;
use rpostmap::rules::access::{AccessRules, AccessTable, Action};
use rpostmap::rules::address::Internal;
use rpostmap::rules::setup::Setup;
use rpostmap::rules::trace::{Recorder, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [table, question @ ..] = args.as_slice() else {
        return Err(USAGE.into());
    };
    run(table, question, &mut io::stdout().lock())
}

const USAGE: &str =
    "usage: access_check TABLE (client NAME ADDRESS | sender ADDRESS | recipient ADDRESS)";

/// Prints what the table `spec` says to `question`.
pub(crate) fn run(
    spec: &str,
    question: &[&str],
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    // A server would read main.cf: `Config::load`.
    let config = Config::default();
    let mut warn = |text: Vec<u8>| drop(writeln!(io::stderr(), "{}", text.escape_ascii()));
    let mut setup = Setup::new(&config, &mut warn)?;
    let rules = Arc::new(AccessRules::open(&mut setup)?);
    let table = AccessTable::open("access", spec.as_bytes(), rules, &mut setup);

    let mut trace = Recorder::default();
    let found = match *question {
        ["client", name, address] => table.client(name.as_bytes(), address.as_bytes(), &mut trace),
        ["sender", address] => table.sender(&Internal::from(address), &mut trace),
        ["recipient", address] => table.recipient(&Internal::from(address), &mut trace),
        _ => return Err(USAGE.into()),
    };
    for step in trace.steps() {
        if let Step::Key { key, .. } = step {
            writeln!(out, "key {}", key.escape_ascii())?;
        }
    }
    match found {
        Ok(Some(value)) => {
            let action = Action::parse(&value);
            writeln!(out, "{:?}: {}", action.kind, value.escape_ascii())?;
        }
        Ok(None) => writeln!(out, "nothing: the next restriction decides")?,
        // Never "nothing": what the table would have said is not known.
        Err(error) => writeln!(out, "451 {error}")?,
    }
    Ok(())
}
