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
/// All lookups for one route see parameters, tables and lists as they were at one moment. At most once
/// in an interval it is looked whether main.cf, the file of a table or a file named in a list
/// (`mydestination = /file`) has changed; then all that has changed is read, and takes the place of the
/// old at once. What cannot be read or is damaged leaves the old in place, and the listener hears
/// why. More about tables: [`LiveTable`](crate::table::LiveTable).
pub struct Router {
    live: Live<Rules>,
}

struct Rules {
    resolver: Resolver,
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
        let live = Live::open(settings, |settings, setup| {
            Ok(Rules {
                resolver: Resolver::open(setup)?,
                smtp: settings.nexthops(Agent::Smtp)?,
                lmtp: settings.nexthops(Agent::Lmtp)?,
            })
        })?;
        Ok(Router { live })
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
        let rules = self.live.current();
        match rules.resolver.resolve(sender, recipient, trace) {
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
        let rules = self.live.current();
        match agent {
            Agent::Smtp => rules.smtp.parse(nexthop),
            Agent::Lmtp => rules.lmtp.parse(nexthop),
        }
    }

    /// Looks at main.cf and all other files now, whatever the interval.
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
