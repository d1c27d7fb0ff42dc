//! A way to a node on which questions go there and answers do not come back, so that handshakes begin and never end. Whoever
//! is asked to prove his address can: that answer comes through.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What datagrams fit in.
const BUFFER_BYTES: usize = 2048;

/// How often it is seen whether the way is still needed.
const LOOK: Duration = Duration::from_millis(100);

/// The way, which ends when this is dropped.
pub(super) struct Deaf {
    entrance: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Deaf {
    /// To `node`, which sees one address, whoever comes.
    pub(super) fn to(node: SocketAddr) -> io::Result<Self> {
        let inner = Arc::new(UdpSocket::bind(("127.0.0.1", 0))?);
        let outer = Arc::new(UdpSocket::bind(("127.0.0.1", 0))?);
        outer.connect(node)?;
        for socket in [&inner, &outer] {
            socket.set_read_timeout(Some(LOOK))?;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let entrance = inner.local_addr()?;
        let asker = Arc::new(std::sync::Mutex::new(None));
        let (there, back) = ((Arc::clone(&inner), Arc::clone(&outer)), (outer, inner));
        let (known, heard) = (Arc::clone(&asker), asker);
        let until = Arc::clone(&ended);
        thread::spawn(move || {
            let mut buffer = [0; BUFFER_BYTES];
            while !until.load(Ordering::Relaxed) {
                if let Ok((length, from)) = there.0.recv_from(&mut buffer) {
                    *known.lock().expect("nobody panics with it") = Some(from);
                    let _ = there.1.send(&buffer[..length]);
                }
            }
        });
        let until = Arc::clone(&ended);
        thread::spawn(move || {
            let mut buffer = [0; BUFFER_BYTES];
            while !until.load(Ordering::Relaxed) {
                let Ok(length) = back.0.recv(&mut buffer) else {
                    continue;
                };
                let asker = *heard.lock().expect("nobody panics with it");
                // A long header of the type Retry.
                if let Some(asker) = asker
                    && buffer[0] & 0xf0 == 0xf0
                {
                    let _ = back.1.send_to(&buffer[..length], asker);
                }
            }
        });
        Ok(Self { entrance, ended })
    }

    /// Where it begins.
    pub(super) fn entrance(&self) -> SocketAddr {
        self.entrance
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
