//! Runs of sorted entries as one, each key as often as it is to stay.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::entries::spool::{ListReader, Spool, Spooled};
use crate::entries::stream::EntryStream;
use crate::entries::{Entries, OnDuplicate, sorted_numbers};
use crate::error::Result;

/// Where an entry came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// The number of its run. What is in a run was inserted before what is in the next.
    pub(crate) run: usize,
    /// Its number in the run, by the order of insertion.
    pub(crate) number: u32,
}

/// Puts `entries`, sorted by key, into list `run` of `spool`.
///
/// # Errors
///
/// Those of [`Spool::push`].
pub(crate) fn write_run(entries: &Entries, run: usize, spool: &mut Spool) -> Result<()> {
    for number in sorted_numbers(entries) {
        if let Some((key, value)) = entries.entry(number) {
            spool.push(run, Spooled { number, key, value })?;
        }
    }
    Ok(())
}

/// All lists of a spool, each of them a run, in the order of keys; entries with one key in the
/// order of insertion.
struct Merge {
    heap: BinaryHeap<Cursor>,
}

/// The entry of a run that comes next.
struct Cursor {
    /// The first eight bytes of its key, the first in the highest place, zeros behind its end.
    front: u64,
    run: usize,
    reader: ListReader,
}

impl Cursor {
    fn advance(&mut self) -> Result<bool> {
        let found = self.reader.advance()?;
        let mut front = [0; 8];
        front
            .iter_mut()
            .zip(self.key())
            .for_each(|(to, from)| *to = *from);
        self.front = u64::from_be_bytes(front);
        Ok(found)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.reader.record().map_or(&[], |record| record.key)
    }
}

/// The greatest is the one that comes first.
impl Ord for Cursor {
    #[inline]
    fn cmp(&self, other: &Cursor) -> Ordering {
        other
            .front
            .cmp(&self.front)
            .then_with(|| other.key().cmp(self.key()))
            .then_with(|| other.run.cmp(&self.run))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Cursor) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Cursor) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor {}

impl Merge {
    fn new(runs: &Spool) -> Result<Merge> {
        let mut heap = BinaryHeap::with_capacity(runs.list_count());
        for run in 0..runs.list_count() {
            let mut cursor = Cursor {
                front: 0,
                run,
                reader: runs.read(run),
            };
            if cursor.advance()? {
                heap.push(cursor);
            }
        }
        Ok(Merge { heap })
    }

    /// The entry at hand, at first the first.
    fn entry(&self) -> Option<(Origin, Spooled<'_>)> {
        let top = self.heap.peek()?;
        let record = top.reader.record()?;
        let (run, number) = (top.run, record.number);
        Some((Origin { run, number }, record))
    }

    fn advance(&mut self) -> Result<()> {
        if let Some(mut top) = self.heap.peek_mut()
            && !top.advance()?
        {
            PeekMut::pop(top);
        }
        Ok(())
    }
}

/// The entries that stay of all runs, in the order of their keys.
pub(crate) struct Survivors {
    merge: Merge,
    on_duplicate: OnDuplicate,
    /// The entry at hand.
    origin: Option<Origin>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// An entry that stays.
pub(crate) struct Survivor<'s> {
    pub(crate) origin: Origin,
    pub(crate) key: &'s [u8],
    pub(crate) value: &'s [u8],
}

impl Survivors {
    /// Those of `runs`, which [`write_run`] wrote, all flushed.
    ///
    /// # Errors
    ///
    /// `Io` with action "read".
    pub(crate) fn new(runs: &Spool, on_duplicate: OnDuplicate) -> Result<Survivors> {
        Ok(Survivors {
            merge: Merge::new(runs)?,
            on_duplicate,
            origin: None,
            key: Vec::new(),
            value: Vec::new(),
        })
    }

