//! States as a whole: held fixed, made durable, put in place of each other.

use lockstep_core::config::{Epoch, Position};
use lockstep_core::engine::Engine;
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Value;

use super::Subject;
use super::tools::{all, apply, moment, records, stage, state};
use crate::conformance::{insert, remove};

pub(super) fn a_view_does_not_change(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "1"), insert(1, 1, "b", "1")]).unwrap();
    let view = engine.view().unwrap();
    apply(
        &*engine,
        &[
            insert(1, 2, "a", "2"),
            remove(1, 3, "b"),
            insert(1, 4, "c", "1"),
        ],
    )
    .unwrap();
    assert_eq!(view.at().position, Position(2));
    let before = records(&[("a", "1"), ("b", "1")]);
    assert_eq!(all(&|range| view.scan(range, None)), before);
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("z", "9")])).unwrap();
    engine.install(moment(50), &EpochHistory::new()).unwrap();
    assert_eq!(state(&*engine), records(&[("z", "9")]));
    assert_eq!(all(&|range| view.scan(range, None)), before);
    assert!(view.records() >= 2, "at least the records there are");
}

pub(super) fn a_checkpoint_survives(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "1"), insert(1, 1, "b", "1")]).unwrap();
    assert_eq!(engine.checkpoint().unwrap(), Position(2));
    let engine = subject.reopen(engine);
    assert_eq!(engine.applied(), Position(2));
    assert_eq!(state(&*engine), records(&[("a", "1"), ("b", "1")]));
    apply(&*engine, &[remove(1, 2, "a")]).unwrap();
    assert_eq!(state(&*engine), records(&[("b", "1")]));
}

pub(super) fn an_installed_state_replaces_the_present_one(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "old")]).unwrap();
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("x", "thrown away")])).unwrap();
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("k", "1"), ("l", "2")])).unwrap();
    stage(&*engine, &records(&[("m", "3")])).unwrap();
    apply(&*engine, &[insert(1, 1, "b", "old")]).unwrap();
    assert_eq!(
        state(&*engine),
        records(&[("a", "old"), ("b", "old")]),
        "what is collected is not seen"
    );
    let mut history = EpochHistory::new();
    history.append(Epoch(2), lockstep_core::config::Seq(0));
    engine.install(moment(30), &history).unwrap();
    let check = |engine: &dyn Engine| {
        assert_eq!(engine.applied(), Position(30));
        assert_eq!(engine.installed(), Some((Position(30), history.clone())));
        assert_eq!(
            state(engine),
            records(&[("k", "1"), ("l", "2"), ("m", "3")])
        );
    };
    check(&*engine);
    let engine = subject.reopen(engine);
    check(&*engine);
    apply(&*engine, &[remove(2, 30, "k")]).unwrap();
    assert_eq!(engine.applied(), Position(31));
    assert_eq!(engine.installed(), Some((Position(30), history)));
    engine.stage_begin().unwrap();
    engine.install(moment(0), &EpochHistory::new()).unwrap();
    let engine = subject.reopen(engine);
    assert_eq!(engine.applied(), Position(0));
    assert_eq!(state(&*engine), []);
}

pub(super) fn a_state_that_is_not_installed_is_forgotten(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "1")]).unwrap();
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("x", "1")])).unwrap();
    engine.checkpoint().unwrap();
    let engine = subject.reopen(engine);
    assert_eq!(state(&*engine), records(&[("a", "1")]));
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("y", "1")])).unwrap();
    engine.install(moment(5), &EpochHistory::new()).unwrap();
    assert_eq!(state(&*engine), records(&[("y", "1")]));
}

/// Every view is the outcome of a prefix of the entries, also while entries are applied.
pub(super) fn reads_go_on_beside_changes(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let last = 400;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in (0..last).step_by(2) {
                let value = format!("{seq}");
                apply(
                    &*engine,
                    &[insert(1, seq, "a", &value), insert(1, seq + 1, "b", &value)],
                )
                .unwrap();
            }
        });
        scope.spawn(|| {
            let mut at = Position(0);
            while at < Position(last) {
                let view = engine.view().unwrap();
                assert!(view.at().position >= at, "a view never goes back");
                at = view.at().position;
                let values: Vec<_> = all(&|range| view.scan(range, None))
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect();
                let expected = Value::from(format!("{}", at.0.saturating_sub(2)));
                let expected = if at.0 == 0 {
                    vec![]
                } else {
                    vec![expected.clone(), expected]
                };
                assert_eq!(values, expected);
            }
        });
    });
}
