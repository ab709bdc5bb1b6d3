//! Near misses: keys that are in a table, but are not what is looked up.
//!
//! | file | job |
//! |---|---|
//! | `shelf` | the tables of a parameter, to look around in |
//! | `address` | other ways to write a key for an address |
//! | `client` | the same for names and addresses of hosts |
//! | `destination` | the same for nexthops |
//! | `written` | nexthops as people write them, right or wrong |
//!
//! Each near miss was found in the table. Keys that somebody might have written are made and looked
//! up; tables of few entries are read through as well, and so is the source text.

mod address;
mod client;
mod destination;
mod shelf;
mod written;

use memchr::memrchr;

use crate::cli::report::Fatal;
use crate::cli::text::escaped;
use crate::key::Fold;
use crate::rules::address::Internal;
use crate::rules::host;
use crate::rules::nexthop::{Destination, Nexthops};
use crate::rules::suffix::Style;
use crate::rules::trace::{Scope, Step};

use super::Asked;
use super::model::Lookup;
use destination::Malformed;
use shelf::Shelf;

/// More near misses than these are not told.
const TOLD_MAX: usize = 8;

/// A key that is there but does not count.
pub(super) struct NearMiss {
    /// The table, or the source text.
    pub(super) table: String,
    pub(super) key: Vec<u8>,
    /// Why it does not count.
    pub(super) why: String,
    /// The key that would.
    pub(super) write: Option<Vec<u8>>,
}

/// What is looked up.
pub(super) enum Subject<'a> {
    /// A recipient, in `transport_maps`.
    Transport(&'a Internal<'a>),
    /// A sender or recipient, in access tables.
    Access(&'a Internal<'a>),
    /// An address, in any other tables.
    Address(&'a Internal<'a>),
    /// The local part of an address.
    Alias(&'a Internal<'a>),
    /// A host; its name, its address or both.
    Client { name: &'a [u8], address: &'a [u8] },
    /// Hosts that the DNS has for a name.
    Servers(&'a [Server]),
    /// A nexthop, and the sender where that would be a key.
    Destination {
        destination: &'a Destination,
        sender: Option<&'a Internal<'a>>,
        use_of: DestinationKeys,
    },
}

/// A host with its addresses.
pub(super) struct Server {
    /// Empty if addresses alone are looked up.
    pub(super) name: Vec<u8>,
    pub(super) addresses: Vec<Vec<u8>>,
}

impl Server {
    /// Reads `name[address][address]`, a name, or an address. What is neither is a name.
    pub(super) fn parse(text: &[u8]) -> Server {
        let mut name = text;
        let mut addresses = Vec::new();
        while let Some(rest) = name.strip_suffix(b"]")
            && let Some(at) = memrchr(b'[', rest)
            && let Some(address) = rest.get(at + 1..)
            && host::address(address).is_some()
        {
            addresses.insert(0, address.to_vec());
            name = name.get(..at).unwrap_or_default();
        }
        if addresses.is_empty() && host::address(text).is_some() {
            addresses.push(text.to_vec());
            name = b"";
        }
        Server {
            name: name.to_vec(),
            addresses,
        }
    }

    /// As it is read.
    pub(super) fn text(&self) -> String {
        let mut text = self.name.clone();
        for address in &self.addresses {
            text.extend([b"[", address.as_slice(), b"]"].concat());
        }
        escaped(&text)
    }
}

/// What tables about destinations are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DestinationKeys {
    Passwords,
    /// Domains stand for their subdomains, with a dot in front.
    Policies,
}

/// A key that somebody might have written.
struct Candidate {
    key: Vec<u8>,
    why: String,
    write: Option<Vec<u8>>,
}

impl Candidate {
    fn new(key: impl Into<Vec<u8>>, why: impl Into<String>, write: &[u8]) -> Candidate {
        Candidate {
            key: key.into(),
            why: why.into(),
            write: Some(write.to_vec()),
        }
    }
}

/// What the makers of candidates need to know.
struct Around {
    tried: Tried,
    /// How the feature walks through parent domains, if it does.
    style: Style,
    delimiters: Vec<u8>,
}

/// The keys that were looked up.
struct Tried {
    keys: Vec<(Scope, Vec<u8>)>,
    folded: Vec<Vec<u8>>,
    fold: Fold,
}

impl Tried {
    fn new(lookup: &Lookup, parameter: &str, fold: Fold) -> Tried {
        let keys = lookup.steps.iter().filter_map(|step| match step {
            Step::Key {
                parameter: of,
                scope,
                key,
                ..
            } if of == parameter => Some((*scope, key.clone())),
            _ => None,
        });
        let keys: Vec<(Scope, Vec<u8>)> = keys.collect();
        let folded = keys.iter().map(|(_, key)| fold.fold(key).into_owned());
        Tried {
            folded: folded.collect(),
            keys,
            fold,
        }
    }

    fn has(&self, key: &[u8]) -> bool {
        let key = self.fold.fold(key);
        self.folded.iter().any(|tried| *tried == *key)
    }
}

/// As [`look`]; also says so if the parameter is empty.
pub(super) fn look_and_note(
    asked: &mut Asked<'_, '_>,
    lookup: &mut Lookup,
    parameter: &str,
    subject: &Subject<'_>,
) -> Result<(), Fatal> {
    let text = asked.parameter(parameter)?;
    lookup.note_empty(parameter, &text);
    look_in(asked, lookup, parameter, &text, subject)
}

