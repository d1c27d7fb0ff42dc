//! Reads of what is in memory, from the frames of the requests to those of the answers.

use bytes::Bytes;
use lockstep_core::config::{Address, Position};
use lockstep_core::engine::Engine;
use lockstep_core::engine::memory::MemoryEngine;
use lockstep_core::host::{Arrival, Host, Surroundings};
use lockstep_core::message::{FromArbiter, Message, Request, RequestBody, Usage};
use lockstep_core::operation::{ClientId, Origin, ReadLevel, RequestId};
use lockstep_core::replica::{Replica, Timer};
use lockstep_core::rights::Sender;
use lockstep_core::storage::desk::{Desk, TOLD_BYTES};
use lockstep_core::time::Instant;
use lockstep_core::transport::{Received, SenderKind};
use lockstep_core::wire;

use super::inputs::{self, Entries, KEYS};
use super::played::{ME, joined, nothing, options};
use super::{BATCH, Meter};

pub(super) fn measure(meter: &mut impl Meter) {
    reads(meter, "host/read-from-memory-1", 1);
    reads(meter, "host/read-from-memory-64", BATCH);
}

/// Local reads by one client, which arrive together.
fn reads(meter: &mut impl Meter, name: &str, count: usize) {
    let around = &mut Around::new();
    let mut host = Host::new(
        Replica::open(options(), nothing()),
        Desk::replica(Position::ZERO, TOLD_BYTES),
        Address::new("r1"),
    );
    host.start(around).expect("it has a disk");
    let joined = Message::from(FromArbiter::JoinedPrimary(joined(ME)));
    let joined = received("arbiter", SenderKind::Node, vec![wire::encode(&joined)]);
    host.round([joined], around).expect("it has a disk");
    while host.passed.outgoing.take().is_some() {}
    host.passed.handed.clear();
    let mut number = 0;
    meter.measure(
        name,
        || {
            let first = number;
            number += count as u64;
            let frames = (first..number).map(request).collect();
            received("client", SenderKind::Client, frames)
        },
        |requests| {
            host.round([requests], around).expect("it has a disk");
            let replies = host.passed.outgoing.take().expect("a read is answered");
            assert_eq!(replies.frames.len(), count, "a read was not answered");
            replies
        },
    );
}

fn received(from: &str, sender: SenderKind, frames: Vec<Bytes>) -> Arrival {
    Arrival::Frames(Received {
        from: Address::new(from),
        sender: Sender::trusted(sender),
        frames,
    })
}

fn request(number: u64) -> Bytes {
    let body = RequestBody::Get {
        key: inputs::key(number),
        level: ReadLevel::Local,
    };
    let origin = Origin::plain(ClientId(1), RequestId(number));
    wire::encode(&Message::Request(Request {
        origin,
        body,
        attempt: Default::default(),
    }))
}

/// A state in which each key has a value, and no time.
struct Around {
    engine: MemoryEngine,
}

impl Around {
    fn new() -> Self {
        let engine = MemoryEngine::new();
        let (entries, sessions) = Entries::new().next_committed(KEYS as usize);
        engine.apply(&entries, &sessions).expect("memory takes it");
        Self { engine }
    }
}

impl Surroundings<Timer> for Around {
    fn now(&mut self) -> Instant {
        Instant::ZERO
    }

    fn usage(&mut self) -> Usage {
        Usage::default()
    }

    fn engine(&self) -> Option<&dyn Engine> {
        Some(&self.engine)
    }
}
