//! The arbiter's decisions.

use super::omissions::Omission;
use super::state::{Arbiter, Change};

impl Arbiter {
    /// The Join of `node` arrives, that last learned `version`.
    pub(super) fn on_join(
        &mut self,
        node: usize,
        incarnation: u8,
        version: u8,
        omission: Option<Omission>,
    ) {
        let config = &mut self.config;
        let is_new = incarnation > self.incarnations[node];
        let has_given_up = is_new
            || version >= self.removed_at[node]
            || omission == Some(Omission::DrainingJoinsUninformed);
        self.incarnations[node] = incarnation;
        if is_new {
            if config.is_primary(node) {
                config.epoch += 1;
                config.version += 1;
            } else if omission != Some(Omission::JoinKeepsVersion) {
                config.version += 1;
            }
        }
        if config.in_sync.has(node) || config.joining.has(node) {
            return;
        }
        if config.draining.has(node) && !has_given_up {
            return;
        }
        config.draining = config.draining.without(node);
        config.joining = config.joining.with(node);
        if !is_new {
            config.version += 1;
        }
    }

    /// A proposal of `node` arrives.
    pub(super) fn on_propose(
        &mut self,
        node: usize,
        version: u8,
        change: Change,
        omission: Option<Omission>,
    ) {
        let config = &mut self.config;
        let leaves = matches!(change, Change::Leave(_)) && config.draining.has(node);
        if config.version != version || !config.in_sync.has(node) && !leaves {
            return;
        }
        match change {
            Change::AddInSync(other) => {
                let other = usize::from(other);
                if config.is_primary(node) && config.joining.has(other) {
                    config.joining = config.joining.without(other);
                    config.in_sync = config.in_sync.with(other);
                    config.version += 1;
                }
            }
            Change::RemoveInSync(other) => {
                let other = usize::from(other);
                if config.is_primary(node) && other != node && config.in_sync.has(other) {
                    config.in_sync = config.in_sync.without(other);
                    config.draining = config.draining.with(other);
                    config.version += 1;
                    self.removed_at[other] = config.version;
                }
            }
            Change::Drained(other) => {
                let other = usize::from(other);
                if config.is_primary(node) && config.draining.has(other) {
                    config.draining = config.draining.without(other);
                    config.version += 1;
                }
            }
            Change::ReplacePrimary => {
                if !config.is_primary(node) {
                    config.in_sync = config.in_sync.without(usize::from(config.primary));
                    config.primary = node as u8;
                    config.epoch += 1;
                    config.version += 1;
                }
            }
            Change::HandOver(other) => {
                let other = usize::from(other);
                if config.is_primary(node) && other != node && config.in_sync.has(other) {
                    config.primary = other as u8;
                    config.epoch += 1;
                    config.version += 1;
                }
            }
            Change::Leave(incarnation) => {
                if !config.is_primary(node) && self.incarnations[node] == incarnation {
                    config.version += 1;
                    if leaves || omission == Some(Omission::LeavesAtOnce) {
                        config.draining = config.draining.without(node);
                    } else {
                        config.draining = config.draining.with(node);
                        self.removed_at[node] = config.version;
                    }
                    config.in_sync = config.in_sync.without(node);
                }
            }
        }
        for node in self.config.in_sync.and(self.config.joining).iter() {
            self.removed_at[node] = 0;
        }
    }
}
