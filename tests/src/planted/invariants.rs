//! The names of the invariants, as the table of mistakes uses them.

pub(super) const AHEAD: &str = "the state never gets ahead of the log";
pub(super) const BOUNDED: &str = "memory in flight is bounded";
pub(super) const CALM: &str = "everything is well again when faults stop";
pub(super) const CHOSEN: &str = "arbiters tell what is chosen";
pub(super) const DURABLE: &str = "an acknowledged write is durable wherever it must be";
pub(super) const FORWARD: &str = "epochs and versions never go back";
pub(super) const KEPT: &str = "a disk keeps what it must";
pub(super) const LEDGER: &str = "committed entries are identical for ever";
pub(super) const LET_IN: &str = "replicas are let in";
pub(super) const LINEARIZABLE: &str = "linearizable reads are never stale";
pub(super) const LOCAL: &str = "local reads give the newest value received";
pub(super) const ONCE: &str = "a request takes effect at most once";
pub(super) const PANICS: &str = "no process panics";
pub(super) const REJECTED: &str = "a rejected write never takes effect";
pub(super) const REPLIES: &str = "one reply per request, for a write within its second";
pub(super) const REVISIONS: &str = "revisions count the changes";
pub(super) const TOLD: &str = "clients are told what can have happened";
pub(super) const TRUE: &str = "clients are told the truth";
pub(super) const STARTED: &str = "a replica can be started";
pub(super) const SPINS: &str = "liveness";
