//! Postfix's lookup rules: which keys are tried for an address, a host or a destination, in which
//! order, in which tables, and what the values mean. `docs/lookup-rules.md` has them all.
//!
//! | file | job |
//! |---|---|
//! | [`address`] | internal and external form, quotes, local part and domain, extensions |
//! | [`address_list`] | values that are several addresses |
//! | [`host`] | host names, addresses, `[literals]` |
//! | [`suffix`] | from a domain to its parents, in two styles |
//! | [`parent_domain`] | which feature has which style |
//! | [`tables`] | lists of tables, each table opened once |
//! | [`match_list`] | lists of texts, domains and networks |
//! | `list_file` | files in such lists |
//! | [`local`] | which domains are this machine |
//! | [`search`] | from an address to its keys, and to what is found |
//! | [`complete`] | a domain for addresses without one |
//! | [`recipient`] | a recipient before it is looked up |
//! | [`setup`] | from main.cf to all of these |
//! | [`trace`] | which keys were tried, where, and what came of it |
//!
//! On them stands one file per feature:
//!
//! | file | parameters |
//! |---|---|
//! | [`resolve`] | address classes, `relayhost`, sender-dependent maps: the whole route of a recipient |
//! | [`transport`] | `transport_maps` |
//! | [`relocated`] | `relocated_maps` |
//! | [`nexthop`] | destinations of the SMTP client: hosts, brackets, ports |
//! | [`sasl_password`] | `smtp_sasl_password_maps` |
//! | [`tls_policy`] | `smtp_tls_policy_maps` |
//! | [`rewrite`] | `virtual_alias_maps`, canonical maps, `smtp_generic_maps` |
//! | [`alias`] | `alias_maps` |
//! | [`access`] | access tables of the SMTP server |
//! | [`bcc`] | `sender_bcc_maps`, `recipient_bcc_maps` |
//! | [`known`] | whether a recipient exists |
//! | [`login`] | `smtpd_sender_login_maps`, `local_login_sender_maps` |
//! | [`mailbox`] | `virtual_mailbox_maps` |
//! | [`one_key`] | tables with a single key |
//!
//! Keys are made without any table; lookups have three answers: found, not found, and `Err`, could
//! not tell, which ends the search: mail has to wait. Nothing is global, everything takes `&self`
//! and can be shared between threads.
//!
//! ```
//! use rpostmap::config::Config;
//! use rpostmap::rules::address::Internal;
//! use rpostmap::rules::resolve::{Resolution, Resolver};
//! use rpostmap::rules::setup::Setup;
//! use rpostmap::rules::trace::{Recorder, Scope};
//!
//! let mut config = Config::default();
//! config.set("myhostname", "mail.corp.example");
//! config.set("relayhost", "[submission.example.org]:587");
//! config.set("transport_maps", "static:slow:");
//! let mut warn = |warning: Vec<u8>| eprintln!("{}", warning.escape_ascii());
//! let resolver = Resolver::open(&mut Setup::new(&config, &mut warn)?)?;
//!
//! let mut trace = Recorder::default();
//! let (sender, recipient) = (Internal::from(""), Internal::from("ann@shop.example"));
//! let Resolution::Route(route) = resolver.resolve(&sender, &recipient, &mut trace)? else {
//!     panic!("a valid recipient");
//! };
//! // `name:` resets the nexthop: relayhost is lost.
//! assert_eq!(route.nexthop, b"shop.example");
//! assert_eq!(trace.keys("transport_maps"), [(Scope::All, &b"ann@shop.example"[..])]);
//! # Ok::<(), rpostmap::Error>(())
//! ```

pub mod access;
pub mod address;
pub mod address_list;
pub mod alias;
pub mod bcc;
pub mod complete;
pub mod host;
pub mod known;
mod list_file;
pub mod local;
pub mod login;
pub mod mailbox;
pub mod match_list;
pub mod nexthop;
pub mod one_key;
pub mod parent_domain;
pub mod recipient;
pub mod relocated;
pub mod resolve;
pub mod rewrite;
pub mod sasl_password;
pub mod search;
pub mod setup;
pub mod suffix;
pub mod tables;
pub mod tls_policy;
pub mod trace;
pub mod transport;

#[cfg(test)]
mod testing;
