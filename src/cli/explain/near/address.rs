//! Other ways to write a key for an address.

use crate::rules::address::{External, Internal};
use crate::rules::suffix::Style;

use super::shelf::Verdict;
use super::{Around, Candidate, Tried, quoted};

/// Delimiters that people use.
const USUAL_DELIMITERS: &[u8] = b"+-";

/// For tables that have domains as keys, called `tables`; with `user_at` they have `user@` as well.
pub(super) fn by_domain(
    address: &Internal<'_>,
    around: &Around,
    tables: &str,
    user_at: bool,
) -> Vec<Candidate> {
    let (local, Some(domain)) = address.parts() else {
        return Vec::new();
    };
    let full = address.quote().as_bytes().to_vec();
    let mut found = domains(domain, around.style);
    for of in with_parents(domain) {
        let is_whole = of.len() == domain.len();
        let key = match (is_whole, around.style) {
            (false, Style::Dot) => [b".", of].concat(),
            (true, _) | (false, Style::Parent) => of.to_vec(),
        };
        let why = format!("in {tables} domains have no @");
        found.push(Candidate::new([b"@", of].concat(), why, &key));
        let why = format!("in {tables} a * is nothing special");
        found.push(Candidate::new([b"*@", of].concat(), why, &key));
    }
    let why = format!("in {tables} users have a domain");
    found.push(Candidate::new(local, why.as_str(), &full));
    if !user_at {
        found.push(Candidate::new([local, b"@"].concat(), why, &full));
    }
    found.extend(without_extension(address, around, &full));
    found
}

/// The domain and its parents, with a dot too many or too few.
pub(super) fn domains(domain: &[u8], style: Style) -> Vec<Candidate> {
    let mut found = Vec::new();
    for of in with_parents(domain) {
        let dotted = [b".", of].concat();
        let starred = [b"*.", of].concat();
        let is_whole = of.len() == domain.len();
        match (is_whole, style) {
            (true, Style::Dot) => {
                let why = format!("with the dot it is for the subdomains of {}", quoted(of));
                found.push(Candidate::new(dotted, why, of));
            }
            (false, Style::Dot) => {
                let why = format!("without a dot in front it is for {} alone", quoted(of));
                found.push(Candidate::new(of, why, &dotted));
                let why = "a * is nothing special in a key";
                found.push(Candidate::new(starred, why, &dotted));
            }
            (_, Style::Parent) => {
                let why = "keys with a dot in front are not looked up here \
                           (parent_domain_matches_subdomains)";
                found.push(Candidate::new(dotted, why, of));
                let why = "a * is nothing special in a key";
                found.push(Candidate::new(starred, why, of));
            }
        }
    }
    found
}

/// For tables that have `@domain` as a key, but not the domain itself.
pub(super) fn by_address(address: &Internal<'_>, around: &Around) -> Vec<Candidate> {
    let (local, Some(domain)) = address.parts() else {
        return Vec::new();
    };
    let full = address.quote().as_bytes().to_vec();
    let at_domain = [b"@", domain].concat();
    let mut found = Vec::new();
    for of in with_parents(domain) {
        let why = match of.len() == domain.len() {
            true => "a whole domain is written with an @ here".to_owned(),
            false => "a domain does not stand for its subdomains here".to_owned(),
        };
        for before in [b"".as_slice(), b".", b"*@", b"*.", b"@", b"@."] {
            let key = [before, of].concat();
            found.push(Candidate::new(key, why.as_str(), &at_domain));
        }
    }
    let why = "a * is nothing special here";
    found.push(Candidate::new(b"*".as_slice(), why, &at_domain));
    let why = format!(
        "without a domain it is for mydestination and myorigin, and {} is not in them",
        quoted(domain)
    );
    for (user, _) in [
        Some((local, b"".as_slice())),
        split(local, &around.delimiters),
    ]
    .into_iter()
    .flatten()
    {
        found.push(Candidate::new(user, why.as_str(), &full));
    }
    let why = "a key does not end in @ here";
    found.push(Candidate::new([local, b"@"].concat(), why, &full));
    found.extend(without_extension(address, around, &full));
    found
}

/// For aliases, whose keys are local parts.
pub(super) fn by_local_part(address: &Internal<'_>, around: &Around) -> Vec<Candidate> {
    let (local, domain) = address.parts();
    let name = around.tried.keys.first();
    let name = name.map_or(local, |(_, key)| key.as_slice()).to_vec();
    let why = "names of aliases have no domain";
    let mut found = vec![Candidate::new([local, b"@"].concat(), why, &name)];
    if let Some(domain) = domain {
        found.push(Candidate::new([local, b"@", domain].concat(), why, &name));
        found.push(Candidate::new([b"@", domain].concat(), why, &name));
    }
    let stripped = unknown_extension(local, &around.delimiters);
    found.extend(stripped.map(|(user, why)| Candidate::new(user, why, &name)));
    found
}

/// What is said of a key that stands in the table.
pub(super) fn judge(key: &[u8], address: &Internal<'_>, tried: &Tried) -> Verdict {
    if address.is_null() {
        return None;
    }
    let same = |one: &[u8], other: &[u8]| tried.fold.fold(one) == tried.fold.fold(other);
    let written = External::new(key).unquote();
    let full = address.quote().as_bytes().to_vec();
    if same(written.as_bytes(), address.as_bytes()) {
        let why = "its quotes are not those of the address".to_owned();
        return Some((why, Some(full)));
    }
    let ((user, of), (local, domain)) = (written.parts(), address.parts());
    let extension = user.get(local.len()..)?;
    let is_longer = same(user.get(..local.len())?, local)
        && of.zip(domain).is_some_and(|(of, domain)| same(of, domain))
        && USUAL_DELIMITERS.contains(extension.first()?);
    is_longer.then(|| {
        let why = format!("it is for the extension {} alone", quoted(extension));
        (why, Some(full))
    })
}

/// The address without what would be an extension if its delimiter were one.
fn without_extension(address: &Internal<'_>, around: &Around, full: &[u8]) -> Option<Candidate> {
    let (local, domain) = address.parts();
    let (user, why) = unknown_extension(local, &around.delimiters)?;
    let stripped = Internal::new([user, b"@", domain?].concat());
    Some(Candidate::new(stripped.quote().as_bytes(), why, full))
}

fn unknown_extension<'l>(local: &'l [u8], known: &[u8]) -> Option<(&'l [u8], String)> {
    if split(local, known).is_some() {
        return None;
    }
    let (user, extension) = split(local, USUAL_DELIMITERS)?;
    let delimiter = quoted(extension.get(..1)?);
    Some((user, format!("{delimiter} is not in recipient_delimiter")))
}

fn split<'l>(local: &'l [u8], delimiters: &[u8]) -> Option<(&'l [u8], &'l [u8])> {
    let at = local.iter().position(|byte| delimiters.contains(byte))?;
    (at > 0).then(|| local.split_at(at))
}

/// `a.b.c`, `b.c`, `c`
pub(super) fn with_parents(domain: &[u8]) -> impl Iterator<Item = &[u8]> {
    crate::rules::suffix::suffixes(domain, Style::Parent)
}
