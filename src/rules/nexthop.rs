//! Destinations of the SMTP and LMTP clients: what `relayhost` and results of `transport_maps` say
//! about where mail goes.
//!
//! | text | host | MX lookup | port |
//! |---|---|---|---|
//! | `example.com` | `example.com` | yes | the default |
//! | `example.com:587` | `example.com` | **yes** | 587 |
//! | `[mx.example.com]:587` | `mx.example.com` | no | 587 |
//! | `[192.0.2.1]`, `[2001:db8::1]`, `[IPv6:2001:db8::1]` | the address | no | the default |
//! | `192.0.2.1:587` | the address | no | 587 |
//!
//! A nexthop can hold several, separated by commas or white space, which are tried in order.

use std::fmt;

use crate::config::Config;
use crate::error::Result;
use crate::rules::host;
use crate::rules::tables::items;

/// Which program delivers: they have parameters of their own, and LMTP knows sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agent {
    /// The SMTP client; its parameters begin with `smtp_`.
    Smtp,
    /// The LMTP client; its parameters begin with `lmtp_`.
    Lmtp,
}

impl Agent {
    /// The full name of a parameter: `sasl_password_maps` is `smtp_sasl_password_maps` or
    /// `lmtp_sasl_password_maps`.
    pub fn parameter(self, name: &str) -> String {
        match self {
            Agent::Smtp => format!("smtp_{name}"),
            Agent::Lmtp => format!("lmtp_{name}"),
        }
    }
}

/// A place to deliver to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As it was written: brackets, port, letter case. The key of the tables about destinations.
    pub text: Vec<u8>,
    /// Where that is.
    pub place: Place,
}

/// Where a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A host or a domain.
    Host {
        /// Its name or address, without brackets and tag.
        host: Vec<u8>,
        /// The service as it was written, or the default.
        service: Vec<u8>,
        /// The port that the service stands for.
        port: u16,
        /// Whether it was written in brackets: there are no MX or SRV lookups.
        brackets: bool,
    },
    /// A socket in the file system (LMTP): its path.
    Socket(Vec<u8>),
}

/// What is wrong with the text of a destination. The delivery process gives up on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestinationError {
    /// `[host`
    MissingRightBracket,
    /// `[host]text`
    GarbageAfterBracket,
    /// `[IPv6:text]`
    BadIpv6Address,
    /// `:port`
    MissingHost,
    /// Neither a host name nor an address.
    BadHost,
    /// `host:25x`
    GarbageAfterPort,
    /// Not within 1 to 65535.
    BadPort,
    /// No such name of a service.
    UnknownService,
}

impl DestinationError {
    /// A short name that does not change.
    pub fn name(self) -> &'static str {
        match self {
            DestinationError::MissingRightBracket => "missing-right-bracket",
            DestinationError::GarbageAfterBracket => "garbage-after-bracket",
            DestinationError::BadIpv6Address => "bad-ipv6-address",
            DestinationError::MissingHost => "missing-host",
            DestinationError::BadHost => "bad-host",
            DestinationError::GarbageAfterPort => "garbage-after-port",
            DestinationError::BadPort => "bad-port",
            DestinationError::UnknownService => "unknown-service",
        }
    }
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DestinationError::MissingRightBracket => "missing ']' after '['",
            DestinationError::GarbageAfterBracket => "text after ']' that is not \":port\"",
            DestinationError::BadIpv6Address => "no IPv6 address behind the tag",
            DestinationError::MissingHost => "no host before ':'",
            DestinationError::BadHost => {
                "not a valid host name or address (an IPv6 address needs brackets)"
            }
            DestinationError::GarbageAfterPort => "text after the port number",
            DestinationError::BadPort => "port is not within 1 to 65535",
            DestinationError::UnknownService => "unknown service name",
        })
    }
}

impl std::error::Error for DestinationError {}

/// The names of TCP services and their ports.
#[derive(Clone, Debug, Default)]
pub struct Services {
    ports: Vec<(Vec<u8>, u16)>,
}

impl Services {
    /// The services in `known_tcp_ports`: `lmtp=24, smtps=submissions=465`. What is no port is left
    /// out.
    pub fn known(text: &[u8]) -> Services {
        let mut ports = Vec::new();
        for item in items(text) {
            let mut names: Vec<&[u8]> = item.split(|&byte| byte == b'=').collect();
            let port = names.pop().and_then(number);
            for name in names {
                ports.extend(port.map(|port| (name.to_vec(), port)));
            }
        }
        Services { ports }
    }

    /// As [`Services::known`], from the configuration.
    ///
    /// # Errors
    ///
    /// `Config` when the parameter cannot be expanded.
    pub fn from_config(config: &Config, warn: &mut dyn FnMut(Vec<u8>)) -> Result<Services> {
        Ok(Services::known(&config.text("known_tcp_ports", warn)?))
    }

