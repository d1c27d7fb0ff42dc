//! The end of a transport: its peers get what was handed over for them, and learn that it ends.

use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use async_std::task;
use quinn::{Endpoint, VarInt};

use crate::closing::Code;
use crate::peer::Peer;
use crate::peers::Peers;

/// Each step takes this long at most: writing what was handed over, its acknowledgement.
const STEP: Duration = Duration::from_millis(500);

/// Telling peers of the end takes this long: long enough that the packets are on their way. Waiting for the connections
/// to drain, a multiple of the round trip, would hold up every command of a client.
const SENT: Duration = Duration::from_millis(5);

/// How often it is looked whether queues are empty.
const GLANCE_INTERVAL: Duration = Duration::from_millis(2);

/// Ends all connections, once the peers have what was sent to them or have had the time to take it.
pub(crate) async fn in_order(endpoint: &Endpoint, peers: &Peers) {
    // Who does not take what is left within the time loses it: that was never promised.
    let _ = timeout(STEP, write_out(peers)).await;
    let _ = timeout(STEP, end_streams(peers)).await;
    at_once(endpoint);
    let _ = timeout(SENT, endpoint.wait_idle()).await;
}

/// Ends all connections.
pub(crate) fn at_once(endpoint: &Endpoint) {
    endpoint.close(
        VarInt::from_u32(Code::Closed as u32),
        b"the program there ends",
    );
}

/// Waits until everything is written that connected peers take.
async fn write_out(peers: &Peers) {
    let peers = peers.all();
    let is_writing = |peer: &Arc<Peer>| peer.active().is_some() && peer.is_waiting();
    while peers.iter().any(is_writing) {
        task::sleep(GLANCE_INTERVAL).await;
    }
}

/// Ends all streams, and waits until the peers have what was written to them.
async fn end_streams(peers: &Peers) {
    let peers = peers.all();
    let mut streams: Vec<_> = peers.iter().flat_map(|peer| peer.take_streams()).collect();
    for stream in &mut streams {
        // Fails only if the stream has ended already.
        let _ = stream.finish();
    }
    for stream in &streams {
        let _ = stream.stopped().await;
    }
}
