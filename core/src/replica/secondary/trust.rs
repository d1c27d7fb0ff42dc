//! How a secondary stands to its primary: while it hears it, it promises not to replace it; when it has been silent for long,
//! it proposes to ([protocol: failover](crate::docs::protocol#failover)).

use std::time::Duration;

use crate::config::NodeId;
use crate::event::Event;
use crate::limits;
use crate::message::{ConfigChange, Propose, ToArbiter};
use crate::replica::context::Context;
use crate::replica::timer::Timer;

/// How a secondary stands to the primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::replica) enum Trust {
    /// Its promise holds.
    Promising,
    /// Its promise has run out, and it asks the arbiter what the configuration is. It still answers Beacons.
    Asking,
    /// It has proposed to replace the primary, and answers no Beacon until it knows what became of that.
    Replacing(Propose),
}

impl Trust {
    /// Gives the primary time to be heard before it is taken for dead.
    pub(super) fn begin(cx: &mut Context<'_>, primary: NodeId) -> Self {
        let promised = planted!(ProposesAtOnce => Duration::ZERO, promise(cx, primary));
        cx.arm(Timer::Promise, promised);
        Self::Promising
    }

    /// Ends with the role.
    pub(super) fn close(cx: &mut Context<'_>) {
        for timer in [Timer::Promise, Timer::Propose] {
            cx.core.timers.disarm(timer);
        }
    }

    /// Promises anew: the primary is heard.
    pub(super) fn promise(&mut self, cx: &mut Context<'_>, primary: NodeId) {
        *self = Self::Promising;
        cx.arm(Timer::Promise, promise(cx, primary));
    }

    /// The primary has been silent for as long as this replica promised to wait.
    pub(in crate::replica) fn on_promise_over(&mut self, cx: &mut Context<'_>) {
        if matches!(self, Self::Replacing(_)) {
            return;
        }
        if cx.core.is_in_sync() {
            // The arbiter may know more. While it is down nothing can be proposed, and the promise is kept.
            *self = Self::Asking;
            cx.query_config();
        }
        cx.arm(Timer::Promise, limits::RETRY_INTERVAL);
    }

    /// A newer configuration of the epoch.
    pub(in crate::replica) fn on_config(&mut self, cx: &mut Context<'_>) {
        let version = cx.core.config.as_ref().map(|config| config.version);
        if matches!(self, Self::Replacing(open) if Some(open.version) < version) {
            // Something else was decided first. The primary is as silent as before.
            *self = Self::Asking;
            cx.core.timers.disarm(Timer::Propose);
            cx.arm(Timer::Promise, limits::RETRY_INTERVAL);
        }
    }

    /// The arbiter has said what the configuration is.
    pub(in crate::replica) fn on_arbiter_answer(&mut self, cx: &mut Context<'_>) {
        if *self == Self::Asking && cx.core.is_in_sync() {
            self.replace(cx);
        }
    }

    fn replace(&mut self, cx: &mut Context<'_>) {
        let Some(version) = cx.core.config.as_ref().map(|config| config.version) else {
            return;
        };
        let change = ConfigChange::ReplacePrimary;
        cx.out.notify(Event::Proposed { version, change });
        *self = Self::Replacing(Propose {
            node: cx.core.meta.node,
            version,
            change,
        });
        cx.core.timers.disarm(Timer::Promise);
        self.propose(cx);
    }

    /// Sends the open proposal, for the first time or again.
    pub(in crate::replica) fn propose(&mut self, cx: &mut Context<'_>) {
        if let Self::Replacing(proposal) = self {
            cx.send_to_arbiter(ToArbiter::Propose(proposal.clone()));
            cx.arm(Timer::Propose, limits::RETRY_INTERVAL);
        }
    }
}

/// How long a replica that hears a Beacon promises not to replace the primary.
fn promise(cx: &Context<'_>, primary: NodeId) -> Duration {
    let terms = cx.terms_of(primary);
    let promised = planted!(PromiseWithoutDrift => terms.lease, terms.lease_elsewhere());
    planted!(PromiseCutShort => promised / 2, promised)
}
