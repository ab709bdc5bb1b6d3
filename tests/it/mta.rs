//! What mail servers use: the example programs, routes from tables of every type, and tables that
//! are rebuilt while they are asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use rpostmap::mta::Settings;
use rpostmap::rules::address::Internal;
use rpostmap::rules::trace::Recorder;
use rpostmap::source::MapSource;
use rpostmap::table::{Listener, Source};
use rpostmap::{CompileOptions, FileFormat, Router, SaslPasswords, compile};

use crate::common::TestDir;
use crate::smtp_server::SmtpServer;
use crate::{access_check, alloc, router, submission_client};

/// A directory with a main.cf of these lines; `DIR` in them is the directory.
fn configured(label: &str, main_cf: &str) -> TestDir {
    let dir = TestDir::new(label);
    let here = dir.path().display().to_string();
    let text = format!(
        "compatibility_level = 3.6\nmyhostname = mail.corp.example\n{}",
        main_cf.replace("DIR", &here)
    );
    dir.write("main.cf", text);
    dir
}

fn example(name: &str) -> Vec<u8> {
    std::fs::read(crate::common::package_file("examples").join(name)).expect("example")
}

#[test]
fn the_router_example_prints_routes_and_answers() {
    let dir = configured("router", "transport_maps = hash:DIR/transport\n");
    dir.write("transport", example("transport"));
    dir.ours("postmap").args(["hash:transport"]).ok();
    let routes = Router::from_main_cf(dir.path()).expect("a router");
    let mut out = Vec::new();
    let recipients = ["a@example.com", "a@FOO.com", "a@else.example", "a@-bad-"];
    router::run(&routes, "me@corp.example", &recipients, &mut out).expect("printed");
    assert_eq!(
        String::from_utf8(out).expect("text"),
        "a@example.com: default by smtp to example.com\n\
         a@FOO.com: default by smtp to [mail.foo.com]\n\
         a@else.example: default by smtp to 10.20.30.40\n\
         a@-bad-: 501 bad recipient address syntax\n"
    );

    // A missing table answers nothing, and is used once it is there.
    std::fs::remove_file(dir.file("transport.db")).expect("removed");
    let routes = Router::from_main_cf(dir.path().join("main.cf")).expect("a router");
    let error = routes.route("", "a@example.com").expect_err("no table");
    assert!(error.is_temporary(), "{error}");
    dir.ours("postmap").args(["hash:transport"]).ok();
    routes.refresh();
    routes.route("", "a@example.com").expect("a table");
}

#[test]
fn the_access_example_prints_keys_and_the_action() {
    let dir = TestDir::new("access");
    let path = dir.write("access", example("access"));
    let spec = format!("texthash:{}", path.display());
    for (question, expect) in [
        (
            &["client", "x.bad.example", "198.51.100.1"][..],
            "key x.bad.example\nkey bad.example\nReject: REJECT\n",
        ),
        (
            &["client", "unknown", "192.0.2.25"],
            "key unknown\nkey 192.0.2.25\nOk: OK\n",
        ),
        (
            &["sender", "friend@bad.example"],
            "key friend@bad.example\nOk: OK\n",
        ),
        (
            &["sender", "a@good.example"],
            "key a@good.example\nkey good.example\nkey example\nkey a@\n\
             nothing: the next restriction decides\n",
        ),
    ] {
        let mut out = Vec::new();
        access_check::run(&spec, question, &mut out).expect("printed");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            expect,
            "{question:?}"
        );
    }
    let mut out = Vec::new();
    access_check::run("hash:/does/not/exist", &["sender", "a@b"], &mut out).expect("printed");
    assert!(String::from_utf8(out).expect("text").contains("\n451 "));
}

