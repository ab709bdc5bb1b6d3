//! Works out a file on one thread while another one writes it.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use super::write_at::WriteAt;
use crate::error::{Error, Result};
use crate::threads::{Pending, join};

/// How many pieces may wait to be written: enough to go on with while the writer waits for the disk.
const WAITING_MAX: usize = 32;

/// Runs `build` on a thread of its own. What it writes is written to `out` on this one, in the same
/// order.
///
/// Errors: those of `build`, and of `out`, after which `build` is stopped at its next write.
pub(crate) fn build_and_write<T: Send>(
    out: &mut dyn WriteAt,
    build: impl FnOnce(&mut dyn WriteAt) -> Result<T> + Send,
) -> Result<T> {
    let build = Pending::new(build);
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let (give_back, spare) = channel();
        let started = build.start(scope, |build| build(&mut Pieces { sender, spare }));
        let builder = match started {
            Ok(builder) => builder,
            Err(build) => return build(out),
        };
        let written = receiver
            .iter()
            .try_for_each(|(offset, bytes): (u64, Vec<u8>)| {
                out.write_at(offset, &bytes)?;
                // The builder may have ended.
                let _ = give_back.send(bytes);
                Ok(())
            });
        // From here on the builder's writes fail, so that it ends soon.
        drop(receiver);
        written.and(join(builder))
    })
}

/// Sends what is written to the thread that writes it.
struct Pieces {
    sender: SyncSender<(u64, Vec<u8>)>,
    /// Buffers that were written. Fresh ones cost as much as what is done with them.
    spare: Receiver<Vec<u8>>,
}

impl WriteAt for Pieces {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut piece = self.spare.try_recv().unwrap_or_default();
        piece.clear();
        piece.extend_from_slice(bytes);
        self.send(offset, piece)
    }

    fn write_buffer(&mut self, offset: u64, buffer: &mut Vec<u8>) -> Result<()> {
        let spare = self.spare.try_recv().unwrap_or_default();
        self.send(offset, std::mem::replace(buffer, spare))
    }
}

impl Pieces {
    fn send(&self, offset: u64, piece: Vec<u8>) -> Result<()> {
        let sent = self.sender.send((offset, piece));
        // Whoever reads the error gets the real one from the other thread.
        sent.map_err(|_| Error::corrupt("writing has ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct FullAfter(usize);

    impl WriteAt for FullAfter {
        fn write_at(&mut self, _: u64, _: &[u8]) -> Result<()> {
            match self.0.checked_sub(1) {
                Some(left) => self.0 = left,
                None => return Err(Error::corrupt("full")),
            }
            Ok(())
        }
    }

    #[test]
    fn everything_arrives_in_order() {
        let mut file = Vec::new();
        let count = build_and_write(&mut file, |out| {
            for i in 0..100u8 {
                let mut buffer = vec![i];
                match i % 3 {
                    0 => out.write_at(u64::from(i / 2), &buffer)?,
                    _ => out.write_buffer(u64::from(i / 2), &mut buffer)?,
                }
            }
            Ok(100)
        });
        assert_eq!(count.unwrap(), 100);
        assert_eq!(file, (0..50).map(|i| 2 * i + 1).collect::<Vec<u8>>());
    }

    #[test]
    fn a_failed_write_stops_the_builder_and_is_the_error() {
        let mut writes = 0;
        let result: Result<()> = build_and_write(&mut FullAfter(3), |out| {
            loop {
                out.write_buffer(0, &mut vec![0])?;
                writes += 1;
            }
        });
        assert_eq!(result.unwrap_err().to_string(), "full");
        assert!(writes <= 3 + 2 + WAITING_MAX, "{writes}");
    }

    #[test]
    fn the_builders_own_error_comes_through() {
        let result: Result<()> = build_and_write(&mut Vec::new(), |_| Err(Error::corrupt("mine")));
        assert_eq!(result.unwrap_err().to_string(), "mine");
    }
}
