//! The simulated disk of a replica: log, state, staged state, and what of them survives a crash.
//!
//! It carries out `storage::Write`, `Query` and `Apply` as `core/src/storage.rs` documents them and notes every breach
//! of that contract by the process. It knows no time: the cluster decides when a batch, an answer or an application
//! is done, and when the disk hangs, is full or loses power.

mod crash;
mod parts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::ops::Bound;
use std::sync::Arc;

use lockstep_core::config::{Epoch, Incarnation, NodeId, Position, Token};
use lockstep_core::limits;
use lockstep_core::message::Usage;
use lockstep_core::operation::{ClientId, Entry, Key, Value};
use lockstep_core::process::Input;
use lockstep_core::sessions::{SessionChanges, SessionRows};
use lockstep_core::storage::{Answer, Cursor, Meta, Query, Ticket, Write};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

pub use self::crash::Loss;
pub use self::parts::{DiskLog, DiskState};

/// Keys and their values.
pub type Records = BTreeMap<Key, Value>;

/// The disk of one data directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    meta: Meta,
    log: DiskLog,
    state: DiskState,
    checkpoint: DiskState,
    staged: Option<(Records, SessionRows)>,
    views: BTreeMap<Ticket, DiskState>,
    views_closed_early: BTreeSet<Ticket>,
    queue: VecDeque<(Ticket, Write)>,
    batch: VecDeque<(Ticket, Write)>,
    /// Committed entries that are to be applied, with what they change, once the log has all of them durably.
    applies: VecDeque<(Vec<Arc<Entry>>, SessionChanges)>,
    /// The newest write taken in; asking for it or an older one again changes nothing.
    accepted: Option<Ticket>,
    /// The newest write carried out.
    done: Option<Ticket>,
    /// The newest write ever asked for.
    asked: Option<Ticket>,
    /// The write that found no room: nothing behind it is done before it is asked for again.
    refused: Option<Ticket>,
    retain: Option<Position>,
    is_full: bool,
    log_bytes_max: u64,
    /// Requests to be swallowed before the next is taken in; `None` for a disk that swallows none.
    swallows: Option<u32>,
    /// Where what was ever synced ends, if the log goes on behind it: a mistake may take the rest for durable.
    unsynced_from: Option<Position>,
    breaches: Vec<String>,
}

impl Disk {
    /// The empty data directory of a new node.
    pub fn new(node: NodeId, log_bytes_max: u64) -> Self {
        Self {
            meta: Meta {
                node,
                cluster: None,
                incarnation: Incarnation::ZERO,
                token: Token(0),
                epoch: Epoch::ZERO,
            },
            log: DiskLog::default(),
            state: DiskState::default(),
            checkpoint: DiskState::default(),
            staged: None,
            views: BTreeMap::new(),
            views_closed_early: BTreeSet::new(),
            queue: VecDeque::new(),
            batch: VecDeque::new(),
            applies: VecDeque::new(),
            accepted: None,
            done: None,
            asked: None,
            refused: None,
            retain: None,
            is_full: false,
            log_bytes_max,
            swallows: None,
            unsynced_from: None,
            breaches: Vec::new(),
        }
    }

    /// What the node knows about itself, durably.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The durable log.
    pub fn log(&self) -> &DiskLog {
        &self.log
    }

    /// The state as it is read.
    pub fn state(&self) -> &DiskState {
        &self.state
    }

    /// Does `entry` survive a loss of power now, in the log or in the state made of it?
    pub fn holds(&self, entry: &Entry) -> bool {
        match self.log.entry(entry.seq) {
            Some(_) if self.unsynced_from.is_some_and(|end| !end.covers(entry.seq)) => false,
            Some(held) => **held == *entry,
            None => self.log.start.covers(entry.seq),
        }
    }

    /// Breaches of the storage contract since the last call.
    pub fn take_breaches(&mut self) -> Vec<String> {
        std::mem::take(&mut self.breaches)
    }