    /// The next entry. Each whose key was there before it goes to `repeated`, whether it stays or
    /// not.
    ///
    /// # Errors
    ///
    /// `Io` with action "read"; those of `repeated`.
    #[inline]
    pub(crate) fn next(
        &mut self,
        repeated: &mut dyn FnMut(Origin, &[u8]) -> Result<()>,
    ) -> Result<Option<Survivor<'_>>> {
        loop {
            let Some((origin, record)) = self.merge.entry() else {
                return Ok(None);
            };
            if self.origin.is_some() && record.key == self.key {
                repeated(origin, record.key)?;
                if self.on_duplicate == OnDuplicate::KeepFirst {
                    self.merge.advance()?;
                    continue;
                }
            } else {
                self.key.clear();
                self.key.extend_from_slice(record.key);
            }
            self.value.clear();
            self.value.extend_from_slice(record.value);
            self.origin = Some(origin);
            self.merge.advance()?;
            if self.on_duplicate == OnDuplicate::KeepLast
                && let Some((_, next)) = self.merge.entry()
                && next.key == self.key
            {
                continue;
            }
            return Ok(Some(Survivor {
                origin,
                key: &self.key,
                value: &self.value,
            }));
        }
    }
}

impl EntryStream for Survivors {
    #[inline]
    fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        let survivor = self.next(&mut |_, _| Ok(()))?;
        Ok(survivor.map(|survivor| (survivor.key, survivor.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::spool::tests::scratch;
    use crate::file::testing::TestDir;

    /// What stays, and what is repeated, as "run.number:key" and "=value".
    fn merged(runs: &[&[(&str, &str)]], on_duplicate: OnDuplicate) -> (Vec<String>, Vec<String>) {
        let dir = TestDir::new();
        let mut spool = Spool::new(scratch(&dir), 0, 0);
        for (run, list) in runs.iter().enumerate() {
            let mut entries = Entries::new();
            for (key, value) in *list {
                entries.append(key.as_bytes(), value.as_bytes()).unwrap();
            }
            write_run(&entries, run, &mut spool).unwrap();
        }
        spool.flush().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (mut kept, mut repeated) = (Vec::new(), Vec::new());
        let mut survivors = Survivors::new(&spool, on_duplicate).unwrap();
        let mut note = |origin: Origin, key: &[u8]| {
            repeated.push(format!("{}.{}:{}", origin.run, origin.number, text(key)));
            Ok(())
        };
        while let Some(survivor) = survivors.next(&mut note).unwrap() {
            let Survivor { origin, key, value } = survivor;
            let place = format!("{}.{}", origin.run, origin.number);
            kept.push(format!("{place}:{}={}", text(key), text(value)));
        }
        (kept, repeated)
    }

    #[test]
    fn keys_come_in_order_and_as_often_as_they_are_to_stay() {
        let long = "a long key that goes on and on";
        let runs: &[&[(&str, &str)]] = &[
            &[("b", "1"), ("a", "2"), ("", "3")],
            &[("a\0", "4"), ("b", "5"), ("b", "6"), (long, "7")],
            &[],
            &[("b", "8"), ("", "9"), ("c", "10")],
        ];
        let (kept, repeated) = merged(runs, OnDuplicate::KeepFirst);
        let long_first = format!("1.3:{long}=7");
        assert_eq!(
            kept,
            [
                "0.2:=3",
                "0.1:a=2",
                "1.0:a\0=4",
                &long_first,
                "0.0:b=1",
                "3.2:c=10"
            ]
        );
        assert_eq!(repeated, ["3.1:", "1.1:b", "1.2:b", "3.0:b"]);
        let (kept, same) = merged(runs, OnDuplicate::KeepLast);
        assert_eq!(
            kept,
            [
                "3.1:=9",
                "0.1:a=2",
                "1.0:a\0=4",
                &long_first,
                "3.0:b=8",
                "3.2:c=10"
            ]
        );
        assert_eq!(same, repeated);
        let (kept, same) = merged(runs, OnDuplicate::KeepAll);
        assert_eq!(kept.len(), 10);
        assert_eq!(kept[5..9], ["0.0:b=1", "1.1:b=5", "1.2:b=6", "3.0:b=8"]);
        assert_eq!(same, repeated);
        assert!(merged(&[], OnDuplicate::KeepLast).0.is_empty());
    }
}