#[test]
fn the_submission_example_logs_in_as_the_table_says() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let server = SmtpServer::start(mechanism);
        let dir = configured(
            "submit",
            "smtp_sasl_password_maps = lmdb:DIR/relay_password\n",
        );
        let destination = format!("[127.0.0.1]:{}", server.port());
        let source = String::from_utf8(example("relay_password")).expect("text");
        let source = source.replace("[submission.example.org]:587", &destination);
        dir.write("relay_password", source);
        dir.ours("postmap").args(["lmdb:relay_password"]).ok();
        let passwords = SaslPasswords::from_main_cf(dir.path()).expect("passwords");
        let sent = submission_client::submit(
            &passwords,
            &destination,
            "a@corp.example",
            "b@example.org",
            b"Subject: x\n\n.\nx",
        );
        sent.expect("sent");
        let received = server.received();
        assert_eq!(received.len(), 1);
        let found = &received[0];
        assert_eq!(
            (&*found.username, &*found.password),
            ("username", "password")
        );
        assert_eq!(
            (&*found.sender, found.recipients.len()),
            ("a@corp.example", 1)
        );

        // Without credentials the server has nothing to say to it.
        let nobody = Settings::default().sasl_passwords().expect("no tables");
        let sent = submission_client::submit(&nobody, &destination, "a@b", "c@d", b"");
        assert!(sent.expect_err("refused").to_string().contains("530"));
    }
}

/// An address of a few parts, so that keys are met now and then.
fn address() -> impl Strategy<Value = String> {
    "(a|b|A|a b|\"|owner-a|a\\.\\.b|)(\\+(x|))?@(x|y\\.x|z\\.y\\.x|\\[192\\.0\\.2\\.1\\]|Y\\.x|x\\.)"
}

fn key() -> impl Strategy<Value = String> {
    "(a|b|\"a b\"|a\\+x)@(x|y\\.x)|x|\\.x|y\\.x|\\.y\\.x|\\*"
}

const FORMATS: [FileFormat; 4] = [
    FileFormat::Hash,
    FileFormat::Btree,
    FileFormat::Lmdb,
    FileFormat::Cdb,
];

#[test]
fn tables_of_every_type_give_the_same_routes() {
    const TABLES: u32 = 25;
    const ADDRESSES: usize = 400;
    let types = ["hash", "btree", "lmdb", "cdb", "texthash"];
    let mut runner = TestRunner::new_with_rng(
        Runs::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let new = |runner: &mut TestRunner, strategy: &BoxedStrategy<Vec<String>>| {
        strategy.new_tree(runner).expect("generated").current()
    };
    let keys = prop::collection::vec(key(), 1..8).boxed();
    let addresses = prop::collection::vec(address(), ADDRESSES).boxed();
    let (mut found, mut missed) = (0, 0);
    for _ in 0..TABLES {
        let dir = TestDir::new("routes");
        let mut keys = new(&mut runner, &keys);
        keys.sort();
        keys.dedup();
        let value = |number: usize| ["smtp:[gw]", ":", "slow:", "error:5.1.1 no"][number % 4];
        let mut source = String::new();
        let mut inline = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            source.push_str(&format!("{key} {}\n", value(number)));
            inline.push(format!("{{ {key} = {} }}", value(number)));
        }
        let mut specs = Vec::new();
        for table_type in types {
            // hash and btree files have one suffix.
            let path = dir.write(table_type, &source);
            specs.push(format!("{table_type}:{}", path.display()));
            if let Some(format) = FORMATS.iter().find(|f| f.type_name() == table_type) {
                let table = dir.file(&format!("{table_type}{}", format.suffix()));
                let source = || {
                    Ok(Source {
                        entries: MapSource::new(&path, source.as_bytes(), true),
                        len: None,
                        mode: 0o644,
                    })
                };
                let made = compile(
                    *format,
                    &table,
                    source,
                    &CompileOptions::default(),
                    &mut |_| {},
                );
                made.expect("made");
            }
        }
        specs.push(format!("inline:{{ {} }}", inline.join(", ")));
        let routers: Vec<Router> = specs
            .iter()
            .map(|spec| {
                let settings = Settings::default()
                    .set("recipient_delimiter", "+")
                    .set("relayhost", "[relay]")
                    .set("transport_maps", spec);
                settings.router().expect("a router")
            })
            .collect();
        for address in new(&mut runner, &addresses) {
            let routes: Vec<_> = routers
                .iter()
                .map(|router| {
                    let mut trace = Recorder::default();
                    let (from, to) = (Internal::from(""), Internal::from(address.as_str()));
                    let route = router.route_traced(&from, &to, &mut trace);
                    let keys: Vec<_> = trace
                        .keys("transport_maps")
                        .iter()
                        .map(|(scope, key)| (*scope, key.to_vec()))
                        .collect();
                    match route {
                        Ok(route) => (Some(route), keys),
                        Err(error) if !error.is_temporary() => (None, keys),
                        Err(error) => panic!("{error}: {address} in\n{source}"),
                    }
                })
                .collect();
            let (first, others) = routes.split_first().expect("routers");
            for (other, spec) in others.iter().zip(&specs[1..]) {
                assert_eq!(other, first, "{spec}: {address} in\n{source}");
            }
            match &first.0 {
                Some(route) if route.nexthop != b"[relay]" => found += 1,
                _ => missed += 1,
            }
        }
    }
    assert!(found > 1000 && missed > 1000, "{found} found, {missed} not");
}

