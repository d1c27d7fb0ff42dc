//! What arrives may be anything; what is sent has the bytes it always had.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{
    Address, ArbiterId, ArbiterPlace, ClusterId, Config, ConfigVersion, Epoch, Former, Incarnation,
    Member, NodeId, Owner, Position, QuestionRound, Round, Seq, StartId, Step, Token,
};
use crate::epochs::EpochHistory;
use crate::message::*;
use crate::operation::{
    self, Author, ClientId, Decided, DrainRefusal, Entry, Keyed, LeaseId, Moment, Origin,
    ReadLevel, Record, Rejection, RequestId, Resolution, Revision, Verdict,
};
use crate::range::KeyRange;
use crate::register::{self, Arbiters, Ballot, Held, Mark};
use crate::sessions::{SessionRow, SessionRows};
use crate::storage::{Act, ArbiterRecord, NodeRecord};
use crate::time::Instant;

/// A message of each kind, in the order of their declaration.
fn samples() -> Vec<Message> {
    let mut messages = to_arbiter();
    messages.extend(from_arbiter());
    messages.extend(between_replicas());
    messages.extend(with_clients());
    messages.extend(between_arbiters());
    messages
}

fn config() -> Config {
    let mut config = Config::new(ClusterId(1));
    (config.version, config.epoch) = (ConfigVersion(300), Epoch(2));
    config.primary = Some(NodeId(7));
    config.in_sync.insert(NodeId(7));
    let member = Member {
        name: "r1".to_owned(),
        address: Address::new("r1"),
        incarnation: Incarnation(3),
        terms: Default::default(),
    };
    config.members.insert(NodeId(7), member);
    let former = Former {
        name: "r2".to_owned(),
        address: Address::new("r2"),
        since: ConfigVersion(200),
    };
    config.former.insert(NodeId(8), former);
    config.arbiters.insert(ArbiterId(3), arbiter_place());
    config
}

fn arbiter_place() -> ArbiterPlace {
    ArbiterPlace {
        name: "a".to_owned(),
        address: Address::new("a"),
    }
}

fn arbiters_seen() -> ArbitersSeen {
    ArbitersSeen {
        cluster: ClusterId(1),
        chair: ArbiterId(3),
        silent: [(ArbiterId(4), Duration::from_millis(300))].into(),
        offers: [(ArbiterId(5), arbiter_place())].into(),
    }
}

fn history() -> EpochHistory {
    EpochHistory::from_runs(vec![(Epoch(1), Position(0)), (Epoch(2), Position(5))])
        .expect("ascending runs")
}

fn sessions() -> SessionRows {
    let done = Decided {
        seq: Seq(9),
        revision: Revision(7),
        verdict: Verdict::Executed,
    };
    let row = SessionRow {
        owner: Owner(4),
        floor: RequestId(1),
        last: Seq(9),
        results: [(RequestId(1), done)].into(),
    };
    SessionRows {
        rows: [(ClientId(5), row)].into(),
        forgotten: Position(300),
    }
}

fn keyed() -> Keyed {
    let record = Record {
        value: "v".into(),
        created: Revision(6),
        modified: Revision(7),
        version: 2,
        lease: Some(LeaseId(3)),
    };
    Keyed::from(("k".into(), record))
}

fn to_arbiter() -> Vec<Message> {
    let node = NodeId(7);
    let join = Join {
        node,
        incarnation: Incarnation(3),
        token: Token(4),
        cluster: Some(ClusterId(1)),
        name: "r1".to_owned(),
        address: Address::new("r1"),
        version: ConfigVersion(300),
        epoch: Epoch(1),
        starts: vec![StartId(1)],
        terms: Default::default(),
    };
    let version = ConfigVersion(300);
    let leave = Leave {
        node,
        incarnation: Incarnation(3),
        version,
        returns: true,
    };
    let propose = |change| {
        ToArbiter::Propose(Propose {
            node,
            version,
            change,
        })
    };
    [
        ToArbiter::Join(join),
        ToArbiter::Leave(leave),
        ToArbiter::ConfigQuery(ConfigQuery {
            node,
            version,
            cluster: Some(ClusterId(1)),
        }),
        propose(ConfigChange::AddInSync(NodeId(8))),
        propose(ConfigChange::RemoveInSync(NodeId(8))),
        propose(ConfigChange::Drained(NodeId(8))),
        propose(ConfigChange::ReplacePrimary),
        propose(ConfigChange::HandOver(NodeId(8))),
        propose(ConfigChange::Forget(NodeId(8))),
        propose(ConfigChange::Arbiters(ArbitersChange::Add(ArbiterId(5)))),
        propose(ConfigChange::Arbiters(ArbitersChange::Remove(ArbiterId(3)))),
        propose(ConfigChange::Arbiters(ArbitersChange::Replace {
            former: ArbiterId(3),
            next: ArbiterId(5),
        })),
    ]
    .map(Message::ToArbiter)
    .into()
}

