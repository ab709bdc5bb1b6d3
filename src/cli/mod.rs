//! The command line.
//!
//! | file | job |
//! |---|---|
//! | `getopt` | words to options, as POSIX utilities read them |
//! | `args` | the table of options, and what a command line asks for |
//! | `postmap` | `postmap`: the configuration, and which mode does the work |
//! | `create`, `query`, `change` | the modes |
//! | `input` | keys on standard input |
//! | `verb` | what `rpostmap` does beside being `postmap`: the table of verbs |
//! | `verify`, `dump`, `salvage` | the verbs |
//! | `verify_lmdb`, `salvage_lmdb` | two of them for LMDB files |
//! | `text` | entries as source text |
//! | `report` | messages on standard error, their texts and their exit status |
//! | `output` | answers on standard output |
//!
//! The program goes by the name it is called by. As `postmap` it replaces the original: same
//! messages, same exit status. As `rpostmap` it does the same and says more, and has verbs:
//! `rpostmap verify hash:transport`. A verb is the **first** word, before any option, and has no `/`
//! and no `:`. So a table whose source is called `verify` is named `./verify` or `hash:verify`.

mod args;
mod change;
mod create;
mod dump;
mod getopt;
mod input;
mod output;
mod postmap;
mod query;
mod report;
mod salvage;
mod salvage_lmdb;
mod text;
mod verb;
mod verify;
mod verify_lmdb;

use std::ffi::OsString;
use std::process::ExitCode;

use report::Program;

/// Runs the command with all words of its command line, the program's own name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words = words.into_iter();
    let program = Program::named(&words.next().unwrap_or_else(|| "rpostmap".into()));
    let words: Vec<OsString> = words.collect();
    match words.first().and_then(|word| verb::find(&program, word)) {
        Some(verb) => verb.run(&program, words.into_iter().skip(1).collect()),
        None => postmap::run(program, words),
    }
}
