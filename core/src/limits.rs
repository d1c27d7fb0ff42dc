//! Every bound and every interval of the system in one table, each with its reason.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::Terms;

/// A write not confirmed within this time is answered `OperationFailed` ([times](crate::docs::behaviour#times)).
pub const OPERATION_DEADLINE: Duration = Duration::from_millis(1000);

/// Unanswered Persists, Snapshots, SyncStarts and Proposals are repeated this often: several tries fit into
/// the second of a write even when three in a row are lost.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A joining replica that has been silent for this long is dropped from the configuration until it joins again,
/// so that wiped or abandoned nodes do not pile up.
pub const JOINING_SILENCE: Duration = Duration::from_secs(30);

/// A replica asks the arbiter for the configuration this often: lost announcements are made good within it.
pub const CONFIG_QUERY_INTERVAL: Duration = Duration::from_millis(500);

/// A replica asks the next of several arbiters when the one it asked has not answered for this long: that is, with its next
/// repetition.
pub const ARBITER_PATIENCE: Duration = RETRY_INTERVAL;

/// Arbiters that keep the record together, at most: any two of five may be lost, and each more makes every decision wait for
/// more of them.
pub const ARBITERS_MAX: usize = 5;

/// A round that is further ahead of what an arbiter has promised was never reached by standing for the chair, were it done a hundred
/// times a second for centuries. Whoever named the greatest one would be the last to decide anything.
pub const ROUNDS_AHEAD_MAX: u64 = 1 << 40;

/// An arbiter that is none of those that keep the record offers itself this often.
pub const OFFER_INTERVAL: Duration = Duration::from_millis(500);

/// An offer that was not repeated for this long does not stand any more.
pub const OFFER_PATIENCE: Duration = Duration::from_millis(2000);

/// Offers that an arbiter knows of, at most: more than there are arbiters in both sets of a change.
pub const OFFERS_MAX: usize = 16;

/// An arbiter that another one offers to replace, by the same name, has to have been silent for this long: more than a machine takes
/// that is merely busy.
pub const ARBITER_LOST: Duration = Duration::from_secs(5);

/// The arbiter counts as reachable while something was heard from it within this time.
pub const ARBITER_SILENCE: Duration = Duration::from_millis(2000);

/// A primary that is to hand over takes no writes for this long at most: those it has are answered within a second. If it
/// is not replaced by then, the arbiter does not answer any more, and it goes on.
pub const HAND_OVER_PATIENCE: Duration = Duration::from_millis(1200);

/// A leaving replica waits this long for the arbiter to confirm, then stops without.
pub const LEAVE_PATIENCE: Duration = Duration::from_millis(2000);

/// Saves repeated to a disk that has not answered for `RETRY_INTERVAL`: few enough to cost nothing where it is merely
/// slow.
pub const PERSIST_RETRIES_MAX: usize = 64;

/// What found no room on a disk is tried again this often: soon enough for writes that wait to make their second.
pub const ROOM_INTERVAL: Duration = Duration::from_millis(100);

/// A primary waits this long for an in-sync replica to complete a handshake before it proposes to remove it.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_millis(1000);

/// Smallest window to a replica that keeps losing what is sent to it, in bytes.
pub const WINDOW_BYTES_MIN: usize = 64 << 10;

/// Records the arbiter lets wait for its disk; while there are more it answers nobody, since replicas ask again.
pub const ARBITER_RECORDS_WAITING_MAX: usize = 64;

/// Answers that wait for one record of the arbiter, and messages of replicas that wait until it can decide; there are no more of
/// either, since replicas ask again.
pub const ARBITER_ANSWERS_WAITING_MAX: usize = 256;

/// A joining replica that has not stored in time what it was sent is not counted in for so long: writes would wait for it.
pub const LAG_FORGOTTEN: Duration = Duration::from_secs(1);

/// A client waits this long for the answer to a write before it sends the same request again: the primary's second and
/// the way there and back. Then the answer, or the request, was lost.
pub const WRITE_PATIENCE: Duration = Duration::from_millis(1500);

