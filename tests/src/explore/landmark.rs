//! What a scope is about, as things that happen: a search that never sees them has shown nothing.

use lockstep_core::config::Config;
use lockstep_core::event::Event;
use lockstep_core::message::{ReplyBody, RoleName};

/// What a search should have seen, lest a scope is exhausted and nothing happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Landmark {
    /// A write was acknowledged.
    Acknowledged,
    /// A write failed: its outcome is unknown.
    Failed,
    /// Something was rejected.
    Rejected,
    /// A read was answered by a primary.
    Answered,
    /// A read was answered by a secondary.
    SecondaryAnswered,
    /// A replica came into the in-sync set.
    Added,
    /// A replica was taken out of it.
    Removed,
    /// A tenure began.
    Tenure,
    /// Another replica became primary.
    Replaced,
    /// A primary gave up its lease, to hand over.
    Resigned,
    /// A replica lost power.
    Crashed,
    /// A replica started that had entries.
    Restarted,
    /// A replica cut off a part of its log.
    Truncated,
}

impl Landmark {
    pub(super) fn of_change(former: &Config, present: &Config) -> impl Iterator<Item = Self> {
        let passed = [
            (!present.in_sync.is_subset(&former.in_sync), Self::Added),
            (!former.in_sync.is_subset(&present.in_sync), Self::Removed),
            (former.epoch < present.epoch, Self::Tenure),
            (former.primary != present.primary, Self::Replaced),
        ];
        passed
            .into_iter()
            .filter_map(|(is_passed, landmark)| is_passed.then_some(landmark))
    }

    pub(super) fn of_reply(role: Option<RoleName>, reply: &ReplyBody) -> Option<Self> {
        match reply {
            ReplyBody::OperationAck { .. } => Some(Self::Acknowledged),
            ReplyBody::OperationFailed => Some(Self::Failed),
            ReplyBody::OperationRejected { .. } => Some(Self::Rejected),
            ReplyBody::GetResult { .. } if role == Some(RoleName::Primary) => Some(Self::Answered),
            ReplyBody::GetResult { .. } => Some(Self::SecondaryAnswered),
            _ => None,
        }
    }

    pub(super) fn of_event(event: &Event) -> Option<Self> {
        match event {
            Event::Truncated { .. } => Some(Self::Truncated),
            Event::Resigned(_) => Some(Self::Resigned),
            _ => None,
        }
    }
}
