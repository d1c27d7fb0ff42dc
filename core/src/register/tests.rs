//! The register in good weather, one arbiter at a time; the laboratory explores the rest.

use std::collections::BTreeSet;

use super::*;
use crate::config::Round;

const NOBODY: &[u64] = &[];

fn arbiters(ids: &[u64]) -> Arbiters {
    Arbiters::new(set(ids)).expect("there are some")
}

fn set(ids: &[u64]) -> BTreeSet<ArbiterId> {
    ids.iter().copied().map(ArbiterId).collect()
}

/// The first of these arbiters, which hold the value 0 from the beginning.
fn first_of(ids: &[u64]) -> Register<u32> {
    let first = ArbiterId(ids[0]);
    let ballot = Ballot {
        round: Round(1),
        arbiter: first,
    };
    let mark = Mark {
        ballot,
        step: Step::ZERO,
    };
    let held = Held {
        mark,
        arbiters: arbiters(ids),
        value: 0,
    };
    Register::open(Keeper::holding(first, held))
}

/// What a register wants done, save by save: `save`, `2` for a message to that arbiter, `chosen`, `confirmed`.
fn told(out: &mut Effects<u32>) -> String {
    let words = out.drain().map(|effect| match effect {
        Effect::Save(_) => "save".to_owned(),
        Effect::Send { to, .. } => to.0.to_string(),
        Effect::Chosen(_) => "chosen".to_owned(),
        Effect::Confirmed(..) => "confirmed".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Has the register take the chair, and its first value chosen, by the help of one other arbiter.
fn seat(register: &mut Register<u32>, other: u64) {
    let out = &mut Effects::default();
    let other = ArbiterId(other);
    assert!(register.stand(out));
    let ballot = register.keeper().promised();
    let held = None;
    register.on_message(other, Message::Promise { ballot, held }, out);
    accept(register, other.0, out);
    out.drain().for_each(drop);
}

/// One accepts what the register has accepted last.
fn accept(register: &mut Register<u32>, by: u64, out: &mut Effects<u32>) {
    let mark = register.keeper().held().expect("it has a value").mark;
    register.on_message(ArbiterId(by), Message::Accepted { mark }, out);
}

#[test]
fn a_lone_arbiter_saves_once_for_a_start_and_for_each_change_and_says_nothing() {
    let mut register = first_of(&[1]);
    let out = &mut Effects::default();
    assert!(register.stand(out));
    assert_eq!(told(out), "save chosen");
    assert!(register.change(1, out).is_some());
    assert_eq!(told(out), "save chosen");
    assert_eq!(register.present().map(|held| held.value), Some(1));
}

#[test]
fn a_lone_arbiter_answers_questions_without_a_save() {
    let mut register = first_of(&[1]);
    let out = &mut Effects::default();
    assert!(register.stand(out));
    told(out);
    assert!(register.question(out).is_some());
    assert_eq!(told(out), "confirmed");
}

#[test]
fn a_chair_has_a_change_accepted_while_its_own_disk_is_at_work() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    seat(&mut register, 2);
    assert!(register.change(1, out).is_some());
    assert_eq!(told(out), "2 3 save");
    accept(&mut register, 3, out);
    assert_eq!(told(out), "chosen");
}

#[test]
fn the_next_change_waits_until_the_one_before_is_chosen() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    seat(&mut register, 2);
    assert!(register.change(1, out).is_some());
    assert_eq!(register.change(2, out), None);
    assert_eq!(register.change_arbiters(arbiters(&[1]), 2, out), None);
    assert_eq!(register.question(out), None);
    accept(&mut register, 3, out);
    assert!(register.change(2, out).is_some());
}

#[test]
fn questions_that_come_during_a_round_share_the_next_one() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    seat(&mut register, 2);
    let first = register.question(out).expect("it sits in the chair");
    assert_eq!(told(out), "2 3");
    let second = register.question(out);
    assert_eq!(second, Some(first.next()));
    assert_eq!(register.question(out), second);
    assert_eq!(told(out), "");
    let (ballot, round) = (register.keeper().promised(), first);
    register.on_message(ArbiterId(3), Message::Still { ballot, round }, out);
    assert_eq!(told(out), "confirmed 2 3");
}

