//! The log thread: executes writes in order, and makes everything that waits durable with one sync.
//!
//! While a sync runs, further writes queue up and share the next. Reads of the log take turns with the groups.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};

use async_channel::Sender;

use crate::config::Position;
use crate::engine::{LogStore, StoreError};
use crate::epochs::EpochHistory;
use crate::limits;
use crate::operation::Entry;
use crate::storage::{Answer, Meta, Ticket};

use super::counts::Counters;
use super::state::{Installed, Installs};
use super::{Completion, Fate, Submission, send};

/// Entries made durable by one sync, in bytes: what a disk takes in a few milliseconds, so that the first of them
/// need not wait longer than that for the last.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// What the log thread does.
#[derive(Debug)]
pub(super) enum LogRequest {
    /// A durable change, from the process.
    Write(Submission<LogWrite>),
    /// Entries for a replica that is behind, from the process.
    Read { ticket: Ticket, from: Position },
    /// Never trim behind this, from the process.
    Retain(Position),
    /// The state is durable up to here and needs no log before it, from the checkpointer.
    Checkpointed(Position),
    /// The state found no room for a write of this generation, or for committed entries; from the state thread.
    NoRoom { generation: Option<u64> },
}

/// Durable changes that concern the log.
#[derive(Debug)]
pub(super) enum LogWrite {
    Append {
        entries: Vec<Arc<Entry>>,
        committed: Position,
    },
    Truncate {
        keep: Position,
    },
    Meta(Meta),
    /// The state thread puts the new state in place; then the log begins anew.
    Install {
        at: Position,
        history: EpochHistory,
    },
}

/// Owns the log.
pub(super) struct LogThread {
    log: Box<dyn LogStore>,
    log_bytes_max: u64,
    installs: Installs,
    report: Sender<Completion>,
    fate: Fate,
    counters: Arc<Counters>,
    writes: VecDeque<Submission<LogWrite>>,
    reads: VecDeque<(Ticket, Position)>,
    group: Group,
    /// Never trim behind this; `None` before the process has said anything.
    retain: Option<Position>,
    /// The state is durable up to here, and a restart needs no log before it.
    checkpointed: Position,
    /// Trimmed last for this position.
    trimmed: Position,
    /// That of the write executed last.
    generation: u64,
    /// Writes of generations up to this found no room.
    failed: Option<u64>,
}

/// Writes executed, or gathered to be, that the next sync makes durable.
#[derive(Default)]
struct Group {
    /// Gathered for one append.
    entries: Vec<Arc<Entry>>,
    committed: Position,
    /// The writes `entries` are of.
    gathered: Vec<Ticket>,
    /// Executed, but not durable.
    executed: Vec<Ticket>,
    /// Bytes gathered or executed.
    bytes: usize,
    /// Entries appended and not durable, and their bytes.
    appended: (usize, usize),
}

/// Why a write was not done.
enum Trouble {
    /// It can be tried again.
    NoRoom,
    /// The process must end.
    Fatal(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoRoom { .. } => Self::NoRoom,
            error => Self::Fatal(error),
        }
    }
}

