//! The lease of the primary, and those it grants: when it may answer, and when it may commit.

use crate::config::{NodeId, Position};
use crate::message::{Beacon, BeaconAck, CommittedAnswer, CommittedQuery, PeerMessage};
use crate::replica::Timer;
use crate::replica::context::Context;
use crate::replica::replicator::{Replicator, Standing};
use crate::time::Instant;

use super::Primary;
use super::hand_over::Resignation;

impl Primary {
    /// Commits nothing before every read lease of an older epoch is over: those of the in-sync replicas are once they
    /// speak in this epoch, those of replicas that were removed before when none is draining, and all after a while.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(config) = cx.core.config.as_ref().filter(|_| !self.is_settled) else {
            return;
        };
        let mut in_sync = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync);
        if config.draining.is_empty() && in_sync.all(|replicator| replicator.has_entered) {
            self.on_settled(cx);
        }
    }

    /// No read lease of an older epoch is left.
    pub(in crate::replica) fn on_settled(&mut self, cx: &mut Context<'_>) {
        self.is_settled = true;
        cx.core.timers.disarm(Timer::Settled);
    }

    /// Is it certain that nobody has taken its place?
    pub(in crate::replica) fn has_lease(&self, now: Instant) -> bool {
        let is_resigned = matches!(self.resignation, Resignation::Resigned(..));
        let mut needed = self.replicators.values().filter(|replicator| {
            matches!(replicator.standing, Standing::InSync | Standing::Counted)
                && !(planted!(LeaseWithoutAdded) && replicator.standing == Standing::Counted)
        });
        let promised = |replicator: &Replicator| replicator.leases.has_promised(now);
        let may_serve = !is_resigned || planted!(ServesAfterTakeOver | GrantsAfterTakeOver);
        may_serve && planted!(LeaseOfOne => needed.any(promised), needed.all(promised))
    }

    /// Where the log ended when the tenure began.
    pub(in crate::replica) fn inherited(&self) -> Position {
        self.inherited
    }

    /// A secondary has a read of a key that may have changed.
    pub(super) fn on_committed_query(
        &self,
        cx: &mut Context<'_>,
        node: NodeId,
        query: &CommittedQuery,
    ) {
        let committed = cx.core.log.committed();
        let Some(replicator) = self.replicators.get(&node) else {
            return;
        };
        // What is not answered is asked again.
        let is_known = committed >= self.inherited || planted!(TellsBeforeRecommit);
        if is_known && (self.has_lease(cx.now) || planted!(TellsWithoutLease)) {
            let answer = CommittedAnswer {
                asker: query.asker,
                number: query.number,
                committed,
            };
            replicator.say(cx, PeerMessage::CommittedAnswer(answer));
        }
    }

    /// The read lease of a replica that was removed is over.
    pub(in crate::replica) fn on_lease_over(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(replicator) = self.replicators.get_mut(&node)
            && replicator.standing == Standing::Draining
        {
            replicator.stand(cx, Standing::Drained);
        }
        self.advance(cx);
    }

    pub(super) fn on_beacon_ack(&mut self, cx: &mut Context<'_>, node: NodeId, ack: &BeaconAck) {
        let Some(replicator) = self.replicators.get_mut(&node) else {
            return;
        };
        let (me, replica) = (cx.core.meta.incarnation, replicator.incarnation());
        let timing = &cx.core.options.limits.timing;
        replicator.leases.on_ack(cx.now, me, replica, ack, timing);
        let Some((sync, since)) = replicator.answered() else {
            return;
        };
        // It has lost the handshake. What it said before it took it up does not count.
        let is_later = ack.echo.incarnation == cx.core.meta.incarnation && ack.echo.at >= since;
        if is_later && ack.sync != sync {
            self.restart(cx, node);
        }
    }

    /// A Beacon to one replica, unless another one had better be primary.
    pub(super) fn beacon(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let has_lease = self.has_lease(cx.now);
        let is_resigned =
            matches!(self.resignation, Resignation::Resigned(..)) && !planted!(GrantsAfterTakeOver);
        let (Some(replicator), Some(config)) = (self.replicators.get_mut(&node), &cx.core.config)
        else {
            return;
        };
        let (lease, terms) = (cx.timing().lease, cx.terms_of(cx.core.meta.node));
        let has_lease = has_lease || planted!(GrantsWithoutLease);
        if is_resigned || cx.core.disk.hangs(cx.now, lease) {
            return;
        }
        let may_read = has_lease
            && (replicator.standing == Standing::InSync || planted!(GrantsToJoining))
            && replicator.is_streaming()
            && !replicator.is_suspect;
        let incarnation = replicator.incarnation();
        let beacon = Beacon {
            sent: cx.timestamp(),
            committed: cx.core.log.committed(),
            version: config.version,
            grant: match may_read {
                true => replicator.leases.grant(incarnation, &terms),
                false => None,
            },
        };
        replicator.say(cx, PeerMessage::Beacon(beacon));
    }

    /// A Beacon to everybody.
    pub(in crate::replica) fn on_beacon_due(&mut self, cx: &mut Context<'_>) {
        if !self.has_lease(cx.now) {
            // It may have been replaced.
            cx.query_config();
        }
        let nodes: Vec<NodeId> = self.replicators.keys().copied().collect();
        for node in nodes {
            self.beacon(cx, node);
        }
        self.is_deaf = self.hears_nobody(cx);
        // Who hears Beacons does not replace whoever sends them. So one that may be deaf leaves the others the time to do
        // so between two, and still finds out if they hear it again.
        let pause = match self.is_deaf {
            true => 2 * cx.terms_of(cx.core.meta.node).lease_elsewhere(),
            false => cx.timing().beacon,
        };
        cx.arm(Timer::Beacon, pause);
        self.retain(cx);
        // A promise may be what an addition waited for.
        self.advance(cx);
    }

    /// Are there in-sync replicas, and all of them silent?
    fn hears_nobody(&self, cx: &Context<'_>) -> bool {
        let mut in_sync = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync)
            .peekable();
        in_sync.peek().is_some() && in_sync.all(|replicator| replicator.is_silent(cx))
    }
}
