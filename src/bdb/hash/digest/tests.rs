use std::thread;

use proptest::prelude::*;

use super::*;
use crate::bdb::PageSize;
use crate::bdb::hash::known::Mark;
use crate::bdb::hash::{HashBuilder, HashReader};
use crate::entries::Entries;
use crate::error::Result;
use crate::file::store::Store;
use crate::wire::ByteOrder;

/// Keys and values of a table.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// `count` short keys; with `long`, also some that lie off a short page.
fn pairs(count: usize, long: bool) -> Pairs {
    let mut pairs: Pairs = (0..count)
        .map(|n| (format!("key{n}\0").into(), format!("value {n}\0").into()))
        .collect();
    // Zeros have the hash value zero however many they are: a bucket with a chain.
    pairs.extend((1..40.min(count)).map(|len| (vec![0; len], vec![b'z'; len])));
    if long {
        pairs.extend((0..5).map(|n| (vec![b'K'; 1000 + n], vec![b'v'; 2000 * n])));
    }
    pairs
}

fn build(pairs: &Pairs, page_len: u32, order: ByteOrder) -> Vec<u8> {
    let mut entries = Entries::new();
    for (key, value) in pairs {
        entries.insert(key, value).unwrap();
    }
    let mut file = Vec::new();
    let size = PageSize::new(page_len).unwrap();
    let builder = HashBuilder::new().page_size(size).byte_order(order);
    builder.build(&entries, &mut file).unwrap();
    file
}

fn open(file: &[u8]) -> Result<HashReader> {
    HashReader::new(Store::from_bytes(file))
}

fn absent(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| format!("absent{n}\0").into_bytes())
}

/// What a reader says that was asked for nothing before: `Err` whatever is wrong.
fn fresh_answer(file: &[u8], key: &[u8]) -> std::result::Result<Option<Vec<u8>>, ()> {
    let reader = open(file).map_err(|_| ())?;
    let found = reader.get(key).map_err(|_| ())?;
    Ok(found.map(|value| value.into_owned()))
}

/// How many of the buckets of `keys` are looked up by digests.
fn listed_count<'k>(reader: &HashReader, keys: impl Iterator<Item = &'k [u8]>) -> usize {
    let meta = reader.meta();
    keys.filter(|key| {
        let hash = meta.function.unwrap().hash(key);
        let bucket = meta.addressing.bucket_of(hash);
        let first = meta.addressing.page_of(bucket).unwrap();
        reader.known().is(first, Mark::Listed)
    })
    .count()
}

#[test]
fn a_line_is_a_line_of_cache() {
    assert_eq!(align_of::<Line>(), 64);
    if cfg!(target_os = "linux") {
        assert_eq!(size_of::<Line>(), 64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_bytes_named_equal_are(words: [u64; WORDS], byte: u8, at in 0..2 * LINE_KEYS) {
        let mut bytes = words.map(u64::to_le_bytes);
        if let Some(place) = bytes.as_flattened_mut().get_mut(at) {
            *place = byte;
        }
        // Few values, so that many are equal or nearly so.
        for coarse in [0xff, 0x81, 0x03] {
            let bytes = bytes.map(|word| word.map(|byte| byte & coarse));
            let byte = byte & coarse;
            let part = Part { next: PageNo::NONE, bytes };
            let equal = part.equal_keys(u64::from_ne_bytes([byte; 8]));
            let expect = (0..).zip(bytes.as_flattened());
            let expect = expect.fold(0u64, |all, (at, other)| all | u64::from(*other == byte) << at);
            prop_assert_eq!(equal, expect);
        }
    }

    /// Whatever bytes are damaged, digests say what halving and walking through pages say.
    #[test]
    fn answers_do_not_depend_on_earlier_lookups(
        count in 0..250usize,
        long: bool,
        page_len in prop::sample::select(vec![512u32, 4096, 65536]),
        big: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        in_header: bool,
    ) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let pairs = pairs(count, long);
        let mut file = build(&pairs, page_len, order);
        for (at, byte) in &damage {
            let at = at.index(file.len());
            let page = at - at % page_len as usize;
            // Most of a page is items; what leads to them is in its first bytes.
            let place = if in_header { page + at % 64 } else { at };
            file[place] = *byte;
        }
        let keys: Vec<Vec<u8>> = pairs.iter().map(|(key, _)| key.clone()).chain(absent(20)).collect();
        let Ok(reader) = open(&file) else { return Ok(()) };
        let fresh: Vec<_> = keys.iter().map(|key| fresh_answer(&file, key)).collect();
        for round in 0..3 {
            for (key, fresh) in keys.iter().zip(&fresh) {
                let answer = reader.get(key).map(|value| value.map(|value| value.into_owned()));
                prop_assert_eq!(
                    &answer.map_err(|_| ()),
                    fresh,
                    "round {}, {}", round, key.escape_ascii()
                );
            }
        }
        if damage.is_empty() && !long && page_len < 65536 {
            let all = keys.iter().map(Vec::as_slice).take(pairs.len());
            prop_assert_eq!(listed_count(&reader, all), pairs.len());
        }
    }
}

#[test]
fn pages_with_more_keys_than_lines_have_room_for_are_read_by_halving() {
    // Nearly all keys are in one bucket, so that most pages of the file say little of that one.
    let zeros = (1..3000).map(|len| (vec![0; len], b"v".to_vec()));
    let pairs: Pairs = zeros.collect();
    let file = build(&pairs, 65536, ByteOrder::Little);
    let reader = open(&file).unwrap();
    for _ in 0..2 {
        for (key, value) in &pairs {
            assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
        }
        assert_eq!(reader.get(&[0; 3000]).unwrap(), None);
    }
}

#[test]
fn readers_on_several_threads_find_the_same() {
    let pairs = pairs(2000, false);
    let file = build(&pairs, 4096, ByteOrder::Little);
    for _ in 0..20 {
        let reader = open(&file).unwrap();
        let look = |step: usize| {
            for n in 0..pairs.len() {
                let (key, value) = &pairs[n * step % pairs.len()];
                assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
            }
            for key in absent(500) {
                assert_eq!(reader.get(&key).unwrap(), None);
            }
        };
        thread::scope(|scope| {
            // Primes, so that each thread meets all keys.
            for step in [1, 7, 1009, 1999] {
                let look = &look;
                scope.spawn(move || look(step));
            }
        });
    }
}
