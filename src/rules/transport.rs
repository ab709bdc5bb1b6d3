//! `transport_maps`: how and where to deliver, per recipient.
//!
//! | key | scope |
//! |---|---|
//! | `user+ext@domain`, and unquoted | all |
//! | `user@domain`, and unquoted | fixed |
//! | `domain` and its parents | fixed |
//! | `*` | all |
//!
//! | value | transport | nexthop |
//! |---|---|---|
//! | `:` | as it was | as it was |
//! | `:nexthop` | as it was | replaced |
//! | `name:nexthop` | replaced | replaced |
//! | `name:`, `name` | replaced | the domain of the recipient: `relayhost` is lost |
//! | `error:`, `retry:` | replaced | `Address is undeliverable` |
//!
//! `*` is seen by tables of patterns too. The original looks it up when it starts and again after
//! 30 seconds; here it is looked up each time, so that nothing is kept.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Result;
use crate::rules::address::Internal;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::suffix::Style;
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::{Scope, Trace};

/// The text in place of a missing reason.
const UNDELIVERABLE: &[u8] = b"Address is undeliverable";

/// The tables of `transport_maps`.
pub struct TransportMaps {
    list: TableList,
    style: Style,
    addresses: Arc<AddressRules>,
}

/// `transport:nexthop`, as it is written in parameters and tables. Nothing is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportValue<'a> {
    /// What stands before the **first** colon.
    pub transport: &'a [u8],
    /// What stands behind it; nothing if there is none.
    pub nexthop: &'a [u8],
}

impl<'a> TransportValue<'a> {
    /// Splits `value`.
    pub fn parse(value: &'a [u8]) -> TransportValue<'a> {
        let at = memchr::memchr(b':', value).unwrap_or(value.len());
        let (transport, behind) = value.split_at(at);
        TransportValue {
            transport,
            nexthop: behind.get(1..).unwrap_or_default(),
        }
    }

    /// Changes a route to `domain`.
    pub fn apply(&self, domain: &[u8], transport: &mut Vec<u8>, nexthop: &mut Vec<u8>) {
        if !self.transport.is_empty() {
            replace(transport, self.transport);
        }
        if !self.nexthop.is_empty() {
            replace(nexthop, self.nexthop);
        } else if matches!(self.transport, b"error" | b"retry") {
            replace(nexthop, UNDELIVERABLE);
        } else if !self.transport.is_empty() {
            replace(nexthop, domain);
        }
    }
}

/// Puts `new` in the place of `old`, in the same memory if it fits.
fn replace(old: &mut Vec<u8>, new: &[u8]) {
    old.clear();
    old.extend_from_slice(new);
}

impl TransportMaps {
    /// The tables of the configuration.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<TransportMaps> {
        Ok(TransportMaps {
            list: setup.tables_with("transport_maps", ListOptions::NO_SUBSTITUTION)?,
            style: setup.style("transport_maps")?,
            addresses: setup.addresses()?,
        })
    }

    /// The tables.
    pub fn list(&self) -> &TableList {
        &self.list
    }

    /// The value for `recipient`, see [`TransportValue::parse`].
    ///
    /// # Errors
    ///
    /// When a table fails: mail must wait.
    pub fn find(
        &self,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        let search = Search::transport(self.style);
        match self.addresses.find(&self.list, recipient, &search, trace)? {
            Some(found) => Ok(Some(found.value)),
            None => self.list.find(b"*", Scope::All, trace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_kept_or_reset() {
        for (value, transport, nexthop) in [
            (":", "old", "[gw]"),
            (":[new]:587", "old", "[new]:587"),
            ("smtp:[new]", "smtp", "[new]"),
            ("smtp:", "smtp", "d.example"),
            ("smtp", "smtp", "d.example"),
            ("error:", "error", "Address is undeliverable"),
            ("retry", "retry", "Address is undeliverable"),
            ("Error:", "Error", "d.example"),
            ("error:5.7.1 no: thanks", "error", "5.7.1 no: thanks"),
            ("[gw]:587", "[gw]", "587"),
            ("smtp :[gw]", "smtp ", "[gw]"),
            ("smtp: [gw]", "smtp", " [gw]"),
        ] {
            let mut route = (b"old".to_vec(), b"[gw]".to_vec());
            TransportValue::parse(value.as_bytes()).apply(b"d.example", &mut route.0, &mut route.1);
            let expect = (transport.as_bytes().to_vec(), nexthop.as_bytes().to_vec());
            assert_eq!(route, expect, "{value}");
        }
    }
}
