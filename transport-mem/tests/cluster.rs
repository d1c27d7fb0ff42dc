//! A whole cluster in one process, driven by the async-std driver, as the tests of other programs use it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_std::task::{self, block_on};
use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use lockstep_core::driver;
use lockstep_core::driver::handle::{Asked, ClientOptions, ReadError, WriteError};
use lockstep_core::limits::Limits;
use lockstep_core::message::RoleName;
use lockstep_core::operation::{Keyed, Rejection, Resolution};
use lockstep_transport_mem::{Cluster, Conditions, Network};

async fn insert_all(client: &lockstep_core::Handle, range: std::ops::Range<u64>) {
    let writes: Vec<_> = range
        .map(|number| {
            let client = client.clone();
            task::spawn(async move {
                let value = number.to_string();
                client.insert(format!("key {number:06}"), value).await
            })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
}

async fn records_at(cluster: &Cluster, replica: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let client = cluster.client();
    let records = client.records(.., Some(cluster.address(replica).clone()));
    let records: Vec<_> = records.try_collect().await.unwrap();
    let plain = |found: &Keyed| (found.key.0.to_vec(), found.record.value.0.to_vec());
    records.iter().map(plain).collect()
}

/// All replicas come to have the same records; returns them.
async fn converged(cluster: &Cluster, replicas: &[usize]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let first = records_at(cluster, replicas[0]).await;
    for replica in &replicas[1..] {
        assert_eq!(records_at(cluster, *replica).await, first, "at {replica}");
    }
    first
}

#[test]
fn what_is_acknowledged_is_at_every_replica() {
    block_on(async {
        let cluster = Cluster::start(3).await.unwrap();
        let client = cluster.client();
        insert_all(&client, 0..2000).await;
        client.remove("key 000007").await.unwrap();
        let records = converged(&cluster, &[0, 1, 2]).await;
        assert_eq!(records.len(), 1999);
        assert!(client.get("key 000007").await.unwrap().record.is_none());
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_killed_secondary_is_removed_in_time_for_the_writes_under_way() {
    block_on(async {
        let mut cluster = Cluster::start(3).await.unwrap();
        let client = cluster.client();
        insert_all(&client, 0..100).await;
        cluster.kill(2).await;
        insert_all(&client, 100..200).await;
        cluster.settled().await.unwrap();
        cluster.restart(2).await.unwrap();
        cluster.settled().await.unwrap();
        assert_eq!(converged(&cluster, &[0, 1, 2]).await.len(), 200);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_wiped_replica_gets_the_full_state_while_writes_go_on() {
    block_on(async {
        let limits = Limits {
            log_bytes_max: 1000,
            tail_bytes_max: 1000,
            ..Limits::default()
        };
        let mut cluster = Cluster::start_on(Network::new(1), 3, limits).await.unwrap();
        let client = cluster.client();
        insert_all(&client, 0..3000).await;
        // Trimming goes on beside the writes; without it, the log would bring the replica up to date.
        while cluster.status(0).await.unwrap().log_start.0 == 0 {
            task::yield_now().await;
        }
        cluster.kill(1).await;
        cluster.wipe(1);
        cluster.restart(1).await.unwrap();
        insert_all(&client, 3000..4000).await;
        cluster.settled().await.unwrap();
        assert_eq!(converged(&cluster, &[0, 1, 2]).await.len(), 4000);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn nobody_notices_that_the_arbiter_is_gone_until_somebody_joins() {
    block_on(async {
        let mut cluster = Cluster::start(2).await.unwrap();
        let client = cluster.client();
        cluster.kill_arbiter().await;
        insert_all(&client, 0..100).await;
        client.get("key 000001").await.unwrap();
        cluster.restart_arbiter();
        cluster.kill(1).await;
        cluster.restart(1).await.unwrap();
        cluster.settled().await.unwrap();
        assert_eq!(converged(&cluster, &[0, 1]).await.len(), 100);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_cluster_that_was_all_down_comes_back_with_everything() {
    block_on(async {
        let mut cluster = Cluster::start(3).await.unwrap();
        let client = cluster.client();
        insert_all(&client, 0..500).await;
        for replica in [1, 2, 0] {
            cluster.kill(replica).await;
        }
        cluster.kill_arbiter().await;
        cluster.restart_arbiter();
        for replica in [2, 0, 1] {
            cluster.restart(replica).await.unwrap();
        }
        cluster.settled().await.unwrap();
        insert_all(&client, 500..501).await;
        assert_eq!(converged(&cluster, &[0, 1, 2]).await.len(), 501);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_secondary_that_is_cut_off_returns_by_itself() {
    block_on(async {
        let cluster = Cluster::start(3).await.unwrap();
        let client = cluster.client();
        cluster.cut(2);
        insert_all(&client, 0..100).await;
        cluster.mend();
        cluster.settled().await.unwrap();
        assert_eq!(converged(&cluster, &[0, 1, 2]).await.len(), 100);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_replica_that_leaves_holds_up_nobody() {
    block_on(async {
        let mut cluster = Cluster::start(3).await.unwrap();
        let client = cluster.client();
        cluster.leave(1).await.unwrap();
        let status = cluster.status(0).await.unwrap();
        assert_eq!(status.role, RoleName::Primary);
        assert_eq!(status.config.unwrap().in_sync.len(), 2);
        insert_all(&client, 0..10).await;
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_lossy_network_costs_time_and_no_writes() {
    block_on(async {
        let cluster = Cluster::start(2).await.unwrap();
        let replicas = [cluster.address(0).clone(), cluster.address(1).clone()];
        for (from, to) in [(0, 1), (1, 0)] {
            let lossy = Conditions::lossy(0.1);
            cluster
                .network()
                .disturb(&replicas[from], &replicas[to], lossy);
        }
        let client = cluster.client();
        insert_all(&client, 0..200).await;
        cluster.mend();
        cluster.settled().await.unwrap();
        assert_eq!(converged(&cluster, &[0, 1]).await.len(), 200);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_client_without_a_cluster_says_that_nothing_was_executed() {
    block_on(async {
        let network = Network::new(0);
        let transport = Arc::new(network.client("lonely"));
        let nowhere = lockstep_core::config::Address::new("nowhere");
        let client = driver::connect(transport, vec![nowhere.clone()], &ClientOptions::default());
        let hasty = client.with_deadline(Duration::from_millis(20));
        let asked = vec![Asked {
            replica: nowhere,
            failure: None,
        }];
        let write = hasty.insert("k", "v").await.unwrap_err();
        assert!(write.to_string().ends_with("asked nowhere"), "{write}");
        assert!(matches!(write, WriteError::Unreachable { asked: a } if a == asked));
        let read = hasty.get("k").await;
        assert_eq!(read, Err(ReadError::Unreachable { asked }));
    });
}

#[test]
fn a_write_whose_future_was_dropped_is_resolved_by_the_name_it_had_before() {
    block_on(async {
        let cluster = Cluster::start(2).await.unwrap();
        let (client, other) = (cluster.client(), cluster.client());
        let mut write = client.prepare().await.unwrap();
        let name = write.name();
        {
            let mut insert = Box::pin(write.insert("k", "v"));
            assert!(poll_once(&mut insert).await.is_none(), "it is on its way");
        }
        let again = write.insert("k", "v").await;
        assert_eq!(again, Err(WriteError::Unknown { request: name }));
        drop(write);
        // What the client does meanwhile has the cluster forget nothing of it.
        for _ in 0..10 {
            let mut write = client.prepare().await.unwrap();
            assert_ne!(write.name().client, name.client);
            write.insert("other", "v").await.unwrap();
        }
        let is_there = match other.resolve(&name, "k").await.unwrap() {
            Resolution::Executed { .. } => true,
            Resolution::NeverExecuted => false,
        };
        let read = other.get("k").await.unwrap();
        assert_eq!(read.record.is_some(), is_there);
        cluster.stop().await.unwrap();
    });
}

#[test]
fn a_prepared_write_that_was_resolved_is_never_executed() {
    block_on(async {
        let cluster = Cluster::start(1).await.unwrap();
        let client = cluster.client();
        let mut write = client.prepare().await.unwrap();
        let resolved = client.resolve(&write.name(), "k").await;
        assert_eq!(resolved, Ok(Resolution::NeverExecuted));
        let id = write.name().id;
        let reason = Rejection::Cancelled;
        assert_eq!(
            write.remove("k").await,
            Err(WriteError::Rejected { id, reason })
        );
        cluster.stop().await.unwrap();
    });
}

#[test]
fn prepared_writes_share_sessions_when_the_former_one_is_done_with() {
    block_on(async {
        let cluster = Cluster::start(1).await.unwrap();
        let client = cluster.client();
        let mut kept = client.prepare().await.unwrap();
        let written = kept.insert("k", "v").await.unwrap();
        let mut clients = BTreeSet::new();
        for number in 0..10 {
            let mut write = client.prepare().await.unwrap();
            assert_eq!(write.name().id.0, number);
            write.insert("other", "v").await.unwrap();
            clients.insert(write.name().client);
        }
        assert_eq!(clients.len(), 1);
        let resolved = client.resolve(&kept.name(), "k").await.unwrap();
        let Resolution::Executed { seq, .. } = resolved else {
            panic!("forgotten while it was kept: {resolved:?}");
        };
        assert_eq!(seq, written.seq);
        cluster.stop().await.unwrap();
    });
}
