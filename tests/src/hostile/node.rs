//! The memory of a node's process, as the operating system tells it. Linux only.

use std::fs;

/// Begins to count the most that a process had from what it has.
pub(super) fn forget_peak(process: u32) {
    // Where it cannot be, the peak is that since the start, which is more.
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// The most that was resident, in bytes; zero where the system does not tell.
pub(super) fn peak(process: u32) -> u64 {
    field(process, "VmHWM:")
}

/// What is resident, in bytes; zero where the system does not tell.
pub(super) fn resident(process: u32) -> u64 {
    field(process, "VmRSS:")
}

fn field(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    1024 * kilobytes.unwrap_or_default()
}
