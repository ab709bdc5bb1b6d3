//! The address search: from one address to the keys it is looked up by.
//!
//! | step | key | scope | used if |
//! |---|---|---|---|
//! | full | `user+ext@domain` | all | always |
//! | without extension | `user@domain` | fixed | an extension can be split off |
//! | local | `user+ext`, then `user` | fixed | the domain is this machine |
//! | local with `@` | `user+ext@`, then `user@` | fixed | likewise |
//! | at domain | `@domain` | fixed | there is a domain |
//! | domain | `domain`, then its parents | fixed | there is a domain |
//! | user with `@` | `user+ext@`, then `user@` | fixed | there is a domain |
//!
//! A feature uses some of the steps, in this order. [`for_each_key`] makes the keys, without any
//! table; [`AddressRules::find`] looks them up.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::error::Result;
use crate::rules::address::{Extensions, Internal, Part, quote};
use crate::rules::local::LocalDomains;
use crate::rules::suffix::{Style, suffixes};
use crate::rules::tables::TableList;
use crate::rules::trace::{Scope, Trace};

/// Which spellings of an address are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is written, with quotes where they are needed.
    External,
    /// So, and then without quotes if that is different.
    ExternalFirst,
}

/// What the keys of a feature are. The full address always is one.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The spellings.
    pub form: Form,
    /// `user+ext` and `user`, for domains that are this machine.
    pub local: bool,
    /// `user+ext@` and `user@`, for domains that are this machine.
    pub local_at: bool,
    /// `@domain`.
    pub at_domain: bool,
    /// The domain and its parents.
    pub domain: Option<Style>,
    /// `user+ext@` and `user@`, for any domain.
    pub user_at: bool,
}

impl Search {
    /// Addresses that are looked up for something about them: relocated users, relay hosts of
    /// senders, mailboxes, blind copies, whether a recipient exists.
    pub const ADDRESS: Search = Search {
        form: Form::ExternalFirst,
        local: true,
        local_at: false,
        at_domain: true,
        domain: None,
        user_at: false,
    };

    /// Addresses that are looked up to be rewritten: canonical, virtual, generic.
    pub const REWRITE: Search = Search {
        form: Form::External,
        ..Search::ADDRESS
    };

    /// `transport_maps`.
    pub fn transport(style: Style) -> Search {
        Search {
            form: Form::ExternalFirst,
            local: false,
            local_at: false,
            at_domain: false,
            domain: Some(style),
            user_at: false,
        }
    }

    /// Access tables with senders or recipients.
    pub fn access(style: Style) -> Search {
        Search {
            user_at: true,
            ..Search::transport(style)
        }
    }
}

/// One key of an address.
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    /// Its text.
    pub text: &'k [u8],
    /// Which tables are asked.
    pub scope: Scope,
    /// Whether it counts only if the domain is this machine.
    pub local_only: bool,
    /// Whether it is without the extension that the address has.
    pub stripped: bool,
}

/// Calls `visit` for each key of `address`, in order, until it breaks.
///
/// The extension that stripped keys lack is that of [`Extensions::split`].
pub fn for_each_key<B>(
    address: &Internal<'_>,
    search: &Search,
    extensions: &Extensions,
    visit: &mut dyn FnMut(Key<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let full = address.as_bytes();
    let (local, domain) = address.parts();
    let mut keys = Keys {
        form: search.form,
        visit,
    };
    keys.spellings(full, &quote(full, Part::Address), Scope::All, false, false)?;
    let Some(domain) = domain else {
        return ControlFlow::Continue(());
    };
    let user = extensions.split(local).map(|(user, _)| user);
    // The local part, and the user if that is something else; whether it is stripped.
    let names = [(Some(local), false), (user, true)];
    let names = names
        .into_iter()
        .filter_map(|(name, stripped)| Some((name?, stripped)));
    if let Some(user) = user {
        let plain = Joined::new([user, b"@", domain]);
        keys.spellings(
            &plain,
            &quote(&plain, Part::Address),
            Scope::Fixed,
            false,
            true,
        )?;
    }
    if search.local {
        for (name, stripped) in names.clone() {
            keys.spellings(
                name,
                &quote(name, Part::Local),
                Scope::Fixed,
                true,
                stripped,
            )?;
        }
    }
    if search.local_at {
        for (name, stripped) in names.clone() {
            keys.name_with_at(name, true, stripped)?;
        }
    }
    if search.at_domain {
        let at_domain = full.get(local.len()..).unwrap_or_default();
        keys.key(at_domain, Scope::Fixed, false, false)?;
    }
    if let Some(style) = search.domain {
        for suffix in suffixes(domain, style) {
            keys.key(suffix, Scope::Fixed, false, false)?;
        }
    }
    if search.user_at {
        for (name, stripped) in names {
            keys.name_with_at(name, false, stripped)?;
        }
    }
    ControlFlow::Continue(())
}

struct Keys<'v, B> {
    form: Form,
    visit: &'v mut dyn FnMut(Key<'_>) -> ControlFlow<B>,
}

