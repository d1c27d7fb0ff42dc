//! What the files of the roles work with: what every role has, the time, and where effects go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Config, ConfigVersion, Epoch, Member, NodeId, Position, Seq, Terms};
use crate::epochs::EpochHistory;
use crate::event::Event;
use crate::limits::{self, Timing};
use crate::log::Log;
use crate::message::{
    ConfigQuery, Join, JoinRefusal, Leave, Message, Peer, PeerMessage, Reply, ReplyBody, Timestamp,
    ToArbiter,
};
use crate::operation::{ClientId, Entry, Operation, Rejection, RequestId};
use crate::process::{Effect, Outbox};
use crate::sessions::{SessionRows, Sessions};
use crate::storage::{Meta, Save, Ticket};
use crate::time::{Instant, Timers};

use super::asker::Asker;
use super::proof::{self, Proof, Saves};
use super::questions::Questions;
use super::{ReplicaOptions, Timer};

/// What every role has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Core {
    pub(super) options: ReplicaOptions,
    pub(super) meta: Meta,
    pub(super) config: Option<Config>,
    pub(super) log: Log,
    /// The disk was asked to save the log up to here.
    pub(super) saving: Position,
    /// Of the requests with entries known to be committed.
    pub(super) sessions: Sessions,
    /// Of those with entries in the log that are not.
    pub(super) uncommitted: BTreeMap<(ClientId, RequestId), Uncommitted>,
    pub(super) disk: Saves,
    pub(super) questions: Questions,
    /// Whom to tell how the node is, once the host has told what it has used.
    pub(super) statuses: Vec<Asker>,
    pub(super) timers: Timers<Timer>,
    pub(super) arbiter_heard: bool,
    /// It is to leave, whatever its role is: as soon as the arbiter takes it out.
    pub(super) is_leaving: bool,
    /// A full state that is being put in place. What the disk has begun is finished, whatever becomes of the role.
    pub(super) installing: Option<Installing>,
    /// It has found out that it has no place. Acted on at the end of the step.
    pub(super) refusal: Option<JoinRefusal>,
}

/// An entry whose fate is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Uncommitted {
    pub(super) seq: Seq,
    /// It is there to keep the request from being executed.
    pub(super) is_cancel: bool,
}

/// A full state on its way into the place of the present one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Installing {
    ticket: Ticket,
    at: Position,
    history: EpochHistory,
    sessions: SessionRows,
}

/// What a handler works with: the time, what every role has, and where effects go.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) core: &'a mut Core,
    pub(super) out: &'a mut Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsNewer {
    Strictly,
    OrSame,
}

impl Core {
    pub(super) fn context<'a>(&'a mut self, now: Instant, out: &'a mut Outbox) -> Context<'a> {
        Context {
            now,
            core: self,
            out,
        }
    }

    /// Is this a configuration of its cluster, sound, and newer than the one it knows?
    pub(super) fn is_newer(&self, config: &Config, how: IsNewer) -> bool {
        let known = self
            .config
            .as_ref()
            .map_or(ConfigVersion::ZERO, |config| config.version);
        let is_ours = self
            .meta
            .cluster
            .is_none_or(|cluster| cluster == config.cluster);
        let is_newer = match how {
            IsNewer::Strictly => config.version > known || planted!(OlderConfigEntered),
            IsNewer::OrSame => config.version >= known,
        };
        is_ours
            && is_newer
            && config.is_valid()
            // Before it knows any it knows an epoch.
            && (config.epoch >= self.known_epoch().max(self.meta.epoch)
                || planted!(OlderConfigEntered | ArbiterBehindAdmits))
    }

    /// Takes up that the log has `entry`, whose fate is open.
    pub(super) fn note_uncommitted(&mut self, entry: &Entry) {
        let uncommitted = Uncommitted {
            seq: entry.seq,
            is_cancel: matches!(entry.operation, Operation::Cancel { .. }),
        };
        self.uncommitted
            .entry(entry.origin.request())
            .or_insert(uncommitted);
    }

    pub(super) fn known_version(&self) -> ConfigVersion {
        self.config
            .as_ref()
            .map_or(ConfigVersion::ZERO, |config| config.version)
    }

    pub(super) fn known_epoch(&self) -> Epoch {
        self.config
            .as_ref()
            .map_or(Epoch::ZERO, |config| config.epoch)
    }
}

