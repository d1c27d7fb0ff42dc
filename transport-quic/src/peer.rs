//! One other end: what waits to be sent to it, and which connection leads to it.

use std::sync::{Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use async_std::task;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Lane, SenderKind};
use quinn::{Connection, SendStream};

use crate::address::Target;
use crate::allowance::Allowance;
use crate::backoff::Backoff;
use crate::closing::{self, Code};
use crate::identity::Name;
use crate::outbox::{Offered, OutQueue, Unconnected};
use crate::streams::Streams;

/// A connection that is given up for another one is read for this long, for what was sent on it before the other side knew.
const RETIREMENT: Duration = Duration::from_secs(1);

/// Another end, named by its address.
pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(crate) kind: SenderKind,
    /// The name in a client's certificate; `None`: it is a node.
    pub(crate) client: Option<Name>,
    /// How to dial it; `None`: it is a client.
    pub(crate) target: Option<Target>,
    queues: [OutQueue; Lane::ALL.len()],
    link: Mutex<Link>,
}

/// - The queues have streams of `active`, and none without it.
struct Link {
    active: Option<Active>,
    is_dialling: bool,
    backoff: Backoff,
}

/// A connection on which both sides have said Hello.
#[derive(Clone)]
pub(crate) struct Active {
    pub(crate) connection: Connection,
    /// Which start of the other end it leads to.
    pub(crate) start: u64,
    /// What the other end says its address is.
    pub(crate) address: Address,
    pub(crate) opened_by: OpenedBy,
}

/// Which side dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenedBy {
    Us,
    Them,
}

/// What the caller of `send` has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Done,
    /// See to it that the peer is dialled: this call is the one that has to.
    Dial,
    Full,
    NoConnection,
}

impl Peer {
    /// A node, to be dialled at `target`.
    pub(crate) fn node(address: Address, target: Target) -> Self {
        let queues = Lane::ALL.map(|_| OutQueue::to_node());
        Self::new(address, SenderKind::Node, None, Some(target), queues)
    }

    /// A client with the certificate of `name`. All clients share `allowance` for what waits for them.
    pub(crate) fn client(address: Address, name: Name, allowance: &Allowance) -> Self {
        let queues = Lane::ALL.map(|_| OutQueue::to_client(allowance.clone()));
        Self::new(address, SenderKind::Client, Some(name), None, queues)
    }

    fn new(
        address: Address,
        kind: SenderKind,
        client: Option<Name>,
        target: Option<Target>,
        queues: [OutQueue; Lane::ALL.len()],
    ) -> Self {
        let link = Link {
            active: None,
            is_dialling: false,
            backoff: Backoff::default(),
        };
        Self {
            address,
            kind,
            client,
            target,
            queues,
            link: Mutex::new(link),
        }
    }

    pub(crate) fn send(&self, lane: Lane, frames: Vec<Bytes>) -> Sent {
        let unconnected = match self.target {
            Some(_) => Unconnected::Keep,
            None => Unconnected::Drop,
        };
        match self.queue(lane).offer(frames, unconnected) {
            Offered::Taken => Sent::Done,
            Offered::Waiting if self.begin_dialling() => Sent::Dial,
            Offered::Waiting => Sent::Done,
            Offered::Full => Sent::Full,
            Offered::NoConnection => Sent::NoConnection,
        }
    }

    /// Should the caller dial? Only one is told so until dialling has ended.
    pub(crate) fn begin_dialling(&self) -> bool {
        let mut link = self.link();
        let begins = self.target.is_some() && link.active.is_none() && !link.is_dialling;
        link.is_dialling |= begins;
        begins
    }

    /// How long to wait before dialling; `None`: there is a connection, and dialling has ended.
    pub(crate) fn pause_before_dialling(&self) -> Option<Duration> {
        let mut link = self.link();
        if link.active.is_some() {
            link.is_dialling = false;
            return None;
        }
        Some(link.backoff.begin(Instant::now()))
    }

