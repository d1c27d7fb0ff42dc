//! The arbiter: one of those that keep the record together, change it by compare-and-swap, and tell nobody of what is not chosen.
//!
//! `policy` decides; `register` has it decided once for all; this file takes what comes to both, and holds back what is said until the
//! register, and the disk, have what it speaks of.

mod adopt;
mod announcement;
mod force;
mod newcomers;
mod offers;
pub mod offline;
mod options;
pub mod policy;
mod set;
#[cfg(test)]
mod tests;

pub use adopt::{NotAdopted, adopt};
pub use force::{NotForced, force_primary};
pub use options::{ArbiterOptions, Drawn};
pub use policy::first_record;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;

use crate::config::{Address, ArbiterId, ClusterId, Step};
use crate::event::Event;
use crate::limits;
use crate::message::{ConfigChange, Message, RegisterMessage, ToArbiter};
use crate::process::{Input, Now, Outbox, Process};
use crate::register::{self, Arbiters, Ballot, Effect, Effects, Held, Mark, Register};
use crate::storage::pending::Pending;
use crate::storage::{ArbiterKeeper, ArbiterRecord, Save, Ticket};
use crate::time::{Instant, Timers};

use announcement::{Announcement, Ground};
use offers::Offers;

/// The timers of an arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Ask the disk again.
    PersistRetry,
    /// Ask the other arbiters again.
    Repeat,
    /// Offer itself to them.
    Offer,
}

/// The process that decides who is primary and who is in sync, as one of several or alone.
///
/// - What it says rests on a record that is chosen, and leaves when its disk has all that it was asked to save before.
/// - Alone, it sits in the chair from its start, and whatever it decides is chosen at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arbiter {
    options: ArbiterOptions,
    drawn: Drawn,
    register: Register<ArbiterRecord>,
    /// What is not certain yet.
    grounds: BTreeMap<Ground, Announcement>,
    disk: Pending<Timer, Announcement>,
    /// What came when nothing could be decided: the chair is not taken yet, or a change is under way.
    asked: VecDeque<(Address, ToArbiter)>,
    /// Another arbiter has stood for the chair, or has had something accepted.
    heard_at: Option<Instant>,
    /// When each of the others was heard last. Whom to take in, or in whose place, goes by it, and what is told of them; nothing else.
    heard: BTreeMap<ArbiterId, Instant>,
    /// Since when it sits in the chair.
    seated_at: Option<Instant>,
    offers: Offers,
    /// Of those that are to begin a cluster with it, whom it has told to wait for.
    awaited: BTreeSet<String>,
    /// A replica knows of a configuration that the record does not. On this ground that is the newest one all the same.
    doubt: Option<Ground>,
    /// So it is: the record was put back to an older copy. It decides nothing any more.
    is_behind: bool,
    timers: Timers<Timer>,
}

/// An arbiter that has said something.
#[derive(Clone, Copy, Debug)]
struct Asker<'a> {
    arbiter: ArbiterId,
    place: &'a Address,
    /// Of which cluster it speaks.
    cluster: ClusterId,
}

impl Arbiter {
    /// An arbiter that knows what its disk holds. One of several that is not where the others know it is not that one: there may be
    /// another copy of its directory, which promises things as well. So it offers itself as a new one.
    ///
    /// # Panics
    /// If it holds a configuration that cannot be.
    pub fn open(options: ArbiterOptions, drawn: Drawn, mut keeper: ArbiterKeeper) -> Self {
        if let Some(held) = keeper.held() {
            held.value.config.check();
            let places = &held.value.config.arbiters;
            let is_known = places
                .get(&keeper.id())
                .is_none_or(|place| place.address == options.place.address);
            if !is_known && held.arbiters.all().len() > 1 {
                keeper = keeper.of(drawn.arbiter);
            }
        }
        Self {
            options,
            drawn,
            register: Register::open(keeper),
            grounds: BTreeMap::new(),
            disk: Pending::new(Timer::PersistRetry),
            asked: VecDeque::new(),
            heard_at: None,
            heard: BTreeMap::new(),
            seated_at: None,
            offers: Offers::default(),
            awaited: BTreeSet::new(),
            doubt: None,
            is_behind: false,
            timers: Timers::new(),
        }
    }

    /// Which arbiter it is, and what it keeps.
    pub fn register(&self) -> &Register<ArbiterRecord> {
        &self.register
    }