fn from_arbiter() -> Vec<Message> {
    let incarnation = Incarnation(3);
    let joined = Joined {
        config: config(),
        node: NodeId(2),
        incarnation,
        token: Token(4),
        start: StartId(0),
    };
    let refused = JoinRefused {
        reason: JoinRefusal::Full { limit: 64 },
        node: NodeId(2),
        incarnation,
        start: StartId(0),
    };
    [
        FromArbiter::JoinedPrimary(joined.clone()),
        FromArbiter::JoinedSecondary(joined),
        FromArbiter::JoinRefused(refused),
        FromArbiter::Replicas(config()),
        FromArbiter::ProposalRefused(config()),
        FromArbiter::Arbiters(arbiters_seen()),
    ]
    .map(Message::from)
    .into()
}

fn between_replicas() -> Vec<Message> {
    let sync = 6;
    let origin = Origin {
        client: ClientId(5),
        id: RequestId(1),
        born: Position(300),
        settled: RequestId(1),
    };
    let entry = Entry {
        epoch: Epoch(2),
        seq: Seq(9),
        revision: Revision(7),
        changes: [operation::Change::insert(
            "k".into(),
            "v".into(),
            Revision(7),
        )]
        .into(),
        verdict: Verdict::Executed,
        author: Author::Client(origin, Owner(4)),
    };
    let removal = Entry {
        seq: Seq(10),
        revision: Revision(8),
        changes: [operation::Change::remove("k".into())].into(),
        ..entry.clone()
    };
    let (at, committed, persisted) = (Position(9), Position(8), Position(9));
    let sent = Timestamp {
        incarnation: Incarnation(3),
        at: Instant(1_000),
    };
    let state = SyncFrom::State {
        at: Moment {
            position: at,
            revision: Revision(7),
        },
        history: history(),
        records: 2,
    };
    let bodies = [
        PeerMessage::SyncStart(SyncStart { sync }),
        PeerMessage::SyncReply(SyncReply {
            sync,
            sent,
            history: history(),
            end: at,
            committed,
        }),
        PeerMessage::SyncEnd(SyncEnd {
            sync,
            echo: sent,
            start: SyncFrom::Log { keep: at },
        }),
        PeerMessage::SyncEnd(SyncEnd {
            sync,
            echo: sent,
            start: state,
        }),
        PeerMessage::Snapshots(Snapshots {
            sync,
            entries: vec![Arc::new(entry), Arc::new(removal)],
            committed,
        }),
        PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }),
        PeerMessage::StateChunk(StateChunk {
            sync,
            index: 1,
            records: vec![keyed()],
            is_last: true,
            sessions: sessions(),
        }),
        PeerMessage::StateAck(StateAck { sync, next: 2 }),
        PeerMessage::Beacon(Beacon {
            sent,
            committed,
            version: ConfigVersion(300),
            grant: Some(sent),
        }),
        PeerMessage::BeaconAck(BeaconAck {
            has_room: true,
            echo: sent,
            sync,
            sent,
        }),
        PeerMessage::CommittedQuery(CommittedQuery {
            asker: Incarnation(3),
            number: 2,
        }),
        PeerMessage::CommittedAnswer(CommittedAnswer {
            asker: Incarnation(3),
            number: 2,
            committed,
        }),
    ];
    let peer = |body| Peer {
        sender: NodeId(7),
        receiver: NodeId(8),
        epoch: Epoch(2),
        body,
    };
    bodies.map(|body| Message::Peer(peer(body))).into()
}

