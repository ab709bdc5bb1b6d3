//! `newaliases`: takes the options of sendmail, and has `postalias` make the tables that main.cf
//! lists in `alias_database`. No other program is started for that.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::getopt::{Flag, Getopt, Given, Misuse};
use crate::cli::postmap::{self, tell_misuse};
use crate::cli::report::{Fatal, Personality, Program, failure};
use crate::cli::settings::Settings;
use crate::error::Error;

/// What a mail system answers when it cannot tell yet: the status of all failures of sendmail.
const TEMPORARY_FAILURE: u8 = 75;

/// The options of sendmail that mean nothing here, or mean what is said at [`Options::take`].
static FLAGS: &[Flag] = &[
    option(b'A', true),
    option(b'B', true),
    option(b'C', true),
    option(b'F', true),
    option(b'G', false),
    option(b'I', false),
    option(b'L', true),
    option(b'N', true),
    option(b'O', true),
    option(b'R', true),
    option(b'U', false),
    option(b'V', true),
    option(b'X', true),
    option(b'b', true),
    option(b'c', false),
    option(b'e', true),
    option(b'f', true),
    option(b'h', true),
    option(b'i', false),
    option(b'm', false),
    option(b'n', false),
    option(b'o', true),
    option(b'p', true),
    option(b'q', false),
    option(b'r', true),
    option(b't', false),
    option(b'v', false),
    option(b'x', false),
];

const fn option(letter: u8, has_argument: bool) -> Flag {
    Flag {
        letter,
        long: "",
        argument: if has_argument { Some("") } else { None },
        help: "",
    }
}

/// Runs the command.
pub(super) fn run(mut program: Program, words: Vec<OsString>) -> ExitCode {
    match postalias_words(&mut program, words) {
        Ok(Some(words)) => postmap::run(Program::original(Personality::Postalias), words),
        Ok(None) => ExitCode::SUCCESS,
        Err(fatal) => {
            program.fatal(&fatal);
            ExitCode::from(TEMPORARY_FAILURE)
        }
    }
}

/// The words behind `postalias` that do the work, in whose directory we are then; `None` when there
/// is nothing to do.
fn postalias_words(
    program: &mut Program,
    words: Vec<OsString>,
) -> Result<Option<Vec<OsString>>, Fatal> {
    let mut getopt = Getopt::new(words, FLAGS, false);
    let given: Vec<Result<Given, Misuse>> = getopt.by_ref().collect();
    let has_operands = !getopt.operands().is_empty();
    let mut config_dir = None;
    // The original goes through the options twice, and complains each time.
    for option in &given {
        match option {
            Ok(Given { flag, argument }) if flag.letter == b'C' => {
                config_dir = Some(parent_of_main_cf(argument))
            }
            Ok(_) => {}
            Err(misuse) => tell_misuse(program, misuse),
        }
    }
    let settings = Settings::read(program, config_dir.as_deref())?;
    program.utf8 = settings.utf8;
    let mut warn = |text: Vec<u8>| program.warning(&text);
    let config = &settings.config;
    let failed = |error: Error| failure(&error);
    let databases = config.text("alias_database", &mut warn).map_err(failed)?;
    // Names of tables are relative to it.
    let directory = Path::new(OsStr::from_bytes(&settings.queue_directory));
    std::env::set_current_dir(directory)
        .map_err(|error| failure(&Error::io("chdir", directory, error)))?;
    let mut options = Options::default();
    for option in &given {
        match option {
            Ok(given) => options.take(program, given)?,
            Err(misuse) => {
                tell_misuse(program, misuse);
                return Err(format!("usage: {} [options]", program.name()).into());
            }
        }
    }
    if options.takes_recipients {
        return Err("-t can be used only in delivery mode".into());
    }
    if has_operands {
        return Err("alias initialization mode requires no recipient".into());
    }
    let tables = match options.table {
        Some(table) => vec![table],
        None if databases.is_empty() => return Ok(None),
        None => items(&databases),
    };
    let mut words = vec![OsString::from("-v"); options.verbose];
    if let Some(dir) = config_dir {
        words.extend(["-c".into(), dir]);
    }
    words.push("--".into());
    words.extend(tables);
    Ok(Some(words))
}

