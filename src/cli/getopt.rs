//! Reads options the way POSIX utilities do (XBD 12.2), which is the way of the original: options
//! end at the first operand or after `--`; letters can be bundled; an option's argument is glued
//! to it or the next word, **whatever that word is** (`-q --` asks for the key `--`, `-q=x` for
//! `=x`). Errors come in the order of the words, so that a caller who acts on options one by one
//! fails at the same place as the original. That is why this is no job for a general parser.
//!
//! A caller may go on to the options behind operands, which the original never does.
//!
//! Long spellings (`--query KEY`, `--query=KEY`) are understood where the caller allows them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::error::masked;

/// Texts in help begin in one column for most programs and verbs.
const HELP_WIDTH_MIN: usize = 18;

/// An option that exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// The letter behind the dash; 0 for an option that has only a long spelling.
    pub(super) letter: u8,
    /// The word behind two dashes.
    pub(super) long: &'static str,
    /// What help calls its argument, if it takes one.
    pub(super) argument: Option<&'static str>,
    /// What it does, in one line.
    pub(super) help: &'static str,
}

/// An option that was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) flag: &'static Flag,
    /// Empty for an option that takes none.
    pub(super) argument: OsString,
}

/// What is wrong with a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// `invalid option -- 'x'`
    Unknown(u8),
    /// `option requires an argument -- 'x'`
    ArgumentMissing(u8),
    /// A long spelling that does not exist, or exists with or without an argument.
    Long(String),
}

/// The options of a command line, one after the other; then [`Getopt::operands`].
pub(super) struct Getopt {
    words: std::vec::IntoIter<OsString>,
    flags: &'static [Flag],
    long: bool,
    /// What is left of a bundle.
    bundle: std::vec::IntoIter<u8>,
    /// Whether `--` was there.
    ended: bool,
}

impl Getopt {
    pub(super) fn new(words: Vec<OsString>, flags: &'static [Flag], long: bool) -> Getopt {
        Getopt {
            words: words.into_iter(),
            flags,
            long,
            bundle: Vec::new().into_iter(),
            ended: false,
        }
    }

    /// All options and operands, with options between and behind the operands as well; those are
    /// operands only behind `--`.
    ///
    /// # Errors
    ///
    /// The first option that is wrong; `given` has those before it.
    pub(super) fn read_all(mut self, given: &mut Vec<Given>) -> Result<Vec<OsString>, Misuse> {
        let mut operands = Vec::new();
        loop {
            for option in self.by_ref() {
                given.push(option?);
            }
            match self.words.next() {
                Some(operand) => operands.push(operand),
                None => return Ok(operands),
            }
            if self.ended {
                operands.extend(self.words);
                return Ok(operands);
            }
        }
    }

    /// The words behind the options. To be called when there are no more options.
    pub(super) fn operands(self) -> Vec<OsString> {
        self.words.collect()
    }

    fn letter(&mut self, letter: u8) -> Result<Given, Misuse> {
        let flag = self
            .flags
            .iter()
            .find(|flag| flag.letter == letter && letter != 0);
        let flag = flag.ok_or(Misuse::Unknown(letter))?;
        let mut argument = OsString::new();
        if flag.argument.is_some() {
            let glued: Vec<u8> = self.bundle.by_ref().collect();
            argument = if glued.is_empty() {
                self.words.next().ok_or(Misuse::ArgumentMissing(letter))?
            } else {
                OsString::from_vec(glued)
            };
        }
        Ok(Given { flag, argument })
    }

    fn long(&mut self, word: &OsStr) -> Result<Given, Misuse> {
        let mut halves = word.as_bytes().splitn(2, |&byte| byte == b'=');
        let name = halves.next().unwrap_or_default();
        let glued = halves.next();
        let shown = || format!("--{}", masked(OsStr::from_bytes(name)));
        let flag = self.flags.iter().find(|flag| flag.long.as_bytes() == name);
        let flag = flag.ok_or_else(|| Misuse::Long(format!("no such option: {}", shown())))?;
        let argument = match (flag.argument, glued) {
            (Some(_), Some(glued)) => OsString::from_vec(glued.to_vec()),
            (Some(argument), None) => self.words.next().ok_or_else(|| {
                let article = match argument.starts_with(['A', 'E', 'I', 'O']) {
                    true => "an",
                    false => "a",
                };
                Misuse::Long(format!("{} needs {article} {argument}", shown()))
            })?,
            (None, None) => OsString::new(),
            (None, Some(_)) => {
                return Err(Misuse::Long(format!("{} takes no argument", shown())));
            }
        };
        Ok(Given { flag, argument })
    }
}

impl Iterator for Getopt {
    type Item = Result<Given, Misuse>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(letter) = self.bundle.next() {
            return Some(self.letter(letter));
        }
        let bundle = match self.words.as_slice().first()?.as_bytes() {
            [b'-', bundle @ ..] if !bundle.is_empty() => bundle.to_vec(),
            _ => return None,
        };
        self.words.next();
        match bundle.as_slice() {
            b"-" => {
                self.ended = true;
                None
            }
            [b'-', long @ ..] if self.long => Some(self.long(OsStr::from_bytes(long))),
            _ => {
                self.bundle = bundle.into_iter();
                let letter = self.bundle.next()?;
                Some(self.letter(letter))
            }
        }
    }
}