/// A client that has writes at the primary and gets none of them acknowledged for this long asks the other replicas
/// whether there is a new one. Well below a lease, so that the new one is found as soon as it is there; asking is all
/// that a cluster that is merely slow notices of it.
pub const PRIMARY_HEDGE: Duration = Duration::from_millis(150);

/// Writes a client has sent in its session since the oldest without an outcome; further ones wait. Replicas keep the
/// results of these for it: half of what they are willing to keep for one client.
pub const CLIENT_WRITES_IN_FLIGHT_MAX: usize = 2048;

/// A client waits this long for the answer to a read before it asks the same question again where only one replica
/// will do. A replica keeps a read that it may not answer yet for as long, then answers `Behind`.
pub const READ_PATIENCE: Duration = Duration::from_millis(1000);

/// A client waits this long for the answer to a read before it asks another replica as well; whoever answers first is
/// heard.
pub const READ_HEDGE: Duration = Duration::from_millis(200);

/// A client that looks for the primary asks one replica after the other this often. Answers that take longer are heard
/// all the same.
pub const PROBE_PATIENCE: Duration = Duration::from_millis(100);

/// A client prefers other replicas for reads for this long after one has not answered, or was not able to.
pub const REPLICA_SHUNNED: Duration = Duration::from_millis(2000);

/// A client lets this much time pass before it tries again what was rejected; twice as much each time, up to
/// `CLIENT_REST_MAX`.
pub const CLIENT_REST: Duration = Duration::from_millis(50);

/// The longest rest of a client: thousands of calls that are rejected again and again are no flood.
pub const CLIENT_REST_MAX: Duration = Duration::from_millis(400);

/// Nodes in a configuration: an acknowledgement from each is needed for every write, so more make no sense.
pub const MEMBERS_MAX: usize = 64;

/// Former members that a configuration tells of; who went first is forgotten. As many as there may be members.
pub const FORMER_MEMBERS_MAX: usize = MEMBERS_MAX;

/// Starts of a node without an answer to its Join that it remembers. Many times what there are in a row.
pub const STARTS_REMEMBERED_MAX: usize = 64;

/// Nodes the arbiter remembers. One that is forgotten cannot come back with its old data, so this is many times what
/// a cluster goes through.
pub const NODE_RECORDS_MAX: usize = 1024;

/// Acts of operators that the record of an arbiter holds until the arbiter starts: more than anybody does in between.
pub const ACTS_MAX: usize = 16;

/// Length of a node's name; it stands in a certificate and in every configuration.
pub const NAME_BYTES_MAX: usize = 63;

/// Length of an address.
pub const ADDRESS_BYTES_MAX: usize = 320;

/// Longest run of epochs a log remembers; older ones are merged, since no log in reach goes back so far.
pub const EPOCH_HISTORY_MAX: usize = 1024;

/// Entries in one Snapshots message, by bytes: large enough to amortise a packet, small enough to interleave.
pub const SNAPSHOTS_BYTES_MAX: usize = 256 << 10;

/// Entries in one Snapshots message, by number.
pub const SNAPSHOTS_ENTRIES_MAX: usize = 1024;

/// One chunk of a state transfer or page of a scan. A single record larger than this travels alone.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;

/// Records in one chunk or page, so that many tiny records do not make a long step.
pub const CHUNK_RECORDS_MAX: usize = 4096;

/// Records in a page of a scan that is to have at most `limit`.
pub fn page_records_max(limit: Option<NonZeroU32>) -> usize {
    let limit = limit.map_or(usize::MAX, |limit| limit.get() as usize);
    limit.min(CHUNK_RECORDS_MAX)
}

/// Chunks of a state transfer on their way to one replica.
pub const CHUNKS_IN_FLIGHT_MAX: u64 = 8;

/// Simultaneous reads a replica hands to its engine, or that wait; more are rejected as `Overloaded`. Of this and the following, clients
/// with one owner get a share ([`Shares`](crate::shares::Shares)).
pub const READS_IN_FLIGHT_MAX: usize = 16 << 10;

