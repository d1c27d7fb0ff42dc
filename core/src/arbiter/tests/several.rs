//! Several arbiters: any of them decides, what it says is chosen, and it believes nobody it should not.

use std::collections::VecDeque;

use super::*;
use crate::config::Round;
use crate::message::RegisterMessage;
use crate::register::{Arbiters, Ballot, Held, Keeper, Mark};

/// Arbiters, from the start 1 to 3, each at its address, whose disks are done at once; what they send each other waits to be delivered.
pub(super) struct Three {
    pub(super) arbiters: Vec<Arbiter>,
    pub(super) now: Instant,
    /// From, to, what.
    pub(super) underway: VecDeque<(usize, usize, Message)>,
    /// What was said to replicas: by whom, to whom, what.
    pub(super) told: Vec<(usize, Address, FromArbiter)>,
    pub(super) events: Vec<Event>,
}

impl Three {
    pub(super) fn new() -> Self {
        let mut three = Self::of((1..=3).map(|id| open(id, holding(id))).collect());
        for arbiter in 0..3 {
            three.step(arbiter, Input::Start);
        }
        assert!(three.underway.is_empty(), "nobody has asked for anything");
        three
    }

    /// These, which have not started yet.
    pub(super) fn of(arbiters: Vec<Arbiter>) -> Self {
        Self {
            arbiters,
            now: Instant::from_millis(1_000),
            underway: VecDeque::new(),
            told: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, arbiter: usize, input: Input<Timer>) {
        let mut out = Outbox::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.arbiters[arbiter].step(self.now.into(), input, &mut out);
            for effect in out.drain() {
                match effect {
                    Effect::Persist(ticket, _) => inputs.push_back(Input::Persisted(ticket)),
                    Effect::Send {
                        to,
                        message: Message::FromArbiter(message),
                    } => self.told.push((arbiter, to, *message)),
                    Effect::Send { to, message } => {
                        let mut arbiters = self.arbiters.iter();
                        let to = arbiters.position(|known| known.options.place.address == to);
                        self.underway.extend(to.map(|to| (arbiter, to, message)));
                    }
                    Effect::Notify(event) => self.events.push(event),
                    other => panic!("an arbiter asks for no {other:?}"),
                }
            }
        }
    }

    pub(super) fn hear(&mut self, arbiter: usize, from: Address, message: Message) {
        self.step(arbiter, Input::Message { from, message });
    }

    pub(super) fn ask(&mut self, arbiter: usize, node: u64, message: ToArbiter) {
        self.hear(arbiter, address(node), Message::ToArbiter(message));
    }

    /// Delivers what is under way, and what follows, save what `is_lost`.
    pub(super) fn deliver(&mut self, is_lost: impl Fn(usize, usize) -> bool) {
        while let Some((from, to, message)) = self.underway.pop_front() {
            if !is_lost(from, to) {
                let from = self.arbiters[from].options.place.address.clone();
                self.hear(to, from, message);
            }
        }
    }

    pub(super) fn later(&mut self, millis: u64) {
        self.now = self.now + std::time::Duration::from_millis(millis);
    }
}

fn place(id: u64) -> Address {
    Address::new(format!("a{id}"))
}

pub(super) fn holding(id: u64) -> ArbiterKeeper {
    let ids = [1, 2, 3].map(ArbiterId);
    let ballot = Ballot {
        round: Round(1),
        arbiter: ArbiterId(1),
    };
    let mut record = first_record(ClusterId(7), 42);
    record.config.arbiters = ids.map(|id| (id, arbiter_place(id.0))).into();
    let held = Held {
        mark: Mark {
            ballot,
            step: Step::ZERO,
        },
        arbiters: Arbiters::new(ids.into()).expect("three"),
        value: record,
    };
    Keeper::holding(ArbiterId(id), held)
}

pub(super) fn first_join() -> ToArbiter {
    ToArbiter::Join(join(1, 1, Token(0)))
}

pub(super) fn query(node: u64, version: ConfigVersion) -> ToArbiter {
    ToArbiter::ConfigQuery(ConfigQuery {
        node: NodeId(node),
        version,
        cluster: Some(ClusterId(7)),
    })
}

fn prepare(sender: u64, cluster: u64, round: u64) -> Message {
    let ballot = Ballot {
        round: Round(round),
        arbiter: ArbiterId(sender),
    };
    Message::Register(Box::new(RegisterMessage {
        sender: ArbiterId(sender),
        cluster: ClusterId(cluster),
        body: register::Message::Prepare { ballot },
    }))
}

#[test]
fn who_is_asked_decides_by_the_help_of_one_other() {
    let mut three = Three::new();
    three.ask(1, 1, first_join());
    assert_eq!(three.told, []);
    three.deliver(|from, to| from == 0 || to == 0);
    let joined = |(by, to, message): &(usize, Address, FromArbiter)| {
        *by == 1 && *to == address(1) && matches!(message, FromArbiter::JoinedPrimary(_))
    };
    assert!(three.told.iter().any(joined), "{:?}", three.told);
}

#[test]
fn an_arbiter_that_reaches_nobody_says_nothing() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    for _ in 0..5 {
        three.deliver(|_, _| true);
        three.later(100);
        three.step(0, Input::Timer(Timer::Repeat));
        assert!(!three.underway.is_empty(), "it asks again");
        three.ask(0, 1, query(1, ConfigVersion::ZERO));
    }
    assert_eq!(three.told, []);
}

