//! What must hold for any bytes that are opened as a cdb file, damaged or hostile.
//!
//! Also part of the fuzz target, which feeds this function.

use std::collections::HashMap;

use rpostmap::cdb::CdbReader;
use rpostmap::cdb::salvage::salvage;
use rpostmap::cdb::verify::verify;
use rpostmap::file::store::Store;

/// How many keys are looked up: a lookup may read the whole file.
const LOOKUP_MAX: usize = 64;

/// Reads `bytes` as a cdb file in every way there is. Laws:
///
/// * nothing panics, and a listing ends after no more bytes than the file has;
/// * a file that `verify` calls clean is listed from end to end, and a lookup finds what the listing
///   shows, and nothing else;
/// * salvage finds no more bytes than the file has, and in a clean file what the listing shows.
pub(crate) fn any_bytes_as_cdb_file(bytes: &[u8]) {
    let report = verify(&Store::from_bytes(bytes)).expect("bytes in memory can be read");
    let found = salvage(&Store::from_bytes(bytes)).expect("bytes in memory can be read");
    let salvaged = found.pairs.iter();
    let salvaged_len: usize = salvaged.map(|pair| pair.key.len() + pair.value.len()).sum();
    assert!(salvaged_len <= bytes.len(), "salvaged {salvaged_len} bytes");
    let Ok(reader) = CdbReader::new(Store::from_bytes(bytes)) else {
        assert!(!report.is_clean());
        return;
    };
    let mut first: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut listed = Vec::new();
    let mut whole = true;
    match reader.iter() {
        Ok(pairs) => {
            for pair in pairs {
                match pair {
                    Ok((key, value)) => {
                        listed.push((key.to_vec(), value.to_vec()));
                        first.entry(key.into_owned()).or_insert(value.into_owned());
                    }
                    Err(_) => whole = false,
                }
            }
        }
        Err(_) => whole = false,
    }
    let listed_len: usize = listed.iter().map(|(k, v)| 8 + k.len() + v.len()).sum();
    assert!(listed_len <= bytes.len(), "listed {listed_len} bytes");
    let absent = [&b""[..], b"\0", b"no such key", &[b'k'; 300]];
    let keys = first
        .keys()
        .map(Vec::as_slice)
        .take(LOOKUP_MAX)
        .chain(absent);
    for key in keys {
        let shown = key.escape_ascii();
        let answer = reader.get(key);
        if report.is_clean() {
            let answer = answer.expect("a clean file can be read");
            let all = || listed.iter().filter(|(listed, _)| listed == key);
            // Tables say which value is the first, and a forged one may say otherwise.
            let right = match &answer {
                None => all().next().is_none(),
                Some(value) => all().any(|(_, listed)| **listed == **value),
            };
            assert!(right, "\"{shown}\" is {answer:?}");
        }
    }
    if report.is_clean() {
        assert!(whole && found.sound);
        let salvaged = found.pairs.iter().map(|pair| (&pair.key, &pair.value));
        assert!(salvaged.eq(listed.iter().map(|(key, value)| (key, value))));
    }
}
