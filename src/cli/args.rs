//! What a command line asks for: first the options as they were typed, then what they mean.

use std::ffi::{OsStr, OsString};

use crate::cli::getopt::{Flag, Getopt, Given, Misuse, help_lines};
use crate::cli::message::Pieces;
use crate::cli::report::{Personality, Program};
use crate::entries::OnDuplicate;
use crate::key::NulPolicy;
use crate::lmdb::DataVersion;

/// For what the original does not know.
const LMDB_FORMAT: &str = "lmdb-format";

/// For sources larger than memory.
const MEMORY: &str = "memory";

/// Types that main.cf names take the place of `hash` and `btree`.
const FOLLOW_MIGRATION: &str = "follow-migration";

/// The options that `postalias` does not have. None takes an argument.
const POSTMAP_ONLY: &[u8] = b"FUbhm";

/// Every option, in the order help lists them.
static FLAGS: &[Flag] = &[
    flag(
        b'q',
        "query",
        Some("KEY"),
        "look KEY up, or every line of standard input if KEY is -",
    ),
    flag(b's', "list", None, "list all keys and values"),
    flag(
        b'i',
        "incremental",
        None,
        "add entries from standard input to the table",
    ),
    flag(
        b'd',
        "delete",
        Some("KEY"),
        "delete KEY, or every line of standard input if KEY is -",
    ),
    flag(b'f', "no-fold", None, "do not fold keys to lower case"),
    flag(b'n', "no-nul", None, "keys and values do not end in a NUL"),
    flag(b'N', "nul", None, "keys and values end in a NUL"),
    flag(
        b'r',
        "replace",
        None,
        "of entries with one key keep the last, silently",
    ),
    flag(
        b'w',
        "keep-first",
        None,
        "of entries with one key keep the first, silently",
    ),
    flag(
        b'o',
        "keep-root",
        None,
        "as root, do not act as the owner of the source",
    ),
    flag(
        b'p',
        "no-mode",
        None,
        "do not take over the permissions of the source",
    ),
    flag(b'u', "no-utf8", None, "no UTF-8 checks and folding"),
    flag(b'c', "config", Some("DIR"), "read DIR/main.cf"),
    flag(b'F', "file-values", None, "values are names of files"),
    flag(b'h', "headers", None, "look up the headers of a message"),
    flag(b'b', "body", None, "look up the body lines of a message"),
    flag(
        b'm',
        "mime",
        None,
        "with -h or -b: see the parts of the message",
    ),
    flag(
        b'U',
        "utf8",
        None,
        "with -h or -b: UTF-8 checks and folding",
    ),
    flag(
        b'j',
        "json",
        None,
        "with -q or -s: print each entry as a line of JSON",
    ),
    flag(
        0,
        LMDB_FORMAT,
        Some("VERSION"),
        "make lmdb: tables for LMDB 0.9 (the default) or 1.0",
    ),
    flag(
        0,
        MEMORY,
        Some("SIZE"),
        "make tables with about SIZE of memory (256M); what does not fit is sorted on disk",
    ),
    flag(b'v', "verbose", None, "say more"),
    flag(
        0,
        FOLLOW_MIGRATION,
        None,
        "redirect hash and btree where main.cf says",
    ),
    flag(0, "help", None, "show this text"),
    flag(0, "version", None, "show the version"),
];

const fn flag(
    letter: u8,
    long: &'static str,
    argument: Option<&'static str>,
    help: &'static str,
) -> Flag {
    Flag {
        letter,
        long,
        argument,
        help,
    }
}

/// What to do with the tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    /// Make each table from its source.
    #[default]
    Create,
    /// Add entries from standard input.
    Increment,
    /// Look up a key; `-` for the lines of standard input.
    Query(OsString),
    /// Delete a key; `-` for the lines of standard input.
    Delete(OsString),
    /// Print every entry of the first table.
    List,
    /// Show the help text.
    Help,
    /// Show the version.
    Version,
}

/// What a command line means.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) action: Action,
    pub(super) config_dir: Option<OsString>,
    pub(super) no_fold: bool,
    pub(super) nul: NulPolicy,
    pub(super) keep_root: bool,
    pub(super) no_mode: bool,
    pub(super) no_utf8: bool,
    /// `-r` or `-w`, the last one; `None` is the first entry with a warning.
    pub(super) on_duplicate: Option<OnDuplicate>,
    pub(super) lmdb_format: DataVersion,
    /// The memory to make a table with, in bytes.
    pub(super) memory: Option<u64>,
    pub(super) verbose: bool,
    pub(super) follow_migration: bool,
    /// Values are names of files.
    pub(super) file_values: bool,
    /// What to look up of a message on standard input; nothing if that is no message.
    pub(super) pieces: Pieces,
    /// UTF-8 checks and folding for pieces of a message, too.
    pub(super) message_utf8: bool,
    pub(super) json: bool,
    /// What stands behind the options; can be nothing.
    pub(super) operands: Vec<OsString>,
}

/// Why a command line cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadUsage {
    /// Two lines: this one, and the usage.
    Option(Misuse),
    /// This one line.
    Conflict(&'static str),
}

