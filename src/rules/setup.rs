//! From main.cf to rules: what their constructors read parameters, tables and lists with.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::key::Fold;
use crate::rules::address::Extensions;
use crate::rules::host;
use crate::rules::local::LocalDomains;
use crate::rules::match_list::{ListSource, MatchList};
use crate::rules::parent_domain::ParentDomains;
use crate::rules::search::AddressRules;
use crate::rules::suffix::Style;
use crate::rules::tables::{ListOptions, TableList, TableSet, items};
use crate::table::{Notice, OpenOptions, Table};

/// Reads the parameters of rules and opens their tables, each table once.
///
/// ```
/// use rpostmap::config::Config;
/// use rpostmap::rules::setup::Setup;
/// use rpostmap::rules::trace::{NoTrace, Scope};
///
/// let mut config = Config::default();
/// config.set("transport_maps", "static:smtp:[gw.example]");
/// let mut warn = |warning: Vec<u8>| eprintln!("{}", warning.escape_ascii());
/// let mut setup = Setup::new(&config, &mut warn)?;
/// let list = setup.tables("transport_maps")?;
/// let found = list.find(b"ann@example.com", Scope::All, &mut NoTrace)?;
/// assert_eq!(found.as_deref(), Some(&b"smtp:[gw.example]"[..]));
/// # Ok::<(), rpostmap::Error>(())
/// ```
pub struct Setup<'c> {
    config: &'c Config,
    warn: &'c mut dyn FnMut(Vec<u8>),
    tables: TableSet,
    fold: Fold,
    utf8: bool,
    own_addresses: Vec<IpAddr>,
    shared: Option<Shared>,
}

/// What most rules need, made once.
#[derive(Clone)]
struct Shared {
    parents: Arc<ParentDomains>,
    addresses: Arc<AddressRules>,
}

