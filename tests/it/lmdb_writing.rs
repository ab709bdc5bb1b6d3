//! `lmdb:` tables made and changed by the command.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rpostmap::FileFormat;
use rpostmap::entries::OnDuplicate;
use rpostmap::file::store::{Store, StoreMode};
use rpostmap::lmdb::verify::verify;
use rpostmap::lmdb::{DataVersion, Layout, LmdbReader};
use rpostmap::table::{Missing, TableUpdater};

use crate::common::{TestDir, set_mode};

const NOT_LMDB: &str =
    "postmap: fatal: open database t.lmdb: MDB_INVALID: File is not an LMDB file\n";

/// `count` lines of source text.
fn source(count: u32) -> String {
    (0..count)
        .map(|i| format!("user{i:06}@example.com\tmailbox{i}/\n"))
        .collect()
}

fn layout(path: &Path) -> Layout {
    let store = Store::open(path, StoreMode::MEMORY).unwrap();
    *LmdbReader::new(store).unwrap().layout()
}

#[track_caller]
fn assert_sound(path: &Path) {
    let report = verify(&Store::open(path, StoreMode::MEMORY).unwrap()).unwrap();
    assert!(report.is_clean(), "{:?}", report.defects);
}

#[test]
fn tables_are_made_listed_and_changed() {
    let dir = TestDir::new("lmdb");
    dir.write("t", "b 2\na 1\nB 3\n");
    dir.ours("postmap")
        .args(["lmdb:t"])
        .ok()
        .stderr_is("postmap: warning: lmdb:t: duplicate entry: \"b\"\n");
    let list = || dir.ours("postmap").args(["-s", "lmdb:t"]).ok();
    list().stdout_is("a\t1\nb\t2\n");
    assert_eq!(dir.names(), ["t", "t.lmdb"]);
    dir.ours("postmap")
        .args(["-i", "lmdb:t"])
        .stdin("c 3\nA 9\n")
        .ok()
        .stderr_is("postmap: warning: lmdb:t: duplicate entry: \"a\"\n");
    list().stdout_is("a\t1\nb\t2\nc\t3\n");
    dir.ours("postmap")
        .args(["-ir", "lmdb:t"])
        .stdin("A 9\n")
        .ok()
        .stderr_is("");
    dir.ours("postmap").args(["-d", "B", "lmdb:t"]).ok();
    dir.ours("postmap")
        .args(["-d", "b", "lmdb:t"])
        .finish()
        .status_is(1)
        .stderr_is("");
    list().stdout_is("a\t9\nc\t3\n");
    assert_eq!(dir.names(), ["t", "t.lmdb"]);
    assert_sound(&dir.file("t.lmdb"));
}

#[test]
fn a_key_that_is_too_long_leaves_the_old_table() {
    let dir = TestDir::new("lmdb");
    dir.write("t", "a 1\n");
    dir.ours("postmap").args(["lmdb:t"]).ok();
    let before = fs::read(dir.file("t.lmdb")).unwrap();
    let long = "k".repeat(511);
    dir.write("t", format!("b 2\n{long} 1\nc\n"));
    let text = "MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size";
    let said = format!("postmap: fatal: error updating lmdb:t: {text}\n");
    // The line behind it is not reached.
    dir.ours("postmap")
        .args(["lmdb:t"])
        .finish()
        .status_is(1)
        .stderr_is(&said);
    let add = || dir.ours("postmap").args(["-i"]);
    add()
        .args(["lmdb:t"])
        .stdin(format!("{long} 1\n"))
        .finish()
        .status_is(1)
        .stderr_is(&said);
    assert!(fs::read(dir.file("t.lmdb")).unwrap() == before);
    add()
        .args(["-n", "lmdb:t"])
        .stdin(format!("{long} 1\n"))
        .ok();
    dir.ours("rpostmap")
        .args(["--lmdb-format=1.0", "lmdb:t"])
        .finish()
        .status_is(0);
    let said = format!("error updating lmdb:u: key of {} bytes", 1979);
    dir.write("u", format!("{} 1\n", "k".repeat(1978)));
    let end = dir
        .ours("rpostmap")
        .args(["--lmdb-format=1.0", "lmdb:u"])
        .finish()
        .status_is(1);
    assert!(
        String::from_utf8_lossy(&end.stderr).contains(&said),
        "{end}"
    );
    assert_eq!(dir.names(), ["t", "t.lmdb", "u"]);
}

