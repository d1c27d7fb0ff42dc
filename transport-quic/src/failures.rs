//! Why a peer is not connected: the last reason for each, for people who ask; and whose certificate has expired.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use lockstep_core::config::Address;
use tracing::{debug, warn};

/// Reasons kept; the ones of further peers are only logged.
const REASONS_MAX: usize = 1024;

/// The last reason for each peer that is not connected.
#[derive(Default)]
pub(crate) struct Failures {
    reasons: Mutex<BTreeMap<Address, String>>,
    /// When the certificates expired with which peers answer.
    expired: Mutex<BTreeMap<Address, SystemTime>>,
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

    /// The peer has answered with a certificate that has expired; with another one, if `at` is `None`.
    pub(crate) fn note_expired(&self, peer: &Address, at: Option<SystemTime>) {
        let mut expired = self.expired();
        match at {
            Some(at) if expired.len() < REASONS_MAX => expired.insert(peer.clone(), at),
            Some(_) | None => expired.remove(peer),
        };
    }

    /// When the certificate expired with which the peer answers.
    pub(crate) fn expired_at(&self, peer: &Address) -> Option<SystemTime> {
        self.expired().get(peer).copied()
    }

    pub(crate) fn last(&self, peer: &Address) -> Option<String> {
        self.lock().get(peer).cloned()
    }

    pub(crate) fn forget(&self, peer: &Address) {
        self.lock().remove(peer);
        self.note_expired(peer, None);
    }

    fn expired(&self) -> MutexGuard<'_, BTreeMap<Address, SystemTime>> {
        self.expired
            .lock()
            .expect("nothing panics while it holds the times")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, String>> {
        self.reasons
            .lock()
            .expect("nothing panics while it holds the reasons")
    }
}