#[test]
fn routes_go_on_while_the_table_is_rebuilt() {
    let dir = configured("rebuilt", "");
    // Each text routes the same address, by a key that the other has not: a route that saw half of
    // one and half of the other would find neither.
    let texts = ["a@x.example smtp:[one]\n", "x.example smtp:[two]\n"];
    dir.write("t", texts[0]);
    dir.ours("postmap").args(["hash:t"]).ok();
    let events = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&events);
    let router = Settings::from_main_cf(dir.path())
        .expect("main.cf")
        .set(
            "transport_maps",
            &format!("hash:{}", dir.file("t").display()),
        )
        .reload_interval(Duration::from_millis(1))
        .listener(Listener::new(move |event| {
            hear.lock().expect("events").push(event.to_string())
        }))
        .router()
        .expect("a router");
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0_u32; 2];
                    while !done.load(Ordering::Relaxed) {
                        let route = router.route("", "a@x.example").expect("old or new");
                        match route.nexthop.as_slice() {
                            b"[one]" => seen[0] += 1,
                            b"[two]" => seen[1] += 1,
                            other => panic!("{}", other.escape_ascii()),
                        }
                    }
                    seen
                })
            })
            .collect();
        for number in 1..=100 {
            dir.write("t", texts[number % 2]);
            dir.ours("postmap").args(["hash:t"]).ok();
        }
        done.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no failure"))
            .collect::<Vec<_>>()
    });
    assert!(
        seen.iter().all(|seen| seen.iter().all(|&count| count > 0)),
        "{seen:?}"
    );

    // A damaged table is not used, and told about once.
    router.refresh();
    events.lock().expect("events").clear();
    dir.write("t.db", b"damaged");
    router.refresh();
    router.refresh();
    assert_eq!(
        router.route("", "a@x.example").expect("old").nexthop,
        b"[one]"
    );
    let events = events.lock().expect("events");
    assert!(
        matches!(&events[..], [only] if only.contains("still using the old content")),
        "{events:?}"
    );
}

