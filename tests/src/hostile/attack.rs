//! What is done to the nodes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::task::{self, JoinHandle};
use clap::ValueEnum;
use lockstep_core::limits::REQUEST_BYTES_MAX;
use lockstep_core::message::{Attempt, Message, Request, RequestBody};
use lockstep_core::operation::{ClientId, Key, Origin, ReadLevel, RequestId, Value};
use lockstep_core::range::KeyRange;
use lockstep_core::wire;
use quinn::Connection;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::deaf::Deaf;
use super::raw::{Raw, framed};
use crate::processes::Failure;

/// A way to do harm. The first three need no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// 3,500 handshakes at a time from one address that are begun and not ended
    Stalls,
    /// 1,000 attempts a second to connect without a certificate
    Knocks,
    /// Datagrams of random bytes
    Noise,
    /// Connections that end their handshake and then say nothing
    Silence,
    /// 1,000 connections with the beginnings of the longest frames
    HalfFrames,
    /// Frames longer than any may be
    Oversize,
    /// Reads of a value of 1 MiB and questions for the status without end, whose answers are not read
    Questions,
    /// Values of 1 MiB without end
    Values,
    /// Millions of empty frames
    EmptyFrames,
    /// Requests with random bytes in them
    WildFields,
    /// Connections that are opened and closed
    Flapping,
}

/// The nodes, and what is needed to reach them.
#[derive(Clone, Debug)]
pub struct Target {
    /// All nodes, the arbiter too.
    pub nodes: Vec<SocketAddr>,
    /// With the authority, and a client's certificate for the attackers.
    pub tls_dir: PathBuf,
    /// Its name.
    pub name: String,
}

/// An attack under way in this process; it ends when this is dropped.
pub struct Underway {
    ended: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    attackers: Vec<JoinHandle<()>>,
    _deaf: Vec<Deaf>,
}

/// One attacker.
struct Attacker {
    node: SocketAddr,
    raw: Arc<Raw>,
    ended: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    rng: ChaCha8Rng,
}

/// What is written and read.
const KEY: &str = "hostile";

/// Whoever is not let in tries again after this, or at once.
const PAUSE: Duration = Duration::from_millis(20);

/// Whoever got in stays for as long, if he is let.
const STAY: Duration = Duration::from_secs(2);

impl Attack {
    fn has_certificate(self) -> bool {
        match self {
            Self::Stalls | Self::Knocks | Self::Noise => false,
            Self::Silence
            | Self::HalfFrames
            | Self::Oversize
            | Self::Questions
            | Self::Values
            | Self::EmptyFrames
            | Self::WildFields
            | Self::Flapping => true,
        }
    }

    /// Attackers of all nodes together.
    fn attackers(self) -> usize {
        match self {
            Self::Stalls => 3500,
            Self::Knocks => 250,
            Self::Silence | Self::HalfFrames => 1000,
            Self::Noise | Self::Flapping => 8,
            Self::Oversize
            | Self::Questions
            | Self::Values
            | Self::EmptyFrames
            | Self::WildFields => 16,
        }
    }

    /// Begins it.
    ///
    /// # Errors
    /// If there is no socket, or no certificate.
    pub fn begin(self, target: &Target) -> Result<Underway, Failure> {
        let ended = Arc::new(AtomicBool::new(false));
        let attempts = Arc::new(AtomicU64::new(0));
        let mut deaf = Vec::new();
        let mut nodes = target.nodes.clone();
        if self == Self::Stalls {
            for node in &mut nodes {
                let way = Deaf::to(*node).map_err(|error| Failure::Hostile {
                    reason: error.to_string(),
                })?;
                *node = way.entrance();
                deaf.push(way);
            }
        }
        let name = self.has_certificate().then_some(target.name.as_str());
        let ends = (0..nodes.len()).map(|_| Ok(Arc::new(Raw::new(&target.tls_dir, name)?)));
        let ends = ends.collect::<Result<Vec<_>, Failure>>()?;
        let attackers = (0..self.attackers()).map(|number| {
            let attacker = Attacker {
                node: nodes[number % nodes.len()],
                raw: Arc::clone(&ends[number % nodes.len()]),
                ended: Arc::clone(&ended),
                attempts: Arc::clone(&attempts),
                rng: ChaCha8Rng::seed_from_u64(number as u64),
            };
            task::spawn(attacker.work(self))
        });
        Ok(Underway {
            attackers: attackers.collect(),
            ended,
            attempts,
            _deaf: deaf,
        })
    }
}

