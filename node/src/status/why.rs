//! Why operations wait, in words, and what can be done about it: what the table of `status` does not tell to somebody in need.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::problems::ago;
use super::{ClusterStatus, ReplicaStatus};
use crate::output;

/// What is said of operations that wait for nothing.
const GO_ON: &str = "go on";

/// What becomes of writes and reads, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Why {
    /// Of writes: `go on`, `wait`, `are rejected`, with the reason.
    pub(crate) writes: String,
    /// Of linearizable reads, likewise.
    pub(crate) reads: String,
    /// Who is waited for, and since when, as far as anybody knows.
    pub(crate) awaited: Vec<String>,
    /// What can be done without losing anything.
    pub(crate) safe: Vec<String>,
    /// What would be lost by not waiting.
    pub(crate) forcing: Vec<String>,
}

impl Why {
    /// Of this cluster; `failures` tell of a name and `HOST:PORT` why it was not reached.
    pub(crate) fn of(
        cluster: &ClusterStatus,
        failures: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Self {
        let case = Case { cluster, failures };
        let (writes, reads) = case.verdicts();
        Self {
            writes,
            reads,
            awaited: case.awaited(),
            safe: case.safe(),
            forcing: case.forcing(),
        }
    }

    /// Do both go on?
    pub(crate) fn goes_on(&self) -> bool {
        self.writes == GO_ON && self.reads == GO_ON
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("writes {}\nreads {}\n", self.writes, self.reads);
        let mut list = |title: &str, lines: &[String]| {
            if !lines.is_empty() {
                text.push_str(&format!("\n{title}\n"));
                for line in lines {
                    text.push_str(&format!("  - {line}\n"));
                }
            }
        };
        list("waited for", &self.awaited);
        list("safe to do", &self.safe);
        list("by force", &self.forcing);
        text
    }
}

/// A cluster to be explained.
struct Case<'a> {
    cluster: &'a ClusterStatus,
    failures: &'a dyn Fn(&str, &str) -> Option<String>,
}

