//! `explain sasl` and `explain tls`: each destination in a nexthop.

use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::cli::report::Fatal;
use crate::cli::text::escaped;
use crate::error::ErrorKind;
use crate::rules::host;
use crate::rules::nexthop::{Agent, Destination, Place};
use crate::rules::sasl_password::{Credentials, SaslPasswords, Server};
use crate::rules::tls_policy::TlsPolicies;
use crate::rules::trace::{NoTrace, Recorder, Scope, Step};

use super::model::{End, Lookup, address_text};
use super::near::{self, DestinationKeys, Subject};
use super::route::nexthops;
use super::{Asked, no_rules, secret};

/// The destinations in the operand, or a lookup that ends with what is wrong with it and what the
/// tables of `parameter` have for the same host.
fn destinations(
    asked: &mut Asked<'_, '_>,
    parameter: &str,
) -> Result<Result<Vec<Destination>, Lookup>, Fatal> {
    let nexthops = nexthops(asked)?;
    let nexthop = asked.call.operand.as_bytes();
    let what = match nexthops.parse(nexthop) {
        Ok(found) if found.is_empty() => "there is no destination in it".to_owned(),
        Ok(found) => return Ok(Ok(found)),
        Err(error) => error.to_string(),
    };
    let mut lookup = Lookup {
        asked: vec![("nexthop", escaped(nexthop))],
        steps: Vec::new(),
        end: End::Failed(format!("\"{}\" is no nexthop: {what}", escaped(nexthop))),
        near: Vec::new(),
        notes: Vec::new(),
    };
    near::look_for_malformed(asked, &mut lookup, parameter, nexthop, &nexthops)?;
    Ok(Err(lookup))
}

/// The credentials for each destination.
pub(super) fn sasl(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = SaslPasswords::open(asked.agent(), asked.setup).map_err(no_rules)?;
    let parameter = asked.agent().parameter("sasl_password_maps");
    let destinations = match destinations(asked, &parameter)? {
        Ok(destinations) => destinations,
        Err(mut failed) => {
            if !asked.call.has("show-passwords") {
                secret::hide(&mut failed, false);
            }
            return Ok(vec![failed]);
        }
    };
    let mut lookups = Vec::new();
    for destination in &destinations {
        lookups.push(credentials(asked, &rules, destination)?);
    }
    Ok(lookups)
}

fn credentials(
    asked: &mut Asked<'_, '_>,
    rules: &SaslPasswords,
    destination: &Destination,
) -> Result<Lookup, Fatal> {
    let agent = asked.agent();
    let sender = asked.sender();
    let host = host_connected_to(asked, destination)?;
    let server = Server {
        sender: &sender,
        // The empty key is in no table.
        host: host.as_deref().unwrap_or_default(),
        destination: &destination.text,
    };
    let mut trace = Recorder::default();
    let shows = asked.call.has("show-passwords");
    let found = rules.find(&server, &mut trace);
    let quotes_value = found
        .as_ref()
        .is_err_and(|error| matches!(error.kind(), ErrorKind::InvalidUtf8 { .. }));
    let parameter = agent.parameter("sasl_password_maps");
    let mut questions = vec![("destination", escaped(&destination.text))];
    questions.extend(host.as_ref().map(|host| ("host", escaped(host))));
    if !sender.is_null() {
        questions.push(("sender", address_text(&sender)));
    }
    let mut notes = Vec::new();
    let end = found.map(|found| {
        found.map(|found| {
            notes.extend(oddity(&found));
            let password = match shows {
                true => escaped(found.password()).into(),
                false => Value::Null,
            };
            let username = escaped(found.username()).into();
            vec![("username", username), ("password", password)]
        })
    });
    let nothing = "mail is sent without authentication";
    let mut lookup = Lookup::new(questions, &trace, end, nothing);
    lookup.notes = notes;
    if matches!(lookup.end, End::Found(_)) {
        lookup.notes.extend(hidden_key(rules, &lookup, destination));
    }
    if host.is_none() {
        let text =
            "the host in the MX record is looked up before the destination: name it with --host";
        lookup.notes.push(text.to_owned());
    }
    let by_sender = agent.parameter("sender_dependent_authentication");
    let looks_senders_up =
        agent == Agent::Smtp && asked.setup.boolean(&by_sender).map_err(no_rules)?;
    if !sender.is_null() && !looks_senders_up {
        lookup
            .notes
            .push(format!("{by_sender} is not yes: the sender is no key"));
    }
    let enable = agent.parameter("sasl_auth_enable");
    if !asked.setup.boolean(&enable).map_err(no_rules)? {
        let text = format!("{enable} is not yes: no server is authenticated with");
        lookup.notes.push(text);
    }
    let subject = Subject::Destination {
        destination,
        sender: (!sender.is_null()).then_some(&sender),
        use_of: DestinationKeys::Passwords,
    };
    near::look_and_note(asked, &mut lookup, &parameter, &subject)?;
    if !shows {
        secret::hide(&mut lookup, quotes_value);
    }
    Ok(lookup)
}

