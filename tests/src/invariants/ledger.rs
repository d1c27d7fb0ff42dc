//! [Invariant 1](lockstep_core::docs::protocol#invariants): committed entries are identical on all replicas, for ever, and
//! never truncated.
//!
//! That is said of replicas that somebody relies on. One that is joining may still follow a primary that was deposed
//! unheard, and finish its handshake with it. It then cuts off what only the successor has committed, from a log that
//! it had of an epoch before both. Nobody counts it, and the successor brings it to its own log before anybody does, so
//! nothing is lost. Of a replica in sync the same would lose an acknowledged write, and cannot happen: the successor
//! commits nothing that this replica has not acknowledged in the new epoch, after which it hears no older primary.

use std::sync::Arc;

use lockstep_core::config::{Config, Position, Seq};
use lockstep_core::operation::{Entry, Revision};
use lockstep_core::storage::Save;

use super::{Fact, Invariant};
use crate::cluster::Cluster;
use crate::disk::{self, Disk, Medium, Records};
use crate::shadow::Shadow;

/// The committed entries, as the first replica that called each of them committed had it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Ledger {
    entries: Vec<Arc<Entry>>,
}

/// Entries compared again whenever a replica's committed position advances.
const LOOK_BACK: usize = 16;

impl Ledger {
    /// Where it ends.
    pub fn end(&self) -> Position {
        Position(self.entries.len() as u64)
    }

    /// The committed entry at `seq`.
    pub fn entry(&self, seq: Seq) -> Option<&Arc<Entry>> {
        self.entries.get(usize::try_from(seq.0).ok()?)
    }

    /// All of them.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// That of the store after the entries before `position`; `None` if they are not all here.
    pub fn revision_at(&self, position: Position) -> Option<Revision> {
        match position.last_seq() {
            Some(last) => self.entry(last).map(|entry| entry.revision),
            None => Some(Revision::FIRST),
        }
    }

    /// The records that the entries before `position` make.
    pub fn state_at(&self, position: Position) -> Records {
        let mut records = Records::new();
        for entry in &self.entries {
            if !position.covers(entry.seq) {
                break;
            }
            disk::apply(&mut records, entry);
        }
        records
    }

    /// A replica whose log is `log` says that it is committed up to `position`.
    ///
    /// # Errors
    /// If it does not have, or has differently, what is committed.
    pub fn advance(&mut self, log: &Shadow, position: Position) -> Result<(), String> {
        if position > log.end() {
            return Err(format!(
                "committed up to {position}, but its log ends at {}",
                log.end()
            ));
        }
        let known = self.end().min(position).0;
        let known = usize::try_from(known).expect("no longer than the ledger");
        for committed in self.entries[..known].iter().rev().take(LOOK_BACK) {
            if let Some(held) = log.entry(committed.seq) {
                same(held, committed)?;
            }
        }
        while self.end() < position {
            let Some(entry) = log.entry(self.end().next_seq()) else {
                return Err(format!(
                    "committed up to {position} without entry {}",
                    self.end()
                ));
            };
            self.entries.push(entry.clone());
        }
        Ok(())
    }
}

fn same(held: &Arc<Entry>, committed: &Arc<Entry>) -> Result<(), String> {
    if Arc::ptr_eq(held, committed) || held == committed {
        Ok(())
    } else {
        Err(format!("has {held:?}, committed is {committed:?}"))
    }
}

/// Checks what replicas write, apply and hold against the ledger.
pub(super) struct CommittedForEver;

