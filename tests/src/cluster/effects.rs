//! Carries out what rounds have led to, and delivers what comes of it: frames, disk work, answers.

use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::engine::StoreError;
use lockstep_core::host::outgoing::Parcel;
use lockstep_core::host::{End, Passed};
use lockstep_core::message::Message;
use lockstep_core::operation::Key;
use lockstep_core::process::{CallId, Outcome};
use lockstep_core::storage::committed::Committed;
use lockstep_core::storage::desk::Handed;
use lockstep_core::storage::scheduler::{Job, Order, Report};
use lockstep_core::storage::{Answer, Save, Ticket};
use lockstep_core::wire;
use rand::Rng;

use super::{Cluster, MS, Plan, Role};
use crate::faults::{Fault, Path};
use crate::invariants::Fact;
use crate::network::Fate;

impl Cluster {
    /// Passes on what a round has led to. True if the process has a reason to end.
    pub(super) fn pass_on(&mut self, index: usize, passed: Passed) -> bool {
        let Passed {
            mut outgoing,
            handed,
            cut_off,
            end,
            ..
        } = passed;
        for handed in handed {
            self.hand_on(index, handed);
        }
        self.wake_disk(index);
        for (peer, refusal) in cut_off {
            let what = format!("{peer} is cut off: {refusal}");
            self.violate("nodes say what they may say", what);
        }
        while let Some(parcel) = outgoing.take() {
            let Parcel { to, frames, .. } = parcel;
            for frame in frames {
                self.send(index, &to, frame);
            }
        }
        match end {
            Some(End::Refused(refusal)) if self.nodes[index].is_copied => {
                self.counts.path(Path::CopyRefused);
                let name = &self.nodes[index].name;
                self.trace
                    .note(self.now, format_args!("{name} is told: {refusal}"));
                self.power_off(index);
                if self.options.returns {
                    self.begin_anew(index);
                }
                false
            }
            Some(End::RecordBehind) if self.nodes[index].is_copied => {
                self.trace.note(
                    self.now,
                    format_args!("the record of the arbiter is behind"),
                );
                self.power_off(index);
                false
            }
            Some(End::RecordBehind) => {
                let what = "the arbiter takes its record for a copy".to_owned();
                self.violate("replicas are let in", what);
                true
            }
            Some(End::Refused(refusal)) => {
                let what = format!("{} was refused: {refusal}", self.nodes[index].name);
                self.violate("replicas are let in", what);
                true
            }
            Some(End::Left) => true,
            None => false,
        }
    }

    pub(super) fn on_complete(&mut self, index: usize, call: CallId, outcome: &Outcome) {
        self.tell(&Fact::Completed {
            node: index,
            call,
            outcome,
        });
        self.trace
            .complete(self.now, &self.nodes[index].name, outcome);
        if let Err(what) = self.history.end(call, outcome.clone(), self.now) {
            self.violate("one outcome per call", what);
        }
    }

    // ------------------------------------------------------------------------------------------ messages

    pub(super) fn send(&mut self, from: usize, to: &Address, mut frame: Bytes) {
        if let Some(mut forge) = self.forge.take() {
            if let Some(forged) = forge(&self.decoded(&frame)) {
                frame = wire::encode(&forged);
            }
            self.forge = Some(forge);
        }
        let Some(&index) = self.addresses.get(to) else {
            let what = format!("{} sends to {to}", self.nodes[from].name);
            return self.violate("messages go to known nodes", what);
        };
        let mut fate = self.fate(from, index);
        if self.trace.is_on() || !self.holds.is_empty() {
            let message = self.decoded(&frame);
            fate = self.keep(from, index, &message, &frame, fate);
            self.trace.message(
                self.now,
                &self.nodes[from].name,
                &self.nodes[index].name,
                &message,
                fate,
            );
        }
        let arrivals = match fate {
            Fate::Arrives(at) => [Some(at), None],
            Fate::Overtaken(at) => {
                self.counts.fault(Fault::Reordering);
                [Some(at), None]
            }
            Fate::Twice(first, second) => {
                self.counts.fault(Fault::Duplication);
                [Some(first), Some(second)]
            }
            Fate::Echoed(first, second) => {
                self.counts.fault(Fault::Echo);
                [Some(first), Some(second)]
            }
            Fate::Lost => {
                self.counts.fault(Fault::Loss);
                [None, None]
            }
            Fate::Held | Fate::Cut => [None, None],
        };
        for at in arrivals.into_iter().flatten() {
            let frame = frame.clone();
            self.plan(
                at,
                Plan::Arrive {
                    from,
                    to: index,
                    frame,
                },
            );
        }
    }

