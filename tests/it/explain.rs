//! `rpostmap explain`: keys, results, near misses, and passwords that stay hidden.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::common::{Outcome, TestDir, is_stand_in, package_file, shout};

fn have_verbs() -> bool {
    if is_stand_in() {
        shout("explain: the original does not");
    }
    !is_stand_in()
}

/// A directory with the table `hash:t` of a source.
fn table(source: &str) -> TestDir {
    let dir = TestDir::new("explain");
    make(&dir, source, &[]);
    dir
}

fn make(dir: &TestDir, source: &str, flags: &[&str]) {
    dir.write("t", source);
    dir.ours("rpostmap").args(flags).args(["hash:t"]).ok();
}

fn explain(dir: &TestDir, words: &[&str]) -> Outcome {
    dir.ours("rpostmap").args(["explain"]).args(words).finish()
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8(outcome.stdout.clone()).unwrap()
}

/// The object that `--json` prints.
fn json(dir: &TestDir, words: &[&str]) -> Value {
    let (word, rest) = words.split_first().unwrap();
    let words = [&[*word, "--json"], rest].concat();
    let end = explain(dir, &words);
    let object: Value =
        serde_json::from_slice(&end.stdout).unwrap_or_else(|e| panic!("{e}\n{end}"));
    let found = object["found"].as_bool().unwrap();
    let failed = object["lookups"][0]["outcome"] == "failed";
    assert_eq!(end.status, i32::from(!found), "{end}");
    assert_eq!(end.stderr.is_empty(), !failed, "{end}");
    object
}

/// `scope key outcome` of each key that the tables of `parameter` were asked for.
fn keys(object: &Value, parameter: &str) -> Vec<String> {
    let steps = object["lookups"][0]["steps"].as_array().unwrap();
    let steps = steps
        .iter()
        .filter(|step| step["parameter"] == parameter && step["key"].is_string());
    let key = |step: &Value| {
        let part = |name: &str| step[name].as_str().unwrap().to_owned();
        let outcomes = step["answers"].as_array().unwrap().iter();
        let outcomes: Vec<_> = outcomes
            .map(|answer| answer["outcome"].as_str().unwrap())
            .collect();
        format!("{} {} {}", part("scope"), part("key"), outcomes.join("+"))
    };
    steps.map(key).collect()
}

#[test]
fn the_example_in_the_readme_prints_what_it_says() {
    if !have_verbs() {
        return;
    }
    let readme = fs::read_to_string(package_file("README.md")).unwrap();
    let command = "rpostmap explain sasl -o smtp_sasl_password_maps=hash:examples/relay_password \
                   '[submission.example.org]:587'";
    let (_, behind) = readme.split_once(command).expect("the command");
    let behind = behind.split_once("```\n").unwrap().1;
    let shown = behind.split_once("```\n").unwrap().1;
    let shown = shown.split_once("```").unwrap().0;
    let dir = TestDir::new("readme");
    fs::create_dir(dir.file("examples")).unwrap();
    let source = fs::read(package_file("examples/relay_password")).unwrap();
    dir.write("examples/relay_password", source);
    let table = "hash:examples/relay_password";
    dir.ours("rpostmap").args([table]).ok();
    let maps = format!("smtp_sasl_password_maps={table}");
    let end = explain(&dir, &["sasl", "-o", &maps, "[submission.example.org]:587"]);
    end.status_is(0).stdout_is(shown).stderr_is("");
}