#[test]
fn what_was_never_a_table_is_not_replaced() {
    let dir = TestDir::new("lmdb");
    dir.write("t", "a 1\n");
    for content in [b"this is not a database\n".to_vec(), vec![0; 8192]] {
        dir.write("t.lmdb", &content);
        for words in [&["lmdb:t"][..], &["-d", "a", "lmdb:t"]] {
            let end = dir.ours("postmap").args(words).finish();
            end.status_is(1).stderr_is(NOT_LMDB);
        }
        let end = dir.ours("postmap").args(["-i", "lmdb:t"]).stdin("b 2\n");
        end.finish().status_is(1).stderr_is(NOT_LMDB);
        assert_eq!(fs::read(dir.file("t.lmdb")).unwrap(), content);
    }
    fs::remove_file(dir.file("t.lmdb")).unwrap();
    fs::create_dir(dir.file("t.lmdb")).unwrap();
    dir.ours("postmap")
        .args(["lmdb:t"])
        .finish()
        .status_is(1)
        .stderr_is("postmap: fatal: open database t.lmdb: Is a directory\n");
    assert_eq!(dir.names(), ["t", "t.lmdb"]);
}

#[test]
fn a_damaged_table_can_be_built_again_but_not_changed() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(2000));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let good = fs::read(dir.file("t.lmdb")).unwrap();
    let mut bad = good.clone();
    // A leaf that none of the new keys goes to.
    bad[5 * 4096 + 12] ^= 0x55;
    dir.write("t.lmdb", &bad);
    let end = dir.ours("rpostmap").args(["-i", "lmdb:t"]).stdin("z 1\n");
    let end = end.finish().status_is(1);
    let said = String::from_utf8_lossy(&end.stderr);
    assert!(
        said.contains("t.lmdb: page 5") && said.contains("build it again"),
        "{end}"
    );
    assert!(fs::read(dir.file("t.lmdb")).unwrap() == bad);
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    assert!(fs::read(dir.file("t.lmdb")).unwrap() == good);
}

#[test]
fn no_damage_brings_the_program_down() {
    let dir = TestDir::new("lmdb");
    let mut text = source(500);
    text.push_str(&format!("long {}\n", "v".repeat(9000)));
    dir.write("t", text);
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    // Two changes, so that there is a list of free pages.
    for input in ["x 1\n", "y 2\n"] {
        dir.ours("rpostmap")
            .args(["-i", "lmdb:t"])
            .stdin(input)
            .ok();
    }
    let good = fs::read(dir.file("t.lmdb")).unwrap();
    let mut number = 1u64;
    let mut random = |end: usize| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        usize::try_from(number >> 33).unwrap() % end
    };
    let (mut refused, mut changed) = (0, 0);
    for round in 0..150 {
        let mut bad = good.clone();
        for _ in 0..=random(4) {
            let page = random(good.len() / 4096) * 4096;
            let at = page
                + if random(2) == 0 {
                    random(160)
                } else {
                    random(4096)
                };
            bad[at] = u8::try_from(random(256)).unwrap();
        }
        dir.write("t.lmdb", &bad);
        let words = if round % 2 == 0 { "-i" } else { "-ir" };
        let run = dir.ours("rpostmap").args([words, "lmdb:t"]);
        let end = run
            .stdin("user000250@example.com new\nlong short\n")
            .finish();
        match end.status {
            // Nothing to do: the keys are there.
            0 if fs::read(dir.file("t.lmdb")).unwrap() == bad => {}
            0 => {
                changed += 1;
                assert_sound(&dir.file("t.lmdb"));
            }
            1 => {
                refused += 1;
                assert!(fs::read(dir.file("t.lmdb")).unwrap() == bad, "{end}");
            }
            _ => panic!("round {round}: {end}"),
        }
    }
    assert!(
        refused > 20 && changed > 5,
        "{refused} refused, {changed} changed"
    );
}