    /// The newest that it has accepted: chosen, about to be, or about to come to nothing.
    fn record(&self) -> Option<&ArbiterRecord> {
        Some(&self.register.keeper().held()?.value)
    }

    // ------------------------------------------------------------------------------------------- replicas

    fn on_asked(&mut self, now: Instant, from: Address, message: ToArbiter, out: &mut Outbox) {
        if self.is_behind {
            return;
        }
        let asked = (from, message);
        if self.asked.len() < limits::ARBITER_ANSWERS_WAITING_MAX && !self.asked.contains(&asked) {
            self.asked.push_back(asked);
        }
        if self.register.is_idle() && self.may_stand(now) {
            self.stand(now, out);
        }
    }

    /// Decides what can be decided.
    fn decide(&mut self, now: Instant, out: &mut Outbox) {
        while !self.is_behind && self.tend(now, out) {}
        while let Some(present) = self.register.present()
            && let Some((from, message)) = self.asked.pop_front()
        {
            let record = &present.value;
            if policy::is_behind(record, &message) {
                self.question(now, None, out);
                continue;
            }
            let decision = match &message {
                ToArbiter::Join(join) => policy::on_join(record, &from, join),
                ToArbiter::Leave(leave) => policy::on_leave(record, &from, leave),
                ToArbiter::ConfigQuery(_) => {
                    let mut decision = policy::on_config_query(record, &from);
                    let seen = self.seen(now).map(|seen| (from.clone(), seen));
                    decision.answers.extend(seen);
                    decision
                }
                ToArbiter::Propose(propose) => {
                    if let ConfigChange::Arbiters(change) = propose.change
                        && policy::may_change_arbiters(record, &from, propose)
                        && let Some(next) = self.next_set(now, change)
                    {
                        self.change_set(now, next, out);
                        continue;
                    }
                    policy::on_propose(record, &from, propose)
                }
            };
            let announcement = Announcement::answers(decision.answers).with(decision.event);
            match decision.record {
                Some(record) => self.change(now, record, None, announcement, out),
                None => self.question(now, Some(announcement), out),
            }
        }
        if self.register.is_idle() {
            self.asked.clear(); // It is for another arbiter to decide. Replicas ask again.
        }
    }

    fn change(
        &mut self,
        now: Instant,
        record: ArbiterRecord,
        arbiters: Option<Arbiters>,
        announcement: Announcement,
        out: &mut Outbox,
    ) {
        record.config.check();
        let effects = &mut Effects::default();
        let mark = match arbiters {
            Some(next) => self.register.change_arbiters(next, record, effects),
            None => self.register.change(record, effects),
        };
        if let Some(mark) = mark {
            if planted!(TellsBeforeChosen) {
                self.say(announcement, out);
            } else {
                self.grounds.insert(Ground::Chosen(mark), announcement);
            }
        }
        self.carry_out(now, None, effects, out);
    }

    /// Asks whether the present record is the newest: to have something said that rests on it, or in doubt.
    fn question(&mut self, now: Instant, rests: Option<Announcement>, out: &mut Outbox) {
        match rests {
            Some(announcement) if planted!(TellsUnconfirmed) => return self.say(announcement, out),
            None if planted!(DoubtSuffices) => return self.find_behind(out),
            Some(_) | None => {}
        }
        let effects = &mut Effects::default();
        if let Some(round) = self.register.question(effects) {
            let ground = Ground::Confirmed(self.register.keeper().promised(), round);
            match rests {
                Some(announcement) => self.grounds.entry(ground).or_default().add(announcement),
                None => self.doubt = Some(ground),
            }
        }
        self.carry_out(now, None, effects, out);
    }

    // ------------------------------------------------------------------------------------- other arbiters

