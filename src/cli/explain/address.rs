//! The words that look an address up: maps of addresses, aliases, copies, logins, mailboxes.

use serde_json::Value;

use crate::cli::report::Fatal;
use crate::cli::text::escaped;
use crate::rules::address::Internal;
use crate::rules::alias::Aliases;
use crate::rules::bcc::BlindCopies;
use crate::rules::login::SenderLogins;
use crate::rules::mailbox::VirtualMailboxes;
use crate::rules::rewrite::{Canonical, Generic, Place, Side, VirtualAliases};
use crate::rules::trace::{Outcome, Recorder, Step, Trace};

use super::model::{Lookup, address_list, address_text};
use super::near::{self, Subject};
use super::{Asked, no_rules};

/// The recipients that a recipient stands for.
pub(super) fn virtual_aliases(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = VirtualAliases::open(asked.setup).map_err(no_rules)?;
    let recipient = asked.completed()?;
    let mut trace = Recorder::default();
    let expanded = rules.expand(&recipient, &mut trace);
    let end = expanded.map(|recipients| {
        has_found(&trace).then(|| vec![("recipients", address_list(&recipients))])
    });
    let questions = vec![("recipient", address_text(&recipient))];
    let mut lookup = Lookup::new(questions, &trace, end, "the recipient stays as it is");
    let subject = Subject::Address(&recipient);
    near::look_and_note(asked, &mut lookup, "virtual_alias_maps", &subject)?;
    Ok(vec![lookup])
}

/// The address in place of another, wherever the role says that it stands.
pub(super) fn canonical(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    const ROLES: &[&str] = &["recipient", "sender", "header-recipient", "header-sender"];
    let rules = Canonical::open(asked.setup).map_err(no_rules)?;
    let role = asked.role(ROLES)?;
    let (side, own) = match role.ends_with("sender") {
        true => (Side::Sender, "sender_canonical_maps"),
        false => (Side::Recipient, "recipient_canonical_maps"),
    };
    let place = match role.starts_with("header") {
        true => Place::Header,
        false => Place::Envelope,
    };
    let address = asked.completed()?;
    let mut trace = Recorder::default();
    let mapped = rules.map(side, place, &address, &mut trace);
    let end = mapped
        .map(|mapped| has_found(&trace).then(|| vec![("address", address_text(&mapped).into())]));
    let questions = vec![("address", address_text(&address)), ("as", role.to_owned())];
    let mut lookup = Lookup::new(questions, &trace, end, "the address stays as it is");
    let subject = Subject::Address(&address);
    for parameter in [own, "canonical_maps"] {
        near::look_and_note(asked, &mut lookup, parameter, &subject)?;
        let value = asked.parameter(parameter)?;
        if !value.is_empty() && !lookup.asks(parameter) {
            let classes = parameter.replace("_maps", "_classes");
            let text = format!("{parameter} are not for {role}: see {classes}");
            lookup.notes.push(text);
        }
    }
    Ok(vec![lookup])
}

/// The address that other hosts see in place of another.
pub(super) fn generic(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let agent = asked.agent();
    let rules = Generic::open(agent, asked.setup).map_err(no_rules)?;
    let address = asked.completed()?;
    let mut trace = Recorder::default();
    let mapped = rules.map(&address, &mut trace);
    let end = mapped
        .map(|mapped| has_found(&trace).then(|| vec![("address", address_text(&mapped).into())]));
    let questions = vec![("address", address_text(&address))];
    let mut lookup = Lookup::new(questions, &trace, end, "the address stays as it is");
    if address.is_null() {
        let text = "the null address is not looked up";
        lookup.notes.push(text.to_owned());
    }
    let parameter = agent.parameter("generic_maps");
    let subject = Subject::Address(&address);
    near::look_and_note(asked, &mut lookup, &parameter, &subject)?;
    Ok(vec![lookup])
}

