//! Access tables of the SMTP server: `check_client_access`, `check_sender_access` and so on, each
//! with a table of its own.
//!
//! | restriction | keys |
//! |---|---|
//! | client | the name and its parents, then the address and its networks |
//! | helo | the name and its parents |
//! | mail and name servers of any of these | of each server the name and its parents, then the addresses and their networks |
//! | addresses of any of these | likewise, without the name |
//! | sender, recipient | `user+ext@domain`, `user@domain`, the domain and its parents, `user+ext@`, `user@` |
//! | null sender | `smtpd_null_access_lookup_key` |
//!
//! Networks are the text of the address without its last parts: `192.0.2`, `192.0`, `192`;
//! `2001:db8:5:`, `2001:db8:5`, `2001:db8`, `2001`. Whole names, addresses and recipients are for
//! all tables, their parts for tables with fixed-string keys.
//!
//! The first key found ends the search, also when its value is `DUNNO`.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memrchr;

use crate::error::Result;
use crate::rules::address::Internal;
use crate::rules::host;
use crate::rules::recipient::Recipients;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::suffix::{Style, suffixes};
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::{Scope, Trace};

/// One access table.
pub struct AccessTable {
    list: TableList,
    rules: Arc<AccessRules>,
}

/// What all access tables have in common.
pub struct AccessRules {
    style: Style,
    null_key: Vec<u8>,
    addresses: Arc<AddressRules>,
    recipients: Recipients,
}

impl AccessRules {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<AccessRules> {
        Ok(AccessRules {
            style: setup.style("smtpd_access_maps")?,
            null_key: setup.text("smtpd_null_access_lookup_key")?,
            addresses: setup.addresses()?,
            recipients: Recipients::open(setup)?,
        })
    }
}

type Value<'t> = Option<Cow<'t, [u8]>>;

impl AccessTable {
    /// The table `spec` (`type:name`), which traces call `name`.
    pub fn open(
        name: &str,
        spec: &[u8],
        rules: Arc<AccessRules>,
        setup: &mut Setup<'_>,
    ) -> AccessTable {
        AccessTable {
            list: setup.tables_in(name, spec, ListOptions::PLAIN),
            rules,
        }
    }

    /// `check_client_access`: the client's name, `unknown` if it is not verified, and address.
    ///
    /// # Errors
    ///
    /// When the table fails.
    pub fn client(&self, name: &[u8], address: &[u8], trace: &mut dyn Trace) -> Result<Value<'_>> {
        match self.host_name(name, trace)? {
            Some(found) => Ok(Some(found)),
            None => self.address(address, trace),
        }
    }

    /// `check_helo_access`, `check_etrn_access`: a name as the client gave it.
    ///
    /// # Errors
    ///
    /// When the table fails.
    pub fn host_name(&self, name: &[u8], trace: &mut dyn Trace) -> Result<Value<'_>> {
        let depth = match host::address(name) {
            // An address is no domain.
            Some(_) => 1,
            None => usize::MAX,
        };
        let keys = suffixes(name, self.rules.style).take(depth);
        self.first(keys, trace)
    }

    /// The address of a client or server, and the networks it is in.
    ///
    /// # Errors
    ///
    /// When the table fails.
    pub fn address(&self, address: &[u8], trace: &mut dyn Trace) -> Result<Value<'_>> {
        let text = host::address(address).map(|address| host::address_text(&address));
        let text = text.as_ref().map_or(address, |text| text.as_bytes());
        let separator = if text.contains(&b':') { b':' } else { b'.' };
        let networks = std::iter::successors(Some(text), |key| {
            memrchr(separator, key).and_then(|at| key.get(..at))
        });
        self.first(networks, trace)
    }

    /// `check_*_mx_access`, `check_*_ns_access`, `check_*_a_access`: one of the hosts that the DNS has
    /// for a name; they are asked for in order until one is found. For the last of the three
    /// restrictions, which looks up addresses alone, the name is empty.
    ///
    /// # Errors
    ///
    /// When the table fails.
    pub fn server<'a>(
        &self,
        name: &[u8],
        addresses: impl IntoIterator<Item = &'a [u8]>,
        trace: &mut dyn Trace,
    ) -> Result<Value<'_>> {
        if let Some(found) = self.host_name(name, trace)? {
            return Ok(Some(found));
        }
        for address in addresses {
            if let Some(found) = self.address(address, trace)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// `check_sender_access`: an envelope sender, null for bounces.
    ///
    /// # Errors
    ///
    /// When the table fails, or it cannot be told which domains are this machine.
    pub fn sender(&self, sender: &Internal<'_>, trace: &mut dyn Trace) -> Result<Value<'_>> {
        if sender.is_null() {
            return self.list.find(&self.rules.null_key, Scope::All, trace);
        }
        self.recipient(sender, trace)
    }

    /// `check_recipient_access`: an envelope recipient. It is read as [`Recipients::read`] says.
    ///
    /// # Errors
    ///
    /// As [`AccessTable::sender`].
    pub fn recipient(&self, recipient: &Internal<'_>, trace: &mut dyn Trace) -> Result<Value<'_>> {
        let rules = &*self.rules;
        let read = rules.recipients.read(recipient, trace)?;
        let search = Search::access(rules.style);
        let found = rules
            .addresses
            .find(&self.list, &read.address, &search, trace)?;
        Ok(found.map(|found| found.value))
    }

    /// `check_sasl_access`, `check_ccert_access`: a login name, or fingerprints in the order they
    /// are tried. They have no parts.
    ///
    /// # Errors
    ///
    /// When the table fails.
    pub fn whole(&self, keys: &[&[u8]], trace: &mut dyn Trace) -> Result<Value<'_>> {
        for key in keys {
            if let Some(value) = self.list.find(key, Scope::All, trace)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The first of `keys` that is in the table; the first of them is whole, the others are parts.
    fn first<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        trace: &mut dyn Trace,
    ) -> Result<Value<'_>> {
        let mut scope = Scope::All;
        for key in keys {
            if let Some(value) = self.list.find(key, scope, trace)? {
                return Ok(Some(value));
            }
            scope = Scope::Fixed;
        }
        Ok(None)
    }
}

/// What the value of an access table asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// The kind.
    pub kind: ActionKind,
    /// What stands behind the first word; for [`ActionKind::Restrictions`] the whole value.
    pub text: &'a [u8],
}