    /// Makes the disk full, or makes room.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// Bytes of entries and records asked for and not yet written.
    pub fn bytes_waiting(&self) -> usize {
        self.queue
            .iter()
            .chain(&self.batch)
            .map(|(_, write)| match write {
                Write::Append { entries, .. } => entries.iter().map(|entry| entry.size()).sum(),
                Write::Stage { records, .. } => records
                    .iter()
                    .map(|(key, value)| key.0.len() + value.0.len())
                    .sum(),
                Write::Truncate { .. }
                | Write::Meta(_)
                | Write::StageBegin
                | Write::Install { .. }
                | Write::Arbiter(_) => 0,
            })
            .sum()
    }

    /// Applications asked for and not done.
    pub fn applies_waiting(&self) -> usize {
        self.applies.iter().map(|(entries, _)| entries.len()).sum()
    }

    /// States held fixed.
    pub fn views_open(&self) -> usize {
        self.views.len()
    }

    // ------------------------------------------------------------------------------------------- writes

    /// From now on it swallows up to three requests before it takes one in: the flaky persistence of the official cases.
    pub fn make_flaky(&mut self) {
        self.swallows = Some(0);
    }

    /// Is this write asked for the first time?
    pub fn is_new(&self, ticket: Ticket) -> bool {
        self.asked.is_none_or(|asked| ticket > asked)
    }

    /// Takes a write in.
    pub fn ask(&mut self, ticket: Ticket, write: Write, rng: &mut ChaCha8Rng) {
        self.asked = self.asked.max(Some(ticket));
        if let Some(refused) = self.refused {
            if ticket != refused {
                return;
            }
            self.refused = None;
        } else if self.accepted.is_some_and(|accepted| ticket <= accepted) {
            return;
        }
        match &mut self.swallows {
            // What is swallowed has to be asked for again, and what is behind it as well.
            Some(left) if *left > 0 => {
                *left -= 1;
                self.refused = Some(ticket);
                return;
            }
            Some(left) => *left = rng.random_range(0..=3),
            None => {}
        }
        self.accepted = Some(ticket);
        self.queue.push_back((ticket, write));
    }

    /// Begins to write what waits, if there is anything and nothing is under way: one sync will do for all of it.
    pub fn begin(&mut self) -> bool {
        if !self.batch.is_empty() || self.queue.is_empty() {
            return false;
        }
        self.batch = std::mem::take(&mut self.queue);
        true
    }

    /// The batch is written and synced.
    pub fn finish<T>(&mut self, reports: &mut Vec<Input<T>>) {
        if matches!(self.batch.front(), Some((_, Write::Append { .. }))) {
            self.unsynced_from = None;
        }
        while let Some((ticket, write)) = self.batch.pop_front() {
            let takes_room = matches!(write, Write::Append { .. } | Write::Stage { .. });
            if self.is_full && takes_room {
                self.refused = Some(ticket);
                self.batch.clear();
                self.queue.clear();
                reports.push(Input::DiskFull);
                return;
            }
            if self.is_early(&write) {
                // What comes before it was refused, and is asked for again; so is this.
                self.accepted = self.done;
                self.batch.clear();
                self.queue.clear();
                return;
            }
            self.done = Some(ticket);
            self.carry_out(write);
            reports.push(Input::Persisted(ticket));
        }
    }

    /// Is there a write that it is not done with?
    pub fn has_waiting(&self) -> bool {
        !self.batch.is_empty() || !self.queue.is_empty()
    }

    /// Writes and syncs the one write that waits longest.
    pub fn finish_one<T>(&mut self, reports: &mut Vec<Input<T>>) {
        if let Some(first) = self.queue.pop_front() {
            self.batch.push_back(first);
            self.finish(reports);
        }
    }

    /// Says of the write that waits longest that it is done, and forgets it: a disk that lies.
    pub fn pretend_one<T>(&mut self, reports: &mut Vec<Input<T>>) {
        if let Some((ticket, _)) = self.queue.pop_front() {
            self.done = Some(ticket);
            reports.push(Input::Persisted(ticket));
        }
    }

