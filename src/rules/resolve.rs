//! From a recipient to its route: transport, nexthop and address class.
//!
//! | class | if the domain | transport | nexthop |
//! |---|---|---|---|
//! | local | is this machine | `local_transport` | the domain |
//! | virtual alias | is in `virtual_alias_domains` | `error` | a reason |
//! | virtual mailbox | is in `virtual_mailbox_domains` | `virtual_transport` | the domain |
//! | relay | is in `relay_domains` | `relay_transport` | `relayhost`, or the domain |
//! | default | is none of them | `default_transport` | `relayhost`, or the domain |
//!
//! The sender has a say in `default_transport` and `relayhost`
//! (`sender_dependent_default_transport_maps`, `sender_dependent_relayhost_maps`); a nexthop in a
//! transport parameter replaces the one here. Then come `transport_maps`
//! ([`transport`](crate::rules::transport); not for the class virtual alias) and `relocated_maps`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::address::Internal;
use crate::rules::match_list::MatchList;
use crate::rules::recipient::Recipients;
use crate::rules::relocated::Relocated;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::Trace;
use crate::rules::transport::{TransportMaps, TransportValue};

/// What a domain is to this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// This machine.
    Local,
    /// Its users are aliases for others.
    VirtualAlias,
    /// Its users have mailboxes here without being users of the system.
    VirtualMailbox,
    /// Mail for it is taken and passed on.
    Relay,
    /// Any other.
    Default,
}

impl Class {
    /// A short name that does not change.
    pub fn name(self) -> &'static str {
        match self {
            Class::Local => "local",
            Class::VirtualAlias => "virtual_alias",
            Class::VirtualMailbox => "virtual_mailbox",
            Class::Relay => "relay",
            Class::Default => "default",
        }
    }
}

/// How and where mail is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name of a service in master.cf. Whether there is one is not known here.
    pub transport: Vec<u8>,
    /// Where to, in the syntax of the transport. For SMTP and LMTP see
    /// [`nexthop`](crate::rules::nexthop).
    pub nexthop: Vec<u8>,
    /// The recipient with its domain.
    pub recipient: Internal<'static>,
    /// The class of its domain.
    pub class: Class,
}

/// What becomes of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is delivered by this route.
    Route(Route),
    /// It is refused: the domain is no host name, or the address begins with `-`.
    Invalid,
}

/// All that decides about routes.
pub struct Resolver {
    recipients: Recipients,
    addresses: Arc<AddressRules>,
    virtual_alias_domains: MatchList,
    virtual_mailbox_domains: MatchList,
    relay_domains: MatchList,
    local_transport: Vec<u8>,
    virtual_transport: Vec<u8>,
    relay_transport: Vec<u8>,
    default_transport: Vec<u8>,
    relayhost: Vec<u8>,
    sender_transports: BySender,
    sender_relayhosts: BySender,
    transport_maps: TransportMaps,
    relocated: Relocated,
    user_unknown: &'static [u8],
    allow_min_user: bool,
}

impl Resolver {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood, or one of the transports is empty.
    pub fn open(setup: &mut Setup<'_>) -> Result<Resolver> {
        Ok(Resolver {
            recipients: Recipients::open(setup)?,
            addresses: setup.addresses()?,
            virtual_alias_domains: setup.match_list("virtual_alias_domains")?,
            virtual_mailbox_domains: setup.match_list("virtual_mailbox_domains")?,
            relay_domains: setup.match_list("relay_domains")?,
            local_transport: transport("local_transport", setup)?,
            virtual_transport: transport("virtual_transport", setup)?,
            relay_transport: transport("relay_transport", setup)?,
            default_transport: transport("default_transport", setup)?,
            relayhost: setup.text("relayhost")?,
            sender_transports: BySender::open(
                "sender_dependent_default_transport_maps",
                "empty_address_default_transport_maps_lookup_key",
                setup,
            )?,
            sender_relayhosts: BySender::open(
                "sender_dependent_relayhost_maps",
                "empty_address_relayhost_maps_lookup_key",
                setup,
            )?,
            transport_maps: TransportMaps::open(setup)?,
            relocated: Relocated::open(setup)?,
            user_unknown: if setup.boolean("show_user_unknown_table_name")? {
                b"5.1.1 User unknown in virtual alias table"
            } else {
                b"5.1.1 User unknown"
            },
            allow_min_user: setup.boolean("allow_min_user")?,
        })
    }

    /// The tables of `transport_maps`.
    pub fn transport_maps(&self) -> &TransportMaps {
        &self.transport_maps
    }

