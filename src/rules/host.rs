//! What is a host name and what is an address.

use std::net::{IpAddr, Ipv6Addr};

/// The most bytes of a name and of one of its labels.
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// Whether `name` can be a host name: labels of letters, digits, `-` and `_` that do not begin or
/// end in `-`, and not digits alone. No dot at the end. With `utf8` characters beyond ASCII are
/// letters.
pub fn is_host_name(name: &[u8], utf8: bool) -> bool {
    let is_text = name.is_ascii() || (utf8 && std::str::from_utf8(name).is_ok());
    let is_label = |label: &[u8]| {
        !label.is_empty()
            && label.len() <= LABEL_MAX
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            && label
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | 0x80..))
    };
    is_text
        && name.len() <= NAME_MAX
        && name.split(|&byte| byte == b'.').all(is_label)
        && !name
            .iter()
            .all(|&byte| byte.is_ascii_digit() || byte == b'.')
}

/// The address that `text` is, without brackets.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]`, as domains of mail addresses have it. The
/// tag is needed.
pub fn literal(text: &[u8]) -> Option<IpAddr> {
    let inside = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    match strip_tag(inside) {
        Some(tagged) => ipv6(tagged).map(IpAddr::V6),
        None => address(inside).filter(IpAddr::is_ipv4),
    }
}

/// `text` without the `IPv6:` it begins with, in any case.
pub fn strip_tag(text: &[u8]) -> Option<&[u8]> {
    const TAG: &[u8] = b"ipv6:";
    let (tag, rest) = text.split_at_checked(TAG.len())?;
    tag.eq_ignore_ascii_case(TAG).then_some(rest)
}

/// The IPv6 address that `text` is.
pub fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// How tables have an address: IPv6 in lower case and compressed. An address in IPv4 notation at
/// its end is where the C library puts one.
pub fn address_text(address: &IpAddr) -> String {
    match address {
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments();
            if [a, b, c, d, e, f] == [0; 6] && g != 0 {
                let ([g1, g2], [h1, h2]) = (g.to_be_bytes(), h.to_be_bytes());
                format!("::{g1}.{g2}.{h1}.{h2}")
            } else {
                v6.to_string()
            }
        }
        IpAddr::V4(v4) => v4.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        let long = ["a"; 128].join(".");
        let label = "a".repeat(64);
        for (name, ok) in [
            ("a", true),
            ("a_b.example", true),
            ("12a", true),
            ("1.2.3.example", true),
            (&label[1..], true),
            ("", false),
            ("a.", false),
            (".a", false),
            ("a..b", false),
            ("-a.b", false),
            ("a-.b", false),
            ("a.-b", false),
            ("123", false),
            ("1.2.3.4", false),
            ("a b", false),
            ("a:1", false),
            ("[a]", false),
            (&label, false),
            (&long, true),
            (&format!("{long}.a"), false),
        ] {
            assert_eq!(is_host_name(name.as_bytes(), true), ok, "{name}");
        }
        assert!(is_host_name("b\u{fc}cher.example".as_bytes(), true));
        assert!(!is_host_name("b\u{fc}cher.example".as_bytes(), false));
        assert!(!is_host_name(b"\xff.example", true));
    }

    #[test]
    fn literals_need_brackets_and_ipv6_its_tag() {
        for (text, expect) in [
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:DB8::1]", Some("2001:db8::1")),
            ("[ipv6:2001:db8:0::1]", Some("2001:db8::1")),
            ("192.0.2.1", None),
            ("[2001:db8::1]", None),
            ("[IPv6:192.0.2.1]", None),
            ("[192.0.2]", None),
            ("[]", None),
        ] {
            let found = literal(text.as_bytes()).map(|address| address_text(&address));
            assert_eq!(found.as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn addresses_are_written_as_by_the_c_library() {
        for (text, expect) in [
            ("2001:DB8:5:0:0:0:0:25", "2001:db8:5::25"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::192.0.2.1", "::192.0.2.1"),
            ("::1", "::1"),
            ("0:0:0:0:0:0:0:0", "::"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            let address = address(text.as_bytes()).unwrap();
            assert_eq!(address_text(&address), expect);
        }
    }
}
