//! What must hold for any bytes that are opened as a table, damaged or hostile.
//!
//! Also part of the fuzz targets, which feed these functions.

use std::collections::BTreeMap;

use rpostmap::bdb::hash::HashReader;
use rpostmap::file::store::Store;

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
