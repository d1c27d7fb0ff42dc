//! How a connection lives and ends: it becomes its peer's, its streams are read and written, and people are told.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use futures_lite::future;
use quinn::{Connection, ConnectionError};
use tracing::{debug, info, warn};

use crate::closing::{self, Weight};
use crate::identity::Identity;
use crate::opening::Opened;
use crate::peer::Peer;
use crate::reader::Reader;
use crate::shared::Shared;

/// What the caller of `run` has to do when the connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Ended {
    Done,
    /// See to it that the peer is dialled: this call is the one that has to.
    Dial,
}

/// Runs a connection until it ends.
pub(crate) async fn run(shared: &Arc<Shared>, peer: &Arc<Peer>, opened: Opened) -> Ended {
    let Opened {
        active,
        streams,
        control,
        fare,
    } = opened;
    let connection = active.connection.clone();
    let identity = Identity::of_peer(&connection).expect("it was read in the handshake");
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let is_installed = peer.install(&shared.local, active, streams, &task);
    if is_installed {
        info!(peer = %peer.address, remote = %connection.remote_address(), "connected");
        shared.failures.forget(&peer.address);
    }

    let reader = Reader::new(
        Arc::clone(shared),
        Arc::clone(peer),
        connection.clone(),
        identity.sender(),
        fare,
    );
    let reader = Arc::new(reader);
    let reading = Arc::clone(&reader);
    shared
        .runtime
        .spawn(async move { reading.read_control(control).await });
    let error = loop {
        // Woken where a stream comes in, the connection ends, or one of this side's streams takes bytes again.
        let resume = poll_fn(|_| {
            peer.resume();
            Poll::Pending
        });
        match future::or(connection.accept_uni(), resume).await {
            Ok(stream) => {
                let reading = Arc::clone(&reader);
                shared
                    .runtime
                    .spawn(async move { reading.read_stream(stream).await });
            }
            Err(error) => break error,
        }
    };
    shared.past.add(&connection);
    on_end(shared, peer, &connection, &error)
}

fn on_end(shared: &Shared, peer: &Peer, connection: &Connection, error: &ConnectionError) -> Ended {
    let was_active = peer.uninstall(connection);
    if let Some((weight, reason)) = closing::describe(error) {
        match weight {
            Weight::Usual => debug!(peer = %peer.address, reason, "connection ended"),
            Weight::Unusual if was_active => warn!(peer = %peer.address, reason, "connection lost"),
            Weight::Unusual => debug!(peer = %peer.address, reason, "connection lost"),
        }
        if was_active {
            shared.failures.note(&peer.address, reason);
        }
    }
    if was_active && peer.is_waiting() && peer.begin_dialling() {
        Ended::Dial
    } else {
        Ended::Done
    }
}
