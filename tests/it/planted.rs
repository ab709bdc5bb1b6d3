//! Every rule of a verification, broken on purpose.

use std::collections::BTreeSet;

use rpostmap::bdb::verify::{Invariant, Report, verify};
use rpostmap::defect::Severity;
use rpostmap::file::store::Store;

use crate::planted_files::{btree_file, hash_file, planted};

fn check(file: &[u8]) -> Report {
    verify(&Store::from_bytes(file)).expect("verify")
}

#[test]
fn files_to_plant_defects_in_are_clean_and_have_pages_of_all_kinds() {
    let report = check(&hash_file().0);
    assert!(report.defects.is_empty(), "{:?}", report.defects);
    let pages = report.statistics.unwrap().pages;
    assert!(pages.chain > 0 && pages.overflow > 0, "{pages:?}");
    assert!(pages.free > 0 && pages.unused_bucket > 0, "{pages:?}");
    let report = check(&btree_file().0);
    assert!(report.defects.is_empty(), "{:?}", report.defects);
    assert_eq!(report.statistics.unwrap().height, Some(3));
}

#[test]
fn every_rule_is_noticed_where_it_is_broken() {
    let mut rules: BTreeSet<Invariant> = Invariant::ALL.iter().copied().collect();
    for plant in planted() {
        let report = check(&plant.file.0);
        let page = plant.page.map(|page| page as u64);
        let hit = report
            .defects
            .iter()
            .find(|defect| defect.rule == plant.rule && defect.place.page() == page);
        let about = || format!("{} on page {page:?}: {:#?}", plant.rule, report.defects);
        let hit = hit.unwrap_or_else(|| panic!("{}", about()));
        use Invariant::{F9, H9, P6};
        let expected = match plant.rule {
            F9 | H9 | P6 => Severity::Warning,
            _ => Severity::Error,
        };
        assert_eq!(hit.severity, expected, "{}", about());
        assert_eq!(
            report.is_clean(),
            expected == Severity::Warning,
            "{}",
            about()
        );
        rules.remove(&plant.rule);
    }
    assert_eq!(rules, BTreeSet::new(), "rules without a planted defect");
}
