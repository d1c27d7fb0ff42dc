//! Single faults, of each kind and in each role, and how long a cluster may go without a success during each.

use lockstep_core::message::{Drain, RequestBody};

use super::{Longest, OBSERVED, Run, Setting, measure};
use crate::cluster::{Cluster, MS};
use crate::disk::Full;
use crate::invariants::Violation;
use crate::trace::Detail;

/// Runs of each fault.
const SEEDS: u64 = 8;

/// Who it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The primary.
    Primary,
    /// One of two secondaries.
    Secondary,
    /// The arbiter.
    Arbiter,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It loses power and stays away.
    Crash,
    /// It loses power and starts at once.
    Restart,
    /// Its process stands still.
    Pause,
    /// Its disk does nothing.
    Hang,
    /// Its disk does everything almost half a second late.
    Slow,
    /// Its disk has no room.
    Full,
    /// Its disk has no room for the log; there is some for what it knows about itself, so that it can join.
    FullLog,
    /// Its disk has room for the log, which lies in files that are there already, and not for the state.
    FullState,
    /// It hears no other node, and none hears it.
    CutOff,
    /// It hears no other node.
    Deaf,
    /// No other node hears it.
    Mute,
    /// It is told to end.
    Stop,
    /// It is drained.
    Drain,
    /// It is drained while the arbiter is away.
    DrainAlone,
}

/// A row of the table: what must hold.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What happens.
    pub kind: Kind,
    /// To whom.
    pub who: Who,
    /// The longest time without a success of a write, in milliseconds; and of a linearizable read.
    pub bounds: (u64, u64),
    /// All pauses of writes together, in milliseconds.
    pub paused: u64,
}

impl Row {
    /// The longest times in some runs.
    ///
    /// # Errors
    /// If an invariant breaks.
    pub fn measure(&self) -> Result<Longest, Violation> {
        let mut longest = Longest::default();
        for seed in 0..SEEDS {
            let run = self.run(Setting::of(seed), Detail::Off);
            longest = longest.max(run.longest()?);
        }
        Ok(longest)
    }

    /// One run.
    pub fn run(&self, setting: Setting, detail: Detail) -> Run {
        measure(setting, detail, |cluster, passed| {
            self.disturb(cluster, passed);
        })
    }

    /// Is it within its bounds?
    pub fn is_kept(&self, longest: Longest) -> bool {
        longest.writes <= self.bounds.0 * MS
            && longest.reads <= self.bounds.1 * MS
            && longest.writes_paused <= self.paused * MS
    }

    fn disturb(&self, cluster: &mut Cluster, passed: u64) {
        let index = match self.who {
            Who::Arbiter => 0,
            Who::Primary => 1,
            Who::Secondary => 2,
        };
        if self.kind == Kind::Slow && passed.is_multiple_of(470 * MS) {
            cluster.hang_disk(index, 450 * MS);
        }
        if passed > 0 {
            return;
        }
        let others = (0..cluster.replicas().end).filter(|other| *other != index);
        match self.kind {
            Kind::Crash => cluster.power_off(index),
            Kind::Restart => cluster.crash(index, 20 * MS),
            Kind::Pause => cluster.pause(index, OBSERVED),
            Kind::Hang => cluster.hang_disk(index, OBSERVED),
            Kind::Slow => {}
            Kind::Full => cluster.fill(index, Full::All, OBSERVED),
            Kind::FullLog => cluster.fill(index, Full::Log, OBSERVED),
            Kind::FullState => cluster.fill(index, Full::State, OBSERVED),
            Kind::CutOff => cluster.cut_off(index, OBSERVED),
            Kind::Deaf => others.for_each(|other| cluster.cut_one_way(other, index, OBSERVED)),
            Kind::Mute => others.for_each(|other| cluster.cut_one_way(index, other, OBSERVED)),
            Kind::Stop => cluster.leave(index),
            Kind::Drain => drain(cluster, index),
            Kind::DrainAlone => {
                cluster.power_off(0);
                drain(cluster, index);
            }
        }
    }
}

fn drain(cluster: &mut Cluster, index: usize) {
    let replica = cluster.nodes()[index].address.clone();
    let client = cluster.clients().start;
    let drain = RequestBody::Drain(Drain::Node);
    cluster.call_at(client, drain, Some(replica), OBSERVED);
}

const fn row(kind: Kind, who: Who, writes: u64, reads: u64) -> Row {
    Row {
        kind,
        who,
        bounds: (writes, reads),
        // It happens once.
        paused: writes,
    }
}

/// The table.
pub const TABLE: &[Row] = &[
    row(Kind::Crash, Who::Primary, 750, 900),
    row(Kind::Restart, Who::Primary, 300, 300),
    row(Kind::Pause, Who::Primary, 750, 900),
    row(Kind::Hang, Who::Primary, 1300, 1100),
    // Each write waits for its disk.
    Row {
        paused: OBSERVED / MS,
        ..row(Kind::Slow, Who::Primary, 600, 50)
    },
    row(Kind::Full, Who::Primary, 1300, 1100),
    row(Kind::FullLog, Who::Primary, 1300, 1100),
    row(Kind::FullState, Who::Primary, 900, 600),
    row(Kind::CutOff, Who::Primary, 750, 600),
    row(Kind::Deaf, Who::Primary, 1500, 1800),
    row(Kind::Mute, Who::Primary, 900, 600),
    row(Kind::Stop, Who::Primary, 200, 500),
    row(Kind::Drain, Who::Primary, 200, 500),
    row(Kind::DrainAlone, Who::Primary, 50, 50),
    row(Kind::Crash, Who::Secondary, 600, 300),
    row(Kind::Restart, Who::Secondary, 150, 300),
    row(Kind::Pause, Who::Secondary, 600, 300),
    row(Kind::Hang, Who::Secondary, 400, 50),
    row(Kind::Slow, Who::Secondary, 400, 50),
    row(Kind::Full, Who::Secondary, 400, 50),
    row(Kind::FullLog, Who::Secondary, 400, 50),
    row(Kind::FullState, Who::Secondary, 50, 50),
    row(Kind::CutOff, Who::Secondary, 600, 300),
    row(Kind::Deaf, Who::Secondary, 600, 300),
    row(Kind::Mute, Who::Secondary, 600, 300),
    row(Kind::Stop, Who::Secondary, 50, 300),
    row(Kind::Drain, Who::Secondary, 50, 300),
    row(Kind::DrainAlone, Who::Secondary, 50, 50),
    row(Kind::Crash, Who::Arbiter, 50, 50),
    row(Kind::Restart, Who::Arbiter, 50, 50),
    row(Kind::Pause, Who::Arbiter, 50, 50),
    row(Kind::Hang, Who::Arbiter, 50, 50),
    row(Kind::Slow, Who::Arbiter, 50, 50),
    row(Kind::Full, Who::Arbiter, 50, 50),
    row(Kind::CutOff, Who::Arbiter, 50, 50),
];
