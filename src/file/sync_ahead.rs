//! Sends what is written of a file to the disk while more is written: then little is left to wait for
//! in the end.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// A thread that syncs the data of a file.
#[derive(Debug)]
pub(super) struct SyncAhead {
    ask: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl SyncAhead {
    /// `None` if no thread can be had: then nothing is sent ahead.
    pub(super) fn start(file: &File) -> Option<SyncAhead> {
        let file = file.try_clone().ok()?;
        let (ask, asked) = sync_channel(1);
        let sync = move || asked.iter().try_for_each(|()| file.sync_data());
        let thread = Builder::new().spawn(sync).ok()?;
        Some(SyncAhead { ask, thread })
    }

    /// Asks that what was written so far is sent. Does not wait for it.
    pub(super) fn ask(&self) {
        // If the thread has not begun with the one before, that one will do. If it failed, finish
        // tells.
        let _ = self.ask.try_send(());
    }

    /// Waits for the last.
    ///
    /// # Errors
    ///
    /// The first error of all of them. The system may tell each only once.
    pub(super) fn finish(self) -> io::Result<()> {
        drop(self.ask);
        let done = self.thread.join();
        done.unwrap_or_else(|_| Err(io::Error::other("syncing has panicked")))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::file::testing::TestDir;

    #[test]
    fn a_file_is_synced_as_often_as_asked_or_less() {
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
