//! Updates of hash and btree files next to a model, for both test binaries and the fuzz targets.

use std::collections::BTreeMap;

use rpostmap::bdb::{OnExisting, PageSize, Put};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::file::{UpdateAt, WriteAt};
use rpostmap::wire::ByteOrder;

use crate::common::updater::{Reader, Updater};

/// What a file should hold.
pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A step of an update.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Replace(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// Write, and begin another update.
    Reopen,
}

/// The file that holds the model.
pub(crate) fn build<U: Updater>(model: &Model, page_size: PageSize, order: ByteOrder) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in model {
        entries.insert(key, value).unwrap();
    }
    let mut file = Vec::new();
    U::build(&entries, page_size, order, &mut file).unwrap();
    file
}

/// One step, done to the file and to the model; both must say the same.
pub(crate) fn apply<U: Updater>(op: &Op, update: &mut U, model: &mut Model) {
    match op {
        Op::Put(key, value) => {
            let put = update.put(key, value, OnExisting::Keep).unwrap();
            let there = model.contains_key(key);
            assert_eq!(put, if there { Put::Kept } else { Put::Inserted });
            model.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Op::Replace(key, value) => {
            let put = update.put(key, value, OnExisting::Replace).unwrap();
            let old = model.insert(key.clone(), value.clone());
            assert_eq!(
                put,
                if old.is_some() {
                    Put::Replaced
                } else {
                    Put::Inserted
                }
            );
        }
        Op::Delete(key) => {
            assert_eq!(update.delete(key).unwrap(), model.remove(key).is_some());
        }
        Op::Reopen => {}
    }
}

/// That the file holds exactly what the model does.
#[track_caller]
pub(crate) fn assert_holds<U: Updater>(file: &[u8], model: &Model) {
    let reader = U::Reader::open(Store::from_bytes(file)).unwrap();
    let mut listed = Model::new();
    for pair in reader.pairs().unwrap() {
        let (key, value) = pair.unwrap();
        assert_eq!(
            listed.insert(key.into_owned(), value.into_owned()),
            None,
            "listed twice"
        );
    }
    assert!(
        listed == *model,
        "listed {} of {}",
        listed.len(),
        model.len()
    );
    for (key, value) in model {
        assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
        let absent = [key, &b"~"[..]].concat();
        assert_eq!(reader.get(&absent).unwrap(), None);
    }
}

/// All that a file holds.
fn listed<U: Updater>(file: &[u8]) -> rpostmap::Result<Model> {
    let reader = U::Reader::open(Store::from_bytes(file))?;
    let pair = |pair: rpostmap::Result<rpostmap::table::KeyValue<'_>>| {
        pair.map(|(key, value)| (key.into_owned(), value.into_owned()))
    };
    reader.pairs()?.map(pair).collect()
}

/// That keys can be deleted from a file that an interrupted update left, and are gone then; or that
/// an update of it is refused with that reason. At each write of the deletion another interruption
/// must not lose anything either.
#[track_caller]
pub(crate) fn assert_deletes<'k, U: Updater>(
    state: &[u8],
    keys: impl IntoIterator<Item = &'k Vec<u8>>,
    at: usize,
) {
    let ops: Vec<Op> = keys.into_iter().cloned().map(Op::Delete).collect();
    assert_updates::<U>(state, &ops, at);
}

/// That a file that an interrupted update left can be updated, or that an update of it is refused
/// with that reason. At each write another interruption must not lose anything either.
#[track_caller]
pub(crate) fn assert_updates<U: Updater>(state: &[u8], ops: &[Op], at: usize) {
    let mut update = match U::open(Store::from_bytes(state)) {
        Ok(update) => update,
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("interrupted update"), "{said}");
            return;
        }
    };
    let before = match listed::<U>(state) {
        Ok(listed) => listed,
        // Entries that were about to be added.
        Err(_) if U::LISTING_MAY_FAIL => return,
        Err(error) => panic!("after write {at}: {error}"),
    };
    let mut after = before.clone();
    for op in ops {
        apply(op, &mut update, &mut after);
    }
    let mut recorder = Recorder::new(state.to_vec());
    update.commit(&mut recorder).unwrap();
    assert_holds::<U>(&recorder.file, &after);
    let reader = U::Reader::open(Store::from_bytes(&*recorder.file)).unwrap();
    for op in ops {
        if let Op::Delete(key) = op
            && !after.contains_key(key)
        {
            assert_eq!(reader.get(key).unwrap(), None, "after write {at}");
        }
    }
    let step = 1 + recorder.states.len() / 20;
    for state in recorder.states.iter().step_by(step) {
        assert_nothing_lost::<U>(state, &before, &after, at);
    }
}

/// A file that notes every change instead of only making it.
pub(crate) struct Recorder {
    pub(crate) file: Vec<u8>,
    /// The file after each change.
    pub(crate) states: Vec<Vec<u8>>,
}

impl Recorder {
    /// Changes to `file`.
    pub(crate) fn new(file: Vec<u8>) -> Recorder {
        Recorder {
            file,
            states: Vec::new(),
        }
    }
}

impl WriteAt for Recorder {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> rpostmap::Result<()> {
        self.file.write_at(offset, bytes)?;
        self.states.push(self.file.clone());
        Ok(())
    }
}

impl UpdateAt for Recorder {
    fn set_file_len(&mut self, len: u64) -> rpostmap::Result<()> {
        self.file.set_file_len(len)?;
        self.states.push(self.file.clone());
        Ok(())
    }

    fn sync(&mut self) -> rpostmap::Result<()> {
        Ok(())
    }
}

/// That a file between two states has every key of the first, with one of the two values; what
/// the update deletes may be there or not.
#[track_caller]
pub(crate) fn assert_nothing_lost<U: Updater>(
    state: &[u8],
    before: &Model,
    after: &Model,
    at: usize,
) {
    let reader = U::Reader::open(Store::from_bytes(state)).unwrap();
    for (key, old) in before {
        let found = reader.get(key);
        match (found, after.get(key)) {
            (Ok(None), None) => {}
            (Ok(Some(found)), _) if found == &old[..] => {}
            (Ok(Some(found)), Some(new)) if found == &new[..] => {}
            (found, _) => {
                panic!("after write {at}: {} gives {found:?}", key.escape_ascii());
            }
        }
    }
    let mut listed = Model::new();
    let may_fail = U::LISTING_MAY_FAIL && after.keys().any(|key| !before.contains_key(key));
    let mut pairs = reader.pairs().unwrap();
    while let Some(pair) = pairs.next() {
        let (key, value) = match pair {
            Ok(pair) => pair,
            // Entries that were about to be added are there, but not in the table yet.
            Err(_) if may_fail && pairs.next().is_none() => break,
            Err(error) => panic!("after write {at}: {error}"),
        };
        let fits =
            before.get(&*key) == Some(&value.to_vec()) || after.get(&*key) == Some(&value.to_vec());
        assert!(
            fits,
            "after write {at}: {} lists a wrong value",
            key.escape_ascii()
        );
        let twice = listed.insert(key.clone().into_owned(), value.into_owned());
        assert_eq!(
            twice,
            None,
            "after write {at}: {} is listed twice",
            key.escape_ascii()
        );
    }
    for key in before.keys().filter(|key| after.contains_key(*key)) {
        assert!(
            listed.contains_key(key),
            "after write {at}: {} not listed",
            key.escape_ascii()
        );
    }
}
