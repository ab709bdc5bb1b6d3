//! Match lists: parameters like `mydestination`, `relay_domains` and `mynetworks`.
//!
//! | element | matches |
//! |---|---|
//! | `text` | by the kind of list: the same text, a domain, an address |
//! | `192.0.2.0/24`, `[2001:db8::]/32` | addresses in the network |
//! | `type:name` | keys of a table; the values do not matter |
//! | `/file` | is replaced by the elements in the file |
//! | `!element` | what the element matches is **not** in the list |
//!
//! The first element that matches decides, so exclusions must come first. Tables are asked for the
//! text as it is folded by the list.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, masked};
use crate::key::Fold;
use crate::rules::host;
use crate::rules::suffix::{Style, suffixes};
use crate::rules::tables::{ListOptions, OpenTable, TableSet, items};
use crate::rules::trace::Trace;

/// How deep files may name files.
const FILE_DEPTH_MAX: usize = 16;

/// A list of texts, domains or networks.
pub struct MatchList {
    parameter: String,
    style: Style,
    fold: Fold,
    elements: Vec<Element>,
}

struct Element {
    /// As it was written, for traces.
    text: String,
    excludes: bool,
    test: Test,
}

enum Test {
    Text(Vec<u8>),
    Table(Arc<OpenTable>),
    /// A file that cannot be read: whether anything is in it cannot be told.
    Unreadable(String),
}

