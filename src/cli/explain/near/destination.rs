//! Other ways to write a key for a destination.

use crate::rules::address::Internal;
use crate::rules::host;
use crate::rules::nexthop::{Destination, Nexthops, Place};

use super::address::with_parents;
use super::shelf::Verdict;
use super::written::{TRANSPORTS, Written, spellings};
use super::{Candidate, DestinationKeys, quoted};

/// Keys for `destination`, and for `sender` where senders are no keys.
pub(super) fn candidates(
    destination: &Destination,
    sender: Option<&Internal<'_>>,
    use_of: DestinationKeys,
) -> Vec<Candidate> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    if let Place::Host {
        host,
        service,
        port,
        ..
    } = &destination.place
    {
        let port = port.to_string();
        keys.extend(spellings(host, &[service, port.as_bytes()]));
        for of in with_parents(host) {
            for before in [b"".as_slice(), b".", b"*.", b"@"] {
                keys.push([before, of].concat());
            }
        }
    }
    let mut found: Vec<Candidate> = keys
        .into_iter()
        .filter_map(|key| {
            let (why, write) = judge(&key, destination, use_of)?;
            Some(Candidate { key, why, write })
        })
        .collect();
    let text = &destination.text;
    // Of a host without a dot this is all that can be told.
    for transport in TRANSPORTS {
        let key = [transport.as_bytes(), text].concat();
        let why = "the transport does not belong in the key";
        found.push(Candidate::new(key, why, text));
    }
    if use_of == DestinationKeys::Passwords
        && let Some(sender) = sender
    {
        let domain = sender.parts().1.unwrap_or_default();
        for key in [sender.quote().as_bytes().to_vec(), [b"@", domain].concat()] {
            let why = "senders are keys only with smtp_sender_dependent_authentication = yes";
            found.push(Candidate {
                key,
                why: why.to_owned(),
                write: None,
            });
        }
    }
    found
}

/// What is said of a key: nothing unless it is about the same host or a domain of it.
pub(super) fn judge(key: &[u8], destination: &Destination, use_of: DestinationKeys) -> Verdict {
    let Place::Host { host, brackets, .. } = &destination.place else {
        return None;
    };
    let written = Written::read(key)?;
    let is = Written::read(&destination.text)?;
    if written.host.eq_ignore_ascii_case(host) {
        if *key == destination.text {
            return None;
        }
        let text = quoted(&destination.text);
        let why = format!("the destination is {text}{}", written.differences(&is));
        return Some((why, Some(destination.text.clone())));
    }
    let bare = key.strip_prefix(b"*").unwrap_or(key);
    let bare = bare.strip_prefix(b"@").unwrap_or(bare);
    let bare = bare.strip_prefix(b".").unwrap_or(bare);
    let is_domain = |of: &[u8]| of.eq_ignore_ascii_case(bare) && host::address(host).is_none();
    if bare.is_empty() || !with_parents(host).any(is_domain) {
        return None;
    }
    let walks = use_of == DestinationKeys::Policies && !brackets && is.service.is_none();
    Some(match walks {
        true if bare.len() == host.len() => {
            let why = format!("the destination is {}", quoted(host));
            (why, Some(host.clone()))
        }
        true if bare.len() == key.len() => {
            let why = format!("without a dot in front it is for {} alone", quoted(bare));
            (why, Some([b".", bare].concat()))
        }
        true => {
            let why = "parent domains are written with a dot in front".to_owned();
            (why, Some([b".", bare].concat()))
        }
        false => {
            let text = quoted(&destination.text);
            let why = format!("no domain stands for the destination {text}");
            (why, Some(destination.text.clone()))
        }
    })
}

/// For a `nexthop` that is none: other ways to write it, and what is said of a key about the same
/// host. `meant` is what it should probably be.
pub(super) struct Malformed<'n> {
    written: Written<'n>,
    nexthops: &'n Nexthops,
    pub(super) meant: Option<Vec<u8>>,
}

impl<'n> Malformed<'n> {
    /// `None` when no host can be made out, as in a list of several.
    pub(super) fn read(nexthop: &'n [u8], nexthops: &'n Nexthops) -> Option<Malformed<'n>> {
        let is_list = nexthop
            .iter()
            .any(|&byte| byte == b',' || byte.is_ascii_whitespace());
        let written = Written::read(nexthop).filter(|_| !is_list)?;
        let mut corrected = written.corrected().into_iter();
        let meant = corrected.find(|text| nexthops.parse(text).is_ok());
        Some(Malformed {
            written,
            nexthops,
            meant,
        })
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let services = self.written.service.as_slice();
        let keys = spellings(self.written.host, services).into_iter();
        keys.filter_map(|key| {
            let (why, write) = self.judge(&key)?;
            Some(Candidate { key, why, write })
        })
        .collect()
    }

    pub(super) fn judge(&self, key: &[u8]) -> Verdict {
        let written = Written::read(key)?;
        if !written.host.eq_ignore_ascii_case(self.written.host) {
            return None;
        }
        Some(match self.nexthops.parse(key) {
            Ok(_) => ("what is asked for is no nexthop".to_owned(), None),
            Err(error) => (format!("it is no nexthop: {error}"), self.meant.clone()),
        })
    }
}
