//! A scheduler whose jobs are carried out one by one.

use super::tight::{Room, TightEngine, TightLog};
use super::*;

/// A scheduler, and what its jobs are carried out on.
pub(super) struct Bench {
    pub(super) scheduler: Scheduler,
    pub(super) log: MemoryLog,
    pub(super) engine: MemoryEngine,
    pub(super) room: Room,
    pub(super) now: Instant,
    pub(super) orders: Vec<Order>,
    /// What was carried out, in short.
    pub(super) done: Vec<&'static str>,
    pub(super) durable: Position,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(SchedulerOptions::for_log(1000))
    }

    pub(super) fn with(options: SchedulerOptions) -> Self {
        let now = Instant::from_millis(1);
        Self {
            scheduler: Scheduler::replica(now, options, Position::ZERO),
            log: MemoryLog::new(NodeId(1)),
            engine: MemoryEngine::new(),
            room: Room::default(),
            now,
            orders: Vec::new(),
            done: Vec::new(),
            durable: Position::ZERO,
        }
    }

    pub(super) fn set_full(&self, what: Full) {
        self.room.set_full(what);
    }

    pub(super) fn tell(&mut self, told: Told) {
        self.scheduler.tell(self.now, told, &mut self.orders);
    }

    pub(super) fn ask(&mut self, ticket: u64, save: Save) {
        self.tell(Told::Save(Ticket(ticket), save));
    }

    /// Carries out one job, if there is one.
    pub(super) fn carry_out(&mut self) -> bool {
        self.scheduler.advance(self.now, &mut self.orders);
        let Some(job) = self.scheduler.job() else {
            return false;
        };
        let name = match job {
            Job::Save(Save::Append { .. }) => "append",
            Job::Save(Save::Truncate { .. }) => "truncate",
            Job::Sync => "sync",
            Job::Save(Save::Meta(_)) => "meta",
            Job::Save(Save::StageBegin) => "begin",
            Job::Save(Save::Stage { .. }) => "stage",
            Job::Save(Save::Install { .. }) => "install",
            Job::Reset { .. } => "reset",
            Job::Trim { .. } => "trim",
            Job::Read { .. } => "read",
            Job::Save(Save::Arbiter(_)) => "record",
        };
        let mut log = TightLog {
            inner: &mut self.log,
            room: &self.room,
        };
        let engine = TightEngine(&self.engine, &self.room);
        let outcome = carry_out(job, &mut log, &engine).expect("only room is lacking");
        if outcome != Outcome::Refused {
            self.done.push(name);
        }
        self.scheduler.done(self.now, outcome, &mut self.orders);
        true
    }

    /// Carries out what the scheduler wants, until it wants nothing. Returns what it has reported.
    pub(super) fn settle(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        loop {
            self.scheduler.advance(self.now, &mut self.orders);
            let orders = std::mem::take(&mut self.orders);
            let is_busy = !orders.is_empty();
            for order in orders {
                match order {
                    Order::Report(report) => reports.push(report),
                    Order::Apply(committed) => {
                        let engine = TightEngine(&self.engine, &self.room);
                        let told = crate::storage::apply(committed, &engine).expect("applied");
                        self.tell(told);
                    }
                    Order::Checkpoint => {
                        let engine = TightEngine(&self.engine, &self.room);
                        let told = crate::storage::checkpoint(&mut self.durable, &engine);
                        self.tell(told.expect("saved"));
                    }
                }
            }
            if !self.carry_out() && !is_busy {
                return reports;
            }
        }
    }

    /// Lets the time pass until what was refused is tried again.
    pub(super) fn retry(&mut self) -> Vec<Report> {
        self.now = self.now + limits::ROOM_INTERVAL;
        self.settle()
    }

    pub(super) fn epochs(&mut self) -> Vec<u64> {
        let entries = self.log.read(self.log.start(), usize::MAX).expect("memory");
        entries.iter().map(|entry| entry.epoch.0).collect()
    }
}
