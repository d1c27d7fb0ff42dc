//! A cluster as the commands see it: a client, the addresses it was given, and failures in words for the user.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_std::channel::{self, Receiver, Sender};
use async_std::task;
use lockstep_core::config::{Address, Position};
use lockstep_core::driver;
use lockstep_core::driver::handle::{
    Acknowledged, AdminError, ClientOptions, Handle, Page, Read, ReadError, WriteError,
};
use lockstep_core::message::{ArbitersChange, Drain, NodeStatus};
use lockstep_core::operation::{Key, ReadLevel, Rejection, RequestId, Resolution, Value};
use lockstep_core::range::KeyRange;
use lockstep_core::rights::Right;
use lockstep_core::transport::Transport;

use crate::keys;
use crate::output::Failure;
use crate::patience::Patience;
use crate::status::{self, ClusterStatus};
use crate::write_name::WriteName;

/// A client of a cluster, for the commands.
#[derive(Clone)]
pub(crate) struct Store {
    handle: Handle,
    transport: Arc<dyn Transport>,
    /// Nothing where nodes have no certificates.
    certificates: Option<Certificates>,
    addresses: Vec<Address>,
    /// With which the client's keys have to begin; none: it may ask for any key.
    prefixes: Vec<Key>,
    patience: Patience,
    /// Closed when a signal has ended the client.
    interruption: Sender<Infallible>,
    interrupted: Receiver<Infallible>,
}

/// Until when the certificate is valid that the node at an address has shown.
pub(crate) type Certificates = Arc<dyn Fn(&Address) -> Option<SystemTime> + Send + Sync>;

/// A write that was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotWritten {
    /// The request, if there was one.
    pub(crate) id: Option<RequestId>,
    /// Why.
    pub(crate) failure: Failure,
}

