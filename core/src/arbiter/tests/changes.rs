//! What replicas propose, and how they leave.

use super::*;

#[test]
fn a_proposal_counts_only_at_the_present_version_and_from_the_primary() {
    let (record, ..) = pair();
    assert!(refused(propose(
        &record,
        2,
        ConfigChange::RemoveInSync(NodeId(1))
    )));
    assert!(refused(propose(
        &record,
        1,
        ConfigChange::RemoveInSync(NodeId(1))
    )));
    assert!(refused(propose(
        &record,
        1,
        ConfigChange::RemoveInSync(NodeId(5))
    )));
    assert!(refused(propose(
        &record,
        1,
        ConfigChange::AddInSync(NodeId(5))
    )));
    let late = Propose {
        node: NodeId(1),
        version: ConfigVersion(1),
        change: ConfigChange::RemoveInSync(NodeId(2)),
    };
    assert!(refused(on_propose(&record, &address(1), &late)));
    let forged = Propose {
        version: record.config.version,
        ..late
    };
    assert_eq!(
        on_propose(&record, &address(2), &forged),
        Decision::default()
    );
}

#[test]
fn who_was_taken_out_learns_it_by_what_it_proposes() {
    let (mut record, ..) = pair();
    for change in [
        ConfigChange::RemoveInSync(NodeId(2)),
        ConfigChange::Drained(NodeId(2)),
    ] {
        record = propose(&record, 1, change).record.expect("a change");
    }
    assert!(!record.config.is_member(NodeId(2)));
    assert!(refused(propose(&record, 2, ConfigChange::ReplacePrimary)));
    assert_eq!(
        propose(&record, 9, ConfigChange::ReplacePrimary),
        Decision::default()
    );
}

fn refused(decision: Decision) -> bool {
    decision.record.is_none()
        && matches!(
            decision.answers.as_slice(),
            [(_, FromArbiter::ProposalRefused(_))]
        )
}

#[test]
fn who_is_removed_hears_of_it_and_joins_again_with_the_same_start() {
    let (record, _, second) = pair();
    let decision = propose(&record, 1, ConfigChange::RemoveInSync(NodeId(2)));
    assert!(
        matches!(answer_to(&decision, 2), FromArbiter::Replicas(config) if !config.has_place(NodeId(2)))
    );
    let record = decision.record.expect("a change");
    let decision = on_join(&record, &address(2), &knowing(&record, join(2, 1, second)));
    assert_eq!(accepted(&decision, 2).token, second);
    assert!(
        decision
            .record
            .expect("a change")
            .config
            .joining
            .contains(&NodeId(2))
    );
}

#[test]
fn who_may_still_hold_a_read_lease_waits_until_it_is_drained() {
    let (record, _, second) = pair();
    let record = propose(&record, 1, ConfigChange::RemoveInSync(NodeId(2)))
        .record
        .expect("a change");
    assert!(record.config.draining.contains(&NodeId(2)));
    // A copy of its Join from before: it may not know of its removal. It is told, and nothing else.
    let decision = on_join(&record, &address(2), &join(2, 1, second));
    assert_eq!(decision.record, None);
    assert!(matches!(answer_to(&decision, 2), FromArbiter::Replicas(_)));
    // A later start of it holds none.
    let restarted = on_join(&record, &address(2), &join(2, 2, second));
    let config = restarted.record.expect("a change").config;
    assert!(config.joining.contains(&NodeId(2)) && config.draining.is_empty());
    assert!(refused(propose(
        &record,
        2,
        ConfigChange::Drained(NodeId(2))
    )));
    assert!(refused(propose(
        &record,
        1,
        ConfigChange::RemoveInSync(NodeId(2))
    )));
    let drained = propose(&record, 1, ConfigChange::Drained(NodeId(2)));
    assert!(
        !drained
            .record
            .expect("a change")
            .config
            .is_member(NodeId(2))
    );
}

