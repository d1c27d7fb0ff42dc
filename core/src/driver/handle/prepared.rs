//! Writes whose names are known before they are sent: what becomes of one can be found out although the future was dropped, or
//! the program has ended.
//!
//! Each has a session to itself for as long as it lasts, so that nothing else the client does has the cluster forget it. A
//! session whose write is settled goes to the next one: a client takes up no more of them than it has prepared at the same time,
//! and one for each write whose outcome it was not told.

use crate::config::Position;
use crate::message::{NodeStatus, RequestBody};
use crate::operation::{ClientId, Key, Rejection, RequestId, RequestName, Value};

use super::answers::{Acknowledged, ReadError, WriteError};
use super::{Handle, draw};

/// A write that has a name and was not sent yet; from [`Handle::prepare`].
///
/// The cluster remembers what became of the write for as long as this lives. If it is dropped before the outcome was told, or
/// with the program, the cluster remembers it as it does any client's last requests, and [`Handle::resolve`] tells.
#[derive(Debug)]
pub struct PreparedWrite {
    handle: Handle,
    name: RequestName,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its name may have been noted: it is nobody else's, even if it is never used.
    Unsent,
    /// Handed over; nobody was told what became of it.
    Open,
    /// Whoever sent it knows what became of it.
    Settled,
}

impl Handle {
    /// A write that has its name before it is sent, so that whoever notes the name can always find out what became of it.
    ///
    /// ```no_run
    /// # use lockstep_core::driver::handle::Handle;
    /// # async fn example(store: &Handle, note: impl Fn(String)) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut write = store.prepare().await?;
    /// note(write.name().to_string()); // On a disk, say, before anything is sent.
    /// write.insert("paid", "yes").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// After a restart, what was noted is read with `parse`, and [`resolve`](Self::resolve) tells whether the write was executed,
    /// and if it was not, sees that it never is.
    ///
    /// # Errors
    /// If no replica answers. Nothing was executed.
    pub async fn prepare(&self) -> Result<PreparedWrite, ReadError> {
        let free = self.free_names().pop();
        let name = match free {
            Some(name) => name,
            None => {
                let status: Box<NodeStatus> = self.ask(RequestBody::Status, None).await?;
                first_name(status.committed)
            }
        };
        Ok(PreparedWrite {
            handle: self.clone(),
            name,
            stage: Stage::Unsent,
        })
    }
}

impl PreparedWrite {
    /// What to ask for it by.
    pub fn name(&self) -> RequestName {
        self.name
    }

    /// Sets a key. Dropping the future does not take the write back.
    ///
    /// # Errors
    /// See [`WriteError`]. A prepared write is one write: `Unknown` if it was sent before, and then nothing is sent.
    pub async fn insert(
        &mut self,
        key: impl Into<Key>,
        value: impl Into<Value>,
    ) -> Result<Acknowledged, WriteError> {
        let (key, value) = (key.into(), value.into());
        self.send(RequestBody::Insert { key, value }).await
    }

    /// Deletes a key, whether or not it is there. Dropping the future does not take the write back.
    ///
    /// # Errors
    /// As those of [`insert`](Self::insert).
    pub async fn remove(&mut self, key: impl Into<Key>) -> Result<Acknowledged, WriteError> {
        let key = key.into();
        self.send(RequestBody::Remove { key }).await
    }

    async fn send(&mut self, request: RequestBody) -> Result<Acknowledged, WriteError> {
        if self.stage != Stage::Unsent {
            return Err(WriteError::Unknown { request: self.name });
        }
        self.stage = Stage::Open;
        let outcome = self.handle.write(request, Some(self.name)).await;
        if is_settled(&outcome) {
            self.stage = Stage::Settled;
        }
        outcome
    }
}

impl Drop for PreparedWrite {
    fn drop(&mut self) {
        if self.stage == Stage::Settled {
            let next = RequestId(self.name.id.0 + 1);
            let next = RequestName {
                id: next,
                ..self.name
            };
            self.handle.free_names().push(next);
        }
    }
}

/// The first write of a session of its own.
fn first_name(born: Position) -> RequestName {
    RequestName {
        client: ClientId(draw()),
        id: RequestId(0),
        born,
    }
}

/// Is the outcome known, and its session good for a further write?
fn is_settled(outcome: &Result<Acknowledged, WriteError>) -> bool {
    match outcome {
        Err(WriteError::Rejected { reason, .. }) => *reason != Rejection::SessionTooOld,
        Err(error) => !error.is_unknown(),
        Ok(_) => true,
    }
}
