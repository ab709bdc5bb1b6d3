//! For mail servers: from main.cf to routes and credentials in a few lines.
//!
//! | file | job |
//! |---|---|
//! | [`settings`] | what both are made from: main.cf, single parameters, tables of one's own |
//! | [`router`] | [`Router`]: sender and recipient to transport, nexthop and class |
//! | [`passwords`] | [`SaslPasswords`]: server to user name and password |
//! | `live` | both follow main.cf, their tables' files and files in lists |
//! | `own_addresses` | the addresses of this machine |
//!
//! ```no_run
//! use rpostmap::rules::nexthop::{Agent, Place};
//! use rpostmap::{Router, SaslPasswords};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::from_main_cf("/etc/postfix")?;
//! let passwords = SaslPasswords::from_main_cf("/etc/postfix")?;
//!
//! let route = router.route("ann@corp.example", "bob@example.org")?;
//! for destination in router.destinations(Agent::Smtp, &route.nexthop)? {
//!     if let Place::Host { host, port, .. } = &destination.place {
//!         println!("connect to {} port {port}", host.escape_ascii());
//!         if let Some(login) = passwords.lookup("ann@corp.example", &destination, host)? {
//!             println!("log in as {}", login.username().escape_ascii());
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Both take `&self`, can be shared between threads, and keep nothing outside themselves. A lookup
//! reads memory; once in an interval one of them looks whether files have changed, and reads those
//! that have. In an asynchronous server that is what `spawn_blocking` is for, or a thread that calls
//! [`Router::refresh`] with an interval of [`Duration::MAX`](std::time::Duration::MAX) in
//! [`Settings::reload_interval`].

mod live;
mod own_addresses;
pub mod passwords;
pub mod router;
pub mod settings;

pub use passwords::SaslPasswords;
pub use router::{RouteError, Router, Verdict};
pub use settings::Settings;

#[cfg(test)]
mod tests;
