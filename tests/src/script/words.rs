//! What the words of a command stand for.

use std::str::FromStr;

use lockstep_core::config::{Address, Position};
use lockstep_core::limits::Limits;
use lockstep_core::message::{Drain, RequestBody};
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::CallId;
use lockstep_core::range::KeyRange;

use crate::cluster::{Cluster, ClusterOptions, MS};
use crate::disk::DiskOptions;

/// A steady cluster.
pub(super) fn build(replicas: usize, clients: usize, options: &[&str]) -> Result<Cluster, String> {
    let mut limits = Limits::default();
    for option in options {
        match option.split_once('=') {
            Some(("log", bytes)) => limits.log_bytes_max = number(bytes)?,
            Some(("in_sync", least)) => limits.min_in_sync = number(least)?,
            Some(("uncommitted", bytes)) => limits.uncommitted_bytes_max = number(bytes)?,
            Some(("drift", permille)) => limits.timing.drift_permille = number(permille)?,
            Some(_) | None => return Err(format!("no such option: {option}")),
        }
    }
    Ok(Cluster::new(ClusterOptions {
        disk: DiskOptions::for_log(limits.log_bytes_max),
        limits,
        ..ClusterOptions::steady(replicas, clients)
    }))
}

/// A client's call, at a replica or where the request has to go.
pub(super) struct Asked {
    client: usize,
    request: RequestBody,
    replica: Option<Address>,
}

impl Asked {
    /// Has the client make it.
    pub(super) fn call(self, cluster: &mut Cluster, patience: u64) -> CallId {
        cluster.call_at(self.client, self.request, self.replica, patience)
    }
}

/// The call that a command stands for.
pub(super) fn call_of(cluster: &Cluster, words: &[&str]) -> Result<Asked, String> {
    let address = |name: &str| -> Result<Address, String> {
        Ok(cluster.nodes()[node(cluster, name)?].address.clone())
    };
    let (client, request, replica) = match *words {
        ["put", client, key, value] => {
            let (key, value) = (Key::from(key), Value::from(value));
            (client, RequestBody::Insert { key, value }, None)
        }
        ["remove", client, key] => {
            let key = Key::from(key);
            (client, RequestBody::Remove { key }, None)
        }
        ["get", client, key, replica, level] => {
            let request = RequestBody::Get {
                key: Key::from(key),
                level: level_of(level)?,
            };
            (client, request, Some(address(replica)?))
        }
        ["scan", client, replica] => {
            let (range, limit) = (KeyRange::all(), None);
            let request = RequestBody::Scan { range, limit };
            (client, request, Some(address(replica)?))
        }
        ["drain", client, replica, ref role @ ..] => {
            let request = RequestBody::Drain(match role {
                [] => Drain::Node,
                ["role"] => Drain::Primary,
                _ => return Err("no such drain".to_owned()),
            });
            (client, request, Some(address(replica)?))
        }
        _ => return Err("no such command".to_owned()),
    };
    Ok(Asked {
        client: node(cluster, client)?,
        request,
        replica,
    })
}

pub(super) fn node(cluster: &Cluster, name: &str) -> Result<usize, String> {
    cluster
        .index_of(name)
        .ok_or_else(|| format!("no such node: {name}"))
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn level_of(text: &str) -> Result<ReadLevel, String> {
    match text {
        "local" => Ok(ReadLevel::Local),
        "linearizable" => Ok(ReadLevel::Linearizable),
        position => number(position).map(|position| ReadLevel::AtLeast(Position(position))),
    }
}

/// Milliseconds, perhaps with decimals, in nanoseconds.
pub(super) fn millis_of(text: &str) -> Result<u64, String> {
    let millis: f64 = number(text)?;
    Ok((millis * MS as f64) as u64)
}
