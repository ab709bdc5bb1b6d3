//! `rpostmap explain`: which keys are looked up, where, and what comes of it.
//!
//! | file | job |
//! |---|---|
//! | `model` | what an explanation holds, however it is printed |
//! | `text`, `json` | how it is printed |
//! | `secret` | table names and messages that may hold passwords |
//! | `route` | the words `transport` and `relocated` |
//! | `destination` | `sasl` and `tls` |
//! | `address` | `virtual`, `canonical`, `generic`, `bcc`, `login`, `mailbox`, `uid`, `gid`, `alias` |
//! | `access` | `access`, and where its tables are in main.cf |
//! | `near` | keys that are there but do not count |

mod access;
mod address;
mod destination;
mod json;
mod model;
mod near;
mod route;
mod secret;
mod text;

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::cli::getopt::Flag;
use crate::cli::output::Output;
use crate::cli::postmap::Stop;
use crate::cli::report::{Fatal, failure};
use crate::cli::settings::Settings;
use crate::cli::verb::{Call, HELP, Verb};
use crate::config::Config;
use crate::error::Error;
use crate::rules::address::{External, Internal};
use crate::rules::complete::Completion;
use crate::rules::nexthop::Agent;
use crate::rules::setup::Setup;

use model::{End, Lookup};

pub(super) static VERB: Verb = Verb {
    name: "explain",
    words: &[
        ("transport", "the route of a recipient"),
        ("sasl", "the user name and password for a nexthop"),
        ("tls", "the TLS policy for a nexthop"),
        ("virtual", "what virtual_alias_maps make of a recipient"),
        ("canonical", "what the canonical maps make of an address"),
        ("generic", "what smtp_generic_maps make of an address"),
        ("relocated", "whether and where to a recipient has moved"),
        ("alias", "what alias_maps have for a local user"),
        ("bcc", "who gets a blind copy"),
        ("login", "who may use a sender (smtpd_sender_login_maps)"),
        ("mailbox", "the mailbox of a virtual recipient"),
        ("uid", "the user id that the mailbox belongs to"),
        ("gid", "the group id that the mailbox belongs to"),
        (
            "access",
            "the action for a client NAME[ADDRESS], a sender, ..., their mail and name servers",
        ),
    ],
    usage: "WORD [OPTION..] ADDRESS|NEXTHOP",
    help: "Show which keys Postfix looks up, in which tables, in which order, and what comes of\n\
           it. When nothing is found, near misses are named: keys that are in a table but do not\n\
           count, and what to write instead. Exit status 1 if nothing is found, or if it cannot\n\
           be told. docs/explain.md has more.",
    flags: &[
        Flag {
            letter: b'c',
            long: "config",
            argument: Some("DIR"),
            help: "main.cf is in DIR",
        },
        Flag {
            letter: b'o',
            long: "override",
            argument: Some("NAME=VALUE"),
            help: "set a parameter of main.cf; may be repeated",
        },
        Flag {
            letter: 0,
            long: "sender",
            argument: Some("ADDRESS"),
            help: "transport, sasl: the envelope sender; without it, that of bounces",
        },
        Flag {
            letter: 0,
            long: "host",
            argument: Some("NAME"),
            help: "sasl: the host of the MX record",
        },
        Flag {
            letter: 0,
            long: "as",
            argument: Some("ROLE"),
            help: "bcc: recipient, sender\n\
                   canonical: recipient, sender, header-recipient, header-sender\n\
                   access: client, reverse-client-hostname, helo, sender, recipient; with -mx,\n\
                   -ns or -a behind, their servers, which the operand names",
        },
        Flag {
            letter: 0,
            long: "table",
            argument: Some("TYPE:NAME"),
            help: "access: the table; without it, those of smtpd_*_restrictions",
        },
        Flag {
            letter: 0,
            long: "lmtp",
            argument: None,
            help: "sasl, tls, generic: the parameters of the LMTP client",
        },
        Flag {
            letter: 0,
            long: "show-passwords",
            argument: None,
            help: "print passwords",
        },
        Flag {
            letter: 0,
            long: "json",
            argument: None,
            help: "print one JSON object",
        },
        HELP,
    ],
    run,
};

