//! The settings of QUIC: windows, time-outs, and what lets a peer notice a restart at once.

use std::sync::Arc;
use std::time::Duration;

use lockstep_core::transport::{Lane, SenderKind};
use quinn::{
    AckFrequencyConfig, Connection, ConnectionId, ConnectionIdGenerator, EndpointConfig,
    IdleTimeout, ServerConfig, TransportConfig, VarInt,
};
use rand::RngCore;
use ring::hmac;
use rustls::pki_types::PrivateKeyDer;

/// Sent on one lane and not yet read by the receiver: 10 Gbit/s over 3 ms, 1 Gbit/s over 30 ms.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// Sent on all lanes and not yet read: what the lanes may have together, so that none takes window from another.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * Lane::ALL.len() as u32;

/// The same for what a client sends, of which there are many: of the first with its certificate, and of further ones.
const CLIENT_WINDOW_BYTES: u32 = 1 << 20;
const NARROW_WINDOW_BYTES: u32 = 64 << 10;

/// Not acknowledged by the receiver's QUIC; above the window, so that only windows ever stop a lane.
const SEND_WINDOW_BYTES: u64 = 2 * CONNECTION_WINDOW_BYTES as u64;

/// The same towards a client, which may have no intention to acknowledge anything.
const CLIENT_SEND_WINDOW_BYTES: u64 = 2 << 20;

/// Connections that others want to open and nobody has looked at, which happens at once; of more, packets are dropped.
const INCOMING_MAX: usize = 1024;

/// Bytes that wait with each of those.
const INCOMING_BYTES_MAX: u64 = 16 << 10;

/// Between nodes, a peer silent for this long is gone; several keep-alives may be lost before.
const NODE_IDLE: Duration = Duration::from_secs(3);
const NODE_KEEP_ALIVE: Duration = Duration::from_millis(750);

/// The same for clients, relaxed, since there are many of them.
const CLIENT_IDLE: Duration = Duration::from_secs(6);
const CLIENT_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Assumed round trip before one was measured. A lost first packet is repeated after three times this.
const INITIAL_RTT: Duration = Duration::from_millis(80);

/// Packets that the receiver may leave unacknowledged for up to 25 ms. What it has to say meanwhile, an answer most often,
/// takes the acknowledgement along, which otherwise is a packet of its own for every two that come, and wakes the sender for
/// nothing. Fewer than a connection may have in flight at its beginning, ten, so that no sender waits for it.
const PACKETS_UNACKNOWLEDGED_MAX: u32 = 8;

/// Bytes of a connection id, drawn at random.
const CONNECTION_ID_BYTES: usize = 8;

/// Connection ids that a restarted process takes for its own, and a key for stateless resets that survives the restart:
/// a peer that goes on sending to the former process learns with its first packet that the connection is gone.
pub(crate) fn endpoint(key: &PrivateKeyDer<'_>) -> EndpointConfig {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret_der());
    let secret = hmac::sign(&secret, b"lockstep stateless reset");
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Bounds what waits to be looked at: first packets, and what comes behind them.
pub(crate) fn bound_incoming(server: &mut ServerConfig) {
    server
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX * INCOMING_MAX as u64 / 8);
}

/// Settings for connections that others open.
pub(crate) fn accepting() -> Arc<TransportConfig> {
    let mut config = common();
    // The dialling side's shorter time counts, and it alone keeps the connection alive.
    config.max_idle_timeout(Some(idle(CLIENT_IDLE)));
    // Whose it is, is known after the handshake only; the windows are opened then.
    config
        .receive_window(VarInt::from_u32(NARROW_WINDOW_BYTES))
        .send_window(CLIENT_SEND_WINDOW_BYTES);
    Arc::new(config)
}

/// Settings for connections that this side opens, which is a node or a client.
pub(crate) fn dialling(dialler: SenderKind) -> Arc<TransportConfig> {
    let mut config = common();
    let (silence, keep_alive) = match dialler {
        SenderKind::Node => (NODE_IDLE, NODE_KEEP_ALIVE),
        SenderKind::Client => (CLIENT_IDLE, CLIENT_KEEP_ALIVE),
    };
    config.max_idle_timeout(Some(idle(silence)));
    config.keep_alive_interval(Some(keep_alive));
    Arc::new(config)
}

/// Opens the windows of a connection that a node has opened.
pub(crate) fn widen_for_node(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES));
    connection.set_send_window(SEND_WINDOW_BYTES);
}

/// Opens the receive window of a connection that a client has opened, one of the first with its certificate.
pub(crate) fn widen_for_client(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(CLIENT_WINDOW_BYTES));
}

fn common() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(Lane::ALL.len() as u32))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .initial_rtt(INITIAL_RTT)
        .ack_frequency_config(Some(ack_frequency()));
    config
}

fn ack_frequency() -> AckFrequencyConfig {
    let mut config = AckFrequencyConfig::default();
    config.ack_eliciting_threshold(VarInt::from_u32(PACKETS_UNACKNOWLEDGED_MAX));
    config
}

fn idle(after: Duration) -> IdleTimeout {
    after
        .try_into()
        .expect("a few seconds fit into QUIC's milliseconds")
}

struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_BYTES];
        rand::rng().fill_bytes(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