    /// The route of mail from `sender` to `recipient`. The recipient is read as
    /// [`Recipients::read`] says; the sender is taken as it is, null for bounces.
    ///
    /// # Errors
    ///
    /// When a table or list fails, or a transport has no name: mail must wait.
    pub fn resolve(
        &self,
        sender: &Internal<'_>,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Resolution> {
        let recipient = self.recipients.read(recipient, trace)?;
        if !recipient.is_valid {
            return Ok(Resolution::Invalid);
        }
        let domain = recipient.domain();
        let class = match recipient.is_local {
            true => Class::Local,
            false => self.class(domain, trace)?,
        };
        let (mut transport, mut nexthop) = self.route(class, domain, sender, trace)?;
        if class != Class::VirtualAlias
            && let Some(value) = self.transport_maps.find(&recipient.address, trace)?
        {
            TransportValue::parse(&value).apply(domain, &mut transport, &mut nexthop);
        }
        if let Some(text) = self.relocated.find(&recipient.address, trace)? {
            transport = b"error".to_vec();
            nexthop = text;
        }
        if !self.allow_min_user && recipient.address.as_bytes().starts_with(b"-") {
            return Ok(Resolution::Invalid);
        }
        Ok(Resolution::Route(Route {
            transport,
            nexthop,
            recipient: recipient.address,
            class,
        }))
    }

    /// The class of a domain that is not this machine.
    fn class(&self, domain: &[u8], trace: &mut dyn Trace) -> Result<Class> {
        Ok(if self.virtual_alias_domains.matches_text(domain, trace)? {
            Class::VirtualAlias
        } else if self.virtual_mailbox_domains.matches_text(domain, trace)? {
            Class::VirtualMailbox
        } else if self.relay_domains.matches_domain(domain, trace)? {
            Class::Relay
        } else {
            Class::Default
        })
    }

    /// Transport and nexthop before `transport_maps`.
    fn route(
        &self,
        class: Class,
        domain: &[u8],
        sender: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let from_sender;
        let (parameter, value) = match class {
            Class::Local => ("local_transport", &self.local_transport),
            Class::VirtualMailbox => ("virtual_transport", &self.virtual_transport),
            Class::Relay => ("relay_transport", &self.relay_transport),
            Class::VirtualAlias => return Ok((b"error".to_vec(), self.user_unknown.to_vec())),
            Class::Default => match self
                .sender_transports
                .find(&self.addresses, sender, trace)?
            {
                Some(value) => {
                    from_sender = value.into_owned();
                    ("sender_dependent_default_transport_maps", &from_sender)
                }
                None => ("default_transport", &self.default_transport),
            },
        };
        let relayed = match class {
            Class::Relay | Class::Default => {
                let found = self
                    .sender_relayhosts
                    .find(&self.addresses, sender, trace)?;
                let found = found.unwrap_or(Cow::Borrowed(&self.relayhost));
                Some(found).filter(|nexthop| !nexthop.is_empty())
            }
            Class::Local | Class::VirtualAlias | Class::VirtualMailbox => None,
        };
        let value = TransportValue::parse(value);
        if value.transport.is_empty() {
            let reason = format!("{parameter} has no transport name");
            return Err(Error::new(ErrorKind::Lookup { reason }));
        }
        let nexthop = match (value.nexthop, relayed) {
            ([], None) => domain.to_vec(),
            ([], Some(relayed)) => relayed.into_owned(),
            (own, _) => own.to_vec(),
        };
        Ok((value.transport.to_vec(), nexthop))
    }
}

/// A parameter that holds a transport.
fn transport(name: &str, setup: &mut Setup<'_>) -> Result<Vec<u8>> {
    let text = setup.text(name)?;
    if text.is_empty() {
        let what = format!("{name} is empty");
        return Err(Error::new(ErrorKind::Config { what }));
    }
    Ok(text)
}

/// Tables that are searched with the sender.
struct BySender {
    list: TableList,
    null_key: Vec<u8>,
}

impl BySender {
    fn open(maps: &str, null_key: &str, setup: &mut Setup<'_>) -> Result<BySender> {
        Ok(BySender {
            list: setup.tables_with(maps, ListOptions::NO_SUBSTITUTION)?,
            null_key: setup.text(null_key)?,
        })
    }

