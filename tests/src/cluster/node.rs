//! One participant of a simulated cluster: its process while it runs, its clock, its inbox and its disk.

use std::collections::VecDeque;

use lockstep_core::arbiter::Arbiter;
use lockstep_core::client::Client;
use lockstep_core::config::Address;
use lockstep_core::message::Usage;
use lockstep_core::process::{Effect, Input, Outbox, Process};
use lockstep_core::replica::Replica;
use lockstep_core::storage::{Answer, Query};
use lockstep_core::time::Instant;

use crate::disk::Disk;
use crate::record::RecordDisk;
use crate::shadow::Shadow;

/// There is no timer of this kind: an inbox holds everything but timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoTimer {}

/// What waits in an inbox.
pub type Stimulus = Input<NoTimer>;

/// A running process.
pub enum Machine {
    /// The arbiter.
    Arbiter(Box<Arbiter>),
    /// A replica.
    Replica(Box<Replica>),
    /// A client.
    Client(Box<Client>),
}

impl Machine {
    /// Steps an input that is no timer.
    pub fn step(&mut self, now: Instant, stimulus: Stimulus, outbox: &mut Outbox) {
        match self {
            Self::Arbiter(process) => process.step(now, typed(stimulus), outbox),
            Self::Replica(process) => {
                process.step(now, typed(stimulus), outbox);
                process.check();
            }
            Self::Client(process) => process.step(now, typed(stimulus), outbox),
        }
    }

    /// Steps the timer that is due first, if one is due.
    pub fn step_timer(&mut self, now: Instant, outbox: &mut Outbox) -> bool {
        match self {
            Self::Arbiter(process) => step_due(&mut **process, now, outbox),
            Self::Replica(process) => {
                let stepped = step_due(&mut **process, now, outbox);
                process.check();
                stepped
            }
            Self::Client(process) => step_due(&mut **process, now, outbox),
        }
    }

    /// What it wants. What the node has used its host tells at once, within the same turn.
    pub fn with_usage(&mut self, now: Instant, outbox: &mut Outbox) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut answered = Outbox::new();
        for effect in outbox.drain() {
            match effect {
                Effect::Query(ticket, Query::Usage) => {
                    let usage = Answer::Usage(Usage::default());
                    self.step(now, Input::Answered(ticket, usage), &mut answered);
                    effects.extend(answered.drain());
                }
                effect => effects.push(effect),
            }
        }
        effects
    }

    /// When the next timer is due.
    pub fn due(&self) -> Option<Instant> {
        match self {
            Self::Arbiter(process) => process.timers().next().map(|next| next.0),
            Self::Replica(process) => process.timers().next().map(|next| next.0),
            Self::Client(process) => process.timers().next().map(|next| next.0),
        }
    }
}

fn step_due<P: Process>(process: &mut P, now: Instant, outbox: &mut Outbox) -> bool {
    match process.timers().next() {
        Some((at, timer)) if at <= now => {
            process.step(now, Input::Timer(timer), outbox);
            true
        }
        Some(_) | None => false,
    }
}

/// The same input for a process whatever its timers are called.
pub(crate) fn typed<T>(stimulus: Stimulus) -> Input<T> {
    match stimulus {
        Input::Start => Input::Start,
        Input::Message { from, message } => Input::Message { from, message },
        Input::Timer(never) => match never {},
        Input::Persisted(ticket) => Input::Persisted(ticket),
        Input::DiskFull => Input::DiskFull,
        Input::Applied(position) => Input::Applied(position),
        Input::Trimmed(position) => Input::Trimmed(position),
        Input::Answered(ticket, answer) => Input::Answered(ticket, answer),
        Input::Call(id, call) => Input::Call(id, call),
        Input::Leave => Input::Leave,
    }
}

/// A monotonic clock: starts anywhere and runs a little fast or slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// What it showed when the simulation began, in nanoseconds.
    pub offset: u64,
    /// How much faster than true it runs, in millionths.
    pub drift: i64,
}

impl Clock {
    /// What it shows at `time`.
    pub fn local(self, time: u64) -> Instant {
        let gained = i128::from(time) * i128::from(self.drift) / 1_000_000;
        let gained = i64::try_from(gained).expect("a drift of some percent of a short time");
        Instant((self.offset + time).saturating_add_signed(gained))
    }

    /// The first moment at which it shows `instant` or more.
    pub fn global(self, instant: Instant) -> u64 {
        let ahead = instant.0.saturating_sub(self.offset);
        let rate = u128::try_from(1_000_000 + self.drift).expect("a drift of some percent");
        let estimate = u128::from(ahead) * 1_000_000 / rate;
        let mut time = u64::try_from(estimate)
            .unwrap_or(u64::MAX)
            .saturating_sub(2);
        while self.local(time) < instant && time < u64::MAX / 2 {
            time += 1;
        }
        time
    }
}

/// What a node has besides its process.
pub enum Role {
    /// The arbiter and its record.
    Arbiter(Box<RecordDisk>),
    /// A replica, its disk, and what its log must be.
    Replica(Box<Disk>, Box<Shadow>),
    /// A client keeps nothing.
    Client,
}

/// A participant.
pub struct Node {
    /// Its name, which is its address as well.
    pub name: String,
    /// Where it is reached.
    pub address: Address,
    /// Its storage.
    pub role: Role,
    /// Its process, while it runs.
    pub machine: Option<Machine>,
    /// Its clock, another one for each start.
    pub clock: Clock,
    /// Its clock from its next start on, if that is not drawn.
    pub(super) clock_set: Option<Clock>,
    /// How often it has started.
    pub starts: u64,
    /// When its process had a turn last, by global time.
    pub turned: u64,
    /// How often its disk has synced, in all its starts.
    pub syncs: u64,
    pub(super) inbox: VecDeque<Stimulus>,
    /// The process does nothing before then.
    pub(super) busy_until: u64,
    pub(super) turn_at: Option<u64>,
    /// The disk completes nothing before then.
    pub(super) hung_until: u64,
    pub(super) is_applying: bool,
    pub(super) is_leaving: bool,
    /// Its process ends after this turn.
    pub(super) has_left: bool,
}

impl Node {
    /// A participant that has never run.
    pub fn new(name: String, role: Role) -> Self {
        Self {
            address: Address::new(&name),
            name,
            role,
            machine: None,
            clock: Clock::default(),
            clock_set: None,
            starts: 0,
            turned: 0,
            syncs: 0,
            inbox: VecDeque::new(),
            busy_until: 0,
            turn_at: None,
            hung_until: 0,
            is_applying: false,
            is_leaving: false,
            has_left: false,
        }
    }

    /// Does its process run?
    pub fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// Its disk, if it is a replica.
    pub fn disk(&self) -> Option<&Disk> {
        match &self.role {
            Role::Replica(disk, _) => Some(disk),
            Role::Arbiter(_) | Role::Client => None,
        }
    }

    /// What its log must be, if it is a replica.
    pub fn shadow(&self) -> Option<&Shadow> {
        match &self.role {
            Role::Replica(_, shadow) => Some(shadow),
            Role::Arbiter(_) | Role::Client => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_an_instant_at_the_first_moment_that_shows_it() {
        for drift in [-4_000, 0, 1, 3_999] {
            let clock = Clock {
                offset: 123_456_789,
                drift,
            };
            for time in [0, 1, 999_999, 1_000_000_000, 7_777_777_777] {
                let first = clock.global(clock.local(time));
                assert_eq!(clock.local(first), clock.local(time), "drift {drift}");
                assert!(first <= time);
                assert!(first == 0 || clock.local(first - 1) < clock.local(time));
            }
        }
    }
}
