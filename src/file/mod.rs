//! table format.
//!
//! * [`store`]: a table's bytes, in memory, by positioned reads or mapped
//! * [`lock`]: `flock` and whole-file record locks as guards, and locking the file a name stands for
//! * [`WriteAt`]: where a file in the making is written to
//! * `open`: open without blocking, refuse what is not a regular file

pub mod lock;
mod open;
pub mod store;
mod write_at;

pub use write_at::WriteAt;

#[cfg(test)]
mod testing;
