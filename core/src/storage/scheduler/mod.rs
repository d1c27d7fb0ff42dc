//! The scheduler: what the disk does next, and what is reported of it. A deterministic machine between a process, which asks,
//! and whoever owns log and state, who carries out one job after the other ([protocol: disk](crate::docs::protocol#disk)).
//!
//! - **Order.** The scheduler has saves carried out in the order in which the process asked for them, each wholly before the
//!   next, whatever they concern. Nothing overtakes anything, so what it reports rests on everything that was asked for before.
//! - **Groups.** It has what waits when a group begins appended as one, and synced once. What comes meanwhile is the next
//!   group, so that the first of a group does not wait for the last of many. Reads of the log, and trimming, take turns
//!   with groups.
//! - **Refusal.** It keeps a save that finds no room first in its queue, with everything behind it, and tries it again from
//!   time to time; what was carried out before, it has synced and reports all the same. Entries that the state has no room
//!   for, and checkpoints, it keeps and tries again likewise. It reports once that there is no room, and once that there is
//!   again, when nothing is refused any more.
//! - **Installation.** It has the collected state put in place when everything before is durable and nothing is being applied
//!   to the state that this replaces; then it has the log begin anew, and only then reports. It drops entries for the former
//!   state.
//! - **Trimming** goes up to what a checkpoint has made durable in the state, and never beyond what the process wants retained.

mod state;
#[cfg(test)]
mod tests;
mod trimming;
mod words;

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::config::Position;
use crate::limits;
use crate::time::Instant;

use self::state::State;
use self::trimming::Trimming;
pub use self::words::{Job, Order, Outcome, Report, Told};
use super::{Answer, Save, Ticket};

/// When the disk of a replica does what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchedulerOptions {
    /// Entries kept in the log for replicas that come back, in bytes.
    pub log_bytes_max: u64,
    /// Entries made durable by one sync, in bytes: what a disk takes in a few milliseconds, so that the first of them
    /// need not wait longer than that for the last.
    pub group_bytes_max: usize,
    /// Entries applied as one, in bytes: readers wait while they are, and see the outcome soon.
    pub apply_bytes_max: usize,
    /// A checkpoint is made when this much was applied since the last: about what a restart reads back in a second. Or
    /// when it is half of what the log may hold, which can be trimmed behind a checkpoint only.
    pub checkpoint_bytes: u64,
    /// A checkpoint is made when the last was this long ago.
    pub checkpoint_interval: Duration,
}

impl SchedulerOptions {
    /// For a log that keeps so many bytes of entries.
    pub fn for_log(log_bytes_max: u64) -> Self {
        Self {
            log_bytes_max,
            group_bytes_max: 4 << 20,
            apply_bytes_max: 64 << 10,
            checkpoint_bytes: (64 << 20).min(log_bytes_max / 2),
            checkpoint_interval: Duration::from_secs(10),
        }
    }
}

/// What the log has done since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entries made durable.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub entry_bytes: u64,
    /// Syncs.
    pub syncs: u64,
}

/// What was counted makes no difference to what happens next, so it tells no schedulers apart.
impl Hash for Counts {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// The disk of one process, as a machine.
///
/// - `head` was taken from the front of `queue`; nothing of `queue` is looked at before it is carried out.
/// - `group` is carried out and waits for its sync.
/// - While anything is refused, `retry_at` is when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scheduler {
    options: SchedulerOptions,
    queue: VecDeque<(Ticket, Save)>,
    head: Option<Head>,
    group: Group,
    doing: Option<Doing>,
    /// A group is over, and others have not had their turn since.
    is_turn_of_others: bool,
    reads: VecDeque<(Ticket, Position)>,
    trimming: Trimming,
    /// `None` where there is no state: at an arbiter.
    state: Option<State>,
    retry_at: Option<Instant>,
    /// The process was told that there is no room.
    is_told_full: bool,
    end: End,
    counts: Counts,
}

/// Saves that are carried out as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Head {
    tickets: Vec<Ticket>,
    job: Job,
    /// It found no room when it was tried last.
    is_refused: bool,
}

/// What the next sync makes durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Group {
    /// Saves in the queue that belong to it as well.
    left: usize,
    executed: Vec<Ticket>,
    entries: u64,
    bytes: usize,
}

/// What is being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Head,
    Sync,
    Trim(Job),
    Read(Ticket, Job),
}

/// How far the scheduler is in coming to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum End {
    /// The process runs.
    NotYet,
    /// It has ended. What it asked for is finished.
    Closing,
    /// That is done, and the state is being saved.
    Saving,
    /// There is nothing more to do.
    Finished,
}