impl Invariant for CommittedForEver {
    fn name(&self) -> &'static str {
        "committed entries are identical for ever"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        let (node, checked) = match fact {
            Fact::Apply { node, entries } => (*node, check_applied(cluster.ledger(), entries)),
            Fact::Persist { node, save } => {
                let who = &cluster.nodes()[*node];
                let checked = match (who.disk(), who.shadow()) {
                    (Some(disk), Some(shadow)) => {
                        check_save(cluster.ledger(), cluster.config(), disk, shadow, save)
                    }
                    (None, _) | (_, None) => Ok(()),
                };
                (*node, checked)
            }
            Fact::Started { node } => (*node, check_disk(cluster, *node)),
            Fact::Ended => {
                return cluster
                    .replicas()
                    .try_for_each(|node| check_disk(cluster, node));
            }
            _ => return Ok(()),
        };
        checked.map_err(|what| format!("{}: {what}", cluster.nodes()[node].name))
    }
}

/// A replica has `entries` applied.
pub(crate) fn check_applied(ledger: &Ledger, entries: &[Arc<Entry>]) -> Result<(), String> {
    entries
        .iter()
        .try_for_each(|entry| match ledger.entry(entry.seq) {
            Some(committed) => same(entry, committed),
            None => Err(format!("applies {entry:?}, which is not committed")),
        })
}

/// a replica asks `disk` for `save`, and `shadow` has followed it.
pub(crate) fn check_save(
    ledger: &Ledger,
    config: &Config,
    disk: &Disk<impl Medium>,
    shadow: &Shadow,
    save: &Save,
) -> Result<(), String> {
    match save {
        Save::Append { committed, .. } if *committed > ledger.end() => Err(format!(
            "notes that {committed} entries are committed, {} are",
            ledger.end()
        )),
        Save::Truncate { keep } => {
            if may_lose_committed(config, disk) {
                return Ok(());
            }
            // What is cut off is still on the disk: the save has only been asked for.
            let cut = disk.log().entry(keep.next_seq());
            match (cut, ledger.entry(keep.next_seq())) {
                (Some(cut), Some(committed)) if cut == committed => {
                    Err(format!("truncates {cut:?}, which is committed"))
                }
                _ => Ok(()),
            }
        }
        Save::Install { at, .. } => {
            if at.position > ledger.end() {
                return Err(format!(
                    "installs position {}, which is not committed",
                    at.position
                ));
            }
            let staged = shadow.staged();
            let committed = ledger.state_at(at.position);
            if *staged == committed {
                Ok(())
            } else {
                Err(format!(
                    "installs {staged:?} at {at:?} instead of {committed:?}"
                ))
            }
        }
        Save::Append { .. }
        | Save::Meta(_)
        | Save::StageBegin
        | Save::Stage { .. }
        | Save::Arbiter(_) => Ok(()),
    }
}

/// Does nobody count the replica, and has it not heard that its primary was deposed?
fn may_lose_committed(config: &Config, disk: &Disk<impl Medium>) -> bool {
    let meta = disk.meta();
    !config.in_sync.contains(&meta.node) && meta.epoch < config.epoch
}

fn check_disk(cluster: &Cluster, node: usize) -> Result<(), String> {
    match cluster.nodes()[node].disk() {
        // What was put back is not what the arbiter counts on.
        Some(_) if cluster.nodes()[node].is_copied() => Ok(()),
        Some(disk) => check_holdings(cluster.ledger(), cluster.config(), disk),
        None => Ok(()),
    }
}

/// Compares the whole log and the state of a replica.
pub(crate) fn check_holdings(
    ledger: &Ledger,
    config: &Config,
    disk: &Disk<impl Medium>,
) -> Result<(), String> {
    if config.in_sync.contains(&disk.meta().node) {
        for entry in disk.log().entries() {
            if let Some(committed) = ledger.entry(entry.seq) {
                same(entry, committed)?;
            }
        }
    }
    let applied = disk.state().applied;
    if applied > ledger.end() {
        return Err(format!("applied up to {applied}, which is not committed"));
    }
    let committed = ledger.state_at(applied);
    if disk.state().records != committed {
        return Err(format!(
            "the state at {applied} is {:?} instead of {committed:?}",
            disk.state().records
        ));
    }
    Ok(())
}
