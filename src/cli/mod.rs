//! The command line.
//!
//! | file | job |
//! |---|---|
//! | `getopt` | words to options, as POSIX utilities read them |
//! | `args` | the table of options, and what a command line asks for |
//! | `postmap` | `postmap` and `postalias`: which mode does the work |
//! | `postalias` | what `postalias` has of its own: the source and its usage |
//! | `newaliases` | `newaliases`: the options of sendmail, then `postalias` |
//! | `settings` | the configuration |
//! | `migration` | other types in the place of `hash` and `btree` |
//! | `create`, `query`, `change` | the modes |
//! | `progress` | how far a long run is, on a terminal |
//! | `input` | keys on standard input |
//! | `stream` | a source on standard input |
//! | `message` | a message on standard input |
//! | `verb` | what `rpostmap` does beside being `postmap`: the table of verbs |
//! | `verify`, `dump`, `salvage`, `explain` | the verbs |
//! | `verify_lmdb`, `salvage_lmdb` | two of them for LMDB files |
//! | `verify_cdb`, `salvage_cdb` | the same for cdb tables |
//! | `salvage_text` | where all three `salvage` write to |
//! | `text` | entries as source text |
//! | `report` | messages on standard error, their texts and their exit status |
//! | `output` | answers on standard output |
//!
//! The program goes by the name it is called by. As `postmap`, `postalias` and `newaliases` it
//! replaces the originals: same messages, same exit status. By any other name it does what
//! `postmap` does and says more, and has verbs: `rpostmap verify hash:transport`. A verb is the
//! **first** word, before any option, and has no `/` and no `:`. So a table whose source is called
//! `verify` is named `./verify` or `hash:verify`.
//!
//! The names of the originals are verbs too, for systems without the links: `rpostmap postalias
//! hash:aliases` is `postalias hash:aliases`, down to the name in its messages.

mod args;
mod change;
mod create;
mod dump;
mod explain;
mod getopt;
mod input;
mod message;
mod migration;
mod newaliases;
mod output;
mod postalias;
mod postmap;
mod progress;
mod query;
mod report;
mod salvage;
mod salvage_cdb;
mod salvage_lmdb;
mod salvage_text;
mod settings;
mod stream;
mod text;
mod verb;
mod verify;
mod verify_cdb;
mod verify_lmdb;

use std::ffi::OsString;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

use report::{Personality, Program};

/// Runs the command with all words of its command line, the program's own name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Files come out the same whoever makes them.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let mut words: Vec<OsString> = words.into_iter().collect();
    let word = match words.is_empty() {
        true => "rpostmap".into(),
        false => words.remove(0),
    };
    let mut program = Program::named(&word);
    if let Some(verb) = words.first().and_then(|word| verb::find(&program, word)) {
        return verb.run(&program, words.into_iter().skip(1).collect());
    }
    if !program.drop_in
        && let Some(original) = words.first().and_then(|word| Program::called(word))
    {
        program = original;
        words.remove(0);
    }
    match program.personality {
        Personality::Postmap | Personality::Postalias => postmap::run(program, words),
        Personality::Newaliases => newaliases::run(program, words),
    }
}
