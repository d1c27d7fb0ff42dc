//! What a replica tells of itself.

use crate::message::{NodeStatus, ReplyBody, Usage};
use crate::operation::Rejection;
use crate::process::{Effect, Now, Outbox};
use crate::time::Instant;

use super::Replica;
use super::asker::Asker;
use super::reads::Authority;
use super::role::Role;

impl Replica {
    /// A client wants to know how the node is. What it has used the host knows, who answers at once.
    pub(super) fn on_status(&mut self, now: Now<'_>, asker: Asker, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        if !cx.core.statuses.has_room(&asker) {
            return cx.reject(&asker, Rejection::Overloaded);
        }
        if cx.core.statuses.add(asker) {
            cx.out.push(Effect::MeasureUsage);
        }
    }

    pub(super) fn on_usage(&mut self, now: Now<'_>, usage: Usage, out: &mut Outbox) {
        let status = Box::new(self.status(now.time, usage));
        let cx = &mut self.core.context(now, out);
        for asker in cx.core.statuses.take() {
            cx.reply(&asker, ReplyBody::Status(status.clone()));
        }
    }

    pub(super) fn status(&self, now: Instant, usage: Usage) -> NodeStatus {
        let core = &self.core;
        NodeStatus {
            node: core.meta.node,
            name: core.options.name.clone(),
            address: core.options.address.clone(),
            software: core.options.software.clone(),
            role: self.role(),
            config: core.config.clone(),
            arbiter: core.arbiters.current().clone(),
            arbiter_reachable: core.arbiter_heard,
            foreign_arbiter: core.foreign_arbiter,
            persisted: core.log.persisted(),
            committed: core.log.committed(),
            revision: core.log.revision_at(core.log.committed()),
            log_start: core.log.start(),
            disk_full: core.disk.is_full(),
            has_lease: self.authority(now) != Authority::None,
            sessions: core.sessions.len() as u64,
            peers: match &self.role {
                Role::Primary(primary) => primary.peers(),
                Role::Starting
                | Role::Refused
                | Role::Entering { .. }
                | Role::Secondary(_)
                | Role::Leaving
                | Role::Left => Vec::new(),
            },
            usage,
            former: (core.config.iter())
                .flat_map(|config| core.former.list(now, config))
                .collect(),
            min_in_sync: core.options.limits.min_in_sync,
            arbiters: core.arbiters.status(now),
        }
    }
}
