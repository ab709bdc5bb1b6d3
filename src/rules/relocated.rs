//! `relocated_maps`: users who have moved, and where to.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::address::Internal;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::TableList;
use crate::rules::trace::Trace;

/// The tables of users who have moved.
pub struct Relocated {
    list: TableList,
    with_prefix: bool,
    addresses: Arc<AddressRules>,
}

impl Relocated {
    /// The tables of the configuration.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<Relocated> {
        Ok(Relocated {
            list: setup.tables("relocated_maps")?,
            with_prefix: setup.boolean("relocated_prefix_enable")?,
            addresses: setup.addresses()?,
        })
    }

    /// What senders of mail for `recipient` are told; `None` for users who are still there.
    ///
    /// With `relocated_prefix_enable = no` (Postfix 3.11 and later) the value in the table is all
    /// of it.
    ///
    /// # Errors
    ///
    /// When a table fails, or without the prefix has a value that does not begin with an enhanced
    /// status code.
    pub fn find(&self, recipient: &Internal<'_>, trace: &mut dyn Trace) -> Result<Option<Vec<u8>>> {
        let found = self
            .addresses
            .find(&self.list, recipient, &Search::ADDRESS, trace)?;
        let Some(found) = found else { return Ok(None) };
        if self.with_prefix {
            return Ok(Some([b"5.1.6 User has moved to ", &*found.value].concat()));
        }
        if !begins_with_status(&found.value) {
            let reason = format!(
                "relocated_maps has no enhanced status code for \"{}\"",
                recipient.as_bytes().escape_ascii()
            );
            return Err(Error::new(ErrorKind::Lookup { reason }));
        }
        Ok(Some(found.value.into_owned()))
    }
}

/// Whether `text` begins with an enhanced status code like `5.1.6`, and a blank or nothing.
fn begins_with_status(text: &[u8]) -> bool {
    let code = text
        .split(u8::is_ascii_whitespace)
        .next()
        .unwrap_or_default();
    let parts: Vec<&[u8]> = code.split(|&byte| byte == b'.').collect();
    let is_number =
        |part: &&[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    matches!(parts[..], [[b'2' | b'4' | b'5'], _, _]) && parts.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::NoTrace;

    #[test]
    fn the_prefix_can_be_left_to_the_table() {
        for (prefix, value, expect) in [
            ("yes", "x@y", Some("5.1.6 User has moved to x@y")),
            ("no", "5.1.6 Moved to x@y", Some("5.1.6 Moved to x@y")),
            ("no", "5.1 Moved", None),
            ("no", "x@y", None),
            ("no", "3.1.6 x", None),
        ] {
            let mut config = Config::default();
            config.set("relocated_prefix_enable", prefix);
            config.set("relocated_maps", &format!("static:{{{value}}}"));
            let mut warn = |_| {};
            let mut setup = Setup::new(&config, &mut warn).unwrap();
            let relocated = Relocated::open(&mut setup).unwrap();
            let found = relocated.find(&Internal::from("a@b"), &mut NoTrace);
            assert_eq!(
                found.ok().flatten().as_deref(),
                expect.map(str::as_bytes),
                "{value}"
            );
        }
    }
}
