//! Arbiters come: to begin a cluster together, to be taken in, or in the place of one that is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::{Address, ArbiterId};
use crate::event::Event;
use crate::limits;
use crate::message::{ArbitersChange, ArbitersSeen, FromArbiter, Message, Offer};
use crate::process::Outbox;
use crate::register::{Arbiters, Ballot, Effects, Register};
use crate::time::Instant;

use super::announcement::Announcement;
use super::set::{self, Next};
use super::{Arbiter, Timer, offline, policy};

impl Arbiter {
    /// One that is none of those that keep the record offers itself wherever an arbiter may be; and begins a cluster, if all are there
    /// that are to begin it.
    pub(super) fn offer(&mut self, now: Instant, out: &mut Outbox) {
        let own = self.register.keeper().id();
        let options = &self.options;
        let known = self.record().into_iter();
        let known = known.flat_map(|record| record.config.arbiters.values());
        let known = known.map(|place| place.address.clone());
        // Who is to begin with others may have been told of by them only.
        let offering = self.offers.standing(now).map(|(_, place)| place.address);
        let others: BTreeSet<Address> = known
            .chain(offering)
            .chain(options.peers.iter().cloned())
            .filter(|address| *address != options.place.address)
            .collect();
        let offer = Offer {
            arbiter: own,
            name: options.place.name.clone(),
            cluster: self.record().map(|record| record.config.cluster),
            founders: options.founders.clone(),
            heard: self.offers.heard(now),
        };
        for to in others {
            let message = Message::Offer(Box::new(offer.clone()));
            self.say(Announcement::message(to, message), out);
        }
        self.timers
            .arm_if_idle(Timer::Offer, now + limits::OFFER_INTERVAL);
        self.begin_if_all_are_there(now, out);
    }

    pub(super) fn on_offer(&mut self, now: Instant, from: Address, offer: Offer, out: &mut Outbox) {
        let ours = self.record().map(|record| record.config.cluster);
        let is_foreign = ours.is_some() && offer.cluster.is_some() && offer.cluster != ours;
        let is_fine = policy::is_name(&offer.name)
            && offer.founders.len() <= limits::ARBITERS_MAX
            && offer.heard.len() <= limits::OFFERS_MAX
            && offer.arbiter != self.register.keeper().id();
        if is_foreign || !is_fine {
            out.notify(Event::Stale { from });
            return;
        }
        if !self.offers.heard(now).contains(&offer.arbiter) {
            // It waits to hear that it was heard.
            self.timers.disarm(Timer::Offer);
        }
        self.offers.on_offer(now, from, offer);
        self.begin_if_all_are_there(now, out);
    }

    /// Begins a cluster together with others: the first of them by name does, when it has heard that none of the others is in
    /// one. So of two lists with a name in common one at most comes to anything.
    fn begin_if_all_are_there(&mut self, now: Instant, out: &mut Outbox) {
        let options = &self.options;
        let keeper = self.register.keeper();
        let own = keeper.id();
        let is_new = keeper.held().is_none() && keeper.promised() == Ballot::NONE;
        if !is_new || options.founders.len() < 2 {
            return;
        }
        let name = &options.place.name;
        let mut places = match self.offers.founders(now, own, name, &options.founders) {
            Ok(places) => places,
            Err(awaited) => {
                if self.awaited != awaited {
                    out.notify(Event::FoundersAwaited(awaited.clone()));
                    self.awaited = awaited;
                }
                return;
            }
        };
        if options.founders.first() != Some(name) {
            return;
        }
        places.insert(own, options.place.clone());
        let Some(arbiters) = Arbiters::new(places.keys().copied().collect()) else {
            return;
        };
        let mut record = policy::first_record(self.drawn.cluster, self.drawn.secret);
        record.config.arbiters = places;
        out.notify(Event::ClusterBegun(record.config.cluster));
        let keeper = offline::found_with(own, arbiters, record);
        self.register = Register::open(keeper);
        self.stand(now, out);
    }

