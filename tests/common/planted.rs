//! Real files with one defect each, planted on purpose: the invariant it breaks, where, and whether
//! Berkeley DB's own verifier notices.

use std::fs;

use rpostmap::bdb::OnExisting;
use rpostmap::bdb::PageSize;
use rpostmap::bdb::btree::BtreeBuilder;
use rpostmap::bdb::hash::function::HashFunction;
use rpostmap::bdb::hash::{HashBuilder, HashUpdater};
use rpostmap::bdb::verify::Invariant::{self, *};
use rpostmap::entries::Entries;
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

use crate::common::package_file;

const SIZE: usize = 512;

/// A file with a defect.
pub(crate) struct Planted {
    pub(crate) rule: Invariant,
    pub(crate) page: Option<usize>,
    pub(crate) file: File,
    /// Whether `db5.3_verify` fails on it.
    pub(crate) libdb_fails: bool,
}

/// A little-endian file with pages of 512 bytes.
#[derive(Clone)]
pub(crate) struct File(pub(crate) Vec<u8>);

impl File {
    fn u32(&self, page: usize, offset: usize) -> usize {
        let at = page * SIZE + offset;
        let bytes = self.0[at..][..4].try_into().unwrap();
        u32::from_le_bytes(bytes).try_into().unwrap()
    }

    fn u16(&self, page: usize, offset: usize) -> usize {
        let at = page * SIZE + offset;
        u16::from_le_bytes(self.0[at..][..2].try_into().unwrap()).into()
    }

    fn byte(&self, page: usize, offset: usize) -> u8 {
        self.0[page * SIZE + offset]
    }

    fn with_u32(&self, page: usize, offset: usize, value: usize) -> File {
        let mut file = self.clone();
        let value = u32::try_from(value).unwrap();
        file.0[page * SIZE + offset..][..4].copy_from_slice(&value.to_le_bytes());
        file
    }

    fn with_u16(&self, page: usize, offset: usize, value: usize) -> File {
        let mut file = self.clone();
        let value = u16::try_from(value).unwrap();
        file.0[page * SIZE + offset..][..2].copy_from_slice(&value.to_le_bytes());
        file
    }

    fn with_byte(&self, page: usize, offset: usize, value: u8) -> File {
        let mut file = self.clone();
        file.0[page * SIZE + offset] = value;
        file
    }

    /// The items of a hash page become these.
    fn with_items(&self, page: usize, items: &[&[u8]]) -> File {
        let mut file = self.clone();
        let mut end = SIZE;
        for (slot, item) in items.iter().enumerate() {
            let start = end - item.len();
            file.0[page * SIZE + start..page * SIZE + end].copy_from_slice(item);
            file = file.with_u16(page, 26 + 2 * slot, start);
            end = start;
        }
        file.with_u16(page, 20, items.len()).with_u16(page, 22, end)
    }

    /// Pages whose type and further property are these.
    fn pages(&self, kind: u8, is: impl Fn(&File, usize) -> bool) -> Vec<usize> {
        let all = 1..self.0.len() / SIZE;
        all.filter(|&page| self.byte(page, 25) == kind && is(self, page))
            .collect()
    }

    fn page(&self, kind: u8, is: impl Fn(&File, usize) -> bool) -> usize {
        self.pages(kind, is)[0]
    }

    /// Page and offset of items of a type on hash pages, in file order.
    fn items(&self, item_type: u8) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for page in self.pages(13, |_, _| true) {
            for slot in 0..self.u16(page, 20) {
                let offset = self.u16(page, 26 + 2 * slot);
                if self.byte(page, offset) == item_type {
                    found.push((page, offset));
                }
            }
        }
        found
    }
}

/// A hash file with chains, overflow pages, free pages and pages of buckets not in use.
pub(crate) fn hash_file() -> File {
    let mut file = Vec::new();
    let size = PageSize::new(512).unwrap();
    HashBuilder::new()
        .page_size(size)
        .byte_order(ByteOrder::Little)
        .build(&Entries::new(), &mut file)
        .unwrap();
    for deletes in [false, true] {
        let mut update = HashUpdater::new(Store::from_bytes(file.clone())).unwrap();
        for at in 0..150 {
            let key = format!("key{at}@example.com\0");
            let long = if at % 25 == 0 { 1300 } else { 0 };
            let value = format!("value {at}{}\0", "v".repeat(long));
            if deletes && at % 50 == 0 {
                assert!(update.delete(key.as_bytes()).unwrap());
            } else if !deletes {
                let value = value.as_bytes();
                update.put(key.as_bytes(), value, OnExisting::Keep).unwrap();
            }
        }
        update.commit(&mut file).unwrap();
    }
    File(file)
}