    /// Does the log lack what comes before?
    fn is_early(&self, write: &Write) -> bool {
        let Write::Append { entries, .. } = write else {
            return false;
        };
        let first = entries.first();
        first.is_some_and(|first| Position::before(first.seq) > self.log.end())
    }

    fn carry_out(&mut self, write: Write) {
        match write {
            Write::Append { entries, committed } => {
                self.append(entries);
                self.log.hint = self.log.hint.max(committed);
            }
            Write::Truncate { keep } => {
                if keep < self.log.start || keep > self.log.end() {
                    self.breach(format!(
                        "truncate to {keep} a log of {}..{}",
                        self.log.start,
                        self.log.end()
                    ));
                } else if keep < self.state.applied {
                    self.breach(format!(
                        "truncate to {keep} what is applied up to {}",
                        self.state.applied
                    ));
                } else {
                    self.log.truncate(keep);
                }
            }
            Write::Meta(meta) => {
                if meta.node != self.meta.node || meta.incarnation != self.meta.incarnation {
                    self.breach("meta of another node or incarnation".to_owned());
                }
                self.meta = meta;
            }
            Write::StageBegin => self.staged = Some(Default::default()),
            Write::Stage { records, sessions } => {
                let Some((staged, staged_sessions)) = &mut self.staged else {
                    return self.breach("stage without a beginning".to_owned());
                };
                for (key, value) in records {
                    if staged.last_key_value().is_some_and(|last| *last.0 >= key) {
                        self.breaches.push(format!("staged {key:?} out of order"));
                    }
                    staged.insert(key, value);
                }
                let last = staged_sessions.rows.last_key_value();
                let first = sessions.rows.first_key_value();
                if matches!((last, first), (Some(last), Some(first)) if last.0 >= first.0) {
                    self.breaches
                        .push("staged sessions out of order".to_owned());
                }
                staged_sessions.extend(sessions);
            }
            Write::Install { at, history } => {
                let Some((records, sessions)) = self.staged.take() else {
                    return self.breach("install of nothing staged".to_owned());
                };
                if at < self.state.applied {
                    self.breach(format!("install at {at} below {}", self.state.applied));
                }
                self.state = DiskState {
                    records,
                    sessions,
                    applied: at,
                };
                self.checkpoint = self.state.clone();
                self.applies.clear();
                self.log = DiskLog {
                    start: at,
                    entries: VecDeque::new(),
                    bytes: 0,
                    history,
                    hint: at,
                };
            }
            Write::Arbiter(_) => self.breach("the arbiter's record on a replica".to_owned()),
        }
    }

    fn append(&mut self, entries: Vec<Arc<Entry>>) {
        for entry in entries {
            if Position::before(entry.seq) != self.log.end() {
                return self.breach(format!(
                    "append of {} to a log that ends at {}",
                    entry.seq,
                    self.log.end()
                ));
            }
            if entry.epoch < self.log.history.last_epoch() {
                return self.breach(format!(
                    "append of epoch {} behind a newer one",
                    entry.epoch
                ));
            }
            self.log.push(entry);
        }
    }

    fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    // --------------------------------------------------------------------------------- state and reads

    /// Takes an application in.
    pub fn ask_apply(&mut self, entries: Vec<Arc<Entry>>, sessions: SessionChanges) {
        self.applies.push_back((entries, sessions));
    }

    /// Is there something to apply that the log has? It may still have what was there before a truncation.
    pub fn can_apply(&self) -> bool {
        let has = |entry: &Arc<Entry>| self.log.entry(entry.seq) == Some(entry);
        self.applies
            .front()
            .is_some_and(|(entries, _)| entries.iter().all(has))
    }