#[test]
fn the_format_of_lmdb_1_0_is_made_and_read_but_not_changed() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(3000));
    let list = || dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    assert_eq!(layout(&dir.file("t.lmdb")).version, DataVersion::V1);
    let listing = list().stdout;
    dir.ours("rpostmap")
        .args(["--lmdb-format", "1.0", "lmdb:t"])
        .ok();
    assert_eq!(layout(&dir.file("t.lmdb")).version, DataVersion::V3);
    assert!(list().stdout == listing);
    assert_sound(&dir.file("t.lmdb"));
    let before = fs::read(dir.file("t.lmdb")).unwrap();
    for words in [
        &["-i", "lmdb:t"][..],
        &["-d", "user000001@example.com", "lmdb:t"],
    ] {
        let end = dir.ours("rpostmap").args(words).stdin("a 1\n").finish();
        let end = end.status_is(1);
        let said = String::from_utf8_lossy(&end.stderr);
        assert!(
            said.contains("open database t.lmdb: ") && said.contains("build it again"),
            "{end}"
        );
    }
    assert!(fs::read(dir.file("t.lmdb")).unwrap() == before);
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    assert_eq!(layout(&dir.file("t.lmdb")).version, DataVersion::V1);
    dir.ours("postmap")
        .args(["--lmdb-format=1.0", "lmdb:t"])
        .finish()
        .status_is(1);
}

#[test]
fn files_without_a_byte_and_links_to_nothing_are_where_the_table_goes() {
    let dir = TestDir::new("lmdb");
    dir.write("t", "a 1\n");
    dir.write("t.lmdb", "");
    set_mode(&dir.file("t.lmdb"), 0o606);
    dir.ours("postmap").args(["lmdb:t"]).ok().stderr_is("");
    assert_eq!(dir.mode("t.lmdb"), 0o606);
    dir.write("t.lmdb", "");
    dir.ours("postmap")
        .args(["-i", "lmdb:t"])
        .stdin("b 2\n")
        .ok();
    let list = || dir.ours("postmap").args(["-s", "lmdb:t"]).ok();
    list().stdout_is("b\t2\n");
    fs::create_dir(dir.file("r")).unwrap();
    for words in [&["lmdb:t"][..], &["-i", "lmdb:t"], &["lmdb:t"]] {
        for name in ["t.lmdb", "r/x.lmdb"] {
            let _ = fs::remove_file(dir.file(name));
        }
        symlink("r/x.lmdb", dir.file("t.lmdb")).unwrap();
        dir.ours("postmap")
            .args(words)
            .stdin("a 1\n")
            .ok()
            .stderr_is("");
        list().stdout_is("a\t1\n");
        assert!(
            fs::symlink_metadata(dir.file("t.lmdb"))
                .unwrap()
                .is_symlink()
        );
        assert_eq!(fs::read_dir(dir.file("r")).unwrap().count(), 1);
    }
    assert_eq!(dir.names(), ["r", "t", "t.lmdb"]);
}

#[test]
fn deleting_from_a_table_that_is_not_there_makes_none() {
    let dir = TestDir::new("lmdb");
    dir.ours("postmap")
        .args(["-d", "a", "lmdb:t"])
        .finish()
        .status_is(1)
        .stderr_is("postmap: fatal: open database t.lmdb: No such file or directory\n");
    assert!(dir.names().is_empty());
    // A new table that cannot be completed leaves nothing behind either.
    let input = format!("{} 1\n", "k".repeat(600));
    let end = dir.ours("postmap").args(["-i", "lmdb:t"]).stdin(input);
    end.finish().status_is(1);
    assert!(dir.names().is_empty());
}

