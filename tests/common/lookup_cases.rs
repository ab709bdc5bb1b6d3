//! Runs cases of lookup rules: `tests/corpus/lookup/README.md` says what is in them.
//!
//! Shared by the test of the recorded cases and the example `lookup_cases`, so it depends on
//! nothing but the library.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rpostmap::config::Config;
use rpostmap::entries::OnDuplicate;
use rpostmap::key::{Fold, NulPolicy};
use rpostmap::rules::access::{AccessRules, AccessTable};
use rpostmap::rules::address::Internal;
use rpostmap::rules::alias::Aliases;
use rpostmap::rules::bcc::BlindCopies;
use rpostmap::rules::complete::Completion;
use rpostmap::rules::mailbox::VirtualMailboxes;
use rpostmap::rules::nexthop::{Agent, Destination, Nexthops, Place, Services};
use rpostmap::rules::resolve::{Resolution, Resolver, Route};
use rpostmap::rules::rewrite::{Canonical, Generic, Place as MailPart, Side, VirtualAliases};
use rpostmap::rules::sasl_password::{Credentials, SaslPasswords, Server};
use rpostmap::rules::setup::Setup;
use rpostmap::rules::tls_policy::TlsPolicies;
use rpostmap::rules::trace::{Recorder, Step};
use rpostmap::source::{AliasSource, MapSource};
use rpostmap::table::{Source, TableType};
use rpostmap::{CompileOptions, ErrorKind, compile};
use serde_json::{Map, Value, json};

/// What all cases have in main.cf unless they say otherwise.
const BASE: &[(&str, &str)] = &[
    ("myhostname", "mail.corp.example"),
    ("mydomain", "corp.example"),
    ("myorigin", "$myhostname"),
    (
        "mydestination",
        "$myhostname, localhost.$mydomain, localhost",
    ),
    ("inet_interfaces", "192.0.2.25, 2001:db8::25"),
    ("proxy_interfaces", ""),
    ("recipient_delimiter", ""),
    ("relay_domains", ""),
    ("append_dot_mydomain", "no"),
    ("smtputf8_enable", "yes"),
];

/// What came of a case.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// As `expect.result` of a case.
    pub(crate) result: Value,
    /// As `expect.keys` of a case; empty if no key was looked up.
    pub(crate) keys: Value,
}

/// Runs `case` with its files in `dir`, which exists and is empty.
///
/// # Errors
///
/// What cannot be run, and why: a table type that is not supported, a case that is not understood.
pub(crate) fn run(case: &Value, dir: &Path) -> Result<Outcome, String> {
    let case = Case::new(case, dir)?;
    case.build_tables()?;
    let config = case.config()?;
    let mut warn = |_| {};
    let mut setup = Setup::new(&config, &mut warn).map_err(|error| error.to_string())?;
    let mut trace = Recorder::default();
    let result = case.result(&config, &mut setup, &mut trace);
    let unsupported = setup.opened().tables().find_map(|table| {
        let error = table.open_error()?;
        matches!(error.kind(), ErrorKind::Unsupported { .. }).then(|| error.to_string())
    });
    match unsupported {
        Some(error) => Err(error),
        None => Ok(Outcome {
            result: result?,
            keys: case.keys(&trace),
        }),
    }
}

struct Case<'c> {
    case: &'c Value,
    dir: &'c Path,
    /// Parameters as they are in the case, files by their paths.
    params: BTreeMap<String, String>,
    agent: Agent,
}

impl<'c> Case<'c> {
    fn new(case: &'c Value, dir: &'c Path) -> Result<Self, String> {
        let mut new = Case {
            case,
            dir,
            params: BTreeMap::new(),
            agent: match case["agent"].as_str() {
                None | Some("smtp") => Agent::Smtp,
                Some("lmtp") => Agent::Lmtp,
                Some(other) => return Err(format!("unknown agent {other}")),
            },
        };
        for (name, value) in members(&case["params"]) {
            let value = value.as_str().ok_or("a parameter is not a string")?;
            new.params.insert(name.clone(), new.with_paths(value));
        }
        Ok(new)
    }

    /// The path of the file `name`, whether there is one or not.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `value` with the paths of files for `%{name}`.
    fn with_paths(&self, value: &str) -> String {
        let mut text = String::new();
        let mut rest = value;
        while let Some((before, name, behind)) = file_reference(rest) {
            text.push_str(before);
            text.push_str(&self.path(name).display().to_string());
            rest = behind;
        }
        text + rest
    }

