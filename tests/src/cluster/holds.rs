//! Frames of one kind that are kept back on a link, to arrive when a script says so.

use bytes::Bytes;
use lockstep_core::message::Message;

use super::{Cluster, Plan};
use crate::network::Fate;
use crate::trace;

/// What is kept of one kind of message on one link.
pub(super) struct Hold {
    from: usize,
    to: usize,
    kind: String,
    mode: Mode,
    frames: Vec<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Frames are kept instead of arriving.
    Hold,
    /// Frames arrive, and copies of them are kept.
    Copy,
    /// Frames arrive; those that were kept before are still there.
    Pass,
}

impl Cluster {
    /// Messages of that kind from `from` to `to` are kept back from now on.
    pub fn hold(&mut self, from: usize, to: usize, kind: &str) {
        self.note_pair(&format!("{kind} held"), from, to);
        self.hold_of(from, to, kind).mode = Mode::Hold;
    }

    /// Messages of that kind arrive, and copies of them are kept.
    pub fn copy(&mut self, from: usize, to: usize, kind: &str) {
        self.note_pair(&format!("{kind} copied"), from, to);
        self.hold_of(from, to, kind).mode = Mode::Copy;
    }

    /// No more messages of that kind are kept. Those that were stay where they are.
    pub fn pass(&mut self, from: usize, to: usize, kind: &str) {
        self.note_pair(&format!("{kind} passed"), from, to);
        self.hold_of(from, to, kind).mode = Mode::Pass;
    }

    /// No more messages of that kind are kept, and those that were arrive now.
    pub fn release(&mut self, from: usize, to: usize, kind: &str) {
        self.note_pair(&format!("{kind} released"), from, to);
        let hold = self.hold_of(from, to, kind);
        hold.mode = Mode::Pass;
        for frame in std::mem::take(&mut hold.frames) {
            self.plan(self.now, Plan::Arrive { from, to, frame });
        }
    }

    fn hold_of(&mut self, from: usize, to: usize, kind: &str) -> &mut Hold {
        let is_it = |hold: &Hold| (hold.from, hold.to, hold.kind.as_str()) == (from, to, kind);
        let index = self.holds.iter().position(is_it).unwrap_or_else(|| {
            self.holds.push(Hold {
                from,
                to,
                kind: kind.to_owned(),
                mode: Mode::Pass,
                frames: Vec::new(),
            });
            self.holds.len() - 1
        });
        &mut self.holds[index]
    }

    /// What becomes of a frame that would have that fate.
    pub(super) fn keep(
        &mut self,
        from: usize,
        to: usize,
        message: &Message,
        frame: &Bytes,
        fate: Fate,
    ) -> Fate {
        if self.holds.is_empty() {
            return fate;
        }
        let kind = trace::kind(message);
        let hold = self.hold_of(from, to, &kind);
        if hold.mode != Mode::Pass {
            hold.frames.push(frame.clone());
        }
        match hold.mode {
            Mode::Hold => Fate::Held,
            Mode::Copy | Mode::Pass => fate,
        }
    }
}
