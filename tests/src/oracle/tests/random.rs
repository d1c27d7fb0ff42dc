//! Random histories: those of an atomic store are accepted by both judges, and on tiny ones that were tampered with
//! the search agrees with trying all orders, while the judge by seqs accepts nothing that has no order.

use lockstep_core::config::{Address, Position, Seq};
use lockstep_core::operation::Value;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{
    self as oracle, Answer, Index, Level, Operation, Options, Order, What, WriteOutcome,
};

/// How big a history is.
#[derive(Clone, Copy)]
struct Size {
    operations: usize,
    keys: u64,
    /// Calls that overlap, about.
    depth: u64,
    /// Local and `AtLeast` reads, too.
    all_levels: bool,
}

/// When an operation takes effect, while its history is made.
struct Plan {
    at: u64,
    operation: Operation,
}

/// The history of a store in which every operation takes effect at one instant. With `Order::Key`, reads of keys that
/// have not been written lately may be answered at an older position.
fn atomic(rng: &mut impl Rng, size: Size, order: Order) -> Vec<Operation> {
    let mut plans = Vec::new();
    for number in 0..size.operations as u64 {
        let begun = number * 20 + rng.random_range(0..20);
        let duration = rng.random_range(1..40 * size.depth);
        let key = format!("k{}", rng.random_range(0..size.keys)).into();
        let mut at = rng.random_range(begun..=begun + duration);
        let mut ended = Some(begun + duration);
        let what = if rng.random_bool(0.5) {
            let outcome = match rng.random_range(0..10) {
                0 | 1 => WriteOutcome::Unknown,
                2 => WriteOutcome::Rejected,
                _ => WriteOutcome::Acknowledged { seq: Seq(0) },
            };
            if outcome == WriteOutcome::Unknown {
                at = begun + rng.random_range(0..80 * size.depth);
                ended = ended.filter(|_| rng.random_bool(0.5));
            }
            let value = rng
                .random_bool(0.8)
                .then(|| Value::from(format!("v{number}")));
            What::Write { value, outcome }
        } else {
            let level = match rng.random_range(0..4) {
                0 if size.all_levels => Level::Local,
                1 if size.all_levels => Level::AtLeast(Position(0)),
                _ => Level::Linearizable,
            };
            let answer = rng.random_bool(0.95).then(|| Answer {
                value: None,
                position: Position(0),
                replica: Address::new("r1"),
            });
            What::Read { level, answer }
        };
        plans.push(Plan {
            at,
            operation: Operation {
                client: rng.random_range(0..3),
                key,
                begun,
                ended,
                what,
            },
        });
    }
    plans.sort_by_key(|plan| plan.at);
    take_effect(rng, &mut plans, order);
    plans.into_iter().map(|plan| plan.operation).collect()
}

/// Fills in seqs, positions and values.
fn take_effect(rng: &mut impl Rng, plans: &mut [Plan], order: Order) {
    let mut log: Vec<(lockstep_core::operation::Key, Option<Value>)> = Vec::new();
    for Plan { operation, .. } in plans {
        let key = operation.key.clone();
        match &mut operation.what {
            What::Write { value, outcome } => {
                match outcome {
                    WriteOutcome::Acknowledged { seq } => *seq = Seq(log.len() as u64),
                    WriteOutcome::Unknown if rng.random_bool(0.6) => {}
                    WriteOutcome::Unknown | WriteOutcome::Rejected => continue,
                }
                log.push((key, value.clone()));
            }
            What::Read {
                level,
                answer: Some(answer),
            } => {
                let written = log.iter().rposition(|entry| entry.0 == key);
                let clean_since = written.map_or(0, |seq| seq + 1);
                let position = match level {
                    Level::Linearizable if order == Order::Key && rng.random_bool(0.3) => {
                        rng.random_range(clean_since..=log.len())
                    }
                    Level::AtLeast(asked) => {
                        // Another replica each time, or going back would be wrong.
                        answer.replica = Address::new(format!("r{}", rng.random::<u64>()));
                        let position = rng.random_range(0..=log.len());
                        *asked = Position(rng.random_range(0..=position as u64));
                        position
                    }
                    Level::Linearizable | Level::Local => log.len(),
                };
                let newest = log[..position].iter().rfind(|entry| entry.0 == key);
                answer.value = newest.and_then(|entry| entry.1.clone());
                answer.position = Position(position as u64);
            }
            What::Read { answer: None, .. } => {}
        }
    }
}

