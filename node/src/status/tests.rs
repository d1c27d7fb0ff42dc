//! What answers of replicas become: the fields that scripts rely on, the table, and the problems.

use std::time::Duration;

use lockstep_core::config::{Address, ClusterId, ConfigVersion, Epoch, Former, Incarnation};
use lockstep_core::message::{FormerMember, PeerStatus};

use super::*;

pub(in crate::status) fn config(version: u64) -> Config {
    let mut config = Config::new(ClusterId(0xc));
    config.version = ConfigVersion(version);
    config.epoch = Epoch(2);
    config.primary = Some(NodeId(1));
    config.in_sync = [NodeId(1), NodeId(2)].into();
    config.joining = [NodeId(3)].into();
    for node in 1..=3 {
        let name = format!("replica-{node}");
        let address = Address::new(format!("{name}@127.0.0.1:710{node}"));
        let incarnation = Incarnation(1);
        config.members.insert(
            NodeId(node),
            Member {
                name,
                address,
                incarnation,
                terms: Default::default(),
            },
        );
    }
    let former = Former {
        name: "replica-4".to_owned(),
        address: Address::new("replica-4@127.0.0.1:7104"),
        since: ConfigVersion(1),
    };
    config.former.insert(NodeId(4), former);
    config.check();
    config
}

pub(in crate::status) fn answer(node: u64, persisted: u64, committed: u64) -> NodeStatus {
    NodeStatus {
        node: NodeId(node),
        name: format!("replica-{node}"),
        address: Address::new(format!("replica-{node}@127.0.0.1:710{node}")),
        software: "0.1.0".to_owned(),
        role: RoleName::Secondary,
        config: Some(config(7)),
        arbiter: Address::new("arbiter@127.0.0.1:7100"),
        arbiter_reachable: true,
        foreign_arbiter: None,
        persisted: Position(persisted),
        committed: Position(committed),
        revision: lockstep_core::operation::Revision(1),
        log_start: Position(0),
        disk_full: false,
        has_lease: true,
        sessions: 4,
        peers: Vec::new(),
        former: Vec::new(),
        min_in_sync: 1,
        arbiters: None,
        usage: Usage {
            process: 5,
            entries: 70,
            syncs: 6,
            ..Usage::default()
        },
    }
}

fn answers() -> Vec<NodeStatus> {
    let mut primary = answer(1, 1_000, 990);
    primary.peers = vec![PeerStatus {
        node: NodeId(3),
        persisted: Position(0),
        state_progress: Some((30, 120)),
    }];
    let gone = |gone_for| {
        vec![FormerMember {
            node: NodeId(4),
            name: "replica-4".to_owned(),
            address: Address::new("replica-4@127.0.0.1:7104"),
            gone_for: Duration::from_secs(gone_for),
        }]
    };
    primary.former = gone(20);
    let mut secondary = answer(2, 995, 980);
    secondary.former = gone(200);
    vec![secondary, primary]
}

#[test]
fn nobody_is_nothing() {
    assert_eq!(combine(&[]), None);
}

#[test]
fn the_json_has_the_fields_that_scripts_rely_on() {
    let status = combine(&answers()).unwrap();
    let json = serde_json::to_value(&status).unwrap();
    let usage = serde_json::json!({
        "process": 5, "cpu_micros": 0, "memory_bytes": 0, "disk_bytes": 0, "entries": 70, "entry_bytes": 0, "syncs": 6,
        "packets_sent": 0, "packets_received": 0, "bytes_sent": 0, "bytes_received": 0,
        "handshakes_failed": 0, "handshakes_refused": 0,
        "disk_free": 0, "disk_needed": 0,
    });
    let expected = serde_json::json!({
        "arbiter": { "address": "127.0.0.1:7100", "reachable": true, "foreign": null },
        "arbiters": { "members": [], "offers": [], "told_seconds": null },
        "cluster": "000000000000000c",
        "version": 7,
        "epoch": 2,
        "primary": "0000000000000001",
        "replicas": [
            {
                "node": "0000000000000001", "name": "replica-1", "address": "127.0.0.1:7101",
                "role": "primary", "in_sync": true, "lease": true, "reachable": true, "persisted": 999,
                "committed": 989, "lag": 0, "software": "0.1.0", "disk_full": false, "sessions": 4, "min_in_sync": 1, "usage": usage, "state_transfer": null, "certificate_expires": null,
            },
            {
                "node": "0000000000000002", "name": "replica-2", "address": "127.0.0.1:7102",
                "role": "secondary", "in_sync": true, "lease": true, "reachable": true, "persisted": 994,
                "committed": 979, "lag": 5, "software": "0.1.0", "disk_full": false, "sessions": 4, "min_in_sync": 1, "usage": usage, "state_transfer": null, "certificate_expires": null,
            },
            {
                "node": "0000000000000003", "name": "replica-3", "address": "127.0.0.1:7103",
                "role": "joining", "in_sync": false, "lease": null, "reachable": false, "persisted": null,
                "committed": null, "lag": null, "software": null, "disk_full": null, "sessions": null, "min_in_sync": null, "usage": null,
                "state_transfer": { "sent": 30, "records": 120 }, "certificate_expires": null,
            },
        ],
        "gone": [ { "node": "0000000000000004", "name": "replica-4", "address": "127.0.0.1:7104", "seconds": 200 } ],
        "expected": 4,
        "problems": ["replica-3 does not answer", "replica-4 has been gone for 3 min or longer"],
    });
    assert_eq!(json, expected);
}