    /// All that waits is applied, as far as the log has it: the state never gets ahead of the log.
    pub fn finish_applies<T>(&mut self, reports: &mut Vec<Input<T>>) {
        let before = self.state.applied;
        while self.can_apply()
            && let Some((entries, sessions)) = self.applies.pop_front()
        {
            for entry in entries {
                if Position::before(entry.seq) == self.state.applied {
                    self.state.apply(&entry);
                } else {
                    self.breach(format!(
                        "applied {} to a state of {}",
                        entry.seq, self.state.applied
                    ));
                }
            }
            self.state.change(sessions);
        }
        if self.state.applied > before {
            reports.push(Input::Applied(self.state.applied));
        }
    }

    /// Keeps the log from here on.
    pub fn retain(&mut self, position: Position) {
        self.retain = Some(position);
    }

    /// Makes the state durable and drops the part of the log that is too much. Returns where the log begins, if that is new.
    pub fn checkpoint(&mut self) -> Option<Position> {
        self.checkpoint = self.state.clone();
        let before = self.retain.map_or(self.checkpoint.applied, |kept| {
            kept.min(self.checkpoint.applied)
        });
        let former = self.log.start;
        while self.log.bytes > self.log_bytes_max && self.log.start < before {
            self.log.trim_one();
        }
        (self.log.start > former).then_some(self.log.start)
    }

    /// Answers a question as of now.
    pub fn answer(&mut self, ticket: Ticket, query: Query) -> Option<Answer> {
        match query {
            Query::Get { key } => Some(Answer::Value(self.state.records.get(&key).cloned())),
            Query::Scan { after, limit } => Some(page(&self.state.records, after.as_ref(), limit)),
            Query::Log { from } => Some(Answer::Entries(self.read_log(from))),
            Query::OpenView => {
                if self.views_closed_early.remove(&ticket) {
                    return None;
                }
                self.views.insert(ticket, self.state.clone());
                Some(Answer::View {
                    at: self.state.applied,
                    records: self.state.records.len() as u64,
                })
            }
            // There is no answer if the process let go of it while the question was on its way.
            Query::ReadView { view, after } => self.views.get(&view).map(|state| match after {
                Cursor::Records(after) => page(&state.records, after.as_ref(), None),
                Cursor::Sessions(after) => session_page(&state.sessions, after),
            }),
            Query::Usage => Some(Answer::Usage(Usage::default())),
        }
    }

    /// Lets go of a state held fixed.
    pub fn close_view(&mut self, ticket: Ticket) {
        if self.views.remove(&ticket).is_none() {
            self.views_closed_early.insert(ticket);
        }
    }

    fn read_log(&self, from: Position) -> Vec<Arc<Entry>> {
        let mut bytes = 0;
        let mut entries = Vec::new();
        let mut next = from.next_seq();
        while let Some(entry) = self.log.entry(next) {
            bytes += entry.size();
            if bytes > limits::SNAPSHOTS_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
            next = next.next();
        }
        entries
    }
}

/// Records per page: few, so that scans and state transfers take several steps.
const PAGE_RECORDS: usize = 3;

fn page(records: &Records, after: Option<&Key>, limit: Option<NonZeroU32>) -> Answer {
    let records_max = limits::page_records_max(limit).min(PAGE_RECORDS);
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = records.range::<Key, _>((start, Bound::Unbounded));
    let records: Vec<_> = rest
        .by_ref()
        .take(records_max)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Answer::Page {
        records,
        more: rest.next().is_some(),
    }
}

/// Clients per page: few, for the same reason.
const PAGE_SESSIONS: usize = 2;

fn session_page(sessions: &SessionRows, after: Option<ClientId>) -> Answer {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = sessions.rows.range((start, Bound::Unbounded));
    let rows = rest
        .by_ref()
        .take(PAGE_SESSIONS)
        .map(|(client, row)| (*client, row.clone()))
        .collect();
    Answer::Sessions {
        sessions: SessionRows {
            rows,
            forgotten: sessions.forgotten,
        },
        more: rest.next().is_some(),
    }
}
