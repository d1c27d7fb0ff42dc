//! Operations that are ready, of the clients that share a connection.

use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::sync::Notify;

use crate::lane::Request;

/// Operations of one kind, first come, first served.
///
/// - Bounded by the clients, each of which has one operation.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: RefCell<VecDeque<Request>>,
    is_filled: Notify,
}

impl Queue {
    pub(crate) fn push(&self, request: Request) {
        self.waiting.borrow_mut().push_back(request);
        self.is_filled.notify_one();
    }

    /// Waits for operations, and takes what is there, `max` at most.
    pub(crate) async fn take(&self, max: usize) -> Vec<Request> {
        loop {
            let batch: Vec<Request> = {
                let mut waiting = self.waiting.borrow_mut();
                let count = waiting.len().min(max);
                waiting.drain(..count).collect()
            };
            if !batch.is_empty() {
                return batch;
            }
            self.is_filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::operation::Key;
    use tokio::runtime;
    use tokio::time::Instant;

    use super::*;

    fn request(key: &str) -> Request {
        Request {
            since: Instant::now(),
            key: key.into(),
            value: "".into(),
        }
    }

    #[test]
    fn every_operation_wakes_a_lane_that_waits() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let queue = Queue::default();
            let fill = async {
                for key in ["a", "b", "c"] {
                    queue.push(request(key));
                }
            };
            let (one, other, ()) = tokio::join!(queue.take(2), queue.take(2), fill);
            let mut keys: Vec<_> = one
                .into_iter()
                .chain(other)
                .map(|request| request.key)
                .collect();
            keys.sort_unstable();
            assert_eq!(keys, ["a", "b", "c"].map(Key::from));
        });
    }
}