/// Writes of which a primary remembers that it rejected a copy; of more, it says that their outcome is unknown. Many times
/// what clients have under way.
pub const REJECTED_REMEMBERED_MAX: usize = 64 << 10;

/// Simultaneous scans a replica hands to its engine; each holds a page in memory.
pub const SCANS_IN_FLIGHT_MAX: usize = 64;

/// Simultaneous questions of clients about a replica itself; more are rejected as `Overloaded`.
pub const STATUSES_IN_FLIGHT_MAX: usize = 1024;

/// Answers to reads that a replica gives one client in one round, in bytes; those beyond are rejected as `Overloaded`, so that
/// small requests for large values do not fill its memory. A single answer may be larger.
pub const CLIENT_ANSWERS_BYTES_MAX: usize = 16 << 20;

/// The same, for all clients together.
pub const ANSWERS_BYTES_MAX: usize = 64 << 20;

/// A frame on a transport: a key and a value of the largest configurable size and their envelope.
pub const FRAME_BYTES_MAX: usize = 17 << 20;

/// A frame of a client on a transport: a request with a key and a value of the largest configurable size, and 4 KiB for what
/// it says beside them.
pub const REQUEST_BYTES_MAX: usize =
    Limits::VALUE_BYTES_CEILING + Limits::KEY_BYTES_CEILING + (4 << 10);

/// Frames that one `recv` of a transport hands over: a quarter of what a round takes, so that no sender makes a round long.
pub const RECV_FRAMES_MAX: usize = 256;

/// Bytes that one `recv` of a transport hands over, likewise; a frame that is longer comes alone.
pub const RECV_BYTES_MAX: usize = 256 << 10;

/// The bounds an operator may choose. All replicas of a cluster should have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Longest key in bytes; at most 4 KiB, since keys stand in every index block of the engine. Default 4 KiB.
    pub key_bytes_max: usize,
    /// Longest value in bytes; at most 16 MiB, since a value travels in one frame. Default 1 MiB.
    pub value_bytes_max: usize,
    /// Entries a primary keeps uncommitted, in bytes; beyond it writes are rejected as `Overloaded`. Clients with one owner
    /// get a share of it ([`Shares`](crate::shares::Shares)). Default 64 MiB.
    pub uncommitted_bytes_max: usize,
    /// Entries on their way to one replica and not acknowledged, in bytes: twice what a 10 Gbit/s link holds in a millisecond.
    /// Default 4 MiB.
    pub window_bytes_max: usize,
    /// Entries kept in memory for replicas that are behind, in bytes; older ones are read from disk. Default 16 MiB.
    pub tail_bytes_max: usize,
    /// Entries kept on disk for replicas that come back, in bytes; who misses more gets the full state. Default 256 MiB.
    pub log_bytes_max: u64,
    /// Writes are rejected (`TooFewReplicas`) while fewer replicas than this are in sync, and none is acknowledged.
    /// Default 1.
    pub min_in_sync: u32,
    /// Leases and patience.
    pub timing: Timing,
    /// What is remembered of requests.
    pub sessions: SessionLimits,
}

/// What is remembered of clients' requests. All replicas of a cluster must have the same, always: each of them works
/// out by itself what is forgotten, and all must come to the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionLimits {
    /// Clients in all; of more, one is forgotten: the one that has been quiet for longest of those whose owner takes most, in
    /// clients and results ([`Address::owner`](crate::config::Address::owner)). Several times what a cluster serves at once,
    /// since every start of a program is a new client. Default 65,536.
    pub clients_max: usize,
    /// Results in all: about 64 MiB of memory. Default 1,048,576.
    pub results_max: usize,
    /// Results of one client; of more, those of its oldest requests are forgotten. Many times what a client has under
    /// way, so that only one that never says what it has settled comes to that. Default 4,096.
    pub results_per_client_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            clients_max: 64 << 10,
            results_max: 1 << 20,
            results_per_client_max: 4096,
        }
    }
}