/// The kinds of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// `OK`, or digits alone that are no reply code.
    Ok,
    /// `RELAY`
    Relay,
    /// `REJECT`
    Reject,
    /// `DEFER`
    Defer,
    /// A reply code of the server, 400 to 599.
    Code(u16),
    /// `DUNNO`: nothing, but the search is over.
    Dunno,
    /// `DISCARD`
    Discard,
    /// `FILTER`
    Filter,
    /// `HOLD`
    Hold,
    /// `PREPEND`
    Prepend,
    /// `REDIRECT`
    Redirect,
    /// `BCC`
    Bcc,
    /// `WARN`
    Warn,
    /// `INFO`
    Info,
    /// `DEFER_IF_PERMIT`
    DeferIfPermit,
    /// `DEFER_IF_REJECT`
    DeferIfReject,
    /// A list of restrictions.
    Restrictions,
}

impl<'a> Action<'a> {
    /// Reads the value of a table. Words are compared ignoring case.
    pub fn parse(value: &'a [u8]) -> Action<'a> {
        const WORDS: &[(&str, ActionKind)] = &[
            ("OK", ActionKind::Ok),
            ("RELAY", ActionKind::Relay),
            ("REJECT", ActionKind::Reject),
            ("DEFER", ActionKind::Defer),
            ("DUNNO", ActionKind::Dunno),
            ("DISCARD", ActionKind::Discard),
            ("FILTER", ActionKind::Filter),
            ("HOLD", ActionKind::Hold),
            ("PREPEND", ActionKind::Prepend),
            ("REDIRECT", ActionKind::Redirect),
            ("BCC", ActionKind::Bcc),
            ("WARN", ActionKind::Warn),
            ("INFO", ActionKind::Info),
            ("DEFER_IF_PERMIT", ActionKind::DeferIfPermit),
            ("DEFER_IF_REJECT", ActionKind::DeferIfReject),
        ];
        let value = crate::source::trim(value);
        let end = value.iter().position(u8::is_ascii_whitespace);
        let (word, text) = value.split_at(end.unwrap_or(value.len()));
        let text = crate::source::trim(text);
        let known = WORDS
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        let kind = match (known, word) {
            (Some((_, kind)), _) => *kind,
            (
                None,
                [
                    class @ (b'4' | b'5'),
                    tens @ b'0'..=b'9',
                    ones @ b'0'..=b'9',
                ],
            ) => {
                let digit = |byte: &u8| u16::from(byte - b'0');
                ActionKind::Code(100 * digit(class) + 10 * digit(tens) + digit(ones))
            }
            (None, _) if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                ActionKind::Ok
            }
            (None, _) => {
                let kind = ActionKind::Restrictions;
                return Action { kind, text: value };
            }
        };
        Action { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::testing::list;
    use crate::rules::trace::Recorder;

    #[test]
    fn the_first_word_is_the_action() {
        for (value, kind, text) in [
            ("OK", ActionKind::Ok, ""),
            ("ok", ActionKind::Ok, ""),
            ("12345", ActionKind::Ok, ""),
            ("Reject no  thanks ", ActionKind::Reject, "no  thanks"),
            ("554 5.7.1 no", ActionKind::Code(554), "5.7.1 no"),
            ("450", ActionKind::Code(450), ""),
            ("DUNNO", ActionKind::Dunno, ""),
            ("DEFER_IF_PERMIT x", ActionKind::DeferIfPermit, "x"),
            ("FILTER smtp:[f]:25", ActionKind::Filter, "smtp:[f]:25"),
            (
                "permit_mynetworks, reject",
                ActionKind::Restrictions,
                "permit_mynetworks, reject",
            ),
        ] {
            let action = Action::parse(value.as_bytes());
            assert_eq!(
                action,
                Action {
                    kind,
                    text: text.as_bytes()
                },
                "{value}"
            );
        }
    }

    /// The keys that `search` tries in a table without any.
    fn keys(
        parameters: &[(&str, &str)],
        search: impl FnOnce(&AccessTable, &mut Recorder),
    ) -> Vec<String> {
        let mut config = Config::default();
        config.set("recipient_delimiter", "+");
        config.set("append_dot_mydomain", "no");
        for (name, value) in parameters {
            config.set(name, value);
        }
        let mut warn = |_| {};
        let rules = AccessRules::open(&mut Setup::new(&config, &mut warn).unwrap()).unwrap();
        let table = AccessTable {
            list: list("table", &[]),
            rules: Arc::new(rules),
        };
        let mut trace = Recorder::default();
        search(&table, &mut trace);
        let keys = trace.keys("table");
        let shown = |(scope, key): (Scope, &[u8])| {
            format!("{} {}", scope.name(), String::from_utf8_lossy(key))
        };
        keys.into_iter().map(shown).collect()
    }

    #[test]
    fn clients_are_sought_by_name_then_by_networks() {
        for (name, address, expect) in [
            (
                "a.b.example",
                "192.0.2.7",
                &[
                    "all a.b.example",
                    "fixed b.example",
                    "fixed example",
                    "all 192.0.2.7",
                    "fixed 192.0.2",
                    "fixed 192.0",
                    "fixed 192",
                ][..],
            ),
            (
                "unknown",
                "2001:DB8:5:0:0:0:0:25",
                &[
                    "all unknown",
                    "all 2001:db8:5::25",
                    "fixed 2001:db8:5:",
                    "fixed 2001:db8:5",
                    "fixed 2001:db8",
                    "fixed 2001",
                ],
            ),
            ("unknown", "::1", &["all unknown", "all ::1", "fixed :"]),
        ] {
            let found = keys(&[], |table, trace| {
                let found = table.client(name.as_bytes(), address.as_bytes(), trace);
                assert!(found.unwrap().is_none());
            });
            assert_eq!(found, expect, "{name} {address}");
        }
    }

    #[test]
    fn names_given_as_addresses_have_no_parents_but_literals_do() {
        for (name, expect) in [
            ("192.0.2.7", &["all 192.0.2.7"][..]),
            ("2001:db8::1", &["all 2001:db8::1"]),
            (
                "[192.0.2.7]",
                &["all [192.0.2.7]", "fixed 0.2.7]", "fixed 2.7]", "fixed 7]"],
            ),
        ] {
            let found = keys(&[], |table, trace| {
                assert!(table.host_name(name.as_bytes(), trace).unwrap().is_none());
            });
            assert_eq!(found, expect, "{name}");
        }
    }

    #[test]
    fn senders_are_read_first_and_bounces_have_a_key() {
        for (parameter, sender, expect) in [
            (("x", ""), "", &["all <>"][..]),
            (("smtpd_null_access_lookup_key", "null"), "", &["all null"]),
            (
                ("myorigin", "corp.example"),
                "ann+x",
                &[
                    "all ann+x@corp.example",
                    "fixed ann@corp.example",
                    "fixed corp.example",
                    "fixed example",
                    "fixed ann+x@",
                    "fixed ann@",
                ],
            ),
            (
                ("parent_domain_matches_subdomains", ""),
                "ann%a.b@localhost",
                &["all ann@a.b", "fixed a.b", "fixed .b", "fixed ann@"],
            ),
        ] {
            let found = keys(&[parameter], |table, trace| {
                assert!(
                    table
                        .sender(&Internal::from(sender), trace)
                        .unwrap()
                        .is_none()
                );
            });
            assert_eq!(found, expect, "{sender}");
        }
    }
}
