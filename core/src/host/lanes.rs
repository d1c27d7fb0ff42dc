//! Which lane a message takes: a table over all messages. What the lanes of requests and answers are is told with them, in
//! `message`.

use crate::message::{Message, PeerMessage};
use crate::transport::Lane;

/// The lane of a message: what keeps the cluster together is small and goes first, transfers of the state go last.
pub fn lane(message: &Message) -> Lane {
    match message {
        Message::ToArbiter(_) | Message::FromArbiter(_) => Lane::Control,
        Message::Peer(peer) => match &peer.body {
            PeerMessage::SyncStart(_)
            | PeerMessage::SyncReply(_)
            | PeerMessage::SyncEnd(_)
            | PeerMessage::Beacon(_)
            | PeerMessage::BeaconAck(_) => Lane::Control,
            PeerMessage::Snapshots(_)
            | PeerMessage::SnapshotAck(_)
            | PeerMessage::CommittedQuery(_)
            | PeerMessage::CommittedAnswer(_) => Lane::Log,
            PeerMessage::StateChunk(_) | PeerMessage::StateAck(_) => Lane::Bulk,
        },
        Message::Request(request) => request.body.lane(),
        Message::Reply(reply) => reply.body.lane(),
    }
}
