//! [Invariants 5 and 6](lockstep_core::docs::protocol#invariants), as clients can tell: at the end of a simulation, what they
//! learned goes to the oracle.

use lockstep_core::event::Event;

use super::{Fact, Invariant};
use crate::cluster::Cluster;
use crate::oracle::{self, Level, Operation, Options, Reset, What, from_simulation};

/// States the search looks at in each window: a simulation is one of many.
const STEPS_MAX: u64 = 2_000;

/// Collects when replicas came to know less than before.
#[derive(Default)]
pub(super) struct ClientsAreTold {
    resets: Vec<Reset>,
}

impl Invariant for ClientsAreTold {
    fn name(&self) -> &'static str {
        "clients are told what can have happened"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Started { node }
            | Fact::Event {
                node,
                event: Event::Truncated { .. } | Event::Installed(_),
            } => {
                self.resets.push(Reset {
                    replica: cluster.nodes()[*node].address.clone(),
                    at: cluster.now(),
                });
                Ok(())
            }
            Fact::Ended => {
                let mut operations = from_simulation::operations(&cluster.history);
                if !cluster.options().is_drift_bounded {
                    // Leases prove nothing then.
                    operations.retain(|operation| !is_linearizable_read(operation));
                }
                let options = Options {
                    steps_max: STEPS_MAX,
                    ..Options::default()
                };
                oracle::check(&operations, &self.resets, options)
                    .map(|_| ())
                    .map_err(|verdict| verdict.to_string())
            }
            _ => Ok(()),
        }
    }
}

fn is_linearizable_read(operation: &Operation) -> bool {
    let level = match &operation.what {
        What::Read { level, .. } => Some(*level),
        What::Write { .. } => None,
    };
    level == Some(Level::Linearizable)
}
