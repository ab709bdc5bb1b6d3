//! Destinations as people write them, right or wrong.

use memchr::memmem;

use crate::rules::host;

/// Transports that stand in front of nexthops in other tables.
pub(super) const TRANSPORTS: &[&str] = &["smtp:", "relay:", "lmtp:"];

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

/// Schemes of URLs that mean a mail server somewhere.
const SCHEMES: &[&str] = &[
    "lmtp://",
    "smtp://",
    "smtps://",
    "submission://",
    "submissions://",
];

/// A destination taken apart.
pub(super) struct Written<'k> {
    pub(super) host: &'k [u8],
    pub(super) service: Option<&'k [u8]>,
    pub(super) brackets: bool,
    /// What no destination has around it or in its name, as how to do without: `not as a URL`.
    flaw: Option<&'static str>,
    /// What is wrong with the brackets, likewise.
    bracket_flaw: Option<&'static str>,
}

impl<'k> Written<'k> {
    /// Reads `[host]:port` and whatever comes near to it: `[host:port]`, `[host]port`, `[host:port`,
    /// `host]:port`, `smtp://host:port/`, `smtp:[host]:port`, `<[host]:port>`, `host.:port`. `None`
    /// when there is no host in it.
    pub(super) fn read(text: &'k [u8]) -> Option<Written<'k>> {
        let mut flaw = None;
        let mut rest = text;
        let inside = rest
            .strip_prefix(b"<")
            .and_then(|rest| rest.strip_suffix(b">"));
        if let Some(inside) = inside {
            flaw = Some("without angle brackets");
            rest = inside;
        }
        if let Some(behind) = behind_scheme(rest) {
            flaw = Some("not as a URL");
            rest = behind;
        }
        if let Some(behind) = behind_transport(rest) {
            flaw = Some("without the transport");
            rest = behind;
        }
        let mut written = match rest.strip_prefix(b"[") {
            Some(rest) => Written::bracketed(rest),
            None => Written::plain(rest),
        };
        if let Some(host) = written.host.strip_suffix(b".") {
            written.host = host;
            flaw = flaw.or(Some("without the dot behind the name"));
        }
        written.flaw = flaw;
        (!written.host.is_empty()).then_some(written)
    }

    /// What stands behind the left bracket.
    fn bracketed(rest: &'k [u8]) -> Written<'k> {
        let Some(end) = memchr::memchr(b']', rest) else {
            return Written {
                brackets: true,
                bracket_flaw: Some("with a right bracket"),
                ..Written::plain(rest)
            };
        };
        let (inside, behind) = rest.split_at(end);
        let behind = behind.get(1..).unwrap_or_default();
        let untagged = host::strip_tag(inside).unwrap_or(inside);
        let service = behind.strip_prefix(b":");
        let is_glued = service.is_none() && !behind.is_empty();
        let outside = Written {
            host: untagged,
            service: Some(service.unwrap_or(behind)).filter(|service| !service.is_empty()),
            brackets: true,
            flaw: None,
            bracket_flaw: is_glued.then_some("with a colon before the port"),
        };
        let within = Written::plain(untagged);
        match (outside.service, within.service) {
            (None, Some(_)) => Written {
                brackets: true,
                bracket_flaw: Some("with the port behind the brackets"),
                ..within
            },
            _ => outside,
        }
    }

    /// `host:port` or `host`, with or without the tag of an IPv6 address.
    fn plain(text: &'k [u8]) -> Written<'k> {
        let text = host::strip_tag(text).unwrap_or(text);
        let colon = memchr::memrchr(b':', text).filter(|_| host::address(text).is_none());
        let (host, behind) = text.split_at(colon.unwrap_or(text.len()));
        let unclosed = host.strip_suffix(b"]");
        Written {
            host: unclosed.unwrap_or(host),
            service: behind.get(1..).filter(|service| !service.is_empty()),
            brackets: unclosed.is_some(),
            flaw: None,
            bracket_flaw: unclosed.map(|_| "with a left bracket"),
        }
    }

    /// How it is written without flaws, the likelier spelling first.
    pub(super) fn corrected(&self) -> [Vec<u8>; 2] {
        let bracketed = [b"[", self.host, b"]"].concat();
        let mut spellings = match self.brackets {
            true => [bracketed, self.host.to_vec()],
            false => [self.host.to_vec(), bracketed],
        };
        if let Some(service) = self.service {
            for spelling in &mut spellings {
                spelling.extend([b":", service].concat());
            }
        }
        spellings
    }

    /// How `is` is written, in what this is not.
    pub(super) fn differences(&self, is: &Written<'_>) -> String {
        let brackets = (self.brackets != is.brackets).then_some(match is.brackets {
            true => "with brackets",
            false => "without brackets",
        });
        let service = match (self.service, is.service) {
            (Some(_), None) => Some("without a port"),
            (None, Some(_)) => Some("with a port"),
            (Some(own), Some(other)) if own != other => {
                Some("with another port or another name for it")
            }
            _ => None,
        };
        let bracket_flaw = self.bracket_flaw.filter(|_| is.brackets);
        let mut text = String::new();
        let all = [self.flaw, brackets, bracket_flaw, service];
        for difference in all.into_iter().flatten() {
            text.push_str(", ");
            text.push_str(difference);
        }
        text
    }
}

/// What people write for `host`, with the usual services and those in `services`.
pub(super) fn spellings(host: &[u8], services: &[&[u8]]) -> Vec<Vec<u8>> {
    let usual = SERVICES.iter().map(|service| service.as_bytes());
    let services: Vec<&[u8]> = usual.chain(services.iter().copied()).collect();
    let bracketed = [b"[", host, b"]"].concat();
    let tagged = [b"[IPv6:", host, b"]"].concat();
    let mut found = Vec::new();
    for whole in [host, &bracketed, &tagged] {
        let with_services = services
            .iter()
            .map(|service| [whole, b":", service].concat());
        found.extend(with_services);
        found.push(whole.to_vec());
    }
    let right = found.clone();
    for key in &right {
        found.push([b"<", key.as_slice(), b">"].concat());
        for before in SCHEMES.iter().chain(TRANSPORTS) {
            found.push([before.as_bytes(), key].concat());
        }
        found.extend(
            SCHEMES
                .iter()
                .map(|scheme| [scheme.as_bytes(), key, b"/"].concat()),
        );
    }
    for service in services {
        found.push([b"[", host, b":", service, b"]"].concat());
        found.push([b"[", host, b":", service].concat());
        found.push([b"[", host, b"]", service].concat());
        found.push([host, b"]:", service].concat());
    }
    found.push([b"[", host].concat());
    found.push([host, b"]"].concat());
    found
}

/// `host:port` of `smtp://host:port/`.
fn behind_scheme(text: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = text.split_at(memmem::find(text, b"://")?);
    let is_scheme = !scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphanumeric);
    let rest = rest.get(b"://".len()..).filter(|_| is_scheme)?;
    let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    rest.get(..end)
}

/// `[host]:port` of `smtp:[host]:port`. `smtp:25` is a host.
fn behind_transport(text: &[u8]) -> Option<&[u8]> {
    let mut transports = TRANSPORTS.iter().map(|name| name.as_bytes());
    let rest = transports.find_map(|name| text.strip_prefix(name))?;
    rest.iter()
        .any(|byte| matches!(byte, b'[' | b':' | b'.'))
        .then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_near_to_a_destination_is_read() {
        for (text, host, service, brackets, flaw) in [
            ("[mx.a.b]:587", "mx.a.b", "587", true, ""),
            ("mx.a.b:587", "mx.a.b", "587", false, ""),
            ("mx.a.b", "mx.a.b", "", false, ""),
            ("[IPv6:2001:db8::1]:25", "2001:db8::1", "25", true, ""),
            ("2001:db8::1", "2001:db8::1", "", false, ""),
            ("smtp:25", "smtp", "25", false, ""),
            (
                "[mx.a.b:587]",
                "mx.a.b",
                "587",
                true,
                "with the port behind the brackets",
            ),
            (
                "[mx.a.b]587",
                "mx.a.b",
                "587",
                true,
                "with a colon before the port",
            ),
            ("[mx.a.b:587", "mx.a.b", "587", true, "with a right bracket"),
            ("[mx.a.b", "mx.a.b", "", true, "with a right bracket"),
            ("mx.a.b]:587", "mx.a.b", "587", true, "with a left bracket"),
            (
                "smtp://mx.a.b:587/x",
                "mx.a.b",
                "587",
                false,
                "not as a URL",
            ),
            ("smtps://[mx.a.b]", "mx.a.b", "", true, "not as a URL"),
            ("smtp:[mx]:587", "mx", "587", true, "without the transport"),
            ("relay:mx.a.b", "mx.a.b", "", false, "without the transport"),
            ("<[mx]:587>", "mx", "587", true, "without angle brackets"),
            (
                "[mx.a.b.]:587",
                "mx.a.b",
                "587",
                true,
                "without the dot behind the name",
            ),
        ] {
            let found = Written::read(text.as_bytes()).expect(text);
            assert_eq!(found.host, host.as_bytes(), "{text}");
            assert_eq!(
                found.service.unwrap_or_default(),
                service.as_bytes(),
                "{text}"
            );
            assert_eq!(found.brackets, brackets, "{text}");
            let told = found.flaw.or(found.bracket_flaw);
            assert_eq!(told.unwrap_or_default(), flaw, "{text}");
        }
        for text in ["", "[]", "[]:25", ":25", "smtp://", "smtp:///", "<>", "."] {
            assert!(Written::read(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn every_spelling_is_read_as_the_host_it_is_for() {
        // With the colons of an IPv6 address some could be read in two ways.
        for host in ["mx.a.b", "192.0.2.1"] {
            for text in spellings(host.as_bytes(), &[b"10025"]) {
                let found = Written::read(&text).map(|found| found.host.to_vec());
                assert_eq!(
                    found.as_deref(),
                    Some(host.as_bytes()),
                    "{}",
                    text.escape_ascii()
                );
            }
        }
    }
}