impl Scheduler {
    /// The disk of a replica that starts with a log that begins at `log_start`.
    pub fn replica(now: Instant, options: SchedulerOptions, log_start: Position) -> Self {
        let state = Some(State::new(now, &options));
        Self::new(options, Trimming::new(log_start), state)
    }

    /// The disk of an arbiter.
    pub fn arbiter() -> Self {
        let options = SchedulerOptions::for_log(0);
        Self::new(options, Trimming::new(Position::ZERO), None)
    }

    fn new(options: SchedulerOptions, trimming: Trimming, state: Option<State>) -> Self {
        Self {
            options,
            queue: VecDeque::new(),
            head: None,
            group: Group::default(),
            doing: None,
            is_turn_of_others: false,
            reads: VecDeque::new(),
            trimming,
            state,
            retry_at: None,
            is_told_full: false,
            end: End::NotYet,
            counts: Counts::default(),
        }
    }

    /// Takes up what somebody says. Nothing is begun before `advance`, so that what is said together is done together.
    pub fn tell(&mut self, now: Instant, told: Told, orders: &mut Vec<Order>) {
        match told {
            Told::Save(ticket, save) => self.queue.push_back((ticket, save)),
            Told::Read { ticket, from } => self.reads.push_back((ticket, from)),
            Told::Retain(from) => self.trimming.retain(from),
            Told::Close => self.end = self.end.max(End::Closing),
            Told::Apply(_)
            | Told::AppliedAtOnce { .. }
            | Told::Applied
            | Told::NotApplied(_)
            | Told::Checkpointed(_)
            | Told::NotCheckpointed => self.tell_of_state(now, told, orders),
        }
    }

    fn tell_of_state(&mut self, now: Instant, told: Told, orders: &mut Vec<Order>) {
        let Some(state) = &mut self.state else {
            return;
        };
        match told {
            Told::Apply(committed) => state.wait(committed),
            Told::AppliedAtOnce { bytes } => state.note_applied_bytes(bytes),
            Told::Applied => {
                let position = state.on_applied();
                orders.push(Order::Report(Report::Applied(position)));
            }
            Told::NotApplied(committed) => {
                state.on_apply_refused(committed);
                self.retry_later(now);
            }
            Told::Checkpointed(position) => {
                state.on_checkpointed();
                self.trimming.on_checkpointed(position);
                self.on_saved();
            }
            Told::NotCheckpointed => {
                state.on_checkpoint_refused();
                self.retry_later(now);
                // The next start applies the log again.
                self.on_saved();
            }
            Told::Save(..) | Told::Read { .. } | Told::Retain(_) | Told::Close => {}
        }
    }

    /// What is to be carried out now. Whoever owns log and state does it, and says by `done` what became of it.
    pub fn job(&self) -> Option<&Job> {
        match self.doing.as_ref()? {
            Doing::Head => self.head.as_ref().map(|head| &head.job),
            Doing::Sync => Some(&Job::Sync),
            Doing::Trim(job) | Doing::Read(_, job) => Some(job),
        }
    }

    /// The job is over. The next is not begun before `advance`.
    ///
    /// # Panics
    /// If there is none, or if that cannot become of it.
    pub fn done(&mut self, now: Instant, outcome: Outcome, orders: &mut Vec<Order>) {
        let doing = self.doing.take().expect("a job was carried out");
        match (doing, outcome) {
            (Doing::Head, Outcome::Done) => self.on_executed(orders),
            (Doing::Head, Outcome::Refused) => self.on_refused(now),
            (Doing::Sync, Outcome::Done) => self.on_synced(orders),
            (Doing::Trim(_), Outcome::Trimmed(start)) => {
                if self.trimming.on_trimmed(start) {
                    orders.push(Order::Report(Report::Trimmed(start)));
                }
            }
            (Doing::Read(ticket, _), Outcome::Entries(entries)) => {
                let answers = vec![(ticket, Answer::Entries(entries))];
                orders.push(Order::Report(Report::Answered(answers)));
            }
            (doing, outcome) => panic!("{doing:?} cannot end as {outcome:?}"),
        }
    }

    /// When it wants to know that time has passed, if ever.
    pub fn due(&self) -> Option<Instant> {
        let checkpoint = self.state.as_ref().and_then(State::checkpoint_due);
        self.retry_at.into_iter().chain(checkpoint).min()
    }

    /// Begins what can be begun and is due, and tells whether there is room.
    pub fn advance(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if self.retry_at.is_some_and(|at| at <= now) && !planted!(RefusedNotRetried) {
            self.retry_at = None;
            if let Some(state) = &mut self.state {
                state.retry(now, &self.options, orders);
            }
        }
        if self.end != End::NotYet {
            self.give_up_refused();
        }
        if self.doing.is_none() {
            self.doing = self.next();
        }
        if let Some(state) = &mut self.state {
            state.apply(&self.options, orders);
            if self.end == End::NotYet {
                state.consider_checkpoint(now, &self.options, orders);
            }
        }
        self.tell_room(orders);
        self.come_to_end(now, orders);
    }