/// How long replicas may rely on each other without hearing, in real time. Where replicas differ in that, each goes by what
/// is safe with the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// How long a lease lasts. A peer that has answered no Beacon for this long is taken for dead, and a primary that
    /// has not been heard for a little longer is replaced: failover takes about this long. Default 500 ms.
    pub lease: Duration,
    /// A Beacon goes to every peer this often: a fifth of a lease, so that several may be lost. Default 100 ms.
    pub beacon: Duration,
    /// A peer whose oldest unacknowledged Snapshot is older than this is taken for hanging: its removal still leaves
    /// most of a second for the writes that wait for it. Default 300 ms.
    pub overdue: Duration,
    /// By how many thousandths the rates of two nodes' clocks differ at most. Linearizable reads rest on this. Default 10.
    pub drift_permille: u32,
}

impl Timing {
    /// Longest lease that can be configured.
    pub const LEASE_CEILING: Duration = Duration::from_secs(60);
    /// Greatest clock drift that can be configured: a tenth.
    pub const DRIFT_CEILING: u32 = 100;

    /// What other nodes have to know of it.
    pub fn terms(&self) -> Terms {
        Terms {
            lease: self.lease,
            drift_permille: self.drift_permille,
        }
    }

    /// Do the times fit together?
    ///
    /// # Errors
    /// Says which does not.
    pub fn check(&self) -> Result<(), TimingError> {
        if self.lease > Self::LEASE_CEILING || self.lease < Duration::from_millis(20) {
            return Err(TimingError::Lease { lease: self.lease });
        }
        if self.beacon.is_zero() || self.beacon * 3 > self.lease {
            return Err(TimingError::Beacon {
                beacon: self.beacon,
                most: self.lease / 3,
            });
        }
        if self.overdue < 2 * RETRY_INTERVAL || self.overdue >= OPERATION_DEADLINE {
            return Err(TimingError::Overdue {
                overdue: self.overdue,
            });
        }
        if self.drift_permille > Self::DRIFT_CEILING {
            return Err(TimingError::Drift {
                drift_permille: self.drift_permille,
            });
        }
        Ok(())
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Terms::default().lease,
            beacon: Duration::from_millis(100),
            overdue: Duration::from_millis(300),
            drift_permille: Terms::default().drift_permille,
        }
    }
}

/// Times that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimingError {
    /// The lease is too short to be kept up or too long to wait for.
    #[error("a lease of {lease:?} is outside the range of 20 ms to 60 s")]
    Lease {
        /// What was asked for.
        lease: Duration,
    },
    /// The loss of one or two Beacons would end leases.
    #[error(
        "a beacon interval of {beacon:?} is outside the range above 0 up to a third of the lease, {most:?}"
    )]
    Beacon {
        /// What was asked for.
        beacon: Duration,
        /// The longest for this lease.
        most: Duration,
    },
    /// Lost Snapshots could not be sent again before, or writes would fail first.
    #[error(
        "an acknowledgement cannot be overdue after {overdue:?}: at least 200 ms, less than 1 s"
    )]
    Overdue {
        /// What was asked for.
        overdue: Duration,
    },
    /// Clocks as bad as that are broken.
    #[error(
        "a clock drift of {drift_permille} thousandths is more than the 100 that can be allowed for"
    )]
    Drift {
        /// What was asked for.
        drift_permille: u32,
    },
}

impl Limits {
    /// Largest `key_bytes_max` that can be configured.
    pub const KEY_BYTES_CEILING: usize = 4 << 10;
    /// Largest `value_bytes_max` that can be configured.
    pub const VALUE_BYTES_CEILING: usize = 16 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes_max: 4 << 10,
            value_bytes_max: 1 << 20,
            uncommitted_bytes_max: 64 << 20,
            window_bytes_max: 4 << 20,
            tail_bytes_max: 16 << 20,
            log_bytes_max: 256 << 20,
            min_in_sync: 1,
            timing: Timing::default(),
            sessions: SessionLimits::default(),
        }
    }
}
