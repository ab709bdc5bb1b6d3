//! Files as such: how a table's bytes are fetched, locked and replaced. Nothing here knows a
//! table format.
//!
//! * [`store`]: a table's bytes, in memory, by positioned reads or mapped
//! * [`lock`]: `flock` and whole-file record locks as guards, and locking the file a name stands for
//! * [`WriteAt`], [`UpdateAt`]: where a file in the making, or an update, is written to
//! * [`replace`]: write a new table beside the old one and rename, so that readers see old or new
//! * [`staging`]: the same under the fixed name that writers of cdb tables lock
//! * [`in_place`]: change a file that somebody holds the lock of
//! * [`signals`]: hold back the signals that would end the process half-way
//! * [`privilege`]: act as the owner of a source file
//! * `content`: a file's content in memory
//! * `scratch`: a file without a name for what does not fit into memory, and `memory`: how much fits
//! * `overlap`: work out a file on one thread while another one writes it
//! * `sync_ahead`: send to the disk what is written while more is
//! * `temporary`: the file beside a table that the next one is written in
//! * `open`: open without blocking, refuse what is not a regular file

pub(crate) mod content;
pub mod in_place;
pub mod lock;
pub(crate) mod memory;
pub(crate) mod open;
pub(crate) mod overlap;
pub mod privilege;
pub mod replace;
pub(crate) mod scratch;
pub mod signals;
pub mod staging;
pub mod store;
mod sync_ahead;
mod temporary;
mod write_at;

pub use write_at::{UpdateAt, WriteAt};

#[cfg(test)]
pub(crate) mod testing;
