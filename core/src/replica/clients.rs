//! What clients want of a replica, by its role.

use crate::config::{Address, Config};
use crate::message::{Request, RequestBody, Source};
use crate::operation::{Operation, Rejection};
use crate::process::{Now, Outbox};
use crate::time::Instant;

use super::Replica;
use super::asker::Asker;
use super::reads::Authority;
use super::role::Role;

impl Replica {
    pub(super) fn on_request(
        &mut self,
        now: Now<'_>,
        from: Address,
        request: Request,
        out: &mut Outbox,
    ) {
        let asker = Asker {
            address: from,
            origin: request.origin,
            attempt: request.attempt,
        };
        if let Some(reason) = request.body.too_large() {
            let cx = &mut self.core.context(now, out);
            return cx.reject(&asker, reason);
        }
        match request.body.row().source {
            Source::Store if !self.is_serving() => {
                let cx = &mut self.core.context(now, out);
                return cx.reject(&asker, Rejection::NotReady);
            }
            Source::Store | Source::Role => {}
        }
        match request.body {
            RequestBody::Insert { key, value } => {
                self.on_write(now, asker, Operation::Insert { key, value }, out);
            }
            RequestBody::Remove { key } => {
                self.on_write(now, asker, Operation::Remove { key }, out)
            }
            RequestBody::Get { key, level } => {
                let authority = self.authority(now.time);
                let cx = &mut self.core.context(now, out);
                self.reads.on_get(cx, authority, asker, key, level);
            }
            RequestBody::Drain(drain) => self.on_drain(now, &asker, drain, out),
            RequestBody::Arbiters(change) => self.on_arbiters(now, &asker, change, out),
            RequestBody::Resolve { key } => {
                self.on_write(now, asker, Operation::Cancel { key }, out);
            }
            RequestBody::Scan { range, limit } => {
                let cx = &mut self.core.context(now, out);
                self.reads.on_scan(cx, asker, range, limit);
            }
            RequestBody::Status => self.on_status(now, asker, out),
        }
    }

    pub(super) fn on_write(
        &mut self,
        now: Now<'_>,
        asker: Asker,
        operation: Operation,
        out: &mut Outbox,
    ) {
        let cx = &mut self.core.context(now, out);
        match &mut self.role {
            Role::Primary(primary) => primary.on_write(cx, asker, operation),
            Role::Secondary(_) => {
                let primary = cx.core.config.as_ref().and_then(Config::primary_member);
                let primary = primary.map(|member| member.address.clone());
                cx.reject(&asker, Rejection::NotPrimary { primary });
            }
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
                cx.reject(&asker, Rejection::NotReady);
            }
        }
    }

    /// Does it answer reads?
    pub(super) fn is_serving(&self) -> bool {
        match &self.role {
            Role::Primary(_) | Role::Secondary(_) | Role::Entering { .. } => true,
            // It had a place and asks for another one, so what it has is of this cluster.
            Role::Starting => self.core.config.is_some(),
            Role::Refused | Role::Leaving | Role::Left => false,
        }
    }

    /// What it may answer linearizable reads by.
    pub(super) fn authority(&self, now: Instant) -> Authority {
        match &self.role {
            Role::Primary(primary)
                if primary.may_answer(now) || planted!(PrimaryReadsWithoutLease) =>
            {
                Authority::Primary {
                    inherited: primary.inherited(),
                }
            }
            Role::Secondary(secondary) => {
                let is_in_sync = self.core.is_in_sync() || planted!(TakesLeaseJoining);
                if is_in_sync && secondary.has_read_lease(now) {
                    Authority::Secondary
                } else {
                    Authority::None
                }
            }
            Role::Primary(_)
            | Role::Starting
            | Role::Refused
            | Role::Entering { .. }
            | Role::Leaving
            | Role::Left => Authority::None,
        }
    }

    /// Answers reads that waited for what this step brought.
    pub(super) fn release_reads(&mut self, now: Now<'_>, out: &mut Outbox) {
        if self.reads.is_anything_waiting() {
            let authority = self.authority(now.time);
            let cx = &mut self.core.context(now, out);
            self.reads.release(cx, authority);
        }
    }
}
