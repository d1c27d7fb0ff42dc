//! Calls on their way from programs to the process of a client, and how many of them there may be.

use async_channel::{Receiver, Sender};

use crate::process::{Call, Outcome};

/// A call on its way to the process or under way in it.
#[derive(Debug)]
pub(super) struct PendingCall {
    pub(super) call: Call,
    pub(super) reply: oneshot::Sender<Outcome>,
    // Given back when the process is done with the call, whether or not the caller still waits.
    pub(super) _slot: Slot,
}

impl PendingCall {
    pub(super) fn complete(self, outcome: Outcome) {
        // Fails when the caller has gone, as it may.
        let _gone = self.reply.send(outcome);
    }
}

/// Bounds the calls under way: a place in a channel for each.
pub(super) struct Slots {
    taken: Sender<()>,
    free: Receiver<()>,
}

#[derive(Debug)]
pub(super) struct Slot(Receiver<()>);

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        let (taken, free) = async_channel::bounded(count.max(1));
        Self { taken, free }
    }

    pub(super) async fn take(&self) -> Slot {
        let taken = self.taken.send(()).await;
        taken.expect("the receiver is beside it");
        Slot(self.free.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let freed = self.0.try_recv();
        debug_assert!(freed.is_ok(), "a slot was taken for each");
    }
}
