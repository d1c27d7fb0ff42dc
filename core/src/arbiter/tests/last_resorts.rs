//! What an operator does when something is lost for good: a primary by force, a new arbiter.

use std::slice;

use super::*;
use crate::config::Config;
use crate::event::Event;
use crate::storage::Act;

#[test]
fn a_joining_replica_is_made_primary_by_force_and_all_others_are_superseded() {
    let (record, first, second) = pair();
    let decision = on_join(&record, &address(3), &join(3, 1, Token(0)));
    let (third, record) = (
        accepted(&decision, 3).token,
        decision.record.expect("a change"),
    );
    let forced = force_primary(&record, "r3").expect("it is joining");
    forced.config.check();
    assert_eq!(forced.config.primary, Some(NodeId(3)));
    assert_eq!(forced.config.in_sync, [NodeId(3)].into());
    assert!(forced.config.epoch > record.config.epoch);
    assert!(forced.config.version > record.config.version);
    // Whoever comes back, as it ran on or started anew, is refused, and stays so.
    for (node, token) in [(1, first), (2, second)] {
        for incarnation in [1, 2] {
            let decision = on_join(&forced, &address(node), &join(node, incarnation, token));
            assert_eq!(refusal(&decision, node), JoinRefusal::Superseded);
            assert_eq!(decision.record, None);
        }
    }
    // A new node of the same name is as good as any, and the chosen one comes back as primary.
    let decision = on_join(
        &forced,
        &address(1),
        &Join {
            node: NodeId(9),
            ..join(1, 1, Token(0))
        },
    );
    assert!(
        decision
            .record
            .expect("a change")
            .config
            .joining
            .contains(&NodeId(9))
    );
    let decision = on_join(&forced, &address(3), &join(3, 2, third));
    assert!(matches!(
        answer_to(&decision, 3),
        FromArbiter::JoinedPrimary(_)
    ));
}

#[test]
fn what_was_done_to_the_record_is_told_and_then_forgotten() {
    let mut record = pair().0;
    let act = |at| Act {
        what: "force-primary r3".to_owned(),
        by: "somebody".to_owned(),
        at,
    };
    for at in 0..=limits::ACTS_MAX as u64 {
        record.note(act(at));
    }
    let mut out = Outbox::new();
    let mut arbiter = alone(record);
    arbiter.step(Instant::ZERO.into(), Input::Start, &mut out);
    let (mut told, mut saved) = (Vec::new(), Vec::new());
    for effect in out.drain() {
        match effect {
            Effect::Notify(Event::Acted(act)) => told.push(act),
            Effect::Persist(_, Save::Arbiter(keeper)) => {
                saved.push(keeper.held().expect("it has a record").value.acts.clone());
            }
            _ => {}
        }
    }
    let latest: Vec<Act> = (1..=limits::ACTS_MAX as u64).map(act).collect();
    assert_eq!(told, latest);
    assert_eq!(saved, [latest, Vec::new()]);
}

#[test]
fn only_a_member_that_is_not_in_sync_is_made_primary_by_force() {
    let (record, ..) = pair();
    let in_sync = force_primary(&record, "r2");
    assert_eq!(in_sync, Err(NotForced::InSync { name: "r2".into() }));
    let unknown = force_primary(&record, "r7").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "there is no replica r7 in the configuration; it has r1, r2"
    );
}

#[test]
fn a_cluster_is_adopted_as_the_newest_of_those_that_may_act_knows_it() {
    let (record, ..) = pair();
    let older = {
        let mut config = record.config.clone();
        config.version = ConfigVersion(config.version.0 - 1);
        config
    };
    let status = |node: u64, config: &Config| NodeStatus {
        node: NodeId(node),
        name: format!("r{node}"),
        address: address(node),
        software: String::new(),
        role: RoleName::Secondary,
        config: Some(config.clone()),
        arbiter: Address::new("arbiter"),
        arbiter_reachable: false,
        foreign_arbiter: None,
        persisted: Position::ZERO,
        committed: Position::ZERO,
        revision: Revision::FIRST,
        log_start: Position::ZERO,
        disk_full: false,
        peers: Vec::new(),
        former: Vec::new(),
        min_in_sync: 1,
        arbiters: None,
        has_lease: false,
        sessions: 0,
        usage: Usage::default(),
    };
    let (newest, stale) = (status(1, &record.config), status(2, &older));
    let adopted = adopt(&[stale.clone(), newest.clone()], 43, false).unwrap();
    let expected = Config {
        version: adopted.config.version,
        ..record.config.clone()
    };
    assert_eq!(adopted.config, expected);
    assert!(
        adopted.config.version.0 > record.config.version.0 + 1_000,
        "former arbiters are behind"
    );

    assert_eq!(adopt(&[], 43, false), Err(NotAdopted::NoCluster));
    let missing = adopt(slice::from_ref(&newest), 43, false).unwrap_err();
    assert!(missing.to_string().starts_with("r2 may know"), "{missing}");
    assert_eq!(
        adopt(slice::from_ref(&newest), 43, true),
        Ok(adopted.clone())
    );
    let mut foreign = stale;
    foreign.config.as_mut().unwrap().cluster = ClusterId(8);
    let two = adopt(&[newest, foreign], 43, false).unwrap_err();
    assert!(matches!(two, NotAdopted::TwoClusters { .. }), "{two}");

    // Nobody knows the tokens any more: each node is believed once, whether it runs on or starts again.
    for incarnation in [1, 2] {
        let back = on_join(&adopted, &address(2), &join(2, incarnation, Token(77)));
        let next = back.record.expect("it is let in");
        assert!(next.config.in_sync.contains(&NodeId(2)));
        let copy = on_join(&next, &address(2), &join(2, 3, Token(78)));
        let refused = answer_to(&copy, 2);
        assert!(
            matches!(refused, FromArbiter::JoinRefused(_)),
            "{refused:?}"
        );
    }
}
