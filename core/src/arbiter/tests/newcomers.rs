//! Arbiters that begin together, are taken in, replaced and sent away.

use std::collections::BTreeSet;

use super::several::{Three, first_join, holding, query};
use super::*;
use crate::message::ArbitersChange;
use crate::register::{Held, Keeper};

/// An arbiter with an empty directory, which is to begin a cluster with `founders`, and knows where they and `a1` to `a3` are.
fn new_one(id: u64, founders: &[u64]) -> Arbiter {
    let ArbiterPlace { name, address } = arbiter_place(id);
    let mut options = ArbiterOptions::alone(name, address);
    options.founders = founders.iter().map(|id| arbiter_place(*id).name).collect();
    let peers = founders.iter().copied().chain(1..=3);
    options.peers = peers.map(|id| arbiter_place(id).address).collect();
    Arbiter::open(options, drawn(id), Keeper::new(ArbiterId(10 * id)))
}

fn ids(arbiter: &Arbiter) -> BTreeSet<u64> {
    let held = arbiter.register().keeper().held();
    let all = held.map(|held| held.arbiters.all()).unwrap_or_default();
    all.iter().map(|id| id.0).collect()
}

/// The newest that any of them holds.
fn newest(three: &Three) -> &Held<ArbiterRecord> {
    let arbiters = three.arbiters.iter();
    let held = arbiters.filter_map(|arbiter| arbiter.register().keeper().held());
    held.max_by_key(|held| held.mark)
        .expect("there is a record")
}

/// The arbiters that the configuration tells of, at the one that has the newest.
fn told(three: &Three) -> BTreeSet<u64> {
    let config = &newest(three).value.config;
    config.arbiters.keys().map(|id| id.0).collect()
}

/// A second passes in which all go on, and a replica asks the first one.
fn live(three: &mut Three, is_lost: impl Fn(usize, usize) -> bool + Copy) {
    for _ in 0..10 {
        three.later(100);
        for arbiter in 0..three.arbiters.len() {
            for timer in [Timer::Offer, Timer::Repeat] {
                let due = three.arbiters[arbiter]
                    .timers()
                    .iter()
                    .any(|(armed, at)| armed == timer && at <= three.now);
                if due {
                    three.step(arbiter, Input::Timer(timer));
                }
            }
        }
        three.ask(0, 1, query(1, ConfigVersion::ZERO));
        three.deliver(is_lost);
    }
}

/// Has an operator's change proposed, by a replica that knows the newest configuration.
fn propose(three: &mut Three, change: ArbitersChange) {
    let propose = Propose {
        node: NodeId(1),
        version: newest(three).value.config.version,
        change: ConfigChange::Arbiters(change),
    };
    three.ask(0, 1, ToArbiter::Propose(propose));
    three.deliver(|_, _| false);
}

fn nobody(_: usize, _: usize) -> bool {
    false
}

#[test]
fn those_that_are_to_begin_together_do_when_all_are_there() {
    let founders = [1, 2, 3];
    let mut three = Three::of(vec![new_one(1, &founders), new_one(2, &founders)]);
    three.step(0, Input::Start);
    three.step(1, Input::Start);
    live(&mut three, nobody);
    let awaited = |ids: &[u64]| {
        let names = ids.iter().map(|id| arbiter_place(*id).name);
        Event::FoundersAwaited(names.collect())
    };
    assert!(three.events.contains(&awaited(&[3])), "{:?}", three.events);
    assert_eq!(ids(&three.arbiters[0]), [].into());
    three.arbiters.push(new_one(3, &founders));
    three.step(2, Input::Start);
    live(&mut three, nobody);
    for arbiter in &three.arbiters {
        assert_eq!(ids(arbiter), [10, 20, 30].into());
    }
    let begun = |event: &&Event| matches!(event, Event::ClusterBegun(_));
    assert_eq!(three.events.iter().filter(begun).count(), 1);
    three.ask(1, 1, first_join());
    three.deliver(nobody);
    assert!(
        three
            .told
            .iter()
            .any(|(_, _, told)| matches!(told, FromArbiter::JoinedPrimary(_)))
    );
}

#[test]
fn those_that_were_given_other_lists_begin_nothing() {
    let mut three = Three::of(vec![
        new_one(1, &[1, 2, 3]),
        new_one(2, &[2, 3, 4]),
        new_one(3, &[1, 2, 3]),
    ]);
    for arbiter in 0..3 {
        three.step(arbiter, Input::Start);
    }
    live(&mut three, nobody);
    assert!(three.arbiters.iter().all(|arbiter| ids(arbiter).is_empty()));
}

#[test]
fn one_that_is_wiped_begins_no_second_cluster_and_is_taken_back_in() {
    let mut three = Three::new();
    three.ask(1, 1, first_join());
    three.deliver(nobody);
    three.arbiters[0] = new_one(1, &[1, 2, 3]);
    three.step(0, Input::Start);
    live(&mut three, |from, to| from == 0 || to == 0);
    assert_eq!(ids(&three.arbiters[0]), [].into(), "nobody hears it");
    for _ in 0..3 {
        three.ask(1, 1, query(1, ConfigVersion::ZERO));
        live(&mut three, nobody);
    }
    for arbiter in &three.arbiters {
        assert_eq!(ids(arbiter), [2, 3, 10].into());
    }
    assert_eq!(told(&three), [2, 3, 10].into());
}