    fn decoded(&self, frame: &[u8]) -> Message {
        wire::decode(frame).expect("what is sent has been encoded")
    }

    pub(super) fn arrive(&mut self, from: usize, to: usize, frame: Bytes) {
        if !self.nodes[to].is_up() {
            return;
        }
        let sender = self.sender_kind(from);
        let from = self.nodes[from].address.clone();
        self.nodes[to].inbox.frames.push_back((from, sender, frame));
        self.plan_turn(to);
    }

    // ---------------------------------------------------------------------------------------------- disk

    fn hand_on(&mut self, index: usize, handed: Handed) {
        match handed {
            Handed::Scheduler(told) => {
                if let Some(disk) = self.nodes[index].role.disk_mut() {
                    disk.tell(told);
                }
            }
            Handed::Get(ticket, key) => {
                // Half the time is for the question to get there, half for the answer to come back.
                let latency = self.rng.random_range(self.options.read_latency.clone());
                let start = self.nodes[index].starts;
                self.plan(
                    self.now + latency / 2,
                    Plan::Get {
                        node: index,
                        start,
                        ticket,
                        key,
                        way_back: latency - latency / 2,
                    },
                );
            }
            Handed::Bulk(request) => {
                self.nodes[index].bulk.push_back(request);
                if self.nodes[index].bulk.len() == 1 {
                    self.plan_bulk(index);
                }
            }
        }
    }

    fn plan_bulk(&mut self, index: usize) {
        let start = self.nodes[index].starts;
        let latency = self.rng.random_range(self.options.read_latency.clone());
        self.plan(self.now + latency, Plan::Bulk { node: index, start });
    }

    /// The thread of a disk looks up, unless it is busy: it takes up what it was told and begins what it can.
    pub(super) fn wake_disk(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        let Some(disk) = node.role.disk_mut() else {
            return;
        };
        if disk.job().is_some() {
            return;
        }
        let mut orders = Vec::new();
        disk.advance(local, &mut orders);
        let (job, due) = (disk.job().cloned(), disk.due());
        self.carry_out_orders(index, orders);
        let start = self.nodes[index].starts;
        if let Some(job) = job {
            let latency = self.latency_of(&job);
            return self.plan(self.now + latency, Plan::Worked { node: index, start });
        }
        let node = &mut self.nodes[index];
        let Some(due) = due.map(|due| node.clock.global(due)) else {
            return;
        };
        if node.disk_due_at.is_none_or(|planned| planned > due) {
            node.disk_due_at = Some(due);
            self.plan(due, Plan::DiskDue { node: index, start });
        }
    }

    fn latency_of(&mut self, job: &Job) -> u64 {
        let (disk, read) = (&self.options.disk_latency, &self.options.read_latency);
        let range = match job {
            Job::Save(Save::Append { .. }) | Job::Trim { .. } => {
                0..(disk.end - disk.start) / 10 + 1
            }
            Job::Save(
                Save::Truncate { .. } | Save::Meta(_) | Save::Install { .. } | Save::Arbiter(_),
            )
            | Job::Sync
            | Job::Reset { .. } => disk.clone(),
            Job::Save(Save::StageBegin | Save::Stage { .. }) | Job::Read { .. } => read.clone(),
        };
        self.rng.random_range(range)
    }

