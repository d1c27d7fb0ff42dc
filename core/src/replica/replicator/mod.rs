//! A Replicator: what the primary knows of one other replica, and what to tell it next.
//!
//! It brings the replica to the primary's log (handshake, then full state where the log does not reach back), streams
//! entries to it, and sends again what was not acknowledged. Who counts for what is decided in `primary`.

mod standing;
mod stream;
mod transfer;

use crate::config::{Address, Incarnation, NodeId, Position};
use crate::epochs::common_prefix;
use crate::event::Event;
use crate::limits;
use crate::message::{
    JoinRefusal, PeerMessage, PeerStatus, SyncEnd, SyncFrom, SyncReply, SyncStart, Timestamp,
};
use crate::storage::Ticket;
use crate::time::Instant;

pub(super) use self::standing::Standing;
use self::stream::Stream;
use self::transfer::Transfer;
use super::context::Context;
use super::leases::Leases;
use super::reads::views;
use super::timer::Timer;

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
    /// When it was found last not to store in time what it was sent.
    lagged: Option<Instant>,
    /// Its disk has room, as it has said last.
    pub(super) has_room: bool,
    /// It has spoken in this epoch, so it relies on nothing of an older one.
    pub(super) has_entered: bool,
    pub(super) leases: Leases,
    acked: Position,
    sync: u64,
    /// When the SyncReply came; means nothing in `Greeting`.
    answered_at: Instant,
    /// When it was said, by the replica's clock; `None` before any was taken.
    reply_sent: Option<Timestamp>,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// SyncStart is sent.
    Greeting,
    /// The state is being held fixed for it.
    OpeningView { view: Ticket, echo: Timestamp },
    /// SyncEnd is sent; the first acknowledgement shows that it has arrived.
    Ending { keep: Position, echo: Timestamp },
    /// The full state is on its way.
    Transferring(Transfer),
    /// Entries are.
    Streaming(Stream),
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
            lagged: None,
            has_room: false,
            has_entered: false,
            leases: Leases::default(),
            acked: Position::ZERO,
            sync,
            answered_at: cx.now.time,
            reply_sent: None,
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
            // What is known of a former process says nothing of this one.
            if self.incarnation != member.incarnation {
                self.lagged = None;
            }
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
            Stage::OpeningView { view, .. } => views::close(cx, *view),
            Stage::Transferring(transfer) => views::close(cx, transfer.view.ticket()),
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

    /// Does it store what it is sent as fast as it must once writes wait for it? Whoever has everything does; and whoever has
    /// not is to have done so for a while.
    pub(super) fn keeps_up(&self, cx: &Context<'_>) -> bool {
        let Stage::Streaming(stream) = &self.stage else {
            return false;
        };
        let has_lagged = self
            .lagged
            .is_some_and(|lagged| cx.now.time - lagged < limits::LAG_FORGOTTEN);
        let is_complete = self.acked == cx.core.log.end();
        !has_lagged && (is_complete || stream.is_stored_within(cx.now.time, cx.timing().overdue))
    }

    /// It is silent, or keeps its acknowledgements back.
    pub(super) fn suspect(&mut self, now: Instant) {
        self.is_suspect = true;
        self.lagged = Some(now);
    }

    /// What it may still need from the log.
    pub(super) fn needs_from(&self) -> Option<Position> {
        match &self.stage {
            Stage::Greeting | Stage::OpeningView { .. } => None,
            Stage::Ending { keep, .. } => Some(*keep),
            Stage::Transferring(transfer) => Some(transfer.at),
            Stage::Streaming(_) => Some(self.acked),
        }
    }

    pub(super) fn status(&self) -> PeerStatus {
        let state_progress = match &self.stage {
            Stage::Transferring(transfer) => Some(transfer.progress()),
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
            Stage::Transferring(transfer) => transfer.bytes(),
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
        // Two logs that are too far apart for their histories to tell have nothing in common.
        let is_known = keep > Position::ZERO || log.end() < reply.committed;
        if keep < reply.committed && is_known && !planted!(LackUnnoticed) {
            // This log is the one that lacks something.
            cx.core.refusal = Some(JoinRefusal::LacksCommitted);
            return;
        }
        if keep < owed {
            // It lacks what it acknowledged: its disk was lost or replaced. It must not count as in sync.
            self.is_suspect = true;
            return;
        }
        if self.standing == Standing::Joining {
            self.acked = Position::ZERO;
        }
        self.answered_at = cx.now.time;
        self.reply_sent = Some(reply.sent);
        if planted!(SyncReplyCounts) {
            self.acked = self.acked.max(keep);
        }
        if keep >= cx.core.log.start() {
            let echo = reply.sent;
            self.stage = Stage::Ending { keep, echo };
            self.end_handshake(cx, keep, echo);
            cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
        } else {
            let view = views::open(cx);
            let echo = reply.sent;
            self.stage = Stage::OpeningView { view, echo };
            cx.core.timers.disarm(Timer::Resend(self.node));
        }
    }

    /// Does the replica answer the handshake anew, although it was taken up? Then it has ended and begun its role since, and
    /// took a late SyncStart for a new one: what the handshake rests on it knows nothing of.
    pub(super) fn answers_anew(&self, reply: &SyncReply) -> bool {
        let is_taken_up = !matches!(self.stage, Stage::Greeting) && reply.sync == self.sync;
        let is_newer = self.reply_sent.is_some_and(|taken| {
            taken.incarnation == reply.sent.incarnation && taken.at < reply.sent.at
        });
        is_taken_up && is_newer
    }

    fn end_handshake(&self, cx: &mut Context<'_>, keep: Position, echo: Timestamp) {
        let end = SyncEnd {
            sync: self.sync,
            echo,
            start: SyncFrom::Log { keep },
        };
        self.say(cx, PeerMessage::SyncEnd(end));
    }

    pub(super) fn on_ack(&mut self, cx: &mut Context<'_>, sync: u64, persisted: Position) {
        if sync != self.sync && !planted!(FormerAcksCount) {
            return;
        }
        match &mut self.stage {
            Stage::Ending { keep, .. } => {
                let keep = *keep;
                self.stream_from(cx, keep);
                self.on_ack(cx, sync, persisted);
            }
            Stage::Streaming(stream) => {
                if persisted > self.acked && persisted <= stream.sent {
                    self.acked = persisted;
                    let window_bytes_max = cx.core.options.limits.window_bytes_max;
                    let sent = stream.acknowledge(persisted, window_bytes_max);
                    if sent.is_some_and(|sent| cx.now.time - sent > cx.timing().overdue) {
                        self.lagged = Some(cx.now.time);
                    }
                    self.rearm(cx);
                }
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
        let window_bytes = cx.core.options.limits.window_bytes_max;
        let mut stream = Stream::new(from, window_bytes);
        if self.acked < from {
            stream.owe(from, cx.now.time);
        }
        self.stage = Stage::Streaming(stream);
        self.watch(cx);
    }

    pub(super) fn on_resend(&mut self, cx: &mut Context<'_>) {
        match &mut self.stage {
            Stage::Greeting => {
                let sync = self.sync;
                self.say(cx, PeerMessage::SyncStart(SyncStart { sync }));
            }
            Stage::OpeningView { .. } => return,
            Stage::Ending { keep, echo } => {
                let (keep, echo) = (*keep, *echo);
                self.end_handshake(cx, keep, echo);
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
                // Whatever followed the first lost entry was dropped there, so all of it goes again.
                if !planted!(NothingSentAgain) {
                    stream.start_over(self.acked);
                }
            }
        }
        cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
    }

    /// Does it need entries that are trimmed?
    pub(super) fn is_cut_off(&self, log_start: Position) -> bool {
        match &self.stage {
            Stage::Streaming(stream) => stream.next < log_start,
            Stage::Ending { keep, .. } => *keep < log_start,
            Stage::Transferring(transfer) => transfer.at < log_start,
            Stage::Greeting | Stage::OpeningView { .. } => false,
        }
    }
}
