//! Connections that did not come about: counted, and told in one line a second, however many there are.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::shared::Shared;

/// One line in as long.
const INTERVAL: Duration = Duration::from_secs(1);

/// What has become of those who were not let in.
#[derive(Default)]
pub(crate) struct Strangers {
    /// Began a handshake that did not lead to a connection.
    pub(crate) failed: AtomicU64,
    /// Were not allowed to begin one.
    pub(crate) refused: AtomicU64,
    summary: Mutex<Option<Summary>>,
}

/// What has not been told yet.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    failed: u64,
    refused: u64,
    last: Option<(SocketAddr, String)>,
}

impl Strangers {
    /// Somebody at `remote` has failed. The first one is told at once, further ones together with those of the same second.
    pub(crate) fn on_failed(shared: &Arc<Shared>, remote: SocketAddr, reason: String) {
        let strangers = &shared.strangers;
        strangers.failed.fetch_add(1, Ordering::Relaxed);
        let add = |summary: &mut Summary| {
            summary.failed += 1;
            summary.last = Some((remote, reason.clone()));
        };
        if strangers.is_first(shared, add) {
            warn!(%remote, reason, "refused a connection");
        }
    }

    /// Somebody was not allowed to begin a handshake.
    pub(crate) fn on_refused(shared: &Arc<Shared>, remote: SocketAddr) {
        let strangers = &shared.strangers;
        strangers.refused.fetch_add(1, Ordering::Relaxed);
        if strangers.is_first(shared, |summary| summary.refused += 1) {
            warn!(%remote, "refused a handshake, since there are too many");
        }
    }

    /// Is it to be told at once? Otherwise it is added to what is told later.
    fn is_first(&self, shared: &Arc<Shared>, add: impl FnOnce(&mut Summary)) -> bool {
        let mut summary = self.lock();
        if let Some(summary) = &mut *summary {
            add(summary);
            return false;
        }
        *summary = Some(Summary::default());
        shared.runtime.spawn(tell(Arc::clone(shared)));
        true
    }

    /// What is to be told next; `None`: nothing, and whoever fails next is told at once.
    fn next(&self) -> Option<Summary> {
        let mut summary = self.lock();
        let next = summary.take().filter(|told| *told != Summary::default());
        if next.is_some() {
            *summary = Some(Summary::default());
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, Option<Summary>> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells what comes together, as long as there is something to tell.
async fn tell(shared: Arc<Shared>) {
    loop {
        shared.runtime.until(Instant::now() + INTERVAL).await;
        match shared.strangers.next() {
            Some(summary) => summary.tell(),
            None => return,
        }
    }
}

impl Summary {
    fn tell(self) {
        let Self {
            failed,
            refused,
            last,
        } = self;
        match last {
            Some((remote, reason)) => {
                warn!(failed, refused, %remote, reason, "refused further connections, the last for this reason");
            }
            None => warn!(failed, refused, "refused further connections"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_told_once_and_a_quiet_second_ends_them() {
        let strangers = Strangers::default();
        *strangers.lock() = Some(Summary::default());
        if let Some(summary) = &mut *strangers.lock() {
            summary.failed = 7;
        }
        assert_eq!(strangers.next().expect("something to tell").failed, 7);
        assert_eq!(strangers.next(), None);
        assert_eq!(*strangers.lock(), None);
    }
}