impl<'c> Setup<'c> {
    /// Reads from `config`; `warn` hears what is odd about values, lists and tables.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be told whether UTF-8 support is on.
    pub fn new(config: &'c Config, warn: &'c mut dyn FnMut(Vec<u8>)) -> Result<Setup<'c>> {
        let utf8 = config.smtputf8_enable(warn)?;
        let fold = if utf8 { Fold::Unicode } else { Fold::Ascii };
        let options = OpenOptions {
            fold,
            utf8,
            ..OpenOptions::default()
        };
        Ok(Setup {
            config,
            warn,
            tables: TableSet::new(options),
            fold,
            utf8,
            own_addresses: Vec::new(),
            shared: None,
        })
    }

    /// Takes the tables and files that are open in `tables` from there.
    pub(crate) fn reuse(&mut self, tables: TableSet) {
        self.tables.reuse(tables);
        self.shared = None;
    }

    /// Says that `spec` is this table in each parameter; see [`TableSet::give`].
    pub fn give(&mut self, spec: &str, table: Arc<dyn Table>) {
        self.tables.give(spec, table);
        self.shared = None;
    }

    /// Says which addresses this machine has, for `inet_interfaces = all` and for names there.
    /// Nothing here asks the system for them.
    pub fn set_own_addresses(&mut self, addresses: Vec<IpAddr>) {
        self.own_addresses = addresses;
        self.shared = None;
    }

    /// Whether UTF-8 support is on.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// How texts are folded.
    pub fn fold(&self) -> Fold {
        self.fold
    }

    /// All tables that were opened up to now.
    pub fn opened(&self) -> &TableSet {
        &self.tables
    }

    /// The expanded value of a parameter.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be expanded.
    pub fn text(&mut self, name: &str) -> Result<Vec<u8>> {
        self.config.text(name, self.warn)
    }

    /// A parameter that is yes or no.
    ///
    /// # Errors
    ///
    /// `Config` when it is neither.
    pub fn boolean(&mut self, name: &str) -> Result<bool> {
        self.config.boolean(name, self.warn)
    }

    /// A parameter that is a number.
    ///
    /// # Errors
    ///
    /// `Config` when it is not.
    pub fn number(&mut self, name: &str) -> Result<usize> {
        self.config.number(name, self.warn)
    }

    /// Whether the list in the parameter `name` has `word`, in any case.
    ///
    /// # Errors
    ///
    /// `Config` when the parameter cannot be expanded.
    pub fn lists(&mut self, name: &str, word: &str) -> Result<bool> {
        let text = self.text(name)?;
        Ok(items(&text).any(|item| item.eq_ignore_ascii_case(word.as_bytes())))
    }

    /// The tables in a parameter, with folded keys.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be expanded. A table that cannot be opened is no error yet; see
    /// [`TableSet::open`].
    pub fn tables(&mut self, name: &str) -> Result<TableList> {
        self.tables_with(name, ListOptions::PLAIN)
    }

    /// The tables in a parameter, opened as `options` say.
    ///
    /// # Errors
    ///
    /// As [`Setup::tables`].
    pub fn tables_with(&mut self, name: &str, options: ListOptions) -> Result<TableList> {
        let text = self.text(name)?;
        Ok(self.tables_in(name, &text, options))
    }

    /// The tables in `text`, which traces call `name`.
    pub fn tables_in(&mut self, name: &str, text: &[u8], options: ListOptions) -> TableList {
        let warn = &mut *self.warn;
        let mut notify = |notice: Notice| warn(notice.message());
        TableList::parse(name, text, options, &mut self.tables, &mut notify)
    }

    /// The match list in a parameter. Its style is that of the parameter.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be expanded or understood.
    pub fn match_list(&mut self, name: &str) -> Result<MatchList> {
        let style = self.style(name)?;
        self.match_list_in_style(name, style)
    }

    fn match_list_in_style(&mut self, name: &str, style: Style) -> Result<MatchList> {
        let text = self.text(name)?;
        let mut source = ListSource {
            tables: &mut self.tables,
            fold: self.fold,
            warn: &mut *self.warn,
        };
        MatchList::parse(name, &text, style, &mut source)
    }

    /// How domains stand for their subdomains in `feature`; see [`ParentDomains::style`].
    ///
    /// # Errors
    ///
    /// `Config` when `parent_domain_matches_subdomains` cannot be understood, and errors of tables
    /// in it.
    pub fn style(&mut self, feature: &str) -> Result<Style> {
        self.shared()?.parents.style(feature)
    }

    /// What most rules need to know about addresses.
    ///
    /// # Errors
    ///
    /// `Config` when one of the parameters for it cannot be expanded or understood.
    pub fn addresses(&mut self) -> Result<Arc<AddressRules>> {
        Ok(self.shared()?.addresses)
    }

    fn shared(&mut self) -> Result<Shared> {
        if let Some(shared) = &self.shared {
            return Ok(shared.clone());
        }
        // Lists of texts: the style does not matter.
        let parents = self.match_list_in_style("parent_domain_matches_subdomains", Style::Dot)?;
        let destinations = self.match_list_in_style("mydestination", Style::Dot)?;
        let origin = self.text("myorigin")?;
        let shared = Shared {
            parents: Arc::new(ParentDomains::new(parents)),
            addresses: Arc::new(AddressRules {
                extensions: Extensions::new(
                    &self.text("recipient_delimiter")?,
                    self.boolean("owner_request_special")?,
                    &self.text("double_bounce_sender")?,
                ),
                local: LocalDomains::new(destinations, self.interfaces()?, &origin),
            }),
        };
        self.shared = Some(shared.clone());
        Ok(shared)
    }

    /// The addresses in `inet_interfaces` and `proxy_interfaces`.
    fn interfaces(&mut self) -> Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        let names = [
            self.text("inet_interfaces")?,
            self.text("proxy_interfaces")?,
        ];
        for item in names.iter().flat_map(|text| items(text)) {
            let inside = item
                .strip_prefix(b"[")
                .and_then(|item| item.strip_suffix(b"]"));
            if item.eq_ignore_ascii_case(b"loopback-only") {
                found.extend([
                    IpAddr::from([127, 0, 0, 1]),
                    IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
                ]);
            } else if let Some(address) = host::address(inside.unwrap_or(item)) {
                found.push(address);
            } else {
                // `all`, or the name of a host that this machine is.
                found.extend_from_slice(&self.own_addresses);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::trace::NoTrace;

    #[test]
    fn interfaces_are_addresses_or_those_of_the_machine() {
        let own: IpAddr = "198.51.100.1".parse().unwrap();
        for (inet, proxy, literals) in [
            (
                "192.0.2.25, [2001:db8::25]",
                "",
                &["[192.0.2.25]", "[IPv6:2001:db8::25]"][..],
            ),
            ("all", "203.0.113.1", &["[198.51.100.1]", "[203.0.113.1]"]),
            ("loopback-only", "", &["[127.0.0.1]", "[IPv6:::1]"]),
        ] {
            let mut config = Config::default();
            config.set("inet_interfaces", inet);
            config.set("proxy_interfaces", proxy);
            let mut warn = |_| {};
            let mut setup = Setup::new(&config, &mut warn).unwrap();
            setup.set_own_addresses(vec![own]);
            let addresses = setup.addresses().unwrap();
            let all = [
                "[192.0.2.25]",
                "[IPv6:2001:db8::25]",
                "[198.51.100.1]",
                "[203.0.113.1]",
                "[127.0.0.1]",
                "[IPv6:::1]",
            ];
            for literal in all {
                let local = addresses.local.is_local(literal.as_bytes(), &mut NoTrace);
                assert_eq!(
                    local.unwrap(),
                    literals.contains(&literal),
                    "{inet} {literal}"
                );
            }
        }
    }

    #[test]
    fn features_have_their_style() {
        let mut config = Config::default();
        for (listed, transport, access) in [
            (None, Style::Dot, Style::Parent),
            (Some(""), Style::Dot, Style::Dot),
            (Some("Transport_Maps"), Style::Parent, Style::Dot),
        ] {
            if let Some(listed) = listed {
                config.set("parent_domain_matches_subdomains", listed);
            }
            let mut warn = |_| {};
            let mut setup = Setup::new(&config, &mut warn).unwrap();
            assert_eq!(setup.style("transport_maps").unwrap(), transport);
            assert_eq!(setup.style("smtpd_access_maps").unwrap(), access);
        }
    }
}