    fn carry_out_orders(&mut self, index: usize, orders: Vec<Order>) {
        let start = self.nodes[index].starts;
        for order in orders {
            match order {
                Order::Report(report) => self.report(index, report),
                Order::Apply(committed) => {
                    let latency = self.rng.random_range(self.options.apply_latency.clone());
                    let plan = Plan::Applied {
                        node: index,
                        start,
                        committed,
                    };
                    self.plan(self.now + latency, plan);
                }
                Order::Checkpoint => {
                    let latency = self.rng.random_range(self.options.disk_latency.clone());
                    self.plan(
                        self.now + latency,
                        Plan::Checkpointed { node: index, start },
                    );
                }
            }
        }
    }

    fn report(&mut self, index: usize, report: Report) {
        if let Report::Trimmed(_) = report {
            self.counts.path(Path::Trimmed);
        }
        if self.nodes[index].is_up() {
            self.nodes[index].inbox.reports.push_back(report);
            self.plan_turn(index);
        }
    }

    /// The disk is done with something; is that still of interest, and not to wait until it hangs no more?
    fn is_due(&self, index: usize, start: u64) -> Option<Result<(), u64>> {
        let node = &self.nodes[index];
        if node.starts != start || !node.is_up() {
            return None;
        }
        Some(if node.hung_until > self.now {
            // Looked at again soon: all faults may end before this one would.
            Err(node.hung_until.min(self.now + 20 * MS))
        } else {
            Ok(())
        })
    }

    /// Plans it again for later while the disk hangs. True if it is to happen now.
    fn may_happen(&mut self, index: usize, start: u64, plan: impl FnOnce() -> Plan) -> bool {
        match self.is_due(index, start) {
            None => false,
            Some(Err(later)) => {
                self.plan(later, plan());
                false
            }
            Some(Ok(())) => true,
        }
    }

    /// The disk is done with a job.
    pub(super) fn worked(&mut self, index: usize, start: u64) {
        if !self.may_happen(index, start, || Plan::Worked { node: index, start }) {
            return;
        }
        let Some(disk) = self.nodes[index].role.disk_mut() else {
            return;
        };
        let is_sync = disk.job().is_some_and(is_sync);
        let is_rare = disk.job().is_some_and(is_rare);
        let often = self.options.crashes_at_jobs / if is_rare { 1.0 } else { 20.0 };
        let is_struck = self.rng.random_bool(often);
        if is_struck && self.rng.random_bool(0.5) {
            self.counts.path(Path::CrashInJob);
            return self.crash_at_job(index);
        }
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        let Some(disk) = node.role.disk_mut() else {
            return;
        };
        let mut orders = Vec::new();
        let finished = disk.finish_job(local, &mut orders);
        node.syncs += u64::from(is_sync);
        if let Err(error) = finished {
            return self.on_disk_error(index, &error);
        }
        self.look_at_record(index);
        if is_struck {
            self.counts.path(Path::CrashBehindJob);
            return self.crash_at_job(index);
        }
        self.carry_out_orders(index, orders);
        self.wake_disk(index);
    }

    /// Takes up what an arbiter has on its disk now.
    pub(super) fn look_at_record(&mut self, index: usize) {
        let Role::Arbiter(disk) = &self.nodes[index].role else {
            return;
        };
        let former = self.config().version;
        match self.chosen.on_saved(disk.keeper()) {
            Ok(passed) => passed.into_iter().for_each(|path| self.counts.path(path)),
            Err(what) => self.violate("what arbiters have chosen is never undone", what),
        }
        if self.config().version != former {
            self.tell(&Fact::Decided);
        }
    }

    fn crash_at_job(&mut self, index: usize) {
        let outage = self.rng.random_range(1..200) * MS;
        self.crash(index, outage);
    }

    pub(super) fn disk_due(&mut self, index: usize, start: u64) {
        if self.nodes[index].starts == start && !self.spins(index) {
            self.nodes[index].disk_due_at = None;
            self.wake_disk(index);
        }
    }

    pub(super) fn applied(&mut self, index: usize, start: u64, committed: Committed) {
        let again = committed.clone();
        let plan = || Plan::Applied {
            node: index,
            start,
            committed: again,
        };
        if !self.may_happen(index, start, plan) {
            return;
        }
        if let Role::Replica(disk, _) = &mut self.nodes[index].role {
            let applied = disk.apply(committed);
            self.expect_done(index, applied);
            self.wake_disk(index);
        }
    }

