//! What goes wrong in a round, and how it is made good.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::ValueEnum;

use super::{Cluster, Failure, Hosts, PrivateNetwork, REPLICAS, View};

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
    /// Cut the primary off from the other nodes, in both directions or in one; clients still reach it
    Cut,
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
    KillArbiter,
    Kill(usize),
    Stop(usize),
    Cut(usize, Direction, PrivateNetwork),
}

impl Scenario {
    /// As it is written on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.expect("none is skipped").get_name().to_owned()
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
        Ok(match scenario {
            Scenario::KillPrimary => Self::Kill(primary),
            Scenario::KillSecondary => Self::Kill(secondary),
            Scenario::KillArbiter => Self::KillArbiter,
            Scenario::StopPrimary => Self::Stop(primary),
            Scenario::StopSecondary => Self::Stop(secondary),
            Scenario::Cut => {
                let directions = [Direction::Both, Direction::Out, Direction::In];
                let direction = directions[turn % directions.len()];
                Self::Cut(primary, direction, network.ok_or(Failure::NoNetwork)?)
            }
        })
    }

    /// Its name in the table of a scenario.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillArbiter | Self::Kill(_) => "killed",
            Self::Stop(_) => "stopped",
            Self::Cut(_, Direction::Both, _) => "cut both ways",
            Self::Cut(_, Direction::Out, _) => "nothing gets out",
            Self::Cut(_, Direction::In, _) => "nothing gets in",
        }
    }

    /// Lets it happen.
    pub(super) fn begin(self, cluster: &mut Cluster) -> Result<(), Failure> {
        match self {
            Self::KillArbiter => cluster.take_arbiter().kill(),
            Self::Kill(replica) => cluster.take_replica(replica).kill(),
            Self::Stop(replica) => cluster.replica(replica).pause(),
            Self::Cut(replica, direction, network) => {
                for (from, to) in direction.links(network.hosts(), replica) {
                    network.cut(from, to)?;
                }
            }
        }
        Ok(())
    }

    /// Has the cluster done what it can do about it? It was `since` long ago, and `primary` was that.
    pub(super) fn is_dealt_with(self, view: &View, primary: usize, since: Duration) -> bool {
        match self {
            // Nothing has to be done; everything has to go on meanwhile.
            Self::KillArbiter => since >= ARBITER_DEAD,
            Self::Kill(replica) | Self::Stop(replica) | Self::Cut(replica, ..) => {
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
            Self::KillArbiter => cluster.start_arbiter(),
            Self::Kill(replica) => cluster.start_replica(replica),
            Self::Stop(replica) => {
                cluster.replica(replica).resume();
                Ok(())
            }
            Self::Cut(replica, direction, network) => {
                for (from, to) in direction.links(network.hosts(), replica) {
                    network.mend(from, to)?;
                }
                Ok(())
            }
        }
    }
}

impl Direction {
    /// The links on which packets vanish, each as from where to where.
    fn links(self, hosts: Hosts, replica: usize) -> Vec<(Ipv4Addr, Ipv4Addr)> {
        let own = hosts.replicas[replica];
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