#[test]
fn programs_that_add_at_once_lose_nothing() {
    let dir = TestDir::new("lmdb");
    // There is no table at first, then a small one, then one that is changed in place.
    let part = |part: u32| -> String { (0..300).map(|i| format!("p{part}.{i} {i}\n")).collect() };
    let running: Vec<_> = (0..10)
        .map(|number| {
            let run = dir.ours("rpostmap").args(["-i", "lmdb:t"]);
            run.stdin(part(number)).start()
        })
        .collect();
    for running in running {
        running.finish().status_is(0).stderr_is("");
    }
    let listed = dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
    assert_eq!(listed.sorted_lines().len(), 3000);
    assert_eq!(dir.names(), ["t.lmdb"]);
    dir.write("u", source(20_000));
    dir.ours("rpostmap").args(["lmdb:u"]).ok();
    let inode = fs::metadata(dir.file("u.lmdb")).unwrap().ino();
    let running: Vec<_> = (0..10)
        .map(|number| {
            let run = dir.ours("rpostmap").args(["-i", "lmdb:u"]);
            run.stdin(part(number)).start()
        })
        .collect();
    for running in running {
        running.finish().status_is(0).stderr_is("");
    }
    let listed = dir.ours("rpostmap").args(["-s", "lmdb:u"]).ok();
    assert_eq!(listed.sorted_lines().len(), 23_000);
    assert_eq!(fs::metadata(dir.file("u.lmdb")).unwrap().ino(), inode);
    assert_sound(&dir.file("u.lmdb"));
}

#[test]
fn threads_of_one_program_that_change_a_table_take_turns() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(5000));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let path = dir.file("t.lmdb");
    thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..5 {
                    let missing = Missing::Refuse;
                    let opened = TableUpdater::open(FileFormat::Lmdb, path, missing, &mut |_| {});
                    let mut table = opened.unwrap();
                    let key = format!("thread{number}.{round}\0");
                    let keep = OnDuplicate::KeepFirst;
                    assert!(table.put(key.as_bytes(), b"1\0", keep).unwrap());
                    table.commit(&mut |_| {}).unwrap();
                }
            });
        }
    });
    let listed = dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
    assert_eq!(listed.sorted_lines().len(), 5040);
    assert_sound(&path);
}

#[test]
fn a_table_named_twice_is_not_waited_for() {
    let dir = TestDir::new("lmdb");
    for kind in ["hash", "lmdb"] {
        dir.write("t", "a 1\nb 2\n");
        let table = format!("{kind}:t");
        let again = format!("{kind}:./t");
        dir.ours("rpostmap").args([&table]).ok();
        let run = dir
            .ours("rpostmap")
            .args(["-d", "-", &table, &table, &again]);
        run.limit(Duration::from_secs(20)).stdin("a\n").ok();
        let listed = dir.ours("rpostmap").args(["-s", &table]).ok();
        listed.stdout_is("b\t2\n");
    }
}

#[test]
fn a_table_used_by_locks_of_lmdbs_own_stays_the_file_it_is() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(100));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let inode = || fs::metadata(dir.file("t.lmdb")).unwrap().ino();
    let before = inode();
    dir.write("t.lmdb-lock", "");
    dir.write("t", "b 2\na 1\n");
    // Nobody uses the lock file now, so there is nothing to say.
    dir.ours("rpostmap").args(["lmdb:t"]).ok().stderr_is("");
    let list = || dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
    list().stdout_is("a\t1\nb\t2\n");
    // As much as there is, which would mean a new file otherwise.
    let more = source(200);
    let run = dir.ours("rpostmap").args(["-i", "lmdb:t"]);
    run.stdin(more.as_str()).ok().stderr_is("");
    list().stdout_is(format!("a\t1\nb\t2\n{more}"));
    assert_eq!(inode(), before);
    assert_sound(&dir.file("t.lmdb"));
    fs::remove_file(dir.file("t.lmdb")).unwrap();
    dir.ours("rpostmap").args(["lmdb:t"]).ok().stderr_is("");
    list().stdout_is("a\t1\nb\t2\n");
    fs::remove_file(dir.file("t.lmdb-lock")).unwrap();
    dir.ours("rpostmap").args(["lmdb:t"]).ok().stderr_is("");
    assert_eq!(dir.names(), ["t", "t.lmdb"]);
}

