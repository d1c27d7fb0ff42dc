//! A secondary, in sync or joining: follows the primary's handshake, stores what it sends, acknowledges what is on disk.

mod loading;
mod trust;

use std::sync::Arc;

use crate::config::{Epoch, NodeId, Position};
use crate::limits;
use crate::message::{
    Beacon, BeaconAck, CommittedAnswer, CommittedQuery, Peer, PeerMessage, SnapshotAck, Snapshots,
    StateAck, StateChunk, SyncEnd, SyncFrom, SyncReply, SyncStart, Timestamp,
};
use crate::operation::{Change, Entry};
use crate::storage::Ticket;
use crate::time::Instant;

use self::loading::Loading;
use self::trust::Trust;
use super::context::Context;
use super::core::Leaving;
use super::leases::ReadLease;
use super::proof::Proof;
use super::timer::Timer;

/// One epoch of this replica under another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Secondary {
    primary: NodeId,
    epoch: Epoch,
    stage: Stage,
    read_lease: ReadLease,
    pub(super) trust: Trust,
}

/// How far the handshake is. Entries count only in `Streaming`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The primary has not spoken.
    Waiting,
    /// Told the primary what is there.
    Replied { sync: u64, sent: Timestamp },
    /// Cutting the log off.
    Truncating { sync: u64, ticket: Ticket },
    /// Taking the full state in.
    Loading(Box<Loading>),
    /// Taking entries.
    Streaming {
        sync: u64,
        /// The primary is to be told what is on disk.
        is_ack_due: bool,
    },
}

impl Secondary {
    /// Follows `primary`. It gives that one time to be heard before it takes it for dead.
    pub(super) fn new(cx: &mut Context<'_>, primary: NodeId, epoch: Epoch) -> Self {
        Self {
            primary,
            epoch,
            stage: Stage::Waiting,
            read_lease: ReadLease::new(cx.now.time),
            trust: Trust::begin(cx, primary),
        }
    }

    /// Ends the role, and with it its read lease.
    pub(super) fn close(cx: &mut Context<'_>) {
        Trust::close(cx);
        cx.core.timers.disarm(Timer::CommittedQuery);
    }

    /// The primary speaks, in this epoch. Returns its answer to a question asked on behalf of reads, if it is one.
    pub(super) fn on_peer(&mut self, cx: &mut Context<'_>, peer: Peer) -> Option<CommittedAnswer> {
        if peer.sender != self.primary {
            cx.stale(peer.sender);
            return None;
        }
        match peer.body {
            PeerMessage::SyncStart(start) => self.on_sync_start(cx, &start),
            PeerMessage::SyncEnd(end) => self.on_sync_end(cx, end),
            PeerMessage::Snapshots(snapshots) => self.on_snapshots(cx, snapshots),
            PeerMessage::StateChunk(chunk) => self.on_state_chunk(cx, chunk),
            PeerMessage::Beacon(beacon) => self.on_beacon(cx, &beacon),
            PeerMessage::SyncReply(_)
            | PeerMessage::SnapshotAck(_)
            | PeerMessage::StateAck(_)
            | PeerMessage::BeaconAck(_)
            | PeerMessage::CommittedQuery(_) => cx.stale(peer.sender),
            PeerMessage::CommittedAnswer(answer) => return self.on_committed_answer(cx, answer),
        }
        None
    }

    fn say(&self, cx: &mut Context<'_>, body: PeerMessage) {
        if let Some(primary) = cx.member(self.primary) {
            let address = primary.address.clone();
            cx.tell(self.primary, &address, body);
        }
    }

    /// The handshake that counts; 0 before there is any.
    fn sync(&self) -> u64 {
        match &self.stage {
            Stage::Waiting => 0,
            Stage::Replied { sync, .. }
            | Stage::Truncating { sync, .. }
            | Stage::Streaming { sync, .. } => *sync,
            Stage::Loading(loading) => loading.sync,
        }
    }

    // ------------------------------------------------------------------------------------------- handshake

