//! table format.
//!
//! * [`store`]: a table's bytes, in memory, by positioned reads or mapped
//! * [`lock`]: `flock` and whole-file record locks as guards, and locking the file a name stands for
//! * [`WriteAt`]: where a file in the making is written to
//! * [`signals`]: hold back the signals that would end the process half-way
//! * `open`: open without blocking, refuse what is not a regular file

pub mod lock;
mod open;
pub mod signals;
pub mod store;
mod write_at;

pub use write_at::WriteAt;

#[cfg(test)]
mod testing;