fn with_clients() -> Vec<Message> {
    let (client, id) = (ClientId(5), RequestId(1));
    let requests = [
        RequestBody::Insert {
            key: "k".into(),
            value: "v".into(),
        },
        RequestBody::Remove { key: "k".into() },
        RequestBody::Get {
            key: "k".into(),
            level: ReadLevel::Local,
        },
        RequestBody::Get {
            key: "k".into(),
            level: ReadLevel::AtLeast(Position(9)),
        },
        RequestBody::Get {
            key: "k".into(),
            level: ReadLevel::Linearizable,
        },
        RequestBody::Scan {
            range: KeyRange::behind("k"),
            limit: None,
        },
        RequestBody::Scan {
            range: KeyRange::all(),
            limit: NonZeroU32::new(300),
        },
        RequestBody::Scan {
            range: KeyRange::prefix("k"),
            limit: None,
        },
        RequestBody::Status,
        RequestBody::Resolve { key: "k".into() },
        RequestBody::Drain(Drain::Node),
        RequestBody::Drain(Drain::Former(NodeId(9))),
        RequestBody::Arbiters(ArbitersChange::Remove(ArbiterId(3))),
    ];
    let origin = Origin {
        client,
        id,
        born: Position(300),
        settled: RequestId(1),
    };
    let attempt = Attempt {
        epoch: Epoch(2),
        copy: 1,
    };
    let primary = Some(Address::new("r1"));
    let replies = [
        ReplyBody::OperationAck {
            seq: Seq(9),
            revision: Revision(7),
        },
        ReplyBody::OperationFailed,
        ReplyBody::OperationRejected {
            reason: Rejection::NotPrimary { primary },
            attempt,
        },
        ReplyBody::GetResult {
            key: "k".into(),
            record: Some(keyed().record),
            position: Position(10),
            revision: Revision(8),
        },
        ReplyBody::ScanResult {
            records: vec![keyed()],
            resume: None,
        },
        ReplyBody::Status(Box::new(status())),
        ReplyBody::Resolved(Resolution::Executed {
            seq: Seq(9),
            revision: Revision(7),
        }),
        ReplyBody::Begun,
        ReplyBody::OperationRejected {
            reason: Rejection::CannotDrain {
                reason: DrainRefusal::TooFewReplicas {
                    in_sync: 1,
                    required: 2,
                },
            },
            attempt,
        },
    ];
    let requests = requests.map(|body| {
        Message::Request(Request {
            origin,
            body,
            attempt,
        })
    });
    let replies = replies.map(|body| Message::Reply(Reply { client, id, body }));
    requests.into_iter().chain(replies).collect()
}

fn status() -> NodeStatus {
    NodeStatus {
        node: NodeId(7),
        name: "r1".to_owned(),
        address: Address::new("r1"),
        software: "0.1.0".to_owned(),
        role: RoleName::Primary,
        config: Some(config()),
        arbiter: Address::new("arbiter"),
        arbiter_reachable: true,
        foreign_arbiter: None,
        persisted: Position(9),
        committed: Position(8),
        revision: Revision(1),
        log_start: Position(0),
        disk_full: false,
        has_lease: true,
        sessions: 2,
        peers: vec![PeerStatus {
            node: NodeId(8),
            persisted: Position(8),
            state_progress: Some((1, 2)),
        }],
        usage: Usage {
            process: 11,
            cpu_micros: 1,
            memory_bytes: 2,
            disk_bytes: 3,
            entries: 4,
            entry_bytes: 5,
            syncs: 6,
            packets_sent: 7,
            packets_received: 8,
            bytes_sent: 9,
            bytes_received: 10,
            handshakes_failed: 12,
            handshakes_refused: 13,
            disk_free: 14,
            disk_needed: 15,
        },
        former: vec![FormerMember {
            node: NodeId(9),
            name: "r3".to_owned(),
            address: Address::new("r3"),
            gone_for: Duration::from_millis(300),
        }],
        min_in_sync: 2,
        arbiters: Some(ArbitersStatus {
            seen: arbiters_seen(),
            age: Duration::from_millis(40),
        }),
    }
}