#[test]
fn one_at_another_place_is_taken_in_when_the_one_of_its_name_is_lost() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(nobody);
    let place = ArbiterPlace {
        address: Address::new("elsewhere"),
        ..arbiter_place(3)
    };
    let mut options = ArbiterOptions::alone(place.name, place.address);
    options.peers = [1, 2].map(|id| arbiter_place(id).address).into();
    // It has the directory of the one that is known at another place, as a machine that moved does, or a copy of it.
    let moved = Arbiter::open(options, drawn(3), holding(3));
    three.arbiters.push(moved);
    three.step(3, Input::Start);
    live(&mut three, nobody);
    assert_eq!(
        told(&three),
        [1, 2, 3].into(),
        "the one of its name is there"
    );
    for _ in 0..7 {
        live(&mut three, |from, to| from == 2 || to == 2);
    }
    assert_eq!(told(&three), [1, 2, 30].into());
    assert_eq!(ids(&three.arbiters[3]), [1, 2, 30].into());
}

#[test]
fn an_operator_has_one_become_three_and_the_first_one_go() {
    let mut record = first_record(ClusterId(7), 42);
    record.config.arbiters = [(ArbiterId(1), arbiter_place(1))].into();
    let first = open(1, offline::found(ArbiterId(1), record));
    let mut three = Three::of(vec![first]);
    three.step(0, Input::Start);
    three.ask(0, 1, first_join());
    propose(&mut three, ArbitersChange::Add(ArbiterId(20)));
    assert_eq!(told(&three), [1].into(), "it does not offer itself");
    for id in [2, 3] {
        three.arbiters.push(new_one(id, &[]));
        three.step(id as usize - 1, Input::Start);
        live(&mut three, nobody);
        assert!(
            !told(&three).contains(&(10 * id)),
            "nobody has asked for it"
        );
        propose(&mut three, ArbitersChange::Add(ArbiterId(10 * id)));
        live(&mut three, nobody);
        assert!(told(&three).contains(&(10 * id)));
    }
    assert_eq!(ids(&three.arbiters[2]), [1, 20, 30].into());
    propose(&mut three, ArbitersChange::Remove(ArbiterId(1)));
    three.ask(1, 1, query(1, ConfigVersion::ZERO));
    live(&mut three, nobody);
    three.ask(1, 1, query(1, ConfigVersion::ZERO));
    three.deliver(nobody);
    assert_eq!(told(&three), [20, 30].into());
    assert!(!three.arbiters[0].register().is_one(), "it knows");
}

#[test]
fn what_would_leave_no_majority_is_not_begun() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(nobody);
    let is_lost = |from: usize, to: usize| from == 2 || to == 2;
    for _ in 0..3 {
        live(&mut three, is_lost);
    }
    propose(&mut three, ArbitersChange::Remove(ArbiterId(2)));
    live(&mut three, is_lost);
    assert_eq!(
        told(&three),
        [1, 2, 3].into(),
        "1 would be left with 3, which is silent"
    );
    propose(&mut three, ArbitersChange::Remove(ArbiterId(3)));
    live(&mut three, is_lost);
    assert_eq!(told(&three), [1, 2].into());
}

#[test]
fn who_is_silent_and_who_offers_itself_is_told_to_replicas() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(nobody);
    three.arbiters.push(new_one(4, &[]));
    three.step(3, Input::Start);
    for _ in 0..3 {
        live(&mut three, |from, to| from == 2 || to == 2);
    }
    let seen = three.told.iter().rev().find_map(|(_, _, told)| match told {
        FromArbiter::Arbiters(seen) => Some(seen.clone()),
        _ => None,
    });
    let seen = seen.expect("it was told");
    assert_eq!(seen.chair, ArbiterId(1));
    assert_eq!(seen.silent.keys().collect::<Vec<_>>(), [&ArbiterId(3)]);
    assert_eq!(seen.offers, [(ArbiterId(40), arbiter_place(4))].into());
}

#[test]
fn a_single_offer_of_one_that_is_no_more_replaces_nobody() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(nobody);
    for _ in 0..6 {
        live(&mut three, |from, to| from == 2 || to == 2);
    }
    // Of what was where the third is, and was wiped: a network has kept it.
    let mut late = new_one(3, &[]);
    let mut out = Outbox::new();
    late.step(three.now.into(), Input::Start, &mut out);
    let offer = out.drain().find_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    });
    three.hear(
        0,
        arbiter_place(3).address,
        offer.expect("it offers itself"),
    );
    live(&mut three, |from, to| from == 2 || to == 2);
    assert_eq!(told(&three), [1, 2, 3].into());
}
