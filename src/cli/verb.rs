//! The verbs: what `rpostmap` can do beside being `postmap`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::getopt::{Flag, Getopt, Given, Misuse, help_lines};
use crate::cli::output::Output;
use crate::cli::postmap::{Stop, end, tell_misuse};
use crate::cli::report::{Fatal, Program, failure};
use crate::cli::{dump, explain, salvage, verify};
use crate::error::{Error, ErrorKind, masked};
use crate::file::store::{Store, StoreMode};
use crate::lmdb;
use crate::table::TableSpec;
use crate::table::file::FileFormat;
use crate::table::open::TableType;

/// Something to do with one operand.
pub(super) struct Verb {
    pub(super) name: &'static str,
    /// The words one of which stands before the operand, each with a line of help. A verb without
    /// any has the operand alone. Options stand anywhere.
    pub(super) words: &'static [(&'static str, &'static str)],
    /// What stands behind the name in the usage line.
    pub(super) usage: &'static str,
    /// What it does, in one line.
    pub(super) help: &'static str,
    pub(super) flags: &'static [Flag],
    pub(super) run: fn(&Call<'_>, &mut Output) -> Result<bool, Stop>,
}

static VERBS: &[&Verb] = &[&verify::VERB, &dump::VERB, &salvage::VERB, &explain::VERB];

/// `--help`, which every verb has.
pub(super) const HELP: Flag = Flag {
    letter: 0,
    long: "help",
    argument: None,
    help: "show this text",
};

/// A verb with its options and its operand.
pub(super) struct Call<'p> {
    pub(super) program: &'p Program,
    given: Vec<Given>,
    /// Which of [`Verb::words`] it is; the empty word if the verb has none.
    pub(super) word: &'static str,
    pub(super) operand: OsString,
}

/// The word of a verb, and its operands.
type WordAndRest = (Option<&'static str>, Vec<OsString>);

/// The verb that `word` names, for a program that has verbs.
pub(super) fn find(program: &Program, word: &OsStr) -> Option<&'static Verb> {
    let named = VERBS.iter().copied().find(|verb| word == verb.name);
    named.filter(|_| !program.drop_in)
}

impl Verb {
    /// Runs the verb with the words behind its name.
    pub(super) fn run(&self, program: &Program, words: Vec<OsString>) -> ExitCode {
        let mut given = Vec::new();
        let (word, operands) = match self.read(words, &mut given) {
            Ok(read) => read,
            Err(misuse) => {
                tell_misuse(program, &misuse);
                return self.usage(program);
            }
        };
        let mut output = Output::new();
        if given.iter().any(|option| option.flag.long == HELP.long) {
            let printed = output.line(&[self.help_text(program).trim_end().as_bytes()]);
            return end(program, printed.map(|()| true).map_err(Stop::from), output);
        }
        let (Some(word), Ok([operand])) = (word, <[OsString; 1]>::try_from(operands)) else {
            return self.usage(program);
        };
        let call = Call {
            program,
            given,
            word,
            operand,
        };
        let result = (self.run)(&call, &mut output);
        end(program, result, output)
    }

    /// Reads options into `given`; the others are the verb's word, `None` if it is missing or unknown,
    /// and the operands.
    fn read(&self, words: Vec<OsString>, given: &mut Vec<Given>) -> Result<WordAndRest, Misuse> {
        let mut operands = Getopt::new(words, self.flags, true).read_all(given)?;
        if self.words.is_empty() {
            return Ok((Some(""), operands));
        }
        if operands.is_empty() {
            return Ok((None, operands));
        }
        let first = operands.remove(0);
        let known = self.words.iter().find(|(word, _)| first == *word);
        Ok((known.map(|&(word, _)| word), operands))
    }

    fn usage(&self, program: &Program) -> ExitCode {
        let (name, verb) = (program.name(), self.name);
        program.fatal(&format!("usage: {name} {verb} {}", self.usage).into());
        ExitCode::FAILURE
    }

