//! What goes wrong in a round, and how it is made good.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;

use super::{
    Condition, Failure, Hosts, PATIENCE, PrivateNetwork, REPLICAS, Subject, View, Who, until,
};

/// Longer than anything that waits for the arbiter waits.
const ARBITER_DEAD: Duration = Duration::from_secs(3);

/// How long a disk is full or hangs before somebody is killed beside, and after that: long enough for writes to wait for room,
/// and too short for clients to give up.
const MOMENT: Duration = Duration::from_millis(800);

/// Added to each sync of a slow disk.
const SLOW_MILLIS: u32 = 300;

/// What goes wrong, round after round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// `kill -9` the primary; it is started again when it was replaced
    KillPrimary,
    /// `kill -9` a secondary; it is started again when it was taken out
    KillSecondary,
    /// `kill -9` the arbiter; it stays dead for a while
    KillArbiter,
    /// Stop the primary (SIGSTOP); it goes on when it was replaced
    StopPrimary,
    /// Stop a secondary (SIGSTOP); it goes on when it was taken out
    StopSecondary,
    /// Stop the arbiter (SIGSTOP); it goes on after a while
    StopArbiter,
    /// Cut the primary off from the other nodes, in both directions or in one; clients still reach it
    CutPrimary,
    /// Cut a secondary off in the same way
    CutSecondary,
    /// Cut the arbiter off in the same way
    CutArbiter,
    /// `lockstep drain --role-only` the primary
    HandOver,
    /// The primary's disk is full for a moment; in every other round the primary is killed meanwhile
    FullPrimary,
    /// A secondary's disk is full for a moment; in every other round the secondary is killed meanwhile
    FullSecondary,
    /// The arbiter's disk is full for a moment, in which a secondary and the primary in turn are killed
    FullArbiter,
    /// A secondary's disk is full for a moment, in every other round the primary's too, and the primary is killed
    FullFailover,
    /// Each sync of the primary takes 300 ms longer; in every other round a secondary is killed meanwhile
    SlowPrimary,
    /// Each sync of a secondary takes 300 ms longer; in every other round the primary is killed meanwhile
    SlowSecondary,
    /// Each sync of the arbiter takes 300 ms longer, while a secondary and the primary in turn are killed
    SlowArbiter,
    /// Syncs of the primary do not return until it was replaced; in every other round it is killed as well
    HangPrimary,
    /// A sync of the primary fails, so that it ends; it is started again
    EioPrimary,
    /// A sync of a secondary fails, so that it ends; it is started again
    EioSecondary,
    /// A sync of the arbiter fails while a secondary and the primary in turn are killed; it is started again
    EioArbiter,
    /// `kill -9` any of three machines that run `lockstep serve`, its replica and its arbiter at once; it is started again
    KillMachine,
    /// Stop any machine (SIGSTOP); it goes on when it was replaced
    StopMachine,
    /// Cut any machine off from the others, in both directions or in one; clients still reach it
    CutMachine,
    /// `kill -9` any machine, whose disk is lost; it is started again with an empty one
    WipeMachine,
}

/// Which way packets between a node and the others are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Both,
    Out,
    In,
}

/// What goes wrong in one round, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Kill(Who),
    Wipe(usize),
    Stop(Who),
    Cut(Who, Direction, PrivateNetwork),
    HandOver(usize),
    Disk(Sick),
}

/// Whose disks do what, and which replica is killed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sick {
    condition: Condition,
    who: Who,
    also: Option<Who>,
    killed: Option<usize>,
}

