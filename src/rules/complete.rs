//! What is done to addresses before they are looked up: a domain for those without one.
//!
//! | address | becomes | unless |
//! |---|---|---|
//! | `user` | `user@$myorigin` | `append_at_myorigin = no` |
//! | `host!user` | `user@host` | `swap_bangpath = no` |
//! | `user%host` | `user@host` | `allow_percent_hack = no` |
//! | `user@host` | `user@host.$mydomain` | `append_dot_mydomain = no` |
//! | `user@host.` | `user@host` | |
//! | `@a,@b:user@host` | `user@host` | |
//!
//! Each of them only if there is no `@`, except for the last three. What stands in quotes is no
//! operator.

use std::borrow::Cow;

use memchr::memchr;

use crate::error::Result;
use crate::rules::address::{External, Internal, needs_quotes};
use crate::rules::setup::Setup;

/// How addresses are completed.
#[derive(Clone, Debug)]
pub struct Completion {
    origin: Option<Vec<u8>>,
    my_domain: Option<Vec<u8>>,
    swap_bangpath: bool,
    percent_hack: bool,
    empty_recipient: Vec<u8>,
}

impl Completion {
    /// As the configuration has it.
    ///
    /// # Errors
    ///
    /// `Config` when a parameter cannot be understood.
    pub fn open(setup: &mut Setup<'_>) -> Result<Completion> {
        let origin = setup.text("myorigin")?;
        let my_domain = setup.text("mydomain")?;
        Ok(Completion {
            origin: setup.boolean("append_at_myorigin")?.then_some(origin),
            my_domain: setup.boolean("append_dot_mydomain")?.then_some(my_domain),
            swap_bangpath: setup.boolean("swap_bangpath")?,
            percent_hack: setup.boolean("allow_percent_hack")?,
            empty_recipient: setup.text("empty_address_recipient")?,
        })
    }