impl<B> Keys<'_, B> {
    fn key(
        &mut self,
        text: &[u8],
        scope: Scope,
        local_only: bool,
        stripped: bool,
    ) -> ControlFlow<B> {
        (self.visit)(Key {
            text,
            scope,
            local_only,
            stripped,
        })
    }

    /// The external form, and the internal one where that is a key of its own.
    fn spellings(
        &mut self,
        plain: &[u8],
        quoted: &[u8],
        scope: Scope,
        local_only: bool,
        stripped: bool,
    ) -> ControlFlow<B> {
        self.key(quoted, scope, local_only, stripped)?;
        if self.form == Form::ExternalFirst && plain != quoted {
            self.key(plain, scope, local_only, stripped)?;
        }
        ControlFlow::Continue(())
    }

    fn name_with_at(&mut self, name: &[u8], local_only: bool, stripped: bool) -> ControlFlow<B> {
        let plain = Joined::new([name, b"@"]);
        let quoted = Joined::new([&quote(name, Part::Local), b"@".as_slice()]);
        self.spellings(&plain, &quoted, Scope::Fixed, local_only, stripped)
    }
}

/// The longest key that is put together without an allocation.
const SHORT_KEY_LEN: usize = 254;

/// A key put together from parts: in `long` if it does not fit in `short`.
struct Joined {
    short: [u8; SHORT_KEY_LEN],
    len: usize,
    long: Vec<u8>,
}

impl Joined {
    fn new<const N: usize>(parts: [&[u8]; N]) -> Joined {
        let mut joined = Joined {
            short: [0; SHORT_KEY_LEN],
            len: 0,
            long: Vec::new(),
        };
        for part in parts {
            let end = joined.len + part.len();
            match joined.short.get_mut(joined.len..end) {
                Some(place) => place.copy_from_slice(part),
                None => {
                    joined.long = parts.concat();
                    break;
                }
            }
            joined.len = end;
        }
        joined
    }
}

impl std::ops::Deref for Joined {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.long.as_slice() {
            [] => self.short.get(..self.len).unwrap_or_default(),
            long => long,
        }
    }
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'t, 'a> {
    /// The value in the table.
    pub value: Cow<'t, [u8]>,
    /// The extension that the key lacks, with its delimiter; empty if it lacks none.
    pub extension: &'a [u8],
}

/// What the rules need to know about addresses: how they are split, and which are of this machine.
pub struct AddressRules {
    /// How local parts are split.
    pub extensions: Extensions,
    /// Which domains are this machine.
    pub local: LocalDomains,
}

