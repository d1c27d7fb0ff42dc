//! A node's life after its start: until it ends by itself or a signal ends it.

use std::time::Duration;

use async_std::channel::Receiver;
use async_std::future::timeout;
use futures_lite::FutureExt;
use lockstep_core::driver::{Control, DriverError, Exit as Ended};
use lockstep_core::message::RoleName;
use serde_json::json;

use crate::args::Format;
use crate::events::News;
use crate::output::{self, Failure};
use crate::service;
use crate::signals::EndSignals;

/// A node that was told to end and has not after this is not waited for; its data does not need it.
pub(crate) const END_PATIENCE: Duration = Duration::from_secs(15);

/// The roles of a replica that takes part in a cluster.
pub(crate) const TAKING_PART: [RoleName; 3] =
    [RoleName::Primary, RoleName::Secondary, RoleName::Joining];

/// What a first signal makes a node do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// It leaves the cluster in good order, then stops.
    Leave,
    /// It stops.
    Stop,
}

/// Waits until what `control` tells to end has `ended`: by itself, or since a signal came. A second signal is not patient. Returns
/// how it ended: who was told to by a signal may have had no time to leave, and counts as stopped.
pub(crate) async fn until_end(
    control: Control,
    ended: impl Future<Output = Result<Ended, DriverError>>,
    on_signal: OnSignal,
    signals: &mut EndSignals,
) -> Result<Ended, Failure> {
    let mut ended = Box::pin(ended);
    let first = async {
        signals.next().await;
        None
    };
    if let Some(result) = first.or(async { Some((&mut ended).await) }).await {
        return result.map_err(|error| failure(&error));
    }
    service::stopping();
    match on_signal {
        OnSignal::Leave => control.leave(),
        OnSignal::Stop => control.stop(),
    }
    let again = async {
        signals.next().await;
        Ok(Ended::Stopped)
    };
    again.or(in_time(ended)).await
}

/// Waits for the end of a node that was told to end.
async fn in_time(
    ended: impl Future<Output = Result<Ended, DriverError>>,
) -> Result<Ended, Failure> {
    match timeout(END_PATIENCE, ended).await {
        Ok(result) => result
            .map(|_| Ended::Stopped)
            .map_err(|error| failure(&error)),
        Err(_) => Err(did_not_stop()),
    }
}

/// Says on standard output what whoever started the node waits for.
pub(crate) async fn announce(what: &str, name: &str, endpoint: &str, role: &str, format: Format) {
    let line = match format {
        Format::Text => format!("{what}: {name} at {endpoint}, {role}"),
        Format::Json => json!({
            "event": what, "name": name, "address": endpoint, "role": role,
        })
        .to_string(),
    };
    output::announce(line).await;
}

/// Says that the node takes part, as `role`.
pub(crate) async fn announce_ready(name: &str, endpoint: &str, role: &str, format: Format) {
    service::ready(role);
    announce("ready", name, endpoint, role, format).await;
}

/// Says that a node has left: what whoever looks at the output of its process sees last.
pub(crate) async fn announce_left(name: &str, endpoint: &str, format: Format) {
    announce("left", name, endpoint, "no member any more", format).await;
}

/// The words for a node that was told to stop in vain.
pub(crate) fn did_not_stop() -> Failure {
    Failure::Broken(
        "the node did not stop in time and was ended as by a crash; its data is safe, the next start takes longer"
            .to_owned(),
    )
}

/// Waits until the node has one of the roles, and returns it; `None` if it ends before.
pub(crate) async fn until_role(news: &Receiver<News>, wanted: &[RoleName]) -> Option<RoleName> {
    loop {
        match news.recv().await.ok()? {
            News::Role(role) if wanted.contains(&role) => return Some(role),
            News::Role(_) | News::Awaits(_) => {}
        }
    }
}

/// The words for the end of a node that nobody asked for.
pub(crate) fn failure(error: &DriverError) -> Failure {
    match error {
        DriverError::JoinRefused(reason) => Failure::Refused(reason.to_string()),
        DriverError::Disk(error) if error.is_for_want_of_room() => {
            Failure::NoRoom(output::chain(error))
        }
        DriverError::NoCluster | DriverError::ClusterBegun(_) => Failure::Usage(error.to_string()),
        DriverError::Disk(_)
        | DriverError::RecordBehind
        | DriverError::DiskHangs
        | DriverError::NoDisk
        | DriverError::TransportClosed
        | DriverError::Panicked(_)
        | DriverError::Abandoned
        | DriverError::Thread(_) => broken(error),
        other => broken(other),
    }
}

fn broken(error: &DriverError) -> Failure {
    Failure::Broken(format!("the node ended: {}", output::chain(error)))
}
