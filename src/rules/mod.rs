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
//! | [`local`] | which domains are this machine |
//! | [`search`] | from an address to its keys, and to what is found |
//! | [`complete`] | a domain for addresses without one |
//! | [`setup`] | from main.cf to all of these |
//! | [`trace`] | which keys were tried, where, and what came of it |
//!
//! On them stands one file per feature:
//!
//! | file | parameters |
//! |---|---|
//! | [`nexthop`] | destinations of the SMTP client: hosts, brackets, ports |
//! | [`rewrite`] | `virtual_alias_maps`, canonical maps, `smtp_generic_maps` |
//!
//! Keys are made without any table; lookups have three answers: found, not found, and `Err`, could
//! not tell, which ends the search: mail has to wait. Nothing is global, everything takes `&self`
//! and can be shared between threads.

pub mod address;
pub mod address_list;
pub mod complete;
pub mod host;
pub mod local;
pub mod match_list;
pub mod nexthop;
pub mod parent_domain;
pub mod rewrite;
pub mod search;
pub mod setup;
pub mod suffix;
pub mod tables;
pub mod trace;

#[cfg(test)]
mod testing;
