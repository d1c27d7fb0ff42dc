//! A cluster as the commands see it: a client, the addresses it was given, and failures in words for the user.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_std::channel::{self, Receiver};
use async_std::task;
use lockstep_core::config::Address;
use lockstep_core::driver;
use lockstep_core::driver::handle::{
    Acknowledged, ClientOptions, Handle, Page, Read, ReadError, WriteError,
};
use lockstep_core::limits::Limits;
use lockstep_core::message::{Drain, NodeStatus};
use lockstep_core::operation::{
    Key, ReadLevel, Rejection, RequestId, RequestName, Resolution, Value,
};
use lockstep_core::range::KeyRange;
use lockstep_core::transport::Transport;

use crate::output::Failure;
use crate::status;

/// A client of a cluster, for the commands.
#[derive(Clone)]
pub(crate) struct Store {
    handle: Handle,
    transport: Arc<dyn Transport>,
    addresses: Vec<Address>,
}

/// A write that was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotWritten {
    /// The request, if there was one.
    pub(crate) id: Option<RequestId>,
    /// Why.
    pub(crate) failure: Failure,
}

/// What a task returns.
pub(crate) type Joined<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Store {
    /// A client of the replicas at `addresses`. Reaches for nobody yet.
    pub(crate) fn connect(
        transport: Arc<dyn Transport>,
        addresses: Vec<Address>,
        options: &ClientOptions,
    ) -> Self {
        let handle = driver::connect(transport.clone(), addresses.clone(), options);
        Self {
            handle,
            transport,
            addresses,
        }
    }

    /// The same client, whose calls give up after `deadline`.
    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            handle: self.handle.with_deadline(deadline),
            ..self.clone()
        }
    }

    /// Runs `task` where the client runs, so that its calls and their answers change no threads. Ready when the task is.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Joined<T> {
        let (sender, receiver) = channel::bounded(1);
        driver::runtime_of(self.transport.as_ref()).spawn(Box::pin(async move {
            // Nobody may wait.
            let _ = sender.send(task.await).await;
        }));
        Box::pin(async move { receiver.recv().await.expect("the task did not panic") })
    }

    /// Sets a key.
    pub(crate) async fn put(&self, key: Key, value: Value) -> Result<Acknowledged, NotWritten> {
        check_size("key", key.0.len(), Limits::KEY_BYTES_CEILING)?;
        check_size("value", value.0.len(), Limits::VALUE_BYTES_CEILING)?;
        let outcome = self.handle.insert(key, value).await;
        outcome.map_err(|error| self.not_written(error))
    }

    /// Deletes a key.
    pub(crate) async fn remove(&self, key: Key) -> Result<Acknowledged, NotWritten> {
        check_size("key", key.0.len(), Limits::KEY_BYTES_CEILING)?;
        let outcome = self.handle.remove(key).await;
        outcome.map_err(|error| self.not_written(error))
    }

    /// Reads a key as fresh as `level` says, at one replica or any.
    pub(crate) async fn get(
        &self,
        key: Key,
        level: ReadLevel,
        replica: Option<&Address>,
    ) -> Result<Read, Failure> {
        let outcome = match replica {
            Some(replica) => self.handle.get_at(replica, key, level).await,
            None => self.handle.get_with(key, level).await,
        };
        outcome.map_err(|error| self.not_read(error, replica))
    }

    /// What became of a write of a key.
    pub(crate) async fn resolve(
        &self,
        request: &RequestName,
        key: Key,
    ) -> Result<Resolution, Failure> {
        let outcome = self.handle.resolve(request, key).await;
        outcome.map_err(|error| self.not_read(error, None))
    }

    /// Begins to drain a replica.
    pub(crate) async fn drain(&self, replica: &Address, drain: Drain) -> Result<(), Failure> {
        let outcome = self.handle.drain(replica, drain).await;
        outcome.map_err(|error| self.not_read(error, Some(replica)))
    }

    /// Reads a page of at most `limit` records of a range, at one replica or any.
    pub(crate) async fn scan(
        &self,
        range: KeyRange,
        limit: Option<NonZeroU32>,
        replica: Option<&Address>,
    ) -> Result<Page, Failure> {
        let outcome = self.handle.scan(range, limit, replica.cloned()).await;
        outcome.map_err(|error| self.not_read(error, replica))
    }

    /// What the members of the cluster say of themselves, those that answer.
    pub(crate) async fn statuses(&self) -> Result<Vec<NodeStatus>, Failure> {
        self.statuses_without(None).await
    }

    /// The same, without waiting for one that may be gone.
    pub(crate) async fn statuses_without(
        &self,
        gone: Option<&Address>,
    ) -> Result<Vec<NodeStatus>, Failure> {
        // All at the same time: some may be dead, and who is alive knows the others.
        let first = self.ask_all(&self.addresses).recv().await;
        let first = first.map_err(|_| self.unreachable(None))?;
        let members: Vec<Address> = match &first.config {
            Some(config) => config
                .members
                .iter()
                .filter(|(node, _)| **node != first.node)
                .map(|(_, member)| member.address.clone())
                .filter(|address| Some(address) != gone)
                .collect(),
            // It has not heard of the cluster's members; perhaps another one has.
            None => self.addresses.clone(),
        };
        let mut answers = vec![first];
        let others = self.ask_all(&members);
        while let Ok(answer) = others.recv().await {
            if answers.iter().all(|known| known.node != answer.node) {
                answers.push(answer);
            }
        }
        Ok(answers)
    }

    /// Asks all of them at the same time. The channel closes when all have answered or failed to.
    fn ask_all(&self, members: &[Address]) -> Receiver<NodeStatus> {
        let (sender, receiver) = channel::unbounded();
        for member in members {
            let (handle, sender, member) = (self.handle.clone(), sender.clone(), member.clone());
            // Ends with its deadline at the latest.
            task::spawn(async move {
                if let Ok(status) = handle.status(&member).await {
                    // Nobody may want to hear more.
                    let _ = sender.send(status).await;
                }
            });
        }
        receiver
    }

    /// The address of the replica that the user means: by its name, its node id or its address.
    pub(crate) async fn find_replica(&self, wanted: &str) -> Result<Address, Failure> {
        let answers = self.statuses().await?;
        let mut names = Vec::new();
        for (node, member) in status::newest_config(&answers)
            .iter()
            .flat_map(|config| &config.members)
        {
            let address = member.address.as_str();
            let spellings = [
                member.name.as_str(),
                &node.to_string(),
                address,
                status::host_and_port(address),
            ];
            if spellings.contains(&wanted) {
                return Ok(member.address.clone());
            }
            names.push(member.name.as_str());
        }
        // A replica that is no member can still be asked, by its address.
        if wanted.contains(':') {
            return Ok(Address::new(wanted));
        }
        names.sort_unstable();
        Err(Failure::Usage(format!(
            "there is no replica {wanted} in the cluster; it has {}",
            names.join(", ")
        )))
    }

    /// Ends the client in good order.
    pub(crate) async fn close(&self) {
        self.handle.close().await;
    }

    fn not_written(&self, error: WriteError) -> NotWritten {
        let (id, failure) = match error {
            WriteError::Rejected { id, reason } => (Some(id), Failure::Rejected { reason }),
            WriteError::Unknown { request } => (
                Some(request.id),
                Failure::Unknown {
                    request: Some(request),
                },
            ),
            WriteError::Unreachable => (None, self.unreachable(None)),
            WriteError::Interrupted => (None, Failure::Unknown { request: None }),
            WriteError::Closed => (None, closed()),
        };
        NotWritten { id, failure }
    }

    fn not_read(&self, error: ReadError, replica: Option<&Address>) -> Failure {
        match error {
            ReadError::Rejected { reason, .. } => Failure::Rejected { reason },
            ReadError::Unreachable => self.unreachable(replica),
            ReadError::Closed => closed(),
        }
    }

    fn unreachable(&self, replica: Option<&Address>) -> Failure {
        let reason = |address: &Address| {
            let endpoint = status::host_and_port(address.as_str());
            match self.transport.last_failure(address) {
                Some(reason) => format!("{endpoint} ({reason})"),
                None => endpoint.to_owned(),
            }
        };
        Failure::Unreachable(match replica {
            Some(replica) => format!(
                "the replica at {} did not answer in time; see `lockstep status`",
                reason(replica)
            ),
            None => format!(
                "no replica was reached in time, nothing was executed; tried {}. Is the cluster running?",
                self.addresses
                    .iter()
                    .map(reason)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        })
    }
}

fn closed() -> Failure {
    Failure::Broken("the client ended unexpectedly; --log info tells more".to_owned())
}

/// What no cluster takes is not sent: it might not even fit into a frame.
fn check_size(what: &str, size: usize, limit: usize) -> Result<(), NotWritten> {
    if size <= limit {
        return Ok(());
    }
    let reason = Rejection::too_large(what, size, limit);
    Err(NotWritten {
        id: None,
        failure: Failure::Rejected { reason },
    })
}