/// What a local user's name stands for. The domain of an address does not count.
pub(super) fn alias(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = Aliases::open(asked.setup).map_err(no_rules)?;
    let address = asked.address();
    let (local, domain) = address.parts();
    let mut trace = Recorder::default();
    let found = rules.find(local, &mut trace);
    let end = match found {
        Ok(Some(alias)) => rules.owner(&alias.name, &mut trace).map(|owner| {
            let mut fields = vec![
                ("name", escaped(&alias.name).into()),
                ("value", escaped(&alias.value).into()),
            ];
            if !alias.extension.is_empty() {
                fields.push(("extension", escaped(&alias.extension).into()));
            }
            fields.extend(owner.map(|owner| ("owner", escaped(&owner).into())));
            Some(fields)
        }),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let questions = vec![("name", escaped(local))];
    let nothing = "the name is no alias, but perhaps a user of the system";
    let mut lookup = Lookup::new(questions, &trace, end, nothing);
    if domain.is_some() {
        let text = "aliases are for the local part alone; this assumes that the domain is local";
        lookup.notes.push(text.to_owned());
    }
    near::look_and_note(asked, &mut lookup, "alias_maps", &Subject::Alias(&address))?;
    Ok(vec![lookup])
}

/// Who gets a copy of mail from a sender or for a recipient.
pub(super) fn bcc(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = BlindCopies::open(asked.setup).map_err(no_rules)?;
    let role = asked.role(&["recipient", "sender"])?;
    let address = asked.completed()?;
    let mut trace = Recorder::default();
    let found = match role {
        "sender" => rules.of_sender(&address, &mut trace),
        _ => rules.of_recipient(&address, &mut trace),
    };
    let end = found.map(|copy| copy.map(|copy| vec![("copy to", address_text(&copy).into())]));
    let parameter = format!("{role}_bcc_maps");
    one_address(
        asked,
        ("no copy is made", role),
        &parameter,
        &address,
        &trace,
        end,
    )
}

/// Who may use a sender.
pub(super) fn login(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = SenderLogins::open(asked.setup).map_err(no_rules)?;
    let sender = asked.completed()?;
    let mut trace = Recorder::default();
    let end = rules.owners(&sender, &mut trace).map(|owners| {
        let owners = owners?;
        let names: Vec<Value> = owners.iter().map(|name| escaped(name).into()).collect();
        Some(vec![("logins", names.into())])
    });
    let parameter = "smtpd_sender_login_maps";
    one_address(
        asked,
        ("nobody owns the sender", "sender"),
        parameter,
        &sender,
        &trace,
        end,
    )
}

/// Where the mailbox of a virtual recipient is.
pub(super) fn mailbox(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    let rules = VirtualMailboxes::open(asked.setup).map_err(no_rules)?;
    let recipient = asked.completed()?;
    let mut trace = Recorder::default();
    let end = rules
        .path(&recipient, &mut trace)
        .map(|path| path.map(|path| vec![("path", escaped(&path).into())]));
    let parameter = "virtual_mailbox_maps";
    let words = ("the recipient has no mailbox", "recipient");
    one_address(asked, words, parameter, &recipient, &trace, end)
}

/// The user id that the mailbox of a virtual recipient belongs to.
pub(super) fn uid(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    id(asked, "uid", "virtual_uid_maps", VirtualMailboxes::uid)
}

/// The group id that the mailbox of a virtual recipient belongs to.
pub(super) fn gid(asked: &mut Asked<'_, '_>) -> Result<Vec<Lookup>, Fatal> {
    id(asked, "gid", "virtual_gid_maps", VirtualMailboxes::gid)
}

type FindId = fn(&VirtualMailboxes, &Internal<'_>, &mut dyn Trace) -> crate::Result<Option<u32>>;

fn id(
    asked: &mut Asked<'_, '_>,
    name: &'static str,
    parameter: &str,
    find: FindId,
) -> Result<Vec<Lookup>, Fatal> {
    let rules = VirtualMailboxes::open(asked.setup).map_err(no_rules)?;
    let recipient = asked.completed()?;
    let mut trace = Recorder::default();
    let end = find(&rules, &recipient, &mut trace)
        .map(|id| id.map(|id| vec![(name, id.to_string().into())]));
    let words = ("nobody is known as the owner of the mailbox", "recipient");
    one_address(asked, words, parameter, &recipient, &trace, end)
}

/// A lookup of one address in one parameter. `words` are what follows from finding nothing, and what
/// the address is.
fn one_address(
    asked: &mut Asked<'_, '_>,
    words: (&str, &'static str),
    parameter: &str,
    address: &Internal<'_>,
    trace: &Recorder,
    end: crate::Result<Option<Vec<(&'static str, Value)>>>,
) -> Result<Vec<Lookup>, Fatal> {
    let (nothing, role) = words;
    let questions = vec![(role, address_text(address))];
    let mut lookup = Lookup::new(questions, trace, end, nothing);
    near::look_and_note(asked, &mut lookup, parameter, &Subject::Address(address))?;
    Ok(vec![lookup])
}

/// Whether any table had anything.
fn has_found(trace: &Recorder) -> bool {
    trace.steps().iter().any(|step| match step {
        Step::Key { answers, .. } => answers
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Found(_))),
        Step::List { .. } => false,
    })
}