impl LogThread {
    pub(super) fn new(
        log: Box<dyn LogStore>,
        log_bytes_max: u64,
        installs: Installs,
        report: Sender<Completion>,
        fate: Fate,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            log,
            log_bytes_max,
            installs,
            report,
            fate,
            counters,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            group: Group::default(),
            retain: None,
            checkpointed: Position::ZERO,
            trimmed: Position::ZERO,
            generation: 0,
            failed: None,
        }
    }

    pub(super) fn run(
        mut self,
        requests: &mpsc::Receiver<Vec<LogRequest>>,
    ) -> Result<(), StoreError> {
        loop {
            if self.writes.is_empty() && self.reads.is_empty() {
                let Ok(batch) = requests.recv() else {
                    return Ok(());
                };
                self.take(batch)?;
            }
            while let Ok(batch) = requests.try_recv() {
                self.take(batch)?;
            }
            if self.fate.is_abandoned() {
                return Ok(());
            }
            self.write_group()?;
            self.trim()?;
            if let Some((ticket, from)) = self.reads.pop_front() {
                let entries = self.log.read(from, limits::SNAPSHOTS_BYTES_MAX)?;
                let answer = vec![(ticket, Answer::Entries(entries))];
                send(&self.report, Completion::Answered(answer));
            }
        }
    }

    fn take(&mut self, batch: Vec<LogRequest>) -> Result<(), StoreError> {
        for request in batch {
            match request {
                LogRequest::Write(submission) => self.writes.push_back(submission),
                LogRequest::Read { ticket, from } => self.reads.push_back((ticket, from)),
                LogRequest::Retain(from) => self.retain = Some(from),
                LogRequest::Checkpointed(position) => self.checkpointed = position,
                LogRequest::NoRoom { generation } => {
                    self.on_no_room(generation.unwrap_or(self.generation));
                }
            }
        }
        Ok(())
    }

    /// Executes what waits, up to `GROUP_BYTES_MAX`, and makes it durable.
    fn write_group(&mut self) -> Result<(), StoreError> {
        let outcome = self.execute_waiting();
        // What was executed before the trouble is done; what was only gathered is not.
        self.group.entries.clear();
        self.group.gathered.clear();
        self.sync()?;
        self.group = Group::default();
        match outcome {
            Ok(()) => {}
            Err(Trouble::NoRoom) => self.on_no_room(self.generation),
            Err(Trouble::Fatal(error)) => return Err(error),
        }
        Ok(())
    }

    fn execute_waiting(&mut self) -> Result<(), Trouble> {
        while self.group.bytes < GROUP_BYTES_MAX {
            let Some(Submission {
                ticket,
                generation,
                write,
            }) = self.writes.pop_front()
            else {
                break;
            };
            if Some(generation) <= self.failed {
                if let LogWrite::Install { .. } = write {
                    self.installs.skip();
                }
                continue;
            }
            self.generation = generation;
            self.execute(ticket, write)?;
        }
        self.append_gathered()
    }

    fn execute(&mut self, ticket: Ticket, write: LogWrite) -> Result<(), Trouble> {
        match write {
            LogWrite::Append { entries, committed } => {
                let end = Position(self.log.end().0 + self.group.entries.len() as u64);
                let is_next = entries
                    .first()
                    .is_none_or(|first| first.seq == end.next_seq());
                if is_next {
                    self.group.gather(ticket, entries, committed);
                } else {
                    // One before it found no room; the process will ask for both again, in order.
                    send(&self.report, Completion::Ignored(vec![ticket]));
                }
            }
            LogWrite::Truncate { keep } => {
                self.append_gathered()?;
                if keep < self.log.end() {
                    self.log.truncate(keep)?;
                }
                self.group.executed.push(ticket);
            }
            LogWrite::Meta(meta) => {
                self.append_gathered()?;
                self.sync().map_err(Trouble::Fatal)?;
                self.log.save_meta(&meta)?;
                self.counters.synced(0, 0);
                send(&self.report, Completion::Persisted(vec![ticket]));
            }
            LogWrite::Install { at, history } => {
                if let Err(trouble) = self.append_gathered() {
                    self.installs.skip();
                    return Err(trouble);
                }
                self.sync().map_err(Trouble::Fatal)?;
                match self.installs.go() {
                    Installed::Done => {}
                    Installed::NoRoom => return Err(Trouble::NoRoom),
                    Installed::Ended => {
                        self.fate.abandon();
                        self.writes.clear();
                        return Ok(());
                    }
                }
                // From here on there is no way back: the next start would find the new state and do the same.
                self.log.reset(at, &history).map_err(Trouble::Fatal)?;
                self.log.sync().map_err(Trouble::Fatal)?;
                self.counters.synced(0, 0);
                send(&self.report, Completion::Persisted(vec![ticket]));
            }
        }
        Ok(())
    }

    fn append_gathered(&mut self) -> Result<(), Trouble> {
        if self.group.gathered.is_empty() {
            return Ok(());
        }
        self.log.append(&self.group.entries, self.group.committed)?;
        let bytes = self.group.entries.iter().map(|entry| entry.size());
        self.group.appended.0 += self.group.entries.len();
        self.group.appended.1 += bytes.sum::<usize>();
        self.group.entries.clear();
        self.group.executed.append(&mut self.group.gathered);
        Ok(())
    }

    /// Makes durable what was executed. A failed sync is the end: what the disk has is then unknown.
    fn sync(&mut self) -> Result<(), StoreError> {
        if self.group.executed.is_empty() {
            return Ok(());
        }
        self.log.sync()?;
        let (entries, bytes) = std::mem::take(&mut self.group.appended);
        self.counters.synced(entries, bytes);
        let durable = std::mem::take(&mut self.group.executed);
        send(&self.report, Completion::Persisted(durable));
        Ok(())
    }

    /// Throws away what was asked for with the write that found no room, and tells so once.
    fn on_no_room(&mut self, generation: u64) {
        if self.failed < Some(generation) {
            self.failed = Some(generation);
            send(&self.report, Completion::DiskFull);
        }
    }

    /// Drops what neither a restart nor a replica that is behind needs, if that has become more.
    fn trim(&mut self) -> Result<(), StoreError> {
        let before = self
            .retain
            .map_or(self.checkpointed, |retain| retain.min(self.checkpointed));
        let start = self.log.start();
        if before <= start || before == self.trimmed {
            return Ok(());
        }
        self.trimmed = before;
        let trimmed = self.log.trim(before, self.log_bytes_max)?;
        if start < trimmed {
            send(&self.report, Completion::Trimmed(trimmed));
        }
        Ok(())
    }
}

impl Group {
    fn gather(&mut self, ticket: Ticket, entries: Vec<Arc<Entry>>, committed: Position) {
        self.bytes += entries.iter().map(|entry| entry.size()).sum::<usize>();
        if self.entries.is_empty() {
            self.entries = entries;
        } else {
            self.entries.extend(entries);
        }
        self.committed = self.committed.max(committed);
        self.gathered.push(ticket);
    }
}