    /// Adds the TCP services of a file like `/etc/services`, which is asked for names that are not
    /// known yet: lines `name port/tcp alias..`, comments from `#` on.
    pub fn add_system(&mut self, text: &[u8]) {
        for line in text.split(|&byte| byte == b'\n') {
            let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
            let mut words = line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty());
            let (Some(name), Some(port)) = (words.next(), words.next()) else {
                continue;
            };
            let port = port.strip_suffix(b"/tcp").and_then(number);
            for name in std::iter::once(name).chain(words) {
                self.ports.extend(port.map(|port| (name.to_vec(), port)));
            }
        }
    }

    /// The port of the service `name`; names are case-sensitive.
    pub fn port(&self, name: &[u8]) -> Option<u16> {
        let found = self.ports.iter().find(|(known, _)| known == name);
        found.map(|&(_, port)| port)
    }
}

/// A port number: digits alone, 1 to 65535.
fn number(digits: &[u8]) -> Option<u16> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    text.parse().ok().filter(|&port| port > 0)
}

/// How the text of a nexthop is read.
#[derive(Clone, Debug)]
pub struct Nexthops {
    agent: Agent,
    services: Services,
    default_service: Vec<u8>,
    utf8: bool,
}

impl Nexthops {
    /// `default_service` is for destinations without one.
    pub fn new(agent: Agent, services: Services, default_service: &[u8], utf8: bool) -> Nexthops {
        Nexthops {
            agent,
            services,
            default_service: default_service.to_vec(),
            utf8,
        }
    }

    /// From the configuration: `smtp_tcp_port` or `lmtp_tcp_port`.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be expanded.
    pub fn from_config(
        agent: Agent,
        services: Services,
        config: &Config,
        warn: &mut dyn FnMut(Vec<u8>),
    ) -> Result<Nexthops> {
        let default_service = config.text(&agent.parameter("tcp_port"), warn)?;
        let utf8 = config.smtputf8_enable(warn)?;
        Ok(Nexthops::new(agent, services, &default_service, utf8))
    }

    /// The destinations in `nexthop`, in the order they are tried.
    ///
    /// ```
    /// use rpostmap::rules::nexthop::{Agent, Nexthops, Place, Services};
    ///
    /// let services = Services::known(b"smtp=25, submission=587");
    /// let nexthops = Nexthops::new(Agent::Smtp, services, b"smtp", true);
    /// let found = nexthops.parse(b"[mx.example.com]:submission")?;
    /// assert!(matches!(found[0].place, Place::Host { port: 587, brackets: true, .. }));
    /// # Ok::<(), rpostmap::rules::nexthop::DestinationError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// For the first destination that is malformed.
    pub fn parse(&self, nexthop: &[u8]) -> Result<Vec<Destination>, DestinationError> {
        let mut nexthop = nexthop;
        if self.agent == Agent::Lmtp {
            if let Some(path) = nexthop.strip_prefix(b"unix:") {
                return Ok(vec![Destination {
                    text: path.to_vec(),
                    place: Place::Socket(path.to_vec()),
                }]);
            }
            nexthop = nexthop.strip_prefix(b"inet:").unwrap_or(nexthop);
        }
        items_of(nexthop)
            .map(|text| self.destination(text))
            .collect()
    }

    fn destination(&self, text: &[u8]) -> Result<Destination, DestinationError> {
        let (host, service, brackets) = split(text)?;
        if !host::is_host_name(host, self.utf8) && host::address(host).is_none() {
            return Err(DestinationError::BadHost);
        }
        let service = service.unwrap_or(&self.default_service);
        let port = if service.first().is_some_and(u8::is_ascii_digit) {
            if !service.iter().all(u8::is_ascii_digit) {
                return Err(DestinationError::GarbageAfterPort);
            }
            number(service).ok_or(DestinationError::BadPort)?
        } else {
            let port = self.services.port(service);
            port.ok_or(DestinationError::UnknownService)?
        };
        Ok(Destination {
            text: text.to_vec(),
            place: Place::Host {
                host: host.to_vec(),
                service: service.to_vec(),
                port,
                brackets,
            },
        })
    }
}