#[test]
fn a_lock_file_that_nobody_uses_does_not_keep_a_bad_table() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(100));
    dir.write("u", "a 1\n");
    let list = || dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
    let format = |name: &str| {
        let argument = format!("--lmdb-format={name}");
        let run = dir.ours("rpostmap").args([&argument, "lmdb:t"]);
        run.ok().stderr_is("");
    };
    dir.write("t.lmdb-lock", "");
    format("0.9");
    format("1.0");
    list().stdout_is(source(100));
    format("0.9");
    list().stdout_is(source(100));
    let mut bytes = fs::read(dir.file("t.lmdb")).unwrap();
    bytes[2 * 4096..].fill(0xa5);
    dir.write("t.lmdb", bytes);
    dir.write("t", "a 1\n");
    dir.ours("rpostmap").args(["lmdb:t"]).ok().stderr_is("");
    list().stdout_is("a\t1\n");
    assert_sound(&dir.file("t.lmdb"));
}

#[test]
fn a_live_program_with_locks_of_its_own_sees_what_we_change() {
    use heed::types::Bytes;
    use heed::{CommitOrAbort, Database, EnvFlags, EnvOpenOptions};

    let dir = TestDir::new("lmdb");
    dir.write("t", source(100));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(1 << 26);
    // SAFETY: nothing here cuts the file short, and the locks of LMDB are used.
    #[expect(unsafe_code, reason = "heed cannot know what others do")]
    let env = unsafe {
        options.flags(EnvFlags::NO_SUB_DIR);
        options.open(dir.file("t.lmdb")).unwrap()
    };
    let txn = env.read_txn().unwrap();
    let opened = env.open_databases_and_commit(txn, |open, txn| {
        let table: Option<Database<'_, Bytes, Bytes>> = open.open_database(txn, None)?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
    });
    let table = opened.unwrap().commit().flatten().unwrap();
    for round in 0..20 {
        let mut txn = env.write_txn().unwrap();
        let key = format!("theirs{round}\0");
        table.put(&mut txn, key.as_bytes(), b"1\0").unwrap();
        txn.commit().unwrap();
        let input = format!("ours{round} 2\n");
        let run = dir.ours("rpostmap").args(["-i", "lmdb:t"]);
        run.stdin(input).ok();
        let txn = env.read_txn().unwrap();
        assert_eq!(table.len(&txn).unwrap(), 100 + 2 * (round + 1));
    }
    dir.write("t", "a 1\n");
    let warning = "rpostmap: warning: t.lmdb: changing in place, in one transaction, because \
                   t.lmdb-lock says that programs use it by locks of LMDB's own\n";
    let run = dir.ours("rpostmap").args(["lmdb:t"]);
    run.ok().stderr_is(warning);
    let run = dir.ours("rpostmap").args(["--lmdb-format=1.0", "lmdb:t"]);
    run.finish().status_is(1);
    let txn = env.read_txn().unwrap();
    assert_eq!(table.len(&txn).unwrap(), 1);
    drop(txn);
    drop(env);
    assert_sound(&dir.file("t.lmdb"));
}

#[test]
fn a_full_disk_leaves_the_old_table() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(20_000));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let before = fs::metadata(dir.file("t.lmdb")).unwrap().len();
    let few: String = (0..900)
        .map(|i| format!("user{:06}@example.com x{i}\n", i * 22))
        .collect();
    dir.write("few", few);
    dir.write("many", source(30_000).replace("mailbox", "other"));
    // Of files no part beyond this length can be written.
    let limit = before / 512;
    for (limit, what) in [
        (100, "rpostmap lmdb:t"),
        (100, "rpostmap -ir lmdb:t < many"),
        (limit, "rpostmap -ir lmdb:t < few"),
    ] {
        let _ = dir.ours("rpostmap");
        let end = dir.shell(&format!("ulimit -f {limit}; {what}")).finish();
        let end = end.status_is(1);
        let text = "rpostmap: fatal: write t.lmdb: File too large\n";
        let end = end.stderr_is(text);
        let after = fs::metadata(dir.file("t.lmdb")).unwrap().len();
        assert_eq!(after, before, "{end}");
        assert_sound(&dir.file("t.lmdb"));
        let listed = dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
        assert!(listed.stdout == source(20_000).as_bytes(), "{what}");
        assert_eq!(dir.names(), ["few", "many", "t", "t.lmdb"], "{what}");
    }
    dir.shell("rpostmap -ir lmdb:t < few").ok();
    assert_sound(&dir.file("t.lmdb"));
}

