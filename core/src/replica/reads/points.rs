//! Reads of one key: from the newest entries where they know the key, else from the state.

use crate::log::Log;
use crate::message::ReplyBody;
use crate::operation::{Key, Record, Rejection};
use crate::replica::asker::Asker;
use crate::replica::context::Context;
use crate::storage::Query;

use super::levels::{Authority, Level};

/// A client wants the value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Point {
    pub(super) asker: Asker,
    pub(super) key: Key,
    pub(super) level: Level,
}

impl Point {
    pub(super) fn query(&self) -> Query {
        let key = self.key.clone();
        Query::Get { key }
    }

    /// The record that the newest entries it may show give the key; `None` where they do not change it.
    pub(super) fn in_log(&self, log: &Log) -> Option<Option<Record>> {
        let record = match self.level {
            Level::Local => log.newest(&self.key),
            Level::Linearizable if planted!(ReadsDirtyValue) => log.newest(&self.key),
            Level::Committed | Level::Linearizable => log.newest_committed(&self.key),
        };
        record.map(|record| record.cloned())
    }

    /// The state has this record.
    pub(super) fn on_found(
        self,
        cx: &mut Context<'_>,
        authority: Authority,
        found: Option<&Record>,
    ) {
        // The value may have been replaced while nobody had to tell this replica.
        if !self.level.is_allowed(authority) {
            return cx.reject(&self.asker, Rejection::NoLease);
        }
        // An entry that came in meanwhile is newer than what the state had.
        let newer = planted!(OverlaysNothing => None, self.in_log(&cx.core.log));
        let record = newer.unwrap_or_else(|| found.cloned());
        self.answer(cx, record);
    }

    /// Answers with `record`.
    pub(super) fn answer(self, cx: &mut Context<'_>, record: Option<Record>) {
        let position = match self.level {
            Level::Local => {
                // The disk is asked for what somebody has seen; the rest may wait for more.
                let dirty_until = cx.core.log.dirty_until(&self.key);
                if dirty_until > Some(cx.core.saving) {
                    cx.save_log();
                }
                cx.core.saving
            }
            Level::Committed | Level::Linearizable => cx.core.log.committed(),
        };
        let revision = cx.core.log.revision_at(position);
        let key = self.key;
        cx.answer(
            &self.asker,
            ReplyBody::GetResult {
                key,
                record,
                position,
                revision,
            },
        );
    }
}
