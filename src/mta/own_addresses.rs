//! The addresses of this machine, from the files in which the kernel shows them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of all interfaces. Where `/proc` does not show them there are none.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut addresses: Vec<IpAddr> = v4_addresses(&v4).map(IpAddr::V4).collect();
    addresses.extend(v6_addresses(&v6).map(IpAddr::V6));
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The leaves of the routing table that are this machine: `|-- 192.0.2.1`, and in one of the lines
/// behind that `/32 host LOCAL`.
fn v4_addresses(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.trim_end().parse().ok();
            None
        } else if line.starts_with("/32 host LOCAL") {
            leaf
        } else {
            None
        }
    })
}

/// One address in each line, which begins with its 32 digits.
fn v6_addresses(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| {
        let digits = line.split_ascii_whitespace().next()?;
        let number = u128::from_str_radix(digits, 16).ok();
        number.filter(|_| digits.len() == 32).map(Ipv6Addr::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_that_are_local_are_addresses() {
        let text = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 192.0.2.7
        /32 host LOCAL
";
        let found: Vec<_> = v4_addresses(text).collect();
        assert_eq!(found, [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 7)]);
    }

    #[test]
    fn each_line_begins_with_an_address() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\nno address\n12 01\n";
        let found: Vec<_> = v6_addresses(text).collect();
        assert_eq!(found, [Ipv6Addr::LOCALHOST]);
    }
}
