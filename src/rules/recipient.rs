//! From the recipient of a message to the domain whose mail it is: domains of this machine are
//! taken off while something behind them routes on.
//!
//! | recipient | becomes (`localhost` is this machine) |
//! |---|---|
//! | `user@other@localhost`, `user%other@localhost`, `other!user@localhost` | `user@other` |
//! | `user%localhost@localhost` | `user@localhost` |
//! | (null) | `MAILER-DAEMON@$myhostname` |
//! | `@localhost` | `MAILER-DAEMON@localhost` |
//!
//! What the tests say was seen with the resolver of Postfix 3.7.11.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr_iter;

use crate::error::Result;
use crate::rules::address::{Internal, Part, quote, split_at_domain};
use crate::rules::complete::{Completion, without_dot};
use crate::rules::host;
use crate::rules::search::AddressRules;
use crate::rules::setup::Setup;
use crate::rules::trace::Trace;

/// How often a recipient may be taken apart: each time it gets shorter, so this only bounds the
/// work for hostile ones.
const ROUNDS_MAX: usize = 100;

/// A recipient that is ready to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address; there is a domain, or nobody takes it.
    pub address: Internal<'static>,
    /// Whether the domain is this machine.
    pub is_local: bool,
    /// Whether the domain is a host name or an address in brackets.
    pub is_valid: bool,
}

impl Recipient {
    /// The domain.
    pub fn domain(&self) -> &[u8] {
        self.address.parts().1.unwrap_or_default()
    }
}

/// How recipients are read.
pub struct Recipients {
    addresses: Arc<AddressRules>,
    completion: Completion,
    my_host_name: Vec<u8>,
    empty_recipient: Vec<u8>,
    dequoted: bool,
    null_domain: bool,
    numeric_domain: bool,
    utf8: bool,
}

impl Recipients {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<Recipients> {
        Ok(Recipients {
            addresses: setup.addresses()?,
            completion: Completion::open(setup)?,
            my_host_name: setup.text("myhostname")?,
            empty_recipient: setup.text("empty_address_recipient")?,
            dequoted: setup.boolean("resolve_dequoted_address")?,
            null_domain: setup.boolean("resolve_null_domain")?,
            numeric_domain: setup.boolean("resolve_numeric_domain")?,
            utf8: setup.utf8(),
        })
    }

    /// Reads a recipient. It is completed first, see [`Completion`].
    ///
    /// # Errors
    ///
    /// When it cannot be told whether a domain is this machine.
    pub fn read(&self, recipient: &Internal<'_>, trace: &mut dyn Trace) -> Result<Recipient> {
        let mut text = self.completion.complete_internal(recipient);
        if text.is_empty() {
            text = Cow::Borrowed(&self.empty_recipient);
        }
        // The domain of this machine that was taken off last.
        let mut own_domain = None;
        for _ in 0..ROUNDS_MAX {
            let (local, domain) = split_at_domain(&text);
            if let Some(domain) = domain {
                let domain = without_dot(crate::source::trim(domain));
                if !domain.is_empty() && !self.addresses.local.is_local(domain, trace)? {
                    return self.elsewhere(local, domain, trace);
                }
                if !domain.is_empty() || !self.null_domain {
                    own_domain = Some(domain.to_vec());
                }
            }
            match self.routed(local) {
                Some(routed) => text = Cow::Owned(routed),
                None => {
                    let local_len = local.len();
                    text.to_mut().truncate(local_len);
                    break;
                }
            }
        }
        let local = match text.is_empty() {
            true => self.empty_recipient.as_slice(),
            false => &text,
        };
        let (domain, is_local) = match &own_domain {
            Some(domain) => (domain, !domain.is_empty()),
            // Not necessarily a domain of this machine.
            None => {
                let domain = &self.my_host_name;
                (domain, self.addresses.local.is_local(domain, trace)?)
            }
        };
        Ok(Recipient {
            address: Internal::new([local, b"@", domain].concat()),
            is_local,
            is_valid: self.is_valid(domain),
        })
    }