impl Context<'_> {
    pub(super) fn arm(&mut self, timer: Timer, patience: Duration) {
        self.core.timers.arm(timer, self.now + patience);
    }

    pub(super) fn timing(&self) -> &Timing {
        &self.core.options.limits.timing
    }

    /// The terms to wait by for the end of others' leases: the longest lease and the greatest drift that any member knows.
    pub(super) fn terms(&self) -> Terms {
        let own = self.timing().terms();
        if planted!(OwnTermsCount) {
            return own;
        }
        let members = self
            .core
            .config
            .iter()
            .flat_map(|config| config.members.values());
        members.fold(own, |terms, member| terms.max(member.terms))
    }

    /// The terms to wait by for the end of what `primary` grants, or was promised: its lease, and the greatest drift.
    pub(super) fn terms_of(&self, primary: NodeId) -> Terms {
        Terms {
            lease: self.lease_of(primary),
            ..self.terms()
        }
    }

    /// How long a lease lasts that `primary` counts on, or grants. Its terms are those of its tenure: with another start of it
    /// another one begins.
    pub(super) fn lease_of(&self, primary: NodeId) -> Duration {
        let own = self.timing().lease;
        match self.member(primary) {
            Some(primary) if !planted!(OwnTermsCount) => primary.terms.lease,
            Some(_) | None => own,
        }
    }

    /// The present reading of the clock, of use to this start of the node alone.
    pub(super) fn timestamp(&self) -> Timestamp {
        Timestamp {
            incarnation: self.core.meta.incarnation,
            at: self.now,
        }
    }

    pub(super) fn member(&self, node: NodeId) -> Option<&Member> {
        self.core
            .config
            .as_ref()
            .and_then(|config| config.members.get(&node))
    }

    /// Reports a message that does not fit.
    pub(super) fn stale(&mut self, sender: NodeId) {
        if let Some(member) = self.member(sender) {
            let from = member.address.clone();
            self.out.notify(Event::Stale { from });
        }
    }

    /// Says `body` to `receiver`, which is at `to`, in the present epoch.
    pub(super) fn tell(&mut self, receiver: NodeId, to: &Address, body: PeerMessage) {
        let peer = Peer {
            sender: self.core.meta.node,
            receiver,
            epoch: self.core.known_epoch(),
            body,
        };
        self.out.send(to, Message::Peer(peer));
    }

    pub(super) fn reply(&mut self, asker: &Asker, body: ReplyBody) {
        let reply = Reply {
            client: asker.origin.client,
            id: asker.origin.id,
            body,
        };
        self.out.send(&asker.address, Message::Reply(reply));
    }

    pub(super) fn reject(&mut self, asker: &Asker, reason: Rejection) {
        let attempt = asker.attempt;
        self.reply(asker, ReplyBody::OperationRejected { reason, attempt });
    }

    /// Has `save` carried out, behind everything that is in the log.
    pub(super) fn persist(&mut self, save: Save, proof: Proof) -> Ticket {
        self.save_log();
        self.ask(save, proof)
    }

    fn ask(&mut self, save: Save, proof: Proof) -> Ticket {
        let timers = &mut self.core.timers;
        let ticket = self.core.disk.ask(self.now, &save, proof, timers);
        self.out.persist(ticket, save);
        ticket
    }

    /// Appends consecutive entries that follow the log's end. They are saved, and sent on, when the round is settled.
    pub(super) fn append(&mut self, entries: Vec<Arc<Entry>>) {
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

    /// Cuts the log off behind `keep`.
    pub(super) fn truncate(&mut self, keep: Position) {
        self.save_log();
        self.core.log.truncate(keep);
        self.core.saving = self.core.log.end();
        self.core
            .uncommitted
            .retain(|_, uncommitted| keep.covers(uncommitted.seq));
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
                self.core.uncommitted.remove(&entry.origin.request());
            }
            let sessions = self.core.sessions.take_changes();
            self.out.push(Effect::Apply { entries, sessions });
        }
    }

    pub(super) fn join(&mut self) {
        let core = &self.core;
        let join = Join {
            node: core.meta.node,
            incarnation: core.meta.incarnation,
            token: core.meta.token,
            cluster: core.meta.cluster,
            name: core.options.name.clone(),
            address: core.options.address.clone(),
            version: core.known_version(),
            epoch: core.meta.epoch,
            starts: core.meta.starts.clone(),
            terms: core.options.limits.timing.terms(),
        };
        self.send_to_arbiter(ToArbiter::Join(join));
        self.arm(Timer::Join, limits::RETRY_INTERVAL);
    }

    pub(super) fn leave(&mut self) {
        let core = &self.core;
        let leave = Leave {
            node: core.meta.node,
            incarnation: core.meta.incarnation,
            version: core
                .config
                .as_ref()
                .map_or(ConfigVersion::ZERO, |config| config.version),
        };
        self.send_to_arbiter(ToArbiter::Leave(leave));
        self.arm(Timer::Leave, limits::RETRY_INTERVAL);
    }

    pub(super) fn hear_arbiter(&mut self) {
        if !self.core.arbiter_heard {
            self.core.arbiter_heard = true;
            self.out.notify(Event::ArbiterHeard);
        }
        self.arm(Timer::ArbiterSilent, limits::ARBITER_SILENCE);
    }

    pub(super) fn send_to_arbiter(&mut self, message: ToArbiter) {
        self.out
            .send(&self.core.options.arbiter, Message::ToArbiter(message));
    }

    pub(super) fn query_config(&mut self) {
        let query = ConfigQuery {
            node: self.core.meta.node,
            version: self.core.known_version(),
        };
        self.send_to_arbiter(ToArbiter::ConfigQuery(query));
    }

    /// Puts the full state that was collected in the place of the present one.
    pub(super) fn install(&mut self, at: Position, history: EpochHistory, sessions: SessionRows) {
        let write = Save::Install {
            at,
            history: history.clone(),
        };
        let ticket = self.persist(write, Proof::Other);
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
        proof::limit(&mut self.core.disk, at);
        self.core.log.reset(at, history);
        self.core.saving = at;
        let limits = self.core.options.limits.sessions.clone();
        self.core.sessions = Sessions::open(sessions, limits);
        self.core.uncommitted.clear();
        self.out.notify(Event::Installed(at));
        true
    }
}