/// What is compared with the elements, folded.
enum Sought<'a> {
    Text(&'a [u8]),
    Domain(&'a [u8]),
    Address(&'a [u8], Option<IpAddr>),
    NameOrAddress(&'a [u8], &'a [u8], Option<IpAddr>),
}

/// What reading a list needs.
pub struct ListSource<'a> {
    /// Where its tables are opened.
    pub tables: &'a mut TableSet,
    /// How texts are folded.
    pub fold: Fold,
    /// Hears of comments behind elements, and of odd tables.
    pub warn: &'a mut dyn FnMut(Vec<u8>),
}

impl MatchList {
    /// The list `text`, which is the expanded value of `parameter`. Files are read now.
    ///
    /// # Errors
    ///
    /// `Config` for an exclamation mark with nothing behind it, and for files that name each other
    /// without end.
    pub fn parse(
        parameter: &str,
        text: &[u8],
        style: Style,
        source: &mut ListSource<'_>,
    ) -> Result<MatchList> {
        let mut list = MatchList {
            parameter: parameter.to_owned(),
            style,
            fold: source.fold,
            elements: Vec::new(),
        };
        list.add(text, false, 0, source)?;
        Ok(list)
    }

    /// Adds the elements in `text`.
    fn add(
        &mut self,
        text: &[u8],
        excludes: bool,
        depth: usize,
        source: &mut ListSource<'_>,
    ) -> Result<()> {
        for item in items(text) {
            if item.starts_with(b"#") {
                let name = self.parameter.as_bytes();
                (source.warn)(
                    [name, b": comment behind an element ends the list: ", item].concat(),
                );
                break;
            }
            let marks = item.iter().take_while(|&&byte| byte == b'!').count();
            let (_, pattern) = item.split_at(marks);
            let excludes = excludes ^ (marks % 2 == 1);
            let test = match pattern {
                [] => {
                    let what = format!("{}: nothing behind '!'", self.parameter);
                    return Err(Error::new(ErrorKind::Config { what }));
                }
                [b'/', ..] => match self.add_file(pattern, excludes, depth, source)? {
                    None => continue,
                    Some(unreadable) => {
                        self.elements.push(Element {
                            text: masked(std::ffi::OsStr::from_bytes(item)),
                            // Its exclusion is lost.
                            excludes: false,
                            test: unreadable,
                        });
                        continue;
                    }
                },
                [first, ..] if *first != b'[' && pattern.contains(&b':') => {
                    let warn = &mut source.warn;
                    let mut notify = |notice: crate::table::Notice| warn(notice.message());
                    let options = ListOptions::UNFOLDED;
                    Test::Table(source.tables.open(pattern, options, &mut notify))
                }
                _ => Test::Text(self.fold.fold(pattern).into_owned()),
            };
            self.elements.push(Element {
                text: masked(std::ffi::OsStr::from_bytes(item)),
                excludes,
                test,
            });
        }
        Ok(())
    }

    /// Adds the elements in the file `path`; the test that takes their place if it cannot be read.
    fn add_file(
        &mut self,
        path: &[u8],
        excludes: bool,
        depth: usize,
        source: &mut ListSource<'_>,
    ) -> Result<Option<Test>> {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        if depth >= FILE_DEPTH_MAX {
            let what = format!(
                "{}: files are nested too deep: {}",
                self.parameter,
                masked(path)
            );
            return Err(Error::new(ErrorKind::Config { what }));
        }
        let file = source.tables.list_file(path.as_os_str().as_bytes());
        match file.lines() {
            Ok(lines) => {
                for line in lines {
                    self.add(line, excludes, depth + 1, source)?;
                }
                Ok(None)
            }
            Err(reason) => Ok(Some(Test::Unreadable(reason.to_owned()))),
        }
    }

    /// The name of the parameter.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// Whether there are no elements: nothing ever matches.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The tables in the list.
    pub fn tables(&self) -> impl Iterator<Item = &OpenTable> {
        self.elements
            .iter()
            .filter_map(|element| match &element.test {
                Test::Table(table) => Some(&**table),
                Test::Text(_) | Test::Unreadable(_) => None,
            })
    }

    /// Whether `text` is in a list of texts: `mydestination`, `virtual_alias_domains`.
    ///
    /// # Errors
    ///
    /// When a table fails before anything matches.
    pub fn matches_text(&self, text: &[u8], trace: &mut dyn Trace) -> Result<bool> {
        // Most lists are empty.
        if self.is_empty() {
            return Ok(false);
        }
        self.decide(text, &Sought::Text(&self.fold.fold(text)), trace)
    }

    /// Whether `name` is in a list of domains: `relay_domains`.
    ///
    /// # Errors
    ///
    /// As [`MatchList::matches_text`].
    pub fn matches_domain(&self, name: &[u8], trace: &mut dyn Trace) -> Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        self.decide(name, &Sought::Domain(&self.fold.fold(name)), trace)
    }

    /// Whether `address`, without brackets, is in a list of addresses.
    ///
    /// # Errors
    ///
    /// As [`MatchList::matches_text`]; also when the list has a malformed network before anything
    /// matches.
    pub fn matches_address(&self, address: &[u8], trace: &mut dyn Trace) -> Result<bool> {
        let folded = self.fold.fold(address);
        let sought = Sought::Address(&folded, host::address(&folded));
        self.decide(address, &sought, trace)
    }

    /// Whether a client with this name or this address is in a list of both: `mynetworks`. Each
    /// element is compared with the name and then with the address.
    ///
    /// # Errors
    ///
    /// As [`MatchList::matches_address`].
    pub fn matches_client(
        &self,
        name: &[u8],
        address: &[u8],
        trace: &mut dyn Trace,
    ) -> Result<bool> {
        let (folded_name, folded) = (self.fold.fold(name), self.fold.fold(address));
        let sought = Sought::NameOrAddress(&folded_name, &folded, host::address(&folded));
        self.decide(address, &sought, trace)
    }

    fn decide(&self, shown: &[u8], sought: &Sought<'_>, trace: &mut dyn Trace) -> Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        trace.list(&self.parameter, shown);
        for element in &self.elements {
            let matches = match *sought {
                Sought::Text(text) => element.is_text(text)?,
                Sought::Domain(name) => element.is_domain(name, self.style)?,
                Sought::Address(text, address) => element.is_address(text, address)?,
                Sought::NameOrAddress(name, text, address) => {
                    element.is_domain(name, self.style)? || element.is_address(text, address)?
                }
            };
            if matches {
                trace.decided(!element.excludes, Some(&element.text));
                return Ok(!element.excludes);
            }
        }
        trace.decided(false, None);
        Ok(false)
    }
}

impl Element {
    fn is_text(&self, text: &[u8]) -> Result<bool> {
        match &self.test {
            Test::Text(element) => Ok(element == text),
            Test::Table(table) => table.contains(text),
            Test::Unreadable(reason) => unreadable(reason),
        }
    }