#[test]
fn who_took_the_chair_answers_from_what_the_one_before_has_decided() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(|_, _| false);
    three.told.clear();
    three.later(1_000);
    three.ask(2, 1, query(1, ConfigVersion(1)));
    three.deliver(|from, to| from == 0 || to == 0);
    let tells = |(by, _, message): &(usize, Address, FromArbiter)| {
        let is_newest = match message {
            FromArbiter::Replicas(config) => config.version == ConfigVersion(1),
            FromArbiter::Arbiters(seen) => seen.chair == ArbiterId(3),
            _ => false,
        };
        *by == 2 && is_newest
    };
    assert!(three.told.iter().all(tells) && !three.told.is_empty());
    // The one before does not know yet. It asks the others before it says anything.
    three.told.clear();
    three.ask(0, 1, query(1, ConfigVersion(1)));
    assert_eq!(three.told, []);
    three.deliver(|_, _| false);
    assert_eq!(three.told, [], "its ballot is not the highest any more");
}

#[test]
fn an_arbiter_leaves_the_chair_for_a_while_to_who_has_just_stood_for_it() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(|_, _| false);
    three.ask(1, 1, query(1, ConfigVersion(1)));
    assert!(three.underway.is_empty());
    three.later(1_000);
    three.ask(1, 1, query(1, ConfigVersion(1)));
    assert!(!three.underway.is_empty());
}

#[test]
fn a_chair_that_knows_less_than_a_replica_asks_whether_it_is_the_chair() {
    let mut three = Three::new();
    three.ask(0, 1, first_join());
    three.deliver(|_, _| false);
    three.ask(0, 1, query(1, ConfigVersion(9)));
    assert_eq!(
        three.events.last(),
        Some(&Event::Joined {
            node: NodeId(1),
            incarnation: Incarnation(1)
        })
    );
    three.deliver(|_, _| false);
    assert_eq!(three.events.last(), Some(&Event::RecordBehind));
}

#[test]
fn what_another_cluster_or_a_copy_at_another_place_says_changes_nothing() {
    let mut three = Three::new();
    three.hear(0, place(2), prepare(2, 8, 9));
    three.hear(0, Address::new("elsewhere"), prepare(2, 7, 9));
    assert_eq!(three.underway, []);
    let stale = |from: &str| Event::Stale {
        from: Address::new(from),
    };
    assert_eq!(three.events, [stale("a2"), stale("elsewhere")]);
    three.hear(0, place(2), prepare(2, 7, 9));
    assert_eq!(three.underway.len(), 1, "that is a promise");
}

#[test]
fn a_record_that_contradicts_itself_is_not_accepted() {
    let mut three = Three::new();
    let keeper = holding(2);
    let mut held = keeper.held().expect("it holds the first").clone();
    held.mark.ballot.round = Round(9);
    held.value.config.primary = Some(NodeId(5));
    let message = RegisterMessage {
        sender: ArbiterId(2),
        cluster: ClusterId(7),
        body: register::Message::Accept(held),
    };
    three.hear(0, place(2), Message::Register(Box::new(message)));
    assert_eq!(three.underway, []);
    assert_eq!(three.arbiters[0].register().keeper(), &holding(1));
}

#[test]
fn one_of_several_decides_nothing_offline() {
    let keeper = holding(1);
    let record = first_record(ClusterId(7), 42);
    assert_eq!(offline::decide(&keeper, record.clone()), None);
    let alone = offline::found(ArbiterId(1), record.clone());
    let decided = offline::decide(&alone, record).expect("it is alone");
    assert!(decided.promised() > alone.promised());
}

#[test]
fn a_round_that_nobody_can_have_reached_is_let_be() {
    let mut three = Three::new();
    three.hear(0, place(2), prepare(2, 7, u64::MAX));
    three.hear(0, place(2), prepare(2, 7, 2 + limits::ROUNDS_AHEAD_MAX));
    let ballot = |round| Ballot {
        round: Round(round),
        arbiter: ArbiterId(2),
    };
    let refused = RegisterMessage {
        sender: ArbiterId(2),
        cluster: ClusterId(7),
        body: register::Message::Refused {
            ballot: ballot(1),
            promised: ballot(u64::MAX),
        },
    };
    three.hear(0, place(2), Message::Register(Box::new(refused)));
    assert_eq!(three.underway, []);
    three.ask(0, 1, first_join());
    three.deliver(|_, _| false);
    assert!(!three.told.is_empty(), "it decides as before");
}

#[test]
fn one_that_hears_nobody_keeps_no_other_from_the_chair() {
    let mut three = Three::new();
    let is_lost = |_: usize, to: usize| to == 0;
    three.ask(0, 1, first_join());
    for _ in 0..5 {
        three.deliver(is_lost);
        three.later(100);
        three.step(0, Input::Timer(Timer::Repeat));
    }
    assert_eq!(three.told, []);
    three.ask(1, 1, first_join());
    three.deliver(is_lost);
    assert!(three.told.iter().any(|(by, _, _)| *by == 1), "it decides");
}
