//! Any sequence of changes to a hash or btree file, next to a map; the file after every single write; and
//! updates that begin where another one was interrupted.
#![no_main]

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use rpostmap::bdb::btree::BtreeUpdater;
use rpostmap::bdb::hash::HashUpdater;
use rpostmap::bdb::verify::verify;
use rpostmap::bdb::{OnExisting, PageSize};
use rpostmap::file::store::Store;
use rpostmap::wire::ByteOrder;

/// As in the tests.
#[path = "../../tests/common"]
mod common {
    #[expect(dead_code, reason = "only the laws ask for the length of a page")]
    pub(crate) mod updater;
    pub(crate) mod updating;
}

use common::updater::Updater;
use common::updating::{
    Model, Op, Recorder, apply, assert_deletes, assert_holds, assert_nothing_lost, assert_updates,
    build,
};

/// More would only make runs slow.
const OPS_MAX: usize = 100;

#[derive(Debug)]
struct Input {
    is_btree: bool,
    page_size: PageSize,
    order: ByteOrder,
    /// How many numbered entries there are at first.
    start: u16,
    /// The write after which each update is interrupted, and then done again.
    interrupted: u8,
    /// Batches, each an update of its own.
    batches: Vec<Vec<Op>>,
}

impl Arbitrary<'_> for Input {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> Result<Input> {
        let is_btree = bytes.arbitrary()?;
        let page_size = *bytes.choose(&[512, 512, 512, 1024, 4096])?;
        let order = *bytes.choose(&[ByteOrder::Little, ByteOrder::Big])?;
        let start = bytes.int_in_range(0..=120)?;
        let interrupted = bytes.int_in_range(0..=60)?;
        let mut batches = vec![Vec::new()];
        for _ in 0..OPS_MAX {
            if bytes.is_empty() {
                break;
            }
            match op(bytes)? {
                Op::Reopen => batches.push(Vec::new()),
                op => batches.last_mut().expect("never empty").push(op),
            }
        }
        Ok(Input {
            is_btree,
            page_size: PageSize::new(page_size).expect("a page size"),
            order,
            start,
            interrupted,
            batches,
        })
    }
}

fn op(bytes: &mut Unstructured<'_>) -> Result<Op> {
    Ok(match bytes.int_in_range(0..=9)? {
        0..=3 => Op::Put(key(bytes)?, value(bytes)?),
        4..=6 => Op::Replace(key(bytes)?, value(bytes)?),
        7..=8 => Op::Delete(key(bytes)?),
        _ => Op::Reopen,
    })
}

fn key(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match bytes.int_in_range(0..=7)? {
        // Prefixes of each other, and of the long ones.
        0..=1 => vec![*bytes.choose(b"ab\0")?; bytes.int_in_range(0..=6)?],
        2..=5 => numbered(bytes.int_in_range(0..=255)?),
        // On both sides of the limit of a small page.
        _ => vec![*bytes.choose(b"ab\0")?; bytes.int_in_range(120..=136)?],
    })
}

fn value(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let byte = *bytes.choose(b"vw")?;
    let len = match bytes.int_in_range(0..=3)? {
        0..=1 => bytes.int_in_range(0..=40)?,
        2 => bytes.int_in_range(90..=140)?,
        _ => bytes.int_in_range(0..=2500)?,
    };
    Ok(vec![byte; len])
}

fn numbered(number: u16) -> Vec<u8> {
    format!("key{number}@example.com\0").into_bytes()
}

/// That an update that was interrupted can be done again, or is refused with a reason.
fn assert_goes_on<U: Updater>(state: &[u8], before: &Model, after: &Model) {
    let mut update = match U::open(Store::from_bytes(state)) {
        Ok(update) => update,
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("interrupted update"), "{said}");
            return;
        }
    };
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        update.delete(key).unwrap();
    }
    for (key, value) in after {
        update.put(key, value, OnExisting::Replace).unwrap();
    }
    let mut file = state.to_vec();
    update.commit(&mut file).unwrap();
    assert_holds::<U>(&file, after);
}

fn run<U: Updater>(input: &Input) {
    let start = (0..input.start).map(|i| (numbered(i), vec![b's'; usize::from(i) % 23]));
    let mut model: Model = start.collect();
    let mut file = build::<U>(&model, input.page_size, input.order);
    for batch in &input.batches {
        let before = model.clone();
        let mut update = U::open(Store::from_bytes(file.clone())).unwrap();
        for op in batch {
            apply(op, &mut update, &mut model);
        }
        let mut recorder = Recorder::new(file);
        update.commit(&mut recorder).unwrap();
        for (at, state) in recorder.states.iter().enumerate() {
            assert_nothing_lost::<U>(state, &before, &model, at);
        }
        if let Some(state) = recorder.states.get(usize::from(input.interrupted)) {
            let at = usize::from(input.interrupted);
            assert_goes_on::<U>(state, &before, &model);
            let added = model.iter().filter(|(key, _)| !before.contains_key(*key));
            let added = added.map(|(key, value)| Op::Put(key.clone(), value.clone()));
            assert_updates::<U>(state, &added.collect::<Vec<_>>(), at);
            assert_deletes::<U>(state, before.keys().chain(model.keys()), at);
            assert_deletes::<U>(state, before.keys().step_by(2), at);
        }
        file = recorder.file;
        assert_holds::<U>(&file, &model);
        let report = verify(&Store::from_bytes(&*file)).unwrap();
        assert!(report.is_clean(), "{:?}", report.defects);
    }
}

fuzz_target!(|input: Input| match input.is_btree {
    true => run::<BtreeUpdater>(&input),
    false => run::<HashUpdater>(&input),
});