impl AddressRules {
    /// The first key of `address` that is in a table of `list`.
    ///
    /// # Errors
    ///
    /// As [`TableList::find`]; also when it cannot be told whether the domain is this machine.
    pub fn find<'t, 'a>(
        &self,
        list: &'t TableList,
        address: &'a Internal<'_>,
        search: &Search,
        trace: &mut dyn Trace,
    ) -> Result<Option<Found<'t, 'a>>> {
        if list.is_empty() {
            return Ok(None);
        }
        let (local, domain) = address.parts();
        // Asked for once, and only if the keys before have found nothing.
        let mut is_local = None;
        let mut look_up = |key: Key<'_>| -> Result<Option<Found<'t, 'a>>> {
            if key.local_only {
                let known = match is_local {
                    Some(known) => known,
                    None => self
                        .local
                        .has_bare_users(domain.unwrap_or_default(), trace)?,
                };
                is_local = Some(known);
                if !known {
                    return Ok(None);
                }
            }
            let Some(value) = list.find(key.text, key.scope, trace)? else {
                return Ok(None);
            };
            let extension = match self.extensions.split(local) {
                Some((_, extension)) if key.stripped => extension,
                _ => &[],
            };
            Ok(Some(Found { value, extension }))
        };
        let searched = for_each_key(
            address,
            search,
            &self.extensions,
            &mut |key| match look_up(key) {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(found)) => ControlFlow::Break(Ok(found)),
                Err(error) => ControlFlow::Break(Err(error)),
            },
        );
        match searched {
            ControlFlow::Continue(()) => Ok(None),
            ControlFlow::Break(found) => found.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(address: &str, search: Search) -> Vec<String> {
        let extensions = Extensions::new(b"+", true, b"double-bounce");
        let mut keys = Vec::new();
        let address = Internal::from(address);
        let done: ControlFlow<()> = for_each_key(&address, &search, &extensions, &mut |key| {
            let scope = key.scope.name();
            let local = if key.local_only { "?" } else { "" };
            let stripped = if key.stripped { "-" } else { "" };
            let text = String::from_utf8_lossy(key.text);
            keys.push(format!("{scope}{local}{stripped} {text}"));
            ControlFlow::Continue(())
        });
        assert!(done.is_continue());
        keys
    }

    #[test]
    fn keys_are_put_together_whatever_their_length() {
        for len in [0, 1, SHORT_KEY_LEN - 4, SHORT_KEY_LEN - 3, 1000] {
            let user = vec![b'u'; len];
            let joined = Joined::new([&user, b"@", b"ab"]);
            assert_eq!(*joined, [&user[..], b"@ab"].concat(), "{len}");
            assert_eq!(joined.long.is_empty(), len + 3 <= SHORT_KEY_LEN, "{len}");
        }
    }

    #[test]
    fn each_feature_has_its_keys_in_order() {
        for (search, address, expect) in [
            (
                Search::ADDRESS,
                "bob+q@localhost",
                &[
                    "all bob+q@localhost",
                    "fixed- bob@localhost",
                    "fixed? bob+q",
                    "fixed?- bob",
                    "fixed @localhost",
                ][..],
            ),
            (Search::ADDRESS, "<>", &["all \"<>\"", "all <>"]),
            (Search::REWRITE, "", &["all \"\""]),
            (
                Search::REWRITE,
                "a b@x",
                &["all \"a b\"@x", "fixed? \"a b\"", "fixed @x"],
            ),
            (
                Search::transport(Style::Dot),
                "ann+x@a.b.example",
                &[
                    "all ann+x@a.b.example",
                    "fixed- ann@a.b.example",
                    "fixed a.b.example",
                    "fixed .b.example",
                    "fixed .example",
                ],
            ),
            (
                Search::access(Style::Parent),
                "a b+c@x.example",
                &[
                    "all \"a b+c\"@x.example",
                    "all a b+c@x.example",
                    "fixed- \"a b\"@x.example",
                    "fixed- a b@x.example",
                    "fixed x.example",
                    "fixed example",
                    "fixed \"a b+c\"@",
                    "fixed a b+c@",
                    "fixed- \"a b\"@",
                    "fixed- a b@",
                ],
            ),
            (
                Search {
                    local: false,
                    local_at: true,
                    at_domain: false,
                    ..Search::REWRITE
                },
                "a+b@x",
                &["all a+b@x", "fixed- a@x", "fixed? a+b@", "fixed?- a@"],
            ),
        ] {
            assert_eq!(keys(address, search), expect, "{address}");
        }
    }
}
