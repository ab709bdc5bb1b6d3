//! What must hold for any bytes that are opened as an LMDB file, damaged or hostile.
//!
//! Also the fuzz target `lmdb_pages`, which feeds this function.

use std::collections::BTreeMap;

use rpostmap::file::store::Store;
use rpostmap::lmdb::LmdbReader;
use rpostmap::lmdb::salvage::salvage;
use rpostmap::lmdb::verify::verify;

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads `bytes` as an LMDB file in every way there is. Laws:
///
/// * nothing panics, and a listing ends and gives no more than the file holds;
/// * in a file without defects the listing does not fail, each key that it shows is found with its
///   value, and no other is;
/// * salvage of such a file gives what the listing gives, and says that it is complete.
pub(crate) fn any_bytes_as_lmdb_file(bytes: &[u8]) {
    let store = Store::from_bytes(bytes);
    let is_clean = verify(&store).is_ok_and(|report| report.is_clean());
    let salvaged = salvage(&store);
    let Ok(reader) = LmdbReader::new(store) else {
        assert!(!is_clean, "a clean file cannot be opened");
        return;
    };
    let listed = list(&reader, bytes.len());
    for key in [&b""[..], b"\0", b"no such key", &[b'k'; 600]] {
        let found = reader.get(key);
        if is_clean {
            let is_found = found.expect("lookup in a clean file").is_some();
            let listed = listed.as_ref().expect("listing of a clean file");
            assert_eq!(is_found, listed.contains_key(key));
        }
    }
    if !is_clean {
        return;
    }
    let listed = listed.expect("listing of a clean file");
    for (key, value) in &listed {
        let found = reader.get(key).expect("lookup in a clean file");
        assert_eq!(found.as_deref(), Some(&value[..]), "{}", key.escape_ascii());
    }
    let salvaged = salvaged.expect("salvage of a clean file");
    assert!(salvaged.complete, "{:?}", salvaged.skipped);
    let pairs = salvaged
        .pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value));
    assert!(pairs.eq(listed), "salvage differs from the listing");
}

fn list(reader: &LmdbReader, len: usize) -> Option<Pairs> {
    let mut pairs = Pairs::new();
    let mut listed_len = 0;
    for pair in reader.iter().ok()? {
        let (key, value) = pair.ok()?;
        // Nodes of a page may overlap, and so may runs of pages, but each page counts once.
        listed_len += key.len() + value.len();
        assert!(
            listed_len <= len.saturating_mul(2000),
            "listed {listed_len} bytes of {len}"
        );
        pairs.insert(key.into_owned(), value.into_owned());
    }
    Some(pairs)
}
