//! `explain transport` and `explain relocated`.

use crate::cli::report::Fatal;
use crate::cli::text::escaped;
use crate::rules::address::Internal;
use crate::rules::nexthop::{Nexthops, Services};
use crate::rules::recipient::Recipients;
use crate::rules::relocated::Relocated;
use crate::rules::resolve::{Resolution, Resolver, Route};
use crate::rules::trace::{NoTrace, Outcome, Recorder, Step};
use crate::rules::transport::TransportValue;

use super::model::{Lookup, address_text};
use super::near::{self, Subject};
use super::{Asked, no_rules};

/// Where the names of services are beside main.cf.
const SERVICES: &str = "/etc/services";

/// The whole route of a recipient, of which `transport_maps` are a part.
pub(super) fn transport(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let resolver = Resolver::open(asked.setup).map_err(no_rules)?;
    let (sender, recipient) = (asked.sender(), asked.address());
    let mut trace = Recorder::default();
    let resolution = resolver.resolve(&sender, &recipient, &mut trace);
    let mut notes = Vec::new();
    let end = resolution.map(|resolution| match resolution {
        Resolution::Invalid => None,
        Resolution::Route(route) => {
            notes.extend(syntax_note(asked, &route));
            Some(vec![
                ("recipient", address_text(&route.recipient).into()),
                ("class", route.class.name().into()),
                ("transport", escaped(&route.transport).into()),
                ("nexthop", escaped(&route.nexthop).into()),
            ])
        }
    });
    let questions = vec![
        ("recipient", address_text(&recipient)),
        ("sender", address_text(&sender)),
    ];
    let refused = "the recipient is refused: its domain is no host name, or it begins with \"-\"";
    let mut lookup = Lookup::new(questions, &trace, end, refused);
    lookup.notes = notes;
    let relayhost = asked.parameter("relayhost")?;
    let notes = transport_value(&lookup).and_then(|value| value_note(value, &relayhost));
    lookup.notes.extend(notes);
    let recipient = read(asked, &recipient)?;
    let tables = [
        ("transport_maps", Subject::Transport(&recipient)),
        ("relocated_maps", Subject::Address(&recipient)),
        ("sender_dependent_relayhost_maps", Subject::Address(&sender)),
        (
            "sender_dependent_default_transport_maps",
            Subject::Address(&sender),
        ),
    ];
    for (parameter, subject) in tables {
        near::look(asked, &mut lookup, parameter, &subject)?;
    }
    let value = asked.parameter("transport_maps")?;
    lookup.note_empty("transport_maps", &value);
    Ok(vec![lookup])
}

/// The value that was found in `transport_maps`.
fn transport_value(lookup: &Lookup) -> Option<&[u8]> {
    lookup.steps.iter().find_map(|step| match step {
        Step::Key {
            parameter, answers, ..
        } if parameter == "transport_maps" => {
            answers.iter().find_map(|(_, outcome)| match outcome {
                Outcome::Found(Some(value)) => Some(value.as_slice()),
                _ => None,
            })
        }
        _ => None,
    })
}

/// What may not be meant by a value of `transport_maps`.
fn value_note(value: &[u8], relayhost: &[u8]) -> Option<String> {
    let TransportValue { transport, nexthop } = TransportValue::parse(value);
    let (text, name) = (escaped(value), escaped(transport));
    if transport.iter().any(|byte| b".[]".contains(byte)) {
        return Some(format!(
            "{text} names the transport {name}: for a host write smtp:{text} or :{text}"
        ));
    }
    if transport.ends_with(b" ") {
        return Some(format!(
            "the name of the transport is \"{name}\", with a blank"
        ));
    }
    let drops = nexthop.is_empty()
        && !matches!(transport, b"" | b"error" | b"retry" | b"discard" | b"local")
        && !relayhost.is_empty();
    drops.then(|| {
        format!("{text} drops relayhost: the nexthop is the domain; a value of : alone keeps it")
    })
}

/// What is wrong with the nexthop of a transport that is the SMTP client under its usual names.
fn syntax_note(asked: &mut Asked<'_, '_>, route: &Route) -> Option<String> {
    if !matches!(&*route.transport, b"smtp" | b"relay") {
        return None;
    }
    let nexthops = nexthops(asked).ok()?;
    let error = nexthops.parse(&route.nexthop).err()?;
    let nexthop = escaped(&route.nexthop);
    Some(format!(
        "all delivery is deferred: \"{nexthop}\" is no destination: {error}"
    ))
}

/// How the nexthops of the agent in the options are read.
pub(super) fn nexthops(asked: &mut Asked<'_, '_>) -> Result<Nexthops, Fatal> {
    let program = asked.call.program;
    let mut warn = |text: Vec<u8>| program.warning(&text);
    let mut services = Services::from_config(asked.config, &mut warn).map_err(no_rules)?;
    // Without that file there are the services of main.cf only.
    services.add_system(&std::fs::read(SERVICES).unwrap_or_default());
    let agent = asked.agent();
    Nexthops::from_config(agent, services, asked.config, &mut warn).map_err(no_rules)
}

/// The recipient as it is looked up.
pub(super) fn read(
    asked: &mut Asked<'_, '_>,
    recipient: &Internal<'_>,
) -> Result<Internal<'static>, Fatal> {
    let recipients = Recipients::open(asked.setup).map_err(no_rules)?;
    let read = recipients.read(recipient, &mut NoTrace);
    // What could not be told is in the explanation.
    Ok(read.map_or_else(
        |_| Internal::new(recipient.as_bytes().to_vec()),
        |read| read.address,
    ))
}

/// Where a recipient has moved to.
pub(super) fn relocated(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = Relocated::open(asked.setup).map_err(no_rules)?;
    let address = asked.address();
    let recipient = read(asked, &address)?;
    let mut trace = Recorder::default();
    let found = rules.find(&recipient, &mut trace);
    let end = found.map(|text| text.map(|text| vec![("reply", escaped(&text).into())]));
    let questions = vec![("recipient", address_text(&recipient))];
    let mut lookup = Lookup::new(questions, &trace, end, "the recipient has not moved");
    near::look_and_note(
        asked,
        &mut lookup,
        "relocated_maps",
        &Subject::Address(&recipient),
    )?;
    Ok(vec![lookup])
}