#[test]
fn what_is_not_in_the_tables_costs_no_allocation() {
    use rpostmap::config::Config;
    use rpostmap::rules::setup::Setup;
    use rpostmap::rules::trace::NoTrace;
    use rpostmap::rules::transport::TransportMaps;

    let dir = TestDir::new("unallocated");
    dir.write("t", "x.example smtp:[one]\n");
    for table_type in ["hash", "btree", "lmdb", "cdb", "texthash"] {
        if table_type != "texthash" {
            dir.ours("postmap").args([format!("{table_type}:t")]).ok();
        }
        let mut config = Config::default();
        let spec = format!("{table_type}:{}", dir.file("t").display());
        config.set("transport_maps", &spec);
        config.set("recipient_delimiter", "+");
        let mut warn = |text: Vec<u8>| panic!("{}", text.escape_ascii());
        let maps = TransportMaps::open(&mut Setup::new(&config, &mut warn).expect("setup"))
            .expect("transport_maps");
        for address in [
            "ann+ext@mail.sub.other.example",
            "Ann@other.example",
            "bare",
        ] {
            let address = Internal::from(address);
            // What a file is like is found out once, and kept.
            maps.find(&address, &mut NoTrace).expect("found out");
            let (found, count) = alloc::count_during(|| {
                maps.find(&address, &mut NoTrace)
                    .expect("found out")
                    .is_some()
            });
            assert_eq!((found, count), (false, 0), "{table_type} {address:?}");
        }
        let hit = Internal::from("ann+ext@x.example");
        let (found, count) =
            alloc::count_during(|| maps.find(&hit, &mut NoTrace).expect("found out").is_some());
        assert_eq!((found, count), (true, 0), "{table_type}");
    }
}

#[test]
fn a_route_costs_only_what_it_is_made_of() {
    let dir = TestDir::new("route-allocations");
    dir.write("t", "x.example smtp:[one]\n");
    for table_type in ["hash", "btree", "lmdb", "cdb"] {
        dir.ours("postmap").args([format!("{table_type}:t")]).ok();
        let router = Settings::default()
            .set(
                "transport_maps",
                &format!("{table_type}:{}", dir.file("t").display()),
            )
            .set("recipient_delimiter", "+")
            .reload_interval(Duration::MAX)
            .router()
            .expect("a router");
        for recipient in ["ann@x.example", "ann+ext@mail.other.example"] {
            let route = || router.route("me@corp.example", recipient).expect("a route");
            route();
            let (_, count) = alloc::count_during(route);
            // The recipient, the transport and the nexthop, of which each may grow once.
            assert!(count <= 5, "{table_type} {recipient}: {count}");
        }
    }
}

/// A listener, and what it has heard since it was asked last.
fn listening() -> (Listener, impl Fn() -> Vec<String>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&events);
    let listener = Listener::new(move |event| {
        hear.lock().expect("events").push(event.to_string());
    });
    let heard = move || std::mem::take(&mut *events.lock().expect("events"));
    (listener, heard)
}