    fn on_register(
        &mut self,
        now: Instant,
        from: &Address,
        message: RegisterMessage,
        out: &mut Outbox,
    ) {
        let RegisterMessage {
            sender,
            cluster,
            body,
        } = message;
        let is_fine = match self.record() {
            // Who is not where it should be may be a copy of its directory, and would promise beside it.
            Some(record) => {
                let place = record.config.arbiters.get(&sender);
                record.config.cluster == cluster && place.is_none_or(|place| place.address == *from)
            }
            None => true,
        };
        let is_valid = |held: &Held<ArbiterRecord>| held.value.config.is_valid();
        let own = self.register.keeper().promised().round.0;
        let is_near = body.round().0 <= own.saturating_add(limits::ROUNDS_AHEAD_MAX);
        if !is_fine || !is_near || !body.held().is_none_or(is_valid) {
            out.notify(Event::Stale { from: from.clone() });
            return;
        }
        self.heard.insert(sender, now);
        let present = self.register.keeper().held();
        let present = present.map(|held| &held.value.config.arbiters);
        let is_one =
            |arbiter: &ArbiterId| present.is_some_and(|present| present.contains_key(arbiter));
        self.heard.retain(|arbiter, _| is_one(arbiter));
        let known = self.accepted();
        let effects = &mut Effects::default();
        self.register.on_message(sender, body, effects);
        // Not by a repetition: one that hears nobody repeats itself for ever, and would keep all others from the chair.
        if self.accepted() != known && self.register.keeper().promised().arbiter == sender {
            self.heard_at = Some(now);
        }
        let asker = Asker {
            arbiter: sender,
            place: from,
            cluster,
        };
        self.carry_out(now, Some(asker), effects, out);
    }

    /// What it has promised to and accepted last.
    fn accepted(&self) -> (Ballot, Option<Mark>) {
        let keeper = self.register.keeper();
        (keeper.promised(), keeper.held().map(|held| held.mark))
    }

    /// Not while another one may be about to decide: two at once would keep each other from it. The longer an arbiter waits,
    /// the further behind it stands, so that one of them is alone.
    fn may_stand(&self, now: Instant) -> bool {
        let arbiters = self.record().map(|record| &record.config.arbiters);
        let own = self.register.keeper().id();
        let before = arbiters.map_or(0, |arbiters| arbiters.range(..own).count());
        let patience = limits::RETRY_INTERVAL * (before as u32 + 1);
        self.heard_at.is_none_or(|at| now - at >= patience)
    }

    fn stand(&mut self, now: Instant, out: &mut Outbox) {
        let effects = &mut Effects::default();
        self.register.stand(effects);
        self.carry_out(now, None, effects, out);
    }

    /// It sits in the chair, and what it has found is chosen.
    fn on_seated(&mut self, now: Instant, out: &mut Outbox) {
        let Some(mut record) = self.record().cloned() else {
            return;
        };
        self.seated_at = Some(now);
        if record.config.arbiters.len() > 1 {
            // Those who ask others find the chair by that.
            let news = policy::announcement(&record.config).collect();
            self.say(Announcement::answers(news), out);
        }
        // Told first: a crash repeats it and loses nothing.
        let acts = mem::take(&mut record.acts);
        if !acts.is_empty() {
            for act in acts {
                out.notify(Event::Acted(act));
            }
            self.change(now, record, None, Announcement::default(), out);
        }
    }

    // ------------------------------------------------------------------------------------- what is certain

    /// Does what the register wants; `asker` is whose message it answers.
    fn carry_out(
        &mut self,
        now: Instant,
        asker: Option<Asker<'_>>,
        effects: &mut Effects<ArbiterRecord>,
        out: &mut Outbox,
    ) {
        let mut is_seated = false;
        for effect in effects.drain() {
            match effect {
                Effect::Save(keeper) => {
                    let save = Save::Arbiter(Box::new(keeper));
                    let behind = Announcement::default();
                    let ticket = self.disk.ask(now, &save, behind, &mut self.timers);
                    out.persist(ticket, save);
                }
                Effect::Send { to, message } => self.send(to, asker, message, out),
                Effect::Chosen(mark) => {
                    is_seated |= mark.step == Step::ZERO;
                    self.on_certain(Ground::Chosen(mark), out);
                }
                Effect::Confirmed(ballot, round) => {
                    self.on_certain(Ground::Confirmed(ballot, round), out);
                }
            }
        }
        if !self.register.is_chair() {
            self.grounds.clear();
            self.doubt = None;
        }
        if is_seated {
            self.on_seated(now, out);
        }
    }

    fn send(
        &mut self,
        to: ArbiterId,
        asker: Option<Asker<'_>>,
        body: register::Message<ArbiterRecord>,
        out: &mut Outbox,
    ) {
        // Of those that came by a change it may have heard of from others only.
        let record = self.register.newest().map(|newest| &newest.value);
        let (place, cluster) = match asker {
            // One that has no record yet knows of a cluster by whom it answers.
            Some(asker) if asker.arbiter == to => (Some(asker.place), asker.cluster),
            Some(_) | None => {
                let Some(record) = record else {
                    return;
                };
                let place = record.config.arbiters.get(&to);
                (place.map(|place| &place.address), record.config.cluster)
            }
        };
        let Some(place) = place.cloned() else {
            return;
        };
        let message = RegisterMessage {
            sender: self.register.keeper().id(),
            cluster,
            body,
        };
        let message = Message::Register(Box::new(message));
        self.say(Announcement::message(place, message), out);
    }