    /// Writes the files, and the tables that are made of them.
    fn build_tables(&self) -> Result<(), String> {
        for (name, text) in members(&self.case["files"]) {
            let text = text.as_str().ok_or("a file is not a string")?;
            fs::write(self.path(name), text).map_err(|error| error.to_string())?;
        }
        for (_, value) in members(&self.case["params"]) {
            let mut rest = value.as_str().unwrap_or_default();
            while let Some((before, name, behind)) = file_reference(rest) {
                rest = behind;
                let Some(before) = before.strip_suffix(':') else {
                    continue;
                };
                let is_type = |c: char| c.is_ascii_alphanumeric();
                let type_name = before.rsplit(|c| !is_type(c)).next().unwrap_or_default();
                self.build_table(type_name, name)?;
            }
        }
        Ok(())
    }

    fn build_table(&self, type_name: &str, name: &str) -> Result<(), String> {
        // What is not known fails when it is opened.
        let format = TableType::find(OsStr::new(type_name))
            .ok()
            .and_then(TableType::format);
        let (Some(format), Some(text)) = (format, self.case["files"][name].as_str()) else {
            return Ok(());
        };
        let mut options = CompileOptions::default();
        let flags = self.case["postmap_flags"][name]
            .as_str()
            .unwrap_or_default();
        for flag in flags.chars().filter(|flag| !matches!(flag, '-' | ' ')) {
            match flag {
                'f' => options.fold = Fold::None,
                'N' => options.nul = NulPolicy::With,
                'n' => options.nul = NulPolicy::Without,
                'r' => options.on_duplicate = OnDuplicate::KeepLast,
                'w' | 'o' | 'p' => {}
                other => return Err(format!("unknown flag -{other} for postmap")),
            }
        }
        let mut path = self.path(name).into_os_string();
        path.push(format.suffix());
        let source_path = self.path(name).with_extension("source");
        fs::write(&source_path, text).map_err(|error| error.to_string())?;
        let file = File::open(&source_path).map_err(|error| error.to_string())?;
        let path = Path::new(&path);
        let made = match self.feature() {
            "alias" => {
                let entries = AliasSource::new(&source_path, file, true);
                compile(format, path, || Ok(source(entries)), &options, &mut |_| {})
            }
            _ => {
                let entries = MapSource::new(&source_path, file, true);
                compile(format, path, || Ok(source(entries)), &options, &mut |_| {})
            }
        };
        made.map_err(|error| format!("cannot make {type_name}:{name}: {error}"))?;
        Ok(())
    }

    fn feature(&self) -> &str {
        self.case["feature"].as_str().unwrap_or_default()
    }

    fn query(&self, name: &str) -> &str {
        self.case["query"][name].as_str().unwrap_or_default()
    }