impl Case<'_> {
    fn primary(&self) -> Option<&ReplicaStatus> {
        let mut replicas = self.cluster.replicas.iter();
        replicas.find(|replica| Some(&replica.node) == self.cluster.primary.as_ref())
    }

    /// Those that count, and do not answer.
    fn missing(&self) -> Vec<&ReplicaStatus> {
        let replicas = self.cluster.replicas.iter();
        replicas
            .filter(|replica| replica.counts && !replica.reachable)
            .collect()
    }

    fn arbiters(&self) -> String {
        match self.cluster.arbiters.are_several() {
            true => "a majority of the arbiters".to_owned(),
            false => format!("the arbiter at {}", self.cluster.arbiter.address),
        }
    }

    fn verdicts(&self) -> (String, String) {
        let arbiters = self.arbiters();
        let is_decided = self.cluster.arbiter.reachable && self.cluster.arbiter.foreign.is_none();
        let Some(primary) = self.primary() else {
            let wait = "wait: no replica has joined a cluster yet".to_owned();
            return (wait.clone(), wait);
        };
        let name = &primary.name;
        let missing: Vec<&str> = self
            .missing()
            .iter()
            .map(|replica| &*replica.name)
            .collect();
        let missing = missing.join(", ");
        if !primary.reachable {
            let counting = self
                .cluster
                .replicas
                .iter()
                .filter(|replica| replica.counts);
            let wait = if counting.count() == 1 {
                format!("wait for {name}, which alone is known to have every acknowledged write")
            } else if is_decided {
                format!(
                    "wait until another one takes the place of {name}, the primary, which does not answer: about half a second"
                )
            } else {
                format!(
                    "wait for {name}, the primary, or for {arbiters}, which would have another one take its place"
                )
            };
            return (wait.clone(), wait);
        }
        let has_lease = primary.lease == Some(true);
        let reads = match (has_lease, is_decided) {
            (true, _) => GO_ON.to_owned(),
            (false, true) => format!(
                "wait until {name}, the primary, has a lease again: it does not hear all that are in sync, or the arbiter, yet"
            ),
            (false, false) => format!(
                "wait: {name}, the primary, has no lease, since it hears neither all that are in sync nor {arbiters}"
            ),
        };
        let writes = if let Some((present, required)) = self.too_few() {
            format!("are rejected: {present} in sync, and {required} required (--min-in-sync)")
        } else if primary.disk_full == Some(true) {
            format!(
                "are rejected: the disk of {name}, the primary, is full, and nobody in sync has room to take over"
            )
        } else if !missing.is_empty() && is_decided {
            format!("wait until {missing}, in sync and silent, is taken out: less than a second")
        } else if !missing.is_empty() {
            format!(
                "wait for {missing}, in sync and silent, or for {arbiters}, which would take it out"
            )
        } else if !has_lease {
            reads.clone()
        } else {
            GO_ON.to_owned()
        };
        (writes, reads)
    }

    fn too_few(&self) -> Option<(usize, u32)> {
        let required = self.primary()?.min_in_sync?;
        let counting = self
            .cluster
            .replicas
            .iter()
            .filter(|replica| replica.counts);
        let present = counting.count();
        (present < required as usize).then_some((present, required))
    }

    fn awaited(&self) -> Vec<String> {
        let mut awaited = Vec::new();
        let silent = self
            .cluster
            .replicas
            .iter()
            .filter(|replica| !replica.reachable);
        for replica in silent {
            let why = (self.failures)(&replica.name, &replica.address)
                .map_or_else(String::new, |why| format!(": {why}"));
            let part = if replica.counts {
                "in sync"
            } else {
                replica.role
            };
            let (name, address) = (&replica.name, &replica.address);
            awaited.push(format!("{name} at {address}, {part}, does not answer{why}"));
        }
        for gone in &self.cluster.gone {
            let (name, address, since) = (&gone.name, &gone.address, ago(gone.seconds));
            let why =
                (self.failures)(name, address).map_or_else(String::new, |why| format!(": {why}"));
            awaited.push(format!(
                "{name} at {address}, gone for {since} or longer{why}"
            ));
        }
        let arbiters = &self.cluster.arbiters;
        for (member, seconds) in arbiters.silent() {
            let (name, address, since) = (&member.name, &member.address, ago(seconds));
            awaited.push(format!(
                "the arbiter {name} at {address}, silent for {since} or longer"
            ));
        }
        if !self.cluster.arbiter.reachable {
            let names: Vec<String> = arbiters
                .members
                .iter()
                .map(|member| format!("{} at {}", member.name, member.address))
                .collect();
            let since = arbiters.told_seconds.map_or_else(String::new, |seconds| {
                format!(", for {} or longer", ago(seconds))
            });
            awaited.push(match arbiters.are_several() {
                true => format!(
                    "a majority of the arbiters {}: none that has one is heard{since}",
                    names.join(", ")
                ),
                false => format!("{}: not heard", self.arbiters()),
            });
        }
        awaited
    }

    fn safe(&self) -> Vec<String> {
        let mut safe = Vec::new();
        let missing = self.missing();
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|replica| &*replica.name).collect();
            safe.push(format!(
                "start {} again, with the data directory it had",
                names.join(" or ")
            ));
        }
        let arbiters = &self.cluster.arbiters;
        if !self.cluster.arbiter.reachable {
            safe.push(match arbiters.are_several() {
                true => "start arbiters again, with the data directories they had, until a majority runs".to_owned(),
                false => "start the arbiter again, with the data directory it had".to_owned(),
            });
            safe.push(
                "if their directories are lost for good: `lockstep adopt` has a new one take up the replicas that run; nothing is lost if all \
                 that are in sync or joining answer".to_owned(),
            );
        }
        for (member, _) in arbiters.silent() {
            safe.push(format!(
                "start the arbiter {name} again; with an empty directory it is taken back in by itself; if it is gone for good, `lockstep \
                 arbiters remove {name}`",
                name = member.name
            ));
        }
        if let Some(theirs) = &self.cluster.arbiter.foreign {
            safe.push(format!(
                "bring the arbiter of this cluster back: the one at {} is of cluster {theirs} (`lockstep adopt --help` if it is lost)",
                self.cluster.arbiter.address
            ));
        }
        for replica in &self.cluster.replicas {
            if replica.disk_full == Some(true) {
                let room = replica.usage.map_or_else(String::new, |usage| {
                    format!(
                        " ({} free, {} needed)",
                        output::bytes(usage.disk_free),
                        output::bytes(usage.disk_needed)
                    )
                });
                safe.push(format!(
                    "free some space on the disk of {}{room}: it goes on by itself",
                    replica.name
                ));
            }
        }
        if self.too_few().is_some() {
            safe.push("start the replicas that are missing, or add others: writes go on when enough are in sync".to_owned());
        }
        for gone in &self.cluster.gone {
            let name = &gone.name;
            safe.push(format!(
                "start {name} again, or, if it is not to come back, `lockstep drain {name}`"
            ));
        }
        for offer in &arbiters.offers {
            let mut namesakes = arbiters
                .members
                .iter()
                .filter(|member| member.name == offer.name);
            safe.push(match namesakes.next() {
                Some(known) => format!(
                    "two arbiters are called {}: the one at {} is heard, so the one at {} is not taken in; give one of them another name, or stop it",
                    offer.name, known.address, offer.address
                ),
                None => format!("the arbiter {name} at {} offers itself: `lockstep arbiters add {name}`", offer.address, name = offer.name),
            });
        }
        safe
    }

    fn forcing(&self) -> Vec<String> {
        let Some(primary) = self.primary() else {
            return Vec::new();
        };
        let counting: Vec<_> = self
            .cluster
            .replicas
            .iter()
            .filter(|replica| replica.counts)
            .collect();
        if primary.reachable || counting.iter().any(|replica| replica.reachable) {
            return Vec::new();
        }
        let others = self
            .cluster
            .replicas
            .iter()
            .filter(|replica| replica.reachable && !replica.counts);
        let mut others: Vec<_> = others.collect();
        others.sort_by_key(|replica| std::cmp::Reverse(replica.persisted));
        let names: Vec<&str> = counting.iter().map(|replica| &*replica.name).collect();
        let mut lines = vec![format!(
            "only if {} will never start again: every acknowledged write that the one made primary lacks is lost",
            names.join(" and ")
        )];
        for other in others {
            let upto = other.persisted.map_or("nothing".to_owned(), |seq| {
                format!("writes up to {}", output::count(seq))
            });
            let name = &other.name;
            lines.push(format!(
                "{name} has {upto}: `lockstep force-primary {name} --help`"
            ));
        }
        lines
    }
}
