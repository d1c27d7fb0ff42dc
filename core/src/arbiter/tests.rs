//! Tables of decisions, and the one thing the process adds: nobody hears of what is not durable.

use std::slice;

use super::policy::*;
use super::*;
use crate::config::{
    ClusterId, ConfigVersion, Epoch, Incarnation, NodeId, Position, StartId, Token,
};
use crate::message::{
    ConfigChange, ConfigQuery, Join, JoinRefusal, JoinRefused, Joined, Leave, NodeStatus, Propose,
    RoleName, Usage,
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

#[test]
fn the_first_to_join_is_primary_and_later_ones_are_joining_secondaries() {
    let record = first_record(ClusterId(7), 42);
    let decision = on_join(&record, &address(1), &join(1, 1, Token(0)));
    assert!(matches!(
        decision.answers[0].1,
        FromArbiter::JoinedPrimary(_)
    ));
    assert!(matches!(decision.answers[1].1, FromArbiter::Replicas(_)));
    let record = decision.record.expect("a change");
    assert_eq!(
        (record.config.epoch, record.config.version),
        (Epoch(1), ConfigVersion(1))
    );
    let decision = on_join(&record, &address(2), &join(2, 1, Token(0)));
    assert!(matches!(
        decision.answers[0],
        (_, FromArbiter::JoinedSecondary(_))
    ));
    let record = decision.record.expect("a change");
    assert!(record.config.joining.contains(&NodeId(2)));
    assert_eq!(record.config.epoch, Epoch(1));
}

#[test]
fn the_same_join_again_is_answered_without_a_change() {
    let (record, ..) = pair();
    let decision = on_join(&record, &address(2), &join(2, 1, Token(0)));
    assert_eq!(decision.record, None);
    assert_eq!(accepted(&decision, 2).config, record.config);
}

#[test]
fn a_restarted_primary_gets_the_next_epoch_and_a_restarted_secondary_stays_in_sync() {
    let (record, first, second) = pair();
    let restarted = on_join(&record, &address(1), &join(1, 2, first))
        .record
        .expect("a change");
    assert_eq!(restarted.config.epoch, Epoch(2));
    assert_eq!(restarted.config.in_sync, record.config.in_sync);
    let restarted = on_join(&record, &address(2), &join(2, 2, second))
        .record
        .expect("a change");
    assert_eq!(restarted.config.epoch, Epoch(1));
    assert!(restarted.config.in_sync.contains(&NodeId(2)));
    assert_eq!(restarted.config.version, record.config.version.next());
}

#[test]
fn copies_of_a_data_directory_are_refused() {
    let (record, first, second) = pair();
    let old = on_join(&record, &address(2), &join(2, 0, second));
    assert_eq!(
        refusal(&old, 2),
        JoinRefusal::OldIncarnation {
            recorded: Incarnation(1)
        }
    );
    assert_eq!(
        refusal(&on_join(&record, &address(2), &join(2, 2, first)), 2),
        JoinRefusal::WrongToken
    );
    assert_eq!(
        refusal(&on_join(&record, &address(3), &join(3, 1, first)), 3),
        JoinRefusal::WrongToken
    );
    let mut elsewhere = join(2, 1, second);
    elsewhere.address = address(9);
    assert_eq!(
        refusal(&on_join(&record, &address(9), &elsewhere), 9),
        JoinRefusal::WrongToken
    );
    let mut started_as_often = join(2, 1, second);
    started_as_often.starts = vec![StartId(9)];
    assert_eq!(
        refusal(&on_join(&record, &address(2), &started_as_often), 2),
        JoinRefusal::WrongToken
    );
    // The former token is good until the node has shown the one it was given, for the directory that was started with it.
    assert_eq!(
        refusal(&on_join(&record, &address(2), &join(2, 2, Token(0))), 2),
        JoinRefusal::WrongToken
    );
    let mut unanswered = join(2, 2, Token(0));
    unanswered.starts = vec![StartId(1), StartId(2)];
    let again = on_join(&record, &address(2), &unanswered)
        .record
        .expect("a change");
    let shown = again.nodes[&NodeId(2)].token;
    let later = on_join(&again, &address(2), &join(2, 3, shown))
        .record
        .expect("a change");
    assert_eq!(
        refusal(&on_join(&later, &address(2), &join(2, 4, Token(0))), 2),
        JoinRefusal::WrongToken
    );
}

#[test]
fn who_is_displaced_by_a_copy_is_told_where_it_is() {
    let (record, _, second) = pair();
    let mut copy = join(2, 2, second);
    copy.address = address(9);
    let decision = on_join(&record, &address(9), &copy);
    accepted(&decision, 9);
    let FromArbiter::Replicas(config) = answer_to(&decision, 2) else {
        panic!("not told");
    };
    assert_eq!(config.members[&NodeId(2)].address, address(9));
}

#[test]
fn a_record_that_is_behind_what_a_node_has_acted_in_admits_it_not() {
    let (record, _, second) = pair();
    let mut ahead = join(2, 2, second);
    ahead.epoch = Epoch(2);
    assert_eq!(
        refusal(&on_join(&record, &address(2), &ahead), 2),
        JoinRefusal::ArbiterBehind {
            recorded: Epoch(1),
            acted: Epoch(2)
        }
    );
}

#[test]
fn an_arbiter_whose_record_is_behind_what_a_replica_knows_decides_nothing_any_more() {
    let (record, _, second) = pair();
    let known = record.config.version;
    let mut arbiter = Arbiter::open(record);
    let mut out = Outbox::new();
    let mut said = |message| {
        let message = Input::Message {
            from: address(2),
            message: Message::ToArbiter(message),
        };
        arbiter.step(Instant::ZERO.into(), message, &mut out);
        out.drain().collect::<Vec<_>>()
    };
    let node = NodeId(2);
    let query = |version| {
        ToArbiter::ConfigQuery(ConfigQuery {
            node,
            version,
            cluster: Some(ClusterId(7)),
        })
    };
    assert!(matches!(said(query(known))[..], [Effect::Send { .. }]));
    let of_another_cluster = ToArbiter::ConfigQuery(ConfigQuery {
        node,
        version: known.next(),
        cluster: Some(ClusterId(8)),
    });
    assert!(matches!(
        said(of_another_cluster)[..],
        [Effect::Send { .. }]
    ));
    let behind = [Effect::Notify(Event::RecordBehind)];
    assert_eq!(said(query(known.next())), behind);
    assert_eq!(said(query(known)), []);
    assert_eq!(said(ToArbiter::Join(join(2, 2, second))), []);
}

#[test]
fn a_late_copy_of_an_accepted_join_is_not_refused() {
    let (record, _, second) = pair();
    let record = propose(&record, 1, ConfigChange::RemoveInSync(NodeId(2)))
        .record
        .expect("a change");
    let record = on_join(&record, &address(2), &knowing(&record, join(2, 1, second)))
        .record
        .expect("a change");
    let late = on_join(&record, &address(2), &join(2, 1, Token(0)));
    assert_eq!(accepted(&late, 2).token, second);
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let (record, ..) = pair();
    let mut stranger = join(3, 1, Token(0));
    stranger.cluster = Some(ClusterId(8));
    let expected = JoinRefusal::WrongCluster {
        ours: ClusterId(7),
        theirs: ClusterId(8),
    };
    assert_eq!(
        refusal(&on_join(&record, &address(3), &stranger), 3),
        expected
    );
}

#[test]
fn a_wiped_directory_is_a_new_node_that_takes_the_place_of_its_joining_namesake() {
    let (record, ..) = pair();
    let record = on_join(&record, &address(3), &join(3, 1, Token(0)))
        .record
        .expect("a change");
    let mut wiped = join(4, 1, Token(0));
    (wiped.name, wiped.address) = ("r3".to_owned(), address(3));
    let record = on_join(&record, &address(3), &wiped)
        .record
        .expect("a change");
    assert!(!record.config.is_member(NodeId(3)));
    assert!(record.config.joining.contains(&NodeId(4)));
}

/// Node `node` at an address of its own, under the name of `namesake`.
fn join_as(node: u64, namesake: u64) -> Join {
    Join {
        name: format!("r{namesake}"),
        ..join(node, 1, Token(0))
    }
}

#[test]
fn a_token_does_not_tell_the_secret_that_the_next_one_is_made_of() {
    let token = |secret| {
        let record = first_record(ClusterId(7), secret);
        let decision = on_join(&record, &address(1), &join(1, 1, Token(0)));
        accepted(&decision, 1).token.0
    };
    assert_eq!(token(42), token(42));
    assert_ne!(token(42), token(43));
    // The finalizer of SplitMix64 is a bijection, and was what tokens were made by: undone, it gives the secret.
    let unshift = |mixed: u64, by: u32| mixed ^ (mixed >> by) ^ (mixed >> (2 * by));
    let mut undone = unshift(token(42), 31).wrapping_mul(0x3196_42b2_d24d_8ec3);
    undone = unshift(undone, 27).wrapping_mul(0x96de_1b17_3f11_9089);
    undone = unshift(undone, 30).wrapping_sub(0x9e37_79b9_7f4a_7c15);
    assert_ne!(undone, 42);
}

#[test]
fn a_name_is_of_one_living_node() {
    let (record, _, second) = pair();
    let record = on_join(&record, &address(3), &join(3, 1, Token(0)))
        .record
        .expect("a change");
    for namesake in [1, 2, 3] {
        let decision = on_join(&record, &address(5), &join_as(5, namesake));
        assert_eq!(decision.record, None, "r{namesake}");
        let holder = address(namesake);
        assert_eq!(refusal(&decision, 5), JoinRefusal::NameTaken { holder });
    }
    // The same node somewhere else is no second one.
    let mut moved = join(2, 2, second);
    moved.address = address(9);
    let decision = on_join(&record, &address(9), &moved);
    let moved = decision.record.expect("a change");
    assert_eq!(moved.config.members[&NodeId(2)].address, address(9));
}

#[test]
fn the_name_of_a_node_that_was_taken_out_is_free() {
    let (record, ..) = pair();
    let remove = propose(&record, 1, ConfigChange::RemoveInSync(NodeId(2)));
    let record = remove.record.expect("a change");
    let decision = on_join(&record, &address(5), &join_as(5, 2));
    let record = decision.record.expect("a change");
    assert!(record.config.joining.contains(&NodeId(5)));
}

#[test]
fn names_and_addresses_have_no_characters_that_do_something_to_a_terminal() {
    let (record, ..) = pair();
    let check = |name: &str, address: &str| {
        let mut join = join(3, 1, Token(0));
        (join.name, join.address) = (name.to_owned(), Address::new(address));
        let decision = on_join(&record, &Address::new(address), &join);
        decision.record.is_some()
    };
    assert!(check("r-3_a.B", "r3@[::1]:7"));
    for bad in ["", "r3\u{1b}[2J", "r 3", "r3\n", "ä", "r3\u{202e}"] {
        assert!(!check(bad, "r3"), "{bad:?}");
    }
    for bad in ["r3\u{1b}[2J", "r 3", "r3\n", "ä"] {
        assert!(!check("r3", bad), "{bad:?}");
    }
}

#[test]
fn a_late_join_of_a_wiped_directory_does_not_cost_the_new_node_its_identity() {
    let (record, ..) = pair();
    let old = join(3, 1, Token(0));
    let record = on_join(&record, &address(3), &old)
        .record
        .expect("a change");
    let mut wiped = join(4, 1, Token(0));
    (wiped.name, wiped.address) = (old.name.clone(), old.address.clone());
    let record = on_join(&record, &address(3), &wiped)
        .record
        .expect("a change");
    let late = on_join(&record, &address(3), &old)
        .record
        .expect("it may be the living one");
    assert!(!late.config.is_member(NodeId(4)));
    let back = on_join(&late, &address(3), &wiped)
        .record
        .expect("a change");
    assert!(back.config.joining.contains(&NodeId(4)) && !back.config.is_member(NodeId(3)));
    let record = propose(&back, 1, ConfigChange::AddInSync(NodeId(4)))
        .record
        .expect("a change");
    assert_eq!(
        on_join(&record, &address(3), &old),
        Decision::default(),
        "certainly a late one"
    );
}

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
fn nobody_hears_of_what_is_not_durable() {
    let mut arbiter = Arbiter::open(first_record(ClusterId(7), 42));
    let mut out = Outbox::new();
    arbiter.step(Instant::ZERO.into(), Input::Start, &mut out);
    let message = |message| Input::Message {
        from: address(1),
        message: Message::ToArbiter(message),
    };
    arbiter.step(
        Instant::ZERO.into(),
        message(ToArbiter::Join(join(1, 1, Token(0)))),
        &mut out,
    );
    let query = ToArbiter::ConfigQuery(ConfigQuery {
        node: NodeId(1),
        version: ConfigVersion::ZERO,
        cluster: None,
    });
    arbiter.step(Instant::ZERO.into(), message(query), &mut out);
    let sends = |out: &mut Outbox| {
        out.drain()
            .filter(|effect| matches!(effect, Effect::Send { .. }))
            .count()
    };
    assert_eq!(sends(&mut out), 0);
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(0)), &mut out);
    assert_eq!(sends(&mut out), 0);
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(1)), &mut out);
    assert_eq!(sends(&mut out), 2, "JoinedPrimary and one Replicas");
}

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
fn the_answers_that_wait_for_a_disk_that_hangs_are_bounded() {
    let mut arbiter = Arbiter::open(first_record(ClusterId(7), 42));
    let mut out = Outbox::new();
    arbiter.step(Instant::ZERO.into(), Input::Start, &mut out);
    let joins = 3 * limits::ARBITER_ANSWERS_WAITING_MAX as u64;
    // Refused, each in other words.
    for start in 0..joins {
        let mut refused = join(1, 1, Token(9));
        refused.starts = vec![StartId(start)];
        let message = Input::Message {
            from: address(1),
            message: Message::ToArbiter(ToArbiter::Join(refused)),
        };
        arbiter.step(Instant::ZERO.into(), message, &mut out);
    }
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(0)), &mut out);
    let answers = out
        .drain()
        .filter(|effect| matches!(effect, Effect::Send { .. }));
    assert_eq!(answers.count(), limits::ARBITER_ANSWERS_WAITING_MAX);
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
        has_lease: false,
        sessions: 0,
        usage: Usage::default(),
    };
    let (newest, stale) = (status(1, &record.config), status(2, &older));
    let adopted = adopt(&[stale.clone(), newest.clone()], 43, false).unwrap();
    let expected = Config {
        version: record.config.version.next(),
        ..record.config.clone()
    };
    assert_eq!(adopted.config, expected);

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
