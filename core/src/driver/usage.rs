//! What a node has used: its process by the operating system, its log and its network by those who count there.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::driver::dice::draw;
use crate::driver::disk::Disk;
use crate::message::Usage;
use crate::time::Instant;
use crate::transport::Transport;

/// This process.
static PROCESS: LazyLock<u64> = LazyLock::new(draw);

/// Measured anew no sooner: it walks all connections and reads files of the operating system, and anybody may ask for it.
const FRESH: Duration = Duration::from_millis(100);

/// What was measured last.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    last: Option<(Instant, Usage)>,
}

impl Gauge {
    /// As of now, or shortly before.
    pub(super) fn read(&mut self, now: Instant, measure: impl FnOnce() -> Usage) -> Usage {
        let fresh = self.last.filter(|(at, _)| now - *at < FRESH);
        let (at, usage) = fresh.unwrap_or_else(|| (now, measure()));
        self.last = Some((at, usage));
        usage
    }
}

/// As of now. What the operating system does not tell is zero.
pub(super) fn measure(transport: &dyn Transport, disk: &Disk) -> Usage {
    let traffic = transport.traffic();
    let log = disk.counts();
    let room = disk.room();
    Usage {
        process: *PROCESS,
        cpu_micros: cpu_micros(),
        memory_bytes: memory_bytes().unwrap_or_default(),
        disk_bytes: disk_bytes().unwrap_or_default(),
        entries: log.entries,
        entry_bytes: log.entry_bytes,
        syncs: log.syncs,
        packets_sent: traffic.packets_sent,
        packets_received: traffic.packets_received,
        bytes_sent: traffic.bytes_sent,
        bytes_received: traffic.bytes_received,
        handshakes_failed: traffic.handshakes_failed,
        handshakes_refused: traffic.handshakes_refused,
        disk_free: room.free,
        disk_needed: room.needed,
    }
}

fn cpu_micros() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1_000
}

/// Linux only, like what follows.
fn memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = field(&status, "VmRSS:")?;
    Some(kilobytes * 1024)
}

/// What was handed over with writes. The other count there, of bytes that go to the device, takes whole folios of the page
/// cache for written, which is a hundred times too much where writes are small.
fn disk_bytes() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    field(&io, "wchar:")
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "cancelled_write_bytes: 1\nwrite_bytes: 23 kB\nVmRSS:\t  45 kB\n";
        assert_eq!(field(text, "write_bytes:"), Some(23));
        assert_eq!(field(text, "VmRSS:"), Some(45));
        assert_eq!(field(text, "bytes:"), None);
    }

    #[test]
    fn usage_is_measured_once_in_a_while_however_often_it_is_asked_for() {
        let (mut gauge, mut measured) = (Gauge::default(), 0);
        for millis in 0..1_000 {
            gauge.read(Instant::from_millis(millis), || {
                measured += 1;
                Usage::default()
            });
        }
        assert_eq!(measured, 10);
    }

    #[test]
    fn a_process_that_works_uses_the_processor() {
        let before = cpu_micros();
        let mut sum = 0_u64;
        while cpu_micros() < before + 1_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
