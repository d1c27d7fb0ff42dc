//! The client works inside a runtime that is not its own.

use lockstep_client::prelude::*;
use lockstep_client::testing::Cluster;

use crate::lab::Lab;

/// Two threads, like a small server's.
fn tokio() -> tokio::runtime::Runtime {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    tokio.worker_threads(2).build().unwrap()
}

/// A hundred tasks of the runtime that write and read at the same time, and one that gives up.
async fn use_it(store: Client) {
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = format!("key {number}");
                let written = store.insert(&key, number.to_string()).await?;
                let level = ReadLevel::AtLeast(written.position());
                let read = store.get_with(&key, level).await.expect("it is served");
                assert_eq!(read.into_value(), Some(number.to_string().into()));
                Ok::<_, WriteError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let given_up = tokio::spawn({
        let store = store.clone();
        async move { store.insert("given up", "v").await }
    });
    given_up.abort();
    store.get("key 0").await.expect("others go on");
    store.close().await;
}

#[test]
fn a_client_over_quic_works_inside_tokio() {
    let lab = Lab::start();
    tokio().block_on(async {
        let store = Client::connect(&lab.addresses, lab.tls()).await.unwrap();
        use_it(store).await;
    });
}

#[test]
fn a_cluster_in_the_process_works_inside_tokio() {
    tokio().block_on(async {
        let mut cluster = Cluster::start(3).await.unwrap();
        let store = Client::from(cluster.client());
        cluster.kill(1).await;
        use_it(store).await;
        cluster.stop().await.unwrap();
    });
}
