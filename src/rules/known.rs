//! Whether a recipient exists, as the SMTP server asks before it takes mail.
//!
//! Known is who is in the canonical maps or `virtual_alias_maps`; else the class of the domain says
//! which table to ask. The values do not matter, and a table that is not set takes everybody.
//!
//! | class | table |
//! |---|---|
//! | local | `local_recipient_maps` |
//! | virtual alias | none: only who is an alias is known |
//! | virtual mailbox | `virtual_mailbox_maps` |
//! | relay | `relay_recipient_maps` |
//! | default | everybody is known |

use std::sync::Arc;

use crate::error::Result;
use crate::rules::address::Internal;
use crate::rules::resolve::{Class, Route};
use crate::rules::rewrite::Side;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::Trace;

/// Users of this machine who are always there, beside the one in `double_bounce_sender`.
const ALWAYS: [&[u8]; 2] = [b"postmaster", b"mailer-daemon"];

/// The tables that know recipients.
pub struct KnownAddresses {
    sender_canonical: TableList,
    recipient_canonical: TableList,
    canonical: TableList,
    virtual_alias: TableList,
    local: TableList,
    virtual_mailbox: TableList,
    relay: TableList,
    double_bounce: Vec<u8>,
    addresses: Arc<AddressRules>,
}

impl KnownAddresses {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<KnownAddresses> {
        let unfolded = ListOptions {
            fold: false,
            ..ListOptions::NO_SUBSTITUTION
        };
        Ok(KnownAddresses {
            sender_canonical: setup.tables("sender_canonical_maps")?,
            recipient_canonical: setup.tables("recipient_canonical_maps")?,
            canonical: setup.tables("canonical_maps")?,
            virtual_alias: setup.tables("virtual_alias_maps")?,
            local: setup.tables("local_recipient_maps")?,
            virtual_mailbox: setup.tables_with("virtual_mailbox_maps", unfolded)?,
            relay: setup.tables("relay_recipient_maps")?,
            double_bounce: setup.text("double_bounce_sender")?,
            addresses: setup.addresses()?,
        })
    }

    /// Whether the recipient of `route`, or the sender with that route, exists. An address that is
    /// routed to `error` or `retry` does not, unless it is rewritten first.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn is_known(&self, side: Side, route: &Route, trace: &mut dyn Trace) -> Result<bool> {
        let address = &route.recipient;
        let sender_maps = (side == Side::Sender).then_some(&self.sender_canonical);
        let rewritten = [
            Some(&self.recipient_canonical),
            sender_maps,
            Some(&self.canonical),
            Some(&self.virtual_alias),
        ];
        for list in rewritten.into_iter().flatten() {
            if self.has(list, address, trace)? {
                return Ok(true);
            }
        }
        if matches!(route.transport.as_slice(), b"error" | b"retry") {
            return Ok(false);
        }
        let list = match route.class {
            Class::Default => return Ok(true),
            Class::VirtualAlias => return Ok(false),
            Class::Local if self.is_always_there(address) => return Ok(true),
            Class::Local => &self.local,
            Class::VirtualMailbox => &self.virtual_mailbox,
            Class::Relay => &self.relay,
        };
        Ok(list.is_empty() || self.has(list, address, trace)?)
    }

    fn is_always_there(&self, address: &Internal<'_>) -> bool {
        let (local, _) = address.parts();
        let mut always = ALWAYS
            .iter()
            .copied()
            .chain([self.double_bounce.as_slice()]);
        always.any(|user| user.eq_ignore_ascii_case(local))
    }

    fn has(&self, list: &TableList, address: &Internal<'_>, trace: &mut dyn Trace) -> Result<bool> {
        let found = self
            .addresses
            .find(list, address, &Search::ADDRESS, trace)?;
        Ok(found.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::testing::list;
    use crate::rules::trace::NoTrace;

    #[test]
    fn the_class_says_who_is_asked() {
        let mut config = Config::default();
        config.set("local_recipient_maps", "");
        let mut warn = |_| {};
        let mut known = KnownAddresses::open(&mut Setup::new(&config, &mut warn).unwrap()).unwrap();
        known.virtual_alias = list("virtual_alias_maps", &[("alias@x", "a")]);
        known.local = list("local_recipient_maps", &[("bob@x", "b")]);
        known.virtual_mailbox = list("virtual_mailbox_maps", &[("@x", "b")]);
        known.sender_canonical = list("sender_canonical_maps", &[("from@x", "b")]);
        for (address, transport, class, side, expect) in [
            (
                "alias@x",
                "error",
                Class::VirtualAlias,
                Side::Recipient,
                true,
            ),
            (
                "bob@x",
                "error",
                Class::VirtualAlias,
                Side::Recipient,
                false,
            ),
            ("bob@x", "local", Class::Local, Side::Recipient, true),
            ("ann@x", "local", Class::Local, Side::Recipient, false),
            ("Postmaster@x", "local", Class::Local, Side::Recipient, true),
            (
                "double-bounce@x",
                "local",
                Class::Local,
                Side::Recipient,
                true,
            ),
            ("bob@x", "retry", Class::Local, Side::Recipient, false),
            (
                "any@x",
                "virtual",
                Class::VirtualMailbox,
                Side::Recipient,
                true,
            ),
            (
                "any@y",
                "virtual",
                Class::VirtualMailbox,
                Side::Recipient,
                false,
            ),
            // Not set: everybody.
            ("any@x", "relay", Class::Relay, Side::Recipient, true),
            ("any@x", "smtp", Class::Default, Side::Recipient, true),
            ("from@x", "local", Class::Local, Side::Sender, true),
            ("from@x", "local", Class::Local, Side::Recipient, false),
        ] {
            let route = Route {
                transport: transport.as_bytes().to_vec(),
                nexthop: Vec::new(),
                recipient: Internal::new(address.as_bytes().to_vec()),
                class,
            };
            let found = known.is_known(side, &route, &mut NoTrace).unwrap();
            assert_eq!(found, expect, "{address} {transport} {class:?} {side:?}");
        }
    }
}