/// A btree file of three levels.
pub(crate) fn btree_file() -> File {
    let mut entries = Entries::new();
    for at in 0..1500 {
        let long = if at % 50 == 0 { 1300 } else { 0 };
        let key = format!("key{at}@example.com\0");
        let value = format!("value {at}{}\0", "v".repeat(long));
        entries.insert(key.as_bytes(), value.as_bytes()).unwrap();
    }
    let mut file = Vec::new();
    BtreeBuilder::new()
        .page_size(PageSize::new(512).unwrap())
        .byte_order(ByteOrder::Little)
        .build(&entries, &mut file)
        .unwrap();
    File(file)
}

/// Two keys of a bucket, in order.
fn keys_of(file: &File, bucket: u32) -> [Vec<u8>; 2] {
    let high = u32::try_from(file.u32(0, 76)).unwrap();
    let all = (0..).map(|at: u32| [&b"\x01"[..], format!("{at:06}").as_bytes()].concat());
    let mut keys = all.filter(|key| HashFunction::Func5.hash(&key[1..]) & high == bucket);
    [keys.next().unwrap(), keys.next().unwrap()]
}

fn first_page_of(file: &File, bucket: usize) -> usize {
    let group = usize::BITS - bucket.leading_zeros();
    bucket + file.u32(0, 96 + 4 * group as usize)
}

/// One file for each invariant.
pub(crate) fn planted() -> Vec<Planted> {
    let mut all = Vec::new();
    let mut plant = |rule, page, libdb_fails, file: File| {
        all.push(Planted {
            rule,
            page,
            file,
            libdb_fails,
        });
    };
    let base = hash_file();
    let last = base.0.len() / SIZE - 1;
    let max_bucket = base.u32(0, 72);

    plant(F1, None, true, File(base.0[..300].to_vec()));
    // Berkeley DB is content with a meta page alone.
    plant(F1, None, false, File(base.0[..512].to_vec()));
    plant(F2, None, false, File([&base.0[..], &[0; 100]].concat()));
    plant(F3, Some(0), true, base.with_u32(0, 32, last - 3));
    let bucket = base.page(13, |file, page| {
        file.u32(page, 16) == 0 && file.u16(page, 20) > 8
    });
    plant(F4, Some(bucket), true, base.with_u32(bucket, 8, 7777));
    let (holder, item) = base.items(3)[0];
    let chain = base.u32(holder, item + 4);
    plant(
        F5,
        Some(bucket),
        true,
        base.with_u32(holder, item + 4, bucket),
    );
    plant(F6, Some(0), true, base.with_u32(0, 28, last + 5));
    let free = base.u32(0, 28);
    plant(F6, Some(free), true, base.with_u32(free, 16, free));
    plant(F6, Some(bucket), true, base.with_u32(0, 28, bucket));
    plant(F7, Some(free), true, base.with_byte(free, 25, 13));
    plant(F8, Some(chain), true, base.with_byte(holder, item, 1));
    let mut longer = base.with_u32(0, 32, last + 1);
    longer.0.resize(longer.0.len() + SIZE, 0);
    plant(F9, Some(last + 1), false, longer);
    let name = "tests/data/bdb/libdb-5.3-hash-checksum-4096-le.db";
    let mut checksum = File(fs::read(package_file(name)).expect("fixture"));
    let len = checksum.0.len();
    // In the last page of 4096 bytes.
    checksum.0[len - 1] ^= 1;
    plant(F10, Some(len / 4096 - 1), true, checksum);

    plant(M1, Some(0), true, base.with_u32(0, 8, 5));
    plant(M2, Some(0), true, base.with_byte(0, 25, 9));
    plant(M2, Some(0), true, base.with_u32(0, 12, 0x1234));
    plant(M2, Some(0), true, base.with_u32(0, 16, 77));
    plant(M3, Some(0), true, base.with_u32(0, 20, 513));
    plant(M4, Some(0), true, base.with_byte(0, 24, 1));
    plant(M4, Some(0), false, base.with_u32(0, 48, 0x40));

    let entry_count = base.u16(bucket, 20);
    let odd = base.with_u16(bucket, 20, entry_count - 1);
    plant(P2, Some(bucket), false, odd);
    plant(P3, Some(bucket), true, base.with_u16(bucket, 28, 600));
    let items_offset = base.u16(bucket, 22);
    let wrong = base.with_u16(bucket, 22, items_offset - 2);
    plant(P4, Some(bucket), false, wrong);
    let key_offset = base.u16(bucket, 26);
    plant(
        P5,
        Some(bucket),
        true,
        base.with_byte(bucket, key_offset, 9),
    );
    let page0 = first_page_of(&base, 0);
    let [key_a, key_b] = keys_of(&base, 0);
    let (long, value) = ([&[1][..], &[b'v'; 200]].concat(), b"\x01v");
    plant(
        P6,
        Some(page0),
        false,
        base.with_items(page0, &[&key_a, &long]),
    );

    plant(H1, Some(0), true, base.with_u32(0, 92, 1));
    plant(H2, Some(0), true, base.with_u32(0, 72, last + 9));
    plant(H3, Some(0), true, base.with_u32(0, 76, 0x7f_ffff));
    plant(H4, Some(0), true, base.with_u32(0, 80, 1));
    plant(H5, Some(0), true, base.with_u32(0, 96 + 4 * 2, last));
    plant(H5, Some(0), true, base.with_u32(0, 96 + 4 * 2, 0));
    plant(H6, Some(bucket), true, base.with_byte(bucket, 25, 5));
    let links = base.pages(13, |file, page| file.u32(page, 12) != 0);
    let link = links[0];
    plant(H7, Some(link), true, base.with_u32(link, 12, 1));
    plant(H7, Some(link), true, base.with_u32(link, 16, last + 9));
    plant(H8, Some(link), true, base.with_u32(link, 16, link));
    plant(H9, Some(link), false, base.with_items(link, &[]));
    plant(H10, Some(bucket), true, {
        // The last letter of "com".
        let end = 510;
        base.with_byte(bucket, end, base.byte(bucket, end) ^ 1)
    });
    let swapped = base.with_items(page0, &[&key_b, value, &key_a, value]);
    plant(H11, Some(page0), false, swapped);
    let unused = first_page_of(&base, max_bucket + 1);
    let mut used = base.clone();
    used.0
        .copy_within(page0 * SIZE..(page0 + 1) * SIZE, unused * SIZE);
    let used = used.with_u32(unused, 8, unused).with_u32(unused, 16, 0);
    plant(H12, Some(unused), true, used);
    let twice = base.with_items(page0, &[&key_a, value, &key_a, value]);
    plant(H13, Some(page0), false, twice);
    plant(H14, Some(0), true, base.with_u32(0, 88, 0x8000_0001));

    let (second, other) = (base.u32(chain, 16), base.items(3)[1]);
    plant(O1, Some(holder), true, base.with_u32(holder, item + 4, 0));
    plant(O1, Some(chain), true, base.with_u32(chain, 16, last + 9));
    plant(O2, Some(second), true, base.with_byte(second, 25, 13));
    plant(O3, Some(second), true, base.with_u32(second, 12, second));
    plant(O4, Some(chain), true, base.with_u16(chain, 20, 2));
    let final_part = base.u32(second, 16);
    let part_len = base.u16(final_part, 22);
    let short = base.with_u16(final_part, 22, part_len - 1);
    plant(O5, Some(final_part), true, short);
    plant(
        O6,
        Some(chain),
        true,
        base.with_u32(other.0, other.1 + 4, chain),
    );

    plant_in_btree(&mut plant);
    all
}

