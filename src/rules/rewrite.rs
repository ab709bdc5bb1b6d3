//! Maps from address to address: `virtual_alias_maps`, the canonical maps, `smtp_generic_maps`.
//!
//! | key | scope |
//! |---|---|
//! | `user+ext@domain` | all |
//! | `user@domain` | fixed |
//! | `user+ext`, `user`, if the domain is this machine | fixed |
//! | `@domain` | fixed |
//!
//! | feature | results | repeated |
//! |---|---|---|
//! | virtual | all of them | each result is looked up again, within limits |
//! | canonical | the first | 10 times at most |
//! | generic | the first | not |
//!
//! A value that begins with `@` keeps the local part: `@new.example`. An extension that is not in
//! the key is put into the results if `propagate_unmatched_extensions` says so.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::key::Fold;
use crate::rules::address::{Internal, with_extension};
use crate::rules::address_list::addresses;
use crate::rules::complete::Completion;
use crate::rules::nexthop::Agent;
use crate::rules::search::{AddressRules, Found, Search};
use crate::rules::setup::Setup;
use crate::rules::tables::TableList;
use crate::rules::trace::Trace;

/// How often a canonical map is applied to its own results.
const CANONICAL_ROUNDS_MAX: usize = 10;

/// One map: tables, and what is done to their values.
pub struct AddressMap {
    list: TableList,
    propagate: bool,
    completion: Arc<Completion>,
    addresses: Arc<AddressRules>,
}

impl AddressMap {
    /// The map in `parameter`. `feature` is its name in `propagate_unmatched_extensions`.
    fn open(parameter: &str, feature: &str, setup: &mut Setup<'_>) -> Result<AddressMap> {
        Ok(AddressMap {
            list: setup.tables(parameter)?,
            propagate: setup.lists("propagate_unmatched_extensions", feature)?,
            completion: Arc::new(Completion::open(setup)?),
            addresses: setup.addresses()?,
        })
    }

    /// The tables.
    pub fn list(&self) -> &TableList {
        &self.list
    }

    /// What `address` is mapped to: one or more addresses, each with its domain.
    ///
    /// # Errors
    ///
    /// When a table fails, or its value holds no address.
    pub fn map(
        &self,
        address: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Vec<Internal<'static>>>> {
        match self
            .addresses
            .find(&self.list, address, &Search::REWRITE, trace)?
        {
            None => Ok(None),
            Some(found) => self.results(address, &found).map(Some),
        }
    }

    fn results(
        &self,
        address: &Internal<'_>,
        found: &Found<'_, '_>,
    ) -> Result<Vec<Internal<'static>>> {
        let list = if found.value.starts_with(b"@") {
            let (local, _) = address.parts();
            let kept = local.strip_suffix(found.extension).unwrap_or(local);
            let whole = Internal::new([kept, &found.value].concat());
            addresses(whole.quote().as_bytes())
        } else {
            addresses(&found.value)
        };
        if list.is_empty() {
            let reason = format!(
                "{} has no address for \"{}\"",
                self.list.parameter(),
                address.as_bytes().escape_ascii()
            );
            return Err(Error::new(ErrorKind::Lookup { reason }));
        }
        let extension = if self.propagate { found.extension } else { b"" };
        let completed = list.iter().map(|address| {
            let completed = self.completion.complete(address);
            match extension {
                [] => completed,
                extension => Internal::new(with_extension(completed.as_bytes(), extension)),
            }
        });
        Ok(completed.collect())
    }

    /// The first result, if there is any.
    fn map_one(
        &self,
        address: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Option<Internal<'static>>> {
        let results = self.map(address, trace)?;
        Ok(results.and_then(|results| results.into_iter().next()))
    }
}

/// `virtual_alias_maps`: who gets mail for a recipient instead.
pub struct VirtualAliases {
    map: AddressMap,
    expansion_max: usize,
    recursion_max: usize,
    address_len_max: usize,
    fold: Fold,
}

impl VirtualAliases {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<VirtualAliases> {
        Ok(VirtualAliases {
            map: AddressMap::open("virtual_alias_maps", "virtual", setup)?,
            expansion_max: setup.number("virtual_alias_expansion_limit")?,
            recursion_max: setup.number("virtual_alias_recursion_limit")?,
            address_len_max: setup.number("virtual_alias_address_length_limit")?,
            fold: setup.fold(),
        })
    }

    /// The map, for single lookups.
    pub fn map(&self) -> &AddressMap {
        &self.map
    }

