//! What a transport is: frames of bytes between addresses. It knows no message, and messages know no transport.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::config::Address;
use crate::rights::Sender;
use crate::runtime::Runtime;

/// Moves frames between nodes, and between clients and nodes.
///
/// # What an implementation promises
/// - A frame arrives whole and unchanged, or not at all. Frames that arrive come from the sender they name, as far as the
///   transport can vouch for it (QUIC: by certificate).
/// - `send` neither waits for the network nor for the receiver. What finds no room in a bounded queue is dropped.
/// - A dead, slow or hostile peer does not hold up frames to and from others.
/// - Frames of one lane are not held up by frames of another to the same peer.
/// - What a node sends to its own address arrives at itself, as from any node.
/// - After a peer has come back, frames to it arrive again without anybody's help, within a second or so.
/// - A node answers a client at the address its frame came from, for as long as the client's connection lasts. Addresses of clients
///   with the same owner are the same up to a `#`, as far as the transport knows owners ([`Address::owner`]): they share what
///   a node gives one of them.
///
/// # What it does not promise
/// Delivery, order, or absence of duplicates. The protocol needs none of them, but is faster with them.
///
/// The conformance suite in `lockstep-tests` checks any implementation against this, and says of each failure which promise is broken
/// and where to look.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The address at which others reach this end, as it has to be told to them. A client's is of no use to others.
    fn local(&self) -> &Address;

    /// The largest frame it carries, in bytes.
    fn frame_bytes_max(&self) -> usize;

    /// Hands `frames` over for `to`, to be sent in this order; connects first if need be.
    ///
    /// # Errors
    /// What is reported is certainly not sent. `Ok` promises nothing.
    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError>;

    /// The next frames from somebody: at most [`RECV_FRAMES_MAX`](crate::limits::RECV_FRAMES_MAX) of them with
    /// [`RECV_BYTES_MAX`](crate::limits::RECV_BYTES_MAX) bytes together, or a single one that is longer. Cancel-safe:
    /// dropping the future loses nothing.
    ///
    /// # Errors
    /// `Closed`, for ever, once the transport is closed; nothing else.
    async fn recv(&self) -> Result<Received, TransportError>;

    /// Ends the connection to `peer`, telling it why; it may connect again. Nothing happens if there is none.
    async fn disconnect(&self, peer: &Address, reason: &str);

    /// Ends all connections. Frames handed over before are sent if that takes no long wait. Waiting `recv`s end.
    async fn close(&self);

    /// What a process over this transport should run on, so that messages come to it without changing threads, or because the
    /// futures of the transport can only be polled there, as those of some runtimes' sockets; `None`: the threads of async-std.
    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        None
    }

    /// What it has carried since it began; nothing, where it does not count.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// Why `peer` is not connected, in words for people; `None` if it is, if nobody tried, or if the transport cannot tell.
    fn last_failure(&self, _peer: &Address) -> Option<String> {
        None
    }
}

/// What an end of a network has carried since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Traffic {
    /// Packets sent; frames, where there are no packets.
    pub packets_sent: u64,
    /// Packets received; frames, where there are no packets.
    pub packets_received: u64,
    /// Bytes sent, what the transport adds included as far as it can tell.
    pub bytes_sent: u64,
    /// Bytes received, likewise.
    pub bytes_received: u64,
    /// Connections that others began and that did not come about, for want of a certificate most often.
    pub handshakes_failed: u64,
    /// Connections that others wanted to begin and were not allowed to, since there were too many.
    pub handshakes_refused: u64,
}

/// Frames of different lanes do not delay each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Small and urgent: Beacons, configurations, handshakes.
    Control,
    /// Entries, acknowledgements, requests and their replies.
    Log,
    /// State transfers and scans.
    Bulk,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 3] = [Self::Control, Self::Log, Self::Bulk];
}

/// Frames that arrived together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent them: where an answer goes.
    pub from: Address,
    /// What the sender may say.
    pub sender: Sender,
    /// The frames, in the order in which they arrived; at least one.
    pub frames: Vec<Bytes>,
}

/// What kind of participant a sender is, as the transport vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderKind {
    /// An arbiter or a replica.
    Node,
    /// A client: may send requests only.
    Client,
}

/// What went wrong with frames or addresses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The frame can never be sent; smaller ones still can. None of the call's frames was sent.
    #[error("frame of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Its length.
        size: usize,
        /// `frame_bytes_max`.
        limit: usize,
    },
    /// The transport cannot read the address. Nothing was sent.
    #[error("not an address of this transport: {address}")]
    BadAddress {
        /// The address.
        address: Address,
    },
    /// There is no connection to the address and it cannot be connected to: a client that has gone. Nothing was sent.
    #[error("no connection to {address}")]
    NotConnected {
        /// The address.
        address: Address,
    },
    /// The queue for this peer is full; the frames were dropped. Later ones may find room.
    #[error("the queue to {address} is full")]
    QueueFull {
        /// The address.
        address: Address,
    },
    /// The transport was closed.
    #[error("the transport is closed")]
    Closed,
}