#[test]
fn main_cf_is_followed_and_the_old_one_kept_while_it_does_not_do() {
    let main_cf = |text: &str| format!("myhostname = m.example\ntransport_maps = hash:t\n{text}");
    let dir = configured("follow", &main_cf("relayhost = [one]\n"));
    dir.write("t", "x.example smtp:[x]\n");
    dir.ours("postmap").args(["hash:t"]).ok();
    let (listener, heard) = listening();
    let map = format!("hash:{}", dir.file("t").display());
    let router = rpostmap::mta::Settings::from_main_cf_with(dir.file("main.cf"), listener)
        .expect("main.cf")
        .set("transport_maps", &map)
        .reload_interval(Duration::MAX)
        .router()
        .expect("a router");
    let nexthop = |recipient: &str| {
        let nexthop = router.route("", recipient).expect("a route").nexthop;
        String::from_utf8(nexthop).expect("text")
    };
    let port = || {
        let found = router.destinations(rpostmap::rules::nexthop::Agent::Smtp, b"[a]");
        format!("{:?}", found.expect("well-formed")[0].place)
    };
    heard();
    assert_eq!(nexthop("a@y.example"), "[one]");
    assert!(port().contains("25"));

    // What was set in the program goes before main.cf, the new one as well.
    dir.write(
        "main.cf",
        main_cf("relayhost = [two]\nsmtp_tcp_port = 2525\n"),
    );
    assert_eq!(nexthop("a@y.example"), "[one]", "not looked at yet");
    router.refresh();
    assert_eq!(nexthop("a@y.example"), "[two]");
    assert_eq!(nexthop("a@x.example"), "[x]");
    assert!(port().contains("2525"), "{}", port());
    let told = heard();
    assert!(
        matches!(&told[..], [only] if only.ends_with("main.cf: reloaded")),
        "{told:?}"
    );

    // Neither readable nor understood nor there: told once each, tables are followed nevertheless.
    for broken in [
        Some("relayhost [three]\n"),
        Some("default_transport =\n"),
        None,
    ] {
        match broken {
            Some(text) => drop(dir.write("main.cf", main_cf(text))),
            None => std::fs::remove_file(dir.file("main.cf")).expect("removed"),
        }
        router.refresh();
        router.refresh();
        assert_eq!(nexthop("a@y.example"), "[two]", "{broken:?}");
        let told = heard();
        let kept = told.iter().filter(|text| text.contains("still using"));
        assert_eq!(kept.count(), 1, "{broken:?} {told:?}");
    }
    dir.write("t", "x.example smtp:[new]\n");
    dir.ours("postmap").args(["hash:t"]).ok();
    router.refresh();
    assert_eq!(nexthop("a@x.example"), "[new]");

    // A table that is no longer named is not looked at any more.
    let router = Router::from_main_cf({
        dir.write(
            "main.cf",
            format!("relayhost = [four]\ntransport_maps = {map}\n"),
        );
        dir.file("main.cf")
    });
    let router = router.expect("a router");
    dir.write("main.cf", "relayhost = [five]\n");
    router.refresh();
    dir.write("t.db", b"damaged");
    router.refresh();
    let route = router.route("", "a@x.example").expect("a route");
    assert_eq!(route.nexthop, b"[five]");
}

#[test]
fn files_in_lists_are_followed() {
    let dir = TestDir::new("list-files");
    let list = |name: &str| dir.file(name).display().to_string();
    dir.write("inner", "b.example\n");
    dir.write("outer", format!("a.example\n{}\n", list("inner")));
    let (listener, heard) = listening();
    let router = Settings::default()
        .set(
            "relay_domains",
            &format!("{}, !c.example, {}", list("outer"), list("late")),
        )
        .listener(listener)
        .reload_interval(Duration::MAX)
        .router()
        .expect("a router");
    let class = |domain: &str| {
        let route = router.route("", format!("a@{domain}").as_str());
        route.map(|route| route.class.name())
    };
    let told = heard();
    assert!(
        matches!(&told[..], [only] if only.contains("late is unavailable")),
        "{told:?}"
    );
    assert_eq!(class("b.example").expect("listed"), "relay");
    assert!(class("d.example").expect_err("unknown").is_temporary());

    dir.write("late", "# none\n");
    dir.write("inner", "d.example\n");
    router.refresh();
    assert_eq!(class("d.example").expect("listed"), "relay");
    assert_eq!(class("b.example").expect("not listed"), "default");
    assert_eq!(heard().len(), 2);

    // Without the file its old lines count.
    std::fs::remove_file(dir.file("inner")).expect("removed");
    router.refresh();
    router.refresh();
    assert_eq!(class("d.example").expect("listed"), "relay");
    let told = heard();
    assert!(
        matches!(&told[..], [only] if only.contains("inner: still using the old content")),
        "{told:?}"
    );

    // A file that nothing names any more is forgotten.
    dir.write("outer", "a.example\n");
    router.refresh();
    assert_eq!(class("d.example").expect("not listed"), "default");
    heard();
    dir.write("inner", "e.example\n");
    router.refresh();
    assert_eq!(heard(), [""; 0]);
}
