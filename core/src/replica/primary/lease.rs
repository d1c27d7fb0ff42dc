//! The lease of the primary, and those it grants: when it may answer, and when it may commit
//! ([protocol: leases](crate::docs::protocol#leases), [a new tenure](crate::docs::protocol#a-new-tenure)).

use crate::config::{NodeId, Position};
use crate::message::{Beacon, BeaconAck, CommittedAnswer, CommittedQuery, PeerMessage};
use crate::replica::context::Context;
use crate::replica::replicator::{Replicator, Standing};
use crate::replica::timer::Timer;
use crate::time::Instant;

use super::Primary;

impl Primary {
    /// Commits nothing before every read lease of an older epoch is over: those of the in-sync replicas are once they
    /// speak in this epoch, those of replicas that were removed before when none is draining, and all after a while.
    pub(super) fn become_sole(&mut self, cx: &mut Context<'_>) {
        let Some(config) = cx.core.config.as_ref().filter(|_| !self.is_sole) else {
            return;
        };
        let mut in_sync = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync);
        if config.draining.is_empty() && in_sync.all(|replicator| replicator.has_entered) {
            self.on_sole(cx);
        }
    }

    /// No read lease of an older epoch is left.
    pub(in crate::replica) fn on_sole(&mut self, cx: &mut Context<'_>) {
        self.is_sole = true;
        cx.core.timers.disarm(Timer::Sole);
    }

    /// May it answer linearizable reads? A predecessor that has handed over may until it knows, or its own lease is over.
    pub(in crate::replica) fn may_answer(&self, now: Instant) -> bool {
        self.has_lease(now) && (self.is_sole || planted!(PredecessorNotAwaited))
    }

    /// Is it certain that nobody answers in its place?
    pub(super) fn has_lease(&self, now: Instant) -> bool {
        let mut needed = self.replicators.values().filter(|replicator| {
            matches!(replicator.standing, Standing::InSync | Standing::Counted)
                && !(planted!(LeaseWithoutAdded) && replicator.standing == Standing::Counted)
        });
        let promised = |replicator: &Replicator| replicator.leases.has_promised(now);
        planted!(LeaseOfOne => needed.any(promised), needed.all(promised))
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
        if is_known && (self.has_lease(cx.now.time) || planted!(TellsWithoutLease)) {
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
        replicator.has_room = ack.has_room;
        let (me, replica) = (cx.core.meta.incarnation, replicator.incarnation());
        let timing = &cx.core.options.limits.timing;
        replicator
            .leases
            .on_ack(cx.now.time, me, replica, ack, timing);
        let answered = replicator.answered();
        self.resume(cx);
        let Some((sync, since)) = answered else {
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
        let has_lease = self.has_lease(cx.now.time) || planted!(GrantsWithoutLease);
        let is_handing_over = self.is_handing_over() && !planted!(GrantsAfterHandOver);
        let (Some(replicator), Some(config)) = (self.replicators.get_mut(&node), &cx.core.config)
        else {
            return;
        };
        let (lease, terms) = (cx.timing().lease, cx.terms_of(cx.core.meta.node));
        if cx.core.disk.hangs(cx.now.time, lease) {
            return;
        }
        let may_read = has_lease
            && !is_handing_over
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

    /// A replica that has entered the epoch behind the first Beacon had nothing to promise by that: it is asked now, and
    /// not with the next, which reads would wait for.
    pub(super) fn ask_promise(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let has_promised = |replicator: &Replicator| replicator.leases.has_promised(cx.now.time);
        if !self.is_paused && !self.replicators.get(&node).is_some_and(has_promised) {
            self.beacon(cx, node);
        }
    }

    /// A Beacon to everybody.
    pub(in crate::replica) fn on_beacon_due(&mut self, cx: &mut Context<'_>) {
        let has_lease = self.has_lease(cx.now.time);
        if has_lease {
            self.leased_at = self.leased_at.max(cx.now.time);
        }
        if !has_lease || !self.is_answered {
            // It may have been replaced, or be about to have somebody removed.
            cx.query_config();
        }
        let nodes: Vec<NodeId> = self.replicators.keys().copied().collect();
        for node in nodes {
            self.beacon(cx, node);
        }
        // Who hears Beacons does not replace whoever sends them. So one that has been without its lease for longer than it
        // takes to remove who is missed leaves the others the time to do so between two, and still finds out if it can
        // have its lease again.
        let patience = cx.timing().lease / 2;
        self.is_paused = cx.now.time - self.leased_at.min(cx.now.time) >= patience
            && !planted!(BeaconsWithoutLease);
        let pause = match self.is_paused {
            true => 2 * cx.terms_of(cx.core.meta.node).lease_elsewhere(),
            false => cx.timing().beacon,
        };
        cx.arm(Timer::Beacon, pause);
        self.retain(cx);
        // A promise may be what an addition waited for.
        self.advance(cx);
    }

    /// Takes its Beacons up again, if it has its lease again.
    fn resume(&mut self, cx: &mut Context<'_>) {
        if self.is_paused && self.has_lease(cx.now.time) {
            self.is_paused = false;
            self.leased_at = cx.now.time;
            cx.arm(Timer::Beacon, cx.timing().beacon);
        }
    }
}
