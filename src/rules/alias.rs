//! `alias_maps`: other names of the users of this machine.
//!
//! | name | scope |
//! |---|---|
//! | `user+ext` | all |
//! | `user` | all |
//!
//! Unlike elsewhere, tables of patterns see the shortened name as well, and each table is asked
//! for a name in quotes and without before the next table is. There is no domain in any key.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Result;
use crate::key::Fold;
use crate::rules::address::{Part, quote};
use crate::rules::search::AddressRules;
use crate::rules::setup::Setup;
use crate::rules::tables::{ListOptions, TableList};
use crate::rules::trace::Trace;

/// The tables of aliases.
pub struct Aliases {
    list: TableList,
    fold: Fold,
    owners: bool,
    addresses: Arc<AddressRules>,
}

/// An alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias<'t> {
    /// Whom or what it stands for: addresses, `|command`, `/file`, `:include:/file`.
    pub value: Cow<'t, [u8]>,
    /// The name that was found, without quotes and folded.
    pub name: Vec<u8>,
    /// The extension that the name lacks, with its delimiter; empty if it lacks none.
    pub extension: Vec<u8>,
}

impl Aliases {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<Aliases> {
        Ok(Aliases {
            list: setup.tables_with("alias_maps", ListOptions::NO_SUBSTITUTION)?,
            fold: setup.fold(),
            owners: setup.boolean("owner_request_special")?,
            addresses: setup.addresses()?,
        })
    }

    /// The alias for the local part of a recipient. An extension with a `/` in it does not count.
    ///
    /// # Errors
    ///
    /// When a table fails: mail must wait.
    pub fn find(&self, local: &[u8], trace: &mut dyn Trace) -> Result<Option<Alias<'_>>> {
        let mut local = self.fold.fold(local);
        let mut user_len = self
            .addresses
            .extensions
            .split(&local)
            .map(|(user, _)| user.len());
        if let Some(len) = user_len
            && local
                .get(len..)
                .is_some_and(|extension| extension.contains(&b'/'))
        {
            local = Cow::Owned(local.get(..len).unwrap_or_default().to_vec());
            user_len = None;
        }
        for len in [Some(local.len()), user_len].into_iter().flatten() {
            let (name, extension) = local.split_at(len);
            let spellings = [&*quote(name, Part::Local), name];
            if let Some(value) = self.list.find_spellings(spellings, trace)? {
                return Ok(Some(Alias {
                    value,
                    name: name.to_vec(),
                    extension: extension.to_vec(),
                }));
            }
        }
        Ok(None)
    }

    /// The value of `owner-NAME`, to whom bounces of mail for the alias `name` go.
    ///
    /// # Errors
    ///
    /// When a table fails: mail must wait.
    pub fn owner(&self, name: &[u8], trace: &mut dyn Trace) -> Result<Option<Cow<'_, [u8]>>> {
        if !self.owners {
            return Ok(None);
        }
        let owner = [b"owner-", &*self.fold.fold(name)].concat();
        self.list
            .find_spellings([&quote(&owner, Part::Local), &owner], trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rules::trace::{Recorder, Scope};

    use crate::rules::testing::lists;

    fn aliases(list: TableList) -> Aliases {
        let mut config = Config::default();
        config.set("recipient_delimiter", "+");
        let mut warn = |_| {};
        let mut aliases = Aliases::open(&mut Setup::new(&config, &mut warn).unwrap()).unwrap();
        aliases.list = list;
        aliases
    }

    #[test]
    fn names_are_tried_whole_then_without_extension_in_both_spellings() {
        let aliases = aliases(lists("alias_maps", &[(false, &[])]));
        for (local, keys) in [
            ("Root", &["root"][..]),
            ("team+x", &["team+x", "team"]),
            ("a b+x", &["\"a b+x\"", "a b+x", "\"a b\"", "a b"]),
            ("team+x/y", &["team"]),
            ("te/am+x", &["te/am+x", "te/am"]),
            ("", &["\"\""]),
        ] {
            let mut trace = Recorder::default();
            assert!(
                aliases
                    .find(local.as_bytes(), &mut trace)
                    .unwrap()
                    .is_none()
            );
            let expect: Vec<_> = keys
                .iter()
                .map(|key| (Scope::All, key.as_bytes()))
                .collect();
            assert_eq!(trace.keys("alias_maps"), expect, "{local}");
        }
    }

    #[test]
    fn patterns_see_short_names_and_tables_see_both_spellings() {
        let aliases = aliases(lists(
            "alias_maps",
            &[
                (true, &[("team", "one"), ("a b", "plain")]),
                (false, &[("\"a b\"", "quoted"), ("owner-team", "boss")]),
            ],
        ));
        for (local, value, name, extension) in
            [("Team+x", "one", "team", "+x"), ("a b", "plain", "a b", "")]
        {
            let found = aliases
                .find(local.as_bytes(), &mut Recorder::default())
                .unwrap()
                .unwrap();
            assert_eq!(*found.value, *value.as_bytes());
            assert_eq!(
                (&*found.name, &*found.extension),
                (name.as_bytes(), extension.as_bytes())
            );
        }
        let owner = aliases.owner(b"Team", &mut Recorder::default()).unwrap();
        assert_eq!(owner.as_deref(), Some(&b"boss"[..]));
    }
}
