//! Messages to bytes and back: the three that a write is made of.

use lockstep_core::config::{Epoch, NodeId, Position, Seq};
use lockstep_core::message::{Message, Peer, PeerMessage, Reply, ReplyBody, Snapshots};
use lockstep_core::operation::Revision;
use lockstep_core::wire;

use super::inputs::{self, Entries};
use super::{BATCH, Meter};

pub(super) fn measure(meter: &mut impl Meter) {
    let request = inputs::request(1_000);
    let reply = Reply {
        client: request.origin.client,
        id: request.origin.id,
        body: ReplyBody::OperationAck {
            seq: Seq(1_000_000),
            revision: Revision(1_000_000),
        },
    };
    let snapshots = Peer {
        sender: NodeId(u64::MAX / 3),
        receiver: NodeId(u64::MAX / 5),
        epoch: Epoch(1),
        body: PeerMessage::Snapshots(Snapshots {
            sync: 1,
            entries: Entries::new().next(BATCH),
            committed: Position::ZERO,
        }),
    };
    both_ways(meter, "insert", Message::Request(request));
    both_ways(meter, "snapshots-of-64", Message::Peer(snapshots));
    both_ways(meter, "reply", Message::Reply(reply));
}

fn both_ways(meter: &mut impl Meter, name: &str, message: Message) {
    let mut buffer = Vec::new();
    let frame = wire::encode(&message);
    meter.measure(
        &format!("codec/encode-{name}"),
        || (),
        |()| wire::encode_by(&mut buffer, &message),
    );
    meter.measure(
        &format!("codec/decode-{name}"),
        || (),
        |()| wire::decode(&frame).expect("it was encoded here"),
    );
}
