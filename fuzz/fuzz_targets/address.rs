//! Any bytes as an address: quoting and unquoting, splitting, completing, all of its keys.
//!
//! `cargo +nightly fuzz run -s none address fuzz/corpus/address fuzz/seeds/address`.
#![no_main]

use std::ops::ControlFlow;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rpostmap::config::Config;
use rpostmap::rules::address::{Extensions, External, Internal};
use rpostmap::rules::complete::Completion;
use rpostmap::rules::recipient::Recipients;
use rpostmap::rules::search::{Search, for_each_key};
use rpostmap::rules::setup::Setup;
use rpostmap::rules::suffix::{Style, suffixes};
use rpostmap::rules::trace::NoTrace;

static RULES: LazyLock<(Completion, Recipients)> = LazyLock::new(|| {
    let mut config = Config::default();
    config.set("myhostname", "a.b");
    config.set("inet_interfaces", "192.0.2.1");
    let mut warn = |_| {};
    let mut setup = Setup::new(&config, &mut warn).unwrap();
    (
        Completion::open(&mut setup).unwrap(),
        Recipients::open(&mut setup).unwrap(),
    )
});

fuzz_target!(|data: &[u8]| {
    let internal = Internal::from(data);
    let quoted = internal.quote();
    let (local, domain) = internal.parts();
    // A source route is not part of the local part, and quotes in a domain stay what they are.
    let is_plain = !data.starts_with(b"@") && domain.is_none_or(|domain| !domain.contains(&b'"'));
    if is_plain {
        assert_eq!(quoted.unquote(), internal, "{quoted:?}");
    }
    let unquoted = External::new(data).unquote();
    assert!(unquoted.as_bytes().len() <= data.len());

    for delimiters in [b"+".as_slice(), b"+-", b""] {
        let extensions = Extensions::new(delimiters, true, b"double-bounce");
        if let Some((user, extension)) = extensions.split(local) {
            assert_eq!([user, extension].concat(), local);
            assert!(!user.is_empty() && delimiters.contains(&extension[0]));
        }
        for search in [
            Search::ADDRESS,
            Search::REWRITE,
            Search::transport(Style::Dot),
            Search::access(Style::Parent),
        ] {
            let mut count = 0;
            let done: ControlFlow<()> = for_each_key(&internal, &search, &extensions, &mut |key| {
                count += 1;
                // At worst each byte is protected, and there are two quotes.
                assert!(key.text.len() <= 2 * data.len() + 2);
                ControlFlow::Continue(())
            });
            assert!(done.is_continue());
            assert!((1..=data.len() + 12).contains(&count));
        }
    }
    for style in [Style::Dot, Style::Parent] {
        let keys: Vec<_> = suffixes(data, style).collect();
        assert!(keys.windows(2).all(|pair| pair[1].len() < pair[0].len()));
        assert!(keys.iter().all(|key| data.ends_with(key)));
    }
    let (completion, recipients) = &*RULES;
    completion.complete(&External::new(data));
    completion.complete_recipient(&internal);
    recipients.read(&internal, &mut NoTrace).unwrap();
});
