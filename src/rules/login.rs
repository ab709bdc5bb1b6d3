//! Which senders a client that has logged in may use: `smtpd_sender_login_maps` in the SMTP
//! server, `local_login_sender_maps` for users of the machine.

use std::sync::Arc;

use crate::error::Result;
use crate::rules::address::{External, Internal};
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::{TableList, items};
use crate::rules::trace::{Scope, Trace};

/// `smtpd_sender_login_maps`: from sender to login names.
pub struct SenderLogins {
    list: TableList,
    addresses: Arc<AddressRules>,
}

impl SenderLogins {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<SenderLogins> {
        Ok(SenderLogins {
            list: setup.tables("smtpd_sender_login_maps")?,
            addresses: setup.addresses()?,
        })
    }

    /// The login names that own `sender`; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn owners(
        &self,
        sender: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Vec<Vec<u8>>>> {
        let found = self
            .addresses
            .find(&self.list, sender, &Search::ADDRESS, trace)?;
        Ok(found.map(|found| items(&found.value).map(<[u8]>::to_vec).collect()))
    }

    /// Whether `login` is one of the owners of `sender`, in any case of letters.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn owns(&self, login: &[u8], sender: &Internal<'_>, trace: &mut dyn Trace) -> Result<bool> {
        let owners = self.owners(sender, trace)?.unwrap_or_default();
        Ok(owners.iter().any(|owner| owner.eq_ignore_ascii_case(login)))
    }
}

/// `local_login_sender_maps` (Postfix 3.6): from login name to sender patterns: `*`, `@domain`,
/// `<>` for the null sender, or an address, which covers its extensions.
pub struct LoginSenders {
    list: TableList,
    null_key: Vec<u8>,
    addresses: Arc<AddressRules>,
}

impl LoginSenders {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<LoginSenders> {
        Ok(LoginSenders {
            list: setup.tables("local_login_sender_maps")?,
            null_key: setup.text("empty_address_local_login_sender_maps_lookup_key")?,
            addresses: setup.addresses()?,
        })
    }

    /// Whether the user `login` may send as `sender`.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn allows(
        &self,
        login: &[u8],
        sender: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<bool> {
        let Some(patterns) = self.list.find(login, Scope::All, trace)? else {
            return Ok(false);
        };
        let (local, domain) = sender.parts();
        let split = self.addresses.extensions.split(local);
        let user = split.map_or(local, |(user, _)| user);
        let allows = |pattern: &[u8]| match pattern {
            b"*" => true,
            pattern if sender.is_null() => pattern == self.null_key,
            [b'@', of @ ..] => domain.is_some_and(|domain| domain.eq_ignore_ascii_case(of)),
            pattern => {
                let stripped = match domain {
                    Some(domain) => [user, b"@", domain].concat(),
                    None => user.to_vec(),
                };
                let pattern = External::new(pattern).unquote();
                stripped.eq_ignore_ascii_case(pattern.as_bytes())
            }
        };
        Ok(unquoted_items(&patterns).any(allows))
    }
}

/// The items of a list, whose separators count outside double quotes only.
fn unquoted_items(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut inside, mut protected) = (false, false);
    text.split(move |&byte| {
        let was_protected = std::mem::replace(&mut protected, false);
        match byte {
            _ if was_protected => false,
            b'\\' => {
                protected = true;
                false
            }
            b'"' => {
                inside = !inside;
                false
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' => !inside,
            _ => false,
        }
    })
    .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::NoTrace;

    fn setup_with<T>(maps: &str, value: &str, test: impl FnOnce(&mut Setup<'_>) -> T) -> T {
        let mut config = Config::default();
        config.set(maps, &format!("static:{{{value}}}"));
        config.set("recipient_delimiter", "+");
        let mut warn = |_| {};
        test(&mut Setup::new(&config, &mut warn).unwrap())
    }

    #[test]
    fn owners_are_compared_without_case() {
        setup_with("smtpd_sender_login_maps", "Ann, bob carl", |setup| {
            let logins = SenderLogins::open(setup).unwrap();
            for (login, expect) in [("ANN", true), ("bob", true), ("carl", true), ("an", false)] {
                let owns = logins.owns(login.as_bytes(), &Internal::from("a@x"), &mut NoTrace);
                assert_eq!(owns.unwrap(), expect, "{login}");
            }
        });
    }

    #[test]
    fn patterns_cover_domains_addresses_and_the_null_sender() {
        for (patterns, sender, expect) in [
            ("*", "any@x", true),
            ("*", "", true),
            ("@x.example", "a@X.example", true),
            ("@x.example", "a@y.x.example", false),
            ("<>", "", true),
            ("<>", "a@x", false),
            ("a@x", "", false),
            ("b@x, A@x", "a@x", true),
            ("a@x", "a+ext@x", true),
            ("a+ext@x", "a+ext@x", false),
            ("\"a b\"@x c@x", "a b@x", true),
            ("\"a b\"@x c@x", "c@x", true),
        ] {
            setup_with("local_login_sender_maps", patterns, |setup| {
                let senders = LoginSenders::open(setup).unwrap();
                let allows = senders.allows(b"ann", &Internal::from(sender), &mut NoTrace);
                assert_eq!(allows.unwrap(), expect, "{patterns} {sender}");
            });
        }
    }
}
