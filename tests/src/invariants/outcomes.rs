//! [Invariant 10](lockstep_core::docs::protocol#invariants): what clients are told is true at the end. Acknowledged writes are in
//! the log where they were said to be, and calls that were rejected or reached nobody left no trace.

use std::collections::BTreeMap;

use lockstep_core::message::{ReplyBody, RequestBody};
use lockstep_core::operation::{Change, Value, Verdict};
use lockstep_core::process::Outcome;

use super::{Fact, Invariant};
use crate::cluster::Cluster;
use crate::history::Record;

/// Compares the history with the ledger.
pub(super) struct OutcomesAreTrue;

impl Invariant for OutcomesAreTrue {
    fn name(&self) -> &'static str {
        "clients are told the truth"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Completed { call, outcome, .. } => match cluster.history.record(*call) {
                Some(record) => check_acknowledged(cluster, record, outcome),
                None => Ok(()),
            },
            Fact::Ended => {
                let mut written: BTreeMap<&Value, u32> = BTreeMap::new();
                for entry in cluster.ledger().entries() {
                    for value in entry.changes.iter().filter_map(Change::value) {
                        *written.entry(value).or_default() += 1;
                    }
                }
                cluster.history.records().try_for_each(|record| {
                    check_effects(record, &written)?;
                    match &record.ended {
                        Some((_, outcome)) => check_acknowledged(cluster, record, outcome),
                        None => Ok(()),
                    }
                })
            }
            _ => Ok(()),
        }
    }
}

fn check_acknowledged(cluster: &Cluster, record: &Record, outcome: &Outcome) -> Result<(), String> {
    let Outcome::Answered {
        body: ReplyBody::OperationAck { seq, .. },
        ..
    } = outcome
    else {
        return Ok(());
    };
    let Some(entry) = cluster.ledger().entry(*seq) else {
        return Err(format!(
            "{:?} was acknowledged as {seq}, which is not committed",
            record.request
        ));
    };
    let wanted = match &record.request {
        RequestBody::Insert { key, value } => (key, Some(value)),
        RequestBody::Remove { key } => (key, None),
        other @ (RequestBody::Get { .. }
        | RequestBody::Scan { .. }
        | RequestBody::Status
        | RequestBody::Resolve { .. }
        | RequestBody::Drain(_)
        | RequestBody::Arbiters(_)) => return Err(format!("{other:?} was acknowledged")),
    };
    let changed = entry.changes.iter();
    let changed: Vec<_> = changed
        .map(|change| (&change.key, change.value()))
        .collect();
    if changed != [wanted] || entry.verdict != Verdict::Executed {
        return Err(format!("{wanted:?} was acknowledged as {entry:?}"));
    }
    Ok(())
}

/// How often may the value of an Insert be in the log, going by what its client was told?
fn check_effects(record: &Record, written: &BTreeMap<&Value, u32>) -> Result<(), String> {
    let value = match &record.request {
        RequestBody::Insert { value, .. } => value,
        RequestBody::Remove { .. }
        | RequestBody::Get { .. }
        | RequestBody::Scan { .. }
        | RequestBody::Status
        | RequestBody::Resolve { .. }
        | RequestBody::Drain(_)
        | RequestBody::Arbiters(_) => return Ok(()),
    };
    let times = written.get(value).copied().unwrap_or(0);
    let allowed = match &record.ended {
        Some((_, Outcome::Answered { .. })) => 1..=1,
        Some((_, Outcome::Rejected { .. } | Outcome::Unreachable { .. })) => 0..=0,
        Some(_) | None => 0..=1,
    };
    if allowed.contains(&times) {
        Ok(())
    } else {
        Err(format!(
            "{:?} took effect {times} times, its client was told {:?}",
            record.request, record.ended
        ))
    }
}
