//! Leases ([protocol](crate::docs::protocol#leases)): what a primary may rely on because others promised it, and what a
//! secondary may because the primary granted it. Each end counts in its own clock's time, the one that waits for the other's
//! end longer ([clocks](crate::docs::protocol#clocks)).

use std::time::Duration;

use crate::config::{Incarnation, Terms};
use crate::limits::Timing;
use crate::message::{BeaconAck, Timestamp};
use crate::time::Instant;

/// The primary's side of its leases with one other replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Leases {
    /// Before this the replica does not propose to replace the primary.
    promised_until: Option<Instant>,
    /// Its newest timestamp, and when that arrived here.
    heard: Option<(Timestamp, Instant)>,
    /// It may answer linearizable reads until then, by this clock and reckoned generously; `None` if it never might.
    readable_until: Option<Instant>,
}

impl Leases {
    /// The replica, in that start of it, answers a Beacon of this start of the primary.
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        me: Incarnation,
        replica: Incarnation,
        ack: &BeaconAck,
        timing: &Timing,
    ) {
        if ack.echo.incarnation == me || planted!(FormerEchoCounts) {
            // Counted from when the Beacon left: the promise began when it arrived, which is later.
            let from = planted!(LeaseFromReceipt => now, ack.echo.at);
            let until = Some(from + timing.lease);
            self.promised_until = self.promised_until.max(until);
        }
        let is_newer = self
            .heard
            .is_none_or(|(heard, _)| heard.incarnation != replica || heard.at < ack.sent.at);
        if ack.sent.incarnation == replica && is_newer {
            self.heard = Some((ack.sent, now));
        }
    }

    /// Does a promise of the replica hold?
    pub(super) fn has_promised(&self, now: Instant) -> bool {
        self.promised_until.is_some_and(|until| until > now)
    }

    /// What to echo so that the replica, in that start of it, may answer linearizable reads.
    pub(super) fn grant(&mut self, replica: Incarnation, terms: &Terms) -> Option<Timestamp> {
        let (timestamp, arrived) = self.heard?;
        if timestamp.incarnation != replica {
            return None;
        }
        let lease = planted!(RemovedLeaseWithoutDrift => terms.lease, terms.lease_elsewhere());
        self.assume(arrived + lease);
        Some(timestamp)
    }

    /// Reckons with a read lease until then.
    pub(super) fn assume(&mut self, until: Instant) {
        self.readable_until = self.readable_until.max(Some(until));
    }

    /// Until when to reckon with a read lease; `None` if that is over.
    pub(super) fn readable_until(&self, now: Instant) -> Option<Instant> {
        self.readable_until.filter(|until| *until > now)
    }

    /// The replica has given up what the primary's predecessor granted.
    pub(super) fn on_given_up(&mut self) {
        self.readable_until = None;
    }
}

/// A secondary's permission to answer linearizable reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReadLease {
    /// Grants for timestamps up to this are of a role that has ended, and was given up.
    since: Instant,
    until: Option<Instant>,
}

impl ReadLease {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, until: None }
    }

    /// The primary echoes a timestamp of this start.
    pub(super) fn on_grant(&mut self, me: Incarnation, grant: Timestamp, lease: Duration) {
        let is_mine = grant.incarnation == me || planted!(FormerGrantCounts);
        if is_mine && (grant.at > self.since || planted!(GrantOfFormerRoleCounts)) {
            self.until = self.until.max(Some(grant.at + lease));
        }
    }

    /// Does it hold?
    pub(super) fn is_valid(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }
}
