//! A rebuild is all or nothing, and waits for whoever holds the table's lock.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::common::{Outcome, TestDir, find_program, is_stand_in, shout};

const ENTRIES: usize = 100_000;
const KILLS: u32 = 40;

/// A source whose every value carries the version.
fn source(version: u32) -> Vec<u8> {
    let lines = (0..ENTRIES).map(|i| format!("user{i:06}@example.com smtp:[v{version}.example]\n"));
    lines.collect::<String>().into_bytes()
}

/// The one version all the listed values carry.
fn version_of(listing: &Outcome) -> u32 {
    let lines = listing
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut keys = BTreeSet::new();
    let mut versions = BTreeSet::new();
    for line in lines {
        let text = std::str::from_utf8(line).expect("the source is ASCII");
        let (key, value) = text.split_once('\t').expect("key TAB value");
        keys.insert(key);
        versions.insert(value);
    }
    assert_eq!(keys.len(), ENTRIES, "keys\n{listing}");
    assert_eq!(versions.len(), 1, "versions mixed: {versions:?}\n{listing}");
    let value = versions.first().expect("there is one");
    let number = value
        .strip_prefix("smtp:[v")
        .and_then(|rest| rest.strip_suffix(".example]"));
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("odd value {value}"))
}

#[test]
fn killed_rebuild_leaves_all_of_the_old_table_or_all_of_the_new_one() {
    if is_stand_in() {
        return shout("kill test: the original rewrites tables in place");
    }
    let dir = TestDir::new("kill");
    dir.write("t", source(0));
    let mut duration = dir.ours("rpostmap").args(["hash:t"]).ok().elapsed;
    let verify = find_program("db5.3_verify");
    let mut random = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("clock")
        .subsec_nanos();
    let seed = random;
    let mut current = 0;
    let mut killed = 0;
    for round in 1..=KILLS {
        dir.write("t", source(round));
        let mut running = dir.ours("rpostmap").args(["hash:t"]).start();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Spread over the whole run and a little beyond, in an order that is not the rounds'.
        let part = f64::from((round * 7) % KILLS) + f64::from(random) / f64::from(u32::MAX);
        sleep(duration.mul_f64(1.05 * part / f64::from(KILLS)));
        running.kill();
        let end = running.finish();
        assert!(
            matches!(end.status, 0 | -9),
            "seed {seed}, round {round}\n{end}"
        );
        killed += u32::from(end.status != 0);
        // How long a run takes depends on what else the machine does: follow it.
        duration = duration.mul_f64(if end.status == 0 { 0.85 } else { 1.1 });

        let listing = dir.ours("rpostmap").args(["-s", "hash:t"]).ok();
        let found = version_of(&listing);
        assert!(
            found == round || (found == current && end.status != 0),
            "seed {seed}, round {round}: version {found}, the old one was {current}\n{end}"
        );
        current = found;
        if let Some(verify) = &verify {
            dir.run(verify).args(["t.db"]).ok();
        }
    }
    assert!(
        killed > KILLS / 4,
        "seed {seed}: only {killed} of {KILLS} runs were killed in time"
    );
    dir.ours("rpostmap").args(["hash:t"]).ok();
    assert_eq!(
        dir.names(),
        ["t", "t.db"],
        "seed {seed}: left behind by killed runs"
    );
}

#[test]
fn rebuild_waits_for_the_holder_of_the_lock() {
    let dir = TestDir::new("lock");
    dir.write("t", "k old\n");
    dir.ours("rpostmap").args(["hash:t"]).ok();
    for exclusive in [true, false] {
        let value = if exclusive {
            "after an exclusive lock"
        } else {
            "after a shared lock"
        };
        dir.write("t", format!("k {value}\n"));
        // The file may be another one after each rebuild.
        let table = File::open(dir.file("t.db")).expect("open t.db");
        if exclusive {
            table.lock()
        } else {
            table.lock_shared()
        }
        .expect("lock t.db");
        let mut running = dir.ours("rpostmap").args(["hash:t"]).start();
        sleep(Duration::from_millis(300));
        assert!(
            running.is_running(),
            "{value}: did not wait\n{}",
            running.finish()
        );
        table.unlock().expect("unlock");
        running.finish().status_is(0).stderr_is("");
        let answer = dir.ours("rpostmap").args(["-q", "k", "hash:t"]).ok();
        answer.stdout_is(format!("{value}\n"));
    }
}

