//! The streams of a connection, one for each lane and direction: its first byte is the lane's number, frames follow.

use bytes::Bytes;
use lockstep_core::transport::{Lane, SenderKind};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream};

use crate::frame::Decoder;

/// Pieces of a stream taken in one go from a node: what as many packets carry.
const NODE_PIECES_MAX: usize = 64;

/// The same from a client: so much is in memory of a long frame before there is room for all of it.
const CLIENT_PIECES_MAX: usize = 16;

/// This side's streams of a connection, by lane, each with what has to stand at its beginning.
pub(crate) type Streams = [(SendStream, Option<Bytes>); Lane::ALL.len()];

/// Opens this side's stream for `lane`, which the other side hears of when something is written.
pub(crate) async fn open(
    connection: &Connection,
    lane: Lane,
) -> Result<SendStream, ConnectionError> {
    let stream = connection.open_uni().await?;
    let priority = match lane {
        Lane::Control => 2,
        Lane::Log => 1,
        Lane::Bulk => 0,
    };
    stream
        .set_priority(priority)
        .expect("a stream just opened is not closed");
    Ok(stream)
}

/// The beginning of a stream for `lane`.
pub(crate) fn preamble(lane: Lane) -> Bytes {
    Bytes::from_static(match lane {
        Lane::Control => &[0],
        Lane::Log => &[1],
        Lane::Bulk => &[2],
    })
}

/// The lane whose streams begin with `first`.
pub(crate) fn lane_of(first: u8) -> Option<Lane> {
    Lane::ALL.get(usize::from(first)).copied()
}

/// Waits for the first byte of a stream. `None`: the stream ends without one.
pub(crate) async fn first_byte(stream: &mut RecvStream) -> Result<Option<u8>, ReadError> {
    let mut first = [0];
    let read = stream.read(&mut first).await?;
    Ok(read.map(|_| first[0]))
}

/// Waits for more of a stream of `sender`, and gives it to `decoder`. False: the stream has ended.
pub(crate) async fn read(
    stream: &mut RecvStream,
    sender: SenderKind,
    decoder: &mut Decoder,
) -> Result<bool, ReadError> {
    let mut pieces: [Bytes; NODE_PIECES_MAX] = std::array::from_fn(|_| Bytes::new());
    let pieces_max = match sender {
        SenderKind::Node => NODE_PIECES_MAX,
        SenderKind::Client => CLIENT_PIECES_MAX,
    };
    let Some(count) = stream.read_chunks(&mut pieces[..pieces_max]).await? else {
        return Ok(false);
    };
    pieces[..count]
        .iter()
        .for_each(|piece| decoder.extend(piece));
    Ok(true)
}
