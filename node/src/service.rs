//! What a service manager is told of this process, if one has started it and listens (systemd, `Type=notify`).

use sd_notify::NotifyState;
use tracing::warn;

/// Nobody need wait any longer for it to start; `status` says what it does.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What it does.
pub(crate) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// It was told to end, and does.
pub(crate) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("leaves the cluster"),
    ]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell the service manager");
    }
}
