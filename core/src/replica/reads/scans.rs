//! Reads of a range, page by page: the state, with the newest entries laid over it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::engine::Page;
use crate::limits;
use crate::log::Log;
use crate::message::ReplyBody;
use crate::operation::{Key, Keyed, Record};
use crate::range::KeyRange;
use crate::replica::asker::Asker;
use crate::replica::context::Context;
use crate::storage::Query;

/// A client wants a page of records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scan {
    pub(super) asker: Asker,
    pub(super) range: KeyRange,
    pub(super) limit: Option<NonZeroU32>,
}

impl Scan {
    pub(super) fn query(&self) -> Query {
        Query::Scan {
            range: self.range.clone(),
            limit: self.limit,
        }
    }

    /// The state has these records first, and more behind them or not.
    pub(super) fn on_found(self, cx: &mut Context<'_>, found: &Page) {
        cx.save_log();
        let page = self.page(&cx.core.log, found);
        cx.answer(&self.asker, page);
    }

    /// A page of the state, with the newest entries laid over it. What they remove may make it shorter although more follow.
    fn page(&self, log: &Log, found: &Page) -> ReplyBody {
        let records = &found.records;
        let through = if found.more {
            records.last().map(|last| &last.key)
        } else {
            None
        };
        let mut merged: BTreeMap<&Key, Option<&Record>> = records
            .iter()
            .map(|Keyed { key, record }| (key, Some(record)))
            .collect();
        if !planted!(ScansStateAlone) {
            let told = match through {
                Some(last) => self.range.through(last.clone()),
                None => self.range.clone(),
            };
            merged.extend(log.newest_of(&told));
        }
        let mut resume = through;
        let records_max = limits::page_records_max(self.limit);
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (index, (key, record)) in merged.iter().enumerate() {
            let Some(record) = *record else { continue };
            let keyed = Keyed::from(((*key).clone(), record.clone()));
            bytes += keyed.size();
            page.push(keyed);
            let is_full = bytes >= limits::CHUNK_BYTES_MAX || page.len() >= records_max;
            if is_full && index + 1 < merged.len() {
                resume = Some(*key);
                break;
            }
        }
        ReplyBody::ScanResult {
            records: page,
            resume: resume.cloned(),
        }
    }
}