    /// All recipients that `recipient` stands for, each once whatever its case, in the order they
    /// were found; itself when it is in no table. It has a domain ([`Completion::complete_recipient`]) and
    /// went through the canonical maps.
    ///
    /// An address that stands for itself, among others, is kept. Any other circle is an error.
    ///
    /// # Errors
    ///
    /// When a table fails, a value holds no address, or a limit is exceeded: the message is
    /// refused for now.
    pub fn expand(
        &self,
        recipient: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Vec<Internal<'static>>> {
        // With each address, whether it stands for itself and is looked up no more.
        let mut list = vec![(Internal::new(recipient.as_bytes().to_vec()), false)];
        let mut at = 0;
        while let Some((address, is_final)) = list.get(at).cloned() {
            if list.len() > self.expansion_max {
                return Err(self.too_much("too many recipients", recipient));
            }
            let (mut address, mut is_final) = (address, is_final);
            let mut rounds = 0;
            while !is_final {
                if rounds >= self.recursion_max {
                    return Err(self.too_much("too deep nesting", recipient));
                }
                rounds += 1;
                let Some(results) = self.map.map(&address, trace)? else {
                    break;
                };
                let is_itself = |result: &Internal<'_>| {
                    result.as_bytes().eq_ignore_ascii_case(address.as_bytes())
                };
                let mut results = results
                    .into_iter()
                    .map(|result| (is_itself(&result), result))
                    .collect::<Vec<_>>()
                    .into_iter();
                if results
                    .as_slice()
                    .iter()
                    .any(|(_, r)| r.as_bytes().len() > self.address_len_max)
                {
                    return Err(self.too_much("too long an address", recipient));
                }
                if let Some((itself, first)) = results.next() {
                    (address, is_final) = (first, itself);
                }
                list.extend(results.map(|(itself, result)| (result, itself)));
            }
            if let Some(place) = list.get_mut(at) {
                *place = (address, true);
            }
            at += 1;
        }
        let mut known = HashSet::new();
        let mut recipients: Vec<_> = list.into_iter().map(|(address, _)| address).collect();
        recipients.retain(|address| known.insert(self.fold.fold(address.as_bytes()).into_owned()));
        Ok(recipients)
    }

    fn too_much(&self, what: &str, recipient: &Internal<'_>) -> Error {
        let recipient = recipient.as_bytes().escape_ascii();
        let reason = format!("virtual_alias_maps: {what} for \"{recipient}\"");
        Error::new(ErrorKind::Lookup { reason })
    }
}

/// Whose address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who sent the message.
    Sender,
    /// Who gets it.
    Recipient,
}

/// Where an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the envelope.
    Envelope,
    /// In a header of the message.
    Header,
}

/// The canonical maps: `sender_canonical_maps`, `recipient_canonical_maps`, `canonical_maps`.
pub struct Canonical {
    sender: ClassedMap,
    recipient: ClassedMap,
    both: ClassedMap,
}

/// A map, and the addresses it is for.
struct ClassedMap {
    map: AddressMap,
    classes: Vec<(Side, Place)>,
}

impl ClassedMap {
    fn open(maps: &str, classes: &str, setup: &mut Setup<'_>) -> Result<ClassedMap> {
        let mut found = Vec::new();
        for (name, side, place) in [
            ("envelope_sender", Side::Sender, Place::Envelope),
            ("envelope_recipient", Side::Recipient, Place::Envelope),
            ("header_sender", Side::Sender, Place::Header),
            ("header_recipient", Side::Recipient, Place::Header),
        ] {
            if setup.lists(classes, name)? {
                found.push((side, place));
            }
        }
        Ok(ClassedMap {
            map: AddressMap::open(maps, "canonical", setup)?,
            classes: found,
        })
    }

    /// `address` mapped, and mapped again.
    fn apply(
        &self,
        side: Side,
        place: Place,
        address: Internal<'static>,
        trace: &mut dyn Trace,
    ) -> Result<Internal<'static>> {
        let mut address = address;
        if !self.classes.contains(&(side, place)) {
            return Ok(address);
        }
        for _ in 0..CANONICAL_ROUNDS_MAX {
            let Some(result) = self.map.map_one(&address, trace)? else {
                break;
            };
            let is_itself = result.as_bytes().eq_ignore_ascii_case(address.as_bytes());
            address = result;
            if is_itself {
                break;
            }
        }
        Ok(address)
    }
}

impl Canonical {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<Canonical> {
        Ok(Canonical {
            sender: ClassedMap::open("sender_canonical_maps", "sender_canonical_classes", setup)?,
            recipient: ClassedMap::open(
                "recipient_canonical_maps",
                "recipient_canonical_classes",
                setup,
            )?,
            both: ClassedMap::open("canonical_maps", "canonical_classes", setup)?,
        })
    }

    /// What `address` is rewritten to; itself when it is in no table. It has a domain
    /// ([`Completion`]). The null sender is looked up as `""`.
    ///
    /// A map that goes on changing the address is left after 10 rounds, without an error.
    ///
    /// # Errors
    ///
    /// When a table fails, or a value holds no address.
    pub fn map(
        &self,
        side: Side,
        place: Place,
        address: &Internal<'_>,
        trace: &mut dyn Trace,
    ) -> Result<Internal<'static>> {
        let own = match side {
            Side::Sender => &self.sender,
            Side::Recipient => &self.recipient,
        };
        let address = Internal::new(address.as_bytes().to_vec());
        let address = own.apply(side, place, address, trace)?;
        self.both.apply(side, place, address, trace)
    }
}

/// `smtp_generic_maps`: from addresses of this site to addresses the world knows.
pub struct Generic {
    map: AddressMap,
}

impl Generic {
    /// The tables of `agent`.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(agent: Agent, setup: &mut Setup<'_>) -> Result<Generic> {
        Ok(Generic {
            map: AddressMap::open(&agent.parameter("generic_maps"), "generic", setup)?,
        })
    }

    /// What `address` is rewritten to; itself when it is in no table. The null address is not
    /// looked up.
    ///
    /// # Errors
    ///
    /// When a table fails, or a value holds no address: mail must wait.
    pub fn map(&self, address: &Internal<'_>, trace: &mut dyn Trace) -> Result<Internal<'static>> {
        let mapped = match address.is_null() {
            true => None,
            false => self.map.map_one(address, trace)?,
        };
        Ok(mapped.unwrap_or_else(|| Internal::new(address.as_bytes().to_vec())))
    }
}

#[cfg(test)]
mod tests;
