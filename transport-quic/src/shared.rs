//! What the tasks of a transport share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_core::config::Address;
use lockstep_core::limits;
use quinn::Endpoint;

use crate::config::{Dial, QuicConfig};
use crate::failures::Failures;
use crate::hello::Hello;
use crate::inbox::Inbox;
use crate::peers::Peers;
use crate::permits::Permits;
use crate::runtime::Runtime;
use crate::tls::Credentials;
use crate::traffic::Past;

/// One transport, as its tasks see it.
pub(crate) struct Shared {
    /// `None` once closed, so that the socket is given back.
    endpoint: Mutex<Option<Endpoint>>,
    pub(crate) runtime: Runtime,
    pub(crate) local: Address,
    pub(crate) credentials: Credentials,
    pub(crate) hello: Hello,
    pub(crate) dial: Dial,
    pub(crate) frame_bytes_max: usize,
    pub(crate) clients: Permits,
    pub(crate) inbox: Inbox,
    pub(crate) peers: Peers,
    pub(crate) failures: Failures,
    pub(crate) past: Past,
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
            dial: config.dial,
            frame_bytes_max: config.frame_bytes_max.min(limits::FRAME_BYTES_MAX),
            clients: Permits::new(config.clients_max),
            inbox: Inbox::new(),
            peers: Peers::default(),
            failures: Failures::default(),
            past: Past::default(),
            credentials: config.credentials,
            local,
        }
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