/// The name that counts as the host: the one in the options, or that in brackets, or an address.
/// Which host a domain without brackets leads to only the DNS knows.
fn host_connected_to(
    asked: &mut Asked<'_, '_>,
    destination: &Destination,
) -> Result<Option<Vec<u8>>, Fatal> {
    if let Some(host) = asked.call.value("host") {
        return Ok(Some(host.as_bytes().to_vec()));
    }
    Ok(match &destination.place {
        Place::Host { host, brackets, .. } => {
            (*brackets || host::address(host).is_some()).then(|| host.clone())
        }
        Place::Socket(_) => Some(asked.parameter("myhostname")?),
    })
}

/// What is wrong with credentials that were found.
fn oddity(found: &Credentials) -> Option<String> {
    let text = match (found.username(), found.password()) {
        (b"", _) => "the user name is empty, which is refused",
        (_, b"") => "the password is empty: the value is to be user:password",
        (_, password) if memchr::memmem::find(password, b" #").is_some() => {
            "what follows the # is part of the password: a comment has a line of its own"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// That the destination has a key of its own, which an earlier key hides.
fn hidden_key(rules: &SaslPasswords, lookup: &Lookup, destination: &Destination) -> Option<String> {
    let Some(Step::Key { key: found_by, .. }) = lookup.steps.last() else {
        return None;
    };
    if *found_by == destination.text {
        return None;
    }
    let own = rules
        .list()
        .find(&destination.text, Scope::All, &mut NoTrace);
    matches!(own, Ok(Some(_))).then(|| {
        let (own, found_by) = (escaped(&destination.text), escaped(found_by));
        format!("{own} is there too, but is not looked up, as {found_by} was found before")
    })
}

/// The policy for each destination.
pub(super) fn tls(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let agent = asked.agent();
    let rules = TlsPolicies::open(agent, asked.setup).map_err(no_rules)?;
    let parameter = agent.parameter("tls_policy_maps");
    let destinations = match destinations(asked, &parameter)? {
        Ok(destinations) => destinations,
        Err(failed) => return Ok(vec![failed]),
    };
    let nothing = format!("{} decides", agent.parameter("tls_security_level"));
    let mut lookups = Vec::new();
    for destination in &destinations {
        let mut trace = Recorder::default();
        let end = rules.policy(&destination.text, &mut trace).map(|policy| {
            policy.map(|policy| {
                let attributes = policy.attributes.iter();
                let attributes = attributes
                    .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)).into());
                let attributes: Vec<Value> = attributes.collect();
                vec![
                    ("level", policy.level.name().into()),
                    ("attributes", attributes.into()),
                ]
            })
        });
        let questions = vec![("destination", escaped(&destination.text))];
        let mut lookup = Lookup::new(questions, &trace, end, &nothing);
        let subject = Subject::Destination {
            destination,
            sender: None,
            use_of: DestinationKeys::Policies,
        };
        near::look_and_note(asked, &mut lookup, &parameter, &subject)?;
        lookups.push(lookup);
    }
    Ok(lookups)
}