/// Looks around in the tables of `parameter`, and adds to `lookup` what is found.
pub(super) fn look(
    asked: &mut Asked<'_, '_>,
    lookup: &mut Lookup,
    parameter: &str,
    subject: &Subject<'_>,
) -> Result<(), Fatal> {
    let text = asked.parameter(parameter)?;
    look_in(asked, lookup, parameter, &text, subject)
}

/// As [`look`], in the tables that `text` lists.
pub(super) fn look_in(
    asked: &mut Asked<'_, '_>,
    lookup: &mut Lookup,
    parameter: &str,
    text: &[u8],
    subject: &Subject<'_>,
) -> Result<(), Fatal> {
    if !lookup.asks(parameter) {
        return Ok(());
    }
    let is_alias = matches!(subject, Subject::Alias(_));
    let shelf = Shelf::open(text, is_alias, asked.setup);
    lookup.notes.extend(shelf.state());
    if !lookup.missed().iter().any(|missed| missed == parameter) {
        return Ok(());
    }
    let around = Around {
        tried: Tried::new(lookup, parameter, asked.setup.fold()),
        style: style(asked, subject)?,
        delimiters: asked.parameter("recipient_delimiter")?,
    };
    let mut candidates = match subject {
        Subject::Transport(address) => {
            address::by_domain(address, &around, "transport_maps", false)
        }
        Subject::Access(address) => address::by_domain(address, &around, "access tables", true),
        Subject::Address(address) => address::by_address(address, &around),
        Subject::Alias(address) => address::by_local_part(address, &around),
        Subject::Client { name, address } => client::candidates(name, address, &around),
        Subject::Servers(servers) => {
            let hosts = servers.iter().flat_map(|server| {
                let name = (server.name.as_slice(), b"".as_slice());
                let addresses = server.addresses.iter();
                std::iter::once(name).chain(addresses.map(|address| (b"".as_slice(), &**address)))
            });
            hosts
                .flat_map(|(name, address)| client::candidates(name, address, &around))
                .collect()
        }
        Subject::Destination {
            destination,
            sender,
            use_of,
        } => destination::candidates(destination, *sender, *use_of),
    };
    candidates.extend(misspelt(&around.tried));
    let judge = |key: &[u8]| match subject {
        Subject::Destination {
            destination,
            use_of,
            ..
        } => destination::judge(key, destination, *use_of),
        Subject::Transport(address) | Subject::Access(address) | Subject::Address(address) => {
            address::judge(key, address, &around.tried)
        }
        Subject::Alias(_) | Subject::Client { .. } | Subject::Servers(_) => None,
    };
    let mut found = shelf.look(&candidates, &around.tried, &judge);
    for near in &mut found {
        // Advice is what was looked up, or none.
        near.write = near.write.take().filter(|key| around.tried.has(key));
    }
    found.truncate(TOLD_MAX);
    lookup.near.extend(found);
    Ok(())
}

/// Looks around for the host of a `nexthop` that is none, in the tables of `parameter`.
pub(super) fn look_for_malformed(
    asked: &mut Asked<'_, '_>,
    lookup: &mut Lookup,
    parameter: &str,
    nexthop: &[u8],
    nexthops: &Nexthops,
) -> Result<(), Fatal> {
    let Some(malformed) = Malformed::read(nexthop, nexthops) else {
        return Ok(());
    };
    let text = asked.parameter(parameter)?;
    let shelf = Shelf::open(&text, false, asked.setup);
    // Nothing was looked up.
    let tried = Tried::new(lookup, parameter, asked.setup.fold());
    let mut found = shelf.look(&malformed.candidates(), &tried, &|key| malformed.judge(key));
    found.truncate(TOLD_MAX);
    lookup.near.extend(found);
    if let Some(meant) = &malformed.meant {
        let meant = escaped(meant);
        lookup.notes.push(format!("perhaps {meant} is meant"));
    }
    Ok(())
}

fn style(asked: &mut Asked<'_, '_>, subject: &Subject<'_>) -> Result<Style, Fatal> {
    let feature = match subject {
        Subject::Transport(_) => "transport_maps",
        _ => "smtpd_access_maps",
    };
    asked.setup.style(feature).map_err(super::no_rules)
}

/// Keys with something in front or behind that does not belong there.
fn misspelt(tried: &Tried) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (_, key) in &tried.keys {
        let with =
            |before: &str, behind: &str| [before.as_bytes(), key, behind.as_bytes()].concat();
        let mailto = key.contains(&b'@').then(|| {
            let why = "the mailto: in front is part of it";
            (with("mailto:", ""), why)
        });
        for (wrong, why) in [
            (with("", ":"), "the colon is part of it"),
            (with("", "."), "the dot at its end is part of it"),
            (with("<", ">"), "the angle brackets are part of it"),
            (with("'", "'"), "the quotes are part of it"),
            (with("\u{feff}", ""), "a byte order mark is part of it"),
        ]
        .into_iter()
        .chain(mailto)
        {
            found.push(Candidate::new(wrong, why, key));
        }
    }
    found
}

/// `text` between backticks, for reasons.
fn quoted(text: &[u8]) -> String {
    format!("`{}`", escaped(text))
}
