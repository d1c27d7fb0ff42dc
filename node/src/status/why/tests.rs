//! Why operations wait, case by case.

use std::time::Duration;

use lockstep_core::config::{Address, ArbiterId, ArbiterPlace, ClusterId};
use lockstep_core::message::{ArbitersSeen, ArbitersStatus, NodeStatus};

use super::*;
use crate::status::combine;
use crate::status::tests::{answer, config};

fn place(id: u64) -> ArbiterPlace {
    ArbiterPlace {
        name: format!("a{id}"),
        address: Address::new(format!("a{id}@127.0.0.1:720{id}")),
    }
}

/// The answers of these replicas in a cluster of three arbiters, of which `silent` have been so for a minute.
fn answers(replicas: &[u64], silent: &[u64]) -> Vec<NodeStatus> {
    let mut config = config(7);
    config.arbiters = (1..=3).map(|id| (ArbiterId(id), place(id))).collect();
    let seen = ArbitersSeen {
        cluster: ClusterId(0xc),
        chair: ArbiterId(1),
        silent: silent
            .iter()
            .map(|id| (ArbiterId(*id), Duration::from_secs(60)))
            .collect(),
        offers: Default::default(),
    };
    let told = ArbitersStatus {
        seen,
        age: Duration::from_millis(100),
    };
    let answers = replicas.iter().map(|node| NodeStatus {
        config: Some(config.clone()),
        arbiters: Some(told.clone()),
        ..answer(*node, 9, 9)
    });
    answers.collect()
}

/// Nothing was heard of the arbiters for a minute.
fn without_arbiters(mut answers: Vec<NodeStatus>) -> Vec<NodeStatus> {
    for answer in &mut answers {
        answer.arbiter_reachable = false;
        let told = answer.arbiters.as_mut().expect("they were told");
        told.age = Duration::from_secs(60);
    }
    answers
}

fn why(answers: &[NodeStatus]) -> Why {
    let cluster = combine(answers).expect("somebody answers");
    Why::of(&cluster, &|name, _| {
        (name == "replica-2").then(|| "its certificate has expired".to_owned())
    })
}

fn says(why: &Why, parts: &[&str]) {
    let text = why.text();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn all_goes_on_where_nothing_is_wrong() {
    let why = why(&answers(&[1, 2, 3], &[]));
    assert_eq!((&*why.writes, &*why.reads), ("go on", "go on"));
    assert!(why.forcing.is_empty());
}

#[test]
fn one_silent_arbiter_is_named_and_since_when() {
    let why = why(&answers(&[1, 2, 3], &[3]));
    assert_eq!(why.writes, "go on");
    says(
        &why,
        &[
            "the arbiter a3 at 127.0.0.1:7203, silent for 1 min",
            "lockstep arbiters remove a3",
        ],
    );
}

#[test]
fn two_of_three_arbiters_down() {
    let why = why(&without_arbiters(answers(&[1, 2, 3], &[])));
    assert_eq!((&*why.writes, &*why.reads), ("go on", "go on"));
    says(
        &why,
        &[
            "a majority of the arbiters a1 at 127.0.0.1:7201, a2 at 127.0.0.1:7202",
            "for 1 min or longer",
            "until a majority runs",
            "lockstep adopt",
        ],
    );
}

#[test]
fn primary_down_and_no_majority_of_arbiters() {
    let why = why(&without_arbiters(answers(&[2, 3], &[])));
    says(
        &why,
        &[
            "writes wait for replica-1, the primary, or for a majority of the arbiters",
            "reads wait for replica-1",
            "start replica-1 again",
            "until a majority runs",
        ],
    );
    assert!(why.forcing.is_empty(), "replica-2 has everything");
}

#[test]
fn the_last_in_sync_down() {
    let mut answers = answers(&[3], &[]);
    for answer in &mut answers {
        let config = answer.config.as_mut().expect("it has one");
        config.in_sync.remove(&lockstep_core::config::NodeId(2));
        config.members.remove(&lockstep_core::config::NodeId(2));
    }
    let why = why(&answers);
    says(
        &why,
        &[
            "wait for replica-1, which alone is known to have every acknowledged write",
            "every acknowledged write that the one made primary lacks is lost",
            "replica-3 has writes up to 8: `lockstep force-primary replica-3 --help`",
        ],
    );
}

#[test]
fn a_full_disk_and_what_it_needs() {
    let mut answers = answers(&[1, 2, 3], &[]);
    answers[0].disk_full = true;
    answers[0].usage.disk_free = 1 << 20;
    answers[0].usage.disk_needed = 64 << 20;
    let why = why(&answers);
    says(
        &why,
        &[
            "writes are rejected: the disk of replica-1",
            "1.0 MB free, 67.1 MB needed",
        ],
    );
    assert_eq!(why.reads, "go on");
}

#[test]
fn a_refused_certificate_is_the_reason_that_is_told() {
    let why = why(&answers(&[1, 3], &[]));
    says(
        &why,
        &["replica-2 at 127.0.0.1:7102, in sync, does not answer: its certificate has expired"],
    );
}

#[test]
fn a_namesake_of_an_arbiter_is_told_apart() {
    let mut answers = answers(&[1, 2, 3], &[]);
    for answer in &mut answers {
        let told = answer.arbiters.as_mut().expect("they were told");
        let other = ArbiterPlace {
            address: Address::new("a3@127.0.0.1:7299"),
            ..place(3)
        };
        told.seen.offers.insert(ArbiterId(9), other);
    }
    says(
        &why(&answers),
        &["two arbiters are called a3: the one at 127.0.0.1:7203 is heard"],
    );
}
