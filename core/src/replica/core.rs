//! What every role has: what the replica knows, its log, and what is under way on its disk.

use std::collections::BTreeMap;

use crate::config::{ClusterId, Config, ConfigVersion, Epoch, Position};
use crate::epochs::EpochHistory;
use crate::log::Log;
use crate::message::JoinRefusal;
use crate::operation::{ClientId, Decided, Entry, Moment, RequestId};
use crate::sessions::{SessionRows, Sessions};
use crate::storage::{Meta, Ticket};
use crate::time::{Instant, Timers};

use super::answers::Answers;
use super::arbiters::Arbiters;
use super::former::Former;
use super::options::ReplicaOptions;
use super::proof::Saves;
use super::statuses::Statuses;
use super::timer::Timer;

/// What every role has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Core {
    pub(super) options: ReplicaOptions,
    pub(super) meta: Meta,
    pub(super) config: Option<Config>,
    pub(super) former: Former,
    pub(super) log: Log,
    /// The disk was asked to save the log up to here.
    pub(super) saving: Position,
    /// Of the requests with entries known to be committed.
    pub(super) sessions: Sessions,
    /// Of those with entries in the log that are not.
    pub(super) uncommitted: BTreeMap<(ClientId, RequestId), Decided>,
    pub(super) disk: Saves,
    /// The ticket of the next question to the storage.
    pub(super) next_query: Ticket,
    pub(super) statuses: Statuses,
    /// What reads were answered with in this round.
    pub(super) answers: Answers,
    pub(super) timers: Timers<Timer>,
    pub(super) arbiters: Arbiters,
    pub(super) arbiter_heard: bool,
    /// What answers in the arbiter's place is of that cluster.
    pub(super) foreign_arbiter: Option<ClusterId>,
    /// It is to leave, whatever its role is: as soon as the arbiter takes it out.
    pub(super) leaving: Option<Leaving>,
    /// A full state that is being put in place. What the disk has begun is finished, whatever becomes of the role.
    pub(super) installing: Option<Installing>,
    /// It has found out that it has no place. Acted on at the end of the step.
    pub(super) refusal: Option<JoinRefusal>,
}

/// Whether a replica that leaves is to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Leaving {
    /// It gives up its place.
    ForGood,
    /// Its process stops, and starts again some time.
    ToReturn,
}

/// A full state on its way into the place of the present one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Installing {
    pub(super) ticket: Ticket,
    pub(super) at: Moment,
    pub(super) history: EpochHistory,
    pub(super) sessions: SessionRows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsNewer {
    Strictly,
    OrSame,
}

impl Core {
    /// Is this a configuration of its cluster, sound, and newer than the one it knows?
    pub(super) fn is_newer(&self, config: &Config, how: IsNewer) -> bool {
        let known = self.known_version();
        let is_ours = self
            .meta
            .cluster
            .is_none_or(|cluster| cluster == config.cluster);
        let is_newer = match how {
            IsNewer::Strictly => config.version > known || planted!(OlderConfigEntered),
            IsNewer::OrSame => config.version >= known,
        };
        is_ours
            && is_newer
            && config.is_valid()
            // Before it knows any it knows an epoch.
            && (config.epoch >= self.known_epoch().max(self.meta.epoch)
                || planted!(OlderConfigEntered | ArbiterBehindAdmits))
    }

    /// From now on it knows `config`.
    pub(super) fn learn(&mut self, now: Instant, config: Config) {
        self.former.on_config(now, &config);
        self.arbiters.on_config(&config);
        self.config = Some(config);
    }

    /// Takes up that the log has `entry`, whose fate is open.
    pub(super) fn note_uncommitted(&mut self, entry: &Entry) {
        if let Some(origin) = entry.origin() {
            let decided = entry.decided();
            self.uncommitted.entry(origin.request()).or_insert(decided);
        }
    }

    /// Is this replica in the in-sync set, as far as it knows?
    pub(super) fn is_in_sync(&self) -> bool {
        let config = self.config.as_ref();
        config.is_some_and(|config| config.in_sync.contains(&self.meta.node))
    }

    pub(super) fn known_version(&self) -> ConfigVersion {
        self.config
            .as_ref()
            .map_or(ConfigVersion::ZERO, |config| config.version)
    }

    pub(super) fn known_epoch(&self) -> Epoch {
        self.config
            .as_ref()
            .map_or(Epoch::ZERO, |config| config.epoch)
    }
}
