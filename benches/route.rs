//! What one route costs: the whole way from a recipient to transport and nexthop, over a transport
//! table of 100,000 entries that is in memory.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use rpostmap::mta::Settings;
use rpostmap::source::MapSource;
use rpostmap::table::Source;
use rpostmap::{CompileOptions, FileFormat, Router, compile};

const ENTRIES: usize = 100_000;

/// Recipients in an order that jumps about: with an entry for their domain, and without any.
const RECIPIENTS: usize = 1000;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        let name = format!("rpostmap-bench-route-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("a directory");
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn table(dir: &Path, format: FileFormat) -> String {
    let mut text = String::new();
    for number in 0..ENTRIES {
        text.push_str(&format!(
            "host{number:06}.example smtp:[mx{}.example.net]\n",
            number % 7
        ));
    }
    let name = dir.join(format.type_name());
    let path = dir.join(format!("{}{}", format.type_name(), format.suffix()));
    let source = || {
        Ok(Source {
            entries: MapSource::new(&name, text.as_bytes(), true),
            len: None,
            mode: 0o644,
        })
    };
    compile(
        format,
        &path,
        source,
        &CompileOptions::default(),
        &mut |_| {},
    )
    .expect("made");
    format!("{}:{}", format.type_name(), name.display())
}

fn router(spec: &str) -> Router {
    Settings::default()
        .set("myhostname", "mail.corp.example")
        .set("recipient_delimiter", "+")
        .set("relayhost", "[gw.example.net]:587")
        .set("transport_maps", spec)
        .router()
        .expect("a router")
}

fn routes(criterion: &mut Criterion) {
    let dir = Dir::new();
    let jumps = |number: usize| number * 7919 % ENTRIES;
    let found: Vec<String> = (0..RECIPIENTS)
        .map(|number| format!("ann@host{:06}.example", jumps(number)))
        .collect();
    let missed: Vec<String> = (0..RECIPIENTS)
        .map(|number| format!("ann@host{:06}.other", jumps(number)))
        .collect();
    let formats = [
        FileFormat::Hash,
        FileFormat::Btree,
        FileFormat::Lmdb,
        FileFormat::Cdb,
    ];
    for format in formats {
        let router = router(&table(&dir.0, format));
        let mut group = criterion.benchmark_group(format!("route/{}", format.type_name()));
        for (name, recipients) in [("found", &found), ("missed", &missed)] {
            let mut turn = recipients.iter().cycle();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let recipient = turn.next().expect("without end");
                    black_box(router.route("me@corp.example", recipient.as_str())).expect("a route")
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = routes
}
criterion_main!(benches);
