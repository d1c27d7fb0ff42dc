//! Who is meant: other epochs, other nodes at the address, other starts, and other processes under the same identity.

use super::*;

#[test]
fn what_is_said_in_another_epoch_is_ignored() {
    let mut table = Table::joined(OTHER);
    table.said();
    for epoch in [Epoch(0), Epoch(2)] {
        table.hear(
            "r2",
            Message::Peer(Peer {
                sender: OTHER,
                receiver: ME,
                epoch,
                body: PeerMessage::SyncStart(SyncStart { sync: 1 }),
            }),
        );
        let said = table.said();
        let is_reply = |message: &Message| matches!(message, Message::Peer(_));
        assert!(!said.iter().any(is_reply), "{said:?}");
    }
}

#[test]
fn what_one_node_is_told_does_not_move_another_at_its_address() {
    let mut table = Table::joined(OTHER);
    table.persisting();
    let peer = Peer {
        sender: OTHER,
        receiver: NodeId(77),
        epoch: EPOCH,
        body: PeerMessage::SyncStart(SyncStart { sync: 1 }),
    };
    table.hear("r2", Message::Peer(peer));
    assert!(table.said().is_empty());
}

/// The arbiter answers a node that had this one's address and start counter before it lost its disk.
#[test]
fn what_the_arbiter_answers_a_former_node_is_ignored() {
    let mut table = Table::started(SessionRows::default(), Vec::new());
    let (node, incarnation) = (NodeId(9), Incarnation(1));
    let refused = JoinRefused {
        reason: JoinRefusal::WrongToken,
        node,
        incarnation,
        start: StartId(0),
    };
    let joined = Joined {
        config: config(OTHER, 1, 2),
        node,
        incarnation,
        token: Token(6),
        start: StartId(0),
    };
    table.hear("arbiter", Message::from(FromArbiter::JoinRefused(refused)));
    table.hear(
        "arbiter",
        Message::from(FromArbiter::JoinedSecondary(joined)),
    );
    assert!(matches!(table.replica.role, Role::Starting));
    assert_eq!(table.persisting(), Vec::new());
}

#[test]
fn what_the_arbiter_answers_another_start_of_the_same_number_is_ignored() {
    let mut table = Table::started(SessionRows::default(), Vec::new());
    let joined = Joined {
        config: config(OTHER, 1, 2),
        node: ME,
        incarnation: Incarnation(1),
        token: Token(6),
        start: StartId(9),
    };
    table.hear(
        "arbiter",
        Message::from(FromArbiter::JoinedSecondary(joined)),
    );
    assert!(matches!(table.replica.role, Role::Starting));
}

#[test]
fn who_finds_another_process_under_its_identity_serves_nothing_any_more() {
    let (mut later, mut elsewhere) = (config(ME, 2, 1), config(ME, 2, 1));
    let me = |config: &mut Config| config.members.remove(&ME).unwrap();
    let member = me(&mut later);
    let incarnation = Incarnation(2);
    later.members.insert(
        ME,
        Member {
            incarnation,
            ..member
        },
    );
    let member = me(&mut elsewhere);
    let address = Address::new("r9");
    elsewhere.members.insert(ME, Member { address, ..member });
    for config in [later, elsewhere] {
        let mut table = Table::joined(ME);
        table.said();
        table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
        let displaced = Effect::Notify(Event::JoinRefused(JoinRefusal::Displaced));
        assert!(table.effects.contains(&displaced), "{:?}", table.effects);
        assert!(matches!(table.replica.role, Role::Refused));
        let mut timers = table.replica.timers().iter();
        assert!(
            timers.all(|(timer, _)| timer == Timer::ArbiterSilent),
            "it says nothing"
        );
    }
}

#[test]
fn a_primary_that_lacks_what_a_replica_knows_to_be_committed_serves_nothing_any_more() {
    let mut table = Table::joined(ME);
    let sync = table.greeting();
    let mut history = EpochHistory::new();
    history.append(EPOCH, Seq(0));
    table.hear_other(PeerMessage::SyncReply(SyncReply {
        sync,
        sent: table.timestamp(),
        history,
        end: Position(3),
        committed: Position(2),
    }));
    let lacks = Effect::Notify(Event::JoinRefused(JoinRefusal::LacksCommitted));
    assert!(table.effects.contains(&lacks), "{:?}", table.effects);
}

#[test]
fn an_arbiter_of_another_cluster_is_not_taken_for_the_own() {
    let mut table = Table::joined(OTHER);
    table.said();
    let mut foreign = config(ME, 9, 1);
    foreign.cluster = ClusterId(10);
    let is_told = |effect: &Effect| *effect == Effect::Notify(Event::ForeignArbiter(ClusterId(10)));
    for told in [1, 0] {
        let replicas = FromArbiter::Replicas(foreign.clone());
        table.hear("arbiter", Message::from(replicas));
        let effects = std::mem::take(&mut table.effects);
        let count = effects.iter().filter(|effect| is_told(effect)).count();
        assert_eq!(count, told, "once");
    }
    table.step_after(
        2 * limits::ARBITER_SILENCE,
        Input::Timer(Timer::ArbiterSilent),
    );
    let status = table.replica.status(Instant::ZERO, Default::default());
    assert!(!status.arbiter_reachable);
    assert_eq!(status.foreign_arbiter, Some(ClusterId(10)));
    let own = FromArbiter::Replicas(config(OTHER, 2, 1));
    table.hear("arbiter", Message::from(own));
    let status = table.replica.status(Instant::ZERO, Default::default());
    assert!(status.arbiter_reachable && status.foreign_arbiter.is_none());
}
