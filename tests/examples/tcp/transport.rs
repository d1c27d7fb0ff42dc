//! Frames over plain TCP. It passes the conformance suite for transports.
//!
//! Each lane to a peer has a connection for both directions, whose first frame says which lane and who dials. Two nodes
//! that dial each other at once use both. Everybody is believed: a real transport needs TLS.

use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::net::{TcpListener, TcpStream};
use async_std::{future::timeout, io, sync::Mutex, task};
use async_trait::async_trait;
use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use lockstep_core::transport::{Lane, Received, SenderKind, Transport, TransportError as Error};
use lockstep_core::{config::Address, limits::FRAME_BYTES_MAX};

/// Calls of `send` that wait for a connection; more are dropped. A real transport counts bytes as well.
const CALLS_MAX: usize = 256;
const PATIENCE: Duration = Duration::from_millis(500);
type Arrived = (Address, Bytes);
type Frames = Vec<Bytes>;
/// The peer and the lane of a connection.
type Key = (Address, u8);
/// What is to be written to a connection, which ends when this is closed and empty.
type Queue = Sender<Frames>;

/// One end; clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Tcp {
    local: Address,
    received: (Sender<Arrived>, Receiver<Arrived>),
    /// Of all connections, the newest last.
    queues: Arc<Mutex<Vec<(Key, Queue)>>>,
}

fn is_client(address: &Address) -> bool {
    address.as_str().starts_with("client:")
}

impl Tcp {
    /// A node that listens at `HOST:PORT`; port 0 lets the system choose.
    pub(crate) async fn node(listen: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let tcp = Self::new(listener.local_addr()?.to_string());
        let accepting = tcp.clone();
        task::spawn(async move {
            while !accepting.received.0.is_closed() {
                if let Ok(Ok((stream, _))) = timeout(PATIENCE / 100, listener.accept()).await {
                    task::spawn(accepting.clone().accept(stream));
                }
            }
        });
        Ok(tcp)
    }

    /// A client.
    pub(crate) fn client() -> Self {
        Self::new(format!("client:{:x}", rand::random::<u64>()))
    }

    fn new(local: String) -> Self {
        Self {
            local: Address::new(local),
            received: bounded(64),
            queues: Arc::default(),
        }
    }

    /// Forgets ended connections. A client that has not opened this lane is answered on another.
    async fn queue(&self, to: &Address, lane: Lane) -> Option<Queue> {
        let mut queues = self.queues.lock().await;
        queues.retain(|(_, queue)| !queue.is_closed());
        let to_peer = || queues.iter().rev().filter(|(key, _)| key.0 == *to);
        let found = to_peer().find(|(key, _)| key.1 == lane as u8);
        let found = found.or_else(|| to_peer().find(|_| is_client(to)));
        found.map(|(_, queue)| queue.clone())
    }

    async fn open(&self, key: Key) -> (Queue, Receiver<Frames>) {
        let (queue, calls) = bounded(CALLS_MAX);
        self.queues.lock().await.push((key, queue.clone()));
        (queue, calls)
    }

    async fn accept(self, mut stream: TcpStream) -> Option<()> {
        let hello = timeout(PATIENCE, read(&mut stream)).await.ok()?.ok()?;
        let (lane, from) = hello.split_first()?;
        let key = (Address::new(str::from_utf8(from).ok()?), *lane);
        let (_queue, calls) = self.open(key.clone()).await;
        self.run(key, stream, calls).await
    }

    /// What waits is lost if there is no connection in time; the next frames try again.
    async fn dial(self, key: Key, calls: Receiver<Frames>) -> Option<()> {
        let connecting = timeout(PATIENCE, TcpStream::connect(key.0.as_str())).await;
        let Ok(Ok(mut stream)) = connecting else {
            task::sleep(PATIENCE / 10).await;
            return None;
        };
        let hello = [&[key.1], self.local.as_str().as_bytes()].concat();
        write(&mut stream, &[hello.into()]).await.ok()?;
        self.run(key, stream, calls).await
    }

    /// Reads and writes until either ends. While nobody receives, TCP makes the sender wait.
    async fn run(&self, key: Key, stream: TcpStream, calls: Receiver<Frames>) -> Option<()> {
        let (mut reading, mut writing) = (stream.clone(), stream);
        let reader = async {
            loop {
                let frame = read(&mut reading).await.ok()?;
                self.received.0.send((key.0.clone(), frame)).await.ok()?;
            }
        };
        let writer = async {
            loop {
                let frames = calls.recv().await.ok()?;
                write(&mut writing, &frames).await.ok()?;
            }
        };
        reader.race(writer).await
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await?;
    let (size, mut frame) = (u32::from_be_bytes(size) as usize, Vec::new());
    if size > FRAME_BYTES_MAX || stream.take(size as u64).read_to_end(&mut frame).await? < size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(frame.into())
}

async fn write(stream: &mut TcpStream, frames: &[Bytes]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    for frame in frames {
        let size = (frame.len() as u32).to_be_bytes();
        stream.write_all(&[&size[..], &frame[..]].concat()).await?;
    }
    Ok(())
}

#[async_trait]
impl Transport for Tcp {
    fn local(&self) -> &Address {
        &self.local
    }

    fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    async fn send(&self, to: &Address, lane: Lane, frames: Frames) -> Result<(), Error> {
        let (address, limit) = (to.clone(), FRAME_BYTES_MAX);
        if let Some(size) = frames.iter().map(Bytes::len).find(|size| *size > limit) {
            return Err(Error::TooLarge { size, limit });
        }
        if self.received.0.is_closed() {
            return Err(Error::Closed);
        }
        let queue = match self.queue(to, lane).await {
            Some(queue) => queue,
            None if is_client(to) => return Err(Error::NotConnected { address }),
            None if !to.as_str().contains(':') => return Err(Error::BadAddress { address }),
            None => {
                let key = (to.clone(), lane as u8);
                let (queue, calls) = self.open(key.clone()).await;
                task::spawn(self.clone().dial(key, calls));
                queue
            }
        };
        let sent = queue.try_send(frames);
        sent.map_err(|_| Error::QueueFull { address })
    }

    async fn recv(&self) -> Result<Received, Error> {
        let received = self.received.1.recv().await;
        let (from, frame) = received.map_err(|_| Error::Closed)?;
        let kind = [SenderKind::Node, SenderKind::Client][usize::from(is_client(&from))];
        let (sender, frames) = (lockstep_core::rights::Sender::trusted(kind), vec![frame]);
        Ok(Received {
            from,
            sender,
            frames,
        })
    }

    async fn disconnect(&self, peer: &Address, _reason: &str) {
        let mut queues = self.queues.lock().await;
        queues.retain(|(key, queue)| key.0 != *peer || !queue.close());
    }

    async fn close(&self) {
        self.received.0.close();
        while self.received.1.try_recv().is_ok() {}
        self.queues.lock().await.retain(|(_, queue)| !queue.close());
    }
}
