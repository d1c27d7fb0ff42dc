//! What the tasks of a transport share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lockstep_core::config::Address;
use lockstep_core::limits;
use lockstep_core::transport::SenderKind;
use quinn::Endpoint;

use crate::budget::Budget;
use crate::clients::Clients;
use crate::config::{Admit, QuicConfig};
use crate::failures::Failures;
use crate::gate::Gate;
use crate::hello::Hello;
use crate::inbox::Inbox;
use crate::peers::Peers;
use crate::runtime::Runtime;
use crate::strangers::Strangers;
use crate::tls::Credentials;
use crate::traffic::Past;

/// One transport, as its tasks see it.
pub(crate) struct Shared {
    /// `None` once closed, so that the socket is given back.
    endpoint: Mutex<Option<Endpoint>>,
    pub(crate) runtime: Runtime,
    pub(crate) local: Address,
    /// Others from time to time.
    credentials: RwLock<Arc<Credentials>>,
    pub(crate) hello: Hello,
    pub(crate) admit: Admit,
    frame_bytes_max: usize,
    pub(crate) clients: Clients,
    /// For long frames of clients.
    pub(crate) budget: Arc<Budget>,
    pub(crate) inbox: Inbox,
    pub(crate) peers: Peers,
    pub(crate) failures: Failures,
    pub(crate) past: Past,
    pub(crate) gate: Arc<Gate>,
    pub(crate) strangers: Strangers,
}

impl Shared {
    pub(crate) fn new(
        runtime: Runtime,
        endpoint: Endpoint,
        local: Address,
        config: QuicConfig,
    ) -> Self {
        Self {
            endpoint: Mutex::new(Some(endpoint)),
            runtime,
            hello: Hello {
                start: rand::random(),
                address: local.clone(),
            },
            admit: config.admit,
            frame_bytes_max: config.frame_bytes_max.min(limits::FRAME_BYTES_MAX),
            clients: Clients::new(config.clients_max, config.clients_each_max),
            budget: Budget::new(config.client_bytes_max, limits::REQUEST_BYTES_MAX),
            inbox: Inbox::new(),
            peers: Peers::new(),
            failures: Failures::default(),
            past: Past::default(),
            gate: Arc::default(),
            strangers: Strangers::default(),
            credentials: RwLock::new(Arc::new(config.credentials)),
            local,
        }
    }

    /// What kind of end this is.
    pub(crate) fn kind(&self) -> SenderKind {
        self.credentials().identity.kind()
    }

    /// The largest frame that comes from an end of this kind, in bytes.
    pub(crate) fn frame_bytes_max_of(&self, sender: SenderKind) -> usize {
        match sender {
            SenderKind::Node => self.frame_bytes_max,
            SenderKind::Client => self.frame_bytes_max.min(limits::REQUEST_BYTES_MAX),
        }
    }

    /// Who this end is, and whom it trusts, at present.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        let credentials = self.credentials.read();
        Arc::clone(&credentials.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        let present = self.credentials.write();
        *present.unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }

    /// To open connections with; `None` once closed.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.lock_endpoint().clone()
    }

    /// Closes: nothing is received or opened from here on. Whoever is given the endpoint ends what is open.
    pub(crate) fn close(&self) -> Option<Endpoint> {
        self.inbox.close();
        self.lock_endpoint().take()
    }

    fn lock_endpoint(&self) -> MutexGuard<'_, Option<Endpoint>> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
