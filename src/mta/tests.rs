//! Tests of what mail servers use.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::rules::address::{External, Internal};
use crate::table::{Listener, Listing, Table};

/// A table that fails until it was asked as often as the number says.
struct Flaky(AtomicUsize);

impl Table for Flaky {
    fn lookup(&self, _: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        if self.0.load(Ordering::Relaxed) > 0 {
            self.0.fetch_sub(1, Ordering::Relaxed);
            let reason = "down".to_owned();
            return Err(Error::new(ErrorKind::Lookup { reason }));
        }
        Ok(Some(Cow::Borrowed(b"slow:[there]")))
    }

    fn iter(&self) -> Result<Listing<'_>> {
        Err(Error::unsupported("listing"))
    }

    fn title(&self) -> String {
        "flaky".to_owned()
    }
}

#[test]
fn failures_are_temporary_and_bad_recipients_are_not() {
    let router = Settings::default()
        .table("my:flaky", Flaky(AtomicUsize::new(1)))
        .set("transport_maps", "my:flaky")
        .router()
        .unwrap();
    let error = router.route("", "a@x.example").unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("down"));
    assert_eq!(router.route("", "a@x.example").unwrap().transport, b"slow");
    assert!(!router.route("", "a@-bad-").unwrap_err().is_temporary());
}

#[test]
fn tables_of_ones_own_may_stand_in_lists_of_domains() {
    let router = Settings::default()
        .table("my:flaky", Flaky(AtomicUsize::new(0)))
        .set("relay_domains", "my:flaky")
        .router()
        .unwrap();
    assert_eq!(
        router.route("", "a@x.example").unwrap().class.name(),
        "relay"
    );
}

#[test]
fn error_and_retry_are_verdicts() {
    for (value, expect) in [
        ("error:5.1.1 gone", Verdict::Bounce(b"5.1.1 gone")),
        ("retry:4.2.0 later", Verdict::Defer(b"4.2.0 later")),
        ("smtp:[x]", Verdict::Deliver),
    ] {
        let map = format!("static:{{{value}}}");
        let router = Settings::default()
            .set("transport_maps", &map)
            .router()
            .unwrap();
        assert_eq!(router.route("", "a@x.example").unwrap().verdict(), expect);
    }
}

#[test]
fn addresses_of_smtp_commands_are_unquoted() {
    let router = Settings::default()
        .set(
            "transport_maps",
            "inline:{{\"a b\"@x.example = smtp:[one]}}",
        )
        .router()
        .unwrap();
    let written = External::new(br#""a b"@x.example"#.as_slice());
    let route = router.route("", written).unwrap();
    assert_eq!(route.nexthop, b"[one]");
    let inside = Internal::from("a b@x.example");
    assert_eq!(router.route("", inside).unwrap(), route);
}

#[test]
fn a_table_that_is_missing_is_told_of_and_used_once_it_is_there() {
    let path = std::env::temp_dir().join(format!("rpostmap-late-{}", std::process::id()));
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let passwords = Settings::default()
        .set(
            "smtp_sasl_password_maps",
            &format!("texthash:{}", path.display()),
        )
        .listener(Listener::new(move |event| {
            hear.lock().unwrap().push(event.to_string());
        }))
        .sasl_passwords()
        .unwrap();
    let destination = passwords.destinations(b"[gw]:587").unwrap().remove(0);
    let lookup = || passwords.lookup("a@b", &destination, "gw");
    assert!(lookup().unwrap_err().is_temporary());
    std::fs::write(&path, "[gw]:587 u:p\n").unwrap();
    passwords.refresh();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(lookup().unwrap().unwrap().password(), b"p");
    let told = told.lock().unwrap();
    assert!(
        matches!(&told[..], [first, second]
            if first.contains("is unavailable") && second.contains("reloaded")),
        "{told:?}"
    );
}

#[test]
fn threads_may_share_them() {
    fn send_sync<T: Send + Sync>() {}
    send_sync::<Router>();
    send_sync::<SaslPasswords>();
    send_sync::<Settings>();
    send_sync::<crate::table::LiveTable>();
}
