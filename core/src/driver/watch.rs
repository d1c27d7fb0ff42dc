//! Who is told what happens in a process.

use crate::config::Address;
use crate::engine::Room;
use crate::event::Event;

/// Is told what happens in a process, by its task: it must not wait.
pub trait Watch: Send + Sync + 'static {
    /// The protocol reports.
    fn on_event(&self, event: &Event);

    /// The protocol has reported `Event::DiskFull`; what is known of the room by then.
    fn on_disk_full(&self, room: Room) {
        let _ = room;
    }

    /// A peer was cut off because of what it sent.
    fn on_disconnect(&self, peer: &Address, reason: &str) {
        let _ = (peer, reason);
    }

    /// A message was not sent because the transport cannot carry it, now or at all.
    fn on_unsent(&self, to: &Address, reason: &str) {
        let _ = (to, reason);
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> Watch for F {
    fn on_event(&self, event: &Event) {
        self(event);
    }
}
