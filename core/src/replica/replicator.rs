//! A Replicator: what the primary knows of one other replica, and what to tell it next.
//!
//! It brings the replica to the primary's log (handshake, then full state where the log does not reach back), streams
//! entries to it, and sends again what was not acknowledged. Who counts for what is decided in `primary.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::{Address, Incarnation, NodeId, Position};
use crate::epochs::common_prefix;
use crate::event::Event;
use crate::limits;
use crate::message::{
    PeerMessage, PeerStatus, Snapshots, StateChunk, SyncEnd, SyncFrom, SyncReply, SyncStart,
};
use crate::operation::Entry;
use crate::process::Effect;
use crate::sessions::{SessionRow, SessionRows};
use crate::storage::{Answer, Cursor, Query, Ticket};
use crate::time::Instant;

use super::Timer;
use super::context::Context;
use super::leases::Leases;

/// What an acknowledgement of the replica counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// It is in sync: nothing commits without it.
    InSync,
    /// It is about to be proposed, or is: nothing commits without it, although the arbiter may not know.
    Counted,
    /// It was removed, but may still answer linearizable reads: nothing commits without it.
    Draining,
    /// It was removed and answers linearizable reads no more.
    Drained,
    /// It is catching up: nothing waits for it.
    Joining,
}

impl Standing {
    /// Does nothing commit without it?
    pub(super) fn counts(self) -> bool {
        match self {
            Self::InSync | Self::Counted | Self::Draining => true,
            Self::Drained | Self::Joining => false,
        }
    }
}

/// The primary's state for one other replica.
///
/// - `acked` was acknowledged in this epoch, and only grows while the Replicator lives, save for a joining replica that
///   starts over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replicator {
    node: NodeId,
    address: Address,
    incarnation: Incarnation,
    pub(super) standing: Standing,
    /// Silent, hanging, or without what it should have: to be removed.
    pub(super) is_suspect: bool,
    /// It has spoken in this epoch, so it relies on nothing of an older one.
    pub(super) has_entered: bool,
    pub(super) leases: Leases,
    acked: Position,
    sync: u64,
    /// When the SyncReply came; means nothing in `Greeting`.
    answered_at: Instant,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// SyncStart is sent.
    Greeting,
    /// The state is being held fixed for it.
    OpeningView { view: Ticket },
    /// SyncEnd is sent; the first acknowledgement shows that it has arrived.
    Ending { keep: Position },
    /// The full state is on its way.
    Transferring(Transfer),
    /// Entries are.
    Streaming(Stream),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Transfer {
    view: Ticket,
    end: SyncEnd,
    at: Position,
    records: u64,
    records_sent: u64,
    /// The replica has begun to collect.
    is_accepted: bool,
    unacknowledged: VecDeque<StateChunk>,
    next: u64,
    after: Cursor,
    is_read: bool,
    reading: Option<Ticket>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    next: Position,
    /// What is sent and not acknowledged: where each batch ends, and its bytes.
    flights: VecDeque<(Position, usize)>,
    flight_bytes: usize,
    window_bytes: usize,
    /// When what is not acknowledged was first sent; `sent` is the end of the last of them.
    marks: VecDeque<(Position, Instant)>,
    sent: Position,
    reading: Option<Ticket>,
}

impl Replicator {
    /// Begins with the handshake numbered `sync`.
    pub(super) fn start(
        cx: &mut Context<'_>,
        node: NodeId,
        standing: Standing,
        sync: u64,
    ) -> Option<Self> {
        let member = cx.core.config.as_ref()?.members.get(&node)?;
        let mut replicator = Self {
            node,
            address: member.address.clone(),
            incarnation: member.incarnation,
            standing,
            is_suspect: false,
            has_entered: false,
            leases: Leases::default(),
            acked: Position::ZERO,
            sync,
            answered_at: cx.now,
            stage: Stage::Greeting,
        };
        cx.out.notify(Event::ReplicatorStarted(node));
        replicator.expect_to_hear(cx);
        replicator.greet(cx);
        Some(replicator)
    }

    /// Ends it; nothing is sent any more.
    pub(super) fn stop(&self, cx: &mut Context<'_>) {
        self.close_view(cx);
        let node = self.node;
        cx.core
            .timers
            .disarm_where(|timer| timer.node() == Some(node));
        cx.out.notify(Event::ReplicatorStopped(node));
    }

