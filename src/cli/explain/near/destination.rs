//! Other ways to write a key for a destination.

use crate::rules::address::Internal;
use crate::rules::host;
use crate::rules::nexthop::{Destination, Place};

use super::address::with_parents;
use super::shelf::Verdict;
use super::{Candidate, DestinationKeys, quoted};

/// Services that people write.
const SERVICES: &[&str] = &[
    "24",
    "25",
    "465",
    "587",
    "2525",
    "lmtp",
    "smtp",
    "smtps",
    "submission",
    "submissions",
];

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
        let services = SERVICES.iter().map(|service| service.as_bytes());
        for whole in [
            host.clone(),
            [b"[", host.as_slice(), b"]"].concat(),
            [b"[IPv6:", host.as_slice(), b"]"].concat(),
        ] {
            for service in services
                .clone()
                .chain([service.as_slice(), port.as_bytes()])
            {
                keys.push([&whole, b":".as_slice(), service].concat());
            }
            keys.push(whole);
        }
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
    for transport in ["smtp:", "relay:", "lmtp:"] {
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
        let why = format!("the destination is {text}{}", differences(&written, &is));
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

/// A destination taken apart as it is written, right or wrong.
struct Written<'k> {
    host: &'k [u8],
    service: Option<&'k [u8]>,
    brackets: bool,
}

impl<'k> Written<'k> {
    fn read(text: &'k [u8]) -> Option<Written<'k>> {
        if let Some(rest) = text.strip_prefix(b"[") {
            let end = memchr::memchr(b']', rest)?;
            let (inside, behind) = rest.split_at(end);
            let service = behind.get(1..)?.strip_prefix(b":");
            return Some(Written {
                host: host::strip_tag(inside).unwrap_or(inside),
                service: service.filter(|service| !service.is_empty()),
                brackets: true,
            });
        }
        let colon = memchr::memrchr(b':', text).filter(|_| host::address(text).is_none());
        let (host, behind) = text.split_at(colon.unwrap_or(text.len()));
        let service = behind.get(1..).filter(|service| !service.is_empty());
        Some(Written {
            host,
            service,
            brackets: false,
        })
    }
}

/// How the destination `is`, that the key is not.
fn differences(key: &Written<'_>, is: &Written<'_>) -> String {
    let mut found = String::new();
    if key.brackets != is.brackets {
        found.push_str(match is.brackets {
            true => ", with brackets",
            false => ", without brackets",
        });
    }
    match (key.service, is.service) {
        (None, None) => {}
        (Some(_), None) => found.push_str(", without a port"),
        (None, Some(_)) => found.push_str(", with a port"),
        (Some(key), Some(is)) if key == is => {}
        (Some(_), Some(_)) => found.push_str(", with another port or another name for it"),
    }
    found
}
