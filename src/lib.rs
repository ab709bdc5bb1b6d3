//! Postfix's lookup tables, without Postfix and without Berkeley DB.

pub mod bdb;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod entries;
pub mod error;
pub mod file;
pub mod key;
pub mod source;
pub mod table;
pub mod wire;

pub use error::{Error, ErrorKind, Result};
