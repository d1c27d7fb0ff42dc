//! What a command notes down in the record of an arbiter that does not run, which tells of it when it starts.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use lockstep_core::storage::Act;
use rustix::process::getuid;

/// Linux only.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// That `what` was done, by this user on this machine, now.
pub(super) fn act(what: String) -> Act {
    let user = format!("user {}", getuid().as_raw());
    let host = fs::read_to_string(HOST_NAME);
    let by = match host {
        Ok(host) => format!("{user} on {}", host.trim()),
        Err(_) => user,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = now.unwrap_or_default().as_secs();
    Act { what, by, at }
}
