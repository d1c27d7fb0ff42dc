//! What goes wrong in a round, and how it is made good.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::ValueEnum;

use super::{Cluster, Failure, Hosts, PrivateNetwork, REPLICAS, Server, View};

/// Longer than anything that waits for the arbiter waits.
const ARBITER_DEAD: Duration = Duration::from_secs(3);

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
}

/// Which way packets between a node and the others are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Both,
    Out,
    In,
}

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Arbiter,
    Replica(usize),
}

/// What goes wrong in one round, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Kill(Who),
    Stop(Who),
    Cut(Who, Direction, PrivateNetwork),
    HandOver(usize),
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
            Self::CutPrimary | Self::CutSecondary | Self::CutArbiter => true,
            Self::KillPrimary
            | Self::KillSecondary
            | Self::KillArbiter
            | Self::StopPrimary
            | Self::StopSecondary
            | Self::StopArbiter
            | Self::HandOver => false,
        }
    }
}

impl Fault {
    /// What goes wrong in a round of a scenario. `number` is the round's.
    ///
    /// # Errors
    /// If it takes a network that there is not.
    pub(super) fn new(
        scenario: Scenario,
        number: u64,
        primary: usize,
        network: Option<PrivateNetwork>,
    ) -> Result<Self, Failure> {
        let turn = usize::try_from(number).unwrap_or(0);
        let secondary = (primary + 1 + turn % (REPLICAS - 1)) % REPLICAS;
        let (first, second) = (Who::Replica(primary), Who::Replica(secondary));
        let cut = |who| {
            let directions = [Direction::Both, Direction::Out, Direction::In];
            let direction = directions[turn % directions.len()];
            let network = network.ok_or(Failure::NoNetwork)?;
            Ok(Self::Cut(who, direction, network))
        };
        match scenario {
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
        }
    }

    /// Its name in the table of a scenario.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "killed",
            Self::Stop(_) => "stopped",
            Self::Cut(_, Direction::Both, _) => "cut both ways",
            Self::Cut(_, Direction::Out, _) => "nothing gets out",
            Self::Cut(_, Direction::In, _) => "nothing gets in",
            Self::HandOver(_) => "handed over",
        }
    }

    /// Lets it happen.
    pub(super) fn begin(self, cluster: &mut Cluster) -> Result<(), Failure> {
        match self {
            Self::Kill(Who::Arbiter) => cluster.take_arbiter().kill(),
            Self::Kill(Who::Replica(replica)) => cluster.take_replica(replica).kill(),
            Self::Stop(who) => who.server(cluster).pause(),
            Self::Cut(who, direction, network) => {
                for (from, to) in direction.links(network.hosts(), who) {
                    network.cut(from, to)?;
                }
            }
            Self::HandOver(replica) => {
                let name = format!("r{}", replica + 1);
                cluster.place().ok(&["drain", &name, "--role-only"]);
            }
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
            Self::Kill(Who::Replica(replica))
            | Self::Stop(Who::Replica(replica))
            | Self::Cut(Who::Replica(replica), ..)
            | Self::HandOver(replica) => {
                if replica == primary {
                    view.primary().is_some_and(|now| now != primary)
                } else {
                    !view.is_in_sync(replica)
                }
            }
        }
    }

    /// Makes it good.
    pub(super) fn end(self, cluster: &mut Cluster) -> Result<(), Failure> {
        match self {
            Self::Kill(Who::Arbiter) => cluster.start_arbiter(),
            Self::Kill(Who::Replica(replica)) => cluster.start_replica(replica),
            Self::Stop(who) => {
                who.server(cluster).resume();
                Ok(())
            }
            Self::Cut(who, direction, network) => {
                for (from, to) in direction.links(network.hosts(), who) {
                    network.mend(from, to)?;
                }
                Ok(())
            }
            Self::HandOver(_) => Ok(()),
        }
    }
}

impl Who {
    fn server(self, cluster: &Cluster) -> &Server {
        match self {
            Self::Arbiter => cluster.arbiter(),
            Self::Replica(replica) => cluster.replica(replica),
        }
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
