//! `rpostmap verify`: what is wrong with a table file, or what is in it.

use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::bdb::meta::AccessMethod;
use crate::bdb::verify::{PageCounts, Report, Statistics, verify};
use crate::cli::getopt::Flag;
use crate::cli::output::Output;
use crate::cli::postmap::Stop;
use crate::cli::report::failure;
use crate::cli::text::escaped;
use crate::cli::verb::{Call, HELP, Verb, method_of};
use crate::error::masked;
use crate::wire::ByteOrder;

pub(super) static VERB: Verb = Verb {
    name: "verify",
    usage: "[--json] TYPE:FILE",
    help: "Check a whole table file. Prints every defect, or statistics when there is none.\n\
           The numbers of the rules are explained in docs/verify.md. Exit status 1 for errors.",
    flags: &[
        Flag {
            letter: 0,
            long: "json",
            argument: None,
            help: "print one JSON object",
        },
        HELP,
    ],
    run,
};

fn run(call: &Call<'_>, output: &mut Output) -> Result<bool, Stop> {
    let (_, format) = call.table()?;
    let store = call.open()?;
    let report = verify(&store).map_err(|error| {
        failure(&match store.path() {
            Some(path) => error.in_file(path),
            None => error,
        })
    })?;
    if let Some(statistics) = &report.statistics
        && statistics.method != method_of(format)
    {
        let found = method_name(statistics.method);
        let path = masked(store.path().unwrap_or("".as_ref()));
        return Err(Stop::from(format!("{path} is a {found} file")));
    }
    if call.has("json") {
        let name = escaped(call.operand.as_bytes());
        output.line(&[to_json(&name, &report).to_string().as_bytes()])?;
    } else {
        print(&report, output)?;
    }
    Ok(report.is_clean())
}

fn print(report: &Report, output: &mut Output) -> Result<(), Stop> {
    for defect in &report.defects {
        output.line(&[defect.to_string().as_bytes()])?;
    }
    if report.omitted > 0 {
        let text = format!("{} more defects are not listed", report.omitted);
        output.line(&[text.as_bytes()])?;
    }
    if let Some(statistics) = report.statistics.as_ref().filter(|_| report.is_clean()) {
        for (name, value) in lines(statistics) {
            output.line(&[format!("{name:<15} {value}").as_bytes()])?;
        }
    }
    Ok(())
}

fn method_name(method: AccessMethod) -> &'static str {
    match method {
        AccessMethod::Hash => "hash",
        AccessMethod::Btree => "btree",
    }
}

fn order_name(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "little-endian",
        ByteOrder::Big => "big-endian",
    }
}

/// Every kind of page with its name and number.
fn page_kinds(pages: &PageCounts) -> [(&'static str, u32); 11] {
    [
        ("meta", pages.meta),
        ("bucket", pages.bucket),
        ("chain", pages.chain),
        ("leaf", pages.leaf),
        ("internal", pages.internal),
        ("overflow", pages.overflow),
        ("duplicate", pages.duplicate),
        ("free", pages.free),
        ("unused_bucket", pages.unused_bucket),
        ("unowned", pages.unowned),
        ("behind_end", pages.behind_end),
    ]
}

fn lines(statistics: &Statistics) -> Vec<(&'static str, String)> {
    let kinds = page_kinds(&statistics.pages);
    let total: u64 = kinds.iter().map(|(_, count)| u64::from(*count)).sum();
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {}", kind.replace('_', " ")))
        .collect();
    let checksums = if statistics.checksums {
        ", checksums"
    } else {
        ""
    };
    let mut lines = vec![
        (
            "format",
            format!(
                "{} version {}, {}{checksums}",
                method_name(statistics.method),
                statistics.version,
                order_name(statistics.order)
            ),
        ),
        ("page size", statistics.page_size.bytes().to_string()),
        ("entries", statistics.entries.to_string()),
        ("pages", format!("{total}: {}", kinds.join(", "))),
        ("fill", format!("{:.1} %", statistics.fill_percent())),
        ("off-page items", statistics.off_page_items.to_string()),
        (
            "longest lookup",
            format!("{} pages", statistics.longest_lookup),
        ),
    ];
    if let Some(height) = statistics.height {
        lines.push(("height", height.to_string()));
    } else {
        let chains = statistics.chain_lengths.iter();
        let chains: Vec<String> = chains
            .map(|(len, count)| format!("{count} of {len}"))
            .collect();
        lines.push(("buckets", statistics.buckets.to_string()));
        lines.push(("pages a bucket", chains.join(", ")));
    }
    lines
}

fn to_json(table: &str, report: &Report) -> Value {
    let statistics = report.statistics.as_ref().map(|statistics| {
        let pages = page_kinds(&statistics.pages);
        let pages = pages.map(|(kind, count)| (kind.to_string(), Value::from(count)));
        let chains = statistics.chain_lengths.iter();
        let chains = chains.map(|(len, count)| (len.to_string(), Value::from(*count)));
        json!({
            "method": method_name(statistics.method),
            "version": statistics.version,
            "byte_order": order_name(statistics.order),
            "page_size": statistics.page_size.bytes(),
            "checksums": statistics.checksums,
            "entries": statistics.entries,
            "buckets": statistics.buckets,
            "pages": Value::Object(pages.into_iter().collect()),
            "fill_percent": (statistics.fill_percent() * 10.0).round() / 10.0,
            "chain_lengths": Value::Object(chains.collect()),
            "longest_lookup": statistics.longest_lookup,
            "off_page_items": statistics.off_page_items,
            "height": statistics.height,
        })
    });
    let defects = report.defects.iter().map(|defect| {
        json!({
            "invariant": defect.invariant.id(),
            "rule": defect.invariant.rule(),
            "severity": defect.severity.name(),
            "page": defect.page,
            "slot": defect.slot,
            "what": defect.what,
        })
    });
    json!({
        "table": table,
        "clean": report.is_clean(),
        "statistics": statistics,
        "defects": defects.collect::<Vec<Value>>(),
        "omitted": report.omitted,
    })
}