#[test]
fn every_word_finds_and_misses() {
    if !have_verbs() {
        return;
    }
    let main_cf = "mydestination=host.example";
    for (parameter, source, words, result) in [
        (
            "transport_maps",
            "x.example slow:[gw]",
            &["transport", "ann@x.example"][..],
            r#"{"class":"default","nexthop":"[gw]","recipient":"ann@x.example","transport":"slow"}"#,
        ),
        (
            "smtp_tls_policy_maps",
            ".x.example secure match=nexthop",
            &["tls", "mx.x.example"],
            r#"{"attributes":["match=nexthop"],"level":"secure"}"#,
        ),
        (
            "lmtp_tls_policy_maps",
            "[x.example]:24 none",
            &["tls", "--lmtp", "[x.example]:24"],
            r#"{"attributes":[],"level":"none"}"#,
        ),
        (
            "virtual_alias_maps",
            "@x.example bob, carl@y.example",
            &["virtual", "ann@x.example"],
            r#"{"recipients":["bob@host.example","carl@y.example"]}"#,
        ),
        (
            "canonical_maps",
            "ann First.Last@x.example",
            &["canonical", "ann"],
            r#"{"address":"First.Last@x.example"}"#,
        ),
        (
            "sender_canonical_maps",
            "ann@x.example bob@x.example",
            &["canonical", "--as", "header-sender", "ann@x.example"],
            r#"{"address":"bob@x.example"}"#,
        ),
        (
            "smtp_generic_maps",
            "@host.example isp@y.example",
            &["generic", "ann@host.example"],
            r#"{"address":"isp@y.example"}"#,
        ),
        (
            "relocated_maps",
            "ann@x.example bob@y.example",
            &["relocated", "ann@x.example"],
            r#"{"reply":"5.1.6 User has moved to bob@y.example"}"#,
        ),
        (
            "alias_maps",
            "ann bob, \"|cmd\"\nowner-ann carl",
            &["alias", "Ann@host.example"],
            r#"{"name":"ann","owner":"carl","value":"bob, \"|cmd\""}"#,
        ),
        (
            "recipient_bcc_maps",
            "@x.example archive@y.example",
            &["bcc", "ann@x.example"],
            r#"{"copy to":"archive@y.example"}"#,
        ),
        (
            "sender_bcc_maps",
            "ann@x.example archive",
            &["bcc", "--as=sender", "ann@x.example"],
            r#"{"copy to":"archive@host.example"}"#,
        ),
        (
            "smtpd_sender_login_maps",
            "ann@x.example ann, root",
            &["login", "ann@x.example"],
            r#"{"logins":["ann","root"]}"#,
        ),
        (
            "virtual_mailbox_maps",
            "ann@x.example x/ann/",
            &["mailbox", "Ann@x.example"],
            r#"{"path":"/x/ann/"}"#,
        ),
        (
            "virtual_uid_maps",
            "@x.example 1000",
            &["uid", "Ann@x.example"],
            r#"{"uid":"1000"}"#,
        ),
        (
            "virtual_gid_maps",
            "ann@x.example 100",
            &["gid", "-o", "recipient_delimiter=+", "Ann+q@x.example"],
            r#"{"gid":"100"}"#,
        ),
    ] {
        let dir = table(&format!("{source}\n"));
        let maps = format!("{parameter}=hash:t");
        let (word, rest) = words.split_first().unwrap();
        let asking = |maps: &str| {
            let options = [*word, "-o", main_cf, "-o", maps];
            json(&dir, &[&options, rest].concat())
        };
        let object = asking(&maps);
        assert_eq!(object["word"], *word);
        assert_eq!(object["lookups"][0]["outcome"], "found", "{object}");
        assert_eq!(object["lookups"][0]["result"].to_string(), result);
        assert!(!keys(&object, parameter).is_empty(), "{object}");
        // A route there always is.
        if *word == "transport" {
            continue;
        }
        let object = asking(&format!("{parameter}="));
        let lookup = &object["lookups"][0];
        assert_eq!(lookup["outcome"], "not found", "{object}");
        assert_eq!(lookup["result"], Value::Null);
        assert!(lookup["reason"].is_string(), "{object}");
        let note = format!("{parameter} is empty");
        assert!(
            lookup["notes"]
                .as_array()
                .unwrap()
                .contains(&note.as_str().into()),
            "{object}"
        );
    }
}

#[test]
fn keys_come_with_scope_table_and_answer() {
    if !have_verbs() {
        return;
    }
    let dir = table("x.example smtp:[gw]\n");
    dir.write("r", "/^none$/ no:\n");
    let object = json(
        &dir,
        &[
            "transport",
            "-o",
            "transport_maps=regexp:r, hash:t",
            "-o",
            "recipient_delimiter=+",
            "Ann+x@x.example",
        ],
    );
    assert_eq!(
        keys(&object, "transport_maps"),
        [
            "all Ann+x@x.example not found+not found",
            "fixed Ann@x.example skipped+not found",
            "fixed x.example skipped+found",
        ]
    );
    let steps = object["lookups"][0]["steps"].as_array().unwrap();
    assert_eq!(steps[0]["parameter"], "mydestination");
    assert_eq!(steps[0]["matches"], false);
    let answers = &steps.last().unwrap()["answers"];
    assert_eq!(answers[1]["table"], "hash:t");
    assert_eq!(answers[1]["value"], "smtp:[gw]");
}

#[test]
fn senders_decide_about_routes_and_credentials() {
    if !have_verbs() {
        return;
    }
    let dir = table("ann@x.example [isp]:587\n");
    let words = [
        "transport",
        "-o",
        "sender_dependent_relayhost_maps=hash:t",
        "--sender",
        "ann@x.example",
        "bob@y.example",
    ];
    let object = json(&dir, &words);
    assert_eq!(object["lookups"][0]["result"]["nexthop"], "[isp]:587");
    let dir = table("ann@x.example ann:secret\n");
    let maps = ["-o", "smtp_sasl_password_maps=hash:t"];
    let sender = ["--sender", "ann@x.example", "[gw]:587"];
    let by_sender = ["-o", "smtp_sender_dependent_authentication=yes"];
    let object = json(&dir, &[&["sasl"][..], &maps, &by_sender, &sender].concat());
    assert_eq!(object["lookups"][0]["result"]["username"], "ann");
    let object = json(&dir, &[&["sasl"][..], &maps, &sender].concat());
    let near = &object["lookups"][0]["near_misses"][0];
    assert_eq!(near["key"], "ann@x.example");
    let why = "senders are keys only with smtp_sender_dependent_authentication = yes";
    assert_eq!(near["why"], why);
}

