//! The primary keeps the in-sync set true: whom it counts, removes, lets drain, adds
//! ([protocol: removal](crate::docs::protocol#removal), [join](crate::docs::protocol#join-and-transfer)).

use std::time::Duration;

use crate::config::{Config, NodeId};
use crate::event::Event;
use crate::limits;
use crate::message::{ConfigChange, Propose, ToArbiter};
use crate::replica::context::Context;
use crate::replica::replicator::{Replicator, Standing};
use crate::replica::timer::Timer;
use crate::time::Instant;

use super::Primary;

impl Primary {
    /// A newer configuration of the same tenure, or the first one of it.
    pub(in crate::replica) fn on_config(&mut self, cx: &mut Context<'_>) {
        let Some(config) = cx.core.config.clone() else {
            return;
        };
        if self
            .proposal
            .as_ref()
            .is_some_and(|proposal| proposal.version < config.version)
        {
            self.proposal = None;
            cx.core.timers.disarm(Timer::Propose);
        }
        let me = cx.core.meta.node;
        self.note_resting(cx, &config);
        let is_gone = |node: &NodeId| !config.is_member(*node) || config.resting.contains(node);
        let nodes = self.replicators.keys().copied();
        let gone: Vec<NodeId> = nodes.filter(is_gone).collect();
        for node in gone {
            if let Some(replicator) = self.replicators.remove(&node) {
                replicator.stop(cx);
            }
        }
        let others = config.members.iter().filter(|(node, _)| **node != me);
        for (node, member) in others.filter(|(node, _)| !config.resting.contains(node)) {
            // A node that the arbiter does not have in sync is counted no more, unless its addition is still open.
            let standing = if config.in_sync.contains(node) {
                Standing::InSync
            } else if config.draining.contains(node) {
                self.drain(cx, *node)
            } else {
                Standing::Joining
            };
            match self.replicators.get_mut(node) {
                None => {
                    let sync = self.next_sync();
                    if let Some(mut replicator) = Replicator::start(cx, *node, standing, sync) {
                        // What the predecessor granted lasts until then, if the replica does not enter this epoch.
                        replicator.leases.assume(self.sole_at);
                        self.replicators.insert(*node, replicator);
                        // Its promise is needed before it can be added.
                        self.beacon(cx, *node);
                    }
                }
                Some(replicator) => {
                    let is_open = self
                        .proposal
                        .as_ref()
                        .is_some_and(|open| open.change == ConfigChange::AddInSync(*node));
                    // It was out and is back: whatever it was suspected of, it begins anew.
                    let is_back = standing == Standing::Joining
                        && !matches!(replicator.standing, Standing::Joining | Standing::Counted);
                    if !is_open {
                        replicator.stand(cx, standing);
                    }
                    if is_back || replicator.incarnation() != member.incarnation {
                        replicator.is_suspect = false;
                        self.restart(cx, *node);
                    }
                }
            }
        }
        if self.is_paused {
            // Who is in sync now may give it its lease.
            cx.arm(Timer::Beacon, Duration::ZERO);
        }
        self.advance(cx);
    }

    /// Who rests goes on counting, with what it has: all that is committed, since it has counted up to now.
    fn note_resting(&mut self, cx: &Context<'_>, config: &Config) {
        let committed = cx.core.log.committed();
        self.resting.retain(|node, _| config.resting.contains(node));
        for node in &config.resting {
            let acked = self.replicators.get(node).map(Replicator::acked);
            let has = acked.map_or(committed, |acked| acked.max(committed));
            self.resting.entry(*node).or_insert(has);
        }
    }

    /// How a removed replica stands: nothing commits without it until its read lease is over. One that a predecessor
    /// removed was granted something until `sole_at` at most.
    pub(super) fn drain(&self, cx: &mut Context<'_>, node: NodeId) -> Standing {
        let until = match self.replicators.get(&node) {
            Some(replicator) => replicator.leases.readable_until(cx.now.time),
            None if planted!(InheritsNoLease) => None,
            None => Some(self.sole_at).filter(|until| *until > cx.now.time),
        };
        match until {
            Some(until) if !planted!(DrainedTooEarly) => {
                cx.core.timers.arm(Timer::Lease(node), until);
                Standing::Draining
            }
            Some(_) | None => Standing::Drained,
        }
    }

    /// The arbiter is there.
    pub(in crate::replica) fn on_arbiter_answer(&mut self, cx: &mut Context<'_>) {
        self.is_answered = true;
        self.on_asked(cx);
    }

    pub(super) fn next_sync(&mut self) -> u64 {
        let sync = self.next_sync;
        self.next_sync += 1;
        sync
    }

