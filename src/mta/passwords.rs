//! Servers to user names and passwords.

use std::path::Path;

use crate::error::Result;
use crate::mta::live::Live;
use crate::mta::settings::Settings;
use crate::rules::address::Internal;
use crate::rules::nexthop::{Agent, Destination, DestinationError, Nexthops};
use crate::rules::sasl_password::{self, Credentials, Server};
use crate::rules::trace::{NoTrace, Trace};

/// The credentials for servers that mail is passed on to (`smtp_sasl_password_maps`), by the rules
/// in [`sasl_password`].
///
/// ```
/// use rpostmap::mta::Settings;
///
/// let passwords = Settings::default()
///     .set("smtp_sasl_password_maps", "inline:{ [gw.example.net]:587=ann:s3cret }")
///     .sasl_passwords()?;
/// let destination = passwords.destinations(b"[gw.example.net]:587").expect("well-formed").remove(0);
/// let login = passwords.lookup("ann@corp.example", &destination, "gw.example.net")?;
/// let login = login.expect("credentials");
/// assert_eq!((login.username(), login.password()), (&b"ann"[..], &b"s3cret"[..]));
/// assert!(!format!("{login:?}").contains("s3cret"));
/// # Ok::<(), rpostmap::Error>(())
/// ```
///
/// What is handed out is wiped from memory when it is dropped. The tables themselves are in memory
/// too, as in any program that reads them.
pub struct SaslPasswords {
    live: Live<Rules>,
}

struct Rules {
    passwords: sasl_password::SaslPasswords,
    nexthops: Nexthops,
}

impl SaslPasswords {
    /// Reads main.cf (the file, or the directory it is in) and opens the tables of the SMTP client;
    /// see [`Settings`] for more control.
    ///
    /// # Errors
    ///
    /// `Io` when main.cf cannot be read, `Config` when something in it cannot be understood. A
    /// table that cannot be opened is no error yet: lookups fail until it can be.
    pub fn from_main_cf(path: impl AsRef<Path>) -> Result<SaslPasswords> {
        Settings::from_main_cf(path)?.sasl_passwords()
    }

    pub(super) fn open(agent: Agent, settings: Settings) -> Result<SaslPasswords> {
        let live = Live::open(settings, move |settings, setup| {
            Ok(Rules {
                passwords: sasl_password::SaslPasswords::open(agent, setup)?,
                nexthops: settings.nexthops(agent)?,
            })
        })?;
        Ok(SaslPasswords { live })
    }

    /// The credentials of `sender` for `destination`, once a connection is made to its host or mail
    /// exchanger `host`, a name without brackets or an address. Without credentials mail is sent
    /// without authentication.
    ///
    /// # Errors
    ///
    /// When a table fails: mail must wait.
    pub fn lookup<'a>(
        &self,
        sender: impl Into<Internal<'a>>,
        destination: &Destination,
        host: impl AsRef<[u8]>,
    ) -> Result<Option<Credentials>> {
        let server = Server {
            sender: &sender.into(),
            host: host.as_ref(),
            destination: &destination.text,
        };
        self.lookup_traced(&server, &mut NoTrace)
    }

    /// As [`SaslPasswords::lookup`]; `trace` hears of each key, but of no password.
    ///
    /// # Errors
    ///
    /// As [`SaslPasswords::lookup`].
    pub fn lookup_traced(
        &self,
        server: &Server<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Credentials>> {
        self.live.current().passwords.find(server, trace)
    }

    /// The destinations in a nexthop, in the order they are tried.
    ///
    /// # Errors
    ///
    /// When one is malformed.
    pub fn destinations(&self, nexthop: &[u8]) -> Result<Vec<Destination>, DestinationError> {
        self.live.current().nexthops.parse(nexthop)
    }

    /// Looks at main.cf and all other files now, whatever the interval.
    pub fn refresh(&self) {
        self.live.refresh();
    }
}
