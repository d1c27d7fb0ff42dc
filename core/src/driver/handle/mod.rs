//! Calls for programs: what a program does with a cluster is an async function here, and an `Input::Call` to a client
//! process underneath, which numbers requests, finds the primary and tries again.

mod answers;
mod prepared;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_channel::Sender;
use futures_lite::{Stream, stream};

pub use crate::client::ReadFrom;
use crate::config::Address;
use crate::driver::calls::{PendingCall, Slots};
use crate::driver::clock::Clock;
use crate::driver::dice::draw;
use crate::driver::disk::Disk;
use crate::driver::running::{Control, Running};
use crate::driver::spawn::{Parts, spawn_with_calls};
use crate::driver::watch::Watch;
use crate::event::Event;
use crate::message::{ArbitersChange, Drain, NodeStatus, ReplyBody, RequestBody};
use crate::operation::{Key, Keyed, ReadLevel, RequestId, RequestName, Resolution, Value};
use crate::process::{Call, Outcome, Process};
use crate::range::KeyRange;
use crate::transport::Transport;

pub use answers::{Acknowledged, AdminError, Asked, Page, Read, ReadError, WriteError};
use answers::{Begun, NoAnswer, Told};
pub use prepared::PreparedWrite;

/// How a client behaves.
///
/// ```
/// # use std::time::Duration;
/// # use lockstep_core::driver::handle::{ClientOptions, ReadFrom};
/// let options = ClientOptions {
///     deadline: Duration::from_secs(1),
///     read_from: ReadFrom::Primary,
///     ..ClientOptions::default()
/// };
/// assert_eq!(options.in_flight_max, 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// A call gives up after this, unless `Handle::with_deadline` says otherwise. Default 5 seconds.
    pub deadline: Duration,
    /// Calls under way at the same time, those included whose futures were dropped; further ones wait for their turn.
    /// At least 1. Default 1024.
    pub in_flight_max: usize,
    /// Where reads go that name no replica. Default: to all that are in sync.
    pub read_from: ReadFrom,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            in_flight_max: 1024,
            read_from: ReadFrom::default(),
        }
    }
}

/// A client of a cluster: cheap to clone, usable from many tasks at once. It ends with its last clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    transport: Arc<dyn Transport>,
    /// Names of prepared writes to come, each in a session whose former writes are settled.
    free_names: Mutex<Vec<RequestName>>,
    calls: Sender<PendingCall>,
    slots: Slots,
    control: Control,
    /// `None` once it was closed.
    running: Mutex<Option<Running>>,
}

impl Handle {
    /// A client made of a process that answers calls; programs want [`connect`](crate::driver::connect).
    pub fn over<P>(process: P, transport: Arc<dyn Transport>, options: &ClientOptions) -> Self
    where
        P: Process + 'static,
        P::Timer: 'static,
    {
        // Its length is bounded by the slots.
        let (calls, receiver) = async_channel::unbounded();
        let parts = Parts {
            transport: transport.clone(),
            disk: Disk::none(),
            watch: Arc::new(Unwatched),
        };
        let running = spawn_with_calls(process, parts, Some(receiver));
        Self {
            shared: Arc::new(Shared {
                transport,
                free_names: Mutex::default(),
                calls,
                slots: Slots::new(options.in_flight_max),
                control: running.control(),
                running: Mutex::new(Some(running)),
            }),
            deadline: options.deadline,
        }
    }

