//! Sorts entries by key, eight bytes at a time.
//!
//! What is compared lies next to each other in memory; the keys themselves are looked at once for
//! every eight bytes that they share with others. Entries with one key stay in their order.

use std::ops::Range;

use crate::entries::Entries;
use crate::threads::both;

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
/// From this many entries, or runs of them, on two threads share them.
const PARALLEL_MIN: usize = 10_000;
/// Entries that are in order already are merged with the others, not sorted again, when they are at
/// least one of so many.
const MERGE_PART: u32 = 16;

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

    /// What a run is sorted by.
    #[inline]
    fn order(&self) -> (u64, u8) {
        (self.front, self.len)
    }
}

/// The numbers of all entries, in the order of their keys: byte by byte, a prefix first.
pub(crate) fn sorted_numbers(entries: &Entries) -> Vec<u32> {
    let number_end = u32::try_from(entries.number_end()).unwrap_or(u32::MAX);
    let sorted_end = u32::try_from(entries.ascending_end()).unwrap_or(u32::MAX);
    let live = |range: Range<u32>| -> Vec<u32> {
        range
            .filter(|&number| entries.lens(number).is_some())
            .collect()
    };
    if sorted_end >= number_end {
        return live(0..number_end);
    }
    if sorted_end < number_end / MERGE_PART {
        return sort(entries, live(0..number_end));
    }
    let sorted = live(0..sorted_end);
    merge(
        entries,
        &sorted,
        &sort(entries, live(sorted_end..number_end)),
    )
}

fn key(entries: &Entries, number: u32) -> &[u8] {
    entries.entry(number).map_or(&[][..], |(key, _)| key)
}

/// Two sorted lists of numbers as one.
fn merge(entries: &Entries, a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let with_key = |&number: &u32| (number, key(entries, number));
    let (mut a, mut b) = (a.iter().map(with_key), b.iter().map(with_key));
    let (mut next_a, mut next_b) = (a.next(), b.next());
    loop {
        // Of two with one key that of `a` came first.
        let from_a = match (next_a, next_b) {
            (Some((_, a)), Some((_, b))) => a <= b,
            (next, _) => next.is_some(),
        };
        let number = if from_a {
            std::mem::replace(&mut next_a, a.next())
        } else {
            std::mem::replace(&mut next_b, b.next())
        };
        let Some((number, _)) = number else {
            return merged;
        };
        merged.push(number);
    }
}

fn sort(entries: &Entries, numbers: Vec<u32>) -> Vec<u32> {
    if numbers.is_sorted_by_key(|&number| key(entries, number)) {
        return numbers;
    }
    let mut all: Vec<Sortable> = numbers
        .into_iter()
        .map(|number| Sortable {
            front: 0,
            number,
            len: MORE,
        })
        .collect();
    // One round divides all entries into runs, which two threads then sort.
    let runs = match all.len() < PARALLEL_MIN {
        true => divide(entries, &mut all, 0, 0),
        false => divide_all(entries, &mut all),
    };
    let half = all.len() / 2;
    let middle = runs
        .iter()
        .map(|run| run.0)
        .find(|start| *start >= half)
        .unwrap_or(all.len());
    let (back_runs, front_runs): (Vec<Run>, Vec<Run>) =
        runs.into_iter().partition(|run| run.0 >= middle);
    let (front, back) = all.split_at_mut(middle);
    let is_long = front_runs.len() + back_runs.len() > PARALLEL_MIN;
    let sort_front = || sort_runs(entries, front, 0, front_runs);
    let sort_back = || sort_runs(entries, back, middle, back_runs);
    match is_long {
        true => both(sort_back, sort_front),
        false => (sort_back(), sort_front()),
    };
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

/// As [`divide`] for all entries, on two threads: each sorts a half.
fn divide_all(entries: &Entries, all: &mut [Sortable]) -> Vec<Run> {
    let first = first_key(entries, all);
    let half = all.len() / 2;
    let (front, back) = all.split_at_mut(half);
    let (front_depth, back_depth) = both(
        || common_len(entries, front, first, 0),
        || common_len(entries, back, first, 0),
    );
    let depth = front_depth.min(back_depth);
    both(
        || take_step(entries, front, depth),
        || take_step(entries, back, depth),
    );
    // Halves of what is to come, not of what is there: so nothing must be merged.
    all.select_nth_unstable_by_key(half, Sortable::order);
    let (front, back) = all.split_at_mut(half);
    both(
        || front.sort_unstable_by_key(Sortable::order),
        || back.sort_unstable_by_key(Sortable::order),
    );
    runs_of(all, 0, depth)
}

/// Sorts a run that begins at `start` and whose keys agree in `depth` bytes by the bytes behind
/// those, and returns the runs that are left to sort.
fn divide(entries: &Entries, run: &mut [Sortable], start: usize, depth: usize) -> Vec<Run> {
    let key = |number: u32| key(entries, number);
    if run.len() <= SHORT_RUN {
        run.sort_unstable_by(|a, b| {
            let keys = key(a.number).cmp(key(b.number));
            keys.then(a.number.cmp(&b.number))
        });
        return Vec::new();
    }
    // What all have in common is passed over in one go, so that every round divides the run.
    let depth = common_len(entries, run, first_key(entries, run), depth);
    take_step(entries, run, depth);
    run.sort_unstable_by_key(Sortable::order);
    runs_of(run, start, depth)
}

fn first_key<'e>(entries: &'e Entries, run: &[Sortable]) -> &'e [u8] {
    let first = run.first();
    first.map_or(&[][..], |sortable| key(entries, sortable.number))
}

