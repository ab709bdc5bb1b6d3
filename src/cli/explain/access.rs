//! `explain access`: the action that access tables have for a client, a name, or an address.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::cli::report::Fatal;
use crate::cli::text::escaped;
use crate::rules::access::{AccessRules, AccessTable, Action, ActionKind};
use crate::rules::address::Internal;
use crate::rules::tables::items;
use crate::rules::trace::Recorder;

use super::model::{Lookup, address_text};
use super::near::{self, Server, Subject};
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

/// Who a table is for; the roles behind the first ones are for what the DNS has for them.
const ROLES: &[&str] = &[
    "client",
    "reverse-client-hostname",
    "helo",
    "sender",
    "recipient",
    "client-mx",
    "client-ns",
    "client-a",
    "reverse-client-hostname-mx",
    "reverse-client-hostname-ns",
    "reverse-client-hostname-a",
    "helo-mx",
    "helo-ns",
    "helo-a",
    "sender-mx",
    "sender-ns",
    "sender-a",
    "recipient-mx",
    "recipient-ns",
    "recipient-a",
];

/// How roles end that are about mail servers, name servers, and addresses.
const SERVERS: &[&str] = &["-mx", "-ns", ADDRESSES_ONLY];

/// Of these hosts the name is not looked up.
const ADDRESSES_ONLY: &str = "-a";

/// Who is looked up.
enum Who {
    /// A name, and an address.
    Client(Vec<u8>, Vec<u8>),
    Helo(Vec<u8>),
    Sender(Internal<'static>),
    Recipient(Internal<'static>),
    /// What the DNS has for any of them.
    Servers(Vec<Server>),
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
        role if SERVERS.iter().any(|kind| role.ends_with(kind)) => {
            Who::Servers(servers(role, asked.operand())?)
        }
        _ => client(asked.operand()),
    };
    let check = format!("check_{}_access", role.replace('-', "_"));
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
    let Server { name, addresses } = Server::parse(text);
    match <[Vec<u8>; 1]>::try_from(addresses) {
        Ok([address]) => Who::Client(name, address),
        Err(none) if none.is_empty() => Who::Client(name, Vec::new()),
        Err(_) => Who::Client(text.to_vec(), Vec::new()),
    }
}

/// The hosts that the operand lists, for a role that is about hosts of the DNS.
fn servers(role: &str, text: &[u8]) -> Result<Vec<Server>, Fatal> {
    let mut servers: Vec<Server> = items(text).map(Server::parse).collect();
    if role.ends_with(ADDRESSES_ONLY) {
        if servers.iter().any(|server| server.addresses.is_empty()) {
            let what = "addresses are looked up: name them, as in mail.example.com[192.0.2.7]";
            return Err(what.into());
        }
        servers.iter_mut().for_each(|server| server.name.clear());
    }
    Ok(servers)
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
        Who::Servers(servers) => {
            let mut found = Ok(None);
            for server in servers {
                let addresses = server.addresses.iter().map(Vec::as_slice);
                found = table.server(&server.name, addresses, &mut trace);
                if !matches!(found, Ok(None)) {
                    break;
                }
            }
            let texts: Vec<String> = servers.iter().map(Server::text).collect();
            let questions = vec![("servers", texts.join(", "))];
            (found, questions, Subject::Servers(servers))
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
            ActionKind::Ok if matches!(who, Who::Servers(_)) => notes.push(
                "OK is not allowed for servers: DUNNO makes an exception for one of them"
                    .to_owned(),
            ),
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
    if let Who::Servers(servers) = who
        && let Some(server) = servers.iter().find(|server| server.addresses.is_empty())
    {
        let name = escaped(&server.name);
        notes.push(format!(
            "the addresses of {name} are looked up as well: name them, as in {name}[192.0.2.7]"
        ));
    }
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
