//! `serve`: a machine of a cluster, its replica and, if it is named for that, its arbiter, in this process.

use std::time::Duration;

use async_std::channel::Receiver;
use async_std::future::timeout;
use futures_lite::{FutureExt, future};
use lockstep_core::driver::{DriverError, Exit as Ended, Running};
use tracing::warn;

use super::serve::{self, OnSignal};
use super::{node, room};
use crate::args::{Format, Peer, ServeArgs};
use crate::assemble::{self, Machine};
use crate::events::News;
use crate::output::{Exit, Failure};
use crate::service;
use crate::status::role_name;

/// A replica without a role after this waits for other machines, and says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// `lockstep serve`.
pub(crate) async fn serve(args: ServeArgs, format: Format) -> Result<Exit, Failure> {
    let network = node::network(&args.node)?;
    let bounds = args.bounds.bounds().map_err(Failure::Usage)?;
    for peer in &args.peers {
        assemble::peer_address(peer)?;
    }
    let mut place = node::place(&args.node);
    let own = network.name(&place)?;
    let arbiters = arbiters(&args, &own)?;
    node::advertise_as_known(&mut place, &own, &args.peers)?;
    room::again_when_there_is_room(place.data_dir, async |signals| {
        let machine = network.machine(&place, &arbiters, &bounds).await?;
        let teller = Teller::new(&machine, &arbiters, format);
        let control = machine.replica.running.control();
        let ended = match machine.arbiter {
            Some(arbiter) => both(machine.replica.running, arbiter.running).boxed(),
            None => machine.replica.running.ended().boxed(),
        };
        let ended = serve::until_end(control, ended, OnSignal::Leave, signals);
        let ended = ended.or(teller.tell()).await?;
        if let Ended::Left = ended {
            serve::announce_left(&teller.name, &teller.endpoint, format).await;
        }
        Ok(ended)
    })
    .await
}

/// The arbiters that the replica of the machine called `own` is told of.
fn arbiters(args: &ServeArgs, own: &str) -> Result<Vec<Peer>, Failure> {
    let arbiters = args.arbiters().map_err(Failure::Usage)?;
    if arbiters.len() % 2 == 0 {
        warn!(
            "{} arbiters are no safer than one less: have 1, 3 or 5",
            arbiters.len()
        );
    }
    let is_added = args.peer(own).is_none() && args.arbiters.is_empty();
    Ok(match is_added {
        // They may be any that run: whoever of them has an arbiter answers.
        true => args.peers.clone(),
        false => arbiters.into_iter().cloned().collect(),
    })
}

/// Says how far a machine is, on standard output and to the service manager.
struct Teller {
    name: String,
    endpoint: String,
    /// Of its replica and its arbiter.
    news: [Receiver<News>; 2],
    arbiters: String,
    format: Format,
}

impl Teller {
    fn new(machine: &Machine, arbiters: &[Peer], format: Format) -> Self {
        let arbiter = machine.arbiter.as_ref();
        let names: Vec<&str> = arbiters.iter().map(|peer| &*peer.name).collect();
        Self {
            name: machine.replica.name.clone(),
            endpoint: machine.replica.endpoint().to_owned(),
            news: [&machine.replica, arbiter.unwrap_or(&machine.replica)]
                .map(|node| node.news.clone()),
            arbiters: names.join(", "),
            format,
        }
    }

    /// Never ends.
    async fn tell<T>(&self) -> T {
        self.announce("listening", "starting").await;
        let (mut takes_part, mut waits) = (false, false);
        loop {
            let next = self.news[0].recv().or(self.news[1].recv());
            let next = match takes_part || waits {
                true => Some(next.await),
                false => timeout(PATIENCE, next).await.ok(),
            };
            match next {
                Some(Ok(News::Role(role))) if !serve::TAKING_PART.contains(&role) => {}
                // Further roles are in the log, too.
                Some(Ok(News::Role(role))) if takes_part => service::status(role_name(role)),
                Some(Ok(News::Role(role))) => {
                    takes_part = true;
                    serve::announce_ready(&self.name, &self.endpoint, role_name(role), self.format)
                        .await;
                }
                Some(Ok(News::Awaits(names))) => {
                    waits = true;
                    let names: Vec<String> = names.into_iter().collect();
                    let names = names.join(", ");
                    self.wait(&format!(
                        "for {names}: a cluster begins when all its arbiters run"
                    ))
                    .await;
                }
                None => {
                    waits = true;
                    self.wait(&format!(
                        "for a majority of the arbiters: {}",
                        self.arbiters
                    ))
                    .await;
                }
                Some(Err(_)) => return future::pending().await,
            }
        }
    }

    /// Whoever waits for the start of this process has others to start, perhaps.
    async fn wait(&self, whom: &str) {
        service::ready(&format!("waiting {whom}"));
        self.announce("waiting", whom).await;
    }

    async fn announce(&self, what: &str, how: &str) {
        serve::announce(what, &self.name, &self.endpoint, how, self.format).await;
    }
}

/// Both until their end: who ends stops the other, the replica in the good order that it was told.
async fn both(replica: Running, arbiter: Running) -> Result<Ended, DriverError> {
    let (to_replica, to_arbiter) = (replica.control(), arbiter.control());
    let replica = async {
        let how = replica.ended().await;
        to_arbiter.stop();
        how
    };
    let arbiter = async {
        let how = arbiter.ended().await;
        to_replica.stop();
        how
    };
    let (replica, arbiter) = future::zip(replica, arbiter).await;
    arbiter.and(replica)
}
