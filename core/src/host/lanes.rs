//! Which lane a message takes, and who may send it: two tables over all messages.

use crate::message::{Message, PeerMessage, ReplyBody, RequestBody};
use crate::transport::{Lane, SenderKind};

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
        Message::Request(request) => match &request.body {
            RequestBody::Insert { .. }
            | RequestBody::Remove { .. }
            | RequestBody::Get { .. }
            | RequestBody::Resolve { .. } => Lane::Log,
            RequestBody::Scan { .. } => Lane::Bulk,
            RequestBody::Status | RequestBody::Drain(_) => Lane::Control,
        },
        Message::Reply(reply) => match &reply.body {
            ReplyBody::OperationAck { .. }
            | ReplyBody::OperationFailed
            | ReplyBody::OperationRejected { .. }
            | ReplyBody::GetResult { .. }
            | ReplyBody::Resolved(_) => Lane::Log,
            ReplyBody::ScanResult { .. } => Lane::Bulk,
            ReplyBody::Status(_) | ReplyBody::Draining => Lane::Control,
        },
    }
}

/// May a sender of this kind say this? Nodes may say anything: which node may say what is for the protocol.
pub fn may_send(sender: SenderKind, message: &Message) -> bool {
    match sender {
        SenderKind::Node => true,
        SenderKind::Client => match message {
            Message::Request(_) => true,
            Message::ToArbiter(_)
            | Message::FromArbiter(_)
            | Message::Peer(_)
            | Message::Reply(_) => false,
        },
    }
}