/// Explains with a table that has a near miss and expects it; then puts the key that is advised into
/// the table and expects no near miss any more.
fn check_near_miss(parameter: &str, words: &[&str], key: &str, advice: Option<&str>) {
    // A value that every feature understands.
    let value = match parameter {
        "smtp_tls_policy_maps" => "may",
        "transport_maps" => "smtp:[gw]",
        _ => "ann",
    };
    let dir = table(&format!("{key} {value}\nunrelated.test {value}\n"));
    let maps = format!("{parameter}=hash:t");
    let (word, rest) = words.split_first().unwrap();
    let options: &[&str] = match parameter {
        "access" => &["--table", "hash:t"],
        _ => &["-o", &maps],
    };
    let words = [&[*word][..], options, rest].concat();
    let object = json(&dir, &words);
    let near = object["lookups"][0]["near_misses"].as_array().unwrap();
    let is_told = |near: &&Value| near["key"] == key && near["table"] == "hash:t";
    let told = near.iter().find(is_told);
    let told = told.unwrap_or_else(|| panic!("{key} {words:?}: {object}"));
    assert_eq!(told["write"].as_str(), advice, "{key} {words:?}: {object}");
    assert!(!near.iter().any(|near| near["key"] == "unrelated.test"));
    let printed = text(&explain(&dir, &words));
    let line = format!("near miss: `{key}` is in hash:t, but ");
    assert!(printed.contains(&line), "{printed}");
    if let Some(advice) = advice {
        assert!(
            printed.contains(&format!("; write `{advice}`\n")),
            "{printed}"
        );
        make(&dir, &format!("{key} {value}\n{advice} {value}\n"), &[]);
        let object = json(&dir, &words);
        assert_eq!(object["found"], true, "{key} {words:?}: {object}");
        let near = object["lookups"][0]["near_misses"].as_array().unwrap();
        assert!(near.is_empty(), "{key} {words:?}: {object}");
    }
}

#[test]
fn near_misses_of_destinations() {
    if !have_verbs() {
        return;
    }
    let bracketed = "[smtp.x.example]:587";
    for (destination, key, advice) in [
        (bracketed, "smtp.x.example:587", Some(bracketed)),
        (bracketed, "[smtp.x.example]", Some(bracketed)),
        (bracketed, "[smtp.x.example]:465", Some(bracketed)),
        (bracketed, "[smtp.x.example]:10025", Some(bracketed)),
        (bracketed, "[smtp.x.example]:submission", Some(bracketed)),
        (bracketed, "[smtp.x.example]:587:", Some(bracketed)),
        (bracketed, "smtp:[smtp.x.example]:587", Some(bracketed)),
        (bracketed, "x.example", Some(bracketed)),
        (bracketed, ".x.example", Some(bracketed)),
        (bracketed, "[smtp.x.example:587]", Some(bracketed)),
        (bracketed, "[smtp.x.example:587", Some(bracketed)),
        (bracketed, "[smtp.x.example]587", Some(bracketed)),
        (bracketed, "smtp.x.example]:587", Some(bracketed)),
        (bracketed, "[smtp.x.example.]:587", Some(bracketed)),
        (bracketed, "smtp://smtp.x.example", Some(bracketed)),
        (bracketed, "smtps://smtp.x.example:465/", Some(bracketed)),
        (bracketed, "relay:smtp.x.example:587", Some(bracketed)),
        (bracketed, "<[smtp.x.example]:587>", Some(bracketed)),
        (bracketed, "'[smtp.x.example]:587'", Some(bracketed)),
        ("x.example:587", "[x.example:587]", Some("x.example:587")),
        ("x.example", "smtp://x.example", Some("x.example")),
        ("x.example:587", "[x.example]:587", Some("x.example:587")),
        ("x.example:587", "x.example", Some("x.example:587")),
        ("x.example", "x.example:25", Some("x.example")),
        ("[192.0.2.1]:25", "192.0.2.1:25", Some("[192.0.2.1]:25")),
        (
            "[IPv6:2001:db8::1]",
            "[2001:db8::1]",
            Some("[IPv6:2001:db8::1]"),
        ),
    ] {
        check_near_miss(
            "smtp_sasl_password_maps",
            &["sasl", destination],
            key,
            advice,
        );
    }
    for (destination, key, advice) in [
        (bracketed, "smtp.x.example", Some(bracketed)),
        ("mx.x.example", "x.example", Some(".x.example")),
        ("mx.x.example", "*.x.example", Some(".x.example")),
        ("mx.x.example", "[mx.x.example]", Some("mx.x.example")),
        ("mx.x.example", "mx.x.example:25", Some("mx.x.example")),
        ("mx.x.example", "<mx.x.example>", Some("mx.x.example")),
        (bracketed, "[smtp.x.example:587]", Some(bracketed)),
        (bracketed, "submission://smtp.x.example", Some(bracketed)),
        ("mx.x.example", ".mx.x.example", Some("mx.x.example")),
    ] {
        check_near_miss("smtp_tls_policy_maps", &["tls", destination], key, advice);
    }
}

