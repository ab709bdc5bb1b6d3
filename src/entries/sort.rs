//! Sorts entries by key, eight bytes at a time.
//!
//! What is compared lies next to each other in memory; the keys themselves are looked at once for
//! every eight bytes that they share with others.

use std::thread;

use crate::entries::Entries;

/// Runs up to this length are sorted by comparing keys.
const SHORT_RUN: usize = 12;
/// How many bytes of a key are looked at together.
const STEP: usize = 8;

/// The number of an entry and eight bytes of its key.
#[derive(Clone, Copy)]
struct Sortable {
    /// The first of the bytes in the highest place, zeros behind the key's end.
    front: u64,
    number: u32,
    /// How many of the bytes the key has, or [`MORE`] when it goes on behind them.
    len: u8,
}

const MORE: u8 = 9;
/// From this many runs on two threads share them.
const PARALLEL_MIN: usize = 10_000;

impl Sortable {
    #[inline]
    fn at(key: &[u8], depth: usize, number: u32) -> Sortable {
        let rest = key.get(depth..).unwrap_or_default();
        let (front, len) = match rest.first_chunk::<STEP>() {
            Some(front) if rest.len() > STEP => (*front, MORE),
            _ => {
                let mut front = [0; STEP];
                front
                    .iter_mut()
                    .zip(rest)
                    .for_each(|(to, from)| *to = *from);
                // At most eight are left.
                (front, u8::try_from(rest.len()).unwrap_or(MORE))
            }
        };
        Sortable {
            front: u64::from_be_bytes(front),
            number,
            len,
        }
    }
}

/// The numbers of all entries, in the order of their keys: byte by byte, a prefix first.
pub(crate) fn sorted_numbers(entries: &Entries) -> Vec<u32> {
    let number_end = u32::try_from(entries.number_end()).unwrap_or(u32::MAX);
    let mut all: Vec<Sortable> = (0..number_end)
        .filter(|&number| entries.lens(number).is_some())
        .map(|number| Sortable {
            front: 0,
            number,
            len: MORE,
        })
        .collect();
    // One round divides all entries into runs, which two threads then sort.
    let runs = divide(entries, &mut all, 0, 0);
    let half = all.len() / 2;
    let middle = runs
        .iter()
        .map(|run| run.0)
        .find(|start| *start >= half)
        .unwrap_or(all.len());
    let (back_runs, front_runs): (Vec<Run>, Vec<Run>) =
        runs.into_iter().partition(|run| run.0 >= middle);
    let (front, back) = all.split_at_mut(middle);
    thread::scope(|scope| {
        if front_runs.len() + back_runs.len() > PARALLEL_MIN {
            scope.spawn(|| sort_runs(entries, front, 0, front_runs));
        } else {
            sort_runs(entries, front, 0, front_runs);
        }
        sort_runs(entries, back, middle, back_runs);
    });
    all.iter().map(|sortable| sortable.number).collect()
}

/// Entries whose keys agree in their first bytes: where they begin and end, and how many bytes.
type Run = (usize, usize, usize);

/// Sorts `runs` of `all`, whose first entry is number `base` to them.
fn sort_runs(entries: &Entries, all: &mut [Sortable], base: usize, mut runs: Vec<Run>) {
    while let Some((start, end, depth)) = runs.pop() {
        if let Some(run) = all.get_mut(start - base..end - base) {
            runs.extend(divide(entries, run, start, depth));
        }
    }
}

/// Sorts a run that begins at `start` and whose keys agree in `depth` bytes by the bytes behind
/// those, and returns the runs that are left to sort.
fn divide(entries: &Entries, run: &mut [Sortable], start: usize, depth: usize) -> Vec<Run> {
    let key = |number: u32| entries.entry(number).map_or(&[][..], |(key, _)| key);
    if run.len() <= SHORT_RUN {
        run.sort_unstable_by(|a, b| key(a.number).cmp(key(b.number)));
        return Vec::new();
    }
    // What all have in common is passed over in one go, so that every round divides the run.
    let first = run.first().map_or(&[][..], |sortable| key(sortable.number));
    let mut common = first.len();
    for sortable in run.iter() {
        if common <= depth {
            break;
        }
        common = common.min(depth + shared_len(first, key(sortable.number), depth));
    }
    let depth = common.max(depth);
    for sortable in run.iter_mut() {
        *sortable = Sortable::at(key(sortable.number), depth, sortable.number);
    }
    run.sort_unstable_by_key(|sortable| (sortable.front, sortable.len));
    let mut runs = Vec::new();
    let mut at = start;
    for group in run.chunk_by(|a, b| (a.front, a.len) == (b.front, b.len)) {
        if group.len() > 1 {
            runs.push((at, at + group.len(), depth + STEP));
        }
        at += group.len();
    }
    runs
}

/// How many bytes from `depth` on two keys share.
fn shared_len(a: &[u8], b: &[u8], depth: usize) -> usize {
    let (a, b) = (
        a.get(depth..).unwrap_or_default(),
        b.get(depth..).unwrap_or_default(),
    );
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_the_order_of_the_keys() {
        let long = "z".repeat(100_000);
        let mut entries = Entries::new();
        for i in 0..3_000u32 {
            let i = i.wrapping_mul(2_654_435_761) % 3_000;
            for key in [
                format!("user{i:06}@example.com"),
                format!("a{}", "\0".repeat((i % 40) as usize)),
                "ab".repeat((i % 50) as usize),
                format!("{:x}", i.wrapping_mul(0x9e37_79b9)),
            ] {
                entries.insert(key.as_bytes(), b"").unwrap();
            }
        }
        for i in 0..50 {
            entries
                .insert(format!("{long}{i:02}").as_bytes(), b"")
                .unwrap();
        }
        let sorted: Vec<&[u8]> = sorted_numbers(&entries)
            .into_iter()
            .map(|number| entries.entry(number).unwrap().0)
            .collect();
        let mut expect: Vec<&[u8]> = entries.iter().map(|(key, _)| key).collect();
        expect.sort_unstable();
        assert!(sorted == expect);
    }
}