    fn address(&self, name: &str) -> Internal<'_> {
        Internal::from(self.query(name))
    }

    /// Parameters of the SMTP client are also those of the LMTP client if that is what runs.
    fn lmtp_name(&self, name: &str) -> Option<String> {
        let rest = name
            .strip_prefix("smtp_")
            .filter(|_| self.agent == Agent::Lmtp)?;
        let lmtp = format!("lmtp_{rest}");
        (!self.params.contains_key(&lmtp)).then_some(lmtp)
    }

    fn config(&self) -> Result<Config, String> {
        let mut config = Config::default();
        for (name, value) in BASE {
            config.set(name, value);
        }
        for (name, value) in &self.params {
            config.set(name, value);
            if let Some(lmtp) = self.lmtp_name(name) {
                config.set(&lmtp, value);
            }
        }
        Ok(config)
    }

    /// The keys per parameter, named as in the case.
    fn keys(&self, trace: &Recorder) -> Value {
        let mut keys = Map::new();
        for step in trace.steps() {
            let Step::Key {
                parameter,
                scope,
                key,
                ..
            } = step
            else {
                continue;
            };
            let as_smtp = parameter
                .strip_prefix("lmtp_")
                .map(|rest| format!("smtp_{rest}"));
            let name = match as_smtp {
                Some(smtp) if self.params.contains_key(&smtp) => smtp,
                _ => parameter.clone(),
            };
            let list = keys.entry(name).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(json!([scope.name(), text(key)]));
            }
        }
        keys.into()
    }

    fn result(
        &self,
        config: &Config,
        setup: &mut Setup<'_>,
        trace: &mut Recorder,
    ) -> Result<Value, String> {
        let result = match self.feature() {
            "resolve" => self.resolve(setup, trace),
            "destination" => return Ok(self.destination(&self.nexthops(config)?)),
            "sasl" => self.sasl(&self.nexthops(config)?, setup, trace),
            "route_auth" => self.route_auth(&self.nexthops(config)?, setup, trace),
            "virtual" => self.expand(setup, trace),
            "canonical" => self.canonical(setup, trace),
            "generic" => self.generic(setup, trace),
            "bcc" => self.bcc(setup, trace),
            "access" => self.access(setup, trace),
            "alias" => self.alias(setup, trace),
            "virtual_mailbox" => self.virtual_mailbox(setup, trace),
            "tls_policy" => self.tls_policy(&self.nexthops(config)?, setup, trace),
            "match_addr" => self.match_addr(setup, trace),
            other => return Err(format!("unknown feature {other}")),
        };
        // Whatever could not be told is to be tried again; a configuration that cannot be
        // understood stops the original's process, with the same effect.
        Ok(result.unwrap_or_else(|_| status("tempfail")))
    }

    fn nexthops(&self, config: &Config) -> Result<Nexthops, String> {
        let mut warn = |_| {};
        let services = Services::from_config(config, &mut warn);
        let mut services = services.map_err(|error| error.to_string())?;
        services.add_system(&fs::read("/etc/services").unwrap_or_default());
        Nexthops::from_config(self.agent, services, config, &mut warn)
            .map_err(|error| error.to_string())
    }

    fn resolve(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        Ok(match self.route(setup, trace)? {
            Resolution::Invalid => status("invalid"),
            Resolution::Route(route) => json!({
                "status": "ok",
                "transport": text(&route.transport),
                "nexthop": text(&route.nexthop),
                "recipient": text(route.recipient.as_bytes()),
                "class": route.class.name(),
            }),
        })
    }

    fn route(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Resolution> {
        let resolver = Resolver::open(setup)?;
        resolver.resolve(&self.address("sender"), &self.address("recipient"), trace)
    }

    fn destination(&self, nexthops: &Nexthops) -> Value {
        match nexthops.parse(self.query("nexthop").as_bytes()) {
            Err(error) => json!({"status": "error", "error": error.name()}),
            Ok(found) => {
                let destinations: Vec<_> = found.iter().map(shown).collect();
                json!({"status": "ok", "destinations": destinations})
            }
        }
    }

    fn sasl(
        &self,
        nexthops: &Nexthops,
        setup: &mut Setup<'_>,
        trace: &mut Recorder,
    ) -> rpostmap::Result<Value> {
        let found = self.credentials(self.query("nexthop").as_bytes(), nexthops, setup, trace)?;
        Ok(shown_credentials(found.as_ref()))
    }

    fn route_auth(
        &self,
        nexthops: &Nexthops,
        setup: &mut Setup<'_>,
        trace: &mut Recorder,
    ) -> rpostmap::Result<Value> {
        let Resolution::Route(Route { nexthop, .. }) = self.route(setup, trace)? else {
            return Ok(status("invalid"));
        };
        let found = self.credentials(&nexthop, nexthops, setup, trace);
        let mut result = match found {
            Ok(found) => shown_credentials(found.as_ref()),
            Err(_) => status("tempfail"),
        };
        result["nexthop"] = text(&nexthop).into();
        Ok(result)
    }

    /// The address `name` of the query, with a domain.
    fn completed(&self, name: &str, setup: &mut Setup<'_>) -> rpostmap::Result<Internal<'static>> {
        let completion = Completion::open(setup)?;
        Ok(match name {
            "recipient" => completion.complete_recipient(&self.address(name)),
            _ => completion.complete(&self.address(name).quote()),
        })
    }

    fn expand(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let recipient = self.completed("recipient", setup)?;
        let found = VirtualAliases::open(setup)?.expand(&recipient, trace)?;
        let recipients: Vec<_> = found.iter().map(|found| text(found.as_bytes())).collect();
        Ok(json!({"status": "ok", "recipients": recipients}))
    }

    fn canonical(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let (side, name) = match self.case["query"].get("sender") {
            Some(_) => (Side::Sender, "sender"),
            None => (Side::Recipient, "recipient"),
        };
        let address = self.completed(name, setup)?;
        let found = Canonical::open(setup)?.map(side, MailPart::Envelope, &address, trace)?;
        Ok(json!({"status": "ok", "address": text(found.as_bytes())}))
    }

    fn generic(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let address = self.completed("sender", setup)?;
        let found = Generic::open(self.agent, setup)?.map(&address, trace)?;
        Ok(json!({"status": "ok", "address": text(found.as_bytes())}))
    }

    fn bcc(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let sender = self.completed("sender", setup)?;
        let recipient = self.completed("recipient", setup)?;
        let copies = BlindCopies::open(setup)?;
        let of_sender = copies.of_sender(&sender, trace)?;
        let of_recipient = match self.case["query"].get("recipient") {
            Some(_) => copies.of_recipient(&recipient, trace)?,
            None => None,
        };
        // Who gets the message already gets no copy.
        let mut known = vec![recipient];
        let mut added = Vec::new();
        for copy in [of_sender, of_recipient].into_iter().flatten() {
            let is_copy =
                |known: &Internal<'_>| known.as_bytes().eq_ignore_ascii_case(copy.as_bytes());
            if !known.iter().any(is_copy) {
                added.push(text(copy.as_bytes()));
                known.push(copy);
            }
        }
        Ok(json!({"status": "ok", "added": added}))
    }

    fn access(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let rules = Arc::new(AccessRules::open(setup)?);
        let spec = self.params.get("access_table").cloned().unwrap_or_default();
        let table = AccessTable::open("access_table", spec.as_bytes(), rules, setup);
        let of = |name| self.query(name).as_bytes();
        let found = match self.query("kind") {
            "client" => table.client(of("name"), of("addr"), trace),
            "helo" => table.host_name(of("helo"), trace),
            "sender" => table.sender(&self.address("sender"), trace),
            _ => table.recipient(&self.address("recipient"), trace),
        };
        Ok(found_value(found?.as_deref()))
    }

    fn alias(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let aliases = Aliases::open(setup)?;
        let found = aliases.find(self.query("localpart").as_bytes(), trace)?;
        Ok(found_value(found.as_ref().map(|found| &*found.value)))
    }

    fn virtual_mailbox(
        &self,
        setup: &mut Setup<'_>,
        trace: &mut Recorder,
    ) -> rpostmap::Result<Value> {
        let mailboxes = VirtualMailboxes::open(setup)?;
        let found = mailboxes.find(&self.address("recipient"), trace)?;
        Ok(found_value(found.as_deref()))
    }

    fn tls_policy(
        &self,
        nexthops: &Nexthops,
        setup: &mut Setup<'_>,
        trace: &mut Recorder,
    ) -> rpostmap::Result<Value> {
        let policies = TlsPolicies::open(self.agent, setup)?;
        let destination = first_destination(self.query("nexthop").as_bytes(), nexthops);
        let found = policies.policy(&destination, trace)?;
        Ok(found_value(
            found.map(|found| found.level.name().as_bytes()),
        ))
    }

    fn match_addr(&self, setup: &mut Setup<'_>, trace: &mut Recorder) -> rpostmap::Result<Value> {
        let list = setup.match_list("mynetworks")?;
        let of = |name| self.query(name).as_bytes();
        let matches = list.matches_client(of("name"), of("addr"), trace)?;
        Ok(json!({"status": "ok", "match": matches}))
    }

    /// The credentials for the first destination in `nexthop`, or for the one that is tried.
    fn credentials(
        &self,
        nexthop: &[u8],
        nexthops: &Nexthops,
        setup: &mut Setup<'_>,
        trace: &mut Recorder,
    ) -> rpostmap::Result<Option<Credentials>> {
        let passwords = SaslPasswords::open(self.agent, setup)?;
        let destination = match self.case["query"]["tried"].as_str() {
            Some(tried) => tried.as_bytes().to_vec(),
            None => first_destination(nexthop, nexthops),
        };
        let server = Server {
            sender: &self.address("sender"),
            host: self.query("host").as_bytes(),
            destination: &destination,
        };
        passwords.find(&server, trace)
    }
}

/// The text before the first `%{name}` in `text`, the name, and the text behind.
fn file_reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("%{")?;
    let (name, behind) = rest.split_once('}')?;
    Some((before, name, behind))
}

