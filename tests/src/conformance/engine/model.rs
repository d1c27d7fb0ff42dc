//! Whatever is done, the state is that of a map.

use std::collections::BTreeMap;

use lockstep_core::config::Position;
use lockstep_core::operation::{Key, Value};
use lockstep_core::range::KeyRange;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Subject;
use super::tools::{all, apply, state, value_of};
use crate::conformance::{insert, remove};

pub(super) fn random_entries_agree_with_a_model(subject: &mut dyn Subject) {
    for seed in 0..10 {
        entries_of_a_seed_agree_with_a_model(subject, seed);
    }
}

fn entries_of_a_seed_agree_with_a_model(subject: &mut dyn Subject, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut engine = subject.fresh();
    let mut model: BTreeMap<Key, Value> = BTreeMap::new();
    let mut applied = 0;
    let mut views = Vec::new();
    for _ in 0..60 {
        let mut batch = Vec::new();
        for _ in 0..rng.random_range(1..40) {
            let key = format!("{}", rng.random_range(0..60));
            if rng.random_ratio(1, 3) {
                model.remove(&Key::from(key.as_str()));
                batch.push(remove(1, applied, &key));
            } else {
                let value = format!("{applied}");
                model.insert(Key::from(key.as_str()), Value::from(value.as_str()));
                batch.push(insert(1, applied, &key, &value));
            }
            applied += 1;
        }
        apply(&*engine, &batch).unwrap();
        match rng.random_range(0..20) {
            0 => {
                engine.checkpoint().unwrap();
                views.clear();
                engine = subject.reopen(engine);
            }
            1..=3 => {
                engine.checkpoint().unwrap();
            }
            4..=6 => {
                let expected: Vec<_> = model.clone().into_iter().collect();
                views.push((engine.view().unwrap(), expected));
            }
            _ => {}
        }
        assert_eq!(engine.applied(), Position(applied), "seed {seed}");
        let expected: Vec<_> = model.clone().into_iter().collect();
        assert_eq!(state(&*engine), expected, "seed {seed}");
        for number in 0..60 {
            let key = Key::from(format!("{number}"));
            let value = model.get(&key).cloned();
            let peeked = engine.peek(&key);
            let peeked = peeked.map(|record| record.map(|record| record.value));
            assert!(
                peeked.is_none_or(|peeked| peeked == value),
                "seed {seed}: {key:?} is not {value:?} in memory"
            );
            assert_eq!(value_of(&*engine, &key), value, "seed {seed}: {key:?}");
        }
        let from = Key::from(format!("{}", rng.random_range(0..70)));
        let to = Key::from(format!("{}", rng.random_range(0..70)));
        let range = KeyRange::from(from..to);
        let page = engine.scan(&range, None).unwrap();
        assert!(
            page.records
                .iter()
                .map(|found| (&found.key, &found.record.value))
                .eq(range.of(&model)),
            "seed {seed}: {range:?}: {page:?}"
        );
        for (view, expected) in &views {
            let found = all(&|range| view.scan(range, None));
            assert_eq!(&found, expected, "seed {seed}: a view changes");
        }
    }
}
