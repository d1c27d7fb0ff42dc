//! The arbiters of a cluster, as one of them has told replicas.

use std::time::Duration;

use lockstep_core::config::{ArbiterId, ArbiterPlace, Config};
use lockstep_core::limits::ARBITER_SILENCE;
use lockstep_core::message::NodeStatus;
use serde::Serialize;

use super::host_and_port;
use super::problems::ago;
use crate::output;

/// The arbiters that keep the record, and those that could.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ArbitersStatus {
    /// Those that keep it, by name; none before any replica has joined.
    pub(crate) members: Vec<ArbiterMember>,
    /// Those that offer themselves.
    pub(crate) offers: Vec<ArbiterOffer>,
    /// How long ago one of several has told of all of them; `None`: none has.
    pub(crate) told_seconds: Option<u64>,
}

/// An arbiter that keeps the record with others, or alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ArbiterMember {
    /// Its identity.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) address: String,
    /// It decided last.
    pub(crate) chair: bool,
    /// Since when nothing was heard of it; `None`: it was heard lately, or nobody knows.
    pub(crate) silent_seconds: Option<u64>,
}

/// An arbiter that could keep the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ArbiterOffer {
    /// Its identity.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) address: String,
}

impl ArbitersStatus {
    /// As the answer of the replicas tells that was told last.
    pub(crate) fn new(config: Option<&Config>, answers: &[NodeStatus]) -> Self {
        let told = answers.iter().filter_map(|answer| answer.arbiters.as_ref());
        let told = told.min_by_key(|told| told.age);
        let told_seconds = told.map(|told| told.age.as_secs());
        let told = told.filter(|told| told.age < ARBITER_SILENCE);
        let seen = told.map(|told| &told.seen);
        let member = |(id, place): (&ArbiterId, &ArbiterPlace)| {
            let silent = seen.and_then(|seen| seen.silent.get(id));
            ArbiterMember {
                id: id.to_string(),
                name: place.name.clone(),
                address: host_and_port(place.address.as_str()).to_owned(),
                chair: seen.is_some_and(|seen| seen.chair == *id),
                silent_seconds: silent.map(Duration::as_secs),
            }
        };
        let offer = |(id, place): (&ArbiterId, &ArbiterPlace)| ArbiterOffer {
            id: id.to_string(),
            name: place.name.clone(),
            address: host_and_port(place.address.as_str()).to_owned(),
        };
        let members = config.into_iter().flat_map(|config| &config.arbiters);
        let mut members: Vec<_> = members.map(member).collect();
        members.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        let offers = seen.into_iter().flat_map(|seen| &seen.offers);
        // It was told before it was taken in.
        let is_in = |id| config.is_some_and(|config| config.arbiters.contains_key(id));
        let offers = offers.filter(|(id, _)| !is_in(*id));
        Self {
            members,
            offers: offers.map(offer).collect(),
            told_seconds,
        }
    }

    /// Do several keep the record?
    pub(crate) fn are_several(&self) -> bool {
        self.members.len() > 1
    }

    /// Those that are not heard.
    pub(super) fn silent(&self) -> impl Iterator<Item = (&ArbiterMember, u64)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((member, member.silent_seconds?)))
    }

    /// How many of those that are heard could fall silent, and a majority would be left.
    pub(super) fn spare(&self) -> usize {
        let heard = self.members.len() - self.silent().count();
        heard.saturating_sub(self.members.len() / 2 + 1)
    }

    /// As a table for people.
    pub(crate) fn table(&self) -> String {
        let header = ["arbiter", "state", "address", "id"]
            .map(str::to_owned)
            .to_vec();
        let members = self.members.iter().map(|member| {
            let state = match (member.chair, member.silent_seconds) {
                (true, _) => "decides".to_owned(),
                (false, Some(seconds)) => format!("silent for {}", ago(seconds)),
                (false, None) => "keeps the record".to_owned(),
            };
            let (name, address, id) = (&member.name, &member.address, &member.id);
            vec![name.clone(), state, address.clone(), id.clone()]
        });
        let offers = self.offers.iter().map(|offer| {
            let state = "offers itself".to_owned();
            let (name, address, id) = (&offer.name, &offer.address, &offer.id);
            vec![name.clone(), state, address.clone(), id.clone()]
        });
        output::columns(std::iter::once(header).chain(members).chain(offers))
    }

    /// In a line, where several keep the record and one is heard.
    pub(super) fn line(&self) -> String {
        let count = self.members.len();
        let heard = count - self.silent().count();
        let mut chair = self.members.iter().filter(|member| member.chair);
        let chair = chair
            .next()
            .map_or_else(String::new, |chair| format!(", {} decides", chair.name));
        format!("{heard} of {count} heard{chair}")
    }
}
