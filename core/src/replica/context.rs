//! What the files of the roles work with: what every role has, the time, what memory has, and where effects go.

use std::time::Duration;

use crate::config::{Address, Member, NodeId, Terms};
use crate::event::Event;
use crate::limits::Timing;
use crate::message::{Message, Peer, PeerMessage, Reply, ReplyBody, RequestBody, Timestamp};
use crate::operation::Rejection;
use crate::process::{Effect, Now, Outbox};
use crate::storage::{Query, Ticket};

use super::asker::Asker;
use super::core::Core;
use super::timer::Timer;

/// What a handler works with: the time, what memory has, what every role has, and where effects go.
pub(super) struct Context<'a> {
    pub(super) now: Now<'a>,
    pub(super) core: &'a mut Core,
    pub(super) out: &'a mut Outbox,
}

impl Core {
    pub(super) fn context<'a>(&'a mut self, now: Now<'a>, out: &'a mut Outbox) -> Context<'a> {
        Context {
            now,
            core: self,
            out,
        }
    }
}

impl Context<'_> {
    pub(super) fn arm(&mut self, timer: Timer, patience: Duration) {
        self.core.timers.arm(timer, self.now.time + patience);
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
            at: self.now.time,
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

    /// Reports what an operator wanted, and whether it is done.
    pub(super) fn notify_administered(
        &mut self,
        asker: &Asker,
        what: RequestBody,
        refused: Option<Rejection>,
    ) {
        let by = asker.address.clone();
        self.out.notify(Event::Administered { by, what, refused });
    }

    /// Asks the storage. It answers under the ticket that is returned.
    pub(super) fn query(&mut self, query: Query) -> Ticket {
        let ticket = self.core.next_query;
        self.core.next_query = Ticket(ticket.0 + 1);
        self.out.push(Effect::Query(ticket, query));
        ticket
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

    /// Answers a read, unless that is more than is given in a round.
    pub(super) fn answer(&mut self, asker: &Asker, body: ReplyBody) {
        if self.core.answers.take(&asker.address, body.size()) {
            self.reply(asker, body);
        } else {
            self.reject(asker, Rejection::Overloaded);
        }
    }

    pub(super) fn reject(&mut self, asker: &Asker, reason: Rejection) {
        let attempt = asker.attempt;
        self.reply(asker, ReplyBody::OperationRejected { reason, attempt });
    }
}