#[test]
fn a_mistyped_nexthop_is_told_with_what_is_there() {
    if !have_verbs() {
        return;
    }
    let right = "[smtp.x.example]:587";
    for (asked, key, meant) in [
        ("[smtp.x.example:587]", right, right),
        ("[smtp.x.example]587", right, right),
        ("[smtp.x.example:587", right, right),
        ("smtp.x.example]:587", right, right),
        ("<[smtp.x.example]:587>", right, right),
        ("smtp:[smtp.x.example]:587", right, right),
        ("smtp://smtp.x.example:587", right, "smtp.x.example:587"),
        ("smtp://[smtp.x.example]:587/", "smtp.x.example", right),
        ("relay:smtp.x.example", right, "smtp.x.example"),
        ("smtp.x.example.", right, "smtp.x.example"),
    ] {
        let dir = table(&format!("{key} may\n{asked} may\nunrelated.test may\n"));
        for (word, parameter) in [
            ("sasl", "smtp_sasl_password_maps"),
            ("tls", "smtp_tls_policy_maps"),
        ] {
            let maps = format!("{parameter}=hash:t");
            let object = json(&dir, &[word, "-o", &maps, asked]);
            let lookup = &object["lookups"][0];
            assert_eq!(lookup["outcome"], "failed", "{object}");
            let note = format!("perhaps {meant} is meant");
            assert_eq!(lookup["notes"][0], note, "{object}");
            let near = lookup["near_misses"].as_array().unwrap();
            let told = |key: &str| near.iter().find(|near| near["key"] == key);
            let of = |key: &str, part: &str| told(key).map(|near| near[part].as_str());
            let why = Some(Some("what is asked for is no nexthop"));
            assert_eq!(of(key, "why"), why, "{object}");
            assert_eq!(of(key, "write"), Some(None), "{object}");
            assert_eq!(of(asked, "write"), Some(Some(meant)), "{object}");
            assert_eq!(near.len(), 2, "{object}");
        }
    }
    // Passwords in names of tables stay hidden.
    let maps = "smtp_sasl_password_maps=inline:{[mx]:587=ann:topsecret}";
    let end = explain(&TestDir::new("explain"), &["sasl", "-o", maps, "[mx:587]"]).status_is(1);
    assert!(
        text(&end).contains("`[mx]:587` is in inline:(hidden)"),
        "{end}"
    );
    assert!(!text(&end).contains("topsecret"), "{end}");
}

#[test]
fn addresses_may_have_the_brackets_of_logs() {
    if !have_verbs() {
        return;
    }
    let dir = table("ann@x.example bob@y.example\n");
    let maps = "virtual_alias_maps=hash:t";
    let object = json(&dir, &["virtual", "-o", maps, "<ann@x.example>"]);
    assert_eq!(object["found"], true, "{object}");
    for key in ["<ann@x.example>", "mailto:ann@x.example", "'ann@x.example'"] {
        check_near_miss(
            "virtual_alias_maps",
            &["virtual", "ann@x.example"],
            key,
            Some("ann@x.example"),
        );
    }
}

#[test]
fn near_misses_of_addresses() {
    if !have_verbs() {
        return;
    }
    let full = Some("ann+x@a.x.example");
    let parent_style = "parent_domain_matches_subdomains=transport_maps";
    for (options, key, advice) in [
        (&[][..], "x.example", Some(".x.example")),
        (&[], ".a.x.example", Some("a.x.example")),
        (&[], "@a.x.example", Some("a.x.example")),
        (&[], "@x.example", Some(".x.example")),
        (&[], "*.x.example", Some(".x.example")),
        (&[], "*@a.x.example", Some("a.x.example")),
        (&[], "a.x.example.", Some("a.x.example")),
        (&[], "ann+x@", full),
        (&[], "ann+x", full),
        (&[], "ann@a.x.example", full),
        (&[], "ann+x+y@a.x.example", full),
        (&["-o", parent_style], ".x.example", Some("x.example")),
        (&["-o", parent_style], "@x.example", Some("x.example")),
    ] {
        let words = [&["transport"], options, &["ann+x@a.x.example"]].concat();
        check_near_miss("transport_maps", &words, key, advice);
    }
    for (key, advice) in [
        ("a.x.example", Some("@a.x.example")),
        (".x.example", Some("@a.x.example")),
        ("@x.example", Some("@a.x.example")),
        ("*", Some("@a.x.example")),
        ("*@a.x.example", Some("@a.x.example")),
        ("ann+x", full),
        ("ann+x@", full),
        ("ann@a.x.example", full),
    ] {
        for (parameter, word) in [
            ("virtual_alias_maps", "virtual"),
            ("canonical_maps", "canonical"),
            ("smtp_generic_maps", "generic"),
            ("relocated_maps", "relocated"),
            ("recipient_bcc_maps", "bcc"),
            ("smtpd_sender_login_maps", "login"),
            ("virtual_mailbox_maps", "mailbox"),
        ] {
            check_near_miss(parameter, &[word, "ann+x@a.x.example"], key, advice);
        }
    }
    let quoted = ["relocated", "\"ann.b\"@x.example"];
    let key = "\"ann.b\"@x.example";
    check_near_miss("relocated_maps", &quoted, key, Some("ann.b@x.example"));
    for (key, advice) in [
        ("ann+x@x.example", "ann+x"),
        ("ann+x:", "ann+x"),
        ("ann", "ann+x"),
        ("@x.example", "ann+x"),
    ] {
        check_near_miss(
            "alias_maps",
            &["alias", "ann+x@x.example"],
            key,
            Some(advice),
        );
    }
}

