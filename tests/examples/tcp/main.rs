//! Runs a cluster on a transport of one's own, [`transport`]: `cargo run -p lockstep-tests --example tcp`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_std::task;
use lockstep_core::arbiter::ArbiterOptions;
use lockstep_core::config::NodeId;
use lockstep_core::driver::{self, handle::ClientOptions};
use lockstep_core::engine::memory::{MemoryArbiter, MemoryEngine, MemoryLog};
use lockstep_core::event::Event;
use lockstep_core::limits::Limits;
use lockstep_core::operation::ReadLevel;
use lockstep_core::replica::ReplicaOptions;
use lockstep_core::transport::Transport;

pub(crate) mod transport;

use transport::Tcp;

/// Runs an arbiter and three replicas, writes at the primary, and reads at each replica.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    task::block_on(async {
        let unwatched = || Arc::new(|_: &Event| {});
        let transport = Arc::new(Tcp::node("127.0.0.1:0").await?);
        let arbiter = transport.local().clone();
        let mut disk = MemoryArbiter::new();
        driver::begin_cluster(&mut disk)?;
        let started = driver::start_arbiter(
            ArbiterOptions::alone("arbiter", arbiter.clone()),
            Box::new(disk),
            transport,
            unwatched(),
        );
        let mut running = vec![started?];
        let mut replicas = Vec::new();
        for number in 1..=3 {
            let transport = Arc::new(Tcp::node("127.0.0.1:0").await?);
            replicas.push(transport.local().clone());
            let options = ReplicaOptions {
                name: format!("r{number}"),
                address: transport.local().clone(),
                arbiters: vec![arbiter.clone()],
                limits: Limits::default(),
                software: "an example".to_owned(),
            };
            let (log, engine) = (MemoryLog::new(NodeId(number)), MemoryEngine::new());
            running.push(driver::start_replica(
                options,
                Box::new(log),
                Arc::new(engine),
                transport,
                unwatched(),
            )?);
        }
        let client = driver::connect(
            Arc::new(Tcp::client()),
            replicas.clone(),
            &ClientOptions::default(),
        );
        let written = client.insert("greeting", "hello over TCP").await?;
        for replica in &replicas {
            while client
                .get_at(replica, "greeting", ReadLevel::Local)
                .await?
                .record
                .is_none()
            {
                task::sleep(Duration::from_millis(10)).await; // It is still joining.
            }
            println!("{replica} has entry {}", written.seq);
        }
        client.close().await;
        for running in running {
            running.stop().await?;
        }
        Ok(())
    })
}
