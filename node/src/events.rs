//! What the processes report: put into words for the log, and their roles passed on to whoever waits for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_std::channel::{self, Receiver, Sender};
use lockstep_core::config::Address;
use lockstep_core::driver::Watch;
use lockstep_core::engine::Room;
use lockstep_core::event::Event;
use lockstep_core::message::{ArbitersChange, ConfigChange, Drain, RequestBody, RoleName};
use lockstep_core::storage::Act;
use tracing::{debug, error, info, trace, warn};

use crate::output;
use crate::status::role_name;

/// The target of what changes who takes part in a cluster, and as what: rare, and worth a line unless the user wants none.
pub(crate) const CHANGES: &str = "lockstep::changes";

/// Watches one process.
pub(crate) struct Watcher {
    node: String,
    data_dir: PathBuf,
    role: Mutex<Option<RoleName>>,
    news: Sender<News>,
}

/// What whoever has started a process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A replica has this role from now on.
    Role(RoleName),
    /// An arbiter is to begin a cluster with these, and they are not there yet.
    Awaits(BTreeSet<String>),
}

impl Watcher {
    /// Watches the process called `node`, whose data is in `data_dir`; the receiver is told what becomes of it.
    pub(crate) fn new(node: &str, data_dir: &Path) -> (Self, Receiver<News>) {
        // Roles change with configurations, which takes a disk and the arbiter each time: nobody falls far behind.
        let (news, receiver) = channel::unbounded();
        let watcher = Self {
            node: node.to_owned(),
            data_dir: data_dir.to_owned(),
            role: Mutex::new(None),
            news,
        };
        (watcher, receiver)
    }
}

impl Watch for Watcher {
    fn on_event(&self, event: &Event) {
        log(&self.node, event);
        if let Event::Entered { role, epoch, .. } = event {
            let mut last = self.role.lock().expect("nobody panics while holding it");
            if last.replace(*role) != Some(*role) {
                info!(target: CHANGES, node = self.node, %epoch, "is {} from now on", role_name(*role));
                // Nobody needs to listen.
                let _ = self.news.try_send(News::Role(*role));
            }
        }
        if let Event::FoundersAwaited(names) = event {
            let _ = self.news.try_send(News::Awaits(names.clone()));
        }
    }

    fn on_disk_full(&self, room: Room) {
        let (node, data_dir) = (&self.node, self.data_dir.display());
        let (free, needed) = (output::bytes(room.free), output::bytes(room.needed));
        let words = "the disk has no room: what needs some waits or is rejected until it has, and goes on by itself then";
        match room {
            // An arbiter keeps nothing in reserve.
            Room { needed: 0, .. } => warn!(node, %data_dir, "{words}"),
            Room {
                free: bytes,
                needed: wanted,
            } if bytes >= wanted => warn!(
                node,
                %data_dir,
                free,
                needed,
                "{words} (free is what was found a moment after the write was refused: somebody made room meanwhile, or a quota refused it)"
            ),
            Room { .. } => warn!(node, %data_dir, free, needed, "{words}"),
        }
    }

    fn on_disconnect(&self, peer: &Address, reason: &str) {
        warn!(node = self.node, %peer, reason, "cut a peer off");
    }

    fn on_unsent(&self, to: &Address, reason: &str) {
        debug!(node = self.node, %to, reason, "did not send a message");
    }
}