/// Changes a value, a seq, a position or a time.
fn tamper(rng: &mut impl Rng, history: &mut [Operation]) {
    let (one, other) = (
        rng.random_range(0..history.len()),
        rng.random_range(0..history.len()),
    );
    let lent = match &history[other].what {
        What::Write { value, .. } => value.clone(),
        What::Read { answer, .. } => answer.as_ref().and_then(|answer| answer.value.clone()),
    };
    let operation = &mut history[one];
    match (&mut operation.what, rng.random_range(0..3)) {
        (_, 0) => {
            let back = rng.random_range(0..30);
            operation.begun = operation.begun.saturating_sub(back);
            operation.ended = operation.ended.map(|ended| ended.saturating_sub(back));
        }
        (What::Read { answer, .. }, 1) => {
            if let Some(answer) = answer {
                answer.position = Position(rng.random_range(0..5));
            }
        }
        (What::Read { answer, .. }, _) => {
            if let Some(answer) = answer {
                answer.value = lent;
            }
        }
        (What::Write { outcome, .. }, 1) => {
            *outcome = match rng.random_range(0..3) {
                0 => WriteOutcome::Rejected,
                1 => WriteOutcome::Unknown,
                _ => WriteOutcome::Acknowledged {
                    seq: Seq(rng.random_range(0..5)),
                },
            };
        }
        (What::Write { .. }, _) => {}
    }
}

/// Tries all orders of what is left, of one key that is `value`.
fn has_order<'a>(left: &mut Vec<&'a Operation>, value: Option<&'a Value>) -> bool {
    // What is in doubt may be left over.
    let is_in_doubt = |operation: &Operation| {
        matches!(
            operation.what,
            What::Write {
                outcome: WriteOutcome::Unknown,
                ..
            }
        )
    };
    if left.iter().all(|operation| is_in_doubt(operation)) {
        return true;
    }
    for place in 0..left.len() {
        let operation = left[place];
        let is_next = left
            .iter()
            .all(|other| is_in_doubt(other) || other.end() >= operation.begun);
        let next = match &operation.what {
            What::Write { value, .. } => value.as_ref(),
            What::Read {
                answer: Some(answer),
                ..
            } if answer.value.as_ref() == value => value,
            What::Read { .. } => continue,
        };
        if is_next {
            left.remove(place);
            let found = has_order(left, next);
            left.insert(place, operation);
            if found {
                return true;
            }
        }
    }
    false
}

/// Is each key linearizable, by trying everything?
fn is_linearizable(index: &Index<'_>) -> bool {
    index.keys.iter().all(|places| {
        let mut left: Vec<_> = places
            .iter()
            .map(|place| &index.history[*place])
            .filter(|operation| match &operation.what {
                What::Write { outcome, .. } => *outcome != WriteOutcome::Rejected,
                What::Read { level, answer } => *level == Level::Linearizable && answer.is_some(),
            })
            .collect();
        has_order(&mut left, None)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_history_of_an_atomic_store_is_accepted(
        seed: u64, operations in 1_usize..300, keys in 1_u64..6, depth in 1_u64..9, by_key: bool,
    ) {
        let order = if by_key { Order::Key } else { Order::Log };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = Size { operations, keys, depth, all_levels: true };
        let mut history = atomic(&mut rng, size, order);
        // Local reads overlap and so may come in any order; each has a replica to itself to go forward on.
        for (number, operation) in history.iter_mut().enumerate() {
            if let What::Read { level: Level::Local, answer: Some(answer) } = &mut operation.what {
                answer.replica = Address::new(format!("l{}", number % 3));
            }
        }
        let options = Options { order, steps_max: 1_000_000 };
        match oracle::check(&history, &[], options) {
            Ok(summary) => prop_assert_eq!(summary.windows_undecided, 0),
            Err(verdict) => prop_assert!(false, "{verdict}"),
        }
    }

    #[test]
    fn the_search_agrees_with_trying_all_orders(seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..50 {
            let operations = rng.random_range(1..=6);
            let keys = rng.random_range(1..=2);
            let size = Size { operations, keys, depth: 2, all_levels: false };
            let mut history = atomic(&mut rng, size, Order::Key);
            for _ in 0..rng.random_range(0..3) {
                tamper(&mut rng, &mut history);
            }
            let index = Index::new(&history).expect("values are unique");
            let possible = is_linearizable(&index);
            let mut summary = oracle::Summary::default();
            let searched = oracle::search::check(&index, 10_000, &mut summary);
            prop_assert_eq!(searched.is_ok(), possible, "{:#?}", history);
            prop_assert_eq!(summary.windows_undecided, 0);
            let believed = oracle::seqs::check(&index, Order::Key);
            prop_assert!(possible || believed.is_err(), "has seqs, but no order: {history:#?}");
        }
    }
}
