//! What can be done to a simulated cluster: each fault ends by itself at a given moment.

use lockstep_core::config::ArbiterId;
use lockstep_core::host::Arrival;
use lockstep_core::limits::Timing;
use lockstep_core::register::Keeper;
use rand::Rng;

use super::node::{Inbox, Saved};
use super::{Clock, Cluster, MS, Plan, Role, new_disk};
use crate::disk::{Disk, Ending, Full, RecordDisk};
use crate::faults::{Fault, Path};
use crate::files::{self, Injected};
use crate::invariants::Fact;

impl Cluster {
    /// A node loses power and comes back `outage` later. What its disk had not synced is lost.
    pub fn crash(&mut self, index: usize, outage: u64) {
        if !self.nodes[index].is_up() {
            return;
        }
        let fault = match &self.nodes[index].role {
            Role::Arbiter(_) => Fault::CrashArbiter,
            Role::Client => Fault::CrashClient,
            Role::Replica(..) if self.primary() == Some(index) => Fault::CrashPrimary,
            Role::Replica(..) => Fault::CrashSecondary,
        };
        self.counts.fault(fault);
        let ending = match self.rng.random_bool(self.options.kills) {
            true => Ending::Killed,
            false => Ending::PowerLost,
        };
        self.end(index, ending);
        self.plan(self.now + outage, Plan::Start { node: index });
    }

    /// A node loses power and stays away.
    pub fn power_off(&mut self, index: usize) {
        self.end(index, Ending::PowerLost);
    }

    /// The disk of a node has failed, and its process has given up; it starts again some time later.
    pub(super) fn give_up(&mut self, index: usize) {
        self.counts.path(Path::GaveUp);
        self.end(index, Ending::DiskFailed);
        let outage = self.rng.random_range(1..400) * MS;
        self.plan(self.now + outage, Plan::Start { node: index });
    }

    fn end(&mut self, index: usize, ending: Ending) {
        let name = &self.nodes[index].name;
        match ending {
            Ending::PowerLost => self.trace.note(self.now, format_args!("{name} crashes")),
            Ending::Killed => self.trace.note(self.now, format_args!("{name} is killed")),
            Ending::DiskFailed => self.trace.note(self.now, format_args!("{name} gives up")),
        }
        self.stop_process(index);
        let kept = match &mut self.nodes[index].role {
            Role::Arbiter(disk) => disk.end(ending, &mut self.rng),
            Role::Replica(disk, _) => disk.end(ending, &mut self.rng).map(|loss| {
                if loss.entries_lost > 0 {
                    self.counts.path(Path::EntriesLost);
                }
                if loss.is_torn {
                    self.counts.path(Path::TornAppend);
                }
                if loss.state_fell_back {
                    self.counts.path(Path::StateFellBack);
                }
            }),
            Role::Client => {
                self.history.abandon(index, self.now);
                Ok(())
            }
        };
        if let Err(what) = kept {
            let what = format!("{}: {what}", self.nodes[index].name);
            self.violate("a disk keeps what it must", what);
        }
        self.look_at_record(index);
        self.tell(&Fact::Ceased { node: index });
    }

    fn stop_process(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.host = None;
        node.inbox = Inbox::default();
        node.turn_at = None;
        // What is still under way at the disk belongs to a start that is over.
        node.starts += 1;
    }

    /// The process of a replica that has left ends; it starts again some time later.
    pub(super) fn end_in_good_order(&mut self, index: usize) {
        self.trace
            .note(self.now, format_args!("{} ends", self.nodes[index].name));
        self.stop_process(index);
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        if let Role::Replica(disk, _) = &mut node.role
            && let Err(error) = disk.stop(local)
        {
            self.on_disk_error(index, &error);
        }
        self.tell(&Fact::Ceased { node: index });
        if self.options.returns {
            let outage = self.rng.random_range(50..800) * MS;
            self.plan(self.now + outage, Plan::Start { node: index });
        }
    }

    /// Asks a replica to leave.
    pub fn leave(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.is_up() && !node.is_leaving {
            node.is_leaving = true;
            self.counts.fault(Fault::Leave);
            self.trace.note(
                self.now,
                format_args!("{} is to leave", self.nodes[index].name),
            );
            self.nodes[index].inbox.commands.push_back(Arrival::Leave);
            self.plan_turn(index);
        }
    }

    /// The data directory of a replica is lost for good; a new node of the same name starts `outage` later.
    pub fn wipe(&mut self, index: usize, outage: u64) {
        if !self.nodes[index].is_up() {
            return;
        }
        self.lose_disk(index);
        self.plan(self.now + outage, Plan::Start { node: index });
    }

    /// The data directory of a replica is lost for good; whatever starts under its name is a new node.
    pub fn lose_disk(&mut self, index: usize) {
        self.counts.fault(Fault::Wipe);
        if self.nodes[index].is_up() {
            self.power_off(index);
        }
        let fresh = new_disk(&mut self.rng, &self.options);
        if let Role::Replica(disk, _) = &mut self.nodes[index].role {
            self.lost_disks.push(std::mem::replace(disk, fresh));
            (self.nodes[index].saved, self.nodes[index].is_copied) = (None, false);
        }
        self.trace.note(
            self.now,
            format_args!("{} lost its disk", self.nodes[index].name),
        );
    }