impl Request {
    /// Reads the words behind the name of `program`.
    pub(super) fn parse(words: Vec<OsString>, program: &Program) -> Result<Request, BadUsage> {
        let mut request = Request::default();
        let mut incremental = false;
        let mut getopt = Getopt::new(words, FLAGS, !program.drop_in);
        for given in getopt.by_ref() {
            let Given { flag, argument } = given.map_err(BadUsage::Option)?;
            match flag.letter {
                letter
                    if program.personality == Personality::Postalias
                        && POSTMAP_ONLY.contains(&letter) =>
                {
                    return Err(BadUsage::Option(Misuse::Unknown(letter)));
                }
                b'q' => request.set_action(Action::Query(argument))?,
                b'd' => request.set_action(Action::Delete(argument))?,
                b's' => request.set_action(Action::List)?,
                b'i' => incremental = true,
                b'f' => request.no_fold = true,
                b'n' => request.nul = NulPolicy::Without,
                b'N' => request.nul = NulPolicy::With,
                b'r' => request.on_duplicate = Some(OnDuplicate::KeepLast),
                // Formats that hold one entry a key keep the first.
                b'w' => request.on_duplicate = Some(OnDuplicate::KeepAll),
                b'o' => request.keep_root = true,
                b'p' => request.no_mode = true,
                b'u' => request.no_utf8 = true,
                b'c' => request.config_dir = Some(argument),
                b'v' => request.verbose = true,
                0 if flag.long == LMDB_FORMAT => {
                    request.lmdb_format = data_version(&argument).ok_or_else(|| {
                        let text = "--lmdb-format is one of 0.9 and 1.0";
                        BadUsage::Option(Misuse::Long(text.into()))
                    })?;
                }
                0 if flag.long == MEMORY => {
                    let size = size(&argument).ok_or_else(|| {
                        let text = "--memory is a number of bytes, or of K, M or G, above 0";
                        BadUsage::Option(Misuse::Long(text.into()))
                    })?;
                    request.memory = Some(size);
                }
                0 if flag.long == FOLLOW_MIGRATION => request.follow_migration = true,
                0 if flag.long == "version" => {
                    return Ok(Request {
                        action: Action::Version,
                        ..request
                    });
                }
                0 => {
                    return Ok(Request {
                        action: Action::Help,
                        ..request
                    });
                }
                b'F' => request.file_values = true,
                b'h' => request.pieces.headers = true,
                b'b' => request.pieces.body = true,
                b'm' => request.pieces.mime = true,
                b'U' => request.message_utf8 = true,
                b'j' => request.json = true,
                _ => {}
            }
        }
        request.operands = getopt.operands();
        // Beside another mode -i means nothing.
        if incremental && request.action == Action::Create {
            request.action = Action::Increment;
        }
        if request.json && !matches!(request.action, Action::Query(_) | Action::List) {
            return Err(BadUsage::Conflict("option -j requires -q or -s"));
        }
        Ok(request)
    }

    fn set_action(&mut self, action: Action) -> Result<(), BadUsage> {
        match (&self.action, &action) {
            (Action::Create, _) | (Action::List, Action::List) => {
                self.action = action;
                Ok(())
            }
            // The original has two texts for one thing.
            (_, Action::List) => Err(BadUsage::Conflict("specify only one of -s or -q or -d")),
            _ => Err(BadUsage::Conflict("specify only one of -s -q or -d")),
        }
    }
}

/// A number of bytes, or of 2^10, 2^20 or 2^30 of them: `256M`.
fn size(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?;
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (text.strip_suffix(['K', 'k'])?, 10),
        b'M' | b'm' => (text.strip_suffix(['M', 'm'])?, 20),
        b'G' | b'g' => (text.strip_suffix(['G', 'g'])?, 30),
        _ => (text, 0),
    };
    // Unlike the parser we want no sign.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|_| is_number)?;
    number.checked_mul(1 << shift).filter(|&size| size > 0)
}

fn data_version(release: &OsStr) -> Option<DataVersion> {
    let versions = [DataVersion::V1, DataVersion::V3];
    versions
        .into_iter()
        .find(|version| release == version.release())
}

/// The usage line, without `PROG: fatal: `.
pub(super) fn usage(program: &Program) -> String {
    let letters = match program.personality {
        Personality::Postalias => "Nfinoprsuvw",
        Personality::Postmap | Personality::Newaliases => "bfFhimnNoprsuUvw",
    };
    let name = program.name();
    format!("usage: {name} [-{letters}] [-c config_dir] [-d key] [-q key] [map_type:]file...")
}

