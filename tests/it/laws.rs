//! What must hold for any bytes that are opened as a table, damaged or hostile.
//!
//! Also part of the fuzz targets, which feed these functions.

use std::collections::BTreeMap;

use rpostmap::bdb::btree::BtreeUpdater;
use rpostmap::bdb::hash::{HashReader, HashUpdater};
use rpostmap::bdb::verify::verify;
use rpostmap::bdb::{OnExisting, Put};
use rpostmap::file::store::Store;

use crate::common::updater::{Reader, Updater};

/// How many keys are looked up: a lookup may read the whole file.
const LOOKUP_MAX: usize = 64;

/// Reads `bytes` as a hash file in every way there is. Laws:
///
/// * nothing panics, and a listing ends;
/// * a key that the listing shows is found, or the lookup says that the file is damaged;
/// * when the listing ends well, a lookup has no value that the listing does not show, and finds
///   no key that it does not show.
pub(crate) fn any_bytes_as_hash_file(bytes: &[u8]) {
    let Ok(reader) = HashReader::new(Store::from_bytes(bytes)) else {
        return;
    };
    let mut listed: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut whole = true;
    match reader.iter() {
        Ok(pairs) => {
            for pair in pairs {
                match pair {
                    Ok((key, value)) => {
                        let values = listed.entry(key.into_owned()).or_default();
                        values.push(value.into_owned());
                    }
                    Err(_) => whole = false,
                }
            }
        }
        Err(_) => whole = false,
    }
    for (key, values) in listed.iter().take(LOOKUP_MAX) {
        let shown = key.escape_ascii();
        match reader.get(key) {
            Err(_) => {}
            Ok(None) => panic!("\"{shown}\" is listed but not found"),
            Ok(Some(value)) => assert!(
                !whole || values.iter().any(|listed| *listed == *value),
                "\"{shown}\" has a value that is not listed"
            ),
        }
    }
    for key in [&b""[..], b"\0", b"no such key", &[b'k'; 300]] {
        let found = matches!(reader.get(key), Ok(Some(_)));
        assert!(
            !found || !whole || listed.contains_key(key),
            "\"{}\" is found but not listed",
            key.escape_ascii()
        );
    }
}

/// Keys with all their values.
type Listed = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// [`any_bytes_updated`] for a hash file.
pub(crate) fn any_bytes_updated_as_hash_file(bytes: &[u8], choice: u8) {
    any_bytes_updated::<HashUpdater>(bytes, choice);
}

/// [`any_bytes_updated`] for a btree file.
pub(crate) fn any_bytes_updated_as_btree_file(bytes: &[u8], choice: u8) {
    any_bytes_updated::<BtreeUpdater>(bytes, choice);
}

/// Changes a copy of `bytes` as a hash or btree file; which changes, the bits of `choice` say. Laws:
///
/// * nothing panics, and the file grows by no more than the changes need;
/// * when the file listed well before, and the update goes well, then it lists well afterwards, and
///   exactly what was changed is different; lookups agree;
/// * when a verification found no error before, it finds none afterwards.
fn any_bytes_updated<U: Updater>(bytes: &[u8], choice: u8) {
    let mut file = bytes.to_vec();
    for round in 0..1 + u32::from(choice >> 7) {
        let Some(mut listed) = list::<U::Reader>(&file) else {
            // There is no saying what it holds. It must not panic or grow without bounds.
            if let Some(mut update) = open::<U>(&file) {
                let mut unknown = Listed::new();
                let changed = change(&mut update, &mut unknown, choice, round, false);
                finish(update, changed, &mut file);
            }
            return;
        };
        let Some(mut update) = open::<U>(&file) else {
            return;
        };
        let was_clean = is_clean(&file);
        let changed = change(&mut update, &mut listed, choice, round, true);
        if !finish(update, changed, &mut file) {
            return;
        }
        let now = list::<U::Reader>(&file).expect("lists well after the update as before");
        assert!(now == listed, "the update changed something else");
        assert!(!was_clean || is_clean(&file), "the update left a defect");
        let reader = U::Reader::open(Store::from_bytes(&*file)).expect("it was just listed");
        for (key, values) in listed.iter().take(LOOKUP_MAX) {
            let found = reader.get(key).expect("no damage before, none now");
            let found = found.expect("what is listed is found");
            assert!(values.iter().any(|value| *value == *found));
        }
    }
}

fn is_clean(file: &[u8]) -> bool {
    verify(&Store::from_bytes(file)).is_ok_and(|report| report.is_clean())
}

fn open<U: Updater>(file: &[u8]) -> Option<U> {
    U::open(Store::from_bytes(file)).ok()
}

/// All a file holds; `None` when it is damaged.
fn list<R: Reader>(file: &[u8]) -> Option<Listed> {
    let reader = R::open(Store::from_bytes(file)).ok()?;
    let mut listed = Listed::new();
    for pair in reader.pairs().ok()? {
        let (key, value) = pair.ok()?;
        listed
            .entry(key.into_owned())
            .or_default()
            .push(value.into_owned());
    }
    listed.values_mut().for_each(|values| values.sort());
    Some(listed)
}

/// Writes the update if all its changes went well; `false` when that was not so.
fn finish<U: Updater>(update: U, changed: rpostmap::Result<()>, file: &mut Vec<u8>) -> bool {
    let before = file.len();
    let page_len = update.page_len();
    let done = changed.and_then(|()| update.commit(file)).is_ok();
    assert!(
        file.len() <= 2 * before + 1024 * page_len,
        "grew from {before} to {} bytes",
        file.len()
    );
    done
}

/// Applies the changes of `choice` to both; `strict` when `model` is what the file holds.
fn change<U: Updater>(
    update: &mut U,
    model: &mut Listed,
    choice: u8,
    round: u32,
    strict: bool,
) -> rpostmap::Result<()> {
    let has = |bit: u32| choice & 1 << bit != 0;
    let value_len = if has(0) { 700 } else { 7 };
    let known: Vec<Vec<u8>> = model.keys().take(LOOKUP_MAX).cloned().collect();
    for (at, key) in known.iter().enumerate() {
        if has(1) && at % 3 == 0 {
            assert!(update.delete(key)?, "what is listed can be deleted");
            model.remove(key);
        }
        if has(2) && at % 3 == 1 {
            let value = vec![b'r'; value_len];
            let put = update.put(key, &value, OnExisting::Replace)?;
            assert_eq!(put, Put::Replaced);
            model.insert(key.clone(), vec![value]);
        }
        if has(3) && at % 6 == 0 {
            let value = b"back".to_vec();
            let put = update.put(key, &value, OnExisting::Keep)?;
            assert_eq!(put == Put::Kept, model.contains_key(key));
            model.entry(key.clone()).or_insert(vec![value]);
        }
    }
    // Enough for a small table to split and to double.
    let new = if has(4) { 40 } else { 3 };
    for number in 0..new {
        let mut key = format!("new{number}.{round}").into_bytes();
        if has(5) && number % 4 == 0 {
            key.resize(200, b'k');
        }
        let value = vec![b'n'; if has(6) { 100 } else { 10 }];
        let put = update.put(&key, &value, OnExisting::Keep)?;
        assert!(!strict || (put == Put::Kept) == model.contains_key(&key));
        model.entry(key).or_insert(vec![value]);
    }
    Ok(())
}