    fn help_text(&self, program: &Program) -> String {
        let (name, verb) = (program.name(), self.name);
        let mut text = format!("{}\n\nUsage: {name} {verb} {}\n\n", self.help, self.usage);
        if let Some(width) = self.words.iter().map(|(word, _)| word.len()).max() {
            for (word, help) in self.words {
                text.push_str(&format!("  {word:<width$}  {help}\n"));
            }
            text.push('\n');
        }
        text.push_str("Options:\n");
        text.push_str(&help_lines(self.flags));
        text
    }
}

impl Call<'_> {
    /// Whether an option was given.
    pub(super) fn has(&self, long: &str) -> bool {
        self.value(long).is_some()
    }

    /// The argument of an option, the last one given.
    pub(super) fn value(&self, long: &str) -> Option<&OsStr> {
        let mut given = self.given.iter().rev();
        let given = given.find(|option| option.flag.long == long)?;
        Some(&given.argument)
    }

    /// The arguments of an option that may be given several times, in order.
    pub(super) fn values(&self, long: &str) -> impl Iterator<Item = &OsStr> {
        let given = self.given.iter();
        given
            .filter(move |option| option.flag.long == long)
            .map(|option| option.argument.as_os_str())
    }

    /// The operand as a table of a known type.
    pub(super) fn table(&self) -> Result<(TableSpec, FileFormat), Fatal> {
        let spec = TableSpec::parse(&self.operand, "");
        if spec.check_complete().is_err() {
            let operand = masked(&self.operand);
            let what = format!("expecting TYPE:FILE, as in hash:/etc/aliases, not \"{operand}\"");
            return Err(failure(&Error::new(ErrorKind::Spec { what })));
        }
        let table_type = TableType::find(spec.type_name()).map_err(|error| failure(&error))?;
        let format = table_type.format().ok_or_else(|| {
            let what = format!("tables of type {} are no files", table_type.name());
            failure(&Error::unsupported(what))
        })?;
        Ok((spec, format))
    }

    /// The format that the operand names.
    pub(super) fn stated_format(&self) -> Option<FileFormat> {
        let spec = TableSpec::parse(&self.operand, "");
        TableType::find(spec.type_name()).ok()?.format()
    }

    /// Whether the operand is a cdb table: `cdb:FILE`, or the file itself by its suffix.
    pub(super) fn is_cdb(&self) -> bool {
        let spec = TableSpec::parse(&self.operand, "");
        let named = TableType::find(spec.type_name()).ok();
        match named.and_then(TableType::format) {
            Some(format) => format == FileFormat::Cdb,
            None => {
                let suffix = FileFormat::Cdb.suffix().as_bytes();
                self.operand.as_bytes().ends_with(suffix)
            }
        }
    }

    /// The operand's file: `TYPE:FILE` names it as everywhere, anything else is the file itself.
    pub(super) fn open(&self) -> Result<Store, Fatal> {
        let spec = TableSpec::parse(&self.operand, "");
        let opened = match self.stated_format() {
            Some(format) => format.open_store(&spec.file(format.suffix()), StoreMode::AUTO),
            None => open_any(Path::new(&self.operand)),
        };
        opened.map_err(|error| {
            failure(&match error.kind() {
                ErrorKind::Io { action: "open" } => error.with_action("open database"),
                _ => error,
            })
        })
    }
}

/// Opens a table file whose type is not known.
fn open_any(path: &Path) -> crate::Result<Store> {
    let store = Store::open(path, StoreMode::POSITIONED)?;
    match lmdb::is_lmdb(&store)? {
        true => lmdb::open_store(path, StoreMode::AUTO),
        false => Store::open(path, StoreMode::AUTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rpostmap_has_verbs_and_only_bare_words_are_verbs() {
        for (program, word, is_verb) in [
            ("rpostmap", "verify", true),
            ("rpostmap", "dump", true),
            ("rpostmap", "salvage", true),
            ("rpostmap", "explain", true),
            ("rpostmap", "./verify", false),
            ("rpostmap", "hash:verify", false),
            ("rpostmap", "Verify", false),
            ("rpostmap", "", false),
            ("postmap", "verify", false),
            ("postalias", "dump", false),
        ] {
            let program = Program::named(OsStr::new(program));
            let found = find(&program, OsStr::new(word));
            assert_eq!(found.is_some(), is_verb, "{} {word}", program.name());
        }
    }
}
