//! The full state that the primary sends: a secondary has it stored chunk by chunk, and then put in place
//! ([protocol: join and transfer](crate::docs::protocol#join-and-transfer)).

use std::collections::VecDeque;

use crate::epochs::EpochHistory;
use crate::limits;
use crate::message::{StateAck, StateChunk};
use crate::operation::{Key, Keyed, Moment};
use crate::replica::context::Context;
use crate::sessions::SessionRows;
use crate::storage::{Save, Ticket};

/// How far the full state has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Loading {
    /// The handshake that it is of.
    pub(super) sync: u64,
    at: Moment,
    history: EpochHistory,
    /// What has come of the sessions.
    sessions: SessionRows,
    /// The last key that has come.
    last: Option<Key>,
    /// The chunk to come.
    next: u64,
    is_complete: bool,
    /// What the disk is busy with: each save, and the chunk that is wanted once it is done.
    saving: VecDeque<(Ticket, u64)>,
    /// The chunk that is wanted after those it has saved; `None` before it has begun.
    saved: Option<u64>,
    /// It is being put in place.
    pub(super) is_installing: bool,
}

impl Loading {
    /// Takes in the state of that moment.
    pub(super) fn begin(
        cx: &mut Context<'_>,
        sync: u64,
        at: Moment,
        history: EpochHistory,
    ) -> Self {
        let ticket = cx.persist(Save::StageBegin);
        let revision = planted!(RevisionNotTransferred => Default::default(), at.revision);
        Self {
            sync,
            at: Moment { revision, ..at },
            history,
            sessions: SessionRows::default(),
            last: None,
            next: 0,
            is_complete: false,
            saving: VecDeque::from([(ticket, 0)]),
            saved: None,
            is_installing: false,
        }
    }

    /// A chunk of this handshake. Returns what the primary is to be told.
    pub(super) fn on_chunk(&mut self, cx: &mut Context<'_>, chunk: StateChunk) -> Option<StateAck> {
        let has_room = (self.saving.len() as u64) < limits::CHUNKS_IN_FLIGHT_MAX;
        if chunk.index == self.next && !self.is_complete && has_room {
            if !self.is_continued_by(&chunk) {
                return None;
            }
            self.last = chunk
                .records
                .last()
                .map(|last| last.key.clone())
                .or(self.last.take());
            self.next += 1;
            self.is_complete = chunk.is_last;
            self.sessions.extend(chunk.sessions.clone());
            let ticket = cx.persist(Save::Stage {
                records: chunk.records,
                sessions: chunk.sessions,
            });
            self.saving.push_back((ticket, self.next));
            return None;
        }
        let is_saved = self.saved.is_some_and(|saved| chunk.index < saved);
        is_saved.then(|| self.ack())?
    }

    /// Can a primary have sent it behind what has come? In the order in which a state is read, and what one can be made of.
    fn is_continued_by(&self, chunk: &StateChunk) -> bool {
        let StateChunk {
            records, sessions, ..
        } = chunk;
        let keys = || records.iter().map(|record| &record.key);
        let (last, first) = (self.last.as_ref(), keys().next());
        let (last_client, first_client) = (
            self.sessions.rows.last_key_value(),
            sessions.rows.first_key_value(),
        );
        records.iter().all(Keyed::is_possible)
            && keys().is_sorted_by(|one, next| one < next)
            && last.zip(first).is_none_or(|(last, first)| last < first)
            && last_client
                .zip(first_client)
                .is_none_or(|(last, first)| last.0 < first.0)
    }

    /// How far the state is saved, as the primary is to know it; `None` before the disk has begun.
    pub(super) fn ack(&self) -> Option<StateAck> {
        let saved = self.saved?;
        // The last chunk is acknowledged only when the state is in its place.
        let next = if self.is_complete && !planted!(StateAckedEarly) {
            saved.min(self.next - 1)
        } else {
            saved
        };
        let sync = self.sync;
        Some(StateAck { sync, next })
    }

    /// The same once the state is in its place.
    pub(super) fn last_ack(&self) -> StateAck {
        let (sync, next) = (self.sync, self.next);
        StateAck { sync, next }
    }

    /// The disk is done with a save. Has the state put in place when it is whole; returns what the primary is to be told.
    pub(super) fn on_persisted(
        &mut self,
        cx: &mut Context<'_>,
        ticket: Ticket,
    ) -> Option<StateAck> {
        while self
            .saving
            .front()
            .is_some_and(|(first, _)| *first <= ticket)
        {
            self.saved = self.saving.pop_front().map(|(_, saved)| saved);
        }
        if !self.is_complete || !self.saving.is_empty() {
            return self.ack();
        }
        self.is_installing = true;
        let sessions = std::mem::take(&mut self.sessions);
        cx.install(self.at, self.history.clone(), sessions);
        planted!(StateAckedEarly => self.ack(), None)
    }
}
