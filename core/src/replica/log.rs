//! The log of a replica and its disk: what is appended, saved, cut off, committed, and replaced by a full state.

use std::sync::Arc;

use crate::config::Position;
use crate::epochs::EpochHistory;
use crate::event::Event;
use crate::operation::{Entry, Moment};
use crate::process::Effect;
use crate::sessions::{SessionRows, Sessions};
use crate::storage::committed::Committed;
use crate::storage::{Save, Ticket};

use super::context::Context;
use super::core::Installing;
use super::proof::{self, Proof};

impl Context<'_> {
    /// Has `save` carried out, behind everything that is in the log. Who asks for it recognises it by its ticket.
    pub(super) fn persist(&mut self, save: Save) -> Ticket {
        self.save_log();
        self.ask(save, Proof::Other)
    }

    fn ask(&mut self, save: Save, proof: Proof) -> Ticket {
        let timers = &mut self.core.timers;
        let ticket = self.core.disk.ask(self.now.time, &save, proof, timers);
        self.out.persist(ticket, save);
        ticket
    }

    /// Appends consecutive entries that follow the log's end. They are saved, and sent on, when the round is settled.
    pub(super) fn append(&mut self, entries: impl IntoIterator<Item = Arc<Entry>>) {
        for entry in entries {
            let (epoch, seq) = (entry.epoch, entry.seq);
            self.core.note_uncommitted(&entry);
            self.core.log.append(entry);
            self.out.notify(Event::Appended { epoch, seq });
        }
    }

    /// Has the log saved to its end: when the round is settled, or before something that must not get ahead of it.
    pub(super) fn save_log(&mut self) {
        let end = self.core.log.end();
        if self.core.saving == end {
            return;
        }
        let entries = self
            .core
            .log
            .entries(self.core.saving, usize::MAX, usize::MAX)
            .expect("what is not saved is in memory");
        self.core.saving = end;
        let committed = self.core.log.committed();
        self.ask(Save::Append { entries, committed }, Proof::Log(end));
    }

    /// Cuts the log off behind `keep`, here and on the disk.
    pub(super) fn truncate(&mut self, keep: Position) -> Ticket {
        self.save_log();
        let from = self.core.log.end();
        self.core.log.truncate(keep);
        self.core.saving = self.core.log.end();
        self.core
            .uncommitted
            .retain(|_, uncommitted| keep.covers(uncommitted.seq));
        proof::limit(&mut self.core.disk, keep);
        self.out.notify(Event::Truncated { from, to: keep });
        self.ask(Save::Truncate { keep }, Proof::Other)
    }

    /// Takes up that the log is committed up to `position`.
    pub(super) fn commit(&mut self, position: Position) {
        if position > self.core.saving {
            // What is committed is applied behind what is asked for here.
            self.save_log();
        }
        let entries = self.core.log.advance_committed(position);
        if !entries.is_empty() {
            self.out.notify(Event::Committed(self.core.log.committed()));
            for entry in &entries {
                self.core.sessions.apply(entry);
                if let Some(origin) = entry.origin() {
                    self.core.uncommitted.remove(&origin.request());
                }
            }
            let sessions = self.core.sessions.take_changes();
            self.out
                .push(Effect::Apply(Committed { entries, sessions }));
        }
    }

    /// Puts the full state that was collected in the place of the present one.
    pub(super) fn install(&mut self, at: Moment, history: EpochHistory, sessions: SessionRows) {
        let save = Save::Install {
            at,
            history: history.clone(),
        };
        let ticket = self.persist(save);
        self.core.installing = Some(Installing {
            ticket,
            at,
            history,
            sessions,
        });
    }

    /// A save is done. Returns whether it was the installation; then the log begins anew behind it.
    pub(super) fn on_installed(&mut self, ticket: Ticket) -> bool {
        let is_done = |installing: &mut Installing| installing.ticket == ticket;
        let Some(installing) = self.core.installing.take_if(is_done) else {
            return false;
        };
        let Installing {
            at,
            history,
            sessions,
            ..
        } = installing;
        proof::limit(&mut self.core.disk, at.position);
        self.core.log.reset(at, history);
        self.core.saving = at.position;
        let limits = self.core.options.limits.sessions.clone();
        self.core.sessions = Sessions::open(sessions, limits);
        self.core.uncommitted.clear();
        self.out.notify(Event::Installed(at.position));
        true
    }
}
