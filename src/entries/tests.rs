use super::*;

fn list(entries: &Entries) -> Vec<(&[u8], &[u8])> {
    entries.iter().collect()
}

#[test]
fn of_two_entries_the_first_stays_unless_asked_otherwise() {
    let mut entries = Entries::new();
    assert_eq!(entries.insert(b"a", b"1").unwrap(), Inserted::New);
    assert_eq!(entries.insert(b"b", b"2").unwrap(), Inserted::New);
    assert_eq!(entries.insert(b"a", b"3").unwrap(), Inserted::Duplicate);
    assert_eq!(list(&entries), [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
    assert_eq!(entries.len(), 2);
}

fn put_last(entries: &mut Entries, key: &[u8], value: &[u8]) -> Inserted {
    entries
        .insert_or(OnDuplicate::KeepLast, key, value)
        .unwrap()
}

#[test]
fn a_removed_entry_is_gone_and_can_come_back() {
    let mut entries = Entries::new();
    entries.insert(b"a", b"1").unwrap();
    assert!(entries.contains(b"a"));
    assert!(entries.remove(b"a"));
    assert!(!entries.remove(b"a") && !entries.contains(b"a") && entries.is_empty());
    assert_eq!(entries.insert(b"a", b"2").unwrap(), Inserted::New);
    assert_eq!(list(&entries), [(&b"a"[..], &b"2"[..])]);
}

#[test]
fn the_last_entry_stays_in_the_last_place_when_asked() {
    let mut entries = Entries::new();
    put_last(&mut entries, b"a", b"1");
    put_last(&mut entries, b"b", b"2");
    assert_eq!(put_last(&mut entries, b"a", b"3"), Inserted::Duplicate);
    assert_eq!(put_last(&mut entries, b"a", b"4"), Inserted::Duplicate);
    assert_eq!(list(&entries), [(&b"b"[..], &b"2"[..]), (b"a", b"4")]);
    assert_eq!(entries.len(), 2);
}

#[test]
fn all_entries_of_a_key_stay_when_asked() {
    let mut entries = Entries::new();
    for (key, value) in [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"1")] {
        assert_eq!(entries.check_distinct().is_err(), entries.len() > 2);
        let inserted = entries.insert_or(OnDuplicate::KeepAll, key, value).unwrap();
        assert_eq!(inserted == Inserted::New, entries.len() < 3);
    }
    let all: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"1")];
    assert_eq!(list(&entries), all);
    assert_eq!(entries.len(), 4);
    for i in 0..30_000u32 {
        put_last(&mut entries, b"c", &i.to_le_bytes());
    }
    assert_eq!(list(&entries)[..4], all, "they outlive a clean-up");
    assert_eq!(entries.len(), 5);
}

#[test]
fn of_several_entries_with_a_key_each_can_be_removed_and_all_replaced() {
    let mut entries = Entries::new();
    for (key, value) in [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"4")] {
        entries.insert_or(OnDuplicate::KeepAll, key, value).unwrap();
    }
    assert!(entries.remove(b"a"));
    assert_eq!(entries.get(b"a"), Some(&b"3"[..]));
    assert_eq!(put_last(&mut entries, b"a", b"5"), Inserted::Duplicate);
    assert_eq!(list(&entries), [(&b"b"[..], &b"2"[..]), (b"a", b"5")]);
    assert_eq!(entries.get(b"a"), Some(&b"5"[..]));
    assert!(entries.remove(b"a") && !entries.remove(b"a") && !entries.contains(b"a"));
    assert_eq!(entries.len(), 1);
}

#[test]
fn replaced_entries_do_not_pile_up() {
    let mut entries = Entries::new();
    for i in 0..100_000u32 {
        put_last(
            &mut entries,
            format!("{}", i % 100).as_bytes(),
            &[b'v'; 100],
        );
    }
    assert_eq!(entries.len(), 100);
    assert!(
        entries.arena.len() < 3 * COMPACT_MIN * 103,
        "{}",
        entries.arena.len()
    );
    assert_eq!(entries.iter().count(), 100);
    assert!(entries.contains(b"42"));
    assert_eq!(entries.get(b"42"), Some(&[b'v'; 100][..]));
    assert_eq!(entries.get(b"100"), None);
}

#[test]
fn a_collection_without_its_index_is_the_same() {
    let mut entries = Entries::new();
    entries.insert(b"a", b"1").unwrap();
    entries.insert(b"b", b"2").unwrap();
    entries.insert(b"0", b"3").unwrap();
    entries.remove(b"b");
    entries.drop_index();
    assert_eq!(entries.len(), 2);
    assert_eq!(list(&entries), [(&b"a"[..], &b"1"[..]), (b"0", b"3")]);
    assert!(entries.contains(b"0") && !entries.contains(b"b"));
    assert_eq!(entries.insert(b"0", b"4").unwrap(), Inserted::Duplicate);
    assert_eq!(entries.insert(b"b", b"5").unwrap(), Inserted::New);
    entries.drop_index();
    assert_eq!(entries.get(b"b"), Some(&b"5"[..]));
}

#[test]
fn keys_in_order_need_no_index_and_are_told_apart_all_the_same() {
    let mut entries = Entries::new();
    for key in [&b""[..], b"a", b"a\0", b"b"] {
        assert!(!entries.contains(key));
        assert_eq!(entries.insert(key, b"1").unwrap(), Inserted::New);
        assert!(entries.contains(key));
    }
    assert!(entries.index.get().is_none() && !entries.contains(b"aa"));
    for (key, value) in entries.iter() {
        assert_eq!(entries.get(key), Some(value));
    }
    let mut replaced = Entries::new();
    replaced.insert(b"b", b"1").unwrap();
    assert_eq!(put_last(&mut replaced, b"b", b"2"), Inserted::Duplicate);
    assert_eq!(list(&replaced), [(&b"b"[..], &b"2"[..])]);
    // Out of order, and there already.
    assert_eq!(entries.insert(b"a", b"2").unwrap(), Inserted::Duplicate);
    assert_eq!(entries.insert(b"aa", b"2").unwrap(), Inserted::New);
    assert_eq!(entries.insert(b"c", b"2").unwrap(), Inserted::New);
    assert_eq!(entries.insert(b"aa", b"3").unwrap(), Inserted::Duplicate);
    assert_eq!((entries.ascending_end(), entries.len()), (4, 6));
    assert!(entries.remove(b"") && !entries.remove(b""));
    assert_eq!(entries.len(), 5);
}

#[test]
fn empty_keys_and_values_are_entries() {
    let mut entries = Entries::new();
    assert_eq!(entries.insert(b"", b"").unwrap(), Inserted::New);
    assert_eq!(entries.insert(b"", b"x").unwrap(), Inserted::Duplicate);
    assert_eq!(list(&entries), [(&b""[..], &b""[..])]);
}

#[test]
fn many_entries_keep_their_order() {
    let mut entries = Entries::new();
    let keys: Vec<String> = (0..20_000)
        .map(|i| format!("key{}", i * 7919 % 20_000))
        .collect();
    for key in keys.iter().chain(&keys) {
        entries.insert(key.as_bytes(), b"").unwrap();
    }
    let listed: Vec<&[u8]> = entries.iter().map(|(key, _)| key).collect();
    assert_eq!(
        listed,
        keys.iter().map(String::as_bytes).collect::<Vec<_>>()
    );
}