    /// The data directory of one of several arbiters is lost for good; a new one of the same name starts `outage` later.
    pub fn wipe_arbiter(&mut self, index: usize, outage: u64) {
        if !self.nodes[index].is_up() {
            return;
        }
        self.counts.fault(Fault::WipeArbiter);
        self.power_off(index);
        let keeper = Keeper::new(ArbiterId(self.rng.random()));
        let fresh = RecordDisk::over_files(keeper, self.rng.random());
        if let Role::Arbiter(disk) = &mut self.nodes[index].role {
            **disk = fresh;
        }
        let name = &self.nodes[index].name;
        self.trace
            .note(self.now, format_args!("{name} lost its disk"));
        self.plan(self.now + outage, Plan::Start { node: index });
    }

    /// The data directory of a replica, or the arbiter's record, is copied as it is on the disk.
    pub fn save(&mut self, index: usize) {
        let saved = match &self.nodes[index].role {
            Role::Arbiter(disk) => Saved::Arbiter(Box::new(disk.copy(&mut self.rng))),
            Role::Replica(disk, _) => Saved::Replica(Box::new(disk.copy(&mut self.rng))),
            Role::Client => return,
        };
        self.nodes[index].saved = Some(saved);
        self.trace.note(
            self.now,
            format_args!("{} is copied", self.nodes[index].name),
        );
    }

    /// A node that is down gets what was saved of `from`: of itself, or of another one, in whose place it then starts.
    pub fn put_back(&mut self, index: usize, from: usize) {
        let saved = match &self.nodes[from].saved {
            Some(Saved::Replica(copy)) => Saved::Replica(Box::new(copy.copy(&mut self.rng))),
            Some(Saved::Arbiter(copy)) => Saved::Arbiter(Box::new(copy.copy(&mut self.rng))),
            None => return,
        };
        match (saved, &mut self.nodes[index].role) {
            (Saved::Replica(copy), Role::Replica(disk, _)) => {
                let former = std::mem::replace(&mut **disk, *copy);
                if index == from {
                    self.lost_disks.push(former);
                }
            }
            (Saved::Arbiter(copy), Role::Arbiter(disk)) => {
                *disk = copy;
                if let Err(what) = self.chosen.on_saved(disk.keeper()) {
                    self.violate("what arbiters have chosen is never undone", what);
                }
            }
            (_, Role::Arbiter(_) | Role::Replica(..) | Role::Client) => return,
        }
        self.counts.fault(Fault::PutBack);
        self.nodes[index].is_copied = true;
        self.nodes[from].is_copied = true;
        self.trace.note(
            self.now,
            format_args!("{} has the copy", self.nodes[index].name),
        );
    }

    /// A replica is copied, or, if the arbiter has answered a Join of it since, its data directory is put back to the copy.
    /// It loses power for that.
    pub fn save_or_put_back(&mut self, index: usize, outage: u64) {
        if !self.nodes[index].is_up() {
            return;
        }
        self.crash(index, outage);
        let present = self.nodes[index].disk().map(Disk::meta);
        let is_behind = match (&self.nodes[index].saved, present) {
            (Some(Saved::Replica(copy)), Some(present)) => {
                let copy = copy.meta();
                copy.node == present.node && copy.token != present.token
            }
            (_, _) => false,
        };
        if is_behind {
            self.put_back(index, index);
        } else {
            self.save(index);
        }
    }

    /// The operator does as a refused replica was told: it starts with an empty data directory.
    pub(super) fn begin_anew(&mut self, index: usize) {
        self.lose_disk(index);
        self.start_later(index, 50 * MS);
    }

    /// What a node is told about leases and clocks from its next start on.
    pub fn set_timing(&mut self, index: usize, timing: Timing) {
        self.nodes[index].timing_set = Some(timing);
    }

    /// What `from` sends to `to` is lost now and then, from now on.
    pub fn make_lossy(&mut self, from: usize, to: usize) {
        self.network.make_lossy(from, to);
    }

    /// The disk of a replica refuses requests now and then, from now on.
    pub fn make_flaky(&mut self, index: usize) {
        let seed = self.rng.random();
        if let Role::Replica(disk, _) = &mut self.nodes[index].role {
            disk.make_flaky(seed);
        }
    }

    /// A process does nothing for a while.
    pub fn pause(&mut self, index: usize, time: u64) {
        self.counts.fault(Fault::Pause);
        self.trace
            .note(self.now, format_args!("{} pauses", self.nodes[index].name));
        let until = self.now + time;
        let node = &mut self.nodes[index];
        node.busy_until = node.busy_until.max(until);
    }

    /// A node has that clock from its next start on.
    pub fn set_clock(&mut self, index: usize, clock: Clock) {
        self.nodes[index].clock_set = Some(clock);
    }

