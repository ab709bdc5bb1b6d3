//! Sender and recipient to transport, nexthop and class.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result, with_cause};
use crate::mta::live::Live;
use crate::mta::settings::Settings;
use crate::rules::address::Internal;
use crate::rules::nexthop::{Agent, Destination, DestinationError, Nexthops};
use crate::rules::resolve::{Resolution, Resolver, Route};
use crate::rules::trace::{NoTrace, Trace};

/// Tells where mail goes, by the parameters and tables of Postfix.
///
/// ```
/// use rpostmap::Router;
/// use rpostmap::mta::Verdict;
///
/// # let dir = std::env::temp_dir().join(format!("rpostmap-router-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).expect("a directory");
/// # std::fs::write(dir.join("main.cf"), "relayhost = [gw.example.net]:587\n").expect("written");
/// let router = Router::from_main_cf(&dir)?; // "/etc/postfix"
/// let route = router.route("ann@corp.example", "bob@example.org")?;
/// assert_eq!((&*route.transport, &*route.nexthop), (&b"smtp"[..], &b"[gw.example.net]:587"[..]));
/// assert_eq!((route.class.name(), route.verdict()), ("default", Verdict::Deliver));
/// # std::fs::remove_dir_all(&dir).expect("removed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// All lookups for one route see the tables as they were at one moment. When files have changed see
/// [`LiveTable`](crate::table::LiveTable); files named in lists (`mydestination = /file`) are read
/// when the router is made and whenever a table has changed.
pub struct Router {
    live: Live<Resolver>,
    smtp: Nexthops,
    lmtp: Nexthops,
}

impl Router {
    /// Reads main.cf (the file, or the directory it is in) and opens its tables; see [`Settings`]
    /// for more control.
    ///
    /// # Errors
    ///
    /// `Io` when main.cf cannot be read, `Config` when something in it cannot be understood. A
    /// table that cannot be opened is no error yet: routes that need it fail until it can be.
    pub fn from_main_cf(path: impl AsRef<Path>) -> Result<Router> {
        Settings::from_main_cf(path)?.router()
    }

    pub(super) fn open(settings: Settings) -> Result<Router> {
        let nexthops = |agent| {
            let services = settings.services(&mut |_| {})?;
            Nexthops::from_config(agent, services, settings.config(), &mut |_| {})
        };
        Ok(Router {
            smtp: nexthops(Agent::Smtp)?,
            lmtp: nexthops(Agent::Lmtp)?,
            live: Live::open(settings, Resolver::open)?,
        })
    }

    /// The route of mail from `sender` to `recipient`, after aliases and rewriting: what the queue
    /// manager asks for. Both are addresses as envelopes have them, without quotes; those of SMTP
    /// commands, which have them, are an [`External`](crate::rules::address::External). The null
    /// sender, that of bounces, is `""`.
    ///
    /// # Errors
    ///
    /// See [`RouteError`]: one is permanent and one is temporary.
    pub fn route<'a>(
        &self,
        sender: impl Into<Internal<'a>>,
        recipient: impl Into<Internal<'a>>,
    ) -> Result<Route, RouteError> {
        self.route_traced(&sender.into(), &recipient.into(), &mut NoTrace)
    }

    /// As [`Router::route`]; `trace` hears of each key.
    ///
    /// # Errors
    ///
    /// As [`Router::route`].
    pub fn route_traced(
        &self,
        sender: &Internal<'_>,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Route, RouteError> {
        match self.live.current().resolve(sender, recipient, trace) {
            Ok(Resolution::Route(route)) => Ok(route),
            Ok(Resolution::Invalid) => Err(RouteError::Invalid),
            Err(error) => Err(RouteError::Unknown(error)),
        }
    }

    /// The destinations in a nexthop, in the order they are tried. `agent` is what the transport
    /// runs, by master.cf: `smtp`, `relay` and the like are SMTP.
    ///
    /// # Errors
    ///
    /// When one is malformed: mail must wait until the configuration is corrected.
    pub fn destinations(
        &self,
        agent: Agent,
        nexthop: &[u8],
    ) -> Result<Vec<Destination>, DestinationError> {
        match agent {
            Agent::Smtp => self.smtp.parse(nexthop),
            Agent::Lmtp => self.lmtp.parse(nexthop),
        }
    }

    /// Looks at the files of all tables now, whatever the interval.
    pub fn refresh(&self) {
        self.live.refresh();
    }
}

/// Why there is no route.
#[derive(Debug)]
pub enum RouteError {
    /// The recipient can never be delivered to: its domain is no host name, or it begins with `-`.
    /// Permanent: 5xx.
    Invalid,
    /// A table or list could not tell. Temporary: 4xx, whatever the error, because the
    /// configuration can be repaired.
    Unknown(Error),
}

impl RouteError {
    /// Whether it may succeed later: a mail server answers 4xx then, not 5xx.
    pub fn is_temporary(&self) -> bool {
        matches!(self, RouteError::Unknown(_))
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteError::Invalid => f.write_str("bad recipient address syntax"),
            RouteError::Unknown(error) => f.write_str(&with_cause(error)),
        }
    }
}

impl std::error::Error for RouteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RouteError::Invalid => None,
            RouteError::Unknown(error) => error.source(),
        }
    }
}

/// What is to be done by a [`Route`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Deliver by the transport.
    Deliver,
    /// Return the mail, for this reason; it may begin with a status like `5.1.1`. Permanent.
    Bounce(&'a [u8]),
    /// Keep the mail and try again later, for this reason. Temporary.
    Defer(&'a [u8]),
}

impl Route {
    /// Whether the route leads somewhere: the transports `error` and `retry` do not.
    pub fn verdict(&self) -> Verdict<'_> {
        match self.transport.as_slice() {
            b"error" => Verdict::Bounce(&self.nexthop),
            b"retry" => Verdict::Defer(&self.nexthop),
            _ => Verdict::Deliver,
        }
    }
}
