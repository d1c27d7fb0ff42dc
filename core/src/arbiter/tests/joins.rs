//! Who is let in, and as what.

use super::*;

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