#[test]
fn another_in_sync_replica_replaces_the_primary_in_a_new_epoch() {
    let (record, ..) = pair();
    assert!(refused(propose(&record, 1, ConfigChange::ReplacePrimary)));
    let decision = propose(&record, 2, ConfigChange::ReplacePrimary);
    assert!(
        matches!(answer_to(&decision, 1), FromArbiter::Replicas(config) if !config.is_member(NodeId(1)))
    );
    let config = decision.record.expect("a change").config;
    assert_eq!(config.primary, Some(NodeId(2)));
    assert_eq!(config.in_sync, [NodeId(2)].into());
    assert_eq!(config.epoch, Epoch(record.config.epoch.0 + 1));
    assert_eq!(config.version, record.config.version.next());
}

#[test]
fn a_hand_over_keeps_the_former_primary_in_sync_and_is_for_one_version() {
    let (record, ..) = pair();
    let decision = propose(&record, 1, ConfigChange::HandOver(NodeId(2)));
    let next = decision.record.expect("a change").config;
    assert_eq!(next.primary, Some(NodeId(2)));
    assert_eq!(next.epoch, record.config.epoch.next());
    assert_eq!(next.in_sync, record.config.in_sync);
    for (from, to) in [(1, 1), (1, 3), (2, 1), (2, 2)] {
        let refused = propose(&record, from, ConfigChange::HandOver(NodeId(to)));
        assert_eq!(refused.record, None, "{from} to {to}");
    }
    let late = Propose {
        node: NodeId(1),
        version: ConfigVersion(record.config.version.0 - 1),
        change: ConfigChange::HandOver(NodeId(2)),
    };
    assert_eq!(on_propose(&record, &address(1), &late).record, None);
}

#[test]
fn leaving_needs_the_recorded_start_and_the_present_version_and_is_not_for_the_primary() {
    let (record, ..) = pair();
    let leave = |node: u64, incarnation: u64, version| {
        let leave = Leave {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
            version,
            returns: false,
        };
        on_leave(&record, &address(node), &leave)
    };
    let version = record.config.version;
    assert_eq!(leave(2, 0, version), Decision::default());
    assert_eq!(leave(2, 1, ConfigVersion(1)).record, None);
    assert_eq!(leave(1, 1, version).record, None);
    let decision = leave(2, 1, version);
    assert!(matches!(answer_to(&decision, 2), FromArbiter::Replicas(_)));
    let record = decision.record.expect("a change");
    assert!(record.config.draining.contains(&NodeId(2)));
    // It says so again, and knows.
    let leave = Leave {
        node: NodeId(2),
        incarnation: Incarnation(1),
        version: record.config.version,
        returns: false,
    };
    let decision = on_leave(&record, &address(2), &leave);
    let record = decision.record.expect("a change");
    assert!(!record.config.is_member(NodeId(2)));
}

#[test]
fn who_comes_back_rests_until_the_primary_has_it_taken_out_or_stops_too() {
    let (record, ..) = pair();
    let rest = |record: &ArbiterRecord, node: u64| {
        let leave = Leave {
            node: NodeId(node),
            incarnation: Incarnation(1),
            version: record.config.version,
            returns: true,
        };
        on_leave(record, &address(node), &leave).record
    };
    assert_eq!(rest(&record, 1), None, "another one is in sync");
    let resting = rest(&record, 2).expect("a change");
    assert_eq!(resting.config.in_sync, [NodeId(1)].into());
    assert_eq!(resting.config.resting, [NodeId(2)].into());
    assert_eq!(rest(&resting, 2), None, "it rests already");
    assert!(!resting.config.has_place(NodeId(2)));

    let late = on_join(&resting, &address(2), &join(2, 1, Token(0)));
    assert_eq!(late.record, None, "a late copy of its Join");
    let replace = propose(&resting, 2, ConfigChange::ReplacePrimary);
    assert_eq!(replace.record, None, "it takes no part");
    let out = propose(&resting, 1, ConfigChange::Drained(NodeId(2))).record;
    assert!(!out.expect("a change").config.is_member(NodeId(2)));
    let back = resting.nodes[&NodeId(2)].token;
    let back = on_join(&resting, &address(2), &join(2, 2, back)).record;
    assert_eq!(back.expect("a change").config.joining, [NodeId(2)].into());

    let stopped = rest(&resting, 1).expect("a change").config;
    assert_eq!(stopped.in_sync, [NodeId(1), NodeId(2)].into());
    assert!(stopped.resting.is_empty());
    assert_eq!(stopped.primary, Some(NodeId(1)));
}