#[test]
fn the_newest_configuration_counts() {
    let mut answers = answers();
    let mut newer = config(8);
    newer.epoch = Epoch(3);
    answers[1].config = Some(newer);
    answers.push(answer(3, 0, 0));
    answers[2].config = None;
    let status = combine(&answers).unwrap();
    assert_eq!((status.version, status.epoch), (8, 3));
}

#[test]
fn an_empty_log_has_no_highest_seq() {
    let status = combine(&[answer(1, 0, 0)]).unwrap();
    assert_eq!(status.replicas[0].persisted, None);
    assert_eq!(status.replicas[0].lag, Some(0));
}

#[test]
fn a_replica_that_has_not_joined_shows_an_empty_cluster() {
    let mut lone = answer(1, 0, 0);
    lone.config = None;
    lone.arbiter_reachable = false;
    let status = combine(&[lone]).unwrap();
    assert_eq!(status.primary, None);
    assert!(status.replicas.is_empty());
    let table = status.table();
    assert!(table.contains("not joined"), "{table}");
    assert!(table.contains("127.0.0.1:7100, silent"), "{table}");
    let asked = "the arbiter at 127.0.0.1:7100 is not heard, and no replica has joined a cluster";
    assert!(status.standstill().contains(asked), "{table}");
}

#[test]
fn the_table_is_for_people() {
    let table = combine(&answers()).unwrap().table();
    let expected = "\
arbiter   127.0.0.1:7100, heard
cluster   000000000000000c, version 7, epoch 2
replicas  2 of 4 expected in sync, primary replica-1

name       role            in sync  persisted  lag  address
replica-1  primary         yes      999        0    127.0.0.1:7101
replica-2  secondary       yes      994        5    127.0.0.1:7102
replica-3  joining (25 %)  unknown  -          -    127.0.0.1:7103
replica-4  gone            no       -          -    127.0.0.1:7104

replica-3 does not answer
replica-4 has been gone for 3 min or longer
";
    assert_eq!(table, expected);
}

