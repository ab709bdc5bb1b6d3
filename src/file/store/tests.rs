use super::*;
use crate::file::lock::FileLock;
use crate::file::testing::TestDir;
use std::fs;
use std::thread;
use std::time::Duration;

#[expect(unsafe_code, reason = "the tests' files are theirs alone")]
fn mapped() -> StoreMode {
    // SAFETY: no test changes a file while a mapped store of it lives.
    unsafe { StoreMode::mapped() }
}

fn free(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    FileLock::try_now(&file, path, LockKind::Flock, LockMode::Exclusive)
        .unwrap()
        .is_some()
}

#[test]
fn all_stores_give_equal_answers() {
    let dir = TestDir::new();
    for content in [b"".as_slice(), b"0123456789"] {
        let path = dir.write("t.db", content);
        let stores = [
            Store::open(&path, StoreMode::AUTO).unwrap(),
            Store::open(&path, StoreMode::MEMORY).unwrap(),
            Store::open(&path, StoreMode::POSITIONED).unwrap(),
            Store::open(&path, mapped()).unwrap(),
            Store::from_bytes(content),
        ];
        for store in &stores {
            let session = store.session().unwrap();
            assert_eq!(session.len(), content.len() as u64, "{store:?}");
            for (offset, len) in [
                (0, 0),
                (0, 1),
                (0, 10),
                (0, 11),
                (3, 4),
                (9, 1),
                (9, 2),
                (10, 0),
                (10, 1),
                (11, 0),
                (u64::MAX, 0),
                (u64::MAX, 1),
                (0, usize::MAX),
                (u64::MAX, usize::MAX),
            ] {
                let expect = usize::try_from(offset)
                    .ok()
                    .and_then(|at| content.get(at..at.checked_add(len)?));
                let got = session.read(offset, len).unwrap();
                assert_eq!(got.as_deref(), expect, "{store:?} {offset} {len}");
                if let Some(got) = got {
                    let borrowed = matches!(got, Cow::Borrowed(_));
                    assert_eq!(borrowed, !session.is_live(), "{store:?}");
                }
            }
        }
    }
}

#[test]
fn a_snapshot_keeps_its_bytes_and_a_live_store_sees_the_new_ones() {
    let dir = TestDir::new();
    let path = dir.write("t.db", "old");
    let memory = Store::open(&path, StoreMode::MEMORY).unwrap();
    let live = Store::open(&path, StoreMode::POSITIONED).unwrap();
    fs::write(&path, "newer").unwrap();
    for (store, expect) in [(&memory, "old"), (&live, "newer")] {
        let session = store.session().unwrap();
        let len = usize::try_from(session.len()).unwrap();
        let bytes = session.read(0, len).unwrap().unwrap();
        assert_eq!(*bytes, *expect.as_bytes());
    }
    assert_ne!(FileState::now(&path).unwrap(), *memory.state().unwrap());
    assert!(free(&path), "no lock is left");
}

#[test]
fn a_live_file_cut_short_during_a_session_is_out_of_range_not_an_error() {
    let dir = TestDir::new();
    let path = dir.write("t.db", "0123456789");
    let store = Store::open(&path, StoreMode::POSITIONED).unwrap();
    let session = store.session().unwrap();
    fs::write(&path, "01").unwrap();
    assert_eq!(session.read(0, 2).unwrap().as_deref(), Some(&b"01"[..]));
    assert_eq!(session.read(0, 10).unwrap(), None);
}

#[test]
fn sessions_of_all_threads_share_one_lock_until_the_last_ends() {
    let dir = TestDir::new();
    let path = dir.write("t.db", "x");
    let store = Store::open(&path, StoreMode::POSITIONED).unwrap();
    assert!(free(&path));
    let first = store.session().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    drop(store.session().unwrap());
                    assert!(!free(&path), "the first session still lives");
                }
            });
        }
    });
    let second = store.session().unwrap();
    drop(first);
    assert!(!free(&path));
    drop(second);
    assert!(free(&path));
}

#[test]
fn opening_and_sessions_wait_for_a_writer() {
    for mode in [StoreMode::MEMORY, StoreMode::POSITIONED] {
        let dir = TestDir::new();
        let path = dir.write("t.db", "");
        let writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let lock = FileLock::wait(&writer, &path, LockKind::Flock, LockMode::Exclusive);
        let lock = lock.unwrap();
        let reader = thread::spawn({
            let path = path.clone();
            move || {
                let store = Store::open(&path, mode).unwrap();
                store.session().unwrap().len()
            }
        });
        thread::sleep(Duration::from_millis(50));
        assert!(!reader.is_finished(), "{mode:?}");
        writer.write_all_at(b"done", 0).unwrap();
        drop(lock);
        assert_eq!(reader.join().unwrap(), 4, "{mode:?}");
    }
}

#[test]
fn a_file_that_lies_about_its_length_is_read_to_its_end() {
    let store = Store::open(Path::new("/proc/self/status"), StoreMode::MEMORY).unwrap();
    assert_eq!(store.state().unwrap().len, 0);
    assert!(!store.session().unwrap().is_empty());
}

#[test]
fn a_locked_file_is_read_from_its_start_each_time() {
    let dir = TestDir::new();
    let path = dir.write("t", "0123456789");
    let file = File::open(&path).unwrap();
    for _ in 0..2 {
        let store = Store::of_locked(file.try_clone().unwrap(), &path, StoreMode::MEMORY).unwrap();
        assert_eq!(store.session().unwrap().len(), 10);
    }
}

#[test]
fn a_directory_cannot_be_opened() {
    let dir = TestDir::new();
    for mode in [StoreMode::MEMORY, StoreMode::POSITIONED] {
        let error = Store::open(dir.root(), mode).unwrap_err();
        let kind = error.io_error().unwrap().kind();
        assert_eq!(kind, io::ErrorKind::IsADirectory, "{mode:?}");
    }
}

#[test]
fn what_is_printed_of_a_store_does_not_show_its_content() {
    let text = format!("{:?}", Store::from_bytes("secret"));
    assert_eq!(text, "Store { path: None, mode: Memory, .. }");
}

#[test]
fn a_store_is_shared_between_threads() {
    fn send_sync<T: Send + Sync>() {}
    send_sync::<Store>();
    send_sync::<Session<'_>>();
}
