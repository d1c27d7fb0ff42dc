//! The sockets that the reactor waits for.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::event::Event;
use mio::{Interest, Registry, Token};
use tracing::error;

use super::watched::Watched;

/// All sockets that are waited for; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    registry: Arc<Registry>,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    last: Token,
    sockets: BTreeMap<Token, Arc<Watched>>,
}

impl Sockets {
    /// None yet; they will be waited for at `registry`, with events of tokens above `taken`.
    pub(super) fn new(registry: Registry, taken: Token) -> Self {
        let table = Table {
            last: taken,
            sockets: BTreeMap::new(),
        };
        Self {
            registry: Arc::new(registry),
            table: Arc::new(Mutex::new(table)),
        }
    }

    /// Begins to wait for packets.
    pub(super) fn add(&self, watched: Arc<Watched>) -> io::Result<Token> {
        let mut table = self.lock();
        let token = Token(table.last.0 + 1);
        table.last = token;
        self.registry
            .register(&mut *watched.socket(), token, Interest::READABLE)?;
        table.sockets.insert(token, watched);
        Ok(token)
    }

    /// Waits for room as well, until there is some: each packet that leaves makes room, which is news only to somebody
    /// who waits for it.
    pub(super) fn watch_room(&self, watched: &Watched, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .reregister(&mut *watched.socket(), token, both)
    }

    /// Ends the wait.
    pub(super) fn remove(&self, token: Token) {
        if let Some(watched) = self.lock().sockets.remove(&token) {
            // Fails only if the system has forgotten the socket itself.
            let _ = self.registry.deregister(&mut *watched.socket());
        }
    }

    /// Tells who waits that the system has news of a socket.
    pub(super) fn on_event(&self, event: &Event) {
        let token = event.token();
        let watched = self.lock().sockets.get(&token).cloned();
        let Some(watched) = watched else {
            return;
        };
        // What is wrong with the socket, its next use tells.
        if event.is_readable() || event.is_error() {
            watched.on_readable();
        }
        if event.is_writable() || event.is_error() {
            let only = Interest::READABLE;
            if let Err(error) = self
                .registry
                .reregister(&mut *watched.socket(), token, only)
            {
                error!(%error, "the system does not go on watching a socket");
            }
            watched.on_writable();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
