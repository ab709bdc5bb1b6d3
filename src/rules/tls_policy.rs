//! `smtp_tls_policy_maps`: how mail for a destination is encrypted.
//!
//! | destination | keys |
//! |---|---|
//! | a host name without brackets and port | the name, then its parents with a leading dot |
//! | anything else | the text of the destination |
//!
//! Tables of patterns see every key, also the parents. The name of the MX host is no key.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::host;
use crate::rules::nexthop::Agent;
use crate::rules::setup::Setup;
use crate::rules::suffix::{Style, suffixes};
use crate::rules::tables::{ListOptions, TableList, items};
use crate::rules::trace::{Scope, Trace};

/// The levels of security, from none up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// No encryption.
    None,
    /// Encryption if the server offers it.
    May,
    /// Always encryption.
    Encrypt,
    /// By DANE records if there are any.
    Dane,
    /// By DANE records always.
    DaneOnly,
    /// The server's certificate has a known fingerprint.
    Fingerprint,
    /// The certificate is verified.
    Verify,
    /// The certificate is verified, without trust in DNS.
    Secure,
}

/// Names of levels as they are written, in any case.
const LEVELS: &[(&str, Level)] = &[
    ("none", Level::None),
    ("may", Level::May),
    ("encrypt", Level::Encrypt),
    ("dane", Level::Dane),
    ("dane-only", Level::DaneOnly),
    ("fingerprint", Level::Fingerprint),
    ("verify", Level::Verify),
    ("secure", Level::Secure),
];

impl Level {
    /// The level with this name.
    pub fn find(name: &[u8]) -> Option<Level> {
        let mut levels = LEVELS.iter();
        let found = levels.find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        found.map(|&(_, level)| level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut levels = LEVELS.iter();
        levels
            .find(|&&(_, level)| level == self)
            .map_or("none", |(name, _)| name)
    }

    /// Whether an attribute means something at this level.
    fn takes(self, attribute: &[u8]) -> bool {
        match attribute {
            b"ciphers" | b"exclude" | b"protocols" | b"connection_reuse" => true,
            b"servername" => self >= Level::May,
            b"enable_rpk" => self >= Level::May,
            b"match" => matches!(self, Level::Fingerprint | Level::Verify | Level::Secure),
            b"tafile" => matches!(self, Level::Verify | Level::Secure),
            b"policy_type" | b"policy_domain" | b"policy_string" | b"policy_ttl"
            | b"policy_failure" | b"mx_host_pattern" => true,
            _ => false,
        }
    }
}

/// A policy for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// The level.
    pub level: Level,
    /// Attributes in the order they are written, each a name and a value.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl TlsPolicy {
    /// Reads the value of a table: a level, then attributes `name=value`. At the level `none`
    /// attributes are left out.
    ///
    /// # Errors
    ///
    /// `Lookup` for an unknown level or attribute: the destination cannot be used.
    pub fn parse(value: &[u8]) -> Result<TlsPolicy> {
        let bad = |what: &str, text: &[u8]| {
            let reason = format!("TLS policy: {what} \"{}\"", text.escape_ascii());
            Error::new(ErrorKind::Lookup { reason })
        };
        let mut words = items(value);
        let name = words.next().ok_or_else(|| bad("no level in", value))?;
        let level = Level::find(name).ok_or_else(|| bad("unknown level", name))?;
        let mut attributes = Vec::new();
        for word in words.filter(|_| level != Level::None) {
            let word = unbraced(word);
            let at = memchr::memchr(b'=', word).ok_or_else(|| bad("no \"=\" in", word))?;
            let (name, behind) = word.split_at(at);
            let name = crate::source::trim(name);
            let value = crate::source::trim(behind.get(1..).unwrap_or_default());
            if !level.takes(name) {
                return Err(bad("unknown attribute, or not for this level:", name));
            }
            attributes.push((name.to_vec(), value.to_vec()));
        }
        Ok(TlsPolicy { level, attributes })
    }
}

/// `word` without the braces around it.
fn unbraced(word: &[u8]) -> &[u8] {
    let inside = word
        .strip_prefix(b"{")
        .and_then(|word| word.strip_suffix(b"}"));
    inside.map_or(word, crate::source::trim)
}

/// The tables of TLS policies.
pub struct TlsPolicies {
    list: TableList,
    utf8: bool,
}

impl TlsPolicies {
    /// The tables of `agent`.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(agent: Agent, setup: &mut Setup<'_>) -> Result<TlsPolicies> {
        Ok(TlsPolicies {
            list: setup.tables_with(&agent.parameter("tls_policy_maps"), ListOptions::PLAIN)?,
            utf8: setup.utf8(),
        })
    }

    /// The value for a destination, which is its text as it was written
    /// ([`Destination::text`](crate::rules::nexthop::Destination::text)).
    ///
    /// # Errors
    ///
    /// When a table fails.
    pub fn find(&self, destination: &[u8], trace: &mut dyn Trace) -> Result<Option<Cow<'_, [u8]>>> {
        let depth = match host::is_host_name(destination, self.utf8) {
            true => usize::MAX,
            false => 1,
        };
        for key in suffixes(destination, Style::Dot).take(depth) {
            if let Some(value) = self.list.find(key, Scope::All, trace)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The policy for a destination; `None` for that of `smtp_tls_security_level`.
    ///
    /// # Errors
    ///
    /// When a table fails or its value is no policy: the destination cannot be used now.
    pub fn policy(&self, destination: &[u8], trace: &mut dyn Trace) -> Result<Option<TlsPolicy>> {
        let value = self.find(destination, trace)?;
        value.map(|value| TlsPolicy::parse(&value)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_a_level_and_attributes() {
        for (value, expect) in [
            ("encrypt", Some((Level::Encrypt, &[][..]))),
            ("MAY", Some((Level::May, &[]))),
            (
                "secure match=a:.b, protocols={ >=TLSv1.2 }",
                Some((
                    Level::Secure,
                    &[("match", "a:.b"), ("protocols", "{ >=TLSv1.2 }")],
                )),
            ),
            (
                "encrypt { protocols = !SSLv2, !SSLv3 }",
                Some((Level::Encrypt, &[("protocols", "!SSLv2, !SSLv3")])),
            ),
            ("none x", Some((Level::None, &[]))),
            ("maybe", None),
            ("may x=y", None),
            ("may protocols", None),
            ("may match=a", None),
            (" , ", None),
        ] {
            let found = TlsPolicy::parse(value.as_bytes()).ok();
            let expect = expect.map(|(level, attributes)| TlsPolicy {
                level,
                attributes: attributes
                    .iter()
                    .map(|(name, value): &(&str, &str)| {
                        (name.as_bytes().to_vec(), value.as_bytes().to_vec())
                    })
                    .collect(),
            });
            assert_eq!(found, expect, "{value}");
        }
    }

    #[test]
    fn levels_have_one_name() {
        for (name, level) in LEVELS {
            assert_eq!(
                (Level::find(name.as_bytes()), level.name()),
                (Some(*level), *name)
            );
        }
    }
}
