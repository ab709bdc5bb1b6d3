//! Addresses: two written forms, and their parts.
//!
//! | form | the same address | where |
//! |---|---|---|
//! | [`Internal`] | `a b@example.com` | envelopes, arguments of this module |
//! | [`External`] | `"a b"@example.com` | keys and values of tables |
//!
//! The local part is what stands before the **last** `@`.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memrchr};

/// An address as programs hold it: no quotes around the local part.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Internal<'a>(Cow<'a, [u8]>);

/// An address as it is written in a message or a table: local parts with unusual characters are
/// quoted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct External<'a>(Cow<'a, [u8]>);

impl<'a> Internal<'a> {
    /// The address with these bytes.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Internal<'a> {
        Internal(bytes.into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its bytes, copied if they were borrowed.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_owned()
    }

    /// The same bytes, borrowed.
    pub fn borrowed(&self) -> Internal<'_> {
        Internal(Cow::Borrowed(&self.0))
    }

    /// Whether it is the null address, the sender of bounces.
    pub fn is_null(&self) -> bool {
        self.0.is_empty()
    }

    /// The local part, and the domain if there is an `@`.
    pub fn parts(&self) -> (&[u8], Option<&[u8]>) {
        split_at_domain(&self.0)
    }

    /// The same address quoted where that is needed. The null address becomes `""`.
    ///
    /// ```
    /// use rpostmap::rules::address::Internal;
    ///
    /// let address = Internal::from("a b@example.com");
    /// assert_eq!(address.quote().as_bytes(), br#""a b"@example.com"#);
    /// ```
    pub fn quote(&self) -> External<'_> {
        External(quote(&self.0, Part::Address))
    }
}

impl<'a> External<'a> {
    /// The address written like this. It is not checked.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> External<'a> {
        External(bytes.into())
    }

    /// How it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same address without quotes and backslashes.
    ///
    /// Up to the last `@` outside quotes; what stands behind that is copied.
    pub fn unquote(&self) -> Internal<'static> {
        let mut plain = Vec::with_capacity(self.0.len());
        let mut inside = false;
        // The place of the last `@` outside quotes: here, and in `plain`.
        let mut domain = None;
        let mut bytes = self.0.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => inside = !inside,
                b'\\' => plain.extend(bytes.next().map(|(_, &protected)| protected)),
                _ => {
                    if byte == b'@' && !inside {
                        domain = Some((at, plain.len()));
                    }
                    plain.push(byte);
                }
            }
        }
        if let Some((at, plain_len)) = domain {
            plain.truncate(plain_len);
            plain.extend_from_slice(self.0.get(at..).unwrap_or_default());
        }
        Internal::new(plain)
    }
}

impl<'a> From<&'a str> for Internal<'a> {
    fn from(text: &'a str) -> Self {
        Internal::new(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Internal<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Internal::new(bytes)
    }
}

impl From<External<'_>> for Internal<'static> {
    /// [`External::unquote`].
    fn from(written: External<'_>) -> Self {
        written.unquote()
    }
}

impl fmt::Debug for Internal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "internal({})", self.0.escape_ascii())
    }
}

impl fmt::Debug for External<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "external({})", self.0.escape_ascii())
    }
}

/// What [`quote`] gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// An address; the local part ends before the last `@` and is all of it if there is none.
    Address,
    /// A local part, all of it.
    Local,
}

/// Quotes the local part of `text` if it needs that.
pub(super) fn quote(text: &[u8], part: Part) -> Cow<'_, [u8]> {
    let (route, rest) = text.split_at(route_len(text));
    let local_len = match part {
        Part::Address => memrchr(b'@', rest).unwrap_or(rest.len()),
        Part::Local => rest.len(),
    };
    let (local, domain) = rest.split_at(local_len);
    if !needs_quotes(local) {
        return Cow::Borrowed(text);
    }
    let mut quoted = Vec::with_capacity(text.len() + 4);
    quoted.extend_from_slice(route);
    quoted.push(b'"');
    for &byte in local {
        if matches!(byte, b'"' | b'\\' | b'\r') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted.extend_from_slice(domain);
    Cow::Owned(quoted)
}

/// The length of the source route that `text` begins with: `@a,@b:` of `@a,@b:user@c`.
fn route_len(text: &[u8]) -> usize {
    match text.first() {
        Some(b'@') => memchr(b':', text).map_or(0, |colon| colon + 1),
        _ => 0,
    }
}

