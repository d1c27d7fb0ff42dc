//! Certificates that change while a node runs: taken up when their files have changed, and at once on SIGHUP. And a word in time
//! before the one in use expires.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use async_signal::{Signal, Signals};
use async_std::stream::StreamExt;
use async_std::task;
use futures_lite::FutureExt;
use lockstep_core::rights::NodeRole;
use lockstep_transport_quic::{Credentials, QuicTransport};
use tracing::{error, info, warn};

use crate::output;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Before a certificate expires it is said for so long, once a day.
pub(super) const NOTICE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What was seen of the files: when each was changed, and which one it is. `None`: it is not there.
type Seen = Vec<Option<(i64, i64, u64)>>;

/// The certificates of a node at work.
struct Renewal {
    transport: Weak<QuicTransport>,
    role: NodeRole,
    dir: PathBuf,
    credentials: Credentials,
    /// Of the files, when the credentials were read.
    taken: Seen,
    /// The same, at the last look.
    last: Seen,
    /// What was said of the certificate's end, and when.
    noticed: Option<(Notice, Instant)>,
}

/// What is to be said of a certificate's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// It is near.
    Soon,
    /// It is over.
    Expired,
}

/// Sees to the certificates of `transport`, which began with `credentials` from `dir`, for as long as it is there.
pub(super) fn spawn(
    transport: &Arc<QuicTransport>,
    credentials: Credentials,
    role: NodeRole,
    dir: &Path,
) {
    let seen = look(&credentials);
    let renewal = Renewal {
        transport: Arc::downgrade(transport),
        role,
        dir: dir.to_owned(),
        credentials,
        taken: seen.clone(),
        last: seen,
        noticed: None,
    };
    task::spawn(run(renewal));
}

async fn run(mut renewal: Renewal) {
    let Ok(mut hangups) = Signals::new([Signal::Hup]) else {
        // Without signals there is still the look every second; the system refuses none of this.
        return warn!("cannot watch for SIGHUP, nor for new certificates");
    };
    loop {
        let told = async { hangups.next().await.is_some() };
        let waited = async {
            task::sleep(LOOK).await;
            false
        };
        let is_told = told.or(waited).await;
        // Files may lie where reading them takes long.
        let goes_on = task::spawn_blocking(move || renewal.step(is_told).then_some(renewal));
        match goes_on.await {
            Some(next) => renewal = next,
            None => return,
        }
    }
}

impl Renewal {
    /// True as long as there is a transport.
    fn step(&mut self, is_told: bool) -> bool {
        let Some(transport) = self.transport.upgrade() else {
            return false;
        };
        let seen = look(&self.credentials);
        // Somebody may be in the middle of copying them: they have to look the same twice.
        let is_settled = seen == self.last && seen != self.taken;
        self.last.clone_from(&seen);
        if is_told || is_settled {
            self.taken = seen;
            self.take_up(&transport);
        }
        self.notice();
        true
    }

    fn take_up(&mut self, transport: &QuicTransport) {
        let name = self.credentials.name().to_string();
        let loaded = Credentials::load_node(&self.dir, Some(&name))
            .and_then(|credentials| credentials.of_role(self.role));
        let renewed = loaded.map_err(|error| output::chain(&error));
        let renewed = renewed.and_then(|credentials| {
            let renewed = transport.renew(credentials.clone());
            renewed.map_err(|error| output::chain(&error))?;
            Ok(credentials)
        });
        match renewed {
            Ok(credentials) => {
                let days = days_left(&credentials);
                info!(node = name, days, "took up certificates and deny list");
                self.credentials = credentials;
                self.noticed = None;
            }
            Err(reason) => warn!(
                node = name,
                reason, "new certificates or deny list cannot be used, and those of before stay"
            ),
        }
    }

    /// Says that the certificate expires, or has, if it is time to.
    fn notice(&mut self) {
        let said = self.noticed.filter(|(_, at)| at.elapsed() < DAY);
        let due = due(self.credentials.expires(), SystemTime::now());
        let Some(notice) = due.filter(|notice| said.is_none_or(|(said, _)| said != *notice)) else {
            return;
        };
        self.noticed = Some((notice, Instant::now()));
        let days = days_left(&self.credentials);
        let command = self.credentials.renewal();
        let node = self.credentials.name();
        match notice {
            Notice::Soon => warn!(%node, days, "the certificate expires: {command}"),
            Notice::Expired => error!(
                %node,
                "the certificate of {node} has expired: clients are refused, and so is whoever it has to connect to: renew it with \
                 `{command}`, where ca.key is"
            ),
        }
    }
}

/// What is to be said of a certificate that is valid until `expires`, to the end of that second.
fn due(expires: SystemTime, now: SystemTime) -> Option<Notice> {
    if expires + Duration::from_secs(1) <= now {
        Some(Notice::Expired)
    } else {
        (expires < now + NOTICE).then_some(Notice::Soon)
    }
}

pub(super) fn days_left(credentials: &Credentials) -> u64 {
    let left = credentials.expires().duration_since(SystemTime::now());
    left.unwrap_or_default().as_secs() / DAY.as_secs()
}

fn look(credentials: &Credentials) -> Seen {
    let files = credentials.files();
    let look = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        Some((file.mtime(), file.mtime_nsec(), file.ino()))
    };
    files.iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_told_in_time_and_when_it_has_come() {
        let now = SystemTime::now();
        let check = |expires, expected| assert_eq!(due(expires, now), expected);
        check(now + NOTICE, None);
        check(now + NOTICE - DAY, Some(Notice::Soon));
        check(now, Some(Notice::Soon));
        check(now - Duration::from_secs(1), Some(Notice::Expired));
    }
}
