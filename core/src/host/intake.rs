//! How much of what waits a round takes, and in which order.
//!
//! Everything that is there, up to a bound for each source, so that none starves another and a lone arrival waits for nobody.
//! What the disk has done releases what messages wait for, so it comes first.

use super::Arrival;

/// Where arrivals come from. Each returns what waits longest there; `None` when nothing does.
pub trait Sources {
    /// What an operator wants.
    fn command(&mut self) -> Option<Arrival>;

    /// What the disk has to report.
    fn report(&mut self) -> Option<Arrival>;

    /// Frames from the network: `Arrival::Frames`.
    fn frames(&mut self) -> Option<Arrival>;

    /// What the program using a client wants.
    fn call(&mut self) -> Option<Arrival>;
}

/// What a round takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intake {
    /// Frames, reports and calls, of each so many: more would delay timers and what the round has to say.
    pub arrivals_max: usize,
    /// Bytes of frames.
    pub frame_bytes_max: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            arrivals_max: 1024,
            frame_bytes_max: 1 << 20,
        }
    }
}

impl Intake {
    /// Takes what is there. Returns whether there may be more.
    pub fn take(&self, sources: &mut impl Sources, arrivals: &mut Vec<Arrival>) -> bool {
        let command = sources.command();
        let is_commanded = command.is_some();
        arrivals.extend(command);
        is_commanded
            | self.take_from(|| sources.report(), arrivals)
            | self.take_frames(sources, arrivals)
            | self.take_from(|| sources.call(), arrivals)
    }

    fn take_from(
        &self,
        mut next: impl FnMut() -> Option<Arrival>,
        arrivals: &mut Vec<Arrival>,
    ) -> bool {
        for _ in 0..self.arrivals_max {
            match next() {
                Some(arrival) => arrivals.push(arrival),
                None => return false,
            }
        }
        if planted!(IntakeDropsBeyondBound) {
            next();
        }
        true
    }

    fn take_frames(&self, sources: &mut impl Sources, arrivals: &mut Vec<Arrival>) -> bool {
        let (mut frames, mut bytes) = (0, 0);
        while frames < self.arrivals_max && bytes < self.frame_bytes_max {
            let Some(arrival) = sources.frames() else {
                return false;
            };
            if let Arrival::Frames(received) = &arrival {
                frames += received.frames.len();
                bytes += received
                    .frames
                    .iter()
                    .map(|frame| frame.len())
                    .sum::<usize>();
            }
            arrivals.push(arrival);
        }
        true
    }
}