/// The help text.
pub(super) fn help(program: &str) -> String {
    let mut text = format!(
        "Compile and query Postfix lookup tables.\n\n\
         Usage: {program} [OPTION]... [TYPE:]FILE...\n\n\
         Without -q, -s, -i or -d, makes the table TYPE:FILE from the text in FILE.\n\n\
         Options:\n"
    );
    text.push_str(&help_lines(FLAGS));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Request, BadUsage> {
        parse_as("rpostmap", words)
    }

    fn parse_as(name: &str, words: &str) -> Result<Request, BadUsage> {
        let words = words.split_whitespace().map(OsString::from).collect();
        Request::parse(words, &Program::named(name.as_ref()))
    }

    #[test]
    fn postalias_has_fewer_options() {
        for letter in "FUbhm".chars() {
            let words = format!("-f{letter} t");
            let misuse = BadUsage::Option(Misuse::Unknown(letter as u8));
            assert_eq!(parse_as("postalias", &words).unwrap_err(), misuse);
            assert!(parse_as("postmap", &words).is_ok());
        }
        let words = "-Nfinopruvw -c dir -s t";
        assert_eq!(parse_as("postalias", words).unwrap().action, Action::List);
    }

    #[test]
    fn one_mode_at_a_time() {
        for (words, text) in [
            ("-q a -d b t", "specify only one of -s -q or -d"),
            ("-s -q a t", "specify only one of -s -q or -d"),
            ("-q a -s t", "specify only one of -s or -q or -d"),
            // Noticed before the bad option behind it.
            ("-q a -q b -Z t", "specify only one of -s -q or -d"),
        ] {
            assert_eq!(
                parse(words).unwrap_err(),
                BadUsage::Conflict(text),
                "{words}"
            );
        }
        assert_eq!(parse("-s -s t").unwrap().action, Action::List);
        assert_eq!(
            parse("-i -q a t").unwrap().action,
            Action::Query("a".into())
        );
        assert_eq!(parse("-i t").unwrap().action, Action::Increment);
    }

    #[test]
    fn the_last_of_opposites_wins() {
        assert_eq!(parse("-N -n t").unwrap().nul, NulPolicy::Without);
        assert_eq!(parse("-n -N t").unwrap().nul, NulPolicy::With);
        assert_eq!(
            parse("-r -w t").unwrap().on_duplicate,
            Some(OnDuplicate::KeepAll)
        );
        assert_eq!(
            parse("-w -r t").unwrap().on_duplicate,
            Some(OnDuplicate::KeepLast)
        );
        assert_eq!(parse("-c a -c b t").unwrap().config_dir, Some("b".into()));
    }

    #[test]
    fn help_is_given_whatever_else_was_asked() {
        assert_eq!(parse("-s --help").unwrap().action, Action::Help);
    }

    #[test]
    fn json_is_for_what_prints_entries() {
        for words in ["-j -q a t", "-s -j t", "-jq - t", "-j -i -q a t"] {
            assert!(parse(words).unwrap().json, "{words}");
        }
        for words in ["-j t", "-j", "-j -i t", "-d a -j t"] {
            let text = "option -j requires -q or -s";
            assert_eq!(
                parse(words).unwrap_err(),
                BadUsage::Conflict(text),
                "{words}"
            );
        }
        assert_eq!(parse("-j --help").unwrap().action, Action::Help);
    }

    #[test]
    fn the_format_of_lmdb_tables_is_a_release() {
        for (words, version) in [
            ("t", DataVersion::V1),
            ("--lmdb-format 0.9 t", DataVersion::V1),
            ("--lmdb-format=1.0 -r t", DataVersion::V3),
        ] {
            assert_eq!(parse(words).unwrap().lmdb_format, version, "{words}");
        }
        for words in ["--lmdb-format 1 t", "--lmdb-format= t", "--lmdb-format"] {
            assert!(matches!(parse(words), Err(BadUsage::Option(_))), "{words}");
        }
        let words = ["--lmdb-format=1.0", "t"].map(OsString::from).to_vec();
        let program = Program::named(OsStr::new("postmap"));
        assert!(
            Request::parse(words, &program).is_err(),
            "not the original's"
        );
    }

    #[test]
    fn memory_is_a_number_with_a_unit() {
        for (words, size) in [
            ("t", None),
            ("--memory 1 t", Some(1)),
            ("--memory=20K t", Some(20 << 10)),
            ("--memory 256M t", Some(256 << 20)),
            ("--memory 3g t", Some(3 << 30)),
        ] {
            assert_eq!(parse(words).unwrap().memory, size, "{words}");
        }
        for size in [
            "",
            "0",
            "M",
            "+1",
            "-1",
            "1.5G",
            "1T",
            "1MB",
            "18446744073709551615K",
        ] {
            let words = format!("--memory={size} t");
            assert!(matches!(parse(&words), Err(BadUsage::Option(_))), "{words}");
        }
        assert!(parse_as("postmap", "--memory=1M t").is_err());
    }

    #[test]
    fn every_option_has_one_spelling_of_each_kind_and_a_line_of_help() {
        for (at, flag) in FLAGS.iter().enumerate() {
            for other in &FLAGS[..at] {
                assert_ne!(flag.long, other.long);
                assert!(
                    flag.letter == 0 || flag.letter != other.letter,
                    "{}",
                    flag.long
                );
            }
            assert!(help("rpostmap").contains(flag.help), "{}", flag.long);
        }
    }
}