    /// Begins anew with the handshake numbered `sync`.
    pub(super) fn restart(&mut self, cx: &mut Context<'_>, sync: u64) {
        self.close_view(cx);
        self.sync = sync;
        self.stage = Stage::Greeting;
        if let Some(member) = cx.member(self.node) {
            self.address = member.address.clone();
            self.incarnation = member.incarnation;
        }
        self.greet(cx);
    }

    fn greet(&mut self, cx: &mut Context<'_>) {
        cx.core.timers.disarm(Timer::Overdue(self.node));
        if matches!(self.standing, Standing::InSync | Standing::Counted) {
            cx.arm(Timer::Overdue(self.node), limits::HANDSHAKE_PATIENCE);
        }
        let sync = self.sync;
        self.say(cx, PeerMessage::SyncStart(SyncStart { sync }));
        cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
    }

    /// Says `body` to the replica.
    pub(super) fn say(&self, cx: &mut Context<'_>, body: PeerMessage) {
        cx.tell(self.node, &self.address, body);
    }

    fn close_view(&self, cx: &mut Context<'_>) {
        match &self.stage {
            Stage::OpeningView { view } => cx.out.push(Effect::CloseView(*view)),
            Stage::Transferring(transfer) => cx.out.push(Effect::CloseView(transfer.view)),
            Stage::Greeting | Stage::Ending { .. } | Stage::Streaming(_) => {}
        }
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Has it come to have this tenure's log, and does it take entries?
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self.stage, Stage::Streaming(_))
    }

    pub(super) fn acked(&self) -> Position {
        self.acked
    }

    /// The handshake, and since when the replica has been in it: it has answered. `None` before.
    pub(super) fn answered(&self) -> Option<(u64, Instant)> {
        match &self.stage {
            Stage::Greeting => None,
            Stage::OpeningView { .. }
            | Stage::Ending { .. }
            | Stage::Transferring(_)
            | Stage::Streaming(_) => Some((self.sync, self.answered_at)),
        }
    }

    /// Is everything on its way to it, or there?
    pub(super) fn is_current(&self, end: Position) -> bool {
        matches!(&self.stage, Stage::Streaming(stream) if stream.next == end)
    }

    /// What it may still need from the log.
    pub(super) fn needs_from(&self) -> Option<Position> {
        match &self.stage {
            Stage::Greeting | Stage::OpeningView { .. } => None,
            Stage::Ending { keep } => Some(*keep),
            Stage::Transferring(transfer) => Some(transfer.at),
            Stage::Streaming(_) => Some(self.acked),
        }
    }

    pub(super) fn status(&self) -> PeerStatus {
        let state_progress = match &self.stage {
            Stage::Transferring(transfer) => Some((transfer.records_sent, transfer.records)),
            Stage::Greeting
            | Stage::OpeningView { .. }
            | Stage::Ending { .. }
            | Stage::Streaming(_) => None,
        };
        PeerStatus {
            node: self.node,
            persisted: self.acked,
            state_progress,
        }
    }

    /// Bytes it keeps in memory besides the log's.
    pub(super) fn bytes(&self) -> usize {
        match &self.stage {
            Stage::Transferring(transfer) => transfer.unacknowledged.iter().map(chunk_bytes).sum(),
            Stage::Streaming(stream) => stream.flight_bytes,
            Stage::Greeting | Stage::OpeningView { .. } | Stage::Ending { .. } => 0,
        }
    }

    /// It was heard, so it is not silent; and not suspect if it owes nothing.
    pub(super) fn on_heard(&mut self, cx: &mut Context<'_>) {
        if matches!(&self.stage, Stage::Streaming(stream) if stream.marks.is_empty()) {
            self.is_suspect = false;
        }
        self.expect_to_hear(cx);
    }

    fn expect_to_hear(&mut self, cx: &mut Context<'_>) {
        let patience = match self.standing {
            Standing::InSync | Standing::Counted => cx.core.options.limits.timing.lease,
            Standing::Joining | Standing::Draining | Standing::Drained => limits::JOINING_SILENCE,
        };
        cx.arm(Timer::Silent(self.node), patience);
    }

    /// Has nothing been heard of it for as long as that may take?
    pub(super) fn is_silent(&self, cx: &Context<'_>) -> bool {
        !cx.core.timers.is_armed(Timer::Silent(self.node))
    }

    // ------------------------------------------------------------------------------------------- handshake

    pub(super) fn on_sync_reply(&mut self, cx: &mut Context<'_>, reply: &SyncReply) {
        let log = &cx.core.log;
        if reply.sync != self.sync
            || !matches!(self.stage, Stage::Greeting)
            || !reply.history.is_valid()
        {
            return;
        }
        let keep = common_prefix(log.history(), log.end(), &reply.history, reply.end);
        let owed = match self.standing {
            Standing::InSync => self.acked.max(log.committed()),
            Standing::Counted => self.acked,
            Standing::Joining | Standing::Draining | Standing::Drained => Position::ZERO,
        };
        if keep < owed {
            // It lacks what it acknowledged: its disk was lost or replaced. It must not count as in sync.
            self.is_suspect = true;
            return;
        }
        if self.standing == Standing::Joining {
            self.acked = Position::ZERO;
        }
        self.answered_at = cx.now;
        if keep >= cx.core.log.start() {
            self.stage = Stage::Ending { keep };
            let start = SyncFrom::Log { keep };
            self.say(
                cx,
                PeerMessage::SyncEnd(SyncEnd {
                    sync: self.sync,
                    start,
                }),
            );
            cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
        } else {
            let view = cx.core.disk.query(Query::OpenView, cx.out);
            self.stage = Stage::OpeningView { view };
            cx.core.timers.disarm(Timer::Resend(self.node));
        }
    }

    pub(super) fn on_ack(&mut self, cx: &mut Context<'_>, sync: u64, persisted: Position) {
        if sync != self.sync {
            return;
        }
        match &mut self.stage {
            Stage::Ending { keep } => {
                let keep = *keep;
                self.stream_from(cx, keep);
                self.on_ack(cx, sync, persisted);
            }
            Stage::Streaming(stream) => {
                if persisted > self.acked && persisted <= stream.sent {
                    self.acked = persisted;
                    let acknowledged = stream.acknowledge(persisted);
                    stream.window_bytes += acknowledged;
                    stream.window_bytes = stream
                        .window_bytes
                        .min(cx.core.options.limits.window_bytes_max);
                    self.rearm(cx);
                }
                self.pump(cx);
            }
            Stage::Greeting | Stage::OpeningView { .. } | Stage::Transferring(_) => {}
        }
    }

    fn stream_from(&mut self, cx: &mut Context<'_>, from: Position) {
        self.close_view(cx);
        cx.core.timers.disarm(Timer::Overdue(self.node));
        cx.core.timers.disarm(Timer::Resend(self.node));
        cx.out.notify(Event::Synced {
            node: self.node,
            from,
        });
        self.stage = Stage::Streaming(Stream {
            next: from,
            flights: VecDeque::new(),
            flight_bytes: 0,
            window_bytes: cx.core.options.limits.window_bytes_max,
            marks: VecDeque::new(),
            sent: from,
            reading: None,
        });
    }

    // --------------------------------------------------------------------------------------------- entries

    /// Sends what the window allows.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) {
        let Stage::Streaming(stream) = &mut self.stage else {
            return;
        };
        while stream.reading.is_none()
            && stream.next < cx.core.log.end()
            && stream.flight_bytes < stream.window_bytes
        {
            let next = cx.core.log.entries(
                stream.next,
                limits::SNAPSHOTS_BYTES_MAX,
                limits::SNAPSHOTS_ENTRIES_MAX,
            );
            match next {
                Some(entries) => {
                    stream.on_sent(cx.now, &entries);
                    let snapshots = snapshots(cx, self.sync, entries);
                    cx.tell(self.node, &self.address, snapshots);
                }
                None => {
                    let query = Query::Log { from: stream.next };
                    stream.reading = Some(cx.core.disk.query(query, cx.out));
                }
            }
        }
        self.watch(cx);
    }

    /// Arms what is to happen when nothing is acknowledged, where it is not armed.
    fn watch(&mut self, cx: &mut Context<'_>) {
        let Stage::Streaming(stream) = &self.stage else {
            return;
        };
        if let Some((_, sent)) = stream.marks.front() {
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
            cx.core
                .timers
                .arm_if_idle(Timer::Resend(self.node), cx.now + limits::RETRY_INTERVAL);
        }
    }

    /// Something was acknowledged: the waiting begins anew.
    fn rearm(&mut self, cx: &mut Context<'_>) {
        self.is_suspect = false;
        cx.core.timers.disarm(Timer::Overdue(self.node));
        cx.core.timers.disarm(Timer::Resend(self.node));
        self.watch(cx);
    }

    /// Its standing has changed: other patience is due.
    pub(super) fn stand(&mut self, cx: &mut Context<'_>, standing: Standing) {
        if self.standing != standing {
            self.standing = standing;
            self.expect_to_hear(cx);
            cx.core.timers.disarm(Timer::Overdue(self.node));
            self.watch(cx);
        }
    }

    pub(super) fn on_resend(&mut self, cx: &mut Context<'_>) {
        match &mut self.stage {
            Stage::Greeting => {
                let sync = self.sync;
                self.say(cx, PeerMessage::SyncStart(SyncStart { sync }));
            }
            Stage::OpeningView { .. } => return,
            Stage::Ending { keep } => {
                let start = SyncFrom::Log { keep: *keep };
                self.say(
                    cx,
                    PeerMessage::SyncEnd(SyncEnd {
                        sync: self.sync,
                        start,
                    }),
                );
            }
            Stage::Transferring(transfer) if !transfer.is_accepted => {
                let end = transfer.end.clone();
                self.say(cx, PeerMessage::SyncEnd(end));
            }
            Stage::Transferring(transfer) => {
                for chunk in &transfer.unacknowledged {
                    cx.tell(
                        self.node,
                        &self.address,
                        PeerMessage::StateChunk(chunk.clone()),
                    );
                }
            }
            Stage::Streaming(stream) => {
                if self.acked == cx.core.log.end() {
                    return;
                }
                // Whatever followed the first lost entry was dropped there, so all of it goes again; less at a time,
                // in case it was too much.
                stream.next = self.acked;
                stream.flights.clear();
                stream.flight_bytes = 0;
                stream.window_bytes = (stream.window_bytes / 2).max(limits::WINDOW_BYTES_MIN);
                self.pump(cx);
            }
        }
        cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
    }

    // ------------------------------------------------------------------------------------------ full state

    pub(super) fn on_state_ack(&mut self, cx: &mut Context<'_>, sync: u64, next: u64) {
        let Stage::Transferring(transfer) = &mut self.stage else {
            return;
        };
        if sync != self.sync || next > transfer.next {
            return;
        }
        transfer.is_accepted = true;
        let before = transfer.unacknowledged.len();
        while transfer
            .unacknowledged
            .front()
            .is_some_and(|chunk| chunk.index < next)
        {
            transfer.unacknowledged.pop_front();
        }
        if transfer.is_read && transfer.unacknowledged.is_empty() {
            let at = transfer.at;
            cx.out.notify(Event::StateTransferred(self.node));
            self.acked = at;
            self.stream_from(cx, at);
            self.pump(cx);
            return;
        }
        if transfer.unacknowledged.len() < before {
            cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
        }
        transfer.read_on(cx);
    }

    /// The storage answered. False if the question was not of this Replicator.
    pub(super) fn on_answered(
        &mut self,
        cx: &mut Context<'_>,
        ticket: Ticket,
        answer: &Answer,
    ) -> bool {
        match (&mut self.stage, answer) {
            (Stage::OpeningView { view }, Answer::View { at, records }) if *view == ticket => {
                let start = SyncFrom::State {
                    at: *at,
                    history: cx.core.log.history().up_to(*at),
                    records: *records,
                };
                let end = SyncEnd {
                    sync: self.sync,
                    start,
                };
                cx.out.notify(Event::StateTransferStarted {
                    node: self.node,
                    at: *at,
                });
                self.say(cx, PeerMessage::SyncEnd(end.clone()));
                cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
                self.stage = Stage::Transferring(Transfer {
                    view: ticket,
                    end,
                    at: *at,
                    records: *records,
                    records_sent: 0,
                    is_accepted: false,
                    unacknowledged: VecDeque::new(),
                    next: 0,
                    after: Cursor::Sessions(None),
                    is_read: false,
                    reading: None,
                });
                true
            }
            (Stage::Transferring(transfer), Answer::Page { records, more })
                if transfer.reading == Some(ticket) =>
            {
                if let Some((last, _)) = records.last() {
                    transfer.after = Cursor::Records(Some(last.clone()));
                }
                transfer.is_read = !more;
                transfer.records_sent += records.len() as u64;
                let chunk = StateChunk {
                    sync: self.sync,
                    index: transfer.next,
                    records: records.clone(),
                    is_last: !more,
                    sessions: SessionRows::default(),
                };
                self.send_chunk(cx, chunk);
                true
            }
            (Stage::Transferring(transfer), Answer::Sessions { sessions, more })
                if transfer.reading == Some(ticket) =>
            {
                let last = sessions.rows.last_key_value();
                transfer.after = match last.filter(|_| *more) {
                    Some((last, _)) => Cursor::Sessions(Some(*last)),
                    None => Cursor::Records(None),
                };
                let chunk = StateChunk {
                    sync: self.sync,
                    index: transfer.next,
                    records: Vec::new(),
                    is_last: false,
                    sessions: sessions.clone(),
                };
                self.send_chunk(cx, chunk);
                true
            }
            (Stage::Streaming(stream), Answer::Entries(entries))
                if stream.reading == Some(ticket) =>
            {
                stream.reading = None;
                self.on_log_read(cx, entries);
                true
            }
            (
                _,
                Answer::Value(_)
                | Answer::Page { .. }
                | Answer::Entries(_)
                | Answer::View { .. }
                | Answer::Sessions { .. },
            ) => false,
        }
    }

    /// Sends the piece of the state that was read, and reads on.
    fn send_chunk(&mut self, cx: &mut Context<'_>, chunk: StateChunk) {
        let Stage::Transferring(transfer) = &mut self.stage else {
            return;
        };
        transfer.reading = None;
        transfer.next += 1;
        transfer.unacknowledged.push_back(chunk.clone());
        cx.tell(self.node, &self.address, PeerMessage::StateChunk(chunk));
        cx.core
            .timers
            .arm_if_idle(Timer::Resend(self.node), cx.now + limits::RETRY_INTERVAL);
        transfer.read_on(cx);
    }

    fn on_log_read(&mut self, cx: &mut Context<'_>, entries: &[Arc<Entry>]) {
        let Stage::Streaming(stream) = &mut self.stage else {
            return;
        };
        if entries
            .first()
            .is_some_and(|entry| entry.seq == stream.next.next_seq())
        {
            stream.on_sent(cx.now, entries);
            let snapshots = snapshots(cx, self.sync, entries.to_vec());
            self.say(cx, snapshots);
            self.pump(cx);
        } else {
            // What was asked for is no longer what is wanted; the next try is due in a while.
            self.watch(cx);
        }
    }

    /// Does it need entries that are trimmed?
    pub(super) fn is_cut_off(&self, log_start: Position) -> bool {
        match &self.stage {
            Stage::Streaming(stream) => stream.next < log_start,
            Stage::Ending { keep } => *keep < log_start,
            Stage::Transferring(transfer) => transfer.at < log_start,
            Stage::Greeting | Stage::OpeningView { .. } => false,
        }
    }
}

