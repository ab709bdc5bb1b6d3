//! `virtual_mailbox_maps`, `virtual_uid_maps`, `virtual_gid_maps`: the mailboxes of users who are
//! not users of the system.
//!
//! The whole recipient is folded first; then it is looked up by the address search.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::key::Fold;
use crate::rules::address::Internal;
use crate::rules::search::{AddressRules, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::Trace;

/// The tables of virtual mailboxes.
pub struct VirtualMailboxes {
    mailboxes: TableList,
    uids: TableList,
    gids: TableList,
    base: Vec<u8>,
    minimum_uid: u32,
    fold: Fold,
    addresses: Arc<AddressRules>,
}

impl VirtualMailboxes {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<VirtualMailboxes> {
        let options = ListOptions {
            fold: false,
            ..ListOptions::NO_SUBSTITUTION
        };
        let minimum_uid = setup.number("virtual_minimum_uid")?;
        Ok(VirtualMailboxes {
            mailboxes: setup.tables_with("virtual_mailbox_maps", options)?,
            uids: setup.tables_with("virtual_uid_maps", options)?,
            gids: setup.tables_with("virtual_gid_maps", options)?,
            base: setup.text("virtual_mailbox_base")?,
            minimum_uid: u32::try_from(minimum_uid).unwrap_or(u32::MAX),
            fold: setup.fold(),
            addresses: setup.addresses()?,
        })
    }

    /// The mailbox of `recipient` as the table has it: a path below `virtual_mailbox_base`; with a
    /// slash at its end a maildir.
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn find(
        &self,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'_, [u8]>>> {
        self.look_up(&self.mailboxes, recipient, trace)
    }

    /// The path of the mailbox of `recipient`.
    ///
    /// # Errors
    ///
    /// When a table fails, or the path has a `..` in it.
    pub fn path(&self, recipient: &Internal<'_>, trace: &mut dyn Trace) -> Result<Option<Vec<u8>>> {
        let Some(mailbox) = self.find(recipient, trace)? else {
            return Ok(None);
        };
        let path = [&self.base, b"/".as_slice(), &mailbox].concat();
        if path.windows(4).any(|part| part == b"/../") {
            return Err(refused(&self.mailboxes, recipient, "the path has a \"..\""));
        }
        Ok(Some(path))
    }

    /// The user id and the group id that the mailbox of `recipient` belongs to; `None` when a table
    /// does not have it.
    ///
    /// # Errors
    ///
    /// When a table fails, a value is no number, the user id is below `virtual_minimum_uid`, or the
    /// group id is 0.
    pub fn owner(
        &self,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<(u32, u32)>> {
        let Some(uid) = self.uid(recipient, trace)? else {
            return Ok(None);
        };
        let gid = self.gid(recipient, trace)?;
        Ok(gid.map(|gid| (uid, gid)))
    }

    /// The user id that the mailbox of `recipient` belongs to (`virtual_uid_maps`).
    ///
    /// # Errors
    ///
    /// As [`VirtualMailboxes::owner`].
    pub fn uid(&self, recipient: &Internal<'_>, trace: &mut dyn Trace) -> Result<Option<u32>> {
        self.id(&self.uids, recipient, self.minimum_uid, trace)
    }

    /// The group id that the mailbox of `recipient` belongs to (`virtual_gid_maps`).
    ///
    /// # Errors
    ///
    /// As [`VirtualMailboxes::owner`].
    pub fn gid(&self, recipient: &Internal<'_>, trace: &mut dyn Trace) -> Result<Option<u32>> {
        self.id(&self.gids, recipient, 1, trace)
    }

    fn id(
        &self,
        list: &TableList,
        recipient: &Internal<'_>,
        minimum: u32,
        trace: &mut dyn Trace,
    ) -> Result<Option<u32>> {
        let Some(value) = self.look_up(list, recipient, trace)? else {
            return Ok(None);
        };
        let digits = value.iter().all(u8::is_ascii_digit).then_some(&*value);
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        match number {
            Some(id) if id >= minimum => Ok(Some(id)),
            _ => Err(refused(
                list,
                recipient,
                "the id is no number, or too small",
            )),
        }
    }

    fn look_up<'t>(
        &self,
        list: &'t TableList,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Cow<'t, [u8]>>> {
        let folded = Internal::new(self.fold.fold(recipient.as_bytes()));
        let found = self
            .addresses
            .find(list, &folded, &Search::ADDRESS, trace)?;
        Ok(found.map(|found| found.value))
    }
}

fn refused(list: &TableList, recipient: &Internal<'_>, what: &str) -> Error {
    let recipient = recipient.as_bytes().escape_ascii();
    let reason = format!("{} for \"{recipient}\": {what}", list.parameter());
    Error::new(ErrorKind::Lookup { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::NoTrace;

    #[test]
    fn paths_and_ids_are_checked() {
        for (mailbox, uid, gid, path, owner) in [
            (
                "x/ann/",
                "1000",
                "100",
                Some("/var/mail/x/ann/"),
                Some((1000, 100)),
            ),
            ("../ann", "99", "100", None, None),
            ("x", "1000", "0", Some("/var/mail/x"), None),
            ("x", "1000x", "1", Some("/var/mail/x"), None),
        ] {
            let mut config = Config::default();
            config.set("virtual_mailbox_base", "/var/mail");
            config.set("virtual_mailbox_maps", &format!("static:{mailbox}"));
            config.set("virtual_uid_maps", &format!("static:{uid}"));
            config.set("virtual_gid_maps", &format!("static:{gid}"));
            let mut warn = |_| {};
            let mut setup = Setup::new(&config, &mut warn).unwrap();
            let mailboxes = VirtualMailboxes::open(&mut setup).unwrap();
            let ann = Internal::from("ann@x");
            let found = mailboxes.path(&ann, &mut NoTrace).ok().flatten();
            assert_eq!(found.as_deref(), path.map(str::as_bytes), "{mailbox}");
            assert_eq!(
                mailboxes.owner(&ann, &mut NoTrace).ok().flatten(),
                owner,
                "{uid} {gid}"
            );
        }
    }
}