#[test]
fn near_misses_of_clients() {
    if !have_verbs() {
        return;
    }
    for (who, key, advice) in [
        ("mx.x.example[192.0.2.7]", ".x.example", Some("x.example")),
        ("mx.x.example[192.0.2.7]", "*.x.example", Some("x.example")),
        ("mx.x.example[192.0.2.7]", "@x.example", Some("x.example")),
        ("mx.x.example[192.0.2.7]", "192.0.2.", Some("192.0.2")),
        ("192.0.2.7", "192.0.2.0/24", Some("192.0.2")),
        ("192.0.2.7", "192.0.2.0/25", None),
        ("192.0.2.7", "[192.0.2.7]", Some("192.0.2.7")),
        ("2001:db8::1", "2001:db8:0:0:0:0:0:1", Some("2001:db8::1")),
        ("2001:db8::1", "2001:db8::/32", None),
        ("ann@x.example", "@x.example", Some("x.example")),
        ("ann@x.example", "ann", Some("ann@x.example")),
        ("ann@mx.x.example", ".x.example", Some("x.example")),
    ] {
        check_near_miss("access", &["access", who], key, advice);
    }
    for (key, advice) in [
        (".x.example", "x.example"),
        ("192.0.2.0/24", "192.0.2"),
        ("[2001:db8::1]", "2001:db8::1"),
    ] {
        let servers = "ns.y.example,ns.x.example[192.0.2.7][2001:db8::1]";
        let words = ["access", "--as=helo-ns", servers];
        check_near_miss("access", &words, key, Some(advice));
    }
}

#[test]
fn keys_in_capitals_of_a_table_made_without_folding() {
    if !have_verbs() {
        return;
    }
    let dir = TestDir::new("explain");
    make(&dir, "X.Example smtp:[gw]\n", &["-f"]);
    let words = ["transport", "-o", "transport_maps=hash:t", "ann@x.example"];
    let object = json(&dir, &words);
    let near = object["lookups"][0]["near_misses"].as_array().unwrap();
    assert_eq!(near.len(), 1, "{object}");
    assert_eq!(near[0]["key"], "X.Example");
    assert_eq!(near[0]["write"], "x.example");
}

#[test]
fn patterns_that_match_a_part_of_the_name() {
    if !have_verbs() {
        return;
    }
    let dir = TestDir::new("explain");
    dir.write("r", "/^x\\.example$/ smtp:[gw]\n");
    let object = json(
        &dir,
        &[
            "transport",
            "-o",
            "transport_maps=regexp:r",
            "ann@x.example",
        ],
    );
    let near = &object["lookups"][0]["near_misses"][0];
    assert_eq!(near["key"], "x.example");
    assert_eq!(
        near["why"],
        "patterns are matched with the whole name alone"
    );
}

#[test]
fn a_table_behind_its_text_is_told() {
    if !have_verbs() {
        return;
    }
    let words = [
        "virtual",
        "-o",
        "virtual_alias_maps=hash:t",
        "ann@x.example",
    ];
    // The key is in the text only, and the text is newer.
    let dir = table("other@x.example bob\n");
    fs::write(dir.file("t"), "other@x.example bob\nann@x.example bob\n").unwrap();
    let an_hour_from_the_table = |hours: u64| {
        let time = SystemTime::now() - Duration::from_secs(3600 * hours);
        let file = |name| File::options().append(true).open(dir.file(name)).unwrap();
        file("t")
            .set_modified(time + Duration::from_secs(1800))
            .unwrap();
        file("t.db").set_modified(time).unwrap();
    };
    an_hour_from_the_table(2);
    let object = json(&dir, &words);
    let lookup = &object["lookups"][0];
    let note = "hash:t is older than its source: run postmap hash:t";
    assert_eq!(lookup["notes"][0], note, "{object}");
    let near = &lookup["near_misses"][0];
    assert_eq!(near["key"], "ann@x.example", "{object}");
    assert!(
        near["why"].as_str().unwrap().contains("in line 2"),
        "{object}"
    );
    // There is no table at all: nothing can be told.
    fs::remove_file(dir.file("t.db")).unwrap();
    let object = json(&dir, &words);
    let lookup = &object["lookups"][0];
    assert_eq!(lookup["outcome"], "failed", "{object}");
    let note = "hash:t was not made yet: run postmap hash:t";
    assert_eq!(lookup["notes"][0], note, "{object}");
    let end = explain(&dir, &words).status_is(1);
    let message = String::from_utf8(end.stderr.clone()).unwrap();
    let start = "rpostmap: fatal: could not tell: hash:t is unavailable: ";
    assert!(message.starts_with(start), "{end}");
    assert!(
        text(&end).contains("could not tell: hash:t is unavailable"),
        "{end}"
    );
}