    /// What was handed over before `Told::Close` is done as far as it can be.
    pub fn is_finished(&self) -> bool {
        self.end == End::Finished
    }

    /// What the log has done.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Is a state in its place, and the log still to begin anew behind it?
    pub fn is_between_states(&self) -> bool {
        let head = self.head.as_ref().map(|head| &head.job);
        matches!(head, Some(Job::Reset { .. }))
    }

    /// Has it nothing to save or to read?
    pub fn is_idle(&self) -> bool {
        let has_saves = self.head.is_some() || !self.queue.is_empty();
        self.doing.is_none()
            && !has_saves
            && self.group.executed.is_empty()
            && self.reads.is_empty()
    }

    /// Bytes of entries and records that wait to be written.
    pub fn bytes_waiting(&self) -> usize {
        let queued = self.queue.iter().map(|(_, save)| save.bytes());
        let head = self.head.as_ref().map_or(0, |head| head.job.bytes());
        head + queued.sum::<usize>()
    }

    // -------------------------------------------------------------------------------------------- what is next

    fn next(&mut self) -> Option<Doing> {
        let is_turn_of_others = std::mem::take(&mut self.is_turn_of_others);
        if !is_turn_of_others && let Some(doing) = self.next_of_group() {
            return Some(doing);
        }
        if let Some(job) = self.trimming.next(self.options.log_bytes_max) {
            return Some(Doing::Trim(job));
        }
        if let Some((ticket, from)) = self.reads.pop_front() {
            return Some(Doing::Read(ticket, Job::Read { from }));
        }
        self.next_of_group()
    }

    fn next_of_group(&mut self) -> Option<Doing> {
        if self.group.executed.is_empty() && self.group.left == 0 {
            self.group.left = self.queue.len();
        }
        if self.head.is_none() {
            self.head = self.next_head();
        }
        if self.may_carry_out_head() {
            self.on_head_begun();
            return Some(Doing::Head);
        }
        (!self.group.executed.is_empty()).then_some(Doing::Sync)
    }

    fn may_carry_out_head(&self) -> bool {
        let Some(head) = &self.head else {
            return false;
        };
        let waits_for_room = head.is_refused && self.retry_at.is_some();
        let waits_for_sync = !self.group.executed.is_empty() && !head.job.shares_sync();
        let is_applying = self.state.as_ref().is_some_and(State::is_applying);
        let waits_for_state = matches!(head.job, Job::Save(Save::Install { .. }))
            && is_applying
            && !planted!(InstallsWhileApplying);
        !waits_for_room && !waits_for_sync && !waits_for_state
    }

    fn on_head_begun(&mut self) {
        if let Some(Job::Save(Save::Install { .. })) = self.head.as_ref().map(|head| &head.job)
            && let Some(state) = &mut self.state
        {
            state.drop_waiting();
        }
    }

    /// Takes the next save of the group from the queue, or several that are carried out as one.
    fn next_head(&mut self) -> Option<Head> {
        let mut head: Option<Head> = None;
        let mut bytes = self.group.bytes;
        while self.group.left > 0 && bytes < self.options.group_bytes_max {
            let (ticket, save) = self.queue.pop_front()?;
            bytes += save.bytes();
            match &mut head {
                None => {
                    head = Some(Head {
                        tickets: vec![ticket],
                        job: Job::of(save),
                        is_refused: false,
                    });
                }
                Some(head) => match head.job.grow(save) {
                    Ok(()) => head.tickets.push(ticket),
                    Err(save) => {
                        self.queue.push_front((ticket, save));
                        break;
                    }
                },
            }
            self.group.left -= 1;
        }
        head
    }

    // ---------------------------------------------------------------------------------------- what has happened

