//! What must hold for any bytes that are verified and salvaged.
//!
//! Also part of a fuzz target, which feeds this function.

use rpostmap::Result;
use rpostmap::bdb::btree::BtreeReader;
use rpostmap::bdb::hash::HashReader;
use rpostmap::bdb::meta::AccessMethod;
use rpostmap::bdb::salvage::{Options, salvage};
use rpostmap::bdb::verify::{Report, verify};
use rpostmap::file::store::Store;
use rpostmap::table::KeyValue;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Laws:
///
/// * nothing panics, and everything ends;
/// * nothing salvaged is made up: all of it together is no longer than the file, apart from what
///   keys with several values repeat;
/// * a file that is called clean can be listed;
/// * if there is not even a warning, salvage finds what the listing shows, and nothing is lost.
pub(crate) fn any_bytes_as_damaged_file(bytes: &[u8]) {
    let store = Store::from_bytes(bytes);
    let report = verify(&store).unwrap_or_default();
    let with_deleted = salvage(&store, Options::default().deleted(true));
    let found = salvage(&store, Options::default());
    assert_eq!(found.is_ok(), with_deleted.is_ok());
    if let Ok(found) = &found {
        let len: usize = found.pairs.iter().map(|pair| pair.value.len()).sum();
        assert!(
            len <= bytes.len(),
            "{len} bytes of values in {}",
            bytes.len()
        );
    }
    if !report.is_clean() || report.statistics.is_none() {
        return;
    }
    let mut listed = list(&report, store).expect("a clean file can be listed");
    if !report.defects.is_empty() {
        return;
    }
    let found = found.expect("a clean file can be salvaged");
    let mut salvaged: Pairs = found
        .pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect();
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    listed.sort_unstable();
    salvaged.sort_unstable();
    assert!(
        listed == salvaged,
        "{} and {}",
        listed.len(),
        salvaged.len()
    );
}

fn list(report: &Report, store: Store) -> Result<Pairs> {
    let owned = |pair: Result<KeyValue<'_>>| {
        pair.map(|(key, value)| (key.into_owned(), value.into_owned()))
    };
    let method = report.statistics.as_ref().map(|found| found.method);
    match method {
        Some(AccessMethod::Btree) => BtreeReader::new(store)?.iter()?.map(owned).collect(),
        _ => HashReader::new(store)?.iter()?.map(owned).collect(),
    }
}
