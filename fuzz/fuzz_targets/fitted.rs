//! Files whose meta page fits their length.

const PAGE_LEN: usize = 512;

/// `bytes` in pages of 512 bytes, the first of them a meta page with `buckets` + 2 buckets if the
/// file has room for that many. Each page carries its own number unless bit 3 of `choice` is set.
pub(crate) fn fitted(bytes: &[u8], choice: u8, buckets: u8) -> Vec<u8> {
    let big_endian = choice & 1 != 0;
    let duplicates = u32::from(choice >> 1 & 1);
    let foreign_function = choice & 4 != 0;
    let number_pages = choice & 8 == 0;

    let mut file = bytes.to_vec();
    let page_count = file.len().div_ceil(PAGE_LEN).max(3);
    file.resize(page_count * PAGE_LEN, 0);
    let mut put = |offset: usize, value: u32| {
        let value = if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        file[offset..offset + 4].copy_from_slice(&value);
    };
    let page_count = page_count as u32;
    // Pages of all groups must exist: up to the next power of two.
    let mut max_bucket = 1 + u32::from(buckets);
    while (max_bucket + 1).next_power_of_two() >= page_count && max_bucket > 1 {
        max_bucket /= 2;
    }
    let high_mask = (max_bucket + 1).next_power_of_two() - 1;
    for offset in (0..PAGE_LEN).step_by(4) {
        put(offset, 0);
    }
    for (offset, value) in [
        (12, 0x0006_1561),
        (16, 9),
        (20, PAGE_LEN as u32),
        (32, page_count - 1),
        (48, duplicates),
        (72, max_bucket),
        (76, high_mask),
        (80, high_mask >> 1),
        (92, if foreign_function { 0 } else { 0x5e68_8dd1 }),
    ] {
        put(offset, value);
    }
    for group in 0..=(max_bucket + 1).next_power_of_two().trailing_zeros() {
        put(96 + 4 * group as usize, 1);
    }
    if number_pages {
        for page in 1..page_count {
            put(page as usize * PAGE_LEN + 8, page);
        }
    }
    file[25] = 8;
    file
}

/// `bytes` in pages of 512 bytes, the first of them the meta page of a btree whose free list begins
/// at page `free`. Each page carries its own number unless bit 3 of `choice` is set.
#[allow(dead_code, reason = "one target of two makes them")]
pub(crate) fn fitted_btree(bytes: &[u8], choice: u8, free: u32) -> Vec<u8> {
    let mut file = bytes.to_vec();
    let page_count = file.len().div_ceil(PAGE_LEN).max(2);
    file.resize(page_count * PAGE_LEN, 0);
    let mut put = |offset: usize, value: u32| {
        let value = if choice & 1 != 0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        file[offset..offset + 4].copy_from_slice(&value);
    };
    for offset in (0..PAGE_LEN).step_by(4) {
        put(offset, 0);
    }
    for (offset, value) in [
        (12, 0x0005_3162),
        (16, 9),
        (20, PAGE_LEN as u32),
        (28, free),
        (32, page_count as u32 - 1),
        (76, 2),
        (84, 0x20),
        (88, 1),
    ] {
        put(offset, value);
    }
    if choice & 8 == 0 {
        for page in 1..page_count {
            put(page * PAGE_LEN + 8, page as u32);
        }
    }
    file[25] = 9;
    file
}
