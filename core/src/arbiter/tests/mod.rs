//! Tables of decisions, an idea a file; here what they are made of.

mod changes;
mod identities;
mod joins;
mod last_resorts;
mod newcomers;
mod process;
mod several;

use super::policy::*;
use super::*;
use crate::config::{
    ArbiterPlace, ClusterId, ConfigVersion, Epoch, Incarnation, NodeId, Position, StartId, Token,
};
use crate::message::{
    ConfigChange, ConfigQuery, FromArbiter, Join, JoinRefusal, JoinRefused, Joined, Leave,
    NodeStatus, Propose, RoleName, Usage,
};
use crate::operation::Revision;
use crate::process::Effect;

fn address(node: u64) -> Address {
    Address::new(format!("r{node}"))
}

/// The Join of a node that knows the configuration.
fn knowing(record: &ArbiterRecord, join: Join) -> Join {
    let version = record.config.version;
    Join { version, ..join }
}

fn join(node: u64, incarnation: u64, token: Token) -> Join {
    Join {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        token,
        cluster: None,
        name: format!("r{node}"),
        address: address(node),
        version: ConfigVersion::ZERO,
        epoch: Epoch::ZERO,
        starts: vec![StartId(incarnation)],
        terms: Default::default(),
    }
}

fn answer_to(decision: &Decision, node: u64) -> &FromArbiter {
    &decision
        .answers
        .iter()
        .find(|answer| answer.0 == address(node))
        .expect("an answer")
        .1
}

fn accepted(decision: &Decision, node: u64) -> Joined {
    match answer_to(decision, node) {
        FromArbiter::JoinedPrimary(joined) | FromArbiter::JoinedSecondary(joined) => joined.clone(),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refusal(decision: &Decision, node: u64) -> JoinRefusal {
    match answer_to(decision, node) {
        FromArbiter::JoinRefused(JoinRefused { reason, .. }) => reason.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

/// An arbiter that has this on its disk, and no other beside it.
fn alone(mut record: ArbiterRecord) -> Arbiter {
    record.config.arbiters = [(ArbiterId(1), arbiter_place(1))].into();
    open(1, offline::found(ArbiterId(1), record))
}

/// That arbiter, which knows of no other but by its disk.
fn open(id: u64, keeper: ArbiterKeeper) -> Arbiter {
    let ArbiterPlace { name, address } = arbiter_place(id);
    Arbiter::open(ArbiterOptions::alone(name, address), drawn(id), keeper)
}

fn drawn(id: u64) -> Drawn {
    Drawn {
        arbiter: ArbiterId(10 * id),
        cluster: ClusterId(7),
        secret: 42,
    }
}

fn arbiter_place(id: u64) -> ArbiterPlace {
    ArbiterPlace {
        name: format!("a{id}"),
        address: Address::new(format!("a{id}")),
    }
}

/// A cluster with primary 1 and in-sync 2; the tokens of both.
fn pair() -> (ArbiterRecord, Token, Token) {
    let record = first_record(ClusterId(7), 42);
    let decision = on_join(&record, &address(1), &join(1, 1, Token(0)));
    let (first, record) = (
        accepted(&decision, 1).token,
        decision.record.expect("a change"),
    );
    let decision = on_join(&record, &address(2), &join(2, 1, Token(0)));
    let (second, record) = (
        accepted(&decision, 2).token,
        decision.record.expect("a change"),
    );
    let record = propose(&record, 1, ConfigChange::AddInSync(NodeId(2)))
        .record
        .expect("a change");
    (record, first, second)
}

fn propose(record: &ArbiterRecord, node: u64, change: ConfigChange) -> Decision {
    let propose = Propose {
        node: NodeId(node),
        version: record.config.version,
        change,
    };
    on_propose(record, &address(node), &propose)
}
