//! What every role says to the arbiter.

use crate::config::Address;
use crate::event::Event;
use crate::limits;
use crate::message::{
    ConfigChange, ConfigQuery, FromArbiter, Join, Leave, Message, Propose, ToArbiter,
};

use super::context::Context;
use super::core::Leaving;
use super::timer::Timer;

impl Context<'_> {
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
            version: core.known_version(),
            returns: core.leaving == Some(Leaving::ToReturn),
        };
        self.send_to_arbiter(ToArbiter::Leave(leave));
        self.arm(Timer::Leave, limits::RETRY_INTERVAL);
    }

    /// Does what it speaks of belong to another cluster? Then the arbiter has lost its data, or another one is in its place. A
    /// node that was in none yet takes what it is given, and one that is refused is told so.
    pub(super) fn is_foreign(&mut self, message: &FromArbiter) -> bool {
        let theirs = match message {
            FromArbiter::JoinedPrimary(joined) | FromArbiter::JoinedSecondary(joined) => {
                joined.config.cluster
            }
            FromArbiter::Replicas(config) | FromArbiter::ProposalRefused(config) => config.cluster,
            FromArbiter::Arbiters(seen) => seen.cluster,
            FromArbiter::JoinRefused(_) => return false,
        };
        let foreign = self.core.meta.cluster.map(|ours| (ours, theirs));
        let foreign = foreign.filter(|(ours, theirs)| ours != theirs);
        let foreign = foreign.map(|(_, theirs)| theirs);
        if let Some(theirs) = foreign
            && self.core.foreign_arbiter != foreign
        {
            self.out.notify(Event::ForeignArbiter(theirs));
        }
        self.core.foreign_arbiter = foreign;
        foreign.is_some()
    }

    pub(super) fn hear_arbiter(&mut self, from: &Address) {
        self.core.arbiters.on_heard(from);
        if !self.core.arbiter_heard {
            self.core.arbiter_heard = true;
            self.out.notify(Event::ArbiterHeard);
        }
        self.arm(Timer::ArbiterSilent, limits::ARBITER_SILENCE);
    }

    pub(super) fn send_to_arbiter(&mut self, message: ToArbiter) {
        let arbiter = self.core.arbiters.ask(self.now.time);
        self.out.send(arbiter, Message::ToArbiter(message));
    }

    /// Proposes what an operator wants. Once: who wants it looks whether it came about.
    pub(super) fn propose_for_operator(&mut self, change: ConfigChange) {
        let Some(config) = &self.core.config else {
            return;
        };
        let version = config.version;
        self.out.notify(Event::Proposed { version, change });
        self.send_to_arbiter(ToArbiter::Propose(Propose {
            node: self.core.meta.node,
            version,
            change,
        }));
    }

    pub(super) fn query_config(&mut self) {
        let query = ConfigQuery {
            node: self.core.meta.node,
            version: self.core.known_version(),
            cluster: self.core.meta.cluster,
        };
        self.send_to_arbiter(ToArbiter::ConfigQuery(query));
    }
}