#[test]
fn a_map_that_is_too_small_grows() {
    let dir = TestDir::new("lmdb");
    dir.main_cf("compatibility_level = 3.6\nlmdb_map_size = 10000\n");
    dir.write("t", source(20_000));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let inode = fs::metadata(dir.file("t.lmdb")).unwrap().ino();
    let few: String = (0..900)
        .map(|i| format!("user{:06}@example.com x{i}\n", i * 22))
        .collect();
    let run = dir.ours("rpostmap").args(["-ir", "lmdb:t"]);
    run.stdin(few).ok().stderr_is("");
    assert_eq!(fs::metadata(dir.file("t.lmdb")).unwrap().ino(), inode);
    assert_sound(&dir.file("t.lmdb"));
    dir.main_cf("compatibility_level = 3.6\nlmdb_map_size = 9223372036854775807\n");
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    dir.main_cf("compatibility_level = 3.6\n");
    let run = dir.ours("rpostmap").args(["-i", "lmdb:t"]);
    run.stdin("a 1\n").ok().stderr_is("");
}

#[test]
fn killed_programs_leave_the_old_table_or_the_new_one() {
    let dir = TestDir::new("lmdb");
    let old = source(20_000);
    dir.write("t", &old);
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let table = fs::read(dir.file("t.lmdb")).unwrap();
    let mut changed: BTreeMap<String, String> = old
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    let few: String = (0..900)
        .map(|i| (format!("user{:06}@example.com", i * 22), format!("x{i}")))
        .map(|(key, value)| {
            let line = format!("{key}\t{value}\n");
            changed.insert(key, value);
            line
        })
        .collect();
    let new: String = changed
        .iter()
        .map(|(key, value)| format!("{key}\t{value}\n"))
        .collect();
    dir.write("t", &new);
    for (words, input) in [(&["lmdb:t"][..], ""), (&["-ir", "lmdb:t"], few.as_str())] {
        dir.write("t.lmdb", &table);
        let whole = dir.ours("rpostmap").args(words).stdin(input).ok().elapsed;
        let (mut olds, mut news) = (0, 0);
        for kill in 0..24u32 {
            dir.write("t.lmdb", &table);
            let mut running = dir.ours("rpostmap").args(words).stdin(input).start();
            thread::sleep(whole * kill / 20 + Duration::from_micros(10));
            running.kill();
            running.finish();
            assert_sound(&dir.file("t.lmdb"));
            let listed = dir.ours("rpostmap").args(["-s", "lmdb:t"]).ok();
            match () {
                () if listed.stdout == old.as_bytes() => olds += 1,
                () if listed.stdout == new.as_bytes() => news += 1,
                () => panic!("neither after kill {kill} of {words:?}"),
            }
        }
        assert!(olds > 0, "{words:?}: {olds} old, {news} new");
        // What killed programs left beside the table goes away.
        dir.ours("rpostmap").args(["lmdb:t"]).ok();
        assert_eq!(dir.names(), ["t", "t.lmdb"]);
    }
}

#[test]
fn readers_need_not_wait_for_entries_that_are_still_to_come() {
    let dir = TestDir::new("lmdb");
    dir.write("t", source(5000));
    dir.ours("rpostmap").args(["lmdb:t"]).ok();
    let _ = dir.ours("rpostmap");
    // The table is locked as soon as standard input is opened; the entry comes after the query.
    dir.shell(
        "mkfifo in out\n\
         rpostmap -i lmdb:t < in &\n\
         exec 3> in\n\
         sleep 0.3\n\
         timeout 20 rpostmap -q user000007@example.com lmdb:t\n\
         { timeout 1 rpostmap -d user000007@example.com lmdb:t; } && echo deleted\n\
         echo x 1 >&3\n\
         exec 3>&-\n\
         wait\n\
         rpostmap -q x lmdb:t\n\
         rm in out",
    )
    .ok()
    .stdout_is("mailbox7/\n1\n");
    assert_eq!(dir.names(), ["t", "t.lmdb"]);
}
