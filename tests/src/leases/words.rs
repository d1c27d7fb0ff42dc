//! Traces in words.

use super::model::Action;
use super::state::State;

/// What `action` does, in words.
pub(super) fn describe(before: &State, action: Action, after: &State) -> String {
    match action {
        Action::Tick(lagging) if lagging.is_empty() => "a tick passes".into(),
        Action::Tick(lagging) => {
            let nodes: Vec<_> = lagging.iter().map(|node| node.to_string()).collect();
            format!("a tick passes, not on the clock of {}", nodes.join(" and "))
        }
        Action::SendBeacon(a, b) => {
            let beacon = after.network.beacons[usize::from(a)][usize::from(b)];
            let granting = if beacon.echo.is_useful() {
                format!(", echoing its stamp of {} ticks ago", beacon.echo.age)
            } else {
                String::new()
            };
            format!("{a} sends {b} a Beacon{granting}")
        }
        Action::TakeBeacon(a, b) => {
            let beacon = before.network.beacons[usize::from(b)][usize::from(a)];
            let (was, is) = (&before.nodes[usize::from(a)], &after.nodes[usize::from(a)]);
            let leased = if is.lease < was.lease {
                format!(" and has a read lease since {} ticks", is.lease)
            } else {
                String::new()
            };
            let age = beacon.stamp.age;
            format!("{a} takes the Beacon of {b} (age {age}), answers{leased}")
        }
        Action::TakeBeaconAck(a, b) => {
            let lease = after.nodes[usize::from(a)].tenure.peers[usize::from(b)].lease;
            format!("{a} takes the BeaconAck of {b}, and has its promise since {lease} ticks")
        }
        Action::Exchange(a, b) | Action::Reach(a, b) => {
            let (was, is) = (&before.nodes[usize::from(b)], &after.nodes[usize::from(b)]);
            let leased = if is.lease < was.lease {
                format!(", which has a read lease since {} ticks", is.lease)
            } else {
                String::new()
            };
            if matches!(action, Action::Exchange(..)) {
                format!("a Beacon of {a} reaches {b}{leased}, and the answer reaches {a}")
            } else {
                format!("a Beacon of {a} reaches {b}{leased}; the answer is lost")
            }
        }
        Action::Write(a) => format!("{a} takes a write"),
        Action::TakeLog(a, b) => format!("{a} takes the log of {b}, and acknowledges it"),
        Action::TakeSnapshotAck(a, b) => format!("{a} takes the acknowledgement of {b}"),
        Action::Commit(a) => format!("{a} commits, and acknowledges the write"),
        Action::TakeCommitted(a, b) => format!("{a} learns from {b} what is committed"),
        Action::ProposeRemove(a, b) => format!("{a} proposes RemoveInSync({b})"),
        Action::ProposeAdd(a, b) => format!("{a} proposes AddInSync({b})"),
        Action::ProposeDrained(a, b) => format!("{a} proposes Drained({b})"),
        Action::ProposeReplace(a) => format!("{a} proposes ReplacePrimary"),
        Action::Leave(a) => format!("{a} leaves"),
        Action::Arbitrate(a) => {
            let config = after.arbiter.config;
            let in_sync: Vec<_> = config.in_sync.iter().collect();
            format!(
                "the arbiter takes the proposal of {a}: version {}, epoch {}, primary {}, in sync {in_sync:?}",
                config.version, config.epoch, config.primary
            )
        }
        Action::Join(a) => format!("the arbiter takes the Join of {a}"),
        Action::Learn(a) => format!("{a} learns version {}", after.arbiter.config.version),
        Action::Crash(a) => format!("{a} crashes"),
        Action::Restart(a) => format!("{a} starts again"),
        Action::HandOver(a, b) => format!("{a} proposes to hand over to {b}"),
        Action::Hold(a) => format!("{a} reads its clock, and is paused"),
        Action::GiveUpAddition(a) => format!("{a} takes its open addition for failed"),
    }
}
