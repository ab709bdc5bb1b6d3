//! What a verification says of files that are intact.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use rpostmap::bdb::OnExisting;
use rpostmap::bdb::PageSize;
use rpostmap::bdb::btree::{BtreeBuilder, BtreeReader, BtreeUpdater};
use rpostmap::bdb::hash::{HashBuilder, HashReader, HashUpdater};
use rpostmap::bdb::verify::{Report, verify};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::common::package_file;
use crate::salvage_laws::any_bytes_as_damaged_file;

fn check(file: &[u8]) -> Report {
    verify(&Store::from_bytes(file)).expect("verify")
}

#[test]
fn every_real_table_is_clean_and_counted() {
    let mut count = 0;
    for entry in fs::read_dir(package_file("tests/data/bdb")).expect("tests/data/bdb") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|suffix| suffix != "db") {
            continue;
        }
        count += 1;
        let name = path.display();
        let file = fs::read(&path).expect("fixture");
        let report = check(&file);
        assert!(report.is_clean(), "{name}: {:?}", report.defects);
        let statistics = report.statistics.expect("statistics");
        assert_eq!(statistics.entries, 307, "{name}");
        let pages = statistics.pages;
        let total = pages.meta
            + pages.bucket
            + pages.chain
            + pages.leaf
            + pages.internal
            + pages.overflow
            + pages.free
            + pages.unused_bucket
            + pages.unowned
            + pages.behind_end;
        let len = u64::from(total) * statistics.page_size.bytes() as u64;
        assert_eq!(len, file.len() as u64, "{name}: {pages:?}");
        // On pages of 65536 bytes nothing is too long.
        let has_long = statistics.page_size.bytes() < 65536;
        assert_eq!(pages.overflow > 0, has_long, "{name}");
        assert_eq!(statistics.off_page_items > 0, has_long, "{name}");
    }
    assert_eq!(count, 25, "tables in tests/data/bdb");
}

#[test]
fn what_we_build_has_not_even_a_warning() {
    for size in [512, 1024, 4096, 65536] {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for count in [0, 1, 2, 50, 3000] {
                let mut entries = Entries::new();
                for at in 0..count {
                    let key = format!(
                        "key{at}{}\0",
                        "k".repeat(if at % 50 == 7 { size } else { 0 })
                    );
                    let value = vec![b'v'; if at % 70 == 9 { 3 * size } else { at % 60 }];
                    entries.insert(key.as_bytes(), &value).expect("insert");
                }
                let page_size = PageSize::new(u32::try_from(size).unwrap()).unwrap();
                let hash = HashBuilder::new().page_size(page_size).byte_order(order);
                let btree = BtreeBuilder::new().page_size(page_size).byte_order(order);
                let (mut hash_file, mut btree_file) = (Vec::new(), Vec::new());
                hash.build(&entries, &mut hash_file).expect("build");
                btree.build(&entries, &mut btree_file).expect("build");
                for file in [hash_file, btree_file] {
                    let report = check(&file);
                    assert!(report.defects.is_empty(), "{size}: {:?}", report.defects);
                    let statistics = report.statistics.expect("statistics");
                    assert_eq!(statistics.entries, count as u64);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn files_are_clean_after_any_updates(
        ops in prop::collection::vec((0..5u8, 0..120u32, 0..4usize), 1..250),
        order in prop::sample::select(vec![ByteOrder::Little, ByteOrder::Big]),
    ) {
        // The same operations on both kinds of file.
        let size = PageSize::new(512).unwrap();
        let (mut hash, mut btree) = (Vec::new(), Vec::new());
        let none = Entries::new();
        let builder = HashBuilder::new().page_size(size).byte_order(order);
        builder.build(&none, &mut hash).unwrap();
        let builder = BtreeBuilder::new().page_size(size).byte_order(order);
        builder.build(&none, &mut btree).unwrap();
        let mut model = BTreeMap::new();
        for round in ops.chunks(40) {
            let mut in_hash = HashUpdater::new(Store::from_bytes(hash.clone())).unwrap();
            let mut in_btree = BtreeUpdater::new(Store::from_bytes(btree.clone())).unwrap();
            for &(op, number, len) in round {
                let long = if number % 11 == 0 { 200 } else { 0 };
                let key = format!("{number}{}", "k".repeat(long)).into_bytes();
                if op == 0 {
                    in_hash.delete(&key).unwrap();
                    in_btree.delete(&key).unwrap();
                    model.remove(&key);
                } else {
                    let value = vec![op; [3, 40, 128, 1500][len]];
                    in_hash.put(&key, &value, OnExisting::Replace).unwrap();
                    in_btree.put(&key, &value, OnExisting::Replace).unwrap();
                    model.insert(key, value);
                }
            }
            in_hash.commit(&mut hash).unwrap();
            in_btree.commit(&mut btree).unwrap();
            for file in [&hash, &btree] {
                let report = check(file);
                prop_assert!(report.defects.is_empty(), "{:?}", report.defects);
                prop_assert_eq!(report.statistics.unwrap().entries, model.len() as u64);
                any_bytes_as_damaged_file(file);
            }
        }
    }

    #[test]
    fn a_file_that_is_called_clean_can_be_listed(
        fixture in 0..7usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let name = [
            "libdb-5.3-hash-512-le",
            "libdb-4.5-hash-512-be",
            "libdb-4.0-hash-512-le",
            "libdb-5.3-hash-checksum-4096-le",
            "libdb-5.3-btree-512-le",
            "libdb-4.0-btree-4096-be",
            "libdb-3.0-btree-4096-le",
        ][fixture];
        let mut file = fs::read(package_file("tests/data/bdb").join(format!("{name}.db"))).unwrap();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if check(&file).is_clean() {
            let store = Store::from_bytes(file);
            if name.contains("-hash-") {
                HashReader::new(store).unwrap().iter().unwrap().for_each(|pair| drop(pair.unwrap()));
            } else {
                BtreeReader::new(store).unwrap().iter().unwrap().for_each(|pair| drop(pair.unwrap()));
            }
        }
    }
}
