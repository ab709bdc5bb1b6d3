//! Reads a source on a thread of its own, ahead of whoever stores its entries.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use crate::error::Result;
use crate::key::Fold;
use crate::source::{EntrySource, Mark, Warning};
use crate::threads::Pending;

/// From this length in bytes on a source is long: it is read on a thread of its own, and its repeated
/// keys are looked for when all are there.
pub(super) const LONG_MIN: u64 = 1 << 20;
/// Bytes of entries that travel together.
const BATCH_LEN: usize = 128 * 1024;
/// How many batches may wait: enough to read on while an old table is read.
const WAITING_MAX: usize = 64;

/// How keys and values are stored.
#[derive(Clone, Copy)]
pub(crate) struct StoredForm {
    pub(crate) fold: Fold,
    /// Whether both get a NUL.
    pub(crate) nul: bool,
}

impl StoredForm {
    /// A key as it was before it was stored, but for its case.
    pub(crate) fn shown(self, key: &[u8]) -> Vec<u8> {
        key.strip_suffix(self.nul()).unwrap_or(key).to_vec()
    }

    /// The stored form of a mark.
    pub(crate) fn mark(self, mark: &Mark) -> Stored {
        if mark.verbatim {
            return Stored {
                key: mark.key.clone(),
                value: mark.value.clone(),
            };
        }
        let (mut key, mut value) = (Vec::new(), Vec::new());
        self.append_key(&mark.key, &mut key);
        self.append_value(&mark.value, &mut value);
        Stored { key, value }
    }

    fn nul(self) -> &'static [u8] {
        if self.nul { b"\0" } else { b"" }
    }

    /// Appends the stored form of a key.
    fn append_key(self, key: &[u8], to: &mut Vec<u8>) {
        self.fold.fold_into(key, to);
        to.extend_from_slice(self.nul());
    }

    /// Appends the stored form of a value.
    fn append_value(self, value: &[u8], to: &mut Vec<u8>) {
        to.extend_from_slice(value);
        to.extend_from_slice(self.nul());
    }
}

/// A key and a value in their stored form.
pub(crate) struct Stored {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// What comes out of a source.
pub(crate) enum Item<'a> {
    /// A key and a value in their stored form.
    Entry(&'a [u8], &'a [u8]),
    /// A line is odd.
    Warning(Warning),
}

/// Gives `each` everything that comes out of `source`, in its order; `len` is the source's length in
/// bytes, if it is known. A short source, or one that may come slowly, is read here and now.
///
/// Errors: those of reading and of `each`, whichever comes first in the source.
pub(crate) fn for_each<S: EntrySource + Send>(
    source: &mut S,
    len: Option<u64>,
    form: StoredForm,
    each: &mut dyn FnMut(Item<'_>) -> Result<()>,
) -> Result<()> {
    if len.is_some_and(|len| len >= LONG_MIN)
        && let Some(result) = read_ahead(source, form, each)
    {
        return result;
    }
    let (mut key, mut value) = (Vec::new(), Vec::new());
    loop {
        let mut warned = Ok(());
        let entry = source.next_entry(&mut |warning| {
            if warned.is_ok() {
                warned = each(Item::Warning(warning));
            }
        })?;
        let Some(entry) = entry else { return warned };
        warned?;
        key.clear();
        form.append_key(entry.key, &mut key);
        value.clear();
        form.append_value(entry.value, &mut value);
        each(Item::Entry(&key, &value))?;
    }
}

/// `None` if no thread can be started; nothing was read then.
fn read_ahead<S: EntrySource + Send>(
    source: &mut S,
    form: StoredForm,
    each: &mut dyn FnMut(Item<'_>) -> Result<()>,
) -> Option<Result<()>> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let (giver, spent) = channel();
    let reader = Pending::new((source, sender, spent));
    thread::scope(|scope| {
        let started = reader.start(scope, |(source, sender, spent)| {
            read_batches(source, form, &sender, &spent)
        });
        started.ok().map(|_| unpack(receiver, &giver, each))
    })
}

/// Entries, and warnings between them.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where key and value of each entry end in the bytes; the key begins where the entry before
    /// ends.
    ends: Vec<(usize, usize)>,
    /// Each with the number of entries in front of it.
    warnings: Vec<(usize, Warning)>,
}

