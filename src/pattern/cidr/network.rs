//! Addresses and networks: `192.0.2.0/24`, `[2001:db8::]/32`, `[2001:db8::/32]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A number that addresses of one family are.
pub(super) trait Bits: Copy + Ord {
    /// The bits behind the first `len`.
    fn host_mask(len: u32) -> Self;
    fn and(self, other: Self) -> Self;
    fn not(self) -> Self;
    fn or(self, other: Self) -> Self;
    fn next(self) -> Option<Self>;
}

macro_rules! bits {
    ($number:ty) => {
        impl Bits for $number {
            fn host_mask(len: u32) -> Self {
                <$number>::MAX.checked_shr(len).unwrap_or(0)
            }
            fn and(self, other: Self) -> Self {
                self & other
            }
            fn not(self) -> Self {
                !self
            }
            fn or(self, other: Self) -> Self {
                self | other
            }
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    };
}
bits!(u32);
bits!(u128);

/// A network of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network<B> {
    /// Its first address.
    pub(super) start: B,
    /// How many leading bits all its addresses share.
    pub(super) len: u32,
}

impl<B: Bits> Network<B> {
    /// The network of `len` bits that `address` is in.
    fn around(address: B, len: u32) -> Network<B> {
        let start = address.and(B::host_mask(len).not());
        Network { start, len }
    }

    pub(super) fn contains(&self, address: B) -> bool {
        Network::around(address, self.len).start == self.start
    }

    /// Its last address.
    pub(super) fn end(&self) -> B {
        self.start.or(B::host_mask(self.len))
    }
}

/// A network of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnyNetwork {
    V4(Network<u32>),
    V6(Network<u128>),
}

impl AnyNetwork {
    /// Whether `address` is in it; `None` if it is of the other family.
    pub(super) fn contains(&self, address: IpAddr) -> Option<bool> {
        match (self, address) {
            (AnyNetwork::V4(network), IpAddr::V4(address)) => {
                Some(network.contains(address.to_bits()))
            }
            (AnyNetwork::V6(network), IpAddr::V6(address)) => {
                Some(network.contains(address.to_bits()))
            }
            _ => None,
        }
    }

    fn new(address: IpAddr, len: u32) -> AnyNetwork {
        match address {
            IpAddr::V4(address) => AnyNetwork::V4(Network::around(address.to_bits(), len)),
            IpAddr::V6(address) => AnyNetwork::V6(Network::around(address.to_bits(), len)),
        }
    }

    fn start(&self) -> IpAddr {
        match self {
            AnyNetwork::V4(network) => Ipv4Addr::from_bits(network.start).into(),
            AnyNetwork::V6(network) => Ipv6Addr::from_bits(network.start).into(),
        }
    }

    /// Reads a network or an address; else what is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<AnyNetwork, Vec<u8>> {
        let (address, mask) = split(text)?;
        let Some(mask) = mask else {
            let parsed = parse_address(address);
            let error = || [b"bad address pattern: \"", address, b"\""].concat();
            let parsed = parsed.ok_or_else(error)?;
            return Ok(AnyNetwork::new(parsed, address_len(parsed)));
        };
        let whole = [address, b"/", mask].concat();
        let error = |what: &str| [what.as_bytes(), b" in \"", &whole, b"\""].concat();
        let len = decimal(mask).ok_or_else(|| error("bad mask value"))?;
        // The colon tells the family before the address is read.
        let len_max = if address.contains(&b':') {
            u128::BITS
        } else {
            u32::BITS
        };
        if len > len_max {
            return Err(error("bad mask length"));
        }
        let parsed = parse_address(address).ok_or_else(|| error("bad network value"))?;
        let network = AnyNetwork::new(parsed, len);
        if network.start() != parsed {
            let mut text = error("non-null host address bits");
            let instead = format!("{}/{len}", shown(network.start()));
            let advice = format!(", perhaps you should use \"{instead}\" instead");
            text.extend_from_slice(advice.as_bytes());
            return Err(text);
        }
        Ok(network)
    }
}

/// An address in the one form that inet_pton(3) takes.
pub(super) fn parse_address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn address_len(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => u32::BITS,
        IpAddr::V6(_) => u128::BITS,
    }
}

/// An address and, if there is one, the mask behind it.
type Split<'t> = (&'t [u8], Option<&'t [u8]>);

/// The address and the mask, without brackets.
fn split(text: &[u8]) -> Result<Split<'_>, Vec<u8>> {
    let [b'[', behind @ ..] = text else {
        return Ok(split_mask(text));
    };
    let Some(len) = behind.iter().position(|&byte| byte == b']') else {
        return Err([b"missing ']' character after \"[", behind, b"\""].concat());
    };
    let (inside, rest) = behind.split_at_checked(len).unwrap_or((behind, &[]));
    match rest {
        [_] => Ok(split_mask(inside)),
        [_, b'/', mask @ ..] => Ok((inside, Some(mask))),
        _ => Err([b"garbage after \"[", inside, b"]\""].concat()),
    }
}

