//! Ours next to the originals: postmap, and the Berkeley DB programs.
//!
//! Where an original is not installed its tests say so on standard error and pass; under CI=true
//! they fail.

#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../common/mod.rs"]
mod common;
mod oracle;
#[path = "../common/planted.rs"]
mod planted_files;
#[path = "../common/smtp_server.rs"]
mod smtp_server;

mod aliases;
mod cdb;
mod concurrent;
mod interleaved;
mod interrupted;
mod live;
mod lmdb_files;
#[cfg(feature = "lmdb")]
mod lmdb_writing;
mod message;
mod modes;
mod old_files;
mod password;
mod patterns;
mod same_sets;
mod stories;
mod tables;
mod traps;
mod verify;
mod virtual_tables;
