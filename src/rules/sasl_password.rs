//! `smtp_sasl_password_maps`: the credentials for a server.
//!
//! | step | key | scope | used if |
//! |---|---|---|---|
//! | 1 | the sender, by the address search | all, then fixed | `smtp_sender_dependent_authentication = yes`, the sender is not null, SMTP |
//! | 2 | the host that was connected to | all | always |
//! | 3 | the text of the destination | all | always |
//!
//! The first key found wins. So the bare name of a host is a key for **every** port and every way
//! to that host, and hides `[host]:587`. Nothing else is tried: no parent domain, no brackets or
//! port put on or taken off.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::address::Internal;
use crate::rules::nexthop::Agent;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::{Scope, Trace};

/// A user name and a password. Both are wiped from memory when this is dropped; the password is
/// not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: Zeroizing<Vec<u8>>,
    password: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Splits the value of a table at the **first** `delimiter`; all behind it is the password,
    /// blanks included. Without a delimiter the password is empty.
    pub fn parse(value: &[u8], delimiter: u8) -> Credentials {
        let at = memchr::memchr(delimiter, value).unwrap_or(value.len());
        let (username, behind) = value.split_at(at);
        Credentials {
            username: Zeroizing::new(username.to_vec()),
            password: Zeroizing::new(behind.get(1..).unwrap_or_default().to_vec()),
        }
    }

    /// The user name. Servers refuse an empty one.
    pub fn username(&self) -> &[u8] {
        &self.username
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field(
                "username",
                &format_args!("\"{}\"", self.username.escape_ascii()),
            )
            .field("password", &"(hidden)")
            .finish()
    }
}

/// Where mail is about to go.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// The envelope sender.
    pub sender: &'a Internal<'a>,
    /// The name whose address was connected to: the target of an MX or SRV record, or the name or
    /// address of the destination without brackets and tag. Not the target of a CNAME, unless
    /// `smtp_cname_overrides_servername = yes`. As A-labels.
    pub host: &'a [u8],
    /// The text of the destination that is tried, as it was written
    /// ([`Destination::text`](crate::rules::nexthop::Destination::text)).
    pub destination: &'a [u8],
}

/// The tables with credentials.
pub struct SaslPasswords {
    list: TableList,
    by_sender: bool,
    delimiter: u8,
    addresses: Arc<AddressRules>,
}

impl SaslPasswords {
    /// The tables of `agent`.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood. The delimiter is a single character.
    pub fn open(agent: Agent, setup: &mut Setup<'_>) -> Result<SaslPasswords> {
        let name = agent.parameter("sasl_password_result_delimiter");
        let &[delimiter] = setup.text(&name)?.as_slice() else {
            let what = format!("{name} is not one character");
            return Err(Error::new(ErrorKind::Config { what }));
        };
        let by_sender = agent.parameter("sender_dependent_authentication");
        let options = ListOptions {
            secret: true,
            ..ListOptions::PLAIN
        };
        Ok(SaslPasswords {
            list: setup.tables_with(&agent.parameter("sasl_password_maps"), options)?,
            // LMTP has the parameter but does not look senders up.
            by_sender: agent == Agent::Smtp && setup.boolean(&by_sender)?,
            delimiter,
            addresses: setup.addresses()?,
        })
    }

    /// The tables.
    pub fn list(&self) -> &TableList {
        &self.list
    }

    /// The credentials for `server`; without any mail is sent without authentication.
    ///
    /// # Errors
    ///
    /// When a table fails: mail must wait.
    pub fn find(&self, server: &Server<'_>, trace: &mut dyn Trace) -> Result<Option<Credentials>> {
        let found = match self.find_by_sender(server.sender, trace)? {
            Some(found) => Some(found),
            None => match self.list.find(server.host, Scope::All, trace)? {
                Some(found) => Some(found),
                None => self.list.find(server.destination, Scope::All, trace)?,
            },
        };
        // What the table had to copy is wiped as well.
        let found = found.map(|value| match value {
            Cow::Borrowed(value) => Credentials::parse(value, self.delimiter),
            Cow::Owned(value) => Credentials::parse(&Zeroizing::new(value), self.delimiter),
        });
        Ok(found)
    }

    fn find_by_sender(
        &self,
        sender: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        if !self.by_sender || sender.is_null() {
            return Ok(None);
        }
        let found = self
            .addresses
            .find(&self.list, sender, &Search::ADDRESS, trace)?;
        Ok(found.map(|found| found.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::NoTrace;

    #[test]
    fn the_first_delimiter_separates() {
        for (value, username, password) in [
            ("alice:s3cret", "alice", "s3cret"),
            ("alice:a:b", "alice", "a:b"),
            ("alice: a ", "alice", " a "),
            ("alice", "alice", ""),
            ("alice:", "alice", ""),
            (":x", "", "x"),
        ] {
            let found = Credentials::parse(value.as_bytes(), b':');
            assert_eq!(
                (found.username(), found.password()),
                (username.as_bytes(), password.as_bytes()),
                "{value}"
            );
        }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        let text = format!("{:?}", Credentials::parse(b"alice:s3cret", b':'));
        assert!(text.contains("alice") && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn the_delimiter_is_one_character_and_failure_is_not_absence() {
        let find = |delimiter: &str, maps: &str| {
            let mut config = Config::default();
            config.set("smtp_sasl_password_result_delimiter", delimiter);
            config.set("smtp_sasl_password_maps", maps);
            let mut warn = |_| {};
            let mut setup = Setup::new(&config, &mut warn)?;
            let passwords = SaslPasswords::open(Agent::Smtp, &mut setup)?;
            let server = Server {
                sender: &Internal::from("a@b"),
                host: b"mx",
                destination: b"[mx]",
            };
            passwords.find(&server, &mut NoTrace)
        };
        assert_eq!(find("|", "static:u|p").unwrap().unwrap().password(), b"p");
        assert!(find(":", "").unwrap().is_none());
        assert!(find(":", "fail:x").unwrap_err().is_temporary());
        assert!(find("", "").is_err());
        assert!(find("::", "").is_err());
    }
}
