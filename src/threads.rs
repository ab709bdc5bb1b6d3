//! Work on two threads, or on one where no second is to be had: a limit on processes is no reason
//! to fail.

use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

/// Does `here` on this thread and `there` on another one meanwhile, or afterwards on this one.
pub(crate) fn both<A, B: Send>(
    here: impl FnOnce() -> A,
    there: impl FnOnce() -> B + Send,
) -> (A, B) {
    let there = Pending::new(there);
    scope(|scope| {
        let started = there.start(scope, |there| there());
        let here = here();
        let there = match started {
            Ok(thread) => join(thread),
            Err(there) => there(),
        };
        (here, there)
    })
}

/// Waits for a thread. A panic there goes on here.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    let result = thread.join();
    result.unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Something for another thread, which is given back if none can be started.
pub(crate) struct Pending<W>(Mutex<Option<W>>);

impl<W: Send> Pending<W> {
    pub(crate) fn new(what: W) -> Pending<W> {
        Pending(Mutex::new(Some(what)))
    }

    fn take(&self) -> W {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place
            .take()
            .expect("it is taken by the thread, or if there is none")
    }

    /// Starts a thread that does `work` with it.
    pub(crate) fn start<'scope, T: Send + 'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        work: impl FnOnce(W) -> T + Send + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>, W> {
        let thread = Builder::new().spawn_scoped(scope, move || work(self.take()));
        thread.map_err(|_| self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_and_may_borrow() {
        let (mut front, mut back) = ([0; 3], [0; 2]);
        let (a, b) = both(|| front.fill(1), || back.fill(2));
        assert_eq!((front, back, a, b), ([1; 3], [2; 2], (), ()));
    }

    #[test]
    fn a_panic_of_the_other_thread_goes_on_here() {
        let caught = panic::catch_unwind(|| both(|| 1, || panic!("there")));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"there"));
    }
}