    /// A dial has failed: what waited for it is dropped. True if more was handed over meanwhile, and dialling goes on.
    pub(crate) fn on_dial_failed(&self) -> bool {
        for queue in &self.queues {
            queue.drop_waiting();
        }
        let mut link = self.link();
        link.backoff.grow();
        // Under the lock: whoever hands over frames after this finds nobody dialling.
        link.is_dialling = link.active.is_none() && self.is_waiting();
        link.is_dialling
    }

    /// Makes `candidate` the connection of this peer, unless there is a better one. `task` writes on where it has to wait.
    pub(crate) fn install(
        &self,
        local: &Address,
        candidate: Active,
        streams: Streams,
        task: &Waker,
    ) -> bool {
        let mut link = self.link();
        if candidate.opened_by == OpenedBy::Us {
            // Under the lock: nobody dials beside it.
            link.is_dialling = false;
        }
        if let Some(old) = &link.active
            && old.connection.close_reason().is_none()
        {
            if old.start != candidate.start {
                closing::close(
                    &old.connection,
                    Code::Replaced,
                    "the peer has restarted and connected again",
                );
            } else if old.opened_by == candidate.opened_by {
                retire(old.connection.clone());
            } else {
                // Both ends know both connections and compare the same addresses, so both keep the same one.
                let keeps = if *local < candidate.address {
                    OpenedBy::Us
                } else {
                    OpenedBy::Them
                };
                if candidate.opened_by != keeps {
                    retire(candidate.connection);
                    return false;
                }
                retire(old.connection.clone());
            }
        }
        link.active = Some(candidate);
        link.backoff = Backoff::default();
        for (queue, (stream, preamble)) in self.queues.iter().zip(streams) {
            queue.attach(stream, preamble, task.clone());
        }
        true
    }

    /// The connection has ended. True if it was the peer's, and not one that another has replaced.
    pub(crate) fn uninstall(&self, connection: &Connection) -> bool {
        let mut link = self.link();
        let was_active = link
            .active
            .as_ref()
            .is_some_and(|active| active.connection.stable_id() == connection.stable_id());
        if was_active {
            link.active = None;
            for queue in &self.queues {
                queue.detach();
            }
        }
        was_active
    }

    /// Writes on, where streams took nothing before.
    pub(crate) fn resume(&self) {
        for queue in &self.queues {
            queue.resume();
        }
    }

    pub(crate) fn active(&self) -> Option<Connection> {
        self.link()
            .active
            .as_ref()
            .map(|active| active.connection.clone())
    }

    /// The connection, if the peer has opened it.
    pub(crate) fn accepted(&self) -> Option<Connection> {
        let link = self.link();
        let active = link.active.as_ref();
        let accepted = active.filter(|active| active.opened_by == OpenedBy::Them);
        accepted.map(|active| active.connection.clone())
    }

    /// Is there something to send?
    pub(crate) fn is_waiting(&self) -> bool {
        self.queues.iter().any(OutQueue::is_waiting)
    }

    /// Can it be forgotten without anybody's noticing?
    pub(crate) fn is_idle(&self) -> bool {
        let link = self.link();
        link.active.is_none() && !link.is_dialling && !self.is_waiting()
    }

    /// Takes the streams out, to end them.
    pub(crate) fn take_streams(&self) -> Vec<SendStream> {
        self.queues
            .iter()
            .filter_map(OutQueue::take_stream)
            .collect()
    }

    fn queue(&self, lane: Lane) -> &OutQueue {
        &self.queues[lane as usize]
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link
            .lock()
            .expect("nothing panics while it holds the link")
    }
}

/// The task ends by itself.
fn retire(connection: Connection) {
    task::spawn(async move {
        task::sleep(RETIREMENT).await;
        closing::close(&connection, Code::Replaced, "another connection is in use");
    });
}
