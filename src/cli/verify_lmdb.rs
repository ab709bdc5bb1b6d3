//! `rpostmap verify lmdb:FILE`: the report on an LMDB file as text and as JSON.

use serde_json::{Value, json};

use crate::cli::postmap::Stop;
use crate::cli::verify::{Printed, failed, order_name};
use crate::file::store::Store;
use crate::lmdb::verify::{PageCounts, Statistics, verify};

/// Verifies the LMDB file that `store` holds.
pub(super) fn check(store: &Store, table: &str) -> Result<Printed, Stop> {
    let report = verify(store).map_err(|error| failed(error, store))?;
    Ok(Printed::new(table, &report, lines, to_json))
}

/// Every kind of page with its name and number.
fn page_kinds(pages: &PageCounts) -> [(&'static str, u64); 8] {
    [
        ("meta", pages.meta),
        ("branch", pages.branch),
        ("leaf", pages.leaf),
        ("overflow", pages.overflow),
        ("free_list", pages.free_list),
        ("free", pages.free),
        ("lost", pages.lost),
        ("behind_end", pages.behind_end),
    ]
}

fn lines(statistics: &Statistics) -> Vec<(&'static str, String)> {
    let kinds = page_kinds(&statistics.pages);
    let total: u64 = kinds.iter().map(|(_, count)| count).sum();
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {}", kind.replace('_', " ")))
        .collect();
    let layout = &statistics.layout;
    let format = format!(
        "LMDB {}, {}-bit, {}",
        layout.version.release(),
        8 * layout.width.bytes(),
        order_name(layout.order)
    );
    let (other_txn, other_root, other_last) = statistics.other;
    let other_root = other_root.map_or("no root".into(), |root| format!("root {root}"));
    vec![
        ("format", format),
        ("page size", layout.page_size.bytes().to_string()),
        ("entries", statistics.entries.to_string()),
        ("depth", statistics.depth.to_string()),
        ("pages", format!("{total}: {}", kinds.join(", "))),
        ("fill", format!("{:.1} %", statistics.fill_percent())),
        ("overflow values", statistics.overflow_values.to_string()),
        ("map size", statistics.map_size.to_string()),
        (
            "transaction",
            format!(
                "{}, on meta page {}",
                statistics.txn, statistics.current_meta
            ),
        ),
        (
            "before that",
            format!("transaction {other_txn}, {other_root}, last page {other_last}"),
        ),
    ]
}

fn to_json(statistics: &Statistics) -> Value {
    let pages = page_kinds(&statistics.pages);
    let pages = pages.map(|(kind, count)| (kind.to_string(), Value::from(count)));
    let layout = &statistics.layout;
    let (other_txn, other_root, other_last) = statistics.other;
    json!({
        "method": "lmdb",
        "release": layout.version.release(),
        "version": layout.version.number(),
        "word_bits": 8 * layout.width.bytes(),
        "byte_order": order_name(layout.order),
        "page_size": layout.page_size.bytes(),
        "entries": statistics.entries,
        "depth": statistics.depth,
        "pages": Value::Object(pages.into_iter().collect()),
        "fill_percent": (statistics.fill_percent() * 10.0).round() / 10.0,
        "overflow_values": statistics.overflow_values,
        "map_size": statistics.map_size,
        "transaction": statistics.txn,
        "current_meta": statistics.current_meta.0,
        "other_meta": json!({
            "transaction": other_txn,
            "root": other_root.map(|root| root.0),
            "last_page": other_last.0,
        }),
    })
}