/// Logs what the process `node` reports: what an operator has to know as a warning, what changes rarely as information,
/// what every write brings about as traces. What changes the cluster has a target of its own, which is logged by default.
fn log(node: &str, event: &Event) {
    match event {
        Event::Entered {
            role,
            epoch,
            version,
        } => {
            info!(node, role = role_name(*role), %epoch, %version, "entered a configuration");
        }
        Event::JoinRefused(reason) => error!(node, %reason, "this node has no place"),
        Event::RecordBehind => error!(node, "the record of the arbiter is an older copy"),
        Event::Appended { epoch, seq } => trace!(node, %epoch, %seq, "appended"),
        Event::Persisted(position) => trace!(node, %position, "persisted"),
        Event::Committed(position) => trace!(node, %position, "committed"),
        Event::Truncated { from, to } => info!(node, %from, %to, "cut the log off"),
        Event::Installed(at) => info!(node, %at, "put the full state in place"),
        Event::Acknowledged(seq) => trace!(node, %seq, "acknowledged"),
        Event::Unconfirmed(seq) => debug!(node, %seq, "could not confirm a write in time"),
        Event::ReplicatorStarted(peer) => info!(node, %peer, "replicator started"),
        Event::ReplicatorStopped(peer) => info!(node, %peer, "replicator stopped"),
        Event::Synced { node: peer, from } => info!(node, %peer, %from, "handshake completed"),
        Event::StateTransferStarted { node: peer, at } => {
            info!(node, %peer, %at, "began to send the full state");
        }
        Event::StateTransferred(peer) => info!(node, %peer, "the full state has arrived"),
        Event::Proposed { version, change } => match change {
            ConfigChange::AddInSync(peer) => {
                info!(target: CHANGES, node, %peer, %version, "proposes to add a replica to those in sync");
            }
            ConfigChange::RemoveInSync(peer) => {
                info!(target: CHANGES, node, %peer, %version, "proposes to remove a replica");
            }
            ConfigChange::Drained(_)
            | ConfigChange::ReplacePrimary
            | ConfigChange::HandOver(_)
            | ConfigChange::Forget(_)
            | ConfigChange::Arbiters(_) => {
                info!(node, %version, ?change, "proposed a change of the configuration");
            }
        },
        Event::Resigned(successor) => {
            info!(target: CHANGES, node, %successor, "hands the primary's role over");
        }
        Event::Stale { from } => debug!(node, %from, "ignored a message that is out of date"),
        // `on_disk_full` tells of it.
        Event::DiskFull => {}
        Event::DiskHasRoom => warn!(node, "the disk has room again"),
        Event::ArbiterSilent => {
            warn!(
                node,
                "the arbiter is silent: reads and writes go on, joins and removals wait"
            );
        }
        Event::ForeignArbiter(cluster) => {
            error!(
                node,
                %cluster,
                "the arbiter is of another cluster: its data is lost, or another one is in its place; reads and writes go on, \
                 joins and removals wait (see `lockstep adopt --help`)"
            );
        }
        Event::ArbiterHeard => info!(node, "the arbiter is heard"),
        Event::Joined {
            node: peer,
            incarnation,
        } => {
            info!(target: CHANGES, node, %peer, %incarnation, "accepted a join");
        }
        Event::FoundersAwaited(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let names = names.join(", ");
            info!(target: CHANGES, node, "waits for {names}: a cluster begins when all its arbiters run");
        }
        Event::ClusterBegun(cluster) => {
            info!(target: CHANGES, node, %cluster, "has begun a cluster, together with the other arbiters");
        }
        Event::Decided(version) => info!(node, %version, "decided on a configuration"),
        Event::Left => info!(target: CHANGES, node, "ends, as it was told to"),
        Event::Acted(Act { what, by, at }) => {
            warn!(
                node,
                by, at, "{what}: done to the record while this arbiter did not run"
            );
        }
        Event::Administered { by, what, refused } => {
            let what = administered(what);
            match refused {
                None => warn!(node, %by, "{what}: begun"),
                Some(reason) => warn!(node, %by, %reason, "{what}: refused"),
            }
        }
    }
}

/// What an operator wants, in the words of the command.
fn administered(what: &RequestBody) -> String {
    match what {
        RequestBody::Drain(Drain::Node) => "drain".to_owned(),
        RequestBody::Drain(Drain::NodeByForce) => "drain --force".to_owned(),
        RequestBody::Drain(Drain::Primary) => "drain --role-only".to_owned(),
        // The node that is asked is another one.
        RequestBody::Drain(Drain::Former(gone)) => format!("drain of {gone}, which is gone"),
        RequestBody::Arbiters(ArbitersChange::Add(arbiter)) => format!("arbiters add {arbiter}"),
        RequestBody::Arbiters(ArbitersChange::Remove(arbiter)) => {
            format!("arbiters remove {arbiter}")
        }
        RequestBody::Arbiters(ArbitersChange::Replace { former, next }) => {
            format!("arbiters replace {former} by {next}")
        }
        other => format!("{other:?}"),
    }
}