impl Scenario {
    /// As it is written on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.expect("none is skipped").get_name().to_owned()
    }

    /// Does it take a network of its own?
    pub fn needs_network(self) -> bool {
        match self {
            Self::CutPrimary | Self::CutSecondary | Self::CutArbiter | Self::CutMachine => true,
            Self::KillPrimary
            | Self::KillSecondary
            | Self::KillArbiter
            | Self::StopPrimary
            | Self::StopSecondary
            | Self::StopArbiter
            | Self::HandOver
            | Self::FullPrimary
            | Self::FullSecondary
            | Self::FullArbiter
            | Self::FullFailover
            | Self::SlowPrimary
            | Self::SlowSecondary
            | Self::SlowArbiter
            | Self::HangPrimary
            | Self::EioPrimary
            | Self::EioSecondary
            | Self::EioArbiter
            | Self::KillMachine
            | Self::StopMachine
            | Self::WipeMachine => false,
        }
    }

    /// Does it take disks that can be disturbed?
    pub fn needs_disks(self) -> bool {
        match self {
            Self::FullPrimary
            | Self::FullSecondary
            | Self::FullArbiter
            | Self::FullFailover
            | Self::SlowPrimary
            | Self::SlowSecondary
            | Self::SlowArbiter
            | Self::HangPrimary
            | Self::EioPrimary
            | Self::EioSecondary
            | Self::EioArbiter => true,
            Self::KillPrimary
            | Self::KillSecondary
            | Self::KillArbiter
            | Self::StopPrimary
            | Self::StopSecondary
            | Self::StopArbiter
            | Self::CutPrimary
            | Self::CutSecondary
            | Self::CutArbiter
            | Self::HandOver
            | Self::KillMachine
            | Self::StopMachine
            | Self::CutMachine
            | Self::WipeMachine => false,
        }
    }

    /// Is each process a machine, with a replica and an arbiter?
    pub fn needs_machines(self) -> bool {
        matches!(
            self,
            Self::KillMachine | Self::StopMachine | Self::CutMachine | Self::WipeMachine
        )
    }
}

impl Fault {
    /// What goes wrong in a round of a scenario. `number` is the round's; `drawn` is the replica of the machine it happens to, where
    /// that may be any.
    ///
    /// # Errors
    /// If it takes a network that there is not.
    pub(super) fn new(
        scenario: Scenario,
        number: u64,
        primary: usize,
        drawn: usize,
        network: Option<PrivateNetwork>,
    ) -> Result<Self, Failure> {
        let turn = usize::try_from(number).unwrap_or(0);
        let secondary = (primary + 1 + turn % (REPLICAS - 1)) % REPLICAS;
        let (first, second) = (Who::Replica(primary), Who::Replica(secondary));
        let any = Who::Replica(drawn);
        let cut = |who| {
            let directions = [Direction::Both, Direction::Out, Direction::In];
            let direction = directions[turn % directions.len()];
            let network = network.ok_or(Failure::NoNetwork)?;
            Ok(Self::Cut(who, direction, network))
        };
        let disk = |condition, who, killed| {
            Ok(Self::Disk(Sick {
                condition,
                who,
                also: None,
                killed,
            }))
        };
        let is_odd = turn % 2 == 1;
        let in_odd_rounds = |replica| is_odd.then_some(replica);
        let in_turn = Some(if is_odd { primary } else { secondary });
        let slow = Condition::Slow(SLOW_MILLIS);
        match scenario {
            Scenario::FullPrimary => disk(Condition::Full, first, in_odd_rounds(primary)),
            Scenario::FullSecondary => disk(Condition::Full, second, in_odd_rounds(secondary)),
            Scenario::FullArbiter => disk(Condition::Full, Who::Arbiter, in_turn),
            Scenario::FullFailover => Ok(Self::Disk(Sick {
                condition: Condition::Full,
                who: second,
                also: is_odd.then_some(first),
                killed: Some(primary),
            })),
            Scenario::SlowPrimary => disk(slow, first, in_odd_rounds(secondary)),
            Scenario::SlowSecondary => disk(slow, second, in_odd_rounds(primary)),
            Scenario::SlowArbiter => disk(slow, Who::Arbiter, in_turn),
            Scenario::HangPrimary => disk(Condition::Hanging, first, in_odd_rounds(primary)),
            Scenario::EioPrimary => disk(Condition::Failing, first, None),
            Scenario::EioSecondary => disk(Condition::Failing, second, None),
            Scenario::EioArbiter => disk(Condition::Failing, Who::Arbiter, in_turn),
            Scenario::KillPrimary => Ok(Self::Kill(first)),
            Scenario::KillSecondary => Ok(Self::Kill(second)),
            Scenario::KillArbiter => Ok(Self::Kill(Who::Arbiter)),
            Scenario::StopPrimary => Ok(Self::Stop(first)),
            Scenario::StopSecondary => Ok(Self::Stop(second)),
            Scenario::StopArbiter => Ok(Self::Stop(Who::Arbiter)),
            Scenario::CutPrimary => cut(first),
            Scenario::CutSecondary => cut(second),
            Scenario::CutArbiter => cut(Who::Arbiter),
            Scenario::HandOver => Ok(Self::HandOver(primary)),
            Scenario::KillMachine => Ok(Self::Kill(any)),
            Scenario::StopMachine => Ok(Self::Stop(any)),
            Scenario::CutMachine => cut(any),
            Scenario::WipeMachine => Ok(Self::Wipe(drawn)),
        }
    }