    fn on_sync_start(&mut self, cx: &mut Context<'_>, start: &SyncStart) {
        // The primary may already rest on the first reply to it.
        let repeated = match self.stage {
            Stage::Replied { sync, sent } if sync == start.sync => Some(sent),
            _ => None,
        };
        if start.sync <= self.sync() && repeated.is_none() {
            return; // A late copy.
        }
        if cx.core.installing.is_some() {
            return; // What the log is then is not known yet. The primary asks again.
        }
        let sent = repeated.unwrap_or_else(|| cx.timestamp());
        self.stage = Stage::Replied {
            sync: start.sync,
            sent,
        };
        self.reply(cx, start.sync, sent);
    }

    fn reply(&self, cx: &mut Context<'_>, sync: u64, sent: Timestamp) {
        let log = &cx.core.log;
        let reply = SyncReply {
            sync,
            sent,
            history: log.history().clone(),
            end: log.end(),
            committed: log.committed(),
        };
        self.say(cx, PeerMessage::SyncReply(reply));
    }

    fn on_sync_end(&mut self, cx: &mut Context<'_>, end: SyncEnd) {
        match (&self.stage, end.start) {
            (Stage::Replied { sync, sent }, SyncFrom::Log { keep })
                if *sync == end.sync && (*sent == end.echo || planted!(FormerEndCounts)) =>
            {
                let log = &cx.core.log;
                let keep =
                    keep.min(planted!(TruncatesToOwnCommitted => log.committed(), log.end()));
                self.truncate(cx, end.sync, keep);
            }
            (Stage::Replied { sync, sent }, SyncFrom::State { at, history, .. })
                if *sync == end.sync
                    && *sent == end.echo
                    && history.is_valid()
                    && at.position >= cx.core.log.committed() =>
            {
                let loading = Loading::begin(cx, end.sync, at, history);
                self.stage = Stage::Loading(Box::new(loading));
            }
            // The primary has not heard that the handshake is done.
            (Stage::Streaming { sync, .. }, SyncFrom::Log { .. }) if *sync == end.sync => {
                self.acknowledge();
            }
            (Stage::Loading(loading), SyncFrom::State { .. }) if loading.sync == end.sync => {
                if let Some(ack) = loading.ack() {
                    self.say(cx, PeerMessage::StateAck(ack));
                }
            }
            (
                Stage::Waiting
                | Stage::Replied { .. }
                | Stage::Truncating { .. }
                | Stage::Loading(_)
                | Stage::Streaming { .. },
                SyncFrom::Log { .. } | SyncFrom::State { .. },
            ) => {}
        }
    }

    fn truncate(&mut self, cx: &mut Context<'_>, sync: u64, keep: Position) {
        if keep >= cx.core.log.end() || planted!(KeepsLongerTail) {
            return self.stream(sync);
        }
        let ticket = cx.truncate(keep);
        self.stage = Stage::Truncating { sync, ticket };
        if planted!(TruncationNotAwaited) {
            self.stream(sync);
        }
    }

    /// Takes entries from now on, and says so.
    fn stream(&mut self, sync: u64) {
        self.stage = Stage::Streaming {
            sync,
            is_ack_due: true,
        };
    }

    // --------------------------------------------------------------------------------------------- entries

    fn on_snapshots(&mut self, cx: &mut Context<'_>, snapshots: Snapshots) {
        let is_streaming = matches!(self.stage, Stage::Streaming { .. });
        if !is_streaming && !planted!(FormerSnapshotsCount) {
            return;
        }
        let is_former = snapshots.sync != self.sync() && !planted!(FormerSnapshotsCount);
        if is_former || !self.is_well_formed(cx, &snapshots.entries) {
            return cx.stale(self.primary);
        }
        let end = cx.core.log.end();
        for entry in snapshots
            .entries
            .iter()
            .filter(|entry| cx.core.log.committed().covers(entry.seq))
        {
            let ours = cx.core.log.epoch_of(entry.seq);
            assert!(
                ours.is_none_or(|ours| ours == entry.epoch),
                "a committed entry changes"
            );
        }
        if planted!(AcksRepeatUnsynced)
            && snapshots.entries.iter().any(|entry| end.covers(entry.seq))
        {
            cx.core.log.advance_persisted(end);
        }
        let is_stale = snapshots
            .entries
            .first()
            .is_some_and(|first| cx.core.log.persisted().covers(first.seq));
        let next = snapshots
            .entries
            .iter()
            .position(|entry| entry.seq == end.next_seq());
        if let Some(next) = next
            && cx.core.log.unapplied().total() < 2 * cx.core.options.limits.uncommitted_bytes_max
        {
            let mut entries = snapshots.entries;
            entries.drain(..next);
            cx.append(entries);
        }
        if is_stale {
            // Some of it came before, so its acknowledgement may be lost.
            self.acknowledge();
        }
        cx.commit(snapshots.committed);
    }

