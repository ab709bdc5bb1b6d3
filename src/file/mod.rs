//! table format.
//!
//! * [`store`]: a table's bytes, in memory, by positioned reads or mapped
//! * [`lock`]: `flock` and whole-file record locks as guards, and locking the file a name stands for
//! * `open`: open without blocking, refuse what is not a regular file

pub mod lock;
mod open;
pub mod store;

#[cfg(test)]
mod testing;