impl Underway {
    /// How often something was tried.
    pub fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for attacker in self.attackers.drain(..) {
            task::block_on(attacker.cancel());
        }
    }
}

impl Attacker {
    async fn work(mut self, attack: Attack) {
        // They do not all come in the same moment.
        task::sleep(Duration::from_millis(self.rng.random_range(0..1000))).await;
        if attack == Attack::Questions {
            self.say(1, &large_value(), 1).await;
        }
        while !self.ended.load(Ordering::Relaxed) {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            let begun = Instant::now();
            self.once(attack).await;
            let interval = match attack {
                // Together a thousand a second.
                Attack::Knocks => Duration::from_millis(250),
                Attack::Noise => Duration::from_millis(1),
                _ => PAUSE,
            };
            task::sleep(interval.saturating_sub(begun.elapsed())).await;
        }
    }

    async fn once(&mut self, attack: Attack) {
        match attack {
            Attack::Stalls | Attack::Knocks => {
                let _ = timeout(2 * STAY, self.raw.connect(self.node)).await;
            }
            Attack::Noise => self.noise(),
            Attack::Silence => {
                if let Ok(connection) = self.raw.connect(self.node).await {
                    stay(&connection).await;
                }
            }
            Attack::Flapping => {
                if let Ok((connection, _control)) = self.raw.greet(self.node).await {
                    connection.close(7_u32.into(), &[0x1b; 4096]);
                }
            }
            Attack::HalfFrames => {
                let length = u32::try_from(REQUEST_BYTES_MAX).expect("it fits a header");
                let half = [&length.to_be_bytes()[..], &[7; 256 << 10]].concat();
                self.say(1, &half, 3).await;
            }
            Attack::Oversize => self.say(1, &[0xff; 4], 1).await,
            Attack::Questions => {
                let get = RequestBody::Get {
                    key: Key::from(KEY),
                    level: ReadLevel::Local,
                };
                let questions = [get, RequestBody::Status].map(|body| framed(&request(body)));
                self.say(1, &questions.concat().repeat(1000), 1).await;
            }
            Attack::Values => self.say(1, &large_value().repeat(8), 1).await,
            Attack::EmptyFrames => self.say(1, &[0; 4 << 20], 1).await,
            Attack::WildFields => {
                let body = RequestBody::Scan {
                    range: KeyRange::all(),
                    limit: None,
                };
                let mut wild = request(body);
                for _ in 0..self.rng.random_range(1..8) {
                    let at = self.rng.random_range(1..wild.len());
                    wild[at] = self.rng.random();
                }
                self.say(1, &framed(&wild), 1).await;
            }
        }
    }

    /// Says Hello, then `bytes` on so many streams, the first of them for `lane`, and stays.
    async fn say(&self, lane: u8, bytes: &[u8], streams: u8) {
        let Ok((connection, _control)) = self.raw.greet(self.node).await else {
            return;
        };
        let mut open = Vec::new();
        for lane in lane..(lane + streams).min(3) {
            let Ok(mut stream) = connection.open_uni().await else {
                return;
            };
            let said = async {
                let _ = stream.write_all(&[lane]).await;
                let _ = stream.write_all(bytes).await;
            };
            // Where it is not read, it is not waited for.
            let _ = timeout(STAY, said).await;
            open.push(stream);
        }
        stay(&connection).await;
    }

    fn noise(&mut self) {
        let Ok(socket) = std::net::UdpSocket::bind(("127.0.0.1", 0)) else {
            return;
        };
        let mut bytes = [0; 1200];
        for _ in 0..16 {
            self.rng.fill_bytes(&mut bytes);
            // Half of them look like the beginning of a handshake.
            if bytes[1] & 1 == 0 {
                bytes[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
            }
            let _ = socket.send_to(&bytes, self.node);
        }
    }
}

async fn stay(connection: &Connection) {
    let _ = timeout(STAY, connection.closed()).await;
    connection.close(7_u32.into(), b"enough");
}

/// The frame of a request that inserts a value of 1 MiB.
fn large_value() -> Vec<u8> {
    framed(&request(RequestBody::Insert {
        key: Key::from(KEY),
        value: Value::from(vec![7; 1 << 20]),
    }))
}

fn request(body: RequestBody) -> Vec<u8> {
    let request = Request {
        origin: Origin::plain(ClientId(rand::random()), RequestId(1)),
        attempt: Attempt::default(),
        body,
    };
    wire::encode(&Message::Request(request)).to_vec()
}