/// The texts of the destinations in `nexthop`. Braces mean nothing here.
pub(super) fn items_of(nexthop: &[u8]) -> impl Iterator<Item = &[u8]> {
    nexthop
        .split(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n'))
        .filter(|text| !text.is_empty())
}

type HostAndService<'a> = (&'a [u8], Option<&'a [u8]>, bool);

/// The host, the service if there is one, and whether there were brackets.
fn split(text: &[u8]) -> Result<HostAndService<'_>, DestinationError> {
    let some = |service: &'_ [u8]| !service.is_empty();
    if let Some(rest) = text.strip_prefix(b"[") {
        let tagged = host::strip_tag(rest);
        let rest = tagged.unwrap_or(rest);
        let end = memchr::memchr(b']', rest).ok_or(DestinationError::MissingRightBracket)?;
        let (host, behind) = rest.split_at(end);
        let service = match behind {
            [_] => None,
            [_, b':', service @ ..] => Some(service).filter(|service| some(service)),
            _ => return Err(DestinationError::GarbageAfterBracket),
        };
        if tagged.is_some() && host::ipv6(host).is_none() {
            return Err(DestinationError::BadIpv6Address);
        }
        return Ok((host, service, true));
    }
    let (host, service) = match memchr::memrchr(b':', text) {
        None => (text, None),
        Some(colon) => {
            let (host, behind) = text.split_at(colon);
            let service = behind.get(1..).unwrap_or_default();
            (host, Some(service).filter(|service| some(service)))
        }
    };
    if host.is_empty() {
        return Err(DestinationError::MissingHost);
    }
    Ok((host, service, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DestinationError::{
        BadHost, BadIpv6Address, BadPort, GarbageAfterBracket, GarbageAfterPort, MissingHost,
        MissingRightBracket, UnknownService,
    };

    fn nexthops(agent: Agent) -> Nexthops {
        let mut services = Services::known(b"lmtp=24, smtp=25, smtps=submissions=465 bad=x");
        services.add_system(b"# name\nqotd 17/tcp quote # words\nudp 9/udp\nsmtp 26/tcp\n");
        Nexthops::new(agent, services, b"smtp", true)
    }

    #[test]
    fn hosts_and_ports_are_told_apart_or_the_first_mistake_is() {
        for (text, expect) in [
            ("a.example", Ok(("a.example", 25))),
            ("a_b.example:submissions", Ok(("a_b.example", 465))),
            ("a.example:", Ok(("a.example", 25))),
            ("a.example:quote", Ok(("a.example", 17))),
            ("[a.example]:0025", Ok(("a.example", 25))),
            ("[IPV6:2001:db8::1]", Ok(("2001:db8::1", 25))),
            ("192.0.2.1", Ok(("192.0.2.1", 25))),
            ("[a.example", Err(MissingRightBracket)),
            ("[IPv6:x", Err(MissingRightBracket)),
            ("[a.example]x", Err(GarbageAfterBracket)),
            ("[IPv6:x]y", Err(GarbageAfterBracket)),
            ("[IPv6:192.0.2.1]", Err(BadIpv6Address)),
            ("[IPv6:]", Err(BadIpv6Address)),
            (":25", Err(MissingHost)),
            ("[]", Err(BadHost)),
            ("[]:99999", Err(BadHost)),
            ("[[a]]", Err(GarbageAfterBracket)),
            ("a.example.", Err(BadHost)),
            ("1.2.3", Err(BadHost)),
            ("2001:db8::1", Err(BadHost)),
            ("unix:/path", Err(UnknownService)),
            ("a.example:25x", Err(GarbageAfterPort)),
            ("a.example:0", Err(BadPort)),
            ("a.example:65536", Err(BadPort)),
            ("a.example:99999999999999999999", Err(BadPort)),
            ("a.example:SMTP", Err(UnknownService)),
            ("a.example:bad", Err(UnknownService)),
            ("a.example:udp", Err(UnknownService)),
            ("a.example:-1", Err(UnknownService)),
        ] {
            let found = nexthops(Agent::Smtp).parse(text.as_bytes());
            let found = found.map(|found| match &found[..] {
                [
                    Destination {
                        text: as_written,
                        place: Place::Host { host, port, .. },
                    },
                ] => {
                    assert_eq!(as_written, text.as_bytes());
                    (String::from_utf8(host.clone()).unwrap(), *port)
                }
                other => panic!("{text}: {other:?}"),
            });
            let expect = expect.map(|(host, port): (&str, u16)| (host.to_owned(), port));
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn several_destinations_are_tried_in_order() {
        let found = nexthops(Agent::Smtp).parse(b" [a]:25, b\tc,,").unwrap();
        let texts: Vec<_> = found.iter().map(|found| &found.text[..]).collect();
        assert_eq!(texts, [b"[a]:25".as_slice(), b"b", b"c"]);
        assert_eq!(nexthops(Agent::Smtp).parse(b"a, :1, c."), Err(MissingHost));
    }

    #[test]
    fn only_lmtp_knows_sockets() {
        let found = nexthops(Agent::Lmtp).parse(b"unix:private/lmtp").unwrap();
        assert_eq!(found[0].place, Place::Socket(b"private/lmtp".to_vec()));
        let found = nexthops(Agent::Lmtp).parse(b"inet:a.example:24").unwrap();
        assert_eq!(found[0].text, b"a.example:24");
        assert!(nexthops(Agent::Smtp).parse(b"inet:a.example:24").is_err());
    }
}
