//! Any bytes as a nexthop of the SMTP and the LMTP client.
//!
//! `cargo +nightly fuzz run -s none destination fuzz/corpus/destination fuzz/seeds/destination`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpostmap::rules::host;
use rpostmap::rules::nexthop::{Agent, Nexthops, Place, Services};

fuzz_target!(|data: &[u8]| {
    let mut services = Services::known(b"lmtp=24, smtp=25, smtps=submissions=465, submission=587");
    services.add_system(data);
    for agent in [Agent::Smtp, Agent::Lmtp] {
        for utf8 in [false, true] {
            let nexthops = Nexthops::new(agent, services.clone(), b"smtp", utf8);
            let Ok(destinations) = nexthops.parse(data) else {
                continue;
            };
            for destination in destinations {
                let Place::Host {
                    host,
                    port,
                    brackets,
                    ..
                } = &destination.place
                else {
                    assert_eq!(agent, Agent::Lmtp);
                    continue;
                };
                assert!(*port > 0);
                assert!(host::is_host_name(host, utf8) || host::address(host).is_some());
                assert_eq!(destination.text.starts_with(b"["), *brackets);
                // What was taken once is taken again, and as the same.
                let again = nexthops.parse(&destination.text);
                if agent == Agent::Smtp {
                    assert_eq!(again, Ok(vec![destination.clone()]));
                }
            }
        }
    }
    let _ = Services::known(data);
});