    /// `address` with a domain. The null address stays what it is.
    pub fn complete(&self, address: &External<'_>) -> Internal<'static> {
        let text = crate::source::trim(address.as_bytes());
        if text.is_empty() || text == b"\"\"" {
            return Internal::new(Vec::new());
        }
        let text = without_route(text);
        if let Some(at) = unquoted(text, b'@').last() {
            let (local, domain) = around(text, at);
            return self.join(local, domain);
        }
        match self.split_old(text, unquoted) {
            Some((local, domain)) => self.join(local, domain),
            None => match &self.origin {
                Some(origin) => self.join(text, origin),
                None => External::new(text).unquote(),
            },
        }
    }

    /// As [`Completion::complete`], of the address that `address` is once it is quoted. Those that
    /// are complete, which most are, are not copied.
    pub(super) fn complete_internal<'a>(&self, address: &'a Internal<'_>) -> Cow<'a, [u8]> {
        let text = address.as_bytes();
        let is_complete = memchr(b'@', text).is_some_and(|at| {
            let (local, domain) = around(text, at);
            !needs_quotes(local) && !needs_quotes(domain) && domain.contains(&b'.')
        });
        match is_complete {
            true => Cow::Borrowed(text),
            false => Cow::Owned(self.complete(&address.quote()).into_bytes()),
        }
    }

    /// The recipient of a message with a domain. The null address is `empty_address_recipient`.
    pub fn complete_recipient(&self, recipient: &Internal<'_>) -> Internal<'static> {
        match recipient.is_null() {
            true => self.complete(&Internal::from(self.empty_recipient.as_slice()).quote()),
            false => self.complete(&recipient.quote()),
        }
    }

    /// The user and the host in `host!user` or `user%host`, where `places` finds the places of an
    /// operator.
    pub(super) fn split_old<'t, I: Iterator<Item = usize>>(
        &self,
        text: &'t [u8],
        places: impl Fn(&'t [u8], u8) -> I,
    ) -> Option<(&'t [u8], &'t [u8])> {
        if self.swap_bangpath
            && let Some(at) = places(text, b'!').next()
        {
            let (host, user) = around(text, at);
            return Some((user, host));
        }
        let at = self.percent_hack.then(|| places(text, b'%').last())??;
        Some(around(text, at))
    }

    fn join(&self, local: &[u8], domain: &[u8]) -> Internal<'static> {
        let local = External::new(local).unquote();
        let domain = self.domain(crate::source::trim(domain));
        Internal::new([local.as_bytes(), b"@", &domain].concat())
    }

    /// `domain` with a domain of its own if it has none, and without one trailing dot.
    pub(super) fn domain(&self, domain: &[u8]) -> Vec<u8> {
        let is_single = !domain.is_empty() && !domain.contains(&b'.') && !domain.starts_with(b"[");
        match &self.my_domain {
            Some(my_domain) if is_single => [domain, b".", my_domain].concat(),
            _ => without_dot(domain).to_vec(),
        }
    }
}

/// `domain` without the dot at its end. `a..` and `.` are not domains and stay what they are.
pub(super) fn without_dot(domain: &[u8]) -> &[u8] {
    match domain.strip_suffix(b".") {
        Some(rest) if !rest.is_empty() && !rest.ends_with(b".") => rest,
        _ => domain,
    }
}

/// `text` without the source route it begins with: `user@c` of `@a,@b:user@c`.
fn without_route(text: &[u8]) -> &[u8] {
    if !text.starts_with(b"@") {
        return text;
    }
    let colon = unquoted(text, b':').next();
    let behind = colon.and_then(|colon| text.get(colon + 1..));
    behind.filter(|rest| !rest.is_empty()).unwrap_or(text)
}

/// The text before and behind the byte at `at`.
pub(super) fn around(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (before, behind) = text.split_at(at);
    (before, behind.get(1..).unwrap_or_default())
}

/// The places of `operator` in `text` outside quotes and brackets, and not behind a backslash.
fn unquoted(text: &[u8], operator: u8) -> impl Iterator<Item = usize> {
    let (mut inside, mut literal, mut protected) = (false, false, false);
    text.iter().enumerate().filter_map(move |(at, &byte)| {
        let is_plain = !inside && !literal && !protected;
        let was_protected = std::mem::replace(&mut protected, false);
        match byte {
            _ if was_protected => {}
            b'\\' => protected = true,
            b'"' if !literal => inside = !inside,
            b'[' if !inside => literal = true,
            b']' => literal = false,
            _ => {}
        }
        (is_plain && byte == operator).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn completion(origin: bool, dot: bool, bang: bool, percent: bool) -> Completion {
        Completion {
            origin: origin.then(|| b"mail.corp.example".to_vec()),
            my_domain: dot.then(|| b"corp.example".to_vec()),
            swap_bangpath: bang,
            percent_hack: percent,
            empty_recipient: b"MAILER-DAEMON".to_vec(),
        }
    }

    // Seen with the rewrite service of Postfix 3.7.11.
    #[test]
    fn addresses_are_completed_as_by_the_original() {
        let plain = completion(true, false, true, true);
        let dot = completion(true, true, true, true);
        let no_origin = completion(false, true, true, true);
        let no_bang = completion(true, false, false, true);
        let no_percent = completion(true, false, true, false);
        for (completion, external, internal) in [
            (&plain, "bob", "bob@mail.corp.example"),
            (&plain, "", ""),
            (&plain, "\"\"", ""),
            (&plain, " bob ", "bob@mail.corp.example"),
            (&plain, "bob@", "bob@"),
            (&plain, "@shop.example", "@shop.example"),
            (&plain, "bob@localhost.", "bob@localhost"),
            (&plain, "bob@localhost..", "bob@localhost.."),
            (&plain, "bob@.", "bob@."),
            (&plain, "bob@shop", "bob@shop"),
            (&plain, "a%b@localhost", "a%b@localhost"),
            (&plain, "a%b%c", "a%b@c"),
            (&plain, "\"a@b\"@c", "a@b@c"),
            (&plain, "\"a@b\"", "a@b@mail.corp.example"),
            (&plain, "h1!h2!user", "h2!user@h1"),
            (&plain, "host!user@shop.example", "host!user@shop.example"),
            (&plain, "h!u%v", "u%v@h"),
            (&plain, "\"bob smith\"", "bob smith@mail.corp.example"),
            (&plain, "\"a!b\"", "a!b@mail.corp.example"),
            (&plain, "\"a b\"%c", "a b@c"),
            (&plain, "c!\"a b\"", "a b@c"),
            (&plain, "@a:b@c", "b@c"),
            (&plain, "@a,@b:c@d", "c@d"),
            (&plain, "@a:b", "b@mail.corp.example"),
            (&plain, "!b", "b@"),
            (&plain, "b!", "@b"),
            (&plain, "b%", "b@"),
            (&plain, "bob@[IPv6:2001:db8::1]", "bob@[IPv6:2001:db8::1]"),
            (&dot, "bob@localhost", "bob@localhost.corp.example"),
            (&dot, "bob@shop.", "bob@shop"),
            (&dot, "a%shop", "a@shop.corp.example"),
            (&dot, "shop!a", "a@shop.corp.example"),
            (&dot, "bob@[192.0.2.1]", "bob@[192.0.2.1]"),
            (&dot, "@shop", "@shop.corp.example"),
            (&no_origin, "bob", "bob"),
            (&no_origin, "a!b", "b@a.corp.example"),
            (&no_bang, "a!b", "a!b@mail.corp.example"),
            (&no_bang, "a!b%c", "a!b@c"),
            (&no_percent, "a!b%c", "b%c@a"),
            (&no_percent, "a%b", "a%b@mail.corp.example"),
        ] {
            let found = completion.complete(&External::new(external.as_bytes()));
            assert_eq!(found, Internal::from(internal), "{external}");
        }
    }

    proptest! {
        #[test]
        fn what_is_not_copied_is_complete(
            text in prop::collection::vec(prop::sample::select(b"ab1.-%!@@\"\\[]:,+ \n\x7f\xc3".as_slice()), 0..12),
        ) {
            let completion = completion(true, true, true, true);
            let address = Internal::new(text);
            let found = completion.complete_internal(&address);
            let expect = completion.complete(&address.quote());
            prop_assert_eq!(&*found, expect.as_bytes());
        }
    }

    #[test]
    fn addresses_with_a_domain_are_not_copied() {
        let completion = completion(true, true, true, true);
        for (text, is_borrowed) in [
            ("ann+ext@mail.shop.example", true),
            ("a%b!c@shop.example", true),
            ("ann@shop", false),
            ("ann@shop.example.", false),
            ("a b@shop.example", false),
            ("ann@[192.0.2.1]", false),
        ] {
            let address = Internal::from(text);
            let found = completion.complete_internal(&address);
            assert_eq!(matches!(found, Cow::Borrowed(_)), is_borrowed, "{text}");
        }
    }

    #[test]
    fn a_recipient_is_never_null() {
        let plain = completion(true, false, true, true);
        for (internal, completed) in [
            ("", "MAILER-DAEMON@mail.corp.example"),
            ("a b", "a b@mail.corp.example"),
            ("a@b@c", "a@b@c"),
        ] {
            let found = plain.complete_recipient(&Internal::from(internal));
            assert_eq!(found, Internal::from(completed));
        }
    }
}
