//! What is not as it should be in a cluster, in sentences for people; what stops most comes first.

use lockstep_core::config::Config;

use crate::output;

use super::{ArbiterStatus, ArbitersStatus, GoneStatus, ReplicaStatus};

/// All of it.
pub(super) fn list(
    arbiter: &ArbiterStatus,
    arbiters: &ArbitersStatus,
    config: Option<&Config>,
    replicas: &[ReplicaStatus],
    gone: &[GoneStatus],
) -> Vec<String> {
    let Some(config) = config else {
        return vec![not_joined(arbiter)];
    };
    let mut problems: Vec<String> = of_the_whole(arbiter, arbiters, config, replicas)
        .into_iter()
        .collect();
    problems.extend(too_few(config, replicas));
    if let Some(theirs) = &arbiter.foreign {
        let address = &arbiter.address;
        problems.push(format!(
            "the arbiter at {address} is of another cluster, {theirs}: see `lockstep adopt --help`"
        ));
    }
    if arbiter.reachable {
        problems.extend(missing_arbiters(arbiters));
    }
    for replica in replicas {
        let name = &replica.name;
        if replica.role == "stopped" {
            problems.push(format!("{name} has stopped; start it again"));
        } else if !replica.reachable {
            problems.push(format!("{name} does not answer"));
        } else if !replica.in_sync {
            problems.push(format!("{name} is not in sync"));
        }
        problems.extend(disk(replica));
    }
    let gone = gone.iter();
    problems.extend(gone.map(|gone| {
        format!(
            "{} has been gone for {} or longer",
            gone.name,
            ago(gone.seconds)
        )
    }));
    problems
}

/// Who of several arbiters is missing, and what that means.
fn missing_arbiters(arbiters: &ArbitersStatus) -> Vec<String> {
    let consequence = match arbiters.spare() {
        0 => "if one more falls silent, no further failure is mended",
        _ => "a majority is left if one more falls silent",
    };
    let silent = arbiters.silent();
    silent
        .map(|(member, seconds)| {
            let (name, since) = (&member.name, ago(seconds));
            format!("the arbiter {name} has been silent for {since} or longer: {consequence}")
        })
        .collect()
}

/// Does the primary, if it answers, reject writes because too few are in sync?
fn too_few(config: &Config, replicas: &[ReplicaStatus]) -> Option<String> {
    let primary = config.primary?.to_string();
    let primary = replicas.iter().find(|replica| replica.node == primary)?;
    let (required, present) = (primary.min_in_sync?, config.in_sync.len());
    (present < required as usize).then(|| {
        format!("writes are rejected: {present} in sync, and {required} required (--min-in-sync)")
    })
}

/// Has its disk no room, or none for the next write that comes?
fn disk(replica: &ReplicaStatus) -> Option<String> {
    let name = &replica.name;
    let is_full = replica.disk_full == Some(true);
    let Some(usage) = replica.usage.filter(|usage| usage.disk_needed > 0) else {
        return is_full.then(|| format!("the disk of {name} is full"));
    };
    let (free, needed) = (
        output::bytes(usage.disk_free),
        output::bytes(usage.disk_needed),
    );
    match (is_full, usage.disk_free < usage.disk_needed) {
        (true, true) => Some(format!(
            "the disk of {name} is full: {free} free, {needed} needed"
        )),
        (true, false) => Some(format!(
            "the disk of {name} is full: a write was refused; looked at later, {free} are free and {needed} needed"
        )),
        (false, true) => Some(format!(
            "the disk of {name} has no room for further writes: {free} free, {needed} needed"
        )),
        (false, false) => None,
    }
}

fn not_joined(arbiter: &ArbiterStatus) -> String {
    let address = &arbiter.address;
    match arbiter.reachable {
        true => format!("no replica has joined a cluster at the arbiter {address} yet"),
        false => {
            format!("the arbiter at {address} is not heard, and no replica has joined a cluster")
        }
    }
}

/// Why operations wait, or soon may.
fn of_the_whole(
    arbiter: &ArbiterStatus,
    arbiters: &ArbitersStatus,
    config: &Config,
    replicas: &[ReplicaStatus],
) -> Option<String> {
    let (who, is_silent) = match arbiters.are_several() {
        true => (
            "a majority of the arbiters".to_owned(),
            "the arbiters are silent",
        ),
        false => {
            let address = &arbiter.address;
            (format!("the arbiter at {address}"), "the arbiter is silent")
        }
    };
    let in_sync: Vec<String> = config.in_sync.iter().map(ToString::to_string).collect();
    let counts = |replica: &&ReplicaStatus| in_sync.contains(&replica.node);
    let primary = config.primary.map(|node| node.to_string());
    let primary = replicas
        .iter()
        .find(|replica| Some(&replica.node) == primary.as_ref());
    let Some(primary) = primary else {
        let names: Vec<&str> = (replicas.iter().filter(counts))
            .map(|replica| replica.name.as_str())
            .collect();
        let names = names.join(" or ");
        return Some(format!(
            "there is no primary: reads and writes wait for {names}"
        ));
    };
    let name = &primary.name;
    if !primary.reachable {
        return Some(if in_sync.len() == 1 {
            format!(
                "reads and writes wait for {name}, which alone is known to have every acknowledged write; start it"
            )
        } else if arbiter.reachable && replicas.iter().any(|replica| replica.lease == Some(true)) {
            // A lease does not outlast by long the primary that it is of.
            format!(
                "{name}, the primary, does not answer here, but others heard it a moment ago: another one takes its place only if \
                 that ends"
            )
        } else if arbiter.reachable {
            format!("{name}, the primary, does not answer; another one takes its place in a moment")
        } else {
            format!("reads and writes wait for {name}, the primary, or for {who}")
        });
    }
    if arbiter.reachable {
        return (primary.lease == Some(false))
            .then(|| format!("{name}, the primary, has no lease: reads and writes wait"));
    }
    let missing: Vec<&str> = (replicas.iter().filter(counts))
        .filter(|replica| !replica.reachable)
        .map(|replica| replica.name.as_str())
        .collect();
    Some(if !missing.is_empty() {
        format!(
            "writes wait for {}, which is in sync and does not answer, or for {who}",
            missing.join(", ")
        )
    } else if primary.lease == Some(true) {
        format!("{is_silent}: reads and writes go on, but a failure would stop them")
    } else {
        format!("{name}, the primary, has no lease, and {who} is not heard")
    })
}

/// A time in the unit that fits.
pub(super) fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
