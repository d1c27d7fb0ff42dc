//! Arbiters that are none of those that keep the record, and offer themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Address, ArbiterId, ArbiterPlace};
use crate::limits;
use crate::message::Offer;
use crate::time::Instant;

/// Who has offered itself lately, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Offers(BTreeMap<ArbiterId, Heard>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Heard {
    /// When it began to offer itself.
    since: Instant,
    at: Instant,
    from: Address,
    offer: Offer,
}

impl Offers {
    /// Takes one up. Those that are not repeated are forgotten, those that another one has taken the place of, and those for which there is
    /// no room.
    pub(super) fn on_offer(&mut self, now: Instant, from: Address, offer: Offer) {
        self.0.retain(|arbiter, heard| {
            let is_its = *arbiter == offer.arbiter || heard.from != from;
            is_its && now - heard.at < limits::OFFER_PATIENCE
        });
        let known = self.0.get(&offer.arbiter);
        let heard = Heard {
            since: known.map_or(now, |known| known.since),
            at: now,
            from,
            offer,
        };
        if self.0.len() < limits::OFFERS_MAX || self.0.contains_key(&heard.offer.arbiter) {
            self.0.insert(heard.offer.arbiter, heard);
        }
    }

    /// Those that stand.
    pub(super) fn standing(&self, now: Instant) -> impl Iterator<Item = (ArbiterId, ArbiterPlace)> {
        let fresh = self.fresh(now);
        fresh.map(|heard| (heard.offer.arbiter, heard.place()))
    }

    /// Those that stand and were repeated: a single one may be a late copy of what one has said that is no more.
    pub(super) fn repeated(&self, now: Instant) -> impl Iterator<Item = (ArbiterId, ArbiterPlace)> {
        let fresh = self.fresh(now);
        let repeated = fresh.filter(|heard| heard.at - heard.since >= limits::OFFER_INTERVAL / 2);
        repeated.map(|heard| (heard.offer.arbiter, heard.place()))
    }

    /// Where this one is, if its offer stands.
    pub(super) fn place_of(&self, now: Instant, arbiter: ArbiterId) -> Option<ArbiterPlace> {
        let heard = self.fresh(now).find(|heard| heard.offer.arbiter == arbiter);
        heard.map(Heard::place)
    }

    /// Of whom it has heard lately.
    pub(super) fn heard(&self, now: Instant) -> BTreeSet<ArbiterId> {
        self.fresh(now).map(|heard| heard.offer.arbiter).collect()
    }

    /// All that are to begin a cluster together with `own`, called `name`, if each of the others offers itself, has never been in
    /// one, is to begin one with the same, and has heard of `own`: so it has said so since that one is there.
    ///
    /// # Errors
    /// With the names of those that are awaited.
    pub(super) fn founders(
        &self,
        now: Instant,
        own: ArbiterId,
        name: &str,
        founders: &BTreeSet<String>,
    ) -> Result<BTreeMap<ArbiterId, ArbiterPlace>, BTreeSet<String>> {
        let agree = |heard: &&Heard| {
            let offer = &heard.offer;
            let is_new = offer.cluster.is_none() && offer.heard.contains(&own);
            is_new && offer.founders == *founders
        };
        let others = founders.iter().filter(|founder| *founder != name);
        let (mut found, mut awaited) = (BTreeMap::new(), BTreeSet::new());
        for founder in others {
            let offers = self.fresh(now).filter(agree);
            let newest = offers
                .filter(|heard| heard.offer.name == *founder)
                .max_by_key(|heard| heard.at);
            match newest {
                Some(heard) => {
                    found.insert(heard.offer.arbiter, heard.place());
                }
                None => {
                    awaited.insert(founder.clone());
                }
            }
        }
        if awaited.is_empty() {
            Ok(found)
        } else {
            Err(awaited)
        }
    }

    fn fresh(&self, now: Instant) -> impl Iterator<Item = &Heard> {
        let heard = self.0.values();
        heard.filter(move |heard| now - heard.at < limits::OFFER_PATIENCE)
    }
}

impl Heard {
    fn place(&self) -> ArbiterPlace {
        ArbiterPlace {
            name: self.offer.name.clone(),
            address: self.from.clone(),
        }
    }
}