    pub(super) fn checkpointed(&mut self, index: usize, start: u64) {
        if !self.may_happen(index, start, || Plan::Checkpointed { node: index, start }) {
            return;
        }
        if let Role::Replica(disk, _) = &mut self.nodes[index].role {
            let saved = disk.checkpoint();
            self.expect_done(index, saved);
            self.wake_disk(index);
        }
    }

    /// The state answers as of now; the process hears of it a little later, perhaps after what happened in between.
    pub(super) fn get(
        &mut self,
        index: usize,
        start: u64,
        ticket: Ticket,
        key: Key,
        way_back: u64,
    ) {
        let again = key.clone();
        let plan = || Plan::Get {
            node: index,
            start,
            ticket,
            key: again,
            way_back,
        };
        if !self.may_happen(index, start, plan) {
            return;
        }
        if let Some(disk) = self.nodes[index].disk() {
            let answer = disk.get(&key);
            let answer = self.expect_done(index, answer);
            self.answer(
                index,
                start,
                answer.map(|answer| (ticket, answer)),
                way_back,
            );
        }
    }

    /// The same for what is read in bulk, one after the other.
    pub(super) fn bulk(&mut self, index: usize, start: u64) {
        if !self.may_happen(index, start, || Plan::Bulk { node: index, start }) {
            return;
        }
        let node = &mut self.nodes[index];
        let request = node.bulk.pop_front();
        if let (Role::Replica(disk, _), Some(request)) = (&mut node.role, request) {
            let answer = disk.answer(request);
            let answer = self.expect_done(index, answer).flatten();
            let way_back = self.rng.random_range(self.options.read_latency.clone()) / 2;
            self.answer(index, start, answer, way_back);
        }
        if !self.nodes[index].bulk.is_empty() {
            self.plan_bulk(index);
        }
    }

    fn answer(
        &mut self,
        index: usize,
        start: u64,
        answer: Option<(Ticket, Answer)>,
        way_back: u64,
    ) {
        if let Some(answer) = answer {
            let report = Report::Answered(vec![answer]);
            let plan = Plan::Report {
                node: index,
                start,
                report,
            };
            self.plan(self.now + way_back, plan);
        }
    }

    /// A report of a thread that has no order with the others' reaches the process.
    pub(super) fn deliver_report(&mut self, index: usize, start: u64, report: Report) {
        if self.nodes[index].starts == start {
            self.report(index, report);
        }
    }

    /// A job of the disk has failed, which ends the process if the device is to blame.
    pub(super) fn on_disk_error(&mut self, index: usize, error: &StoreError) {
        if matches!(error, StoreError::Io { .. }) {
            return self.give_up(index);
        }
        let what = format!("{}: {error}", self.nodes[index].name);
        self.violate("the disk works", what);
    }

    fn expect_done<T>(&mut self, index: usize, outcome: Result<T, StoreError>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                let what = format!("{}: {error}", self.nodes[index].name);
                self.violate("the disk works", what);
                None
            }
        }
    }
}

/// Does a job end with a sync?
fn is_sync(job: &Job) -> bool {
    match job {
        Job::Save(Save::Meta(_) | Save::Arbiter(_)) | Job::Sync | Job::Reset { .. } => true,
        Job::Save(
            Save::Append { .. }
            | Save::Truncate { .. }
            | Save::StageBegin
            | Save::Stage { .. }
            | Save::Install { .. },
        )
        | Job::Trim { .. }
        | Job::Read { .. } => false,
    }
}

/// Is it one that there is not all the time?
fn is_rare(job: &Job) -> bool {
    match job {
        Job::Save(
            Save::Meta(_)
            | Save::Arbiter(_)
            | Save::Truncate { .. }
            | Save::StageBegin
            | Save::Install { .. },
        )
        | Job::Reset { .. } => true,
        Job::Save(Save::Append { .. } | Save::Stage { .. })
        | Job::Sync
        | Job::Trim { .. }
        | Job::Read { .. } => false,
    }
}