    fn elsewhere(&self, local: &[u8], domain: &[u8], trace: &mut dyn Trace) -> Result<Recipient> {
        let mut domain = Cow::Borrowed(domain);
        let mut is_valid = self.is_valid(&domain);
        let mut is_local = false;
        if !is_valid && self.numeric_domain && host::address(&domain).is_some() {
            domain = Cow::Owned([b"[", &*domain, b"]"].concat());
            is_local = self.addresses.local.is_local(&domain, trace)?;
            is_valid = true;
        }
        Ok(Recipient {
            address: Internal::new([local, b"@", &domain].concat()),
            is_local,
            is_valid,
        })
    }

    /// Where a user of this machine routes on to, as an address.
    fn routed(&self, local: &[u8]) -> Option<Vec<u8>> {
        if self.dequoted {
            if let (user, Some(domain)) = split_at_domain(local) {
                return Some([user, b"@", &self.completion.domain(domain)].concat());
            }
        } else if quote(local, Part::Local) != local {
            // Quoted, so nothing in it is an operator.
            return None;
        }
        let places = |text, operator| memchr_iter(operator, text);
        let (user, domain) = self.completion.split_old(local, places)?;
        Some([user, b"@", &self.completion.domain(domain)].concat())
    }

    fn is_valid(&self, domain: &[u8]) -> bool {
        host::is_host_name(domain, self.utf8) || host::literal(domain).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::NoTrace;

    fn read(parameters: &[(&str, &str)], recipient: &str) -> String {
        let mut config = Config::default();
        for (name, value) in [
            ("myhostname", "mail.corp.example"),
            ("mydomain", "corp.example"),
            ("inet_interfaces", "192.0.2.25, 2001:db8::25"),
            ("append_dot_mydomain", "no"),
        ] {
            config.set(name, value);
        }
        parameters
            .iter()
            .for_each(|(name, value)| config.set(name, value));
        let mut warn = |_| {};
        let mut setup = Setup::new(&config, &mut warn).unwrap();
        let recipients = Recipients::open(&mut setup).unwrap();
        let read = recipients
            .read(&Internal::from(recipient), &mut NoTrace)
            .unwrap();
        let class = match (read.is_valid, read.is_local) {
            (false, _) => return "invalid".to_owned(),
            (true, true) => "local ",
            (true, false) => "",
        };
        format!(
            "{class}{}",
            String::from_utf8_lossy(read.address.as_bytes())
        )
    }

    #[test]
    fn recipients_are_read_as_by_the_original() {
        for (recipient, expect) in [
            ("bob", "local bob@mail.corp.example"),
            ("", "local MAILER-DAEMON@mail.corp.example"),
            ("bob@", "invalid"),
            ("@", "invalid"),
            ("@shop.example", "@shop.example"),
            ("@localhost", "local MAILER-DAEMON@localhost"),
            ("bob@localhost.", "local bob@localhost"),
            ("bob@localhost..", "invalid"),
            ("bob@shop.example.", "bob@shop.example"),
            ("bob@.shop.example", "invalid"),
            ("bob@shop..example", "invalid"),
            ("bob@LOCALHOST", "local bob@LOCALHOST"),
            ("a%b@shop.example", "a%b@shop.example"),
            ("a%b@localhost", "a@b"),
            ("a%b%c@localhost", "a%b@c"),
            ("a%b@c@localhost", "a%b@c"),
            ("a@b@localhost", "a@b"),
            ("host!user@localhost", "user@host"),
            ("h1!h2!user@localhost", "h2!user@h1"),
            ("h1!user%h2@localhost", "user%h2@h1"),
            ("host!user", "user@host"),
            ("a%b", "a@b"),
            ("user%localhost@localhost", "local user@localhost"),
            (
                "user%mail.corp.example@localhost",
                "local user@mail.corp.example",
            ),
            ("user%LOCALHOST@mail.corp.example", "local user@LOCALHOST"),
            (
                "@localhost@mail.corp.example",
                "local MAILER-DAEMON@localhost",
            ),
            ("x!y@z%w@localhost", "invalid"),
            ("bob smith@localhost", "local bob smith@localhost"),
            ("bob smith@other@localhost", "bob smith@other"),
            ("\"bob\"@localhost", "local \"bob\"@localhost"),
            ("\"a@b\"@localhost", "invalid"),
            ("bob@[192.0.2.25]", "local bob@[192.0.2.25]"),
            ("bob@[192.0.2.25].", "local bob@[192.0.2.25]"),
            ("bob@[192.0.2.99]", "bob@[192.0.2.99]"),
            (
                "bob@[ipv6:2001:DB8:0::25]",
                "local bob@[ipv6:2001:DB8:0::25]",
            ),
            ("bob@[2001:db8::25]", "invalid"),
            ("bob@192.0.2.99", "invalid"),
            ("bob@a b", "invalid"),
            ("bob@123", "invalid"),
            ("bob@12a", "bob@12a"),
            ("%b@localhost", "@b"),
            ("a%@localhost", "invalid"),
            ("a!@localhost", "@a"),
            ("a@@localhost", "invalid"),
            ("x@y@", "x@y"),
            ("a\\@b@localhost", "a\\@b"),
            ("bob@shop.example ", "bob@shop.example"),
            ("bob@b\u{fc}cher.example", "bob@b\u{fc}cher.example"),
            ("<>", "local <>@mail.corp.example"),
        ] {
            assert_eq!(read(&[], recipient), expect, "{recipient}");
        }
        for (parameter, recipient, expect) in [
            (
                ("append_at_myorigin", "no"),
                "bob",
                "local bob@mail.corp.example",
            ),
            (
                ("append_dot_mydomain", "yes"),
                "a%shop",
                "a@shop.corp.example",
            ),
            (
                ("append_dot_mydomain", "yes"),
                "shop!a@mail.corp.example",
                "a@shop.corp.example",
            ),
            (
                ("swap_bangpath", "no"),
                "a!b@localhost",
                "local a!b@localhost",
            ),
            (
                ("allow_percent_hack", "no"),
                "a%b@localhost",
                "local a%b@localhost",
            ),
            (
                ("resolve_dequoted_address", "no"),
                "a@b@localhost",
                "local a@b@localhost",
            ),
            (
                ("resolve_dequoted_address", "no"),
                "a b%c@localhost",
                "local a b%c@localhost",
            ),
            (("resolve_dequoted_address", "no"), "a%b@localhost", "a@b"),
            (
                ("resolve_numeric_domain", "yes"),
                "bob@192.0.2.99",
                "bob@[192.0.2.99]",
            ),
            (
                ("resolve_numeric_domain", "yes"),
                "bob@192.0.2.25",
                "local bob@[192.0.2.25]",
            ),
            (
                ("resolve_numeric_domain", "yes"),
                "bob@2001:db8::1",
                "bob@[2001:db8::1]",
            ),
            (("resolve_numeric_domain", "yes"), "bob@1.2.3", "invalid"),
            (
                ("resolve_null_domain", "yes"),
                "bob@",
                "local bob@mail.corp.example",
            ),
            (
                ("resolve_null_domain", "yes"),
                "@",
                "local MAILER-DAEMON@mail.corp.example",
            ),
            (
                ("resolve_null_domain", "yes"),
                "a%@localhost",
                "local a@localhost",
            ),
            (("mydestination", "1.2.3"), "bob@1.2.3", "invalid"),
            (
                ("mydestination", "localhost"),
                "",
                "MAILER-DAEMON@mail.corp.example",
            ),
            (
                ("mydestination", "localhost"),
                "a%localhost",
                "local a@localhost",
            ),
            (
                ("empty_address_recipient", "x@y.example"),
                "",
                "x@y.example",
            ),
            (
                ("empty_address_recipient", "a b"),
                "@localhost",
                "local a b@localhost",
            ),
            (
                ("append_dot_mydomain", "yes"),
                "a@shop@mail.corp.example",
                "a@shop.corp.example",
            ),
        ] {
            assert_eq!(
                read(&[parameter], recipient),
                expect,
                "{parameter:?} {recipient}"
            );
        }
    }
}
