//! How many clients are connected, in all and with each certificate, and what one of them may send ahead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::Name;

/// Connections of one certificate that may send as much ahead as a fast network holds; further ones may less.
const WIDE_MAX: usize = 32;

/// The clients of a transport; cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    max: usize,
    each_max: usize,
    connected: Arc<Mutex<Connected>>,
}

#[derive(Default)]
struct Connected {
    all: usize,
    of: HashMap<Name, usize>,
}

/// Leave for one client to be connected, for as long as it lives.
pub(crate) struct Place {
    connected: Arc<Mutex<Connected>>,
    name: Name,
    /// It is among the first with its certificate.
    pub(crate) is_wide: bool,
}

impl Clients {
    /// At most `max` at the same time, and `each_max` with the same certificate.
    pub(crate) fn new(max: usize, each_max: usize) -> Self {
        Self {
            max,
            each_max,
            connected: Arc::default(),
        }
    }

    /// A place for one more with the certificate of `name`, or the reason why there is none.
    pub(crate) fn place(&self, name: &Name) -> Result<Place, String> {
        let mut connected = lock(&self.connected);
        let of_name = connected.of.get(name).copied().unwrap_or_default();
        if of_name >= self.each_max {
            return Err(format!(
                "{of_name} clients are connected with the certificate of {name}, which is the limit for one: close some, or give programs certificates of their own"
            ));
        }
        if connected.all >= self.max {
            return Err(format!(
                "{} clients are connected, which is the limit: close some",
                connected.all
            ));
        }
        connected.all += 1;
        connected.of.insert(name.clone(), of_name + 1);
        Ok(Place {
            connected: Arc::clone(&self.connected),
            name: name.clone(),
            is_wide: of_name < WIDE_MAX,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connected = lock(&self.connected);
        connected.all -= 1;
        if let Some(of_name) = connected.of.get_mut(&self.name) {
            *of_name -= 1;
            if *of_name == 0 {
                connected.of.remove(&self.name);
            }
        }
    }
}

fn lock(connected: &Mutex<Connected>) -> MutexGuard<'_, Connected> {
    connected.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_its_share_and_places_come_free() {
        let clients = Clients::new(3, 2);
        let name = |name| Name::new(name).unwrap();
        let reason = |name| clients.place(&name).err().expect("no place");
        let first = clients.place(&name("a")).unwrap();
        let _second = clients.place(&name("a")).unwrap();
        assert!(reason(name("a")).contains("certificate of a"));
        let _third = clients.place(&name("b")).unwrap();
        assert!(reason(name("b")).contains("3 clients are connected"));
        drop(first);
        drop(clients.place(&name("b")).unwrap());
        drop(clients.place(&name("a")).unwrap());
        assert_eq!(lock(&clients.connected).of.len(), 2);
    }

    #[test]
    fn the_first_connections_of_a_certificate_may_send_much_ahead() {
        let clients = Clients::new(1000, 1000);
        let name = Name::new("a").unwrap();
        let places: Vec<Place> = (0..2 * WIDE_MAX)
            .map(|_| clients.place(&name).unwrap())
            .collect();
        let wide = places.iter().filter(|place| place.is_wide).count();
        assert_eq!(wide, WIDE_MAX);
    }
}
