//! Sends what is written of a file to the disk while more is written: then little is left to wait for
//! in the end.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// A thread that syncs the data of a file. Dropped, it waits for what was asked, and then holds on to
/// the file no more.
#[derive(Debug)]
pub(super) struct SyncAhead {
    /// Closed in the end.
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl SyncAhead {
    /// `None` if no thread can be had: then nothing is sent ahead.
    pub(super) fn start(file: &File) -> Option<SyncAhead> {
        let file = file.try_clone().ok()?;
        let (ask, asked) = sync_channel(1);
        let sync = move || asked.iter().try_for_each(|()| file.sync_data());
        Some(SyncAhead {
            ask: Some(ask),
            thread: Some(Builder::new().spawn(sync).ok()?),
        })
    }

    /// Asks that what was written so far is sent. Does not wait for it.
    pub(super) fn ask(&self) {
        if let Some(ask) = &self.ask {
            // If the thread has not begun with the one before, that one will do. If it failed, finish
            // tells.
            let _ = ask.try_send(());
        }
    }

    /// Waits for the last.
    ///
    /// # Errors
    ///
    /// The first error of all of them. The system may tell each only once.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        self.ask = None;
        let done = self.thread.take().map_or(Ok(Ok(())), JoinHandle::join);
        done.unwrap_or_else(|_| Err(io::Error::other("syncing has panicked")))
    }
}

impl Drop for SyncAhead {
    fn drop(&mut self) {
        // Whoever drops it does not need the bytes any more.
        let _ = self.join();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::file::testing::TestDir;

    #[test]
    fn asking_again_and_again_is_no_error() {
        let dir = TestDir::new();
        let mut file = File::create(dir.path("t")).unwrap();
        let ahead = SyncAhead::start(&file).unwrap();
        for _ in 0..10 {
            file.write_all(b"x").unwrap();
            ahead.ask();
        }
        ahead.finish().unwrap();
    }

    #[test]
    fn an_error_is_told_in_the_end() {
        // Pipes cannot be synced.
        let (_reader, writer) = io::pipe().unwrap();
        let ahead = SyncAhead::start(&File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        ahead.ask();
        assert!(ahead.finish().is_err());
    }
}