fn split_mask(text: &[u8]) -> Split<'_> {
    let mut halves = text.splitn(2, |&byte| byte == b'/');
    (halves.next().unwrap_or_default(), halves.next())
}

/// A number of digits; one that is too large for a number is the largest.
fn decimal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u32::from(byte - b'0'))
        })
    })
}

/// The address as inet_ntop(3) writes it: `::1.2.3.4` where Rust has `::102:304`.
fn shown(address: IpAddr) -> String {
    if let IpAddr::V6(v6) = address
        && let [0, 0, 0, 0, 0, 0, high, _] = v6.segments()
        && high != 0
    {
        let [.., a, b, c, d] = v6.octets();
        return format!("::{a}.{b}.{c}.{d}");
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of `postmap` 3.7.11.
    #[test]
    fn what_is_wrong_is_told_as_the_original_tells_it() {
        let host_bits = |text: &str, instead: &str| {
            format!(
                "non-null host address bits in \"{text}\", \
                 perhaps you should use \"{instead}\" instead"
            )
        };
        for (text, expect) in [
            ("1.2.3.4/", "bad mask value in \"1.2.3.4/\"".into()),
            ("1.2.3.4/33", "bad mask length in \"1.2.3.4/33\"".into()),
            ("1.2.3.4/+1", "bad mask value in \"1.2.3.4/+1\"".into()),
            ("1.2.3.0/24/3", "bad mask value in \"1.2.3.0/24/3\"".into()),
            ("1.2.3", "bad address pattern: \"1.2.3\"".into()),
            ("01.2.3.4", "bad address pattern: \"01.2.3.4\"".into()),
            ("::1%1", "bad address pattern: \"::1%1\"".into()),
            ("1.2.3/24", "bad network value in \"1.2.3/24\"".into()),
            ("1.2.3/99", "bad mask length in \"1.2.3/99\"".into()),
            ("a/b/c", "bad mask value in \"a/b/c\"".into()),
            ("[]", "bad address pattern: \"\"".into()),
            (
                "[1.2.3.4",
                "missing ']' character after \"[1.2.3.4\"".into(),
            ),
            ("[1.2.3.4]32", "garbage after \"[1.2.3.4]\"".into()),
            ("[[1.2.3.4]]", "garbage after \"[[1.2.3.4]\"".into()),
            (
                "[1.2.3.4/32]/32",
                "bad network value in \"1.2.3.4/32/32\"".into(),
            ),
            ("[1.2.3.4]/", "bad mask value in \"1.2.3.4/\"".into()),
            ("::1/129", "bad mask length in \"::1/129\"".into()),
            ("1.2.3.4/24", host_bits("1.2.3.4/24", "1.2.3.0/24")),
            ("[1.2.3.4/0]", host_bits("1.2.3.4/0", "0.0.0.0/0")),
            (
                "2001:DB8::1/32",
                host_bits("2001:DB8::1/32", "2001:db8::/32"),
            ),
            ("::1.2.3.5/127", host_bits("::1.2.3.5/127", "::1.2.3.4/127")),
            ("::1:3/127", host_bits("::1:3/127", "::0.1.0.2/127")),
            ("::5/127", host_bits("::5/127", "::4/127")),
            (
                "::ffff:1.2.3.4/100",
                host_bits("::ffff:1.2.3.4/100", "::ffff:0.0.0.0/100"),
            ),
            (
                "1:0:2:0:3:0:4:5/127",
                host_bits("1:0:2:0:3:0:4:5/127", "1:0:2:0:3:0:4:4/127"),
            ),
        ] {
            let found = AnyNetwork::parse(text.as_bytes()).unwrap_err();
            assert_eq!(String::from_utf8(found).unwrap(), expect);
        }
    }

    #[test]
    fn networks_hold_the_addresses_that_share_their_bits() {
        for (network, address, expect) in [
            ("192.0.2.0/24", "192.0.2.255", Some(true)),
            ("192.0.2.0/024", "192.0.3.0", Some(false)),
            ("0.0.0.0/0", "255.255.255.255", Some(true)),
            ("192.0.2.1", "192.0.2.1", Some(true)),
            ("[192.0.2.1]/32", "192.0.2.0", Some(false)),
            ("[2001:db8::/32]", "2001:db8:ffff::", Some(true)),
            ("::/0", "::1.2.3.4", Some(true)),
            ("::/0", "1.2.3.4", None),
            ("0.0.0.0/0", "::ffff:1.2.3.4", None),
        ] {
            let parsed = AnyNetwork::parse(network.as_bytes()).unwrap();
            let address = parse_address(address.as_bytes()).unwrap();
            assert_eq!(parsed.contains(address), expect, "{network} {address}");
        }
    }
}