    /// Are these entries that a primary of this epoch can have sent?
    fn is_well_formed(&self, cx: &Context<'_>, entries: &[Arc<Entry>]) -> bool {
        let consecutive = |pair: &[Arc<Entry>]| {
            let revision = pair[0].revision.after(&pair[1].changes);
            pair[0].seq.next() == pair[1].seq
                && pair[0].epoch <= pair[1].epoch
                && revision == pair[1].revision
        };
        let end = cx.core.log.end();
        let revision = cx.core.log.revision();
        let last_epoch = cx.core.log.history().last_epoch();
        entries.windows(2).all(consecutive)
            && entries.iter().all(|entry| entry.epoch <= self.epoch)
            && entries
                .iter()
                .all(|entry| entry.changes.iter().all(Change::is_possible))
            && entries
                .iter()
                .filter(|entry| !end.covers(entry.seq))
                .all(|entry| entry.epoch >= last_epoch)
            && entries
                .iter()
                .filter(|entry| entry.seq == end.next_seq())
                .all(|entry| entry.revision == revision.after(&entry.changes))
    }

    /// Has the primary told what is on disk, when the round is settled.
    fn acknowledge(&mut self) {
        if let Stage::Streaming { is_ack_due, .. } = &mut self.stage {
            *is_ack_due = true;
        }
    }