#[test]
fn a_large_cluster_fits_a_terminal() {
    let mut answers = answers();
    for answer in &mut answers {
        answer.persisted = Position(3_000_000_000);
        answer.arbiter_reachable = false;
    }
    answers[0].persisted = Position(1_000_000);
    let table = combine(&answers).unwrap().table();
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn who_did_not_answer_is_not_called_in_sync() {
    let status = combine(&[answer(2, 995, 980)]).unwrap();
    assert_eq!(status.replicas[0].name, "replica-1");
    assert!(!status.replicas[0].in_sync && !status.replicas[0].reachable);
    assert!(
        status.table().contains("1 of 4 expected in sync"),
        "who is missing too"
    );
}

#[test]
fn what_is_said_of_a_silent_arbiter_is_true_at_the_moment() {
    let problem = |answers: &[NodeStatus]| combine(answers).unwrap().problems[0].clone();
    let mut answers = vec![answer(1, 9, 9), answer(2, 9, 9), answer(3, 9, 9)];
    for answer in &mut answers {
        answer.arbiter_reachable = false;
    }
    let all = problem(&answers);
    assert!(all.contains("silent: reads and writes go on"), "{all}");
    // The primary waits for whoever is in sync, and cannot have it taken out.
    let without_secondary = problem(&[answers[0].clone(), answers[2].clone()]);
    assert_eq!(
        without_secondary,
        "writes wait for replica-2, which is in sync and does not answer, or for the arbiter at 127.0.0.1:7100"
    );
    let without_primary = problem(&answers[1..]);
    assert_eq!(
        without_primary,
        "reads and writes wait for replica-1, the primary, or for the arbiter at 127.0.0.1:7100"
    );
}

#[test]
fn a_primary_with_too_few_in_sync_is_a_problem() {
    let told = |required| {
        let mut answers = answers();
        for answer in &mut answers {
            answer.min_in_sync = required;
        }
        combine(&answers).unwrap().problems[0].clone()
    };
    assert_eq!(told(2), "replica-3 does not answer");
    assert_eq!(
        told(3),
        "writes are rejected: 2 in sync, and 3 required (--min-in-sync)"
    );
}

#[test]
fn a_certificate_that_has_expired_is_a_problem_and_that_of_the_primary_the_first() {
    let told = |of: &'static str, expires| {
        let mut status = combine(&answers()).unwrap();
        let expiry = |name: &str, _: &str| (name == of).then_some(expires);
        status.add_certificates(1_000, expiry);
        let problems = status.problems.iter();
        let is_told = |(_, problem): &(usize, &String)| problem.contains("certificate");
        let told = problems.enumerate().find(is_told);
        told.map(|(place, problem)| (place, problem.clone()))
    };
    let expired = "the certificate of replica-1 has expired: clients are refused: renew it with `lockstep certs node \
                   replica-1 --renew`, where ca.key is";
    assert_eq!(told("replica-1", 999), Some((0, expired.to_owned())));
    assert_eq!(told("replica-2", 999).unwrap().0, 2);
    let soon = told("replica-1", 1_000 + DAY).unwrap();
    assert!(soon.0 == 2 && soon.1.contains("in 1 days"), "{soon:?}");
    assert_eq!(told("replica-1", 1_000 + 31 * DAY), None);
}

#[test]
fn a_disk_without_room_is_a_problem_before_a_write_comes() {
    let told = |disk_full, disk_free| {
        let mut answers = [answer(1, 9, 9), answer(2, 9, 9), answer(3, 9, 9)];
        answers[1].disk_full = disk_full;
        answers[1].usage.disk_free = disk_free;
        answers[1].usage.disk_needed = 64_000_000;
        combine(&answers).unwrap().problems[0].clone()
    };
    assert_eq!(
        told(false, 0),
        "the disk of replica-2 has no room for further writes: 0 bytes free, 64.0 MB needed"
    );
    assert_eq!(
        told(true, 0),
        "the disk of replica-2 is full: 0 bytes free, 64.0 MB needed"
    );
    assert_eq!(
        told(true, 65_000_000),
        "the disk of replica-2 is full: a write was refused; looked at later, 65.0 MB are free and 64.0 MB needed"
    );
    assert_eq!(told(false, 65_000_000), "replica-3 is not in sync");
}

#[test]
fn who_is_waited_for_is_named() {
    // Others hear it, whoever does not reach it: nobody takes over.
    let mut others = [answer(2, 9, 9), answer(3, 9, 9)];
    let status = combine(&others).unwrap();
    let waits = "replica-2, replica-3 answered, but: replica-1, the primary, does not answer here, but others heard it \
                 a moment ago: another one takes its place only if that ends";
    assert_eq!(status.standstill(), waits);
    // Another one takes over.
    for other in &mut others {
        other.has_lease = false;
    }
    let status = combine(&others).unwrap();
    let waits = "replica-2, replica-3 answered, but: replica-1, the primary, does not answer; another one \
                 takes its place in a moment";
    assert_eq!(status.standstill(), waits);
    // There is no other one.
    let mut alone = config(8);
    alone.in_sync = [NodeId(1)].into();
    alone.joining = [NodeId(2), NodeId(3)].into();
    let mut answer = answer(2, 9, 9);
    answer.config = Some(alone);
    let status = combine(&[answer]).unwrap();
    let waits = "replica-2 answered, but: reads and writes wait for replica-1, which alone is known to have every \
                 acknowledged write; start it";
    assert_eq!(status.standstill(), waits);
}