    fn is_domain(&self, name: &[u8], style: Style) -> Result<bool> {
        match &self.test {
            Test::Text(element) => Ok(element == name
                || name
                    .strip_suffix(element.as_slice())
                    .is_some_and(|before| match style {
                        Style::Dot => element.starts_with(b".") && !before.is_empty(),
                        Style::Parent => before.ends_with(b"."),
                    })),
            Test::Table(table) => {
                for (place, key) in suffixes(name, style).enumerate() {
                    if (place == 0 || !table.is_pattern()) && table.contains(key)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Unreadable(reason) => unreadable(reason),
        }
    }

    fn is_address(&self, text: &[u8], address: Option<IpAddr>) -> Result<bool> {
        // A name is not even looked up.
        if !text
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || b".:".contains(byte))
        {
            return Ok(false);
        }
        match &self.test {
            Test::Text(element) => {
                let inside = element
                    .strip_prefix(b"[")
                    .and_then(|e| e.strip_suffix(b"]"));
                if element == text || inside == Some(text) {
                    return Ok(true);
                }
                match address {
                    Some(address) if may_be_network(element, &address) => {
                        let network = Network::parse(element).map_err(|reason| {
                            let element = element.escape_ascii();
                            let reason = format!("{reason} in \"{element}\"");
                            Error::new(ErrorKind::Lookup { reason })
                        })?;
                        Ok(network.contains(&address))
                    }
                    _ => Ok(false),
                }
            }
            Test::Table(table) => table.contains(text),
            Test::Unreadable(reason) => unreadable(reason),
        }
    }
}

fn unreadable(reason: &str) -> Result<bool> {
    let reason = reason.to_owned();
    Err(Error::new(ErrorKind::Lookup { reason }))
}

/// Whether `element` is to be read as a network of the family of `address`.
fn may_be_network(element: &[u8], address: &IpAddr) -> bool {
    match address {
        IpAddr::V6(_) => element.contains(&b':'),
        IpAddr::V4(_) => {
            element.contains(&b'/')
                && element
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || b"./".contains(byte))
        }
    }
}

/// `192.0.2.0/24`, `[2001:db8::]/32`, `[2001:db8::/32]`, or one address.
struct Network {
    address: IpAddr,
    prefix_len: u32,
}

impl Network {
    fn parse(text: &[u8]) -> Result<Network, &'static str> {
        let (inside, behind) = match text.strip_prefix(b"[") {
            None => (text, &[][..]),
            Some(rest) => {
                let end = memchr::memchr(b']', rest).ok_or("missing ']'")?;
                let (inside, behind) = rest.split_at(end);
                let behind = behind.get(1..).unwrap_or_default();
                if !behind.is_empty() && !behind.starts_with(b"/") {
                    return Err("text after ']'");
                }
                (inside, behind)
            }
        };
        let (address, mask) = match (behind.strip_prefix(b"/"), memchr::memchr(b'/', inside)) {
            (Some(mask), _) => (inside, Some(mask)),
            (None, Some(slash)) => (
                inside.get(..slash).unwrap_or_default(),
                inside.get(slash + 1..),
            ),
            (None, None) => (inside, None),
        };
        let address = host::address(address).ok_or("bad address")?;
        let len_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = match mask {
            None => len_max,
            Some(mask) => {
                let digits = !mask.is_empty() && mask.iter().all(u8::is_ascii_digit);
                let mask = std::str::from_utf8(mask).ok().filter(|_| digits);
                let len = mask.and_then(|mask| mask.parse().ok());
                len.filter(|&len| len <= len_max).ok_or("bad mask")?
            }
        };
        let network = Network {
            address,
            prefix_len,
        };
        if bits(&address) != network.masked(&address) {
            return Err("host bits are set");
        }
        Ok(network)
    }

    /// The bits of `address` that the network says something about.
    fn masked(&self, address: &IpAddr) -> u128 {
        let len_max = if address.is_ipv4() { 32 } else { 128 };
        let host_len = len_max - self.prefix_len;
        let keep = u128::MAX.checked_shl(host_len).unwrap_or(0);
        bits(address) & keep
    }

    fn contains(&self, address: &IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && self.masked(address) == bits(&self.address)
    }
}

fn bits(address: &IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests;
