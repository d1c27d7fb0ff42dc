//! What an operator may have a replica do, and what comes of who is gone.

use super::*;
use crate::config::Former;
use crate::message::{ConfigChange, Drain, Propose, Usage};
use crate::operation::DrainRefusal;

/// What a drain is answered with; `None` if it begins.
fn drain(table: &mut Table, drain: Drain) -> Option<DrainRefusal> {
    table.said();
    table.ask("client", 1, RequestBody::Drain(drain));
    let answers = table.replies();
    match &answers[..] {
        [(_, _, ReplyBody::Begun)] => None,
        [
            (
                _,
                _,
                ReplyBody::OperationRejected {
                    reason: Rejection::CannotDrain { reason },
                    ..
                },
            ),
        ] => Some(*reason),
        other => panic!("{other:?}"),
    }
}

fn tell(table: &mut Table, config: Config) {
    let replicas = FromArbiter::Replicas(config);
    table.hear("arbiter", Message::from(replicas));
}

/// A secondary that hears its primary.
fn secondary() -> Table {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.let_save();
    table
}

#[test]
fn a_drain_that_would_stop_the_cluster_is_refused_before_anything_happens() {
    let mut alone = Table::joined(ME);
    let mut config = config(ME, 2, 1);
    config.in_sync.remove(&OTHER);
    config.joining.insert(OTHER);
    tell(&mut alone, config);
    for what in [Drain::Node, Drain::NodeByForce, Drain::Primary] {
        let refused = drain(&mut alone, what);
        assert_eq!(refused, Some(DrainRefusal::LastInSync), "{what:?}");
    }
    assert!(alone.replica.core.leaving.is_none());

    let mut needed = secondary();
    needed.replica.core.options.limits.min_in_sync = 2;
    let too_few = DrainRefusal::TooFewReplicas {
        in_sync: 1,
        required: 2,
    };
    assert_eq!(drain(&mut needed, Drain::Node), Some(too_few));
    assert!(needed.replica.core.leaving.is_none());
    assert_eq!(drain(&mut needed, Drain::NodeByForce), None);
    assert!(needed.replica.core.leaving.is_some());
}

#[test]
fn a_drain_that_would_not_end_is_refused() {
    let mut primary = Table::joined(ME);
    for what in [Drain::Node, Drain::Primary] {
        let refused = drain(&mut primary, what);
        assert_eq!(refused, Some(DrainRefusal::NoSuccessor), "{what:?}");
    }
    let mut unheard = Table::joined(OTHER);
    let refused = drain(&mut unheard, Drain::Node);
    assert_eq!(refused, Some(DrainRefusal::PrimarySilent));

    let mut table = secondary();
    table.step(Input::Timer(Timer::ArbiterSilent));
    for what in [Drain::Node, Drain::Former(NodeId(3))] {
        let refused = drain(&mut table, what);
        assert_eq!(refused, Some(DrainRefusal::ArbiterSilent), "{what:?}");
    }
    assert!(table.replica.core.leaving.is_none());
    // Who is not primary has no role to give away.
    assert_eq!(drain(&mut table, Drain::Primary), None);
    tell(&mut table, config(OTHER, 1, 1));
    assert_eq!(drain(&mut table, Drain::Node), None);
    assert!(table.replica.core.leaving.is_some());
}

#[test]
fn who_is_gone_is_told_of_for_as_long_as_the_configuration_does() {
    let third = NodeId(3);
    let without_third = |version| {
        let mut config = config(OTHER, version, 1);
        let former = Former {
            name: "r3".to_owned(),
            address: Address::new("r3"),
            since: ConfigVersion(3),
        };
        config.former.insert(third, former);
        config
    };
    let mut table = secondary();
    let former = |table: &Table, after: u64| {
        let status = (table.replica).status(Instant::from_millis(after), Usage::default());
        let former = status.former.into_iter();
        let former = former.map(|former| (former.name, former.gone_for.as_millis()));
        former.collect::<Vec<_>>()
    };
    let gone_for = |millis| vec![("r3".to_owned(), millis)];
    assert_eq!(former(&table, 0), []);
    tell(&mut table, without_third(3));
    tell(&mut table, without_third(4));
    assert_eq!(former(&table, 70), gone_for(70));
    // The operator does not expect it: so that is proposed to the arbiter, which decides.
    assert_eq!(drain(&mut table, Drain::Former(third)), None);
    let said = table.said().into_iter().find_map(|message| match message {
        Message::ToArbiter(ToArbiter::Propose(propose)) => Some(propose),
        _ => None,
    });
    let proposal = Propose {
        node: ME,
        version: ConfigVersion(4),
        change: ConfigChange::Forget(third),
    };
    assert_eq!(said, Some(proposal));
    assert_eq!(former(&table, 70), gone_for(70));
    tell(&mut table, config(OTHER, 5, 1));
    assert_eq!(former(&table, 0), []);
}