/// What `--help` says of `flags`, a line or more for each.
pub(super) fn help_lines(flags: &[Flag]) -> String {
    let long = |flag: &Flag| {
        let argument = flag.argument.map(|name| format!(" {name}"));
        format!("--{}{}", flag.long, argument.unwrap_or_default())
    };
    let width = flags.iter().map(|flag| long(flag).len()).max();
    let width = width.unwrap_or_default().max(HELP_WIDTH_MIN);
    let mut text = String::new();
    for flag in flags {
        let letter = match flag.letter {
            0 => "   ".to_string(),
            letter => format!("-{},", char::from(letter)),
        };
        // More lines of help stand below the first.
        let help = flag.help.replace('\n', &format!("\n{:1$}", "", width + 7));
        text.push_str(&format!("  {letter} {:<width$} {help}\n", long(flag)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    static FLAGS: &[Flag] = &[
        Flag {
            letter: b'q',
            long: "query",
            argument: Some("KEY"),
            help: "",
        },
        Flag {
            letter: b'r',
            long: "replace",
            argument: None,
            help: "",
        },
        Flag {
            letter: 0,
            long: "help",
            argument: None,
            help: "",
        },
        Flag {
            letter: 0,
            long: "owner",
            argument: Some("OWNER"),
            help: "",
        },
    ];

    /// What was read, as text: `query=key`, `replace`, `?x` for an error; `| operands`.
    fn read(words: &[&str], long: bool) -> String {
        let mut getopt = Getopt::new(words.iter().map(OsString::from).collect(), FLAGS, long);
        let mut text = Vec::new();
        for given in getopt.by_ref() {
            text.push(match given {
                Ok(Given { flag, argument }) if flag.argument.is_some() => {
                    format!("{}={}", flag.long, argument.display())
                }
                Ok(Given { flag, .. }) => flag.long.to_string(),
                Err(Misuse::Unknown(letter)) => format!("?{}", char::from(letter)),
                Err(Misuse::ArgumentMissing(letter)) => format!("!{}", char::from(letter)),
                Err(Misuse::Long(what)) => what,
            });
        }
        let operands = getopt.operands();
        let operands: Vec<_> = operands
            .iter()
            .map(|word| word.display().to_string())
            .collect();
        format!("{} | {}", text.join(" "), operands.join(" "))
    }

    #[test]
    fn words_are_read_as_posix_says() {
        for (words, expect) in [
            (&["-r", "t"][..], "replace | t"),
            (&["-rqkey", "t"], "replace query=key | t"),
            (&["-q", "-r", "t"], "query=-r | t"),
            (&["-q", "--", "t"], "query=-- | t"),
            (&["-q=x", "t"], "query==x | t"),
            (&["--", "-r"], " | -r"),
            (&["t", "-r"], " | t -r"),
            (&["-", "-r"], " | - -r"),
            (&["-x"], "?x | "),
            (&["-rx", "t"], "replace ?x | t"),
            (&["-q"], "!q | "),
            (&[], " | "),
            (&["-r", "", "x"], "replace |  x"),
        ] {
            for long in [false, true] {
                assert_eq!(read(words, long), expect, "{words:?}");
            }
        }
    }

    #[test]
    fn long_spellings_only_where_they_are_allowed() {
        assert_eq!(read(&["--help"], false), "?- ?h ?e ?l ?p | ");
        for (words, expect) in [
            (&["--help", "t"][..], "help | t"),
            (&["--query=a=b"], "query=a=b | "),
            (&["--query", "--help"], "query=--help | "),
            (&["--query="], "query= | "),
            (&["--query"], "--query needs a KEY | "),
            (&["--owner"], "--owner needs an OWNER | "),
            (&["--replace=x"], "--replace takes no argument | "),
            (&["--nope=x"], "no such option: --nope | "),
        ] {
            assert_eq!(read(words, true), expect, "{words:?}");
        }
    }

    #[test]
    fn options_between_and_behind_operands() {
        for (words, expect) in [
            (&["t", "-r", "u", "--help"][..], "replace help | t u"),
            (&["-r", "t", "-q", "k"], "replace query | t"),
            (&["t", "--", "-r", "--"], " | t -r --"),
            (&["--", "-r", "-q"], " | -r -q"),
            (&["t", "-", "-r"], "replace | t -"),
            (&["t", "-x", "-r"], "? | "),
            (&[], " | "),
        ] {
            let words = words.iter().map(OsString::from).collect();
            let mut given = Vec::new();
            let read = Getopt::new(words, FLAGS, true).read_all(&mut given);
            let mut options: Vec<&str> = given.iter().map(|given| given.flag.long).collect();
            let operands = read.unwrap_or_else(|misuse| {
                assert_eq!(misuse, Misuse::Unknown(b'x'));
                options.push("?");
                Vec::new()
            });
            let operands: Vec<_> = operands.iter().map(|word| word.to_string_lossy()).collect();
            let read = format!("{} | {}", options.join(" "), operands.join(" "));
            assert_eq!(read, expect);
        }
    }

    #[test]
    fn help_stands_in_one_column() {
        let flag = |letter, long, argument, help| Flag {
            letter,
            long,
            argument,
            help,
        };
        for (longer, width) in [("memory", 18), ("a-long-name-for-it", 26)] {
            let flags = [
                flag(b'q', "query", Some("KEY"), "one line"),
                flag(0, longer, Some("VALUE"), "one line\nand another"),
            ];
            let text = help_lines(&flags);
            let columns = text
                .lines()
                .map(|line| line.find("one").or(line.find("and")));
            let columns: Vec<Option<usize>> = columns.collect();
            assert_eq!(columns, [Some(width + 7); 3], "{text}");
        }
    }
}