    /// Its name in the table of a scenario.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "killed",
            Self::Wipe(_) => "wiped",
            Self::Stop(_) => "stopped",
            Self::Cut(_, Direction::Both, _) => "cut both ways",
            Self::Cut(_, Direction::Out, _) => "nothing gets out",
            Self::Cut(_, Direction::In, _) => "nothing gets in",
            Self::HandOver(_) => "handed over",
            Self::Disk(sick) => sick.name(),
        }
    }

    /// Lets it happen.
    pub(super) fn begin(self, cluster: &mut dyn Subject) -> Result<(), Failure> {
        match self {
            Self::Kill(who) => cluster.take(who).kill(),
            Self::Wipe(replica) => {
                let who = Who::Replica(replica);
                cluster.take(who).kill();
                let directory = cluster.data_dir(who);
                fs::remove_dir_all(&directory)
                    .map_err(|source| Failure::Wipe { directory, source })?;
            }
            Self::Stop(who) => cluster.server(who).pause(),
            Self::Cut(who, direction, network) => {
                for (from, to) in direction.links(network.hosts(), who) {
                    network.cut(from, to)?;
                }
            }
            Self::HandOver(replica) => {
                let name = format!("r{}", replica + 1);
                cluster.place().ok(&["drain", &name, "--role-only"]);
            }
            Self::Disk(sick) => sick.begin(cluster)?,
        }
        Ok(())
    }

    /// Has the cluster done what it can do about it? It was `since` long ago, and `primary` was that.
    pub(super) fn is_dealt_with(self, view: &View, primary: usize, since: Duration) -> bool {
        match self {
            // Nothing has to be done; everything has to go on meanwhile.
            Self::Kill(Who::Arbiter) | Self::Stop(Who::Arbiter) | Self::Cut(Who::Arbiter, ..) => {
                since >= ARBITER_DEAD
            }
            Self::Disk(sick) => sick.is_dealt_with(view, primary, since),
            Self::Kill(Who::Replica(replica))
            | Self::Wipe(replica)
            | Self::Stop(Who::Replica(replica))
            | Self::Cut(Who::Replica(replica), ..)
            | Self::HandOver(replica) => is_replaced(view, primary, replica),
        }
    }

    /// Makes it good.
    pub(super) fn end(self, cluster: &mut dyn Subject) -> Result<(), Failure> {
        match self {
            Self::Kill(who) => cluster.start(who),
            Self::Wipe(replica) => cluster.start(Who::Replica(replica)),
            Self::Stop(who) => {
                cluster.server(who).resume();
                Ok(())
            }
            Self::Cut(who, direction, network) => {
                for (from, to) in direction.links(network.hosts(), who) {
                    network.mend(from, to)?;
                }
                Ok(())
            }
            Self::HandOver(_) => Ok(()),
            Self::Disk(sick) => sick.end(cluster),
        }
    }

    /// Is everybody in place who has to be, if the cluster is whole `now`? `before` all that, it was.
    pub(super) fn is_made_good(self, before: &View, now: &View) -> bool {
        match self {
            // The arbiter that has lost everything is a lost one, even before it was silent for long; another has to be in its place.
            Self::Wipe(replica) => {
                let next = now.arbiter_at(replica);
                next.is_some() && next != before.arbiter_at(replica)
            }
            Self::Kill(_) | Self::Stop(_) | Self::Cut(..) | Self::HandOver(_) | Self::Disk(_) => {
                true
            }
        }
    }
}

