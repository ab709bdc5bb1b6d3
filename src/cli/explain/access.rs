//! `explain access`: the action that access tables have for a client, a name, or an address.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::cli::report::Fatal;
use crate::cli::text::escaped;
use crate::rules::access::{AccessRules, AccessTable, Action, ActionKind};
use crate::rules::address::Internal;
use crate::rules::host;
use crate::rules::tables::items;
use crate::rules::trace::Recorder;

use super::model::{Lookup, address_text};
use super::near::{self, Subject};
use super::{Asked, no_rules, route};

/// Where restrictions of the SMTP server are, in the order it looks at them.
const RESTRICTIONS: &[&str] = &[
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_etrn_restrictions",
];

/// Who is looked up.
enum Who {
    /// A name, and an address.
    Client(Vec<u8>, Vec<u8>),
    Helo(Vec<u8>),
    Sender(Internal<'static>),
    Recipient(Internal<'static>),
}

/// A table, and what it is called in the explanation.
struct Place {
    name: String,
    spec: Vec<u8>,
}

/// The action of one table, or of each table in main.cf for the role.
pub(super) fn access(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = Arc::new(AccessRules::open(asked.setup).map_err(no_rules)?);
    let role = role(asked)?;
    let who = match role {
        "helo" => Who::Helo(asked.operand().to_vec()),
        "sender" => Who::Sender(asked.address()),
        "recipient" => Who::Recipient(asked.address()),
        _ => client(asked.operand()),
    };
    let check = format!("check_{role}_access");
    let places = match asked.call.value("table") {
        Some(spec) => vec![Place {
            name: check.clone(),
            spec: spec.as_bytes().to_vec(),
        }],
        None => places(asked, &check)?,
    };
    if places.is_empty() {
        let what = format!("no smtpd_*_restrictions have {check}; name a table with --table");
        return Err(what.into());
    }
    let mut lookups = Vec::new();
    for place in &places {
        let table = AccessTable::open(&place.name, &place.spec, Arc::clone(&rules), asked.setup);
        lookups.push(lookup(asked, &table, place, &who)?);
    }
    Ok(lookups)
}

/// The role in the options, or the one that the operand looks like.
fn role(asked: &Asked<'_, '_>) -> Result<&'static str, Fatal> {
    const ROLES: &[&str] = &["client", "helo", "sender", "recipient"];
    if asked.call.value("as").is_some() {
        return asked.role(ROLES);
    }
    Ok(match asked.operand() {
        b"<>" => "sender",
        text if text.contains(&b'@') => "recipient",
        _ => "client",
    })
}

/// `name[address]` as in mail logs, or one of them.
fn client(text: &[u8]) -> Who {
    let both = text.strip_suffix(b"]").and_then(|text| {
        let at = memchr::memchr(b'[', text)?;
        Some((text.get(..at)?, text.get(at + 1..)?))
    });
    match both {
        Some((name, address)) if host::address(address).is_some() => {
            Who::Client(name.to_vec(), address.to_vec())
        }
        _ if host::address(text).is_some() => Who::Client(Vec::new(), text.to_vec()),
        _ => Who::Client(text.to_vec(), Vec::new()),
    }
}

/// The tables behind `check` in the restrictions of main.cf.
fn places(asked: &mut Asked<'_, '_>, check: &str) -> Result<Vec<Place>, Fatal> {
    let mut parameters: Vec<String> = RESTRICTIONS.iter().map(|name| name.to_string()).collect();
    // Classes are restrictions under a name of one's own.
    let classes = asked.parameter("smtpd_restriction_classes")?;
    parameters.extend(items(&classes).map(escaped));
    let mut places = Vec::new();
    for parameter in parameters {
        let text = asked.parameter(&parameter)?;
        let mut words = items(&text);
        while let Some(word) = words.next() {
            if !word.eq_ignore_ascii_case(check.as_bytes()) {
                continue;
            }
            // `{ type:name, attribute = value }` is a table as well.
            let spec = words.next().unwrap_or_default();
            let inside = spec
                .strip_prefix(b"{")
                .and_then(|spec| spec.strip_suffix(b"}"));
            let spec = inside.map_or(spec, |inside| items(inside).next().unwrap_or_default());
            places.push(Place {
                name: format!("{parameter}: {check}"),
                spec: spec.to_vec(),
            });
        }
    }
    Ok(places)
}

fn lookup(
    asked: &mut Asked<'_, '_>,
    table: &AccessTable,
    place: &Place,
    who: &Who,
) -> Result<Lookup, Fatal> {
    let mut trace = Recorder::default();
    let read;
    let (found, questions, subject) = match who {
        Who::Client(name, address) => {
            let mut questions = Vec::new();
            if !name.is_empty() {
                questions.push(("client name", escaped(name)));
            }
            if !address.is_empty() {
                questions.push(("client address", escaped(address)));
            }
            let found = table.client(name, address, &mut trace);
            (found, questions, Subject::Client { name, address })
        }
        Who::Helo(name) => (
            table.host_name(name, &mut trace),
            vec![("helo name", escaped(name))],
            Subject::Client { name, address: b"" },
        ),
        Who::Sender(sender) => (
            table.sender(sender, &mut trace),
            vec![("sender", address_text(sender))],
            {
                read = route::read(asked, sender)?;
                Subject::Access(&read)
            },
        ),
        Who::Recipient(recipient) => (
            table.recipient(recipient, &mut trace),
            vec![("recipient", address_text(recipient))],
            {
                read = route::read(asked, recipient)?;
                Subject::Access(&read)
            },
        ),
    };
    let mut notes = Vec::new();
    let end = found.map(|value| {
        let value = value?;
        let action = Action::parse(&value);
        match action.kind {
            ActionKind::Dunno => notes
                .push("this table is left undecided; the next restriction is looked at".to_owned()),
            ActionKind::Restrictions => {
                notes.push("no action begins so: the value is a list of restrictions".to_owned());
            }
            _ => {}
        }
        let kind = match action.kind {
            ActionKind::Restrictions => "restrictions".to_owned(),
            ActionKind::Code(code) => code.to_string(),
            kind => action_name(kind).to_owned(),
        };
        let mut fields = vec![("action", kind.into())];
        if !action.text.is_empty() {
            fields.push(("text", escaped(action.text).into()));
        }
        Some(fields)
    });
    let nothing = "the next restriction is looked at";
    let mut lookup = Lookup::new(questions, &trace, end, nothing);
    lookup.notes = notes;
    near::look_in(asked, &mut lookup, &place.name, &place.spec, &subject)?;
    Ok(lookup)
}

fn action_name(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Ok => "OK",
        ActionKind::Relay => "RELAY",
        ActionKind::Reject => "REJECT",
        ActionKind::Defer => "DEFER",
        ActionKind::Dunno => "DUNNO",
        ActionKind::Discard => "DISCARD",
        ActionKind::Filter => "FILTER",
        ActionKind::Hold => "HOLD",
        ActionKind::Prepend => "PREPEND",
        ActionKind::Redirect => "REDIRECT",
        ActionKind::Bcc => "BCC",
        ActionKind::Warn => "WARN",
        ActionKind::Info => "INFO",
        ActionKind::DeferIfPermit => "DEFER_IF_PERMIT",
        ActionKind::DeferIfReject => "DEFER_IF_REJECT",
        ActionKind::Code(_) => "reply code",
        ActionKind::Restrictions => "restrictions",
    }
}
