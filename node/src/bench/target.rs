//! A cluster as the load generator sees it.

use std::num::NonZeroU32;
use std::time::Duration;

use async_std::task;
use lockstep_bench::Target;
use lockstep_bench::tally::Cause;
use lockstep_bench::target::{Joined, Page, Read};
use lockstep_core::config::{Address, Seq};
use lockstep_core::operation::{Key, ReadLevel, Rejection, Value};
use lockstep_core::range::KeyRange;

use crate::output::{Exit, Failure};
use crate::store::Store;

impl Target for Store {
    type Failure = Failure;

    async fn put(&self, key: Key, value: Value) -> Result<Seq, Failure> {
        match Store::put(self, key, value).await {
            Ok(acknowledged) => Ok(acknowledged.seq),
            Err(not_written) => Err(not_written.failure),
        }
    }

    async fn remove(&self, key: Key) -> Result<(), Failure> {
        match Store::remove(self, key).await {
            Ok(_) => Ok(()),
            Err(not_written) => Err(not_written.failure),
        }
    }

    async fn get(
        &self,
        key: Key,
        level: ReadLevel,
        replica: Option<&Address>,
    ) -> Result<Read, Failure> {
        let read = Store::get(self, key, level, replica).await?;
        Ok(Read {
            position: read.position,
            value: read.into_value(),
        })
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: NonZeroU32,
        replica: Option<&Address>,
    ) -> Result<Page, Failure> {
        let page = Store::scan(self, range, Some(limit), replica).await?;
        Ok(Page {
            records: page
                .records
                .into_iter()
                .map(|found| (found.key, found.record.value))
                .collect(),
            resume: page.resume,
        })
    }

    async fn sleep(&self, time: Duration) {
        task::sleep(time).await;
    }

    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Joined<T> {
        Store::spawn(self, task)
    }
}

impl lockstep_bench::Failure for Failure {
    fn cause(&self) -> Cause {
        match self.exit() {
            Exit::Rejected => Cause::Rejected,
            Exit::Unknown => Cause::Unknown,
            Exit::Done
            | Exit::NotFound
            | Exit::Usage
            | Exit::Unreachable
            | Exit::Broken
            | Exit::Mismatch
            | Exit::Unwell
            | Exit::Interrupted => Cause::Unreachable,
        }
    }

    fn is_fatal(&self) -> bool {
        match self {
            Self::Rejected { reason } | Self::NotAnswered { reason } => match reason {
                Rejection::TooLarge { .. } | Rejection::Unauthorized { .. } => true,
                Rejection::NotPrimary { .. }
                | Rejection::NotReady
                | Rejection::NoLease
                | Rejection::Failed { .. }
                | Rejection::Behind { .. }
                | Rejection::Overloaded
                | Rejection::DiskFull
                | Rejection::TooFewReplicas { .. }
                | Rejection::SessionExpired
                | Rejection::SessionTooOld
                | Rejection::Cancelled
                | Rejection::CannotDrain { .. } => false,
                _ => false,
            },
            Self::Usage(_)
            | Self::OtherKeys { .. }
            | Self::Broken(_)
            | Self::PortInUse(_)
            | Self::NoRoom(_) => true,
            Self::NotFound { .. }
            | Self::Refused(_)
            | Self::Unknown { .. }
            | Self::Unreachable(_)
            | Self::Beyond { .. }
            | Self::Unresolved { .. }
            | Self::InLine { .. }
            | Self::Failed { .. }
            | Self::KeysLeft
            | Self::Interrupted
            | Self::Mismatch { .. }
            | Self::OutputClosed => false,
        }
    }
}