    /// The value for `sender`; `DUNNO` is none.
    fn find(
        &self,
        addresses: &AddressRules,
        sender: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        let null;
        let sender = if sender.is_null() {
            null = Internal::from(self.null_key.as_slice());
            &null
        } else {
            sender
        };
        let found = addresses.find(&self.list, sender, &Search::ADDRESS, trace)?;
        let value = found.map(|found| found.value);
        Ok(value.filter(|value| !value.eq_ignore_ascii_case(b"DUNNO")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::NoTrace;

    fn resolve(parameters: &[(&str, &str)], sender: &str, recipient: &str) -> Result<String> {
        let mut config = Config::default();
        config.set("myhostname", "mail.example");
        config.set("append_dot_mydomain", "no");
        config.set("relay_domains", "relay.example");
        config.set("virtual_alias_domains", "alias.example");
        config.set("virtual_mailbox_domains", "box.example");
        parameters
            .iter()
            .for_each(|(name, value)| config.set(name, value));
        let mut warn = |_| {};
        let resolver = Resolver::open(&mut Setup::new(&config, &mut warn)?)?;
        let (sender, recipient) = (Internal::from(sender), Internal::from(recipient));
        Ok(match resolver.resolve(&sender, &recipient, &mut NoTrace)? {
            Resolution::Invalid => "invalid".to_owned(),
            Resolution::Route(route) => format!(
                "{} {}:{}",
                route.class.name(),
                String::from_utf8_lossy(&route.transport),
                String::from_utf8_lossy(&route.nexthop)
            ),
        })
    }

    #[test]
    fn the_class_and_the_sender_decide_before_the_maps_do() {
        let relayhost = ("relayhost", "[gw]:587");
        let from_sender = ("sender_dependent_relayhost_maps", "static:[isp]");
        let dunno = ("sender_dependent_relayhost_maps", "static:dunno");
        let transport = ("sender_dependent_default_transport_maps", "static:slow");
        let whole = ("sender_dependent_default_transport_maps", "static:slow:[x]");
        for (parameters, recipient, expect) in [
            (&[][..], "a@mail.example", "local local:mail.example"),
            (&[], "a@x.example", "default smtp:x.example"),
            (&[relayhost], "a@mail.example", "local local:mail.example"),
            (
                &[relayhost],
                "a@box.example",
                "virtual_mailbox virtual:box.example",
            ),
            (&[relayhost], "a@x.relay.example", "relay relay:[gw]:587"),
            (&[relayhost], "a@x.example", "default smtp:[gw]:587"),
            (
                &[relayhost, from_sender],
                "a@x.example",
                "default smtp:[isp]",
            ),
            (&[relayhost, dunno], "a@x.example", "default smtp:[gw]:587"),
            (
                &[relayhost, transport],
                "a@x.example",
                "default slow:[gw]:587",
            ),
            (
                &[relayhost, transport],
                "a@relay.example",
                "relay relay:[gw]:587",
            ),
            (
                &[relayhost, from_sender, whole],
                "a@x.example",
                "default slow:[x]",
            ),
            (
                &[("transport_maps", "static:t:n")],
                "a@alias.example",
                "virtual_alias error:5.1.1 User unknown in virtual alias table",
            ),
            (
                &[("show_user_unknown_table_name", "no")],
                "a@alias.example",
                "virtual_alias error:5.1.1 User unknown",
            ),
            (
                &[
                    ("relocated_maps", "static:b@y"),
                    ("transport_maps", "static:t:n"),
                ],
                "a@alias.example",
                "virtual_alias error:5.1.6 User has moved to b@y",
            ),
            (
                &[("transport_maps", "static::")],
                "a@x.example",
                "default smtp:x.example",
            ),
            (&[], "-a@x.example", "invalid"),
            (
                &[("allow_min_user", "yes")],
                "-a@x.example",
                "default smtp:x.example",
            ),
            (&[], "a@1.2.3.4", "invalid"),
        ] {
            let found = resolve(parameters, "s@x", recipient).unwrap();
            assert_eq!(found, expect, "{parameters:?} {recipient}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_no_route() {
        for (parameter, recipient) in [
            (("default_transport", ""), "a@mail.example"),
            (("default_transport", ":[x]"), "a@x.example"),
            (
                ("sender_dependent_default_transport_maps", "static::[x]"),
                "a@x.example",
            ),
            (("transport_maps", "fail:x"), "a@x.example"),
            (("relocated_maps", "fail:x"), "a@x.example"),
            (("relay_domains", "fail:x"), "a@x.example"),
            (("virtual_alias_domains", "!"), "a@x.example"),
            (("mydestination", "fail:x"), ""),
            // Even when the address is refused afterwards.
            (("transport_maps", "fail:x"), "-a@x.example"),
        ] {
            assert!(
                resolve(&[parameter], "", recipient).is_err(),
                "{parameter:?}"
            );
        }
    }
}
