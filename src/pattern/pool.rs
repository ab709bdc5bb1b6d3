//! Memory that lookups write to, kept for the next one.

use std::sync::{Mutex, PoisonError};

/// Hands out things and takes them back, for any number of threads at a time.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Pool {
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs `work` with a thing from the pool, or a new one when all are in use.
    pub(super) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let lock = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut thing = idle.unwrap_or_else(make);
        let result = work(&mut thing);
        lock().push(thing);
        result
    }
}
