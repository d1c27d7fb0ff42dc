//! What the log and the state of a replica must be, going by what the replica asked its disk for.
//!
//! The invariants judge by this and not by what a replica says about itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use lockstep_core::config::{Position, Seq};
use lockstep_core::operation::{Entry, Key, Keyed, Record};
use lockstep_core::storage::{Save, Ticket};

use crate::disk::{Disk, Medium, Records};

/// The log of one running replica as it has it in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Shadow {
    start: Position,
    entries: VecDeque<Arc<Entry>>,
    /// What each key was set to, and behind which entry.
    versions: BTreeMap<Key, Vec<(Position, Option<Record>)>>,
    staged: Records,
    /// The state that is being put in place: its ticket and its position.
    installing: Option<(Ticket, Position)>,
    /// Raised whenever the log gets shorter or is replaced.
    generation: u64,
}

impl Shadow {
    /// Of a replica that starts from `disk`.
    pub fn of(disk: &Disk<impl Medium>) -> Self {
        let mut shadow = Self {
            start: disk.log().start(),
            ..Self::default()
        };
        shadow.set_base(&disk.state().records);
        for entry in disk.log().entries() {
            if !disk.state().applied.covers(entry.seq) {
                shadow.note(entry);
            }
            shadow.entries.push_back(entry.clone());
        }
        shadow
    }

    /// Where the log ends.
    pub fn end(&self) -> Position {
        Position(self.start.0 + self.entries.len() as u64)
    }

    /// Where the log as asked for begins; what was trimmed since the start still counts.
    pub fn start(&self) -> Position {
        self.start
    }

    /// The entry at `seq`, if the log has it.
    pub fn entry(&self, seq: Seq) -> Option<&Arc<Entry>> {
        let index = seq.0.checked_sub(self.start.0)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Changes whenever the log got shorter or was replaced.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The records collected since the last `StageBegin`.
    pub fn staged(&self) -> &Records {
        &self.staged
    }

    /// The replica learns that a save is done.
    pub fn on_persisted(&mut self, ticket: Ticket) {
        if let Some((awaited, at)) = self.installing
            && awaited == ticket
        {
            self.installing = None;
            self.start = at;
            self.entries.clear();
            let records = std::mem::take(&mut self.staged);
            self.set_base(&records);
            self.generation += 1;
        }
    }

    /// Follows a save of the replica.
    pub fn follow(&mut self, ticket: Ticket, save: &Save) {
        match save {
            Save::Append { entries, .. } => {
                for entry in entries {
                    self.note(entry);
                    self.entries.push_back(entry.clone());
                }
            }
            Save::Truncate { keep } => {
                while self.end() > *keep && self.entries.pop_back().is_some() {}
                for versions in self.versions.values_mut() {
                    versions.retain(|(at, _)| at <= keep);
                }
                self.generation += 1;
            }
            Save::StageBegin => self.staged.clear(),
            Save::Stage { records, .. } => {
                let records = records.iter().cloned();
                let records = records.map(|Keyed { key, record }| (key, record));
                self.staged.extend(records);
            }
            Save::Install { at, .. } => self.installing = Some((ticket, at.position)),
            Save::Meta(_) | Save::Arbiter(_) => {}
        }
    }

    /// Was `record` what the key had at the position `from`, or at a later one up to `to`?
    pub fn had(&self, key: &Key, record: Option<&Record>, from: Position, to: Position) -> bool {
        let versions = self.versions.get(key).map_or(&[][..], Vec::as_slice);
        let behind = versions.partition_point(|(at, _)| *at <= from);
        let at_from = behind
            .checked_sub(1)
            .and_then(|index| versions[index].1.as_ref());
        at_from == record
            || versions[behind..]
                .iter()
                .take_while(|(at, _)| *at <= to)
                .any(|(_, later)| later.as_ref() == record)
    }

    /// The keys that it has known, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.versions.keys()
    }

    fn note(&mut self, entry: &Entry) {
        for change in &entry.changes {
            let version = (Position::behind(entry.seq), change.record.clone());
            let versions = self.versions.entry(change.key.clone());
            versions.or_default().push(version);
        }
    }

    fn set_base(&mut self, records: &Records) {
        self.versions = records
            .iter()
            .map(|(key, record)| (key.clone(), vec![(Position::ZERO, Some(record.clone()))]))
            .collect();
    }
}
