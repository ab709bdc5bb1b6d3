//! `postmap` and `postalias`: reads the command line and the configuration, then has one of the
//! modes do its work.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use crate::cli::args::{Action, BadUsage, Request, help, usage};
use crate::cli::getopt::Misuse;
use crate::cli::message::message_limits;
use crate::cli::migration;
use crate::cli::output::{Broken, CLOSED_PIPE_STATUS, Output};
use crate::cli::report::{Fatal, Program, failure};
use crate::cli::settings::Settings;
use crate::key::Fold;
use crate::source::message::MessageLimits;
use crate::table::TableSpec;
use crate::table::options::Environment;

/// Why a run ends early.
pub(super) enum Stop {
    Fatal(Fatal),
    Output(Broken),
}

impl<T: Into<Fatal>> From<T> for Stop {
    fn from(fatal: T) -> Stop {
        Stop::Fatal(fatal.into())
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        Stop::Output(broken)
    }
}

/// Runs the command.
pub(super) fn run(mut program: Program, words: Vec<OsString>) -> ExitCode {
    let mut request = match Request::parse(words, &program) {
        Ok(request) => request,
        Err(bad) => return bad_usage(&program, bad),
    };
    if std::env::var_os("MAIL_VERBOSE").is_some() {
        request.verbose = true;
    }
    let mut output = Output::new();
    let result = execute(&mut program, &request, &mut output);
    end(&program, result, output)
}

/// The exit status of a run, once everything is printed: success if something was found.
pub(super) fn end(program: &Program, result: Result<bool, Stop>, mut output: Output) -> ExitCode {
    // What was found is printed, whatever happened afterwards.
    let flushed = output.flush();
    let stop = match (result, flushed) {
        (Ok(found), Ok(())) => {
            return if found {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        (Err(stop), _) => stop,
        (Ok(_), Err(broken)) => Stop::Output(broken),
    };
    match stop {
        Stop::Output(Broken::ClosedPipe) => ExitCode::from(CLOSED_PIPE_STATUS),
        Stop::Fatal(fatal) | Stop::Output(Broken::Failed(fatal)) => {
            program.fatal(&fatal);
            ExitCode::FAILURE
        }
    }
}

fn bad_usage(program: &Program, bad: BadUsage) -> ExitCode {
    match bad {
        BadUsage::Conflict(text) => program.fatal(&text.into()),
        BadUsage::Option(misuse) => {
            tell_misuse(program, &misuse);
            program.fatal(&usage(program).into());
        }
    }
    ExitCode::FAILURE
}

/// Says what is wrong with an option.
pub(super) fn tell_misuse(program: &Program, misuse: &Misuse) {
    let quoted = |text: &str, letter: u8| [text.as_bytes(), b"'", &[letter], b"'"].concat();
    let text = match misuse {
        Misuse::Unknown(letter) => quoted("invalid option -- ", *letter),
        Misuse::ArgumentMissing(letter) => quoted("option requires an argument -- ", *letter),
        Misuse::Long(text) => text.clone().into_bytes(),
    };
    program.info(&text);
}

/// Does what was asked; `false` when nothing was found.
fn execute(program: &mut Program, request: &Request, output: &mut Output) -> Result<bool, Stop> {
    match &request.action {
        Action::Help => {
            output.line(&[help(&program.name()).trim_end().as_bytes()])?;
            return Ok(true);
        }
        Action::Version => {
            let version = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
            output.line(&[version.as_bytes()])?;
            return Ok(true);
        }
        _ => {}
    }
    let work = Work::new(program, request)?;
    // Only now: what is wrong with main.cf comes first. A list of nothing fails silently.
    if request.operands.is_empty() && request.action != Action::List {
        return Err(usage(work.program).into());
    }
    match &request.action {
        Action::List if request.operands.is_empty() => Ok(false),
        Action::Create => work.create(),
        Action::Query(key) if key == "-" => match work.message_limits {
            Some(limits) => work.query_message(io::stdin().lock(), limits, output),
            None => work.query_lines(io::stdin().lock(), output),
        },
        Action::Query(key) => work.query(key, output),
        Action::List => work.list(output),
        Action::Increment => work.increment(),
        Action::Delete(key) if key == "-" => work.delete_lines(io::stdin().lock()),
        Action::Delete(key) => work.delete(key),
        Action::Help | Action::Version => Ok(true),
    }
}

/// Refuses a message where none is read.
fn check_pieces(program: &Program, request: &Request) -> Result<(), Fatal> {
    let pieces = request.pieces;
    let reads_lines = matches!(&request.action, Action::Query(key) if key == "-");
    if (pieces.is_any() || pieces.mime) && !reads_lines {
        return Err("specify -b -h or -m only with \"-q -\"".into());
    }
    if pieces.mime && !pieces.is_any() {
        program.warning(b"ignoring -m option without -b or -h");
    }
    Ok(())
}

/// A run that has read its configuration.
pub(super) struct Work<'r> {
    pub(super) program: &'r Program,
    pub(super) request: &'r Request,
    /// The tables of the command line, as they are opened.
    specs: Vec<TableSpec>,
    pub(super) fold: Fold,
    pub(super) utf8: bool,
    pub(super) lmdb_map_size: u64,
    pub(super) environment: Environment,
    /// The name of this host.
    pub(super) host_name: Vec<u8>,
    /// If standard input is a message.
    message_limits: Option<MessageLimits>,
}

impl<'r> Work<'r> {
    fn new(program: &'r mut Program, request: &'r Request) -> Result<Work<'r>, Fatal> {
        let settings = Settings::read(program, request.config_dir.as_deref())?;
        let smtputf8 = settings.utf8;
        let mut warn = |text: Vec<u8>| program.warning(&text);
        let config = &settings.config;
        let lmdb_map_size = config.lmdb_map_size(&mut warn).map_err(|e| failure(&e))?;
        check_pieces(program, request)?;
        let is_message = request.pieces.is_any();
        let message_limits = match is_message {
            true => Some(message_limits(config, &mut warn).map_err(|e| failure(&e))?),
            false => None,
        };
        program.utf8 = smtputf8;
        let utf8 = smtputf8 && !request.no_utf8 && (!is_message || request.message_utf8);
        let fold = match (request.no_fold, utf8) {
            (true, _) => Fold::None,
            (false, true) => Fold::Unicode,
            (false, false) => Fold::Ascii,
        };
        let mut specs: Vec<TableSpec> = request
            .operands
            .iter()
            .map(|word| TableSpec::parse(word, &settings.default_type))
            .collect();
        if request.follow_migration {
            migration::redirect(program, &settings, &mut specs)?;
        }
        Ok(Work {
            program,
            request,
            specs,
            fold,
            utf8,
            lmdb_map_size,
            environment: settings.environment,
            host_name: settings.host_name,
            message_limits,
        })
    }

    /// The tables of the command line.
    pub(super) fn specs(&self) -> impl Iterator<Item = TableSpec> + use<'_, 'r> {
        self.specs.iter().cloned()
    }

    /// With `-v`, a line of information.
    pub(super) fn verbose(&self, text: impl FnOnce() -> String) {
        if self.request.verbose {
            self.program.info(text().as_bytes());
        }
    }
}