fn between_arbiters() -> Vec<Message> {
    let ballot = |round| Ballot {
        round: Round(round),
        arbiter: ArbiterId(3),
    };
    let mark = Mark {
        ballot: ballot(9),
        step: Step(300),
    };
    let node = NodeRecord {
        name: "r1".to_owned(),
        address: Address::new("r1"),
        incarnation: Incarnation(3),
        token: Token(4),
        former_token: Token(2),
        start: StartId(8),
        joined: ConfigVersion(299),
        removed: ConfigVersion(5),
        has_left: false,
        is_superseded: true,
    };
    let held = Held {
        mark,
        arbiters: Arbiters::lone(ArbiterId(3)),
        value: ArbiterRecord {
            config: config(),
            nodes: [(NodeId(7), node)].into(),
            secret: 6,
            acts: vec![Act {
                what: "init".to_owned(),
                by: "somebody".to_owned(),
                at: 7,
            }],
        },
    };
    let offer = Offer {
        arbiter: ArbiterId(5),
        name: "a".to_owned(),
        cluster: Some(ClusterId(1)),
        founders: ["a".to_owned(), "b".to_owned()].into(),
        heard: [ArbiterId(6)].into(),
    };
    let round = QuestionRound(2);
    let (ballot, promised) = (ballot(9), ballot(10));
    [
        register::Message::Prepare { ballot },
        register::Message::Promise { ballot, held: None },
        register::Message::Promise {
            ballot,
            held: Some(held.clone()),
        },
        register::Message::Accept(held),
        register::Message::Accepted { mark },
        register::Message::Ask { ballot, round },
        register::Message::Still { ballot, round },
        register::Message::Refused { ballot, promised },
    ]
    .map(|body| {
        let message = RegisterMessage {
            sender: ArbiterId(3),
            cluster: ClusterId(1),
            body,
        };
        Message::Register(Box::new(message))
    })
    .into_iter()
    .chain([Message::Offer(Box::new(offer))])
    .collect()
}

#[test]
fn the_bytes_of_every_message_are_pinned() {
    let hex = |message: &Message| -> String {
        encode(message)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let bytes: Vec<String> = samples().iter().map(hex).collect();
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/pinned.txt");
        return std::fs::write(path, bytes.join("\n") + "\n").expect("the file can be written");
    }
    let pinned: Vec<&str> = include_str!("pinned.txt").lines().collect();
    assert_eq!(
        bytes, pinned,
        "messages changed: see VERSION for whether it has to be raised, then pin the new bytes with UPDATE=1"
    );
}

#[test]
fn what_was_encoded_is_decoded() {
    for message in samples() {
        assert_eq!(decode(&encode(&message)), Ok(message));
    }
}

#[test]
fn frames_of_other_versions_cut_off_frames_and_longer_ones_are_told_apart() {
    let frame = encode(&samples()[0]);
    assert_eq!(decode(&[]), Err(DecodeError::Empty));
    assert_eq!(
        decode(&[VERSION + 1, 0]),
        Err(DecodeError::Version {
            theirs: VERSION + 1
        })
    );
    assert_eq!(
        decode(&frame[..frame.len() - 1]),
        Err(DecodeError::Malformed)
    );
    let longer = [&frame[..], &[0, 0]].concat();
    assert_eq!(decode(&longer), Err(DecodeError::Trailing(2)));
}

#[test]
fn the_head_of_a_frame_tells_whether_its_message_is_for_an_arbiter() {
    for message in samples() {
        let expected = match &message {
            Message::ToArbiter(_) | Message::Register(_) | Message::Offer(_) => true,
            Message::FromArbiter(_)
            | Message::Peer(_)
            | Message::Request(_)
            | Message::Reply(_) => false,
        };
        assert_eq!(is_for_arbiter(&encode(&message)), expected, "{message:?}");
    }
    for no_message in [&[][..], &[VERSION], &[VERSION + 1, TO_ARBITER]] {
        assert!(!is_for_arbiter(no_message), "{no_message:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = decode(&[&[VERSION], &bytes[..]].concat());
    }

    #[test]
    fn a_damaged_message_is_a_message_or_an_error(
        sample in 0..samples().len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = encode(&samples()[sample]).to_vec();
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if let Ok(message) = decode(&frame) {
            // Whatever it says now, it can be said.
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }
}
