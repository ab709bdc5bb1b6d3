//! Ours alone: the command as a user meets it, and the recorded cases of the original.

#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../common/mod.rs"]
mod common;

mod corpus;
mod corrupt;
mod examples;
mod formats;
mod replace;
mod updates;