/// A word that can be explained: looks up, once or for each of several destinations or tables.
type Explain = fn(&mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal>;

/// What is to be explained, and what it is explained with.
struct Asked<'r, 's> {
    call: &'r Call<'r>,
    config: &'r Config,
    setup: &'r mut Setup<'s>,
}

fn run(call: &Call<'_>, output: &mut Output) -> Result<bool, Stop> {
    let explain: Explain = match call.word {
        "transport" => route::transport,
        "relocated" => route::relocated,
        "sasl" => destination::sasl,
        "tls" => destination::tls,
        "virtual" => address::virtual_aliases,
        "canonical" => address::canonical,
        "generic" => address::generic,
        "alias" => address::alias,
        "bcc" => address::bcc,
        "login" => address::login,
        "mailbox" => address::mailbox,
        "uid" => address::uid,
        "gid" => address::gid,
        _ => access::access,
    };
    let settings = Settings::read(call.program, call.value("config"))?;
    let config = overridden(settings.config, call)?;
    let keeps_secrets = call.word == "sasl" && !call.has("show-passwords");
    let unsaid = Cell::new(0_usize);
    let mut warn = |text: Vec<u8>| match keeps_secrets {
        // It may quote a line of a table.
        true => unsaid.set(unsaid.get() + 1),
        false => call.program.warning(&text),
    };
    let mut setup = Setup::new(&config, &mut warn).map_err(|error| failure(&error))?;
    let mut asked = Asked {
        call,
        config: &config,
        setup: &mut setup,
    };
    let lookups = explain(&mut asked)?;
    if unsaid.get() > 0 {
        let text = "there are warnings that may quote passwords; --show-passwords prints them";
        call.program.warning(text.as_bytes());
    }
    match call.has("json") {
        true => json::print(call.word, &lookups, output)?,
        false => text::print(&lookups, output)?,
    }
    for lookup in &lookups {
        if let End::Failed(reason) = &lookup.end {
            return Err(format!("could not tell: {reason}").into());
        }
    }
    let is_found = |lookup: &Lookup| matches!(lookup.end, End::Found(_));
    Ok(lookups.iter().any(is_found))
}

/// `config` with what the options set.
fn overridden(mut config: Config, call: &Call<'_>) -> Result<Config, Fatal> {
    for option in call.values("override") {
        let setting = option.to_str().and_then(|text| text.split_once('='));
        let (name, value) = match setting {
            Some((name, value)) if !name.trim().is_empty() => (name.trim(), value.trim()),
            _ => return Err("-o needs NAME=VALUE, as in -o relayhost=[gw.example.org]:587".into()),
        };
        config.set(name, value);
        if name == "myhostname" {
            let mut warn = |text: Vec<u8>| call.program.warning(&text);
            let set = config.set_host_name(value, &mut warn);
            set.map_err(|error| failure(&error))?;
        }
    }
    Ok(config)
}

impl Asked<'_, '_> {
    /// The operand as bytes.
    fn operand(&self) -> &[u8] {
        self.call.operand.as_bytes()
    }

    /// The operand as an address, without its quotes.
    fn address(&self) -> Internal<'static> {
        internal(&self.call.operand)
    }

    /// The operand as an address with a domain, as maps of addresses get it.
    fn completed(&mut self) -> Result<Internal<'static>, Fatal> {
        let completion = Completion::open(self.setup).map_err(|error| failure(&error))?;
        Ok(completion.complete(&self.address().quote()))
    }

    /// The sender in the options.
    fn sender(&self) -> Internal<'static> {
        self.call
            .value("sender")
            .map_or_else(|| Internal::new(Vec::new()), internal)
    }

    fn agent(&self) -> Agent {
        match self.call.has("lmtp") {
            true => Agent::Lmtp,
            false => Agent::Smtp,
        }
    }

    /// The role in the options, one of `roles`, of which the first is meant without one.
    fn role(&self, roles: &[&'static str]) -> Result<&'static str, Fatal> {
        let Some(asked) = self.call.value("as") else {
            return Ok(roles.first().copied().unwrap_or_default());
        };
        let mut known = roles.iter().copied();
        let found = known.find(|role| asked == *role);
        found.ok_or_else(|| format!("--as is one of {}", roles.join(", ")).into())
    }

    /// A parameter that is shown to the user.
    fn parameter(&mut self, name: &str) -> Result<Vec<u8>, Fatal> {
        self.setup.text(name).map_err(|error| failure(&error))
    }
}

/// An address of the command line, without its quotes. It may have the angle brackets of mail logs;
/// `<>` is the null address.
fn internal(word: &OsStr) -> Internal<'static> {
    let word = word.as_bytes();
    let inside = word
        .strip_prefix(b"<")
        .and_then(|word| word.strip_suffix(b">"));
    External::new(inside.unwrap_or(word)).unquote()
}

/// An error of rules that cannot be set up at all.
fn no_rules(error: Error) -> Fatal {
    failure(&error)
}