/// Whether `local` is anything but words with single dots between them.
pub(super) fn needs_quotes(local: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in local {
        let is_special = matches!(
            byte,
            0..=b' '
                | 0x7f
                | b'('
                | b')'
                | b'<'
                | b'>'
                | b'@'
                | b','
                | b';'
                | b':'
                | b'\\'
                | b'"'
                | b'['
                | b']'
        );
        if is_special || (byte == b'.' && before == b'.') {
            return true;
        }
        before = byte;
    }
    before == b'.'
}

/// `address` at its last `@`: the local part and the domain.
pub(super) fn split_at_domain(address: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memrchr(b'@', address) {
        Some(at) => (address.get(..at).unwrap_or_default(), address.get(at + 1..)),
        None => (address, None),
    }
}

/// How local parts are split into a user and an extension (`user+ext`).
#[derive(Clone, Debug)]
pub struct Extensions {
    delimiters: Vec<u8>,
    owner_request_special: bool,
    double_bounce_sender: Vec<u8>,
}

impl Extensions {
    /// `delimiters` is a set of characters (`recipient_delimiter`); without any nothing is ever
    /// split.
    ///
    /// With `-` among them and `owner_request_special`, names of mailing lists like `owner-x` and
    /// `x-request` are not split. Nor is `double_bounce_sender`, the user of that name.
    pub fn new(
        delimiters: &[u8],
        owner_request_special: bool,
        double_bounce_sender: &[u8],
    ) -> Extensions {
        Extensions {
            delimiters: delimiters.to_vec(),
            owner_request_special,
            double_bounce_sender: double_bounce_sender.to_vec(),
        }
    }

    /// The user and the extension, which begins with its delimiter; `None` when there is nothing
    /// to split off.
    ///
    /// ```
    /// use rpostmap::rules::address::Extensions;
    ///
    /// let extensions = Extensions::new(b"+-", true, b"double-bounce");
    /// assert_eq!(extensions.split(b"ann-a+b"), Some((&b"ann"[..], &b"-a+b"[..])));
    /// assert_eq!(extensions.split(b"news-request"), None);
    /// ```
    pub fn split<'a>(&self, local: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let special = [
            b"postmaster".as_slice(),
            b"mailer-daemon",
            &self.double_bounce_sender,
        ];
        if special.iter().any(|name| local.eq_ignore_ascii_case(name)) {
            return None;
        }
        if self.owner_request_special && self.delimiters.contains(&b'-') && is_of_list(local) {
            return None;
        }
        let at = local
            .iter()
            .position(|byte| self.delimiters.contains(byte))?;
        (at > 0).then(|| local.split_at(at))
    }
}

/// Whether `local` is `owner-list` or `list-request`.
fn is_of_list(local: &[u8]) -> bool {
    const OWNER: &[u8] = b"owner-";
    const REQUEST: &[u8] = b"-request";
    let starts = local.get(..OWNER.len());
    let behind = local.len().checked_sub(REQUEST.len()).filter(|&at| at > 0);
    let ends = behind.and_then(|at| local.get(at..));
    starts.is_some_and(|start| start.eq_ignore_ascii_case(OWNER))
        || ends.is_some_and(|end| end.eq_ignore_ascii_case(REQUEST))
}

