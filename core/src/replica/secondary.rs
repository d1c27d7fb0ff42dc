//! A secondary, in sync or joining: follows the primary's handshake, stores what it sends, acknowledges what is on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::{Epoch, NodeId, Position};
use crate::epochs::EpochHistory;
use crate::event::Event;
use crate::limits;
use crate::message::{
    Beacon, BeaconAck, Peer, PeerMessage, SnapshotAck, Snapshots, StateAck, StateChunk, SyncEnd,
    SyncFrom, SyncReply, SyncStart,
};
use crate::operation::Entry;
use crate::sessions::SessionRows;
use crate::storage::{Ticket, Write};

use super::context::Context;
use super::disk::Proof;

/// One epoch of this replica under another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Secondary {
    primary: NodeId,
    epoch: Epoch,
    stage: Stage,
}

/// How far the handshake is. Entries count only in `Streaming`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The primary has not spoken.
    Waiting,
    /// Told the primary what is there.
    Replied { sync: u64 },
    /// Cutting the log off.
    Truncating { sync: u64, ticket: Ticket },
    /// Taking the full state in.
    Loading(Loading),
    /// Taking entries.
    Streaming { sync: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Loading {
    sync: u64,
    at: Position,
    history: EpochHistory,
    /// What has come of the sessions.
    sessions: SessionRows,
    /// The chunk to come.
    next: u64,
    is_complete: bool,
    /// What the disk is busy with: each write, and the chunk that is wanted once it is done.
    writing: VecDeque<(Ticket, u64)>,
    /// What it has done; `None` before it has begun.
    written: Option<u64>,
    /// It is being put in place.
    is_installing: bool,
}

impl Secondary {
    pub(super) fn new(primary: NodeId, epoch: Epoch) -> Self {
        Self {
            primary,
            epoch,
            stage: Stage::Waiting,
        }
    }

    /// The primary speaks, in this epoch.
    pub(super) fn on_peer(&mut self, cx: &mut Context<'_>, peer: Peer) {
        if peer.sender != self.primary {
            return cx.stale(peer.sender);
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
            | PeerMessage::CommittedQuery(_)
            | PeerMessage::CommittedAnswer(_)
            | PeerMessage::TakeOver => cx.stale(peer.sender),
        }
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
            Stage::Replied { sync }
            | Stage::Truncating { sync, .. }
            | Stage::Streaming { sync } => *sync,
            Stage::Loading(loading) => loading.sync,
        }
    }

    // ------------------------------------------------------------------------------------------- handshake

    fn on_sync_start(&mut self, cx: &mut Context<'_>, start: &SyncStart) {
        let is_repeated = matches!(self.stage, Stage::Replied { sync } if sync == start.sync);
        if start.sync <= self.sync() && !is_repeated {
            return; // A late copy.
        }
        if cx.core.installing.is_some() {
            return; // What the log is then is not known yet. The primary asks again.
        }
        self.stage = Stage::Replied { sync: start.sync };
        let log = &cx.core.log;
        let reply = SyncReply {
            sync: start.sync,
            history: log.history().clone(),
            end: log.end(),
            committed: log.committed(),
        };
        self.say(cx, PeerMessage::SyncReply(reply));
    }

    fn on_sync_end(&mut self, cx: &mut Context<'_>, end: SyncEnd) {
        match (&self.stage, end.start) {
            (Stage::Replied { sync }, SyncFrom::Log { keep }) if *sync == end.sync => {
                self.truncate(cx, end.sync, keep);
            }
            (Stage::Replied { sync }, SyncFrom::State { at, history, .. })
                if *sync == end.sync && history.is_valid() && at >= cx.core.log.committed() =>
            {
                let ticket = cx.persist(Write::StageBegin, Proof::Other);
                self.stage = Stage::Loading(Loading {
                    sync: end.sync,
                    at,
                    history,
                    sessions: SessionRows::default(),
                    next: 0,
                    is_complete: false,
                    writing: VecDeque::from([(ticket, 0)]),
                    written: None,
                    is_installing: false,
                });
            }
            // The primary has not heard that the handshake is done.
            (Stage::Streaming { sync }, SyncFrom::Log { .. }) if *sync == end.sync => {
                self.acknowledge(cx)
            }
            (Stage::Loading(loading), SyncFrom::State { .. }) if loading.sync == end.sync => {
                self.acknowledge_state(cx);
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
        let from = cx.core.log.end();
        if keep >= from {
            self.stage = Stage::Streaming { sync };
            return self.acknowledge(cx);
        }
        cx.truncate(keep);
        cx.core.disk.limit_proofs(keep);
        cx.out.notify(Event::Truncated { from, to: keep });
        let ticket = cx.persist(Write::Truncate { keep }, Proof::Other);
        self.stage = Stage::Truncating { sync, ticket };
    }

    // --------------------------------------------------------------------------------------------- entries

    fn on_snapshots(&mut self, cx: &mut Context<'_>, snapshots: Snapshots) {
        let Stage::Streaming { sync } = self.stage else {
            return;
        };
        if snapshots.sync != sync || !self.is_well_formed(cx, &snapshots.entries) {
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
        let is_stale = snapshots
            .entries
            .first()
            .is_some_and(|first| cx.core.log.persisted().covers(first.seq));
        let next = snapshots
            .entries
            .iter()
            .position(|entry| entry.seq == end.next_seq());
        if let Some(next) = next
            && cx.core.log.unapplied_bytes() < 2 * cx.core.options.limits.uncommitted_bytes_max
        {
            let mut entries = snapshots.entries;
            entries.drain(..next);
            cx.append(entries);
        }
        if is_stale {
            // Some of it came before, so its acknowledgement may be lost.
            self.acknowledge(cx);
        }
        cx.commit(snapshots.committed);
    }

    /// Are these entries that a primary of this epoch can have sent?
    fn is_well_formed(&self, cx: &Context<'_>, entries: &[Arc<Entry>]) -> bool {
        let consecutive = |pair: &[Arc<Entry>]| {
            pair[0].seq.next() == pair[1].seq && pair[0].epoch <= pair[1].epoch
        };
        let end = cx.core.log.end();
        let last_epoch = cx.core.log.history().last_epoch();
        entries.windows(2).all(consecutive)
            && entries.iter().all(|entry| entry.epoch <= self.epoch)
            && entries
                .iter()
                .filter(|entry| !end.covers(entry.seq))
                .all(|entry| entry.epoch >= last_epoch)
    }

    fn acknowledge(&self, cx: &mut Context<'_>) {
        if let Stage::Streaming { sync } = self.stage {
            let persisted = cx.core.log.persisted();
            self.say(
                cx,
                PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }),
            );
        }
    }

    fn on_beacon(&mut self, cx: &mut Context<'_>, beacon: &Beacon) {
        if matches!(self.stage, Stage::Streaming { .. }) {
            cx.commit(beacon.committed);
        }
        let sync = self.sync();
        let echo = beacon.sent;
        let sent = cx.timestamp();
        self.say(cx, PeerMessage::BeaconAck(BeaconAck { echo, sync, sent }));
        if cx
            .core
            .config
            .as_ref()
            .is_some_and(|config| config.version < beacon.version)
        {
            cx.query_config();
        }
    }

    // ------------------------------------------------------------------------------------------ full state

    fn on_state_chunk(&mut self, cx: &mut Context<'_>, chunk: StateChunk) {
        let Stage::Loading(loading) = &mut self.stage else {
            // It is in place already; the primary has not heard.
            if matches!(self.stage, Stage::Streaming { sync } if sync == chunk.sync)
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
        if chunk.sync != loading.sync {
            return;
        }
        let has_room = (loading.writing.len() as u64) < limits::CHUNKS_IN_FLIGHT_MAX;
        if chunk.index == loading.next && !loading.is_complete && has_room {
            loading.next += 1;
            loading.is_complete = chunk.is_last;
            loading.sessions.extend(chunk.sessions.clone());
            let ticket = cx.persist(
                Write::Stage {
                    records: chunk.records,
                    sessions: chunk.sessions,
                },
                Proof::Other,
            );
            loading.writing.push_back((ticket, loading.next));
        } else if loading.written.is_some_and(|written| chunk.index < written) {
            self.acknowledge_state(cx);
        }
    }

    fn acknowledge_state(&self, cx: &mut Context<'_>) {
        let Stage::Loading(loading) = &self.stage else {
            return;
        };
        if let Some(written) = loading.written {
            // The last chunk is acknowledged only when the state is in its place.
            let next = if loading.is_complete {
                written.min(loading.next - 1)
            } else {
                written
            };
            let sync = loading.sync;
            self.say(cx, PeerMessage::StateAck(StateAck { sync, next }));
        }
    }

    // ------------------------------------------------------------------------------------------------ disk

    /// A write is done.
    pub(super) fn on_persisted(&mut self, cx: &mut Context<'_>, ticket: Ticket, proof: Proof) {
        match &mut self.stage {
            Stage::Truncating {
                sync,
                ticket: awaited,
            } if *awaited == ticket => {
                self.stage = Stage::Streaming { sync: *sync };
                self.acknowledge(cx);
            }
            Stage::Loading(loading) if loading.is_installing => {
                if cx.core.installing.is_none() {
                    let (sync, next) = (loading.sync, loading.next);
                    self.stage = Stage::Streaming { sync };
                    self.say(cx, PeerMessage::StateAck(StateAck { sync, next }));
                }
            }
            Stage::Loading(loading) => {
                while loading
                    .writing
                    .front()
                    .is_some_and(|(first, _)| *first <= ticket)
                {
                    loading.written = loading.writing.pop_front().map(|(_, written)| written);
                }
                if loading.is_complete && loading.writing.is_empty() {
                    loading.is_installing = true;
                    let sessions = std::mem::take(&mut loading.sessions);
                    cx.install(loading.at, loading.history.clone(), sessions);
                } else {
                    self.acknowledge_state(cx);
                }
            }
            Stage::Streaming { .. } => match proof {
                Proof::Log(_) => self.acknowledge(cx),
                Proof::Other => {}
            },
            Stage::Waiting | Stage::Replied { .. } | Stage::Truncating { .. } => {}
        }
    }
}
