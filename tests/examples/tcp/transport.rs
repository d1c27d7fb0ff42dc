//! Frames over plain TCP. It passes the conformance suite for transports.
//!
//! There is a connection for each lane to a peer, which begins with a frame that says which lane and who dials. It carries
//! frames both ways. Two nodes that dial each other at once have two, and use both. Everybody is believed: a real
//! transport needs TLS.

use std::collections::HashMap;
use std::iter::once;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use async_std::net::{TcpListener, TcpStream};
use async_std::{future::timeout, io, task};
use async_trait::async_trait;
use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use lockstep_core::config::Address;
use lockstep_core::limits::FRAME_BYTES_MAX;
use lockstep_core::transport::{Lane, Received, SenderKind, Transport, TransportError};

/// Calls of `send` that wait for a connection; more are dropped. A real transport counts bytes as well.
const CALLS_MAX: usize = 256;
/// Connecting and greeting take no longer than this.
const PATIENCE: Duration = Duration::from_millis(500);

/// One end.
pub(crate) struct Tcp(Arc<Shared>);

/// What is to be written to one connection. Its task ends, and with it the connection, when this is closed and empty.
type Queue = Sender<Vec<Bytes>>;

struct Shared {
    local: Address,
    received: (Sender<Received>, Receiver<Received>),
    /// By peer and lane; the newest is used.
    queues: Mutex<HashMap<(Address, u8), Vec<Queue>>>,
}

impl Tcp {
    /// A node that listens at `HOST:PORT`; port 0 lets the system choose.
    pub(crate) async fn node(listen: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let tcp = Self::new(listener.local_addr()?.to_string());
        let shared = Arc::clone(&tcp.0);
        task::spawn(async move {
            let accepting = async {
                while let Ok((stream, _)) = listener.accept().await {
                    task::spawn(Arc::clone(&shared).accept(stream));
                }
            };
            accepting.race(shared.end()).await;
        });
        Ok(tcp)
    }

    /// A client.
    pub(crate) fn client() -> Self {
        Self::new(format!("client:{:x}", rand::random::<u64>()))
    }

    fn new(local: String) -> Self {
        Self(Arc::new(Shared {
            local: Address::new(local),
            received: bounded(64),
            queues: Mutex::default(),
        }))
    }
}

fn is_client(address: &Address) -> bool {
    address.as_str().starts_with("client:")
}

impl Shared {
    /// Returns when this end is closed.
    async fn end(&self) {
        while !self.received.0.is_closed() {
            task::sleep(PATIENCE / 100).await;
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<(Address, u8), Vec<Queue>>> {
        self.queues.lock().expect("nobody panics with it")
    }

    fn queue(&self, to: &Address, lane: Lane) -> Option<Queue> {
        let queues = self.queues();
        queues.get(&(to.clone(), lane as u8))?.last().cloned()
    }

    fn open(&self, key: (Address, u8)) -> (Queue, Receiver<Vec<Bytes>>) {
        let (queue, calls) = bounded(CALLS_MAX);
        self.queues().entry(key).or_default().push(queue.clone());
        (queue, calls)
    }

    async fn accept(self: Arc<Self>, mut stream: TcpStream) -> Option<()> {
        let hello = timeout(PATIENCE, read(&mut stream)).await.ok()?.ok()?;
        let (lane, from) = hello.split_first()?;
        let key = (Address::new(str::from_utf8(from).ok()?), *lane);
        let (_queue, calls) = self.open(key.clone());
        self.run(key, stream, calls).await;
        Some(())
    }

    /// What waits is lost if there is no connection in time; the next frames try again.
    async fn dial(self: Arc<Self>, key: (Address, u8), calls: Receiver<Vec<Bytes>>) {
        match timeout(PATIENCE, TcpStream::connect(key.0.as_str())).await {
            Ok(Ok(mut stream)) => {
                let hello = [&[key.1], self.local.as_str().as_bytes()].concat();
                let _ = write(&mut stream, &[hello.into()]).await;
                self.run(key, stream, calls).await;
            }
            Ok(Err(_)) | Err(_) => {
                task::sleep(PATIENCE / 10).await;
                self.forget(&key, &calls);
            }
        }
    }

    /// Reads and writes until the connection or its queue ends. While nobody receives, TCP makes the sender wait.
    async fn run(&self, key: (Address, u8), stream: TcpStream, calls: Receiver<Vec<Bytes>>) {
        let (mut reading, mut writing) = (stream.clone(), stream);
        let kinds = [SenderKind::Node, SenderKind::Client];
        let sender = kinds[usize::from(is_client(&key.0))];
        let reader = async {
            while let Ok(frame) = read(&mut reading).await {
                let (from, frames) = (key.0.clone(), vec![frame]);
                let received = Received {
                    from,
                    sender,
                    frames,
                };
                let _ = self.received.0.send(received).await;
            }
        };
        let writer = async {
            while let Ok(frames) = calls.recv().await
                && write(&mut writing, &frames).await.is_ok()
            {}
        };
        reader.race(writer).await;
        self.forget(&key, &calls);
    }

    fn forget(&self, key: &(Address, u8), calls: &Receiver<Vec<Bytes>>) {
        calls.close();
        self.queues().retain(|other, queues| {
            queues.retain(|queue| other != key || !queue.is_closed());
            !queues.is_empty()
        });
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
        let size = frame.len() as u32;
        stream.write_all(&size.to_be_bytes()).await?;
        stream.write_all(frame).await?;
    }
    Ok(())
}

#[async_trait]
impl Transport for Tcp {
    fn local(&self) -> &Address {
        &self.0.local
    }

    fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        let (address, limit) = (to.clone(), FRAME_BYTES_MAX);
        if let Some(size) = frames.iter().map(Bytes::len).find(|size| *size > limit) {
            return Err(TransportError::TooLarge { size, limit });
        }
        if self.0.received.0.is_closed() {
            return Err(TransportError::Closed);
        }
        if !is_client(to) && !to.as_str().contains(':') {
            return Err(TransportError::BadAddress { address });
        }
        // A client is answered on another lane where it has not opened this one.
        let others = Lane::ALL.into_iter().filter(|_| is_client(to));
        let mut lanes = once(lane).chain(others);
        let found = lanes.find_map(|lane| self.0.queue(to, lane));
        let queue = match found {
            Some(queue) => queue,
            None if is_client(to) => return Err(TransportError::NotConnected { address }),
            None => {
                let key = (to.clone(), lane as u8);
                let (queue, calls) = self.0.open(key.clone());
                task::spawn(Arc::clone(&self.0).dial(key, calls));
                queue
            }
        };
        let sent = queue.try_send(frames);
        sent.map_err(|_| TransportError::QueueFull { address })
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        let received = self.0.received.1.recv().await;
        received.map_err(|_| TransportError::Closed)
    }

    async fn disconnect(&self, peer: &Address, _reason: &str) {
        self.0.queues().retain(|(to, _), queues| {
            let stays = to != peer;
            queues.retain(|queue| stays || !queue.close());
            stays
        });
    }

    async fn close(&self) {
        self.0.received.0.close();
        while self.0.received.1.try_recv().is_ok() {}
        for queue in self.0.queues().drain().flat_map(|(_, queues)| queues) {
            queue.close();
        }
    }
}
