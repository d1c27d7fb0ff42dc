//! The full state for a replica: the Replicator reads it from a view that holds still, and sends it in chunks
//! ([protocol: join and transfer](crate::docs::protocol#join-and-transfer)).

use std::collections::VecDeque;

use crate::config::Position;
use crate::event::Event;
use crate::limits;
use crate::message::{PeerMessage, StateChunk, SyncEnd, SyncFrom};
use crate::operation::{Keyed, Moment};
use crate::replica::context::Context;
use crate::replica::reads::views::{Piece, View};
use crate::replica::timer::Timer;
use crate::sessions::SessionRow;
use crate::storage::{Answer, Ticket};

use super::stream::Reading;
use super::{Replicator, Stage};

/// How far the full state has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transfer {
    pub(super) view: View,
    pub(super) end: SyncEnd,
    pub(super) at: Position,
    records: u64,
    records_sent: u64,
    /// The replica has begun to collect.
    pub(super) is_accepted: bool,
    pub(super) unacknowledged: VecDeque<StateChunk>,
    next: u64,
}

impl Replicator {
    pub(in crate::replica) fn on_state_ack(&mut self, cx: &mut Context<'_>, sync: u64, next: u64) {
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
        if transfer.view.is_read() && transfer.unacknowledged.is_empty() {
            let at = transfer.at;
            cx.out.notify(Event::StateTransferred(self.node));
            self.acked = at;
            self.stream_from(cx, at);
            return;
        }
        if transfer.unacknowledged.len() < before {
            cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
        }
        transfer.read_on(cx);
    }

    /// The storage answered. False if the question was not of this Replicator.
    pub(in crate::replica) fn on_answered(
        &mut self,
        cx: &mut Context<'_>,
        ticket: Ticket,
        answer: &Answer,
    ) -> bool {
        match (&mut self.stage, answer) {
            (Stage::OpeningView { view, echo }, Answer::View { at, records })
                if *view == ticket =>
            {
                let position = planted!(TransfersUncommitted => cx.core.log.end(), at.position);
                let at = Moment { position, ..*at };
                let until = planted!(HistoryBeyondState => cx.core.log.end(), position);
                let start = SyncFrom::State {
                    at,
                    history: cx.core.log.history().up_to(until),
                    records: *records,
                };
                let end = SyncEnd {
                    sync: self.sync,
                    echo: *echo,
                    start,
                };
                cx.out.notify(Event::StateTransferStarted {
                    node: self.node,
                    at: position,
                });
                self.say(cx, PeerMessage::SyncEnd(end.clone()));
                cx.arm(Timer::Resend(self.node), limits::RETRY_INTERVAL);
                let transfer = Transfer::new(ticket, end, position, *records);
                self.stage = Stage::Transferring(transfer);
                true
            }
            (Stage::Transferring(transfer), _) => match transfer.view.on_answered(ticket, answer) {
                Some(piece) => {
                    self.send_piece(cx, piece);
                    true
                }
                None => false,
            },
            (Stage::Streaming(stream), Answer::Entries(entries))
                if stream.reading == Reading::Asked(ticket) =>
            {
                self.on_log_read(cx, entries);
                true
            }
            (
                _,
                Answer::Record(_)
                | Answer::Page(_)
                | Answer::Entries(_)
                | Answer::View { .. }
                | Answer::Sessions(_)
                | Answer::Failed(_),
            ) => false,
        }
    }

    /// Sends the piece of the state that was read, and reads on.
    fn send_piece(&mut self, cx: &mut Context<'_>, piece: Piece) {
        let Stage::Transferring(transfer) = &mut self.stage else {
            return;
        };
        let chunk = StateChunk {
            sync: self.sync,
            index: transfer.next,
            records: piece.records,
            is_last: piece.is_last,
            sessions: piece.sessions,
        };
        transfer.records_sent += chunk.records.len() as u64;
        transfer.next += 1;
        transfer.unacknowledged.push_back(chunk.clone());
        cx.tell(self.node, &self.address, PeerMessage::StateChunk(chunk));
        cx.core.timers.arm_if_idle(
            Timer::Resend(self.node),
            cx.now.time + limits::RETRY_INTERVAL,
        );
        transfer.read_on(cx);
    }
}

impl Transfer {
    /// The state of the view as of `at` is to be transferred, as `end` announces.
    pub(super) fn new(ticket: Ticket, end: SyncEnd, at: Position, records: u64) -> Self {
        Self {
            view: View::new(ticket),
            end,
            at,
            records,
            records_sent: 0,
            is_accepted: false,
            unacknowledged: VecDeque::new(),
            next: 0,
        }
    }

    /// Records that were sent, of all.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.records_sent, self.records)
    }

    /// Bytes that are kept until they are acknowledged.
    pub(super) fn bytes(&self) -> usize {
        self.unacknowledged.iter().map(chunk_bytes).sum()
    }

    /// Reads on as long as chunks may be on their way.
    fn read_on(&mut self, cx: &mut Context<'_>) {
        let in_flight = self.unacknowledged.len() as u64;
        if self.is_accepted && in_flight < limits::CHUNKS_IN_FLIGHT_MAX {
            self.view.read_on(cx);
        }
    }
}

fn chunk_bytes(chunk: &StateChunk) -> usize {
    let records = chunk.records.iter();
    let sessions = chunk.sessions.rows.values();
    records
        .map(Keyed::size)
        .chain(sessions.map(SessionRow::size))
        .sum()
}
