//! Entries for a replica: the Replicator keeps as many under way as the window allows, and sends them again until the replica
//! acknowledges them ([protocol: replication](crate::docs::protocol#replication)).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Position;
use crate::limits;
use crate::message::{PeerMessage, Snapshots};
use crate::operation::Entry;
use crate::replica::context::Context;
use crate::replica::timer::Timer;
use crate::storage::{Query, Ticket};
use crate::time::Instant;

use super::{Replicator, Stage, Standing};

/// What is under way to a replica that takes entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    pub(super) next: Position,
    /// What is sent and not acknowledged: where each batch ends, and its bytes.
    flights: VecDeque<(Position, usize)>,
    pub(super) flight_bytes: usize,
    window_bytes: usize,
    /// When what is not acknowledged was first sent in this handshake, or had been before; `sent` is the end of the last of them.
    pub(super) marks: VecDeque<(Position, Instant)>,
    pub(super) sent: Position,
    /// Something that was sent is acknowledged.
    is_proven: bool,
    pub(super) reading: Reading,
}

/// What is no longer in memory has to be read from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    /// There is no need.
    No,
    /// The storage was asked.
    Asked(Ticket),
    /// What it answered was no longer what was wanted. The next try is due when something is acknowledged, or is to be sent
    /// again; something is not acknowledged yet.
    Missed,
}

impl Replicator {
    /// Sends what the window allows.
    pub(in crate::replica) fn pump(&mut self, cx: &mut Context<'_>) {
        let Stage::Streaming(stream) = &mut self.stage else {
            return;
        };
        let end = cx.core.log.end();
        if !stream.may_go_on(end) {
            return;
        }
        while stream.may_go_on(end) {
            let next = cx.core.log.entries(
                stream.next,
                limits::SNAPSHOTS_BYTES_MAX,
                limits::SNAPSHOTS_ENTRIES_MAX,
            );
            match next {
                Some(entries) => {
                    stream.on_sent(cx.now.time, &entries);
                    let snapshots = snapshots(cx, self.sync, entries);
                    cx.tell(self.node, &self.address, snapshots);
                }
                None => {
                    let query = Query::Log { from: stream.next };
                    stream.reading = Reading::Asked(cx.query(query));
                }
            }
        }
        self.watch(cx);
    }

    /// Arms what is to happen when nothing is acknowledged, where it is not armed.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) {
        let Stage::Streaming(stream) = &self.stage else {
            return;
        };
        // A suspect is found out already.
        if let Some((_, sent)) = stream.marks.front().filter(|_| !self.is_suspect) {
            let patience = match self.standing {
                Standing::InSync | Standing::Counted => cx.core.options.limits.timing.overdue,
                Standing::Joining | Standing::Draining | Standing::Drained => {
                    limits::JOINING_SILENCE
                }
            };
            cx.core
                .timers
                .arm_if_idle(Timer::Overdue(self.node), *sent + patience);
        }
        if self.acked < cx.core.log.end() {
            cx.core.timers.arm_if_idle(
                Timer::Resend(self.node),
                cx.now.time + limits::RETRY_INTERVAL,
            );
        }
    }

    /// Something was acknowledged: the waiting begins anew.
    pub(super) fn rearm(&mut self, cx: &mut Context<'_>) {
        self.is_suspect = false;
        cx.core.timers.disarm(Timer::Overdue(self.node));
        cx.core.timers.disarm(Timer::Resend(self.node));
        self.watch(cx);
    }

    /// Its standing has changed: other patience is due.
    pub(in crate::replica) fn stand(&mut self, cx: &mut Context<'_>, standing: Standing) {
        if self.standing != standing {
            self.standing = standing;
            self.expect_to_hear(cx);
            cx.core.timers.disarm(Timer::Overdue(self.node));
            self.watch(cx);
        }
    }

    pub(super) fn on_log_read(&mut self, cx: &mut Context<'_>, entries: &[Arc<Entry>]) {
        let Stage::Streaming(stream) = &mut self.stage else {
            return;
        };
        let is_wanted = |first: &Arc<Entry>| first.seq == stream.next.next_seq();
        if entries.first().is_some_and(is_wanted) {
            stream.reading = Reading::No;
            stream.on_sent(cx.now.time, entries);
            let snapshots = snapshots(cx, self.sync, entries.to_vec());
            self.say(cx, snapshots);
        } else {
            stream.reading = Reading::Missed;
        }
        self.watch(cx);
    }
}