/// `address` with `extension` before its last `@`, or at the end if there is none.
pub(super) fn with_extension(address: &[u8], extension: &[u8]) -> Vec<u8> {
    let at = memrchr(b'@', address).unwrap_or(address.len());
    let (local, domain) = address.split_at(at);
    [local, extension, domain].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_local_parts_that_need_it_are_quoted() {
        for (internal, external) in [
            ("bob@example.com", "bob@example.com"),
            ("a b@example.com", r#""a b"@example.com"#),
            ("a@b@example.com", r#""a@b"@example.com"#),
            (".a@x", r#"".a"@x"#),
            ("a.@x", r#""a."@x"#),
            ("a..b@x", r#""a..b"@x"#),
            ("a.b@x", "a.b@x"),
            ("", r#""""#),
            ("@x", r#"""@x"#),
            ("<>", r#""<>""#),
            ("bob", "bob"),
            (r#"a"b\c@x"#, r#""a\"b\\c"@x"#),
            ("a\rb@x", "\"a\\\rb\"@x"),
            ("a\tb@x", "\"a\tb\"@x"),
            ("\u{e4}\u{f6}@x", "\u{e4}\u{f6}@x"),
            ("a%b!c/d|e@x", "a%b!c/d|e@x"),
            ("@a,@b:c d@x", r#"@a,@b:"c d"@x"#),
            ("@a:b@x", "@a:b@x"),
            ("a b@x y", r#""a b"@x y"#),
        ] {
            let address = Internal::from(internal);
            assert_eq!(
                address.quote().as_bytes(),
                external.as_bytes(),
                "{internal}"
            );
        }
        assert_eq!(quote(b"a@b", Part::Local).as_ref(), br#""a@b""#);
        assert_eq!(quote(b"ab", Part::Local).as_ref(), b"ab");
    }

    #[test]
    fn unquoting_leaves_the_domain_alone() {
        for (external, internal) in [
            (r#""a b"@example.com"#, "a b@example.com"),
            (r#""a@b"@example.com"#, "a@b@example.com"),
            (r#"a\@b@x"#, "a@b@x"),
            (r#""a"@"x""#, r#"a@"x""#),
            (r#""""#, ""),
            (r#"a\"#, "a"),
            (r#""a\"b"@x"#, r#"a"b@x"#),
            (r#""a@b"#, "a@b"),
        ] {
            let plain = External::new(external.as_bytes()).unquote();
            assert_eq!(plain.as_bytes(), internal.as_bytes(), "{external}");
        }
    }

    #[test]
    fn the_first_delimiter_of_the_set_splits_unless_the_name_is_special() {
        let split = |delimiters: &str, special, local: &str| {
            let extensions = Extensions::new(delimiters.as_bytes(), special, b"double-bounce");
            let split = extensions.split(local.as_bytes());
            split.map(|(user, ext)| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (text(user), text(ext))
            })
        };
        for (delimiters, special, local, expect) in [
            ("+", true, "ann+x", Some(("ann", "+x"))),
            ("+", true, "ann+", Some(("ann", "+"))),
            ("+", true, "ann+x+y", Some(("ann", "+x+y"))),
            ("+-", true, "ann-x+y", Some(("ann", "-x+y"))),
            ("+", true, "ann", None),
            ("+", true, "+x", None),
            ("+", true, "+x+y", None),
            ("", true, "ann+x", None),
            ("-", true, "owner-x", None),
            ("-", true, "OWNER-x", None),
            ("-", true, "x-request", None),
            ("-", true, "X-Request", None),
            ("-", true, "-request", None),
            ("+-", true, "owner-x+y", None),
            ("+", true, "owner-x+y", Some(("owner-x", "+y"))),
            ("-", false, "owner-x", Some(("owner", "-x"))),
            ("-", false, "x-request", Some(("x", "-request"))),
            ("-", true, "mailer-daemon", None),
            ("-", true, "MAILER-DAEMON", None),
            ("-", true, "double-bounce", None),
            ("o", true, "postmaster", None),
            ("o", true, "postmasters", Some(("p", "ostmasters"))),
        ] {
            let expect = expect.map(|(user, ext)| (user.to_owned(), ext.to_owned()));
            assert_eq!(
                split(delimiters, special, local),
                expect,
                "{delimiters} {local}"
            );
        }
    }

    proptest! {
        #[test]
        fn quoting_can_be_undone(local in r#"[a ."\\@+\r<-]{0,8}"#, domain in "[a.]{0,5}") {
            let address = Internal::new([local.as_bytes(), b"@", domain.as_bytes()].concat());
            prop_assert_eq!(address.quote().unquote(), address.borrowed());
        }

        #[test]
        fn a_split_name_is_the_sum_of_its_parts(local in "[a+-]{0,8}", special: bool) {
            let extensions = Extensions::new(b"+-", special, b"");
            if let Some((user, extension)) = extensions.split(local.as_bytes()) {
                prop_assert_eq!([user, extension].concat(), local.as_bytes());
                prop_assert!(!user.is_empty() && !user.contains(&b'+') && !user.contains(&b'-'));
                let address = with_extension(&[user, b"@x"].concat(), extension);
                prop_assert_eq!(address, [local.as_bytes(), b"@x"].concat());
            }
        }

        #[test]
        fn any_bytes_have_parts(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let address = Internal::new(bytes);
            let _ = (address.quote(), address.parts(), External::new(address.as_bytes()).unquote());
        }
    }
}