#[test]
fn passwords_are_printed_only_on_demand() {
    if !have_verbs() {
        return;
    }
    let dir = table("gw ann:topsecret\nother bob:topsecret\n");
    dir.write(
        "text",
        "gw ann:topsecret\ngw ann:topsecret\nbad-topsecret\n",
    );
    dir.write("rules", "/gw/ ann:topsecret\n/(/ ann:topsecret\n");
    fs::write(dir.file("latin"), b"gw ann:topsecret\xff\n").unwrap();
    dir.ours("rpostmap").args(["-u", "hash:latin"]).finish();
    for maps in [
        "hash:t",
        "texthash:text",
        "regexp:rules",
        "hash:latin",
        "static:ann:topsecret",
        "static:",
        "inline:{gw=ann:topsecret}",
        "inline:{ {gw = ann:topsecret} }",
        "inline:{gw:topsecret}",
        "inline:{other=topsecret}",
        "unionmap:{static:ann:topsecret}",
        "pipemap:{static:gw, inline:{gw=ann:topsecret}}",
        "proxy:static:ann:topsecret",
        "ann:topsecret",
        "hash:t, inline:{gw=ann:topsecret",
        "hash:missing, static:ann:topsecret",
    ] {
        for flags in [&[][..], &["--json"]] {
            for destination in ["[gw]:25", "[gx]:25", "gw:587"] {
                let maps = format!("smtp_sasl_password_maps={maps}");
                let words = [&["sasl", "-o", &maps], flags, &[destination]].concat();
                let end = explain(&dir, &words);
                let all = [&end.stdout[..], &end.stderr].concat();
                let all = String::from_utf8_lossy(&all);
                assert!(!all.contains("topsecret"), "{maps} {end}");
            }
        }
    }
    let maps = "smtp_sasl_password_maps=hash:t";
    let words = ["sasl", "-o", maps, "--show-passwords", "[gw]:25"];
    let end = explain(&dir, &words).status_is(0);
    assert!(text(&end).contains("\npassword  topsecret\n"), "{end}");
    let object = json(&dir, &words);
    assert_eq!(object["lookups"][0]["result"]["password"], "topsecret");
    let object = json(&dir, &["sasl", "-o", maps, "[gw]:25"]);
    let result = object["lookups"][0]["result"].to_string();
    assert_eq!(result, r#"{"password":null,"username":"ann"}"#);
}

#[test]
fn results_that_may_not_be_meant_have_a_note() {
    if !have_verbs() {
        return;
    }
    let sasl = ["sasl", "-o", "smtp_sasl_auth_enable=yes", "-o"];
    let sasl_maps = "smtp_sasl_password_maps=hash:t";
    let transport = ["transport", "-o", "relayhost=[rl]", "-o"];
    let transport_maps = "transport_maps=hash:t";
    for (source, options, maps, operand, note) in [
        (
            "gw ann:a\n[gw]:587 ann:b\n",
            &sasl,
            sasl_maps,
            "[gw]:587",
            Some("[gw]:587 is there too, but is not looked up, as gw was found before"),
        ),
        ("[gw]:587 ann:b\n", &sasl, sasl_maps, "[gw]:587", None),
        (
            "gw ann\n",
            &sasl,
            sasl_maps,
            "[gw]",
            Some("the password is empty: the value is to be user:password"),
        ),
        (
            "gw ann:a # mine\n",
            &sasl,
            sasl_maps,
            "[gw]",
            Some("what follows the # is part of the password: a comment has a line of its own"),
        ),
        (
            "x.example [gw]:587\n",
            &transport,
            transport_maps,
            "ann@x.example",
            Some("[gw]:587 names the transport [gw]: for a host write smtp:[gw]:587 or :[gw]:587"),
        ),
        (
            "x.example smtp:\n",
            &transport,
            transport_maps,
            "ann@x.example",
            Some("smtp: drops relayhost: the nexthop is the domain; a value of : alone keeps it"),
        ),
        (
            "x.example smtp:[gw\n",
            &transport,
            transport_maps,
            "ann@x.example",
            Some("all delivery is deferred: \"[gw\" is no destination: missing ']' after '['"),
        ),
        (
            "x.example :\n",
            &transport,
            transport_maps,
            "ann@x.example",
            None,
        ),
    ] {
        let dir = table(source);
        let object = json(&dir, &[&options[..], &[maps, operand]].concat());
        let notes = &object["lookups"][0]["notes"];
        let expect: Vec<&str> = note.into_iter().collect();
        assert_eq!(*notes, Value::from(expect), "{source}");
    }
}

#[test]
fn each_destination_of_a_nexthop_is_explained() {
    if !have_verbs() {
        return;
    }
    let dir = table("b.example ann:x\nmx.a.example bob:x\n");
    let maps = ["sasl", "-o", "smtp_sasl_password_maps=hash:t"];
    let object = json(
        &dir,
        &[&maps[..], &["[a.example], [b.example]:25"]].concat(),
    );
    let lookups = object["lookups"].as_array().unwrap();
    assert_eq!(lookups.len(), 2);
    assert_eq!(lookups[0]["outcome"], "not found");
    assert_eq!(lookups[1]["result"]["username"], "ann");
    let object = json(
        &dir,
        &[&maps[..], &["--host", "mx.a.example", "a.example:25"]].concat(),
    );
    assert_eq!(object["lookups"][0]["result"]["username"], "bob");
}

#[test]
fn access_tables_are_found_in_main_cf() {
    if !have_verbs() {
        return;
    }
    let dir = table("x.example REJECT no mail\n192.0.2 554 go away\nlist check_it, reject\n");
    dir.write("c", "192.0.2.0/24 DUNNO\n");
    dir.main_cf(
        "compatibility_level = 3.6\nmyhostname = host.example\n\
         smtpd_restriction_classes = strict\n\
         smtpd_client_restrictions = permit_mynetworks, check_client_access cidr:c\n\
         smtpd_recipient_restrictions = check_client_access { hash:t, search_order = x }\n\
         strict = check_sender_access hash:t\n",
    );
    let object = json(&dir, &["access", "mx.y.example[192.0.2.7]"]);
    let lookups = object["lookups"].as_array().unwrap();
    assert_eq!(lookups.len(), 2);
    assert_eq!(lookups[0]["result"]["action"], "DUNNO");
    assert_eq!(lookups[1]["result"]["action"], "554");
    assert_eq!(lookups[1]["result"]["text"], "go away");
    let parameter = &lookups[1]["steps"][0]["parameter"];
    assert_eq!(
        parameter,
        "smtpd_recipient_restrictions: check_client_access"
    );
    let object = json(&dir, &["access", "--as", "sender", "ann@x.example"]);
    assert_eq!(object["lookups"][0]["result"]["text"], "no mail");
    let object = json(&dir, &["access", "--as=helo", "--table=hash:t", "list"]);
    assert_eq!(object["lookups"][0]["result"]["action"], "restrictions");
    let end = explain(&dir, &["access", "--as", "helo", "x.example"]);
    end.status_is(1).stdout_is("").stderr_is(
        "rpostmap: fatal: no smtpd_*_restrictions have check_helo_access; \
         name a table with --table\n",
    );
}

#[test]
fn access_tables_are_asked_for_the_servers_that_the_operand_names() {
    if !have_verbs() {
        return;
    }
    let dir = table("x.example REJECT no mail\n192.0.2 554 go away\nmx.y.example OK\n");
    dir.main_cf(
        "compatibility_level = 3.6\nmyhostname = host.example\n\
         smtpd_sender_restrictions = check_sender_mx_access hash:t, check_sender_ns_access hash:t\n\
         smtpd_client_restrictions = check_reverse_client_hostname_a_access hash:t\n",
    );
    let keys = |words: &[&str]| {
        let object = json(&dir, &[&["access", "--as"], words].concat());
        let step = &object["lookups"][0]["steps"][0]["parameter"];
        let parameter = step.as_str().unwrap().to_owned();
        let keys = keys(&object, &parameter);
        let lookup = object["lookups"][0].clone();
        (parameter, keys, lookup)
    };
    // The name and its parents, then the addresses; then the next server.
    let servers = "mx1.z.example[198.51.100.1][2001:db8::1],mx2.z.example[192.0.2.7],x.example";
    let (parameter, tried, lookup) = keys(&["sender-mx", servers]);
    assert_eq!(
        parameter,
        "smtpd_sender_restrictions: check_sender_mx_access"
    );
    assert_eq!(
        tried,
        [
            "all mx1.z.example not found",
            "fixed z.example not found",
            "fixed example not found",
            "all 198.51.100.1 not found",
            "fixed 198.51.100 not found",
            "fixed 198.51 not found",
            "fixed 198 not found",
            "all 2001:db8::1 not found",
            "fixed 2001:db8: not found",
            "fixed 2001:db8 not found",
            "fixed 2001 not found",
            "all mx2.z.example not found",
            "fixed z.example not found",
            "fixed example not found",
            "all 192.0.2.7 not found",
            "fixed 192.0.2 found",
        ]
    );
    assert_eq!(lookup["result"]["text"], "go away");
    assert_eq!(lookup["asked"]["servers"], servers.replace(',', ", "));
    // For `a` names do not count, and addresses must be named.
    let words = ["reverse-client-hostname-a", "mx.x.example[192.0.2.7]"];
    let (_, tried, _) = keys(&words);
    assert_eq!(tried, ["all 192.0.2.7 not found", "fixed 192.0.2 found"]);
    let end = explain(&dir, &["access", "--as", "client-a", "mx.x.example"]);
    end.status_is(1).stdout_is("").stderr_is(
        "rpostmap: fatal: addresses are looked up: name them, as in mail.example.com[192.0.2.7]\n",
    );
    // What does not happen, and what is not known.
    let (_, _, lookup) = keys(&["sender-ns", "mx.y.example"]);
    let notes = lookup["notes"].to_string();
    assert!(notes.contains("OK is not allowed"), "{notes}");
    assert!(notes.contains("addresses of mx.y.example"), "{notes}");
    let table = ["--table=hash:t", "ns.z.example[192.0.3.1],.x.example"];
    let (parameter, ..) = keys(&[&["recipient-ns"], &table[..]].concat());
    assert_eq!(parameter, "check_recipient_ns_access");
}

#[test]
fn main_cf_is_read_where_it_is_said_to_be() {
    if !have_verbs() {
        return;
    }
    let dir = table("x.example smtp:[gw]\n");
    fs::create_dir(dir.file("cf")).unwrap();
    let main_cf = "compatibility_level = 3.6\nmyhostname = m.example\ntransport_maps = hash:t\n";
    dir.write("cf/main.cf", main_cf);
    for words in [
        ["-c", "cf", "transport", "ann@x.example"],
        ["transport", "-c", "cf", "ann@x.example"],
    ] {
        let end = explain(&dir, &words).status_is(0);
        assert!(text(&end).contains("\nnexthop    [gw]\n"), "{end}");
    }
    let end = explain(&dir, &["transport", "-c", "none", "ann@x.example"]).status_is(1);
    assert!(
        end.stderr
            .starts_with(b"rpostmap: fatal: open none/main.cf"),
        "{end}"
    );
}

#[test]
fn misuse_is_told() {
    if !have_verbs() {
        return;
    }
    let dir = TestDir::new("explain");
    let usage = "rpostmap: fatal: usage: rpostmap explain WORD [OPTION..] ADDRESS|NEXTHOP\n";
    for words in [
        &[][..],
        &["transport"],
        &["nonsense", "x"],
        &["transport", "a@x", "b@x"],
    ] {
        let end = explain(&dir, words).status_is(1);
        end.stdout_is("").stderr_is(usage);
    }
    for (words, message) in [
        (
            &["transport", "a@x", "--nope"][..],
            "no such option: --nope",
        ),
        (&["transport", "a@x", "-Z"], "invalid option -- 'Z'"),
        (
            &["transport", "a@x", "--sender"],
            "--sender needs an ADDRESS",
        ),
    ] {
        let end = explain(&dir, words).status_is(1);
        end.stdout_is("")
            .stderr_is(format!("rpostmap: {message}\n{usage}"));
    }
    let end = explain(&dir, &["transport", "a@x.example", "--json"]).status_is(0);
    assert!(end.stdout.starts_with(b"{"), "{end}");
    for (words, message) in [
        (
            &["transport", "-o", "relayhost", "a@x"][..],
            "-o needs NAME=VALUE, as in -o relayhost=[gw.example.org]:587",
        ),
        (
            &["bcc", "--as", "client", "a@x"],
            "--as is one of recipient, sender",
        ),
        (
            &["sasl", "[gw.example"],
            "could not tell: \"[gw.example\" is no nexthop: missing ']' after '['",
        ),
        (
            &["tls", " "],
            "could not tell: \" \" is no nexthop: there is no destination in it",
        ),
    ] {
        let end = explain(&dir, words).status_is(1);
        end.stderr_is(format!("rpostmap: fatal: {message}\n"));
    }
    let refused = explain(&dir, &["transport", "ann@x..example"]).status_is(1);
    assert!(
        text(&refused).contains("not found: the recipient is refused"),
        "{refused}"
    );
}

#[test]
fn hostile_values_do_not_reach_the_terminal() {
    if !have_verbs() {
        return;
    }
    let dir = table("x.example smtp:\x1b[31m\n");
    let end = explain(
        &dir,
        &[
            "transport",
            "-o",
            "transport_maps=hash:t",
            "a\x07@x.example",
        ],
    );
    assert!(
        !end.stdout.contains(&0x1b) && !end.stdout.contains(&7),
        "{end}"
    );
}
