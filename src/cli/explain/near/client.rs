//! Other ways to write a key for a host.

use std::net::IpAddr;

use crate::rules::host;

use super::address::{domains, with_parents};
use super::{Around, Candidate};

/// For a name, an address, or both.
pub(super) fn candidates(name: &[u8], address: &[u8], around: &Around) -> Vec<Candidate> {
    let mut found = Vec::new();
    if !name.is_empty() && host::address(name).is_none() {
        found.extend(domains(name, around.style));
        for of in with_parents(name) {
            let why = "names of hosts have no @";
            found.push(Candidate::new([b"@", of].concat(), why, of));
        }
    }
    if let Some(parsed) = host::address(address).or_else(|| host::address(name)) {
        found.extend(addresses(&parsed));
    }
    found
}

fn addresses(address: &IpAddr) -> Vec<Candidate> {
    let text = host::address_text(address);
    let mut found = vec![
        Candidate::new(
            format!("[{text}]"),
            "addresses have no brackets",
            text.as_bytes(),
        ),
        Candidate::new(
            format!("[IPv6:{text}]"),
            "addresses have no brackets",
            text.as_bytes(),
        ),
    ];
    if let IpAddr::V6(v6) = address {
        let why = "addresses are looked up in their shortest form";
        let groups = v6.segments();
        let long = groups.map(|group| format!("{group:04x}")).join(":");
        let plain = groups.map(|group| format!("{group:x}")).join(":");
        for other in [long, plain] {
            found.push(Candidate::new(other, why, text.as_bytes()));
        }
    }
    let why = "masks are for tables of type cidr";
    for (network, len) in networks(address) {
        let key = format!("{network}/{len}");
        let mut candidate = Candidate::new(key, why, text.as_bytes());
        // `192.0.2.0/24` is `192.0.2`, but `192.0.2.0/25` is nothing.
        candidate.write = match (address, len) {
            (IpAddr::V4(v4), 8 | 16 | 24 | 32) => {
                let kept = v4.octets().map(|octet| octet.to_string());
                let kept = kept.get(..usize::from(len / 8)).unwrap_or_default();
                Some(kept.join(".").into_bytes())
            }
            (IpAddr::V6(_), 128) => Some(text.clone().into_bytes()),
            _ => None,
        };
        found.push(candidate);
    }
    found
}

/// All networks that `address` is in, each with the length of its mask.
fn networks(address: &IpAddr) -> Vec<(String, u8)> {
    match *address {
        IpAddr::V4(v4) => {
            let bits = u32::from(v4);
            let network = |len: u8| {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                IpAddr::V4((bits & mask).into())
            };
            (0..=32)
                .map(|len| (host::address_text(&network(len)), len))
                .collect()
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let network = |len: u8| {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                IpAddr::V6((bits & mask).into())
            };
            (0..=128)
                .map(|len| (host::address_text(&network(len)), len))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_an_address_is_named_once() {
        let found = networks(&"192.0.2.129".parse().unwrap());
        assert_eq!(found.len(), 33);
        for (network, len) in [
            ("0.0.0.0", 0),
            ("192.0.0.0", 8),
            ("192.0.2.0", 24),
            ("192.0.2.128", 25),
            ("192.0.2.129", 32),
        ] {
            assert!(
                found.contains(&(network.to_owned(), len)),
                "{network}/{len}"
            );
        }
        let found = networks(&"2001:db8::1".parse().unwrap());
        assert!(found.contains(&("2001:db8::".to_owned(), 32)));
        assert!(found.contains(&("::".to_owned(), 0)));
    }
}