    /// Two nodes do not reach each other for a while.
    pub fn cut(&mut self, one: usize, other: usize, time: u64) {
        self.counts.fault(Fault::CutBothWays);
        self.note_pair("cut", one, other);
        self.network.cut(one, other, self.now + time);
        self.network.cut(other, one, self.now + time);
    }

    /// What `from` sends to `to` is lost for a while.
    pub fn cut_one_way(&mut self, from: usize, to: usize, time: u64) {
        self.counts.fault(Fault::CutOneWay);
        self.note_pair("cut one way", from, to);
        self.network.cut(from, to, self.now + time);
    }

    /// A node reaches nobody for a while.
    pub fn isolate(&mut self, index: usize, time: u64) {
        self.counts.fault(Fault::Isolation);
        self.trace.note(
            self.now,
            format_args!("{} is isolated", self.nodes[index].name),
        );
        for other in 0..self.nodes.len() {
            self.network.cut(index, other, self.now + time);
            self.network.cut(other, index, self.now + time);
        }
    }

    /// A replica reaches no other replica and not the arbiter for a while, and is reached by clients alone.
    pub fn cut_off(&mut self, index: usize, time: u64) {
        self.counts.fault(Fault::CutOff);
        self.trace.note(
            self.now,
            format_args!("{} is cut off", self.nodes[index].name),
        );
        for other in 0..self.replicas().end {
            self.network.cut(index, other, self.now + time);
            self.network.cut(other, index, self.now + time);
        }
    }

    /// What two nodes send each other takes long for a while.
    pub fn slow_down(&mut self, one: usize, other: usize, time: u64) {
        self.counts.fault(Fault::SlowLink);
        self.note_pair("slow", one, other);
        self.network.slow(one, other, self.now + time);
        self.network.slow(other, one, self.now + time);
    }

    /// A disk completes nothing for a while.
    pub fn hang_disk(&mut self, index: usize, time: u64) {
        self.counts.fault(Fault::DiskHang);
        self.trace.note(
            self.now,
            format_args!("the disk of {} hangs", self.nodes[index].name),
        );
        let until = self.now + time;
        let node = &mut self.nodes[index];
        node.hung_until = node.hung_until.max(until);
    }

    /// Some call to the files of a node fails soon: for a moment there is no room, or the device fails.
    pub fn fail_disk(&mut self, index: usize) {
        let files = match &self.nodes[index].role {
            Role::Arbiter(disk) => disk.files(),
            Role::Replica(disk, _) => disk.files(),
            Role::Client => return,
        };
        let (fault, injected) = match self.rng.random_bool(0.5) {
            true => (Fault::DiskError, files::Fault::Failed),
            false => (Fault::NoRoomForOnce, files::Fault::NoRoom),
        };
        let spared = self.rng.random_range(0..20);
        files.inject(spared, Injected::random(injected, &mut self.rng));
        self.counts.fault(fault);
        self.trace.note(
            self.now,
            format_args!("the disk of {} will fail", self.nodes[index].name),
        );
    }

    /// A disk has no room for a while.
    pub fn fill_disk(&mut self, index: usize, time: u64) {
        let full = match self.nodes[index].role {
            Role::Arbiter(_) => Full::All,
            Role::Replica(..) => match self.rng.random_range(0..4) {
                0 => Full::Log,
                1 => Full::State,
                2 => Full::Apply,
                _ => Full::All,
            },
            Role::Client => return,
        };
        self.fill(index, full, time);
    }

    /// That of a disk has no room for a while.
    pub fn fill(&mut self, index: usize, full: Full, time: u64) {
        self.set_full(index, full);
        self.counts.fault(Fault::DiskFull);
        self.trace.note(
            self.now,
            format_args!("the disk of {} is full", self.nodes[index].name),
        );
        self.plan(self.now + time, Plan::Room { node: index });
    }

    pub(super) fn set_full(&mut self, index: usize, full: Full) {
        match &mut self.nodes[index].role {
            Role::Arbiter(disk) => disk.set_full(full),
            Role::Replica(disk, _) => disk.set_full(full),
            Role::Client => {}
        }
    }

    /// Ends every fault: links are whole, disks work, processes run, who is down starts.
    pub fn heal(&mut self) {
        self.trace.note(self.now, format_args!("calm"));
        self.network.heal();
        self.options.network.loss = 0.0;
        self.options.apply_latency = self.options.read_latency.clone();
        self.options.crashes_at_jobs = 0.0;
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            node.hung_until = node.hung_until.min(self.now);
            node.busy_until = node.busy_until.min(self.now);
            self.set_full(index, Full::Nothing);
            self.plan_turn(index);
            self.start(index);
        }
    }

    pub(super) fn note_pair(&mut self, what: &str, one: usize, other: usize) {
        self.trace.note(
            self.now,
            format_args!(
                "{what}: {} {}",
                self.nodes[one].name, self.nodes[other].name
            ),
        );
    }
}