impl Stream {
    /// Nothing is under way; what begins at `from` is next.
    pub(super) fn new(from: Position, window_bytes: usize) -> Self {
        Self {
            next: from,
            flights: VecDeque::new(),
            flight_bytes: 0,
            window_bytes,
            marks: VecDeque::new(),
            sent: from,
            is_proven: false,
            reading: Reading::No,
        }
    }

    /// Has the replica stored something of what it is sent, and is nothing of it older than `patience`?
    pub(super) fn is_stored_within(&self, now: Instant, patience: Duration) -> bool {
        let mut open = self.marks.iter();
        self.is_proven && open.all(|(_, sent)| now - *sent <= patience)
    }

    /// The replica has, and has not stored, what lies before `end`.
    pub(super) fn owe(&mut self, end: Position, now: Instant) {
        self.marks.push_back((end, now));
    }

    /// Is there something to send, and room for it?
    fn may_go_on(&self, end: Position) -> bool {
        self.reading == Reading::No && self.next < end && self.flight_bytes < self.window_bytes
    }

    /// Takes up that `entries` are being sent.
    fn on_sent(&mut self, now: Instant, entries: &[Arc<Entry>]) {
        let Some(last) = entries.last() else { return };
        let end = Position::behind(last.seq);
        let bytes = Entry::size_of_all(entries);
        self.next = end;
        self.flights.push_back((end, bytes));
        self.flight_bytes += bytes;
        if end > self.sent {
            self.sent = end;
            self.owe(end, now);
        }
    }

    /// What is not acknowledged goes again, from `acked` on; less at a time, in case it was too much.
    pub(super) fn start_over(&mut self, acked: Position) {
        self.read_again();
        self.next = acked;
        self.flights.clear();
        self.flight_bytes = 0;
        self.window_bytes = (self.window_bytes / 2).max(limits::WINDOW_BYTES_MIN);
    }

    fn read_again(&mut self) {
        if self.reading == Reading::Missed {
            self.reading = Reading::No;
        }
    }

    /// Forgets what is acknowledged, and lets as much more be under way, up to `window_bytes_max`. Returns when the oldest of it
    /// was first sent.
    pub(super) fn acknowledge(
        &mut self,
        position: Position,
        window_bytes_max: usize,
    ) -> Option<Instant> {
        self.read_again();
        let mut acknowledged = 0;
        while self
            .flights
            .front()
            .is_some_and(|flight| flight.0 <= position)
        {
            acknowledged += self.flights.pop_front().map_or(0, |flight| flight.1);
        }
        self.flight_bytes -= acknowledged;
        let oldest = self.marks.front().copied();
        while self.marks.front().is_some_and(|mark| mark.0 <= position) {
            self.marks.pop_front();
            self.is_proven = true;
        }
        if self.next < position {
            // Whatever the storage was asked for, the replica has it.
            self.reading = Reading::No;
            self.next = position;
        }
        self.window_bytes = (self.window_bytes + acknowledged).min(window_bytes_max);
        oldest.filter(|mark| mark.0 <= position).map(|mark| mark.1)
    }
}

fn snapshots(cx: &Context<'_>, sync: u64, entries: Vec<Arc<Entry>>) -> PeerMessage {
    let committed = cx.core.log.committed();
    let entries =
        planted!(Restamps => crate::planted::restamped(entries, cx.core.known_epoch()), entries);
    PeerMessage::Snapshots(Snapshots {
        sync,
        entries,
        committed,
    })
}