    /// Does what the one in the chair does about the set by itself. Returns whether anything had to be done.
    pub(super) fn tend(&mut self, now: Instant, out: &mut Outbox) -> bool {
        let Some(held) = self.register.present() else {
            return false;
        };
        let own = self.register.keeper().id();
        if let Some(next) = set::tidied(held, own, &self.options.place) {
            let gone = held.value.config.arbiters.keys();
            let gone = gone
                .filter(|arbiter| !held.arbiters.has(**arbiter))
                .copied();
            for arbiter in gone.collect::<Vec<_>>() {
                self.tell(now, arbiter, out);
            }
            self.change_set(now, next, out);
            return true;
        }
        let repeated: Vec<_> = self.offers.repeated(now).collect();
        for (arbiter, place) in repeated {
            let Some(held) = self.register.present() else {
                return false;
            };
            let silence = |arbiter| self.silence(now, arbiter);
            let newcomer = (arbiter, place);
            if let Some(next) = set::replaced(held, newcomer, silence, self.is_heard(now)) {
                self.change_set(now, next, out);
                return true;
            }
        }
        false
    }

    /// One that is among those that keep the record, and offers itself, has not heard of it.
    pub(super) fn tell_if_it_is_one(&mut self, now: Instant, arbiter: ArbiterId, out: &mut Outbox) {
        let held = self.register.present();
        if held.is_some_and(|held| held.arbiters.has(arbiter)) {
            self.tell(now, arbiter, out);
        }
    }

    fn tell(&mut self, now: Instant, arbiter: ArbiterId, out: &mut Outbox) {
        let effects = &mut Effects::default();
        self.register.tell(arbiter, effects);
        self.carry_out(now, None, effects, out);
    }

    /// What an operator wants of the set; `None` if it cannot be at present.
    pub(super) fn next_set(&self, now: Instant, change: ArbitersChange) -> Option<Next> {
        let held = self.register.present()?;
        let offer_of = |arbiter| self.offers.place_of(now, arbiter);
        set::changed(held, change, offer_of, self.is_heard(now))
    }

    pub(super) fn change_set(&mut self, now: Instant, next: Next, out: &mut Outbox) {
        let news = policy::announcement(&next.record.config).collect();
        let decided = Event::Decided(next.record.config.version);
        let announcement = Announcement::answers(news).with([decided]);
        self.change(now, next.record, next.arbiters, announcement, out);
    }

    /// How the arbiters are, for who asks; `None` where there is one only, and nobody who offers itself.
    pub(super) fn seen(&self, now: Instant) -> Option<FromArbiter> {
        let held = self.register.present()?;
        let all = held.arbiters.all();
        let offers = self.offers.standing(now);
        let offers: BTreeMap<_, _> = offers
            .filter(|(arbiter, _)| !all.contains(arbiter))
            .collect();
        if all.len() == 1 && offers.is_empty() {
            return None;
        }
        let silent = all
            .iter()
            .map(|arbiter| (*arbiter, self.silence(now, *arbiter)));
        let silent = silent.filter(|(_, silence)| *silence >= limits::ARBITER_SILENCE);
        Some(FromArbiter::Arbiters(ArbitersSeen {
            cluster: held.value.config.cluster,
            chair: self.register.keeper().id(),
            silent: silent.collect(),
            offers,
        }))
    }

    /// For how long nothing was heard of it, since this one took the chair.
    fn silence(&self, now: Instant, arbiter: ArbiterId) -> Duration {
        if arbiter == self.register.keeper().id() {
            return Duration::ZERO;
        }
        let heard = self.heard.get(&arbiter).copied().max(self.seated_at);
        heard.map_or(Duration::ZERO, |heard| now - heard)
    }

    fn is_heard(&self, now: Instant) -> impl Fn(ArbiterId) -> bool {
        let own = self.register.keeper().id();
        move |arbiter| {
            let heard = self.heard.get(&arbiter);
            arbiter == own || heard.is_some_and(|at| now - *at < limits::ARBITER_SILENCE)
        }
    }
}