    /// The head of the queue is carried out.
    fn on_executed(&mut self, orders: &mut Vec<Order>) {
        let Head { tickets, job, .. } = self.head.take().expect("it was carried out");
        match job {
            Job::Save(Save::Append { .. } | Save::Truncate { .. })
                if planted!(ReportedUnsynced) =>
            {
                self.group.executed.extend(&tickets);
                self.on_durable(0, tickets, orders);
            }
            Job::Save(Save::Append { ref entries, .. }) => {
                self.group.entries += entries.len() as u64;
                self.group.bytes += job.bytes();
                self.group.executed.extend(tickets);
            }
            Job::Save(Save::Truncate { .. }) => self.group.executed.extend(tickets),
            Job::Save(Save::Install { .. }) if planted!(InstalledUnreset) => {
                self.on_durable(0, tickets, orders);
            }
            Job::Save(Save::Install { at, history }) if !planted!(LogAnewBeforeState) => {
                self.head = Some(Head {
                    tickets,
                    job: Job::Reset { at, history },
                    is_refused: false,
                });
            }
            #[cfg(feature = "planted")]
            Job::Reset { at, history } if planted!(LogAnewBeforeState) => {
                self.head = Some(Head {
                    tickets,
                    job: Job::Save(Save::Install { at, history }),
                    is_refused: false,
                });
            }
            Job::Save(Save::Install { at, .. }) | Job::Reset { at, .. } => {
                self.trimming.on_reset(at.position);
                self.on_durable(1, tickets, orders);
            }
            Job::Save(Save::Meta(_) | Save::Arbiter(_)) => self.on_durable(1, tickets, orders),
            Job::Save(Save::StageBegin | Save::Stage { .. }) => {
                self.on_durable(0, tickets, orders);
            }
            Job::Sync | Job::Trim { .. } | Job::Read { .. } => {
                unreachable!("no process asks for these")
            }
        }
    }

    fn on_synced(&mut self, orders: &mut Vec<Order>) {
        let left = self.group.left;
        let group = std::mem::replace(
            &mut self.group,
            Group {
                left,
                ..Group::default()
            },
        );
        #[cfg(feature = "planted")]
        let group = planted!(ReportedWithFormerGroup => self.with_queued(group), group);
        self.counts.entries += group.entries;
        self.counts.entry_bytes += group.bytes as u64;
        self.on_durable(1, group.executed, orders);
    }

    fn on_durable(&mut self, syncs: u64, tickets: Vec<Ticket>, orders: &mut Vec<Order>) {
        self.counts.syncs += syncs;
        self.is_turn_of_others = true;
        orders.push(Order::Report(Report::Persisted(tickets)));
    }

    // ------------------------------------------------------------------------------------------------ no room

    /// The head of the queue found no room. It stays where it is, and everything behind it.
    fn on_refused(&mut self, now: Instant) {
        let head = self.head.as_mut().expect("it was carried out");
        head.is_refused = true;
        self.group.left = 0;
        self.retry_later(now);
        #[cfg(feature = "planted")]
        self.mistake_refusal();
    }

    fn retry_later(&mut self, now: Instant) {
        self.retry_at.get_or_insert(now + limits::ROOM_INTERVAL);
    }

    fn is_refused(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.is_refused)
            || self.state.as_ref().is_some_and(State::is_refused)
    }

    fn tell_room(&mut self, orders: &mut Vec<Order>) {
        let is_full = self.is_refused();
        if self.is_told_full != is_full {
            self.is_told_full = is_full;
            if !is_full && planted!(RoomUntold) {
                return;
            }
            let report = if is_full { Report::Full } else { Report::Room };
            orders.push(Order::Report(report));
        }
    }

    // ---------------------------------------------------------------------------------------------- the end

    /// Nobody waits until there is room.
    fn give_up_refused(&mut self) {
        if self.head.as_ref().is_some_and(|head| head.is_refused) {
            self.head = None;
            self.queue.clear();
            self.group.left = 0;
        }
        if let Some(state) = &mut self.state
            && state.is_refused()
        {
            state.drop_waiting();
        }
    }

    fn come_to_end(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if self.end != End::Closing || !self.is_idle() {
            return;
        }
        match &mut self.state {
            None => self.end = End::Finished,
            Some(state) if state.is_idle() && !state.is_checkpointing() => {
                self.end = End::Saving;
                state.checkpoint(now, &self.options, orders);
            }
            Some(_) => {}
        }
    }

    fn on_saved(&mut self) {
        if self.end == End::Saving {
            self.end = End::Finished;
        }
    }
}

/// What goes wrong with the mistakes that tests switch on and that take more than a condition.
#[cfg(feature = "planted")]
impl Scheduler {
    fn with_queued(&mut self, mut group: Group) -> Group {
        let is_append = |(_, save): &&(Ticket, Save)| matches!(save, Save::Append { .. });
        let queued = self.queue.iter().take_while(is_append);
        group.executed.extend(queued.map(|(ticket, _)| *ticket));
        group
    }

    fn mistake_refusal(&mut self) {
        if planted!(RefusedIsForgotten) {
            self.head = None;
        }
        if planted!(RefusedIsReported)
            && let Some(head) = self.head.take()
        {
            self.group.executed.extend(head.tickets);
        }
        if planted!(RefusedIsOvertaken)
            && let Some((ticket, next)) = self.queue.pop_front()
            && let Some(refused) = self.head.take()
        {
            self.queue.push_front((ticket, next));
            if let (Some(last), Job::Save(save)) = (refused.tickets.last(), refused.job) {
                self.queue.push_back((*last, save));
            }
        }
    }
}
