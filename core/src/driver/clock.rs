//! The only reader of the clock.
//!
//! Leases are measured on it, so it is monotonic and runs on while the machine is suspended.

use crate::time::Instant;

/// Reads the time of this machine. All clocks of one machine show the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

#[cfg(target_os = "linux")]
impl Clock {
    /// The time since the machine was started.
    pub fn now(self) -> Instant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).expect("the time since the start is not negative");
        let nanos = u64::try_from(time.tv_nsec).expect("part of a second");
        Instant(seconds * 1_000_000_000 + nanos)
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the clock has to be read somewhere, and this is the place"
)]
impl Clock {
    /// The time since the clock was first read. Whether it runs during suspend is up to the system.
    pub fn now(self) -> Instant {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let start = START.get_or_init(std::time::Instant::now);
        // The first reading is later than zero, as on Linux: zero is for "never".
        Instant(1) + start.elapsed()
    }
}
