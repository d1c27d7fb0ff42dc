//! What every role says to the arbiter.

use crate::event::Event;
use crate::limits;
use crate::message::{ConfigQuery, Join, Leave, Message, ToArbiter};

use super::context::Context;
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
}