#[test]
fn rebuild_that_waited_for_a_replaced_table_locks_the_new_one() {
    if is_stand_in() {
        return shout("replaced table: the original does not look at the name again");
    }
    let dir = TestDir::new("replaced");
    dir.write("t", "k first\n");
    dir.ours("rpostmap").args(["hash:t"]).ok();
    dir.write("other", "k other\n");
    dir.ours("rpostmap").args(["hash:other"]).ok();
    dir.write("t", "k second\n");

    let old = File::open(dir.file("t.db")).expect("open t.db");
    old.lock().expect("lock t.db");
    let mut running = dir.ours("rpostmap").args(["hash:t"]).start();
    sleep(Duration::from_millis(300));
    assert!(
        running.is_running(),
        "did not wait for the old table\n{}",
        running.finish()
    );
    let new = File::open(dir.file("other.db")).expect("open other.db");
    new.lock().expect("lock other.db");
    fs::rename(dir.file("other.db"), dir.file("t.db")).expect("replace t.db");
    old.unlock().expect("unlock");
    sleep(Duration::from_millis(300));
    assert!(
        running.is_running(),
        "did not wait for the new table\n{}",
        running.finish()
    );
    new.unlock().expect("unlock");
    running.finish().status_is(0).stderr_is("");
    dir.ours("rpostmap")
        .args(["-q", "k", "hash:t"])
        .ok()
        .stdout_is("second\n");
    assert_eq!(dir.names(), ["other", "t", "t.db"]);
}

#[test]
fn rebuild_that_waited_reads_the_source_that_is_there_by_then() {
    if is_stand_in() {
        return shout("replaced source: the original opens the source before it waits");
    }
    let dir = TestDir::new("source");
    for (case, content) in [("replaced", Some("k new\n")), ("gone", None)] {
        dir.write("t", "k old\n");
        dir.ours("rpostmap").args(["hash:t"]).ok();
        let table = File::open(dir.file("t.db")).expect("open t.db");
        table.lock().expect("lock t.db");
        let mut running = dir.ours("rpostmap").args(["hash:t"]).start();
        sleep(Duration::from_millis(300));
        assert!(
            running.is_running(),
            "{case}: did not wait\n{}",
            running.finish()
        );
        match content {
            Some(content) => {
                dir.write("edited", content);
                fs::rename(dir.file("edited"), dir.file("t")).expect("replace t");
            }
            None => fs::remove_file(dir.file("t")).expect("rm t"),
        }
        table.unlock().expect("unlock");
        running.finish().status_is(0).stderr_is("");
        let answer = dir.ours("rpostmap").args(["-q", "k", "hash:t"]).ok();
        answer.stdout_is(if content.is_some() { "new\n" } else { "old\n" });
    }
}

#[test]
fn hard_links_are_warned_of_unless_a_killed_run_left_them() {
    if is_stand_in() {
        return shout("hard links: the original rewrites the file they share");
    }
    let dir = TestDir::new("links");
    dir.write("t", "k v\n");
    let warning = "rpostmap: warning: t.db: has other hard links, which keep the old content\n";
    for (name, stderr, is_left) in [
        (".t.db.rpostmap-0123456789abcdef", "", false),
        ("other.db", warning, true),
    ] {
        dir.ours("rpostmap").args(["hash:t"]).ok().stderr_is("");
        fs::hard_link(dir.file("t.db"), dir.file(name)).expect("link");
        dir.ours("rpostmap").args(["hash:t"]).ok().stderr_is(stderr);
        assert_eq!(dir.file(name).exists(), is_left, "{name}");
    }
}

#[test]
fn failed_rebuild_leaves_the_old_table_and_nothing_else() {
    let dir = TestDir::new("failed");
    dir.write("t", "k old\n");
    dir.ours("rpostmap").args(["hash:t"]).ok();
    fs::remove_file(dir.file("t")).expect("rm t");
    dir.ours("rpostmap").args(["hash:t"]).finish().status_is(1);
    dir.ours("rpostmap")
        .args(["-q", "k", "hash:t"])
        .ok()
        .stdout_is("old\n");
    assert_eq!(dir.names(), ["t.db"]);
}

#[test]
fn leftovers_of_others_do_not_block_a_rebuild() {
    if is_stand_in() {
        return shout("leftovers: the original gives up after a hundred seconds");
    }
    let dir = TestDir::new("leftovers");
    dir.write("t", "k v\n");
    dir.write("__db.t.db", "left by a killed postmap");
    dir.ours("rpostmap")
        .args(["hash:t"])
        .limit(Duration::from_secs(10))
        .ok()
        .stderr_is("");
    dir.ours("rpostmap")
        .args(["-q", "k", "hash:t"])
        .ok()
        .stdout_is("v\n");
}
