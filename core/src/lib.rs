//! Lockstep: a replicated key-value store. This crate is its protocol, and the async-std driver that runs it.
//!
//! # In one sentence
//!
//! Primary-backup replication with an external configuration master (the family of PacificA, Microsoft Research 2008,
//! and Vertical Paxos II, Lamport, Malkhi, Zhou 2009): the **arbiter** decides who is primary and who is in sync, and the
//! primary acknowledges a write only when **every** in-sync replica has it on disk.
//!
//! # Who takes part
//!
//! | process | what it does | where |
//! | --- | --- | --- |
//! | arbiter | keeps the [`Config`](config::Config), durably, and changes it by compare-and-swap on its version | [`arbiter`] |
//! | replica | keeps the data; **primary**, **secondary** (in sync) or **joining**, as the configuration says | [`replica`] |
//! | client | finds the primary, numbers requests, sends each again until its outcome is known | [`client`] |
//!
//! The three have one shape, [`Process`](process::Process): an input and the time go in, effects come out. They do no
//! IO, wait for nothing, read no clock and draw no random numbers. Time is an argument, and so is what memory has of the state;
//! expiry is an input, durability is a message to oneself: `Effect::Persist` goes out, `Input::Persisted` comes back when the
//! disk has it, and only that releases acknowledgements. So the same code runs under the [`driver`], in a seeded simulator, and
//! under a test that plays all the others.
//!
//! # Who talks to whom
//!
//! ```text
//!          calls            requests               entries, Beacons, handshakes
//! program -------> client ------------> primary ------------------------------> secondaries,
//!         <-------        <------------         <------------------------------ joining replicas
//!         outcomes   |      replies      |   ^    acknowledgements, questions       |   ^   ^
//!                    |                   |   |                                      |   |   |
//!                    |        Join, Leave,   | the configuration         Join, Leave,   |   |
//!                    |        proposals  |   |                           proposals  |   |   |
//!                    |                   v   |                                      v   |   |
//!                    |               +--------------------------------------------------+   |
//!                    |               |                      arbiter                     |   |
//!                    |               +--------------------------------------------------+   |
//!                    +------------------------------- reads --------------------------------+
//! ```
//!
//! And within each node:
//!
//! ```text
//! transport --- frames ---> host --- inputs ---> process
//!           <--------------      <-- effects ---
//!                            |  ^
//!         saves, questions   v  |  what is durable, answers
//!                           desk ---> scheduler ---> log, engine, record ---> files
//! ```
//!
//! What runs a process is built in the same way, so that the simulator runs it, too. The [`host`] makes a round of a process:
//! what it takes in, in which order and within which bounds, at which time, and what it passes on. The
//! [`storage`] decides what the disk does next: its [`desk`](storage::desk) is the process's side, its
//! [`scheduler`](storage::scheduler) has one job at a time carried out on a log and a state. The durable log and the records stand on
//! [`Files`](engine::files::Files), which the simulator has its own of. A driver only waits, carries jobs out in threads, and
//! sends. What of all this is simulated and what is not is told at the top of `lockstep-tests`.
//!
//! A process asks its storage for saves in one order, and the storage makes them in that order. It keeps a save that finds no
//! room first in its queue and tries it again until there is some; it does nothing behind it before, and forgets nothing.
//!
//! # Numbers
//!
//! An entry of the log has a [`Seq`](config::Seq), its place, and the [`Epoch`](config::Epoch) it was made in, and keeps
//! both for ever. A [`Position`](config::Position) is a count of entries. Of every log there are five positions,
//! in this order:
//!
//! ```text
//!   0 ........ start ........ applied ........ committed ........ persisted ........ end
//!     trimmed         in the            on every           on this            in memory
//!                     state             in-sync disk       disk
//! ```
//!
//! (`committed` may be ahead of `persisted` on a replica that is not counted yet.)
//!
//! # The flows
//!
//! Most have golden scripts of their names among the tests (`tests/scripts`).
//!
//! ## Write
//!
//! ```text
//!  client         primary                  its disk   secondary          its disk
//!    | Insert ------>| append, Local reads     |          |                  |
//!    |               |   see it ---- Persist ->|          |                  |
//!    |               |------------- Snapshots ----------->| append  Persist >|
//!    |               |<------------ Persisted -|          |<------ Persisted |
//!    |               |<------------------------ SnapshotAck                  |
//!    |<----------- OperationAck{seq}: every counted replica has it on disk   |
//! ```
//!
//! The primary's disk, the network and the other disks work at the same time. Writes that arrive together are one `Persist`
//! and one `Snapshots` to each: the primary appends them as they come, and says what became of the log when the round is
//! [settled](process::Process::settle), so that a lone write waits for nobody. What arrives while a disk is busy shares its
//! next sync. After one second without confirmation the answer is `OperationFailed`: the outcome is unknown, the entry stays
//! in the log and may still commit. `OperationRejected` means: certainly not executed.
//!
//! ## Read
//!
//! [`ReadLevel::Local`](operation::ReadLevel::Local): any replica answers at once with the newest value it has received.
//! Per replica and key such reads never go backwards, except across a change of the primary, where a value that was
//! never acknowledged may disappear. [`AtLeast`](operation::ReadLevel::AtLeast): any replica answers from what it knows
//! to be committed, once that reaches the position asked for.
//!
//! [`Linearizable`](operation::ReadLevel::Linearizable): an acknowledged write is in the log of every replica that holds a
//! lease, so it is committed there, or makes its key dirty there. The replica answers a read of a clean key at once. For a
//! dirty one a secondary asks the primary, unless its own knowledge catches up first:
//!
//! ```text
//!  client        secondary               primary
//!    | Get ---------->| the key has an entry  |
//!    |                | that may not count    |
//!    |                |--- CommittedQuery --->| its own lease holds, and what it
//!    |                |<-- CommittedAnswer ---| inherited is committed
//!    |<-- GetResult --| if its lease still holds: the newest value that is committed
//! ```
//!
//! The position in an answer is the replica's committed position. A key that did not change is as good at an older one,
//! so positions of different keys at different replicas say nothing of what came first.
//!
//! ## Leases
//!
//! ```text
//!  primary                                secondary
//!    | Beacon{sent} ----------------------->| promises not to replace the primary for
//!    |                                      | lease * (1 + drift), from when it arrives
//!    |<------------- BeaconAck{echo, sent} -|
//!    | holds its lease on it for a lease,   |
//!    | from when the Beacon left            |
//!    | Beacon{grant: its sent} ------------>| answers linearizable reads for a lease,
//!    | reckons with that for lease *        | from when the BeaconAck left
//!    | (1 + drift) from when it arrived     |
//! ```
//!
//! Each counts on its own clock, the one that waits for the other's end longer. A primary has its lease while it has
//! the promise of every replica that is in sync, or counts already because it is about to be; without it, it answers no
//! linearizable reads and grants none. A replica that is removed **drains**: nothing commits without it until its read lease
//! is over, or it has joined again and thereby given it up. A secondary takes a grant only for a timestamp of its present
//! role, and while it knows that it is in sync.
//!
//! ## Failover
//!
//! ```text
//!  r2, in sync            arbiter            r3, in sync
//!    | no Beacon for as long as it promised       |
//!    | ConfigQuery ---------->|                   |
//!    |<------- Replicas{v} ---|                   |
//!    | Propose{v, ReplacePrimary}                 |
//!    | (answers no Beacon now)|                   |
//!    |<---- Replicas{v+1, epoch+1, r2} ---------->|
//!    | SyncStart -------------------------------->| gives up its read lease,
//!    |<-------------------------------- SyncReply | cuts off what r2 has not
//!    | commits what it inherited, then serves     |
//! ```
//!
//! A new primary does not know what its predecessor granted: it commits nothing before every in-sync replica has spoken in
//! the new epoch and nobody drains, or else before a lease is over. It keeps its whole log, since what is committed is in
//! it, and entries keep the epoch they were made in. A primary that has been without its lease for half a lease, whatever part
//! of the network is broken, pauses between Beacons for longer than others promise, and is replaced.
//!
//! ## Hand-over
//!
//! ```text
//!  r1, primary            arbiter            r2, in sync
//!    | ConfigQuery ---------->|                   |
//!    |<------- Replicas{v} ---|                   |
//!    | takes no more writes, answers those it has |
//!    | Propose{v, HandOver{r2}}                   |
//!    | (grants no leases now) |                   |
//!    |<---- Replicas{v+1, epoch+1, r2} ---------->|
//!    | in sync, as a secondary                    | and so on, as above
//! ```
//!
//! A primary that leaves, or is drained, goes on until the arbiter is there. Its proposal names the version it was made for, and
//! is refused for any other. Until it knows what became of it, it answers reads by its lease, which ends with the successor's
//! promise, and grants none: the successor waits for those that were granted before its epoch began, and answers as primary
//! only then. If the arbiter is gone in the meantime, the primary takes writes again after a while.
//!
//! A primary whose own disk is stuck hands over in the same way, to a secondary that has stored what it cannot. It judges nobody
//! by what they owe it. If its disk hangs, it also stops its Beacons, so that the others replace it if the arbiter does not hear
//! it.
//!
//! ## Repeated request
//!
//! Every entry names the request that led to it, so whoever has the log knows what was executed, and every replica keeps the
//! outcome of older entries with its state, in [`sessions`]. The primary answers a request that comes again as the first time;
//! while the first copy is not committed, the later one shares its fate.
//!
//! ## Join and catch-up
//!
//! ```text
//!  replica            arbiter            primary
//!    | Join ------------>| joining, version+1   |
//!    |<- JoinedSecondary |---- Replicas ------->| a Replicator is made
//!    |<----------------------- SyncStart -------|
//!    | SyncReply{epochs of my log} ------------>| longest common prefix
//!    |<------ SyncEnd{keep} or {full state} ----|
//!    | truncates, or takes StateChunks in       |
//!    |<----------------------- Snapshots -------| and so on, window by window
//!    | SnapshotAck ---------------------------->| everything is on its way: counted from here on
//!    |                   |<- Propose AddInSync -| it has all that is committed
//!    |<-- Replicas ------|---- Replicas ------->| in sync
//! ```
//!
//! A replica counts **before** it is proposed, so whatever is committed from then on is on its disk by the time the
//! arbiter makes it eligible. Writes never stop for a join.
//!
//! ## Removal of a dead or hanging secondary
//!
//! The primary proposes to remove a secondary that it has not heard for a lease, or that has not acknowledged an entry within
//! [`Timing::overdue`](limits::Timing::overdue). It does so once the arbiter shows that it is there: a primary that does not
//! hear it would not know, and might take out whoever could replace it. Only when the arbiter has confirmed, and the
//! secondary's read lease is over, does the primary commit without it; the writes that waited for it still make their second.
//! When the secondary is back it learns from the arbiter that it is out, joins, and catches up.
//!
//! ## Restart of a secondary
//!
//! The secondary joins with a higher incarnation and stays in sync, if it was not removed meanwhile; the primary starts a new
//! handshake. Acknowledgements carry the number of their handshake, so nothing of the former start counts.
//!
//! ## Restart of the primary
//!
//! The arbiter gives the recorded primary the next epoch. The primary keeps its whole log, brings every in-sync replica to
//! exactly that log (they truncate what it never had on disk, which nobody was told is committed), and commits the tail again
//! under acknowledgements of the new epoch. Entries keep the epoch they were made in.
//!
//! ## Leave
//!
//! ```text
//!  r3, in sync            arbiter
//!    | Leave{v} ------------->| drains
//!    |<----- Replicas{v+1} ---|
//!    | gives up its role      |
//!    | Leave{v+1} ----------->| out
//!    |<----- Replicas{v+2} ---|
//! ```
//!
//! A replica gives up nothing before the arbiter has confirmed. A secondary that is in sync asks only while it hears its primary: it
//! may be the last that has the data. A primary hands over first, if another replica is in sync, and leaves as a secondary. A
//! process that is to end waits for all that for some time, and then ends as if it crashed.
//!
//! ## Restart of the arbiter
//!
//! The arbiter tells nobody a configuration that is not on its disk, so nobody notices. (Several arbiters that keep one record together,
//! so that a minority of them may be away, are in the laboratory: [`docs::protocol`](docs::protocol#register).) While it is down nothing can change:
//! reads and writes go on as long as no in-sync replica fails; then writes and linearizable reads wait for it.
//!
//! ## A primary by force
//!
//! When everybody in sync is lost for good, an operator may choose among those that are left
//! ([`arbiter::force_primary`]). Its log is the truth from then on, so whoever else has data is superseded, and refused.
//!
//! # Where to read on
//!
//! The contract is in [`docs`]: the [protocol](docs::protocol) in full, the [behaviour](docs::behaviour) that users see, the
//! [guarantees](docs::guarantees), the [words](docs::glossary), [where to add](docs::adding) what is missing, and [what is
//! asked](docs::contributing) of a change.
//!
//! The modules in reading order: [`config`], [`operation`], [`range`], [`limits`], [`time`], [`epochs`], [`sessions`],
//! [`runtime`], [`transport`], [`register`], [`message`], [`wire`], [`storage`], [`event`], [`engine`], [`log`], [`process`], [`host`],
//! [`replica`], [`arbiter`], [`client`], [`driver`].

// Reading order, not the alphabet; but a macro comes before its use.
#[macro_use]
pub mod planted;

pub mod docs;

pub mod config;

pub mod operation;

pub mod range;

pub mod limits;

pub mod time;

pub mod epochs;

pub mod sessions;
pub mod shares;

pub mod runtime;

pub mod transport;

pub mod rights;

pub mod register;

pub mod message;

pub mod wire;

pub mod storage;

pub mod event;

pub mod engine;

pub mod log;

pub mod process;

pub mod host;

pub mod replica;

pub mod arbiter;

pub mod client;

#[cfg(feature = "driver")]
pub mod driver;

#[cfg(feature = "driver")]
pub use driver::handle::Handle;

/// What the README shows is compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