    fn on_certain(&mut self, ground: Ground, out: &mut Outbox) {
        if self.doubt == Some(ground) {
            self.find_behind(out);
        }
        if let Some(announcement) = self.grounds.remove(&ground) {
            self.say(announcement, out);
        }
    }

    fn find_behind(&mut self, out: &mut Outbox) {
        self.doubt = None;
        self.is_behind = true;
        self.asked.clear();
        out.notify(Event::RecordBehind);
    }

    /// Says what is certain, when the disk has all that it was asked to save.
    fn say(&mut self, announcement: Announcement, out: &mut Outbox) {
        match self.disk.meanings_mut().next_back() {
            Some(last) if !planted!(TellsBeforeDurable) => last.add(announcement),
            Some(_) | None => announcement.say(out),
        }
    }

    fn on_persisted(&mut self, now: Instant, ticket: Ticket, out: &mut Outbox) {
        if let Some(behind) = self.disk.on_persisted(now, ticket, &mut self.timers) {
            behind.say(out);
        }
    }

    fn on_persist_retry(&mut self, now: Instant, out: &mut Outbox) {
        for (ticket, save) in self.disk.on_retry(now, &mut self.timers) {
            out.persist(ticket, save);
        }
    }

    fn on_repeat(&mut self, now: Instant, out: &mut Outbox) {
        let effects = &mut Effects::default();
        self.register.repeat(effects);
        self.carry_out(now, None, effects, out);
    }
}

impl Process for Arbiter {
    type Timer = Timer;

    fn step(&mut self, now: Now<'_>, input: Input<Timer>, out: &mut Outbox) {
        let now = now.time;
        match input {
            Input::Start => {
                // The others of several are asked for it when somebody asks this one.
                let held = self.register.keeper().held();
                if held.is_some_and(|held| held.arbiters.all().len() == 1) {
                    self.stand(now, out);
                }
            }
            // The disk hangs. Whoever is not answered asks again.
            Input::Message { .. } if self.disk.len() >= limits::ARBITER_RECORDS_WAITING_MAX => {}
            Input::Message { from, message } => match message {
                Message::ToArbiter(message) => self.on_asked(now, from, message, out),
                Message::Register(message) => self.on_register(now, &from, *message, out),
                Message::Offer(offer) => {
                    let arbiter = offer.arbiter;
                    self.on_offer(now, from, *offer, out);
                    self.tell_if_it_is_one(now, arbiter, out);
                }
                Message::FromArbiter(_)
                | Message::Peer(_)
                | Message::Request(_)
                | Message::Reply(_) => out.notify(Event::Stale { from }),
            },
            Input::Timer(timer) => {
                self.timers.disarm(timer);
                match timer {
                    Timer::PersistRetry => self.on_persist_retry(now, out),
                    Timer::Repeat => self.on_repeat(now, out),
                    Timer::Offer => {}
                }
            }
            Input::Persisted(ticket) => self.on_persisted(now, ticket, out),
            Input::DiskFull => {
                if self.disk.on_full(now) {
                    out.notify(Event::DiskFull);
                }
            }
            Input::DiskRoom => {
                if self.disk.on_room() {
                    out.notify(Event::DiskHasRoom);
                }
            }
            Input::Leave => out.notify(Event::Left),
            // It asks nothing of this kind.
            Input::Applied(_)
            | Input::Trimmed(_)
            | Input::Answered(..)
            | Input::UsageMeasured(_)
            | Input::Call(..) => {}
        }
        self.decide(now, out);
        if self.register.is_one() {
            self.timers.disarm(Timer::Offer);
        } else if !self.timers.is_armed(Timer::Offer) {
            self.offer(now, out);
        }
        if self.register.is_waiting() {
            self.timers
                .arm_if_idle(Timer::Repeat, now + limits::RETRY_INTERVAL);
        } else {
            self.timers.disarm(Timer::Repeat);
        }
    }

    fn timers(&self) -> &Timers<Timer> {
        &self.timers
    }
}