impl Sick {
    fn name(self) -> &'static str {
        match (self.condition, self.killed) {
            (Condition::Sound, _) => "sound",
            (Condition::Full, None) => "full",
            (Condition::Full, Some(_)) => "full and a kill",
            (Condition::Slow(_), None) => "slow",
            (Condition::Slow(_), Some(_)) => "slow and a kill",
            (Condition::Hanging, None) => "hangs",
            (Condition::Hanging, Some(_)) => "hangs and a kill",
            (Condition::Failing, None) => "fails",
            (Condition::Failing, Some(_)) => "fails and a kill",
        }
    }

    fn begin(self, cluster: &mut dyn Subject) -> Result<(), Failure> {
        self.disturb(cluster, self.condition)?;
        match self.condition {
            // Somebody has to make it write, if it is the arbiter.
            Condition::Failing => {
                self.kill(cluster);
                until("who has a failing disk ends", PATIENCE, || {
                    cluster.has_ended(self.who).then_some(())
                })?;
                self.disturb(cluster, Condition::Sound)?;
                cluster.start(self.who)
            }
            // There is room again before clients give up.
            Condition::Full => {
                if self.who == Who::Arbiter {
                    self.kill(cluster);
                    thread::sleep(MOMENT);
                } else {
                    thread::sleep(MOMENT);
                    self.kill(cluster);
                    // What follows from the kill meets a full disk as well.
                    thread::sleep(MOMENT);
                }
                self.disturb(cluster, Condition::Sound)
            }
            Condition::Slow(_) | Condition::Hanging | Condition::Sound => {
                thread::sleep(MOMENT);
                self.kill(cluster);
                Ok(())
            }
        }
    }

    fn is_dealt_with(self, view: &View, primary: usize, since: Duration) -> bool {
        let who = match self.who {
            Who::Replica(replica) if self.condition == Condition::Hanging => Some(replica),
            Who::Arbiter | Who::Replica(_) => None,
        };
        match self.killed.or(who) {
            Some(replica) => is_replaced(view, primary, replica),
            // Everything has to go on meanwhile.
            None => since >= ARBITER_DEAD,
        }
    }

    fn end(self, cluster: &mut dyn Subject) -> Result<(), Failure> {
        self.disturb(cluster, Condition::Sound)?;
        match self.killed {
            Some(replica) => cluster.start(Who::Replica(replica)),
            None => Ok(()),
        }
    }

    fn disturb(self, cluster: &dyn Subject, condition: Condition) -> Result<(), Failure> {
        for who in [Some(self.who), self.also].into_iter().flatten() {
            cluster.disturb(who, condition)?;
        }
        Ok(())
    }

    fn kill(self, cluster: &mut dyn Subject) {
        if let Some(replica) = self.killed {
            cluster.take(Who::Replica(replica)).kill();
        }
    }
}

/// The primary was replaced, if it is that `replica`; another one was taken out.
fn is_replaced(view: &View, primary: usize, replica: usize) -> bool {
    if replica == primary {
        view.primary().is_some_and(|now| now != primary)
    } else {
        !view.is_in_sync(replica)
    }
}

impl Direction {
    /// The links on which packets vanish, each as from where to where.
    fn links(self, hosts: Hosts, who: Who) -> Vec<(Ipv4Addr, Ipv4Addr)> {
        let own = match who {
            Who::Arbiter => hosts.arbiter,
            Who::Replica(replica) => hosts.replicas[replica],
        };
        let others = hosts.replicas.into_iter().chain([hosts.arbiter]);
        let others = others.filter(|other| *other != own);
        let link = |other| match self {
            Self::Both => vec![(own, other), (other, own)],
            Self::Out => vec![(own, other)],
            Self::In => vec![(other, own)],
        };
        others.flat_map(link).collect()
    }
}