/// How many bytes all keys of a run share with `first`; at least `depth`, which are known.
fn common_len(entries: &Entries, run: &[Sortable], first: &[u8], depth: usize) -> usize {
    let mut common = first.len();
    for sortable in run {
        if common <= depth {
            break;
        }
        let key = key(entries, sortable.number);
        common = common.min(depth + shared_len(first, key, depth));
    }
    common.max(depth)
}

/// Has a run sorted by the bytes from `depth` on, as many as are compared at a time.
fn take_step(entries: &Entries, run: &mut [Sortable], depth: usize) {
    for sortable in run {
        let key = key(entries, sortable.number);
        *sortable = Sortable::at(key, depth, sortable.number);
    }
}

/// What is left to sort of a run that begins at `start` and is sorted by the bytes from `depth` on.
fn runs_of(run: &mut [Sortable], start: usize, depth: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = start;
    for group in run.chunk_by_mut(|a, b| a.order() == b.order()) {
        match group.first() {
            Some(first) if group.len() > 1 && first.len == MORE => {
                runs.push((at, at + group.len(), depth + STEP));
            }
            // All of them have the same key.
            _ => group.sort_unstable_by_key(|sortable| sortable.number),
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
        assert_sorted(&entries);
    }

    fn assert_sorted(entries: &Entries) {
        let sorted: Vec<&[u8]> = sorted_numbers(entries)
            .into_iter()
            .map(|number| entries.entry(number).unwrap().0)
            .collect();
        let mut expect: Vec<&[u8]> = entries.iter().map(|(key, _)| key).collect();
        expect.sort_unstable();
        assert!(sorted == expect);
    }

    #[test]
    fn entries_with_one_key_stay_in_their_order() {
        for ascending in [0, 500] {
            let mut entries = Entries::new();
            for i in 0..ascending {
                entries.append(format!("k{i:03}").as_bytes(), b"").unwrap();
            }
            for i in 0..3_000u32 {
                let key = "long enough ".repeat((i % 3) as usize) + &(i % 17).to_string();
                entries.append(key.as_bytes(), b"").unwrap();
                entries.append(b"k007", b"").unwrap();
            }
            let mut expect: Vec<u32> = (0..6_000 + ascending).collect();
            expect.sort_by_key(|&number| entries.entry(number).unwrap().0.to_vec());
            assert!(sorted_numbers(&entries) == expect);
        }
    }

    #[test]
    fn what_is_in_order_is_merged_with_what_is_not() {
        for (ascending, step) in [(3_000, 1), (1_000, 1), (1_000, 7), (10, 7), (0, 7)] {
            let mut entries = Entries::new();
            let names = (0..ascending).map(|i| format!("user{:05}", 2 * i));
            let others = (0..999).map(|i| format!("user{:05}", (i * step) % 999 * 5 + 1));
            for name in names.chain(others) {
                entries.insert(name.as_bytes(), b"").unwrap();
            }
            entries.remove(b"user00010");
            entries.remove(b"user00006");
            assert_sorted(&entries);
        }
    }
}
