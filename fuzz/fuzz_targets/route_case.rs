//! A whole case: parameters, a transport table, a sender and a recipient, all of them any bytes.
//!
//! The first three lines are the sender, the recipient and main.cf parameters separated by `;`; the
//! rest is the text of the table. No route may depend on what was asked before.
//!
//! `cargo +nightly fuzz run -s none route_case fuzz/corpus/route_case fuzz/seeds/route_case`.
#![no_main]

use std::borrow::Cow;
use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use rpostmap::config::Config;
use rpostmap::mta::{RouteError, Settings};
use rpostmap::rules::address::Internal;
use rpostmap::rules::nexthop::Agent;
use rpostmap::rules::trace::{NoTrace, Recorder};
use rpostmap::source::MapSource;
use rpostmap::table::{Listing, Table};
use rpostmap::{Error, Result};

/// Parameters a case may set: none that names a table of its own, so that no file is opened.
const PARAMETERS: [&str; 8] = [
    "recipient_delimiter",
    "relayhost",
    "default_transport",
    "mydomain",
    "myorigin",
    "append_dot_mydomain",
    "parent_domain_matches_subdomains",
    "resolve_dequoted_address",
];

struct Pairs(HashMap<Vec<u8>, Vec<u8>>);

impl Table for Pairs {
    fn lookup(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let value = self.0.get(&key.to_ascii_lowercase());
        Ok(value.map(|value| Cow::Borrowed(value.as_slice())))
    }

    fn iter(&self) -> Result<Listing<'_>> {
        Ok(Box::new(std::iter::empty::<Result<_, Error>>()))
    }

    fn title(&self) -> String {
        "pairs".to_owned()
    }
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(4, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (sender, recipient, parameters, text) = (line(), line(), line(), line());
    let mut pairs = HashMap::new();
    let mut source = MapSource::new("t", text, false);
    while let Ok(Some(entry)) = source.next_entry(&mut |_| {}) {
        pairs.insert(entry.key.to_ascii_lowercase(), entry.value.to_vec());
    }
    let mut config = Config::default();
    let values = parameters.split(|&byte| byte == b';');
    for (name, value) in PARAMETERS.iter().zip(values) {
        // A path or a table would be opened.
        if let Ok(value) = std::str::from_utf8(value)
            && (!value.contains(['/', ':']) || matches!(*name, "relayhost" | "default_transport"))
        {
            config.set(name, value);
        }
    }
    config.set("transport_maps", "fuzz:t");
    let Ok(router) = Settings::new(config).table("fuzz:t", Pairs(pairs)).router() else {
        return;
    };
    let (sender, recipient) = (Internal::from(sender), Internal::from(recipient));
    let mut trace = Recorder::default();
    let first = router.route_traced(&sender, &recipient, &mut trace);
    let second = router.route_traced(&sender, &recipient, &mut NoTrace);
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            assert!(!first.transport.is_empty());
            assert!(first.recipient.parts().1.is_some());
            for agent in [Agent::Smtp, Agent::Lmtp] {
                let _ = router.destinations(agent, &first.nexthop);
            }
        }
        (Err(RouteError::Invalid), Err(RouteError::Invalid)) => {}
        (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
        (first, second) => panic!("{first:?} and then {second:?}"),
    }
});