/// What `-C` names: the directory of main.cf, or that file itself.
fn parent_of_main_cf(argument: &OsStr) -> OsString {
    let path = Path::new(argument);
    let parent = path.parent().filter(|_| path.ends_with("main.cf"));
    match parent.map(Path::as_os_str) {
        Some(parent) if parent.is_empty() => OsString::from("."),
        Some(parent) => parent.to_owned(),
        None => argument.to_owned(),
    }
}

/// What the options ask for.
#[derive(Default)]
struct Options {
    verbose: usize,
    /// `-oA`: the only table.
    table: Option<OsString>,
    /// `-t`
    takes_recipients: bool,
}

impl Options {
    fn take(&mut self, program: &Program, given: &Given) -> Result<(), Fatal> {
        let argument = given.argument.as_bytes();
        match given.flag.letter {
            b'v' => self.verbose += 1,
            b't' => self.takes_recipients = true,
            b'o' => match argument {
                b"A" => return Err("-oA requires pathname".into()),
                [b'A', table @ ..] => self.table = Some(OsString::from_vec(table.to_vec())),
                _ => {}
            },
            // To send mail, and to look after the queue, is not what this program is for.
            b'b' if !matches!(argument.first(), Some(b'i' | b'v')) => {
                return Err(unsupported(b'b', argument));
            }
            b'x' if self.verbose > 0 => program.info(b"-x option ignored"),
            b'X' => return Err(unsupported(b'X', argument)),
            b'q' => return Err(unsupported(b'q', b"")),
            b'n' => return Err("-n option not supported".into()),
            b'B' if !is_any_of(argument, &["8BITMIME", "7BIT"]) => {
                return Err("-B option needs 8BITMIME or 7BIT".into());
            }
            b'R' if !is_any_of(argument, &["full", "hdrs"]) => {
                program.warning(b"bad -R option value -- ignored");
            }
            b'N' if !is_notify(argument) => {
                if let Some(word) = words(argument).find(|word| !is_any_of(word, &NOTIFY)) {
                    let text = b"unknown DSN NOTIFY command value \"";
                    let text = [&text[..], word, b"\" in \"", argument, b"\""].concat();
                    program.warning(&text);
                }
                program.warning(b"bad -N option value -- ignored");
            }
            _ => {}
        }
        Ok(())
    }
}

fn unsupported(letter: u8, argument: &[u8]) -> Fatal {
    let first = argument.get(..1).unwrap_or_default();
    [b"unsupported: -", &[letter][..], first].concat().into()
}

fn is_any_of(argument: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| argument.eq_ignore_ascii_case(word.as_bytes()))
}

/// What senders of messages can ask to hear of.
const NOTIFY: [&str; 4] = ["success", "failure", "delay", "never"];

/// Whether this says when the sender of a message wants to hear of it: `never`, or a list.
fn is_notify(argument: &[u8]) -> bool {
    let mut words = words(argument).peekable();
    is_any_of(argument, &["never"])
        || words.peek().is_some() && words.all(|word| is_any_of(word, &NOTIFY[..3]))
}

/// The words of a list.
fn words(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n'))
        .filter(|word| !word.is_empty())
}

/// The names in a list.
fn items(list: &[u8]) -> Vec<OsString> {
    words(list)
        .map(|item| OsString::from_vec(item.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_separated_by_commas_and_blanks() {
        assert_eq!(
            items(b" hash:a,, btree:b\thash:c,"),
            ["hash:a", "btree:b", "hash:c"]
        );
        assert!(items(b" ,").is_empty());
    }

    #[test]
    fn the_configuration_is_named_by_its_directory_or_by_main_cf() {
        for (argument, directory) in [
            ("/c/main.cf", "/c"),
            ("/c/main.cf/", "/c"),
            ("/main.cf", "/"),
            ("main.cf", "."),
            ("c/main.cf", "c"),
            ("/c/xmain.cf", "/c/xmain.cf"),
            ("/c/", "/c/"),
            ("", ""),
        ] {
            assert_eq!(
                parent_of_main_cf(argument.as_ref()),
                directory,
                "{argument}"
            );
        }
    }

    #[test]
    fn when_senders_want_to_hear() {
        for (argument, good) in [
            ("never", true),
            ("success,DELAY", true),
            ("success,never", false),
            ("bogus", false),
            ("", false),
        ] {
            assert_eq!(is_notify(argument.as_bytes()), good, "{argument}");
        }
    }
}
