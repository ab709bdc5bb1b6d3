//! What main.cf says about tables.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::gethostname;

use crate::cli::report::{Fatal, Program, failure};
use crate::config::Config;
use crate::error::Error;
use crate::table::options::Environment;

/// Where main.cf is unless something else is said.
const CONFIG_DIR: &str = "/etc/postfix";

/// The settings of a run, as far as every program wants them to be sound.
pub(super) struct Settings {
    pub(super) config: Config,
    /// Whether keys, values and messages may be UTF-8.
    pub(super) utf8: bool,
    /// The type of a table that is named without one.
    pub(super) default_type: String,
    pub(super) environment: Environment,
    /// The name of this host.
    pub(super) host_name: Vec<u8>,
    /// Where `newaliases` does its work.
    pub(super) queue_directory: Vec<u8>,
}

impl Settings {
    /// Reads main.cf in the directory `asked`, or in that of the environment, or in the usual one.
    pub(super) fn read(program: &Program, asked: Option<&OsStr>) -> Result<Settings, Fatal> {
        let config = load(program, asked)?;
        let mut warn = |text: Vec<u8>| program.warning(&text);
        let failed = |error: Error| failure(&error);
        // In the order of the original, which looks at all of them whatever it is to do.
        let utf8 = config.smtputf8_enable(&mut warn).map_err(failed)?;
        let host_name = config.non_empty("myhostname", &mut warn).map_err(failed)?;
        let queue_directory = config
            .non_empty("queue_directory", &mut warn)
            .map_err(failed)?;
        let default_type = config.default_database_type(&mut warn).map_err(failed)?;
        config.check_limits(&mut warn).map_err(failed)?;
        let mut environment = Vec::new();
        if let Some(dir) = asked {
            environment.push((b"MAIL_CONFIG".to_vec(), dir.as_bytes().to_vec()));
        }
        environment.extend(config.import_environment(&mut warn).map_err(failed)?);
        Ok(Settings {
            config,
            utf8,
            default_type,
            environment: Environment::new(environment),
            host_name,
            queue_directory,
        })
    }
}

fn load(program: &Program, asked: Option<&OsStr>) -> Result<Config, Fatal> {
    let from_environment = std::env::var_os("MAIL_CONFIG");
    let asked = asked.or(from_environment.as_deref());
    let dir = asked.unwrap_or(OsStr::new(CONFIG_DIR));
    let mut warn = |text: Vec<u8>| program.warning(&text);
    let mut config = match Config::load(dir.as_ref(), &mut warn) {
        Ok(config) => config,
        // Nothing was asked for and there is nothing: a machine without Postfix.
        Err(error) if asked.is_none() && !program.drop_in && is_missing(&error) => {
            Config::default()
        }
        Err(error) => return Err(failure(&error)),
    };
    name_host(&mut config);
    Ok(config)
}

/// Says what `myhostname` and `mydomain` are unless main.cf does: the name of the system, in a
/// domain of its own if it has none.
fn name_host(config: &mut Config) {
    let name = gethostname().unwrap_or_default();
    let name = name.to_string_lossy();
    match name.split_once('.') {
        Some((_, domain)) => {
            config.set_default("mydomain", domain);
            config.set_default("myhostname", &name);
        }
        None => {
            config.set_default("mydomain", "localdomain");
            config.set_default("myhostname", &format!("{name}.$mydomain"));
        }
    }
    if config.is_set("myhostname") && !config.is_set("mydomain") {
        // What is wrong with it is told when it is used.
        let full = config.text("myhostname", &mut |_| {}).unwrap_or_default();
        let full = String::from_utf8_lossy(&full);
        let domain = full
            .split_once('.')
            .map_or("localdomain", |(_, domain)| domain);
        config.set_default("mydomain", domain);
    }
}

fn is_missing(error: &Error) -> bool {
    error
        .io_error()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}