/// How a replica answers whoever names keys that his certificate is not for.
const OTHER_KEYS: Rejection = Rejection::Unauthorized {
    needed: Right::Keys,
};

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
        // Nothing is ever sent.
        let (interruption, interrupted) = channel::bounded(1);
        Self {
            handle,
            transport,
            certificates: None,
            addresses,
            prefixes: Vec::new(),
            patience: Patience::EachCall(options.deadline),
            interruption,
            interrupted,
        }
    }

    /// The same client of nodes that show certificates.
    pub(crate) fn with_certificates(self, certificates: Certificates) -> Self {
        let certificates = Some(certificates);
        Self {
            certificates,
            ..self
        }
    }

    /// The same client, which may only name keys that begin with one of these, if there are any.
    pub(crate) fn with_prefixes(self, prefixes: Vec<Key>) -> Self {
        Self { prefixes, ..self }
    }

    /// The keys that the client may name, in their order.
    pub(crate) fn own_ranges(&self) -> Vec<KeyRange> {
        keys::ranges(self.prefixes.iter().cloned())
    }

    /// The same client, whose calls try as long as that.
    pub(crate) fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Has the time of a command passed?
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.patience.is_over()
    }

    /// For the next call.
    fn handle(&self) -> Handle {
        self.handle.with_deadline(self.patience.of_a_call())
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
        match self.handle().insert(key.clone(), value).await {
            Ok(acknowledged) => Ok(acknowledged),
            Err(error) => Err(self.not_written(error, key).await),
        }
    }

    /// Deletes a key.
    pub(crate) async fn remove(&self, key: Key) -> Result<Acknowledged, NotWritten> {
        match self.handle().remove(key.clone()).await {
            Ok(acknowledged) => Ok(acknowledged),
            Err(error) => Err(self.not_written(error, key).await),
        }
    }

    /// Reads a key as fresh as `level` says, at one replica or any.
    pub(crate) async fn get(
        &self,
        key: Key,
        level: ReadLevel,
        replica: Option<&Address>,
    ) -> Result<Read, Failure> {
        let outcome = match replica {
            Some(replica) => self.handle().get_at(replica, key, level).await,
            None => self.handle().get_with(key, level).await,
        };
        let error = match outcome {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        if let ReadLevel::AtLeast(wanted) = level
            && let Some(failure) = self.beyond(wanted).await
        {
            return Err(failure);
        }
        Err(self.not_read(error, replica).await)
    }

    /// What became of a write.
    pub(crate) async fn resolve(&self, write: &WriteName) -> Result<Resolution, Failure> {
        let outcome = self
            .handle()
            .resolve(&write.request, write.key.clone())
            .await;
        let unresolved = |advice: &'static str, why: String| Failure::Unresolved { advice, why };
        match outcome {
            Ok(resolution) => Ok(resolution),
            Err(ReadError::Rejected { reason, .. }) => {
                let advice = match reason {
                    Rejection::SessionExpired | Rejection::SessionTooOld => "read the key",
                    Rejection::Unauthorized { .. } => "ask with another certificate",
                    _ => "ask again",
                };
                Err(unresolved(advice, reason.to_string()))
            }
            Err(error) => {
                let failure = self.not_read(error, None).await;
                Err(unresolved("ask again", failure.to_string()))
            }
        }
    }

    /// Begins to drain a replica.
    pub(crate) async fn drain(&self, replica: &Address, drain: Drain) -> Result<(), Failure> {
        match self.handle().drain(replica, drain).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.not_administered(error, replica).await),
        }
    }

    /// Has a replica propose that other arbiters keep the record.
    pub(crate) async fn change_arbiters(
        &self,
        replica: &Address,
        change: ArbitersChange,
    ) -> Result<(), Failure> {
        match self.handle().change_arbiters(replica, change).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.not_administered(error, replica).await),
        }
    }

    /// Reads a page of at most `limit` records of a range, at one replica or any.
    pub(crate) async fn scan(
        &self,
        range: KeyRange,
        limit: Option<NonZeroU32>,
        replica: Option<&Address>,
    ) -> Result<Page, Failure> {
        match self.handle().scan(range, limit, replica.cloned()).await {
            Ok(page) => Ok(page),
            Err(error) => Err(self.not_read(error, replica).await),
        }
    }

    /// Adds until when the certificates of the replicas are valid that were asked anything.
    pub(crate) fn add_certificates(&self, cluster: &mut ClusterStatus) {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH);
            since.unwrap_or_default().as_secs()
        };
        cluster.add_certificates(seconds(SystemTime::now()), |name, endpoint| {
            self.certified_until(name, endpoint).map(seconds)
        });
    }

    /// Until when the certificate is valid of the node called `name` at `HOST:PORT`.
    fn certified_until(&self, name: &str, endpoint: &str) -> Option<SystemTime> {
        let certificates = self.certificates.as_ref()?;
        let named = Address::new(format!("{name}@{endpoint}"));
        certificates(&named).or_else(|| certificates(&Address::new(endpoint)))
    }

    /// What the members of the cluster say of themselves, those that answer.
    pub(crate) async fn statuses(&self) -> Result<Vec<NodeStatus>, Failure> {
        let answers = self
            .statuses_within(self.patience.of_a_call(), 1, None)
            .await;
        answers.ok_or_else(|| Failure::Unreachable(self.unreachable(None)))
    }

    /// The same for who has more to do: it waits for half of the time at most once one has answered, and not for one that
    /// may be gone.
    pub(crate) async fn statuses_without(
        &self,
        gone: Option<&Address>,
    ) -> Result<Vec<NodeStatus>, Failure> {
        let answers = self
            .statuses_within(self.patience.of_a_call(), 2, gone)
            .await;
        answers.ok_or_else(|| Failure::Unreachable(self.unreachable(None)))
    }

    /// The same within a time in all, of which the others get one part in `parts` of what the first one leaves; `None` if
    /// nobody answers.
    async fn statuses_within(
        &self,
        time: Duration,
        parts: u32,
        gone: Option<&Address>,
    ) -> Option<Vec<NodeStatus>> {
        let end = Instant::now() + time;
        // All at the same time: some may be dead, and who is alive knows the others.
        let first = self.ask_all(&self.addresses, end).recv().await.ok()?;
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
        let now = Instant::now();
        let part = end.saturating_duration_since(now) / parts;
        let others = self.ask_all(&members, now + part);
        while let Ok(answer) = others.recv().await {
            if answers.iter().all(|known| known.node != answer.node) {
                answers.push(answer);
            }
        }
        Some(answers)
    }

    /// Asks all of them at the same time. The channel closes when all have answered or failed to.
    fn ask_all(&self, members: &[Address], end: Instant) -> Receiver<NodeStatus> {
        let (sender, receiver) = channel::unbounded();
        for member in members {
            let left = end.saturating_duration_since(Instant::now());
            let handle = self.handle.with_deadline(left);
            let (sender, member) = (sender.clone(), member.clone());
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
        let answers = self.statuses_without(None).await?;
        self.find_replica_in(&answers, wanted)
    }

    /// The same, among those that answered.
    pub(crate) fn find_replica_in(
        &self,
        answers: &[NodeStatus],
        wanted: &str,
    ) -> Result<Address, Failure> {
        let mut names = Vec::new();
        for (node, member) in status::newest_config(answers)
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

    /// Ends the client because of a signal: who waits for a write is told its name, if it may have been executed.
    pub(crate) async fn interrupt(&self) {
        self.interruption.close();
        self.close().await;
    }

    /// Has a signal ended the client?
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.is_closed()
    }

    /// Waits until a signal ends the client. Cancel-safe.
    pub(crate) async fn interrupted(&self) {
        let Err(_closed) = self.interrupted.recv().await;
    }

    async fn not_written(&self, error: WriteError, key: Key) -> NotWritten {
        let (id, failure) = match error {
            WriteError::Rejected { id, reason } if reason == OTHER_KEYS => {
                (Some(id), self.not_its_keys())
            }
            WriteError::Rejected { id, reason } => (Some(id), Failure::Rejected { reason }),
            WriteError::Unknown { request } => {
                let write = Some(WriteName { request, key });
                (Some(request.id), Failure::Unknown { write })
            }
            WriteError::Unreachable { .. } | WriteError::Closed if self.is_interrupted() => {
                (None, Failure::Interrupted)
            }
            WriteError::Unreachable { .. } => {
                let text = format!("nothing was written: {}", self.why_unreachable(None).await);
                (None, Failure::Unreachable(text))
            }
            WriteError::Interrupted => (None, Failure::Unknown { write: None }),
            WriteError::Closed => (None, closed()),
            error => (None, Failure::Broken(error.to_string())),
        };
        NotWritten { id, failure }
    }

    async fn not_read(&self, error: ReadError, replica: Option<&Address>) -> Failure {
        match error {
            _ if self.is_interrupted() => Failure::Interrupted,
            ReadError::Rejected { reason, .. } if reason == OTHER_KEYS => self.not_its_keys(),
            ReadError::Rejected { reason, .. } => Failure::NotAnswered { reason },
            ReadError::Unreachable { .. } => {
                Failure::Unreachable(self.why_unreachable(replica).await)
            }
            ReadError::Closed => closed(),
            error => Failure::Broken(error.to_string()),
        }
    }

    fn not_its_keys(&self) -> Failure {
        Failure::OtherKeys {
            own: self.prefixes.clone(),
        }
    }

    async fn not_administered(&self, error: AdminError, replica: &Address) -> Failure {
        match error {
            AdminError::Rejected { reason, .. } => Failure::NotAnswered { reason },
            AdminError::Unreachable { .. } => {
                Failure::Unreachable(self.why_unreachable(Some(replica)).await)
            }
            AdminError::Closed => closed(),
            error => Failure::Broken(error.to_string()),
        }
    }

    /// The words for a position that a read has waited for and that no replica has come to.
    async fn beyond(&self, wanted: Position) -> Option<Failure> {
        let time = self.patience.of_an_inquiry() / 2;
        let answers = self.statuses_within(time, 1, None).await?;
        let committed = answers.iter().map(|answer| answer.committed).max()?;
        (committed < wanted).then_some(Failure::Beyond { wanted, committed })
    }

    /// Whom a call has waited for that reached nobody who could do it: some may answer, and know.
    async fn why_unreachable(&self, replica: Option<&Address>) -> String {
        let time = self.patience.of_an_inquiry();
        if replica.is_none() && !time.is_zero() {
            let answers = self
                .statuses_within(time, 1, None)
                .await
                .unwrap_or_default();
            if let Some(mut cluster) = status::combine(&answers) {
                self.add_certificates(&mut cluster);
                return cluster.standstill();
            }
        }
        self.unreachable(replica)
    }

    /// Why the node called `name` at `HOST:PORT` was not reached; `None` if it was, or was not tried.
    pub(crate) fn last_failure(&self, name: &str, endpoint: &str) -> Option<String> {
        let named = Address::new(format!("{name}@{endpoint}"));
        let failure = self.transport.last_failure(&named);
        failure.or_else(|| self.transport.last_failure(&Address::new(endpoint)))
    }

    /// Nobody answers: where, and why not.
    fn unreachable(&self, replica: Option<&Address>) -> String {
        let reason = |address: &Address| {
            let endpoint = status::host_and_port(address.as_str());
            match self.transport.last_failure(address) {
                Some(reason) => format!("{endpoint} ({reason})"),
                None => endpoint.to_owned(),
            }
        };
        match replica {
            Some(replica) => format!(
                "the replica at {} did not answer in time; see `lockstep status`",
                reason(replica)
            ),
            None => format!(
                "no replica was reached in time; tried {}. Is the cluster running?",
                self.addresses
                    .iter()
                    .map(reason)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }
}

fn closed() -> Failure {
    Failure::Broken("the client ended unexpectedly; --log info tells more".to_owned())
}