fn plant_in_btree(plant: &mut impl FnMut(Invariant, Option<usize>, bool, File)) {
    let base = btree_file();
    let last = base.0.len() / SIZE - 1;
    let leaf = base.u32(1, 92);
    // From the root down the first children to a leaf.
    let child = |page: usize, slot: usize| base.u32(page, base.u16(page, 26 + 2 * slot) + 4);
    assert_eq!(base.byte(1, 24), 3, "levels");
    let node = child(1, 0);
    let (first, second) = (child(node, 0), child(node, 1));
    assert_eq!(leaf, 0);

    plant(F8, Some(last + 1), true, {
        let mut file = base.with_u32(0, 32, last + 1);
        file.0.resize(file.0.len() + SIZE, 0);
        file.with_u32(last + 1, 8, last + 1)
            .with_byte(last + 1, 25, 5)
    });
    plant(B1, Some(0), true, base.with_u32(0, 76, 1));
    plant(B2, Some(0), true, base.with_u32(0, 88, 2));
    plant(B3, Some(0), true, base.with_u32(0, 80, 5));
    let item = base.u16(node, 28);
    plant(
        B4,
        Some(node),
        true,
        base.with_u32(node, item + 4, last + 9),
    );
    plant(B5, Some(first), true, base.with_u32(node, item + 4, first));
    plant(B6, Some(second), true, base.with_byte(second, 25, 13));
    plant(B7, Some(second), true, base.with_byte(second, 24, 2));
    let value = base.u16(second, 28);
    let kind = base.byte(second, value + 2);
    let deleted = base.with_byte(second, value + 2, kind | 0x80);
    plant(B8, Some(second), true, deleted);
    plant(B9, Some(node), true, base.with_u16(node, 20, 0));
    let (a, b) = (base.u16(second, 26), base.u16(second, 30));
    let swapped = base.with_u16(second, 26, b).with_u16(second, 30, a);
    plant(B10, Some(second), true, swapped);
    // Behind the length, type, child and record count of the first separator stands its key.
    let separator = base.with_byte(node, item + 12, 0xff);
    plant(B11, Some(second), true, separator);
    plant(B12, Some(first), true, base.with_u32(first, 16, 0));
    plant(P3, Some(second), true, base.with_u16(second, 28, 511));
    let items_offset = base.u16(second, 22);
    let wrong = base.with_u16(second, 22, items_offset - 4);
    plant(P4, Some(second), true, wrong);
    plant(P5, Some(second), true, base.with_byte(second, value + 2, 7));
    let len = base.u16(second, a);
    let shorter = base.with_u16(second, a, len - 5);
    plant(P7, Some(second), true, shorter);
}
