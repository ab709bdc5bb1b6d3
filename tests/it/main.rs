//! Ours alone: the command as a user meets it, and the recorded cases of the original.

#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/lookup_cases.rs"]
mod lookup_cases;
#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../common/smtp_server.rs"]
mod smtp_server;

// The example programs, whose functions the tests call.
#[expect(dead_code, reason = "a program's `main`")]
#[path = "../../examples/access_check.rs"]
mod access_check;
#[expect(dead_code, reason = "a program's `main`")]
#[path = "../../examples/router.rs"]
mod router;
#[expect(dead_code, reason = "a program's `main`")]
#[path = "../../examples/submission_client.rs"]
mod submission_client;

#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../common/planted.rs"]
mod planted_files;

mod alloc;
mod at_once;
mod batches;
mod btree;
mod btree_updates;
mod cdb;
mod cdb_laws;
mod corpus;
mod corrupt;
mod damaged;
mod examples;
mod explain;
mod file_values;
mod fixtures;
mod formats;
mod full_disk;
mod json;
mod laws;
mod lmdb;
mod lmdb_cli;
mod lmdb_laws;
mod lmdb_planted;
#[cfg(feature = "lmdb")]
mod lmdb_writing;
mod lookup_corpus;
mod memory;
mod message;
mod messages;
mod model;
mod mta;
mod personalities;
mod planted;
mod progress;
mod read_only;
mod replace;
mod replay;
mod salvage;
mod salvage_laws;
mod stores;
mod streams;
mod texthash;
mod threads;
mod traps;
mod updates;
mod verbs;
mod verify;
