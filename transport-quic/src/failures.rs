//! Why a peer is not connected: the last reason for each, for people who ask.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use lockstep_core::config::Address;
use tracing::{debug, warn};

/// Reasons kept; the ones of further peers are only logged.
const REASONS_MAX: usize = 1024;

/// The last reason for each peer that is not connected.
#[derive(Default)]
pub(crate) struct Failures {
    reasons: Mutex<BTreeMap<Address, String>>,
}

impl Failures {
    /// Keeps `reason`; true if it is another one than before.
    pub(crate) fn note(&self, peer: &Address, reason: String) -> bool {
        let mut reasons = self.lock();
        let is_known = reasons.get(peer) == Some(&reason);
        if reasons.len() < REASONS_MAX || reasons.contains_key(peer) {
            reasons.insert(peer.clone(), reason);
        }
        !is_known
    }

    /// Keeps `reason` and logs it: the first time as a warning, when it comes again only for those who look for it.
    pub(crate) fn note_and_log(&self, peer: &Address, reason: String, what: &str) {
        if self.note(peer, reason.clone()) {
            warn!(%peer, reason, "{what}");
        } else {
            debug!(%peer, reason, "{what}");
        }
    }

    pub(crate) fn last(&self, peer: &Address) -> Option<String> {
        self.lock().get(peer).cloned()
    }

    pub(crate) fn forget(&self, peer: &Address) {
        self.lock().remove(peer);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, String>> {
        self.reasons
            .lock()
            .expect("nothing panics while it holds the reasons")
    }
}