fn source<S>(entries: S) -> Source<S> {
    Source {
        entries,
        len: None,
        mode: 0o644,
    }
}

/// The text of the first destination in `nexthop`, or all of it if it is malformed.
fn first_destination(nexthop: &[u8], nexthops: &Nexthops) -> Vec<u8> {
    match nexthops.parse(nexthop) {
        Ok(found) => found
            .into_iter()
            .next()
            .map(|found| found.text)
            .unwrap_or_default(),
        Err(_) => nexthop.to_vec(),
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn status(status: &str) -> Value {
    json!({"status": status})
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn found_value(value: Option<&[u8]>) -> Value {
    match value {
        None => status("none"),
        Some(value) => json!({"status": "found", "value": text(value)}),
    }
}

fn shown(destination: &Destination) -> Value {
    match &destination.place {
        Place::Host {
            host,
            service,
            port,
            brackets,
        } => json!({
            "text": text(&destination.text),
            "host": text(host),
            "service": text(service),
            "port": port,
            "brackets": brackets,
        }),
        Place::Socket(path) => json!({"text": text(&destination.text), "socket": text(path)}),
    }
}

fn shown_credentials(found: Option<&Credentials>) -> Value {
    match found {
        None => status("none"),
        Some(found) => json!({
            "status": "ok",
            "username": text(found.username()),
            "password": text(found.password()),
        }),
    }
}