impl Stream {
    /// Takes up that `entries` are being sent.
    fn on_sent(&mut self, now: Instant, entries: &[Arc<Entry>]) {
        let Some(last) = entries.last() else { return };
        let end = Position::behind(last.seq);
        let bytes: usize = entries.iter().map(|entry| entry.size()).sum();
        self.next = end;
        self.flights.push_back((end, bytes));
        self.flight_bytes += bytes;
        if end > self.sent {
            self.sent = end;
            self.marks.push_back((end, now));
        }
    }

    /// Forgets what is acknowledged; returns its bytes.
    fn acknowledge(&mut self, position: Position) -> usize {
        let mut acknowledged = 0;
        while self
            .flights
            .front()
            .is_some_and(|flight| flight.0 <= position)
        {
            acknowledged += self.flights.pop_front().map_or(0, |flight| flight.1);
        }
        self.flight_bytes -= acknowledged;
        while self.marks.front().is_some_and(|mark| mark.0 <= position) {
            self.marks.pop_front();
        }
        self.next = self.next.max(position);
        acknowledged
    }
}

impl Transfer {
    /// Reads on as long as chunks may be on their way.
    fn read_on(&mut self, cx: &mut Context<'_>) {
        let in_flight = self.unacknowledged.len() as u64;
        let may_read = self.is_accepted && !self.is_read && self.reading.is_none();
        if may_read && in_flight < limits::CHUNKS_IN_FLIGHT_MAX {
            let query = Query::ReadView {
                view: self.view,
                after: self.after.clone(),
            };
            self.reading = Some(cx.core.disk.query(query, cx.out));
        }
    }
}

fn chunk_bytes(chunk: &StateChunk) -> usize {
    let records = chunk.records.iter();
    let sessions = chunk.sessions.rows.values();
    records
        .map(|(key, value)| key.0.len() + value.0.len())
        .chain(sessions.map(SessionRow::size))
        .sum()
}

fn snapshots(cx: &Context<'_>, sync: u64, entries: Vec<Arc<Entry>>) -> PeerMessage {
    let committed = cx.core.log.committed();
    PeerMessage::Snapshots(Snapshots {
        sync,
        entries,
        committed,
    })
}
