//! The loop: waits for something to arrive, has the host do a round, and carries out what that led to.

use std::fmt;

use async_channel::Receiver;
use futures_lite::future::yield_now;

use crate::driver::calls::PendingCall;
use crate::driver::clock::Clock;
use crate::driver::disk::Disk;
use crate::driver::error::DriverError;
use crate::driver::inbox::Inbox;
use crate::driver::running::{Command, Ending, Exit};
use crate::driver::usage::{self, Gauge};
use crate::driver::watch::Watch;
use crate::engine::Engine;
use crate::event::Event;
use crate::host::outgoing::Parcel;
use crate::host::{End, Host, Surroundings};
use crate::message::Usage;
use crate::process::{Effect, Process};
use crate::runtime::Runtime;
use crate::time::Instant;
use crate::transport::{Transport, TransportError};

/// A process and what it is connected to.
pub(super) struct Driver<'a, P: Process> {
    host: Host<P>,
    transport: &'a dyn Transport,
    runtime: &'a dyn Runtime,
    disk: &'a mut Disk,
    watch: &'a dyn Watch,
    gauge: Gauge,
}

/// What surrounds the host while a round lasts.
struct Around<'a> {
    transport: &'a dyn Transport,
    disk: &'a Disk,
    watch: &'a dyn Watch,
    gauge: &'a mut Gauge,
}

impl<T: fmt::Debug> Surroundings<T> for Around<'_> {
    fn now(&mut self) -> Instant {
        Clock.now()
    }

    fn usage(&mut self) -> Usage {
        let (transport, disk) = (self.transport, self.disk);
        self.gauge
            .read(Clock.now(), || usage::measure(transport, disk))
    }

    fn engine(&self) -> Option<&dyn Engine> {
        self.disk.engine()
    }

    fn on_effect(&mut self, effect: &Effect) {
        if let Effect::Notify(event) = effect {
            self.watch.on_event(event);
            if matches!(event, Event::DiskFull) {
                self.watch.on_disk_full(self.disk.room());
            }
        }
    }
}

impl<'a, P: Process> Driver<'a, P> {
    pub(super) fn new(
        process: P,
        transport: &'a dyn Transport,
        runtime: &'a dyn Runtime,
        disk: &'a mut Disk,
        watch: &'a dyn Watch,
    ) -> Self {
        let host = Host::new(process, disk.desk(), transport.local().clone());
        Self {
            host,
            transport,
            runtime,
            disk,
            watch,
            gauge: Gauge::default(),
        }
    }

    /// Runs until the process has a reason to end.
    pub(super) async fn run(
        mut self,
        commands: Receiver<Command>,
        calls: Option<Receiver<PendingCall>>,
    ) -> Result<Exit, DriverError> {
        let mut inbox = Inbox::new(self.transport, self.runtime, self.disk, calls, commands);
        let mut arrivals = Vec::new();
        let mut around = Around {
            transport: self.transport,
            disk: self.disk,
            watch: self.watch,
            gauge: &mut self.gauge,
        };
        self.host.start(&mut around)?;
        loop {
            self.pass_on(&mut inbox).await;
            if let Some(exit) = self.exit()? {
                return Ok(exit);
            }
            let (due, is_hurried) = (self.host.due(), self.host.is_hurried());
            let more = inbox.take(due, is_hurried, &mut arrivals).await?;
            let mut around = Around {
                transport: self.transport,
                disk: self.disk,
                watch: self.watch,
                gauge: &mut self.gauge,
            };
            self.host.round(arrivals.drain(..), &mut around)?;
            match inbox.ending() {
                Some(Ending::Kill) => {
                    self.disk.abandon();
                    return Ok(Exit::Stopped);
                }
                Some(Ending::Stop) => {
                    self.pass_on(&mut inbox).await;
                    return Ok(Exit::Stopped);
                }
                None => {}
            }
            if more {
                // Others share this thread.
                yield_now().await;
            }
        }
    }

    fn exit(&mut self) -> Result<Option<Exit>, DriverError> {
        match self.host.passed.end.take() {
            Some(End::Left) => Ok(Some(Exit::Left)),
            Some(End::Refused(reason)) => Err(DriverError::JoinRefused(reason)),
            Some(End::RecordBehind) => Err(DriverError::RecordBehind),
            None => Ok(None),
        }
    }

    /// Carries out what a round has led to: the disk and the network then work at the same time.
    async fn pass_on(&mut self, inbox: &mut Inbox<'_>) {
        let passed = &mut self.host.passed;
        self.disk.hand_on(&mut passed.handed);
        for (id, outcome) in passed.outcomes.drain(..) {
            inbox.complete(id, outcome);
        }
        for (peer, refusal) in passed.cut_off.drain(..) {
            let reason = refusal.to_string();
            self.watch.on_disconnect(&peer, &reason);
            self.transport.disconnect(&peer, &reason).await;
        }
        while let Some(parcel) = self.host.passed.outgoing.take() {
            send(parcel, self.transport, self.watch).await;
        }
    }
}

/// What the transport does not take is lost, as on any network.
async fn send(parcel: Parcel, transport: &dyn Transport, watch: &dyn Watch) {
    let Parcel {
        to,
        lane,
        mut frames,
    } = parcel;
    let limit = transport.frame_bytes_max();
    // One frame too many bytes long must not take the others with it.
    frames.retain(|frame| {
        let size = frame.len();
        if size > limit {
            let error = TransportError::TooLarge { size, limit };
            watch.on_unsent(&to, &error.to_string());
        }
        size <= limit
    });
    if frames.is_empty() {
        return;
    }
    if let Err(error) = transport.send(&to, lane, frames).await {
        watch.on_unsent(&to, &error.to_string());
    }
}