#[test]
fn what_is_not_answered_is_sent_again() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    register.repeat(out);
    assert_eq!(told(out), "");
    assert!(register.stand(out));
    assert_eq!(told(out), "save 2 3");
    register.repeat(out);
    assert_eq!(told(out), "2 3");
    let (ballot, held) = (register.keeper().promised(), None);
    register.on_message(ArbiterId(2), Message::Promise { ballot, held }, out);
    accept(&mut register, 2, out);
    told(out);
    // The third one lags behind. It is told what is chosen as well.
    register.repeat(out);
    assert_eq!(told(out), "3");
    assert!(register.question(out).is_some());
    told(out);
    register.repeat(out);
    assert_eq!(told(out), "2 3 3");
}

#[test]
fn a_stranger_does_not_stand_for_the_chair() {
    let out = &mut Effects::default();
    let mut empty = Register::<u32>::open(Keeper::new(ArbiterId(4)));
    assert!(!empty.stand(out));
    let held = first_of(&[1, 2, 3]).keeper().held().cloned();
    let removed = Keeper::holding(ArbiterId(4), held.expect("it holds the first"));
    assert!(!Register::open(removed).stand(out));
    assert_eq!(told(out), "");
}

#[test]
fn an_arbiter_that_is_refused_stands_above_what_it_heard_of() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    assert!(register.stand(out));
    assert!(!register.stand(out), "it stands already");
    let ballot = register.keeper().promised();
    let promised = Ballot {
        round: Round(7),
        arbiter: ArbiterId(3),
    };
    let refused = Message::Refused { ballot, promised };
    register.on_message(ArbiterId(2), refused, out);
    assert!(register.stand(out));
    assert_eq!(register.keeper().promised().round, Round(8));
}

#[test]
fn no_round_comes_after_the_greatest_one() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    let ballot = Ballot {
        round: Round(u64::MAX),
        arbiter: ArbiterId(3),
    };
    register.on_message(ArbiterId(3), Message::Prepare { ballot }, out);
    assert!(!register.stand(out));
}

#[test]
fn a_chair_that_is_not_among_the_new_arbiters_ends_with_the_change() {
    let mut register = first_of(&[1, 2, 3]);
    let out = &mut Effects::default();
    seat(&mut register, 2);
    assert!(
        register
            .change_arbiters(arbiters(&[2, 3]), 1, out)
            .is_some()
    );
    assert_eq!(told(out), "2 3 save");
    accept(&mut register, 2, out);
    assert_eq!(told(out), "", "that is a majority of the old set alone");
    accept(&mut register, 3, out);
    assert_eq!(told(out), "chosen 2 3 save");
    accept(&mut register, 2, out);
    accept(&mut register, 3, out);
    assert_eq!(told(out), "chosen");
    assert!(!register.is_chair());
}

#[test]
fn majorities() {
    let check = |present: &[u64], next: &[u64], those: &[u64], expected: bool| {
        let mut all = arbiters(present);
        if let Some(next) = Arbiters::new(set(next)) {
            all = all.towards(next);
        }
        assert_eq!(all.is_majority(&set(those)), expected, "{all:?} {those:?}");
    };
    check(&[1], NOBODY, &[1], true);
    check(&[1], NOBODY, NOBODY, false);
    check(&[1, 2], NOBODY, &[1], false);
    check(&[1, 2], NOBODY, &[1, 2], true);
    check(&[1, 2, 3], NOBODY, &[1, 3], true);
    check(&[1, 2, 3], NOBODY, &[1, 4, 5], false);
    check(&[1, 2, 3, 4, 5], NOBODY, &[1, 2], false);
    check(&[1, 2, 3], &[1, 2, 4], &[1, 2], true);
    check(&[1, 2, 3], &[1, 2, 4], &[1, 3], false);
    check(&[1, 2, 3], &[1, 2, 4], &[1, 4], false);
    check(&[1, 2, 3], &[1, 2, 4], &[1, 3, 4], true);
    assert_eq!(Arbiters::new(set(NOBODY)), None);
}
