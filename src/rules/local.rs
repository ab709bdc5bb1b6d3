//! Which domains are this machine.

use std::net::IpAddr;

use crate::error::Result;
use crate::rules::host;
use crate::rules::match_list::MatchList;
use crate::rules::trace::Trace;

/// The domains of this machine: `mydestination`, and its addresses.
pub struct LocalDomains {
    destinations: MatchList,
    addresses: Vec<IpAddr>,
    origin: Vec<u8>,
}

impl LocalDomains {
    /// `destinations` is `mydestination`, `addresses` what `inet_interfaces` and
    /// `proxy_interfaces` stand for, `origin` is `myorigin`.
    pub fn new(destinations: MatchList, addresses: Vec<IpAddr>, origin: &[u8]) -> LocalDomains {
        LocalDomains {
            destinations,
            addresses,
            origin: origin.to_vec(),
        }
    }

    /// Whether `domain` is this machine: an exact name in the list, or one of the addresses in
    /// brackets.
    ///
    /// # Errors
    ///
    /// When a table in `mydestination` fails.
    pub fn is_local(&self, domain: &[u8], trace: &mut dyn Trace) -> Result<bool> {
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        if domain.is_empty() || domain.ends_with(b".") {
            return Ok(false);
        }
        if self.destinations.matches_text(domain, trace)? {
            return Ok(true);
        }
        Ok(host::literal(domain).is_some_and(|address| self.addresses.contains(&address)))
    }

    /// Whether the users of `domain` may be written without it in address tables: it is this
    /// machine, or `myorigin`.
    ///
    /// # Errors
    ///
    /// As [`LocalDomains::is_local`].
    pub fn has_bare_users(&self, domain: &[u8], trace: &mut dyn Trace) -> Result<bool> {
        Ok(domain.eq_ignore_ascii_case(&self.origin) || self.is_local(domain, trace)?)
    }

    /// `myorigin`: the domain of addresses without one.
    pub fn origin(&self) -> &[u8] {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Fold;
    use crate::rules::match_list::ListSource;
    use crate::rules::suffix::Style;
    use crate::rules::tables::TableSet;
    use crate::rules::trace::NoTrace;

    #[test]
    fn names_match_whole_and_literals_by_value() {
        let mut tables = TableSet::default();
        let mut source = ListSource {
            tables: &mut tables,
            fold: Fold::Unicode,
            warn: &mut |_| {},
        };
        let list = b"mail.corp.example, localhost";
        let list = MatchList::parse("mydestination", list, Style::Dot, &mut source).unwrap();
        let own = ["192.0.2.25", "2001:db8::25"].map(|text| text.parse().unwrap());
        let local = LocalDomains::new(list, own.to_vec(), b"origin.example");
        for (domain, expect) in [
            ("Mail.Corp.Example", true),
            ("localhost.", true),
            ("localhost..", false),
            ("x.localhost", false),
            ("", false),
            (".", false),
            ("[192.0.2.25]", true),
            ("[192.0.2.25].", true),
            ("[192.0.2.26]", false),
            ("192.0.2.25", false),
            ("[IPv6:2001:DB8:0::25]", true),
            ("[2001:db8::25]", false),
            ("origin.example", false),
        ] {
            let found = local.is_local(domain.as_bytes(), &mut NoTrace).unwrap();
            assert_eq!(found, expect, "{domain}");
        }
        assert!(
            local
                .has_bare_users(b"Origin.Example", &mut NoTrace)
                .unwrap()
        );
        assert!(
            !local
                .has_bare_users(b"other.example", &mut NoTrace)
                .unwrap()
        );
    }
}