    pub(super) fn restart(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let sync = self.next_sync();
        if let Some(replicator) = self.replicators.get_mut(&node) {
            replicator.restart(cx, sync);
        }
    }

    /// Looks for a change the configuration needs, and proposes it. One at a time: its outcome may change the next.
    pub(super) fn review(&mut self, cx: &mut Context<'_>) {
        self.count_in(cx);
        if self.proposal.is_some() {
            return;
        }
        let Some(config) = &cx.core.config else {
            return;
        };
        let Some(change) = self.next_change(cx) else {
            return;
        };
        let proposal = Propose {
            node: cx.core.meta.node,
            version: config.version,
            change,
        };
        cx.out.notify(Event::Proposed {
            version: proposal.version,
            change,
        });
        if let ConfigChange::HandOver(successor) = change {
            cx.out.notify(Event::Resigned(successor));
        }
        self.proposal = Some(proposal);
        self.propose(cx);
    }

    /// Counts joining replicas that have, or are being sent, everything: from then on nothing commits without them, so
    /// that they have all that is committed by the time they are proposed. One that stops keeping up is not held on to.
    pub(super) fn count_in(&mut self, cx: &mut Context<'_>) {
        let is_recommitted =
            cx.core.log.committed() >= self.inherited || planted!(AddsBeforeRecommit);
        let may_add = cx.core.arbiter_heard && is_recommitted;
        let end = cx.core.log.end();
        let open = self.proposal.as_ref().map(|proposal| proposal.change);
        for (node, replicator) in &mut self.replicators {
            match replicator.standing {
                Standing::Joining
                    if may_add
                        && (replicator.is_current(end) || planted!(AddsBehind))
                        && (replicator.keeps_up(cx) || planted!(CountsInWhoLags))
                        && !replicator.is_suspect
                        && has_promised(replicator, cx.now.time) =>
                {
                    replicator.stand(cx, Standing::Counted);
                }
                Standing::Counted
                    if replicator.is_suspect
                        && (open != Some(ConfigChange::AddInSync(*node))
                            || planted!(SuspicionEndsAddition)) =>
                {
                    replicator.stand(cx, Standing::Joining);
                }
                Standing::Joining
                | Standing::Counted
                | Standing::InSync
                | Standing::Draining
                | Standing::Drained => {}
            }
        }
    }

    fn next_change(&self, cx: &Context<'_>) -> Option<ConfigChange> {
        if let Some(heir) = self.heir(cx) {
            return Some(ConfigChange::HandOver(heir));
        }
        let suspect = self.replicators.iter().find(|(_, replicator)| {
            let is_removable = matches!(replicator.standing, Standing::InSync | Standing::Joining);
            replicator.is_suspect && is_removable
        });
        // Not by a primary that does not hear the arbiter: it would not know, and might take out whoever could replace it.
        if let Some((node, _)) = suspect.filter(|_| self.is_answered || planted!(RemovesUnheard)) {
            return Some(ConfigChange::RemoveInSync(*node));
        }
        let drained = self
            .replicators
            .iter()
            .find(|(_, replicator)| replicator.standing == Standing::Drained);
        if let Some((node, _)) = drained {
            return Some(ConfigChange::Drained(*node));
        }
        let log = &cx.core.log;
        // Who rests has its place until there is something that it lacks.
        let behind = self.resting.iter().find(|(_, has)| **has < log.end());
        if let Some((node, _)) = behind {
            return Some(ConfigChange::Drained(*node));
        }
        let caught_up = self.replicators.iter().find(|(_, replicator)| {
            replicator.standing == Standing::Counted
                && (replicator.acked() >= log.committed() || planted!(AddsBehind))
                && (replicator.acked() >= self.inherited
                    || planted!(AddsBehind | AddsBeforeRecommit))
                && has_promised(replicator, cx.now.time)
        });
        caught_up
            .filter(|_| cx.core.arbiter_heard)
            .map(|(node, _)| ConfigChange::AddInSync(*node))
    }

    /// Sends the open proposal, for the first time or again.
    pub(in crate::replica) fn propose(&mut self, cx: &mut Context<'_>) {
        let open = planted!(ForgetsProposal => self.proposal.take(), self.proposal.clone());
        if let Some(proposal) = open {
            cx.send_to_arbiter(ToArbiter::Propose(proposal));
            cx.arm(Timer::Propose, limits::RETRY_INTERVAL);
        }
    }
}

/// Has the replica given what the primary's lease would need of it?
pub(super) fn has_promised(replicator: &Replicator, now: Instant) -> bool {
    replicator.leases.has_promised(now) || planted!(AddsWithoutPromise)
}
