//! Replays `tests/corpus/lookup`: what Postfix answered, and the keys it tried.
//!
//! `tests/corpus/lookup/not-yet.txt` names the cases that do not pass yet. A case that starts to
//! pass must leave the list; `RPOSTMAP_WRITE_NOT_YET=1` rewrites it. `RPOSTMAP_CASE=text` runs only
//! the cases with `text` in their name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{TestDir, package_file};
use crate::lookup_cases::run;

const NOT_YET: &str = "tests/corpus/lookup/not-yet.txt";

const NOT_YET_HEAD: &str = "\
# Cases of tests/corpus/lookup that do not pass yet, one name per line.
# The test fails when one of them passes: take it off the list in the same commit, or rewrite the
# list with `RPOSTMAP_WRITE_NOT_YET=1 cargo test --test it lookup_corpus`.
";

#[test]
fn every_recorded_lookup_tries_the_same_keys_with_the_same_result_or_is_listed() {
    let only = std::env::var("RPOSTMAP_CASE").ok();
    let listed: BTreeSet<String> = fs::read_to_string(package_file(NOT_YET))
        .expect("list of cases that do not pass yet")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let mut known = BTreeSet::new();
    let mut failing = BTreeSet::new();
    let mut complaints = Vec::new();
    for case in cases() {
        let id = case["id"].as_str().expect("an id").to_owned();
        known.insert(id.clone());
        if only.as_ref().is_some_and(|text| !id.contains(text)) {
            continue;
        }
        match complaint(&case) {
            None if listed.contains(&id) => {
                complaints.push(format!("{id}: passes, but is listed in {NOT_YET}"));
            }
            None => {}
            Some(how) => {
                if !listed.contains(&id) || only.is_some() {
                    complaints.push(format!("{id}: {}\n{how}", case["note"]));
                }
                failing.insert(id);
            }
        }
    }
    for id in listed.difference(&known) {
        complaints.push(format!(
            "{id}: is listed in {NOT_YET}, but there is no such case"
        ));
    }
    if only.is_none() && std::env::var_os("RPOSTMAP_WRITE_NOT_YET").is_some() {
        let names: String = failing.iter().map(|id| format!("{id}\n")).collect();
        fs::write(package_file(NOT_YET), [NOT_YET_HEAD, &names].concat()).expect("list written");
        return;
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn recorded_lookups_do_not_depend_on_the_type_of_indexed_tables() {
    let mut complaints = Vec::new();
    for kind in ["lmdb", "cdb", "texthash"] {
        let mut count = 0;
        for case in cases().into_iter().filter(|case| can_be(kind, case)) {
            let text = case.to_string().replace("texthash:%", "text:%");
            let text = text.replace("hash:%", &format!("{kind}:%"));
            let text = text.replace("text:%", "texthash:%");
            let case = serde_json::from_str(&text).expect("a case");
            let how = complaint(&case).map(|how| format!("{kind}: {}\n{how}", case["id"]));
            complaints.extend(how);
            count += 1;
        }
        assert!(count > 200, "{kind}: {count} cases");
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Whether tables of type `kind` can hold what those of a case do: a texthash table is the text itself,
/// which is no aliases text, and its keys are always folded.
fn can_be(kind: &str, case: &Value) -> bool {
    let is_plain = case["feature"] != "alias" && case["postmap_flags"].is_null();
    kind != "texthash" || is_plain
}

fn cases() -> Vec<Value> {
    let dir = package_file("tests/corpus/lookup");
    let mut cases = Vec::new();
    for entry in fs::read_dir(dir).expect("the cases") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            let text = fs::read_to_string(path).expect("cases");
            let lines = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("a case"));
            cases.extend(lines);
        }
    }
    assert!(cases.len() > 250, "{} cases", cases.len());
    cases
}

/// How the outcome differs from what was recorded.
fn complaint(case: &Value) -> Option<String> {
    let dir = TestDir::new("lookup");
    let done = match run(case, Path::new(&dir.path())) {
        Ok(done) => done,
        Err(error) => return Some(format!("  cannot be run: {error}")),
    };
    let expect = &case["expect"];
    let keys = expect.get("keys").cloned().unwrap_or(json!({}));
    let differs = |what, found: &Value, expect: &Value| {
        (found != expect).then(|| format!("  {what}: {found}\n  expected: {expect}\n"))
    };
    let parts = [
        differs("result", &done.result, &expect["result"]),
        differs("keys", &done.keys, &keys),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then_some(parts)
}