    /// The same client, whose calls give up after `deadline`.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            shared: self.shared.clone(),
            deadline,
        }
    }

    /// Ready once a replica has answered: somebody is where the client was told, and takes its certificate.
    ///
    /// # Errors
    /// If nobody answers until the deadline.
    pub async fn reach(&self) -> Result<(), ReadError> {
        let _status: Box<NodeStatus> = self.ask(RequestBody::Status, None).await?;
        Ok(())
    }

    /// Sets a key. Dropping the future does not take the write back.
    ///
    /// # Errors
    /// See [`WriteError`]: what was not executed, and what may have been.
    pub async fn insert(
        &self,
        key: impl Into<Key>,
        value: impl Into<Value>,
    ) -> Result<Acknowledged, WriteError> {
        let (key, value) = (key.into(), value.into());
        self.write(RequestBody::Insert { key, value }, None).await
    }

    /// Deletes a key, whether or not it is there. Dropping the future does not take the write back.
    ///
    /// # Errors
    /// See [`WriteError`]: what was not executed, and what may have been.
    pub async fn remove(&self, key: impl Into<Key>) -> Result<Acknowledged, WriteError> {
        let key = key.into();
        self.write(RequestBody::Remove { key }, None).await
    }

    /// Reads a key: the outcome of every write that was acknowledged before, whoever wrote it (linearizable).
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, key: impl Into<Key>) -> Result<Read, ReadError> {
        self.get_with(key, ReadLevel::Linearizable).await
    }

    /// Reads a key, as fresh as `level` says. What need not be the newest costs less and is answered by more replicas:
    ///
    /// ```no_run
    /// # use lockstep_core::driver::handle::{Handle, ReadError};
    /// # use lockstep_core::operation::ReadLevel;
    /// # async fn example(client: &Handle) -> Result<(), ReadError> {
    /// let first = client.get("stock").await?;
    /// // Not older than the first, at any replica.
    /// let second = client.get_with("stock", ReadLevel::AtLeast(first.position)).await?;
    /// assert!(second.position >= first.position);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get_with(&self, key: impl Into<Key>, level: ReadLevel) -> Result<Read, ReadError> {
        let key = key.into();
        self.ask(RequestBody::Get { key, level }, None).await
    }

    /// Reads a key at one replica.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get_at(
        &self,
        replica: &Address,
        key: impl Into<Key>,
        level: ReadLevel,
    ) -> Result<Read, ReadError> {
        let key = key.into();
        let replica = Some(replica.clone());
        self.ask(RequestBody::Get { key, level }, replica).await
    }

    /// Finds out what became of a write of `key` whose outcome was unknown. If it was not executed, it never will be.
    ///
    /// ```no_run
    /// # use lockstep_core::driver::handle::{Handle, ReadError, WriteError};
    /// # use lockstep_core::operation::Resolution;
    /// # async fn example(client: &Handle) -> Result<(), ReadError> {
    /// if let Err(WriteError::Unknown { request }) = client.insert("paid", "yes").await {
    ///     match client.resolve(&request, "paid").await? {
    ///         Resolution::Executed { seq, .. } => println!("executed, as {seq}"),
    ///         Resolution::NeverExecuted => println!("not executed: it can be sent again"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no answer; `Rejection::SessionExpired` when the cluster does not remember the write any more.
    pub async fn resolve(
        &self,
        request: &RequestName,
        key: impl Into<Key>,
    ) -> Result<Resolution, ReadError> {
        let key = key.into();
        let resolve = RequestBody::Resolve { key };
        Ok(self.answered(self.call(resolve, Some(*request), None).await)?)
    }

    /// Has a replica leave the configuration, or hand over being primary. Returns when that has begun; its status tells
    /// when it is done.
    ///
    /// # Errors
    /// If it is refused, or there is no answer: see [`AdminError`].
    pub async fn drain(&self, replica: &Address, drain: Drain) -> Result<(), AdminError> {
        let Begun = self.administer(RequestBody::Drain(drain), replica).await?;
        Ok(())
    }

    /// Has a replica propose to the arbiters that their set changes. Returns when it has; the configuration in its status tells when it is
    /// done. It comes to nothing if anything else is decided meanwhile, or if one that is to come does not offer itself, or if no
    /// majority of those that there would be is heard: then it is for the caller to try again.
    ///
    /// # Errors
    /// If it is refused, or there is no answer: see [`AdminError`].
    pub async fn change_arbiters(
        &self,
        replica: &Address,
        change: ArbitersChange,
    ) -> Result<(), AdminError> {
        let Begun = self
            .administer(RequestBody::Arbiters(change), replica)
            .await?;
        Ok(())
    }

    /// Reads the records of a range in the order of their keys, at most `limit`; at one replica or any. A page may have
    /// fewer although more follow: `Page::resume` tells.
    ///
    /// ```no_run
    /// # use std::num::NonZeroU32;
    /// # use lockstep_core::driver::handle::{Handle, ReadError};
    /// # use lockstep_core::range::KeyRange;
    /// # async fn example(client: &Handle) -> Result<(), ReadError> {
    /// let range = KeyRange::prefix("user/"); // Or "user/1".."user/2", or .. for all.
    /// let page = client.scan(range, NonZeroU32::new(10), None).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn scan(
        &self,
        range: impl Into<KeyRange>,
        limit: Option<NonZeroU32>,
        replica: Option<Address>,
    ) -> Result<Page, ReadError> {
        let range = range.into();
        self.ask(RequestBody::Scan { range, limit }, replica).await
    }

    /// The records of a range in the order of their keys, page by page; at one replica or any. Later ones may be of a newer
    /// state than earlier ones.
    pub fn records(
        &self,
        range: impl Into<KeyRange>,
        replica: Option<Address>,
    ) -> impl Stream<Item = Result<Keyed, ReadError>> + Send + Unpin + 'static {
        let begin = (self.clone(), Vec::new().into_iter(), Some(range.into()));
        Box::pin(stream::try_unfold(begin, move |(handle, records, rest)| {
            let replica = replica.clone();
            async move {
                let (mut records, mut rest) = (records, rest);
                loop {
                    if let Some(record) = records.next() {
                        return Ok(Some((record, (handle, records, rest))));
                    }
                    let Some(range) = rest else {
                        return Ok(None);
                    };
                    let page = handle.scan(range.clone(), None, replica.clone()).await?;
                    records = page.records.into_iter();
                    rest = page.resume.map(|last| range.rest(last));
                }
            }
        }))
    }

    /// Asks a replica about itself.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn status(&self, replica: &Address) -> Result<NodeStatus, AdminError> {
        let status: Box<NodeStatus> = self.administer(RequestBody::Status, replica).await?;
        Ok(*status)
    }

    /// Ends the client, with all its clones, and waits for that. Writes under way end as at their deadlines: one that was sent
    /// is `Unknown`, and has a name. Other calls end with `Closed`.
    pub async fn close(&self) {
        self.shared.control.leave();
        self.shared.control.stop();
        let running = self.running();
        if let Some(running) = running {
            // A client has no disk, and whoever closes it has no use for its failure.
            let _exit = running.ended().await;
        }
    }

    fn running(&self) -> Option<Running> {
        let mut running = self.shared.running.lock().expect("nobody panics with it");
        running.take()
    }

    fn free_names(&self) -> MutexGuard<'_, Vec<RequestName>> {
        let names = self.shared.free_names.lock();
        names.expect("nobody panics with them")
    }

    async fn write(
        &self,
        request: RequestBody,
        name: Option<RequestName>,
    ) -> Result<Acknowledged, WriteError> {
        match self.call(request, name, None).await {
            Ok(Outcome::Answered { id, replica, body }) => Ok(told(id, replica, body)),
            Ok(Outcome::Unknown { request }) => Err(WriteError::Unknown { request }),
            Ok(Outcome::Rejected { id, reason }) => Err(WriteError::Rejected { id, reason }),
            Ok(Outcome::Unreachable { replicas }) => Err(WriteError::Unreachable {
                asked: self.asked(replicas),
            }),
            Err(NoOutcome::NotBegun) => Err(WriteError::Closed),
            Err(NoOutcome::Interrupted) => Err(WriteError::Interrupted),
        }
    }

    async fn ask<T: Told>(
        &self,
        request: RequestBody,
        replica: Option<Address>,
    ) -> Result<T, ReadError> {
        Ok(self.answered(self.call(request, None, replica).await)?)
    }

    async fn administer<T: Told>(
        &self,
        request: RequestBody,
        replica: &Address,
    ) -> Result<T, AdminError> {
        let replica = Some(replica.clone());
        Ok(self.answered(self.call(request, None, replica).await)?)
    }

    /// What the program is told of a call that is not a write.
    fn answered<T: Told>(&self, outcome: Result<Outcome, NoOutcome>) -> Result<T, NoAnswer> {
        match outcome {
            Ok(Outcome::Answered { id, replica, body }) => Ok(told(id, replica, body)),
            Ok(Outcome::Rejected { id, reason }) => Err(NoAnswer::Rejected { id, reason }),
            Ok(Outcome::Unreachable { replicas }) => Err(NoAnswer::Unreachable {
                asked: self.asked(replicas),
            }),
            Ok(Outcome::Unknown { .. }) => {
                unreachable!("only the outcome of a write may be unknown")
            }
            Err(NoOutcome::NotBegun | NoOutcome::Interrupted) => Err(NoAnswer::Closed),
        }
    }

    /// What the transport knows of replicas that were asked in vain.
    fn asked(&self, replicas: Vec<Address>) -> Vec<Asked> {
        let asked = |replica| Asked {
            failure: self.shared.transport.last_failure(&replica),
            replica,
        };
        replicas.into_iter().map(asked).collect()
    }

    async fn call(
        &self,
        request: RequestBody,
        name: Option<RequestName>,
        replica: Option<Address>,
    ) -> Result<Outcome, NoOutcome> {
        // The deadline counts from here: waiting for a turn is the caller's own doing.
        let slot = self.shared.slots.take().await;
        let call = Call {
            request,
            name,
            replica,
            deadline: Clock.now() + self.deadline,
        };
        let (reply, outcome) = oneshot::async_channel();
        let call = PendingCall {
            call,
            reply,
            _slot: slot,
        };
        let handed_over = self.shared.calls.try_send(call);
        handed_over.map_err(|_| NoOutcome::NotBegun)?;
        outcome.await.map_err(|_| NoOutcome::Interrupted)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

fn told<T: Told>(id: RequestId, replica: Address, body: ReplyBody) -> T {
    T::told(id, replica, body)
        .expect("the client has seen that the answer is of the request's kind")
}

/// Why a call got no outcome: the client has ended.
enum NoOutcome {
    NotBegun,
    Interrupted,
}

struct Unwatched;

impl Watch for Unwatched {
    fn on_event(&self, _event: &Event) {}
}
