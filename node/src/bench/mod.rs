//! The parts of a bench: what is done to which keys ([`workload`], [`keys`], [`schedule`]), what stands in the values and
//! what is known of them ([`values`], [`ledger`]), who does it ([`client`], [`scan`], [`spread`]), what comes of it ([`tally`],
//! [`costs`], [`report`]), and what is looked at besides ([`observer`], [`notes`]: [`failover`] with [`pauses`] and [`changes`],
//! [`catch_up`]). [`settings`] says what is wanted, [`run`] puts everything together.

pub(crate) mod catch_up;
pub(crate) mod changes;
pub(crate) mod client;
pub(crate) mod costs;
pub(crate) mod failover;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod notes;
pub(crate) mod observer;
pub(crate) mod pauses;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod spread;
pub(crate) mod tally;
pub(crate) mod values;
pub(crate) mod workload;