/// `spent` gives batches back that were taken apart: their memory is there already.
fn read_batches<S: EntrySource>(
    source: &mut S,
    form: StoredForm,
    sender: &SyncSender<Result<Batch>>,
    spent: &Receiver<Batch>,
) {
    let mut batch = Batch::default();
    loop {
        let at = batch.ends.len();
        let entry = source.next_entry(&mut |warning| batch.warnings.push((at, warning)));
        match entry {
            Ok(Some(entry)) => {
                form.append_key(entry.key, &mut batch.bytes);
                let key_end = batch.bytes.len();
                form.append_value(entry.value, &mut batch.bytes);
                batch.ends.push((key_end, batch.bytes.len()));
            }
            Ok(None) => {
                let _ = sender.send(Ok(batch));
                return;
            }
            Err(error) => {
                // A closed channel means that nobody wants to know any more.
                let _ = sender
                    .send(Ok(batch))
                    .and_then(|()| sender.send(Err(error)));
                return;
            }
        }
        if batch.bytes.len() >= BATCH_LEN {
            let next = spent.try_recv().unwrap_or_else(|_| Batch {
                bytes: Vec::with_capacity(batch.bytes.capacity()),
                ends: Vec::with_capacity(batch.ends.capacity()),
                warnings: Vec::new(),
            });
            if sender
                .send(Ok(std::mem::replace(&mut batch, next)))
                .is_err()
            {
                return;
            }
        }
    }
}

fn unpack(
    batches: Receiver<Result<Batch>>,
    spent: &Sender<Batch>,
    each: &mut dyn FnMut(Item<'_>) -> Result<()>,
) -> Result<()> {
    for batch in batches {
        let mut batch = batch?;
        let mut warnings = batch.warnings.drain(..).peekable();
        let mut start = 0;
        for (at, &(key_end, end)) in batch.ends.iter().enumerate() {
            while let Some((_, warning)) = warnings.next_if(|(before, _)| *before <= at) {
                each(Item::Warning(warning))?;
            }
            let slice = |from: usize, to: usize| batch.bytes.get(from..to).unwrap_or_default();
            each(Item::Entry(slice(start, key_end), slice(key_end, end)))?;
            start = end;
        }
        for (_, warning) in warnings {
            each(Item::Warning(warning))?;
        }
        batch.ends.clear();
        batch.bytes.clear();
        // At the end of the source nobody needs it any more.
        let _ = spent.send(batch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::error::Error;
    use crate::source::MapSource;

    const FORM: StoredForm = StoredForm {
        fold: Fold::Unicode,
        nul: true,
    };

    fn text(entries: usize) -> String {
        (0..entries)
            .map(|i| format!("Key{i} value{i}\n{}", ["", "odd\n"][i % 2]))
            .collect()
    }

    #[test]
    fn everything_comes_in_the_order_of_the_source() {
        let text = text(20_000);
        let mut source = MapSource::new("t", text.as_bytes(), true);
        let (mut entries, mut warnings) = (0, 0);
        read_ahead(&mut source, FORM, &mut |item| {
            match item {
                Item::Entry(key, value) => {
                    assert_eq!(warnings, entries / 2, "odd lines so far");
                    assert_eq!(key, format!("key{entries}\0").as_bytes());
                    assert_eq!(value, format!("value{entries}\0").as_bytes());
                    entries += 1;
                }
                Item::Warning(_) => warnings += 1,
            }
            Ok(())
        })
        .unwrap()
        .unwrap();
        assert_eq!((entries, warnings), (20_000, 10_000));
    }

    #[test]
    fn an_error_of_the_receiver_ends_the_reading() {
        let text = text(200_000);
        let mut source = MapSource::new("t", text.as_bytes(), true);
        let result = read_ahead(&mut source, FORM, &mut |_| Err(Error::corrupt("enough")));
        assert_eq!(result.unwrap().unwrap_err().to_string(), "enough");
    }

    #[test]
    fn what_was_read_before_an_error_comes_first() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(std::io::Error::other("broken"));
                }
                buffer[..8].copy_from_slice(b"a 1\nb 2\n");
                Ok(8)
            }
        }
        let mut source = MapSource::new("t", Broken(false), true);
        let mut entries = 0;
        let result = read_ahead(&mut source, FORM, &mut |_| {
            entries += 1;
            Ok(())
        });
        assert!(result.unwrap().is_err());
        assert_eq!(entries, 1, "whether b goes on is not known");
    }
}
