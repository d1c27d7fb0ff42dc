//! What the load asks of what is loaded, and of what runs its clients.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use lockstep_core::config::{Address, Position, Seq};
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::range::KeyRange;

use crate::tally::Cause;

/// What is loaded: a cluster, as one or more clients reach it.
pub trait Target: Clone + Send + Sync + 'static {
    /// Why an operation did not succeed.
    type Failure: Failure;

    /// Sets a key: the place of that among all writes, once it is acknowledged.
    fn put(
        &self,
        key: Key,
        value: Value,
    ) -> impl Future<Output = Result<Seq, Self::Failure>> + Send;

    /// Deletes a key, whether or not it is there.
    fn remove(&self, key: Key) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// Reads a key as fresh as `level` says, at one replica or any.
    fn get(
        &self,
        key: Key,
        level: ReadLevel,
        replica: Option<&Address>,
    ) -> impl Future<Output = Result<Read, Self::Failure>> + Send;

    /// Reads at most `limit` records of a range, at one replica or any.
    fn scan(
        &self,
        range: KeyRange,
        limit: NonZeroU32,
        replica: Option<&Address>,
    ) -> impl Future<Output = Result<Page, Self::Failure>> + Send;

    /// Ready once `time` has passed.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `task` where it reaches the target best. Ready when the task is.
    fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static)
    -> Joined<T>;
}

/// What a task returns.
pub type Joined<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a target did not do what it was asked for.
pub trait Failure: Clone + Display + Send + 'static {
    /// What that means for the operation.
    fn cause(&self) -> Cause;

    /// Would every other operation fail as well?
    fn is_fatal(&self) -> bool;
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its value; `None` if it is absent.
    pub value: Option<Value>,
    /// The outcome of all writes before this is in it.
    pub position: Position,
}

/// Some records, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<(Key, Value)>,
    /// More may lie in the rest of the range, behind this key; `None` if nothing does.
    pub resume: Option<Key>,
}