#[test]
fn who_went_is_told_of_until_it_is_back_or_not_expected() {
    let former = |record: &ArbiterRecord| {
        let former = record.config.former.iter();
        let former = former.map(|(node, former)| (*node, former.name.clone(), former.since));
        former.collect::<Vec<_>>()
    };
    let change = |record: &ArbiterRecord, from, change| {
        let decision = propose(record, from, change);
        decision.record.expect("a change")
    };
    let (record, first, second) = pair();
    let [one, two] = [NodeId(1), NodeId(2)];
    assert_eq!(former(&record), []);
    let draining = change(&record, 1, ConfigChange::RemoveInSync(two));
    assert_eq!(former(&draining), [], "it has not gone yet");
    let gone = change(&draining, 1, ConfigChange::Drained(two));
    let since = gone.config.version;
    assert_eq!(former(&gone), [(two, "r2".to_owned(), since)]);
    assert!(refused(propose(&gone, 1, ConfigChange::Forget(one))));
    let forgotten = change(&gone, 1, ConfigChange::Forget(two));
    assert_eq!(former(&forgotten), []);
    assert_eq!(forgotten.config.version, since.next());

    let back = on_join(&gone, &address(2), &join(2, 2, second));
    assert_eq!(former(&back.record.expect("a change")), []);
    // Its machine was lost: it has its name, and another identity.
    let mut other = join(3, 1, Token(0));
    other.name = "r2".to_owned();
    let replaced = on_join(&gone, &address(3), &other);
    assert_eq!(former(&replaced.record.expect("a change")), []);

    let replaced = change(&record, 2, ConfigChange::ReplacePrimary);
    let since = replaced.config.version;
    assert_eq!(former(&replaced), [(one, "r1".to_owned(), since)]);
    let back = on_join(&replaced, &address(1), &join(1, 2, first));
    assert_eq!(former(&back.record.expect("a change")), []);

    let leave = |record: &ArbiterRecord, returns| {
        let leave = Leave {
            node: two,
            incarnation: Incarnation(1),
            version: record.config.version,
            returns,
        };
        on_leave(record, &address(2), &leave)
            .record
            .expect("a change")
    };
    let leaving = leave(&record, false);
    assert_eq!(former(&leave(&leaving, false)), [], "it left for good");
    let drained = change(&leaving, 1, ConfigChange::Drained(two));
    assert_eq!(former(&drained), [], "the primary had it taken out");
    let rested = change(&leave(&record, true), 1, ConfigChange::Drained(two));
    assert_eq!(
        former(&rested),
        [(two, "r2".to_owned(), rested.config.version)]
    );
}

#[test]
fn of_too_many_former_members_who_went_first_is_forgotten() {
    let (mut record, ..) = pair();
    for node in 10..10 + limits::FORMER_MEMBERS_MAX as u64 + 1 {
        let joined = on_join(&record, &address(node), &join(node, 1, Token(0)));
        record = joined.record.expect("a change");
        let gone = propose(&record, 1, ConfigChange::RemoveInSync(NodeId(node)));
        record = gone.record.expect("a change");
    }
    let former = &record.config.former;
    assert_eq!(former.len(), limits::FORMER_MEMBERS_MAX);
    assert!(!former.contains_key(&NodeId(10)) && former.contains_key(&NodeId(11)));
}
