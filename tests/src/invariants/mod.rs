//! What must hold after every step of every simulation, one file a property.
//!
//! An invariant is told facts as they happen and may look at the whole cluster; it judges by what replicas ask of
//! their disks and say to others, not by what they think of themselves. The
//! [protocol](lockstep_core::docs::protocol#invariants) numbers them.

mod bounded;
mod chosen;
mod durable;
mod forward;
mod ledger;
mod linearizable;
mod local_reads;
mod once;
mod oracle;
mod outcomes;
mod rejections;
mod replies;
mod revisions;
mod state;

use std::fmt;
use std::sync::Arc;

use lockstep_core::config::Address;
use lockstep_core::event::Event;
use lockstep_core::message::Message;
use lockstep_core::operation::Entry;
use lockstep_core::process::{CallId, Outcome};
use lockstep_core::storage::Save;

pub use self::ledger::Ledger;
pub(crate) use self::ledger::{check_applied, check_holdings, check_save};
use crate::cluster::Cluster;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A node started.
    Started {
        /// Which.
        node: usize,
    },
    /// A node's process is gone.
    Ceased {
        /// Which.
        node: usize,
    },
    /// A process is about to take a message.
    Received {
        /// Which.
        node: usize,
        /// From whom.
        from: &'a Address,
        /// The message.
        message: &'a Message,
    },
    /// A process sends a message, which may be lost.
    Sent {
        /// Who.
        node: usize,
        /// To whom.
        to: &'a Address,
        /// What.
        message: &'a Message,
    },
    /// A replica asks for a save, for the first time.
    Persist {
        /// Who.
        node: usize,
        /// For what.
        save: &'a Save,
    },
    /// A replica has committed entries applied.
    Apply {
        /// Who.
        node: usize,
        /// Which entries.
        entries: &'a [Arc<Entry>],
    },
    /// A process reports an event.
    Event {
        /// Whose.
        node: usize,
        /// Which.
        event: &'a Event,
    },
    /// The arbiter's record on its disk has another configuration than before.
    Decided,
    /// A client has the outcome of a call.
    Completed {
        /// Which client.
        node: usize,
        /// Which call.
        call: CallId,
        /// What it is.
        outcome: &'a Outcome,
    },
    /// A process has had a turn, and its effects are on their way.
    Stepped {
        /// Whose.
        node: usize,
    },
    /// The simulation is over; faults ended a while ago.
    Ended,
}

/// A property of every simulation.
pub trait Invariant {
    /// The property in words.
    fn name(&self) -> &'static str;

    /// Takes up a fact. Most facts concern few invariants, so the rest is ignored.
    ///
    /// # Errors
    /// What is wrong, if the property does not hold any more.
    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String>;
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// What happened instead.
    pub what: String,
    /// When, in nanoseconds.
    pub at: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "violated at {}.{:03} ms: {}: {}",
            self.at / 1_000_000,
            self.at / 1_000 % 1_000,
            self.invariant,
            self.what
        )
    }
}

/// All invariants, in the state of a cluster that has not begun.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(ledger::CommittedForEver),
        Box::<durable::AcknowledgedIsDurable>::default(),
        Box::<forward::CountersGoForward>::default(),
        Box::<chosen::ToldIsChosen>::default(),
        Box::<local_reads::LocalReads>::default(),
        Box::<linearizable::Linearizable>::default(),
        Box::<once::OnceAtMost>::default(),
        Box::<oracle::ClientsAreTold>::default(),
        Box::<replies::OneReply>::default(),
        Box::<rejections::RejectedHasNoEffect>::default(),
        Box::new(outcomes::OutcomesAreTrue),
        Box::<bounded::MemoryIsBounded>::default(),
        Box::<state::StateFollowsLog>::default(),
        Box::<revisions::RevisionsCountChanges>::default(),
    ]
}
