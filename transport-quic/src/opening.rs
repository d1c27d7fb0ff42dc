//! How a connection begins behind the TLS handshake: each side opens its streams and says Hello on the first of them.

use std::sync::Arc;

use bytes::Bytes;
use lockstep_core::transport::{Lane, SenderKind};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, WriteError};

use crate::frame::{self, Decoder};
use crate::gate::Fare;
use crate::hello::{self, Hello, HelloError};
use crate::peer::Active;
use crate::streams::{self, Streams};

/// Why a connection did not come about behind the TLS handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Hello(#[from] HelloError),
}

/// A connection on which both sides have said Hello, with all that is open on it.
pub(crate) struct Opened {
    pub(crate) active: Active,
    pub(crate) streams: Streams,
    pub(crate) control: Control,
    /// What the other side has paid, if it began the connection.
    pub(crate) fare: Option<Arc<Fare>>,
}

/// The other side's control stream, behind its Hello.
pub(crate) struct Control {
    pub(crate) stream: RecvStream,
    pub(crate) decoder: Decoder,
}

/// Opens this side's streams and says Hello. The streams of other lanes begin when they are first used.
pub(crate) async fn open_streams(
    connection: &Connection,
    hello: &Hello,
) -> Result<Streams, OpenError> {
    let mut control = streams::open(connection, Lane::Control).await?;
    let mut chunks = vec![streams::preamble(Lane::Control)];
    frame::encode(std::iter::once(hello.encode()), &mut chunks);
    control
        .write_all_chunks(&mut chunks)
        .await
        .map_err(write_error)?;
    let log = streams::open(connection, Lane::Log).await?;
    let bulk = streams::open(connection, Lane::Bulk).await?;
    Ok([
        (control, None),
        (log, Some(streams::preamble(Lane::Log))),
        (bulk, Some(streams::preamble(Lane::Bulk))),
    ])
}

/// Reads the other side's Hello: the first frame of its first stream.
pub(crate) async fn read_hello(connection: &Connection) -> Result<(Hello, Control), OpenError> {
    let mut stream = connection.accept_uni().await?;
    let first = streams::first_byte(&mut stream).await.map_err(read_error)?;
    if first.and_then(streams::lane_of) != Some(Lane::Control) {
        return Err(HelloError::Malformed.into());
    }
    let mut decoder = Decoder::new(hello::BYTES_MAX);
    let hello = read_frame(&mut stream, &mut decoder).await?;
    let hello = Hello::decode(hello)?;
    Ok((hello, Control { stream, decoder }))
}

async fn read_frame(stream: &mut RecvStream, decoder: &mut Decoder) -> Result<Bytes, OpenError> {
    // Who it is, is not known yet.
    let sender = SenderKind::Client;
    while streams::read(stream, sender, decoder)
        .await
        .map_err(read_error)?
    {
        match decoder.next_frame() {
            Ok(None) => {}
            Ok(Some(frame)) => return Ok(frame),
            Err(_) => break,
        }
    }
    Err(HelloError::Malformed.into())
}

fn read_error(error: ReadError) -> OpenError {
    match error {
        ReadError::ConnectionLost(error) => error.into(),
        ReadError::Reset(_)
        | ReadError::ClosedStream
        | ReadError::IllegalOrderedRead
        | ReadError::ZeroRttRejected => HelloError::Malformed.into(),
    }
}

fn write_error(error: WriteError) -> OpenError {
    match error {
        WriteError::ConnectionLost(error) => error.into(),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            HelloError::Malformed.into()
        }
    }
}
