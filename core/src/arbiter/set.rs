//! Which arbiters there are to be: what the one in the chair changes by itself, and what operators want
//! ([protocol](crate::docs::protocol#register)).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::{ArbiterId, ArbiterPlace};
use crate::limits;
use crate::message::ArbitersChange;
use crate::register::{Arbiters, Held};
use crate::storage::ArbiterRecord;

use super::policy::raise;

/// What is to be chosen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) record: ArbiterRecord,
    /// Who is to keep it from then on; `None`: those that do.
    pub(super) arbiters: Option<Arbiters>,
}

/// The places that the record tells of, if they are not those of the arbiters that there are.
pub(super) fn tidied(
    held: &Held<ArbiterRecord>,
    own: ArbiterId,
    place: &ArbiterPlace,
) -> Option<Next> {
    let Held {
        arbiters, value, ..
    } = held;
    let mut places = value.config.arbiters.clone();
    places.retain(|arbiter, _| arbiters.has(*arbiter));
    if arbiters.has(own) {
        places.insert(own, place.clone());
    }
    (places != value.config.arbiters).then(|| {
        let mut record = value.clone();
        record.config.arbiters = places;
        raise(&mut record.config);
        let arbiters = None;
        Next { record, arbiters }
    })
}

/// What there is to be when `newcomer` offers itself: it replaces the one of its name that is lost. That one is, if it was silent for
/// long; not so long, if it would be where the newcomer is.
pub(super) fn replaced(
    held: &Held<ArbiterRecord>,
    newcomer: (ArbiterId, ArbiterPlace),
    silence: impl Fn(ArbiterId) -> Duration,
    is_heard: impl Fn(ArbiterId) -> bool,
) -> Option<Next> {
    let places = held.value.config.arbiters.iter();
    let mut namesakes = places.filter(|(arbiter, place)| {
        let patience = match place.address == newcomer.1.address {
            true => limits::ARBITER_SILENCE,
            false => limits::ARBITER_LOST,
        };
        let is_its = place.name == newcomer.1.name && **arbiter != newcomer.0;
        is_its && silence(**arbiter) >= patience
    });
    let (former, _) = namesakes.next()?;
    exchanged(held, Some(*former), Some(newcomer), is_heard)
}

/// What there is to be if an operator has his will; `None` if that cannot be.
pub(super) fn changed(
    held: &Held<ArbiterRecord>,
    change: ArbitersChange,
    offer_of: impl Fn(ArbiterId) -> Option<ArbiterPlace>,
    is_heard: impl Fn(ArbiterId) -> bool,
) -> Option<Next> {
    let newcomer = |arbiter| Some((arbiter, offer_of(arbiter)?));
    match change {
        ArbitersChange::Add(arbiter) => exchanged(held, None, Some(newcomer(arbiter)?), is_heard),
        ArbitersChange::Remove(arbiter) => exchanged(held, Some(arbiter), None, is_heard),
        ArbitersChange::Replace { former, next } => {
            exchanged(held, Some(former), Some(newcomer(next)?), is_heard)
        }
    }
}

/// One goes, one comes. Not if no majority of those that there are then is heard: what has begun needs one of each set, and nothing
/// would be decided any more.
fn exchanged(
    held: &Held<ArbiterRecord>,
    former: Option<ArbiterId>,
    newcomer: Option<(ArbiterId, ArbiterPlace)>,
    is_heard: impl Fn(ArbiterId) -> bool,
) -> Option<Next> {
    let mut record = held.value.clone();
    let mut next = held.arbiters.present().clone();
    if let Some(former) = former
        && !next.remove(&former)
    {
        return None;
    }
    let new = newcomer.as_ref().map(|(arbiter, _)| *arbiter);
    if let Some((arbiter, place)) = newcomer {
        let is_taken = |(other, known): (&ArbiterId, &ArbiterPlace)| {
            Some(*other) != former && known.name == place.name
        };
        if !next.insert(arbiter) || record.config.arbiters.iter().any(is_taken) {
            return None;
        }
        record.config.arbiters.insert(arbiter, place);
    }
    let is_there = |arbiter: &ArbiterId| Some(*arbiter) == new || is_heard(*arbiter);
    let present: BTreeSet<ArbiterId> = next.iter().copied().filter(is_there).collect();
    let arbiters = Arbiters::new(next)?;
    if arbiters.all().len() > limits::ARBITERS_MAX || !arbiters.is_majority(&present) {
        return None;
    }
    raise(&mut record.config);
    let arbiters = Some(arbiters);
    Some(Next { record, arbiters })
}
