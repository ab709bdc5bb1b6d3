//! Postfix's lookup tables, without Postfix and without Berkeley DB.

pub mod bdb;
pub mod entries;
pub mod config;
pub mod error;
pub mod file;
pub mod key;
pub mod source;
pub mod wire;

pub use error::{Error, ErrorKind, Result};