    /// The round is over: the primary is told what is on disk.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        if let Stage::Streaming { sync, is_ack_due } = &mut self.stage
            && std::mem::take(is_ack_due)
        {
            let (sync, log) = (*sync, &cx.core.log);
            let persisted = planted!(AcksUnsynced => log.end(), log.persisted());
            self.say(
                cx,
                PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }),
            );
        }
    }

    fn on_beacon(&mut self, cx: &mut Context<'_>, beacon: &Beacon) {
        if matches!(self.trust, Trust::Replacing(_)) && !planted!(AnswersAfterProposing) {
            // An answer would be a promise not to do what is under way.
            return;
        }
        self.trust.promise(cx, self.primary);
        // While it does not know that it is in sync it takes no lease: it may be out again, and would not notice.
        if let (Stage::Streaming { .. }, Some(grant)) = (&self.stage, beacon.grant)
            && (cx.core.is_in_sync() || planted!(TakesLeaseJoining))
            && (cx.core.leaving != Some(Leaving::ToReturn) || planted!(RestsWithLease))
        {
            let me = cx.core.meta.incarnation;
            let counted = planted!(ReadLeaseFromReceipt => cx.timestamp(), grant);
            // Whoever waits for its end may know one of the two only.
            let own = cx.timing().lease;
            let shorter = own.min(cx.lease_of(self.primary));
            let lease = planted!(OwnTermsCount => own, shorter);
            self.read_lease.on_grant(me, counted, lease);
        }
        if matches!(self.stage, Stage::Streaming { .. }) || planted!(CommitsBeforeHandshake) {
            cx.commit(planted!(PositionWithEntriesOnly => Position::ZERO, beacon.committed));
        }
        if let Stage::Replied { sync, sent } = self.stage {
            // The primary may rest on what was replied in a former role, and would never come to know better.
            self.reply(cx, sync, sent);
        }
        let sync = self.sync();
        let echo = beacon.sent;
        let sent = cx.timestamp();
        let has_room = !cx.core.disk.is_full();
        self.say(
            cx,
            PeerMessage::BeaconAck(BeaconAck {
                echo,
                sync,
                sent,
                has_room,
            }),
        );
        if cx
            .core
            .config
            .as_ref()
            .is_some_and(|config| config.version < beacon.version)
        {
            cx.query_config();
        }
    }

    // --------------------------------------------------------------------------------------------- leases

    /// May it answer linearizable reads, if it is in sync?
    pub(super) fn has_read_lease(&self, now: Instant) -> bool {
        let is_valid = self.read_lease.is_valid(now) || planted!(SecondaryReadsWithoutLease);
        matches!(self.stage, Stage::Streaming { .. }) && is_valid
    }

    /// Asks the primary how far the log is committed, by the question of that number.
    pub(super) fn ask_committed(&mut self, cx: &mut Context<'_>, number: u64) {
        let asker = cx.core.meta.incarnation;
        self.say(
            cx,
            PeerMessage::CommittedQuery(CommittedQuery { asker, number }),
        );
        cx.arm(Timer::CommittedQuery, limits::RETRY_INTERVAL);
    }

    fn on_committed_answer(
        &mut self,
        cx: &mut Context<'_>,
        answer: CommittedAnswer,
    ) -> Option<CommittedAnswer> {
        if !matches!(self.stage, Stage::Streaming { .. }) {
            return None;
        }
        cx.commit(answer.committed);
        // A former start asked by the same numbers.
        let is_mine = answer.asker == cx.core.meta.incarnation || planted!(FormerAnswerCounts);
        is_mine.then_some(answer)
    }

    // -------------------------------------------------------------------------------------------- leaving

    /// May it leave the in-sync set? Only while it hears a primary that has its log: otherwise it may be the last that has
    /// it, and the arbiter would be left with the dead.
    pub(super) fn may_leave(&self, cx: &Context<'_>) -> bool {
        let hears_primary =
            matches!(self.stage, Stage::Streaming { .. }) && self.trust == Trust::Promising;
        // Who comes back says so once, and nobody waits for the end of what it may answer by.
        let may_answer = cx.core.leaving == Some(Leaving::ToReturn)
            && self.read_lease.is_valid(cx.now.time)
            && !planted!(RestsWithLease);
        hears_primary && !may_answer || !cx.core.is_in_sync()
    }

    // ------------------------------------------------------------------------------------------ full state

    fn on_state_chunk(&mut self, cx: &mut Context<'_>, chunk: StateChunk) {
        let Stage::Loading(loading) = &mut self.stage else {
            // It is in place already; the primary has not heard.
            if matches!(self.stage, Stage::Streaming { sync, .. } if sync == chunk.sync)
                && chunk.is_last
            {
                let next = chunk.index.saturating_add(1);
                self.say(
                    cx,
                    PeerMessage::StateAck(StateAck {
                        sync: chunk.sync,
                        next,
                    }),
                );
            }
            return;
        };
        if chunk.sync != loading.sync && !planted!(ChunkOfFormerHandshake) {
            return;
        }
        if let Some(ack) = loading.on_chunk(cx, chunk) {
            self.say(cx, PeerMessage::StateAck(ack));
        }
    }

    // ------------------------------------------------------------------------------------------------ disk

    /// A save is done.
    pub(super) fn on_persisted(&mut self, cx: &mut Context<'_>, ticket: Ticket, proof: Proof) {
        match &mut self.stage {
            Stage::Truncating {
                sync,
                ticket: awaited,
            } if *awaited == ticket => {
                let sync = *sync;
                self.stream(sync);
            }
            Stage::Loading(loading) if loading.is_installing => {
                if cx.core.installing.is_none() {
                    let ack = loading.last_ack();
                    self.stage = Stage::Streaming {
                        sync: ack.sync,
                        is_ack_due: false,
                    };
                    self.say(cx, PeerMessage::StateAck(ack));
                }
            }
            Stage::Loading(loading) => {
                if let Some(ack) = loading.on_persisted(cx, ticket) {
                    self.say(cx, PeerMessage::StateAck(ack));
                }
            }
            Stage::Streaming { .. } => match proof {
                Proof::Log(_) => self.acknowledge(),
                Proof::Other => {}
            },
            Stage::Waiting | Stage::Replied { .. } | Stage::Truncating { .. } => {}
        }
    }
}
