//! What frames of clients may hold of this node's memory while they arrive and wait: one account for all of them.
//!
//! A long frame is read only once there is room for all of it, so that whatever was begun can be finished. The room is an
//! account and no memory: that grows as bytes arrive.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_lite::future;

use crate::identity::Name;
use crate::runtime::Runtime;

/// A frame that has been arriving for this long is given up when others wait for the room it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The account.
pub(crate) struct Budget(Mutex<Accounts>);

/// Room for one frame, given back when this is dropped.
pub(crate) struct Room {
    budget: Arc<Budget>,
    ticket: Ticket,
    name: Name,
    told: Arc<Event>,
}

/// Numbers those who ask for room, in the order in which they came.
type Ticket = u64;

/// - Nobody waits who holds.
struct Accounts {
    bytes_max: usize,
    /// Of each certificate: of two that want more than there is, neither keeps the other out.
    share_max: usize,
    held: usize,
    held_by: HashMap<Name, usize>,
    holders: BTreeMap<Ticket, Holder>,
    /// Of each certificate those who wait, of whom the first is served first, and how they are told to ask again.
    waiting: HashMap<Name, BTreeMap<Ticket, Arc<Event>>>,
    next: Ticket,
}

struct Holder {
    name: Name,
    bytes: usize,
    since: Instant,
    is_whole: bool,
    is_given_up: bool,
    told: Arc<Event>,
}

/// What became of asking for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Granted,
    /// There is none. At that time somebody has to give his up, if nothing changes before.
    Wait(Option<Instant>),
}

impl Budget {
    /// Room for `bytes_max`, half of it for each certificate, and never less than one frame of `frame_bytes_max`.
    pub(crate) fn new(bytes_max: usize, frame_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Accounts::new(bytes_max, frame_bytes_max))))
    }

    /// Waits for room for a frame of `bytes` of the client `name`. Dropping the future gives up the place in the queue.
    pub(crate) async fn room(self: &Arc<Self>, name: &Name, bytes: usize, on: &Runtime) -> Room {
        let told = Arc::new(Event::new());
        // From here on it is taken out of the accounts where it is dropped, whether it waits or holds.
        let room = Room {
            budget: Arc::clone(self),
            ticket: self.lock().queue(name, &told),
            name: name.clone(),
            told,
        };
        loop {
            let told = room.told.listen();
            let asked = self.lock().ask(room.ticket, name, bytes, Instant::now());
            match asked {
                Asked::Granted => return room,
                Asked::Wait(None) => told.await,
                Asked::Wait(Some(at)) => future::or(told, on.until(at)).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// The frame is whole, and waits for the node: nobody can be blamed for that.
    pub(crate) fn on_whole(&self) {
        if let Some(holder) = self.budget.lock().holders.get_mut(&self.ticket) {
            holder.is_whole = true;
        }
    }

    /// Waits until the frame has to be given up, since it does not become whole and others wait.
    pub(crate) async fn given_up(&self) {
        loop {
            let told = self.told.listen();
            let is_given_up = |holder: &Holder| holder.is_given_up;
            let is_given_up = self
                .budget
                .lock()
                .holders
                .get(&self.ticket)
                .is_some_and(is_given_up);
            if is_given_up {
                return;
            }
            told.await;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.lock().leave(self.ticket, &self.name);
    }
}

impl Accounts {
    fn new(bytes_max: usize, frame_bytes_max: usize) -> Self {
        let share_max = (bytes_max / 2).max(frame_bytes_max);
        Self {
            bytes_max: bytes_max.max(share_max),
            share_max,
            held: 0,
            held_by: HashMap::new(),
            holders: BTreeMap::new(),
            waiting: HashMap::new(),
            next: 0,
        }
    }

    fn queue(&mut self, name: &Name, told: &Arc<Event>) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        let waiting = self.waiting.entry(name.clone()).or_default();
        waiting.insert(ticket, Arc::clone(told));
        ticket
    }

    /// Asks for room for `bytes`. Whoever keeps it from others for too long is told to give it up.
    fn ask(&mut self, ticket: Ticket, name: &Name, bytes: usize, now: Instant) -> Asked {
        let first = self.waiting.get(name).and_then(BTreeMap::first_key_value);
        if first.is_none_or(|(first, _)| *first != ticket) {
            // Told when it is the first.
            return Asked::Wait(None);
        }
        let held = self.held_by.get(name).copied().unwrap_or_default();
        let exceeds_share = held + bytes > self.share_max;
        if exceeds_share || self.held + bytes > self.bytes_max {
            return Asked::Wait(self.revoke(exceeds_share.then_some(name), now));
        }
        if let Some(told) = self.unqueue(ticket, name) {
            self.hold(ticket, name, bytes, now, told);
        }
        self.wake();
        Asked::Granted
    }

    fn hold(&mut self, ticket: Ticket, name: &Name, bytes: usize, now: Instant, told: Arc<Event>) {
        self.held += bytes;
        *self.held_by.entry(name.clone()).or_default() += bytes;
        let holder = Holder {
            name: name.clone(),
            bytes,
            since: now,
            is_whole: false,
            is_given_up: false,
            told,
        };
        self.holders.insert(ticket, holder);
    }

    /// Has whoever takes longest give up, of one certificate or of all, if he has had his time. When the next one has.
    fn revoke(&mut self, of: Option<&Name>, now: Instant) -> Option<Instant> {
        let mut is_revoked = false;
        let unfinished = self.holders.values_mut().filter(|holder| {
            !holder.is_whole && !holder.is_given_up && of.is_none_or(|name| holder.name == *name)
        });
        for holder in unfinished {
            let at = holder.since + PATIENCE;
            if is_revoked || now < at {
                return Some(at);
            }
            holder.is_given_up = true;
            holder.told.notify(usize::MAX);
            is_revoked = true;
        }
        None
    }

    fn leave(&mut self, ticket: Ticket, name: &Name) {
        self.unqueue(ticket, name);
        if let Some(holder) = self.holders.remove(&ticket) {
            self.held -= holder.bytes;
            if let Some(held) = self.held_by.get_mut(name) {
                *held -= holder.bytes;
                if *held == 0 {
                    self.held_by.remove(name);
                }
            }
        }
        self.wake();
    }

    fn unqueue(&mut self, ticket: Ticket, name: &Name) -> Option<Arc<Event>> {
        let waiting = self.waiting.get_mut(name)?;
        let told = waiting.remove(&ticket);
        if waiting.is_empty() {
            self.waiting.remove(name);
        }
        told
    }

    /// Has the first of each certificate ask again.
    fn wake(&self) {
        let first = self.waiting.values().filter_map(BTreeMap::first_key_value);
        for (_, told) in first {
            told.notify(usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    struct Scene {
        accounts: Accounts,
        now: Instant,
    }

    impl Scene {
        /// Room for 100, 50 of it for each.
        fn new() -> Self {
            Self {
                accounts: Accounts::new(100, 1),
                now: Instant::now(),
            }
        }

        fn queue(&mut self, name: &str) -> Ticket {
            self.accounts.queue(&of(name), &Arc::default())
        }

        fn ask(&mut self, name: &str, ticket: Ticket, bytes: usize) -> Asked {
            self.accounts.ask(ticket, &of(name), bytes, self.now)
        }

        fn granted(&mut self, name: &str, bytes: usize) -> Ticket {
            let ticket = self.queue(name);
            assert_eq!(self.ask(name, ticket, bytes), Asked::Granted);
            ticket
        }

        fn leave(&mut self, name: &str, ticket: Ticket) {
            self.accounts.leave(ticket, &of(name));
        }

        fn is_given_up(&self, ticket: Ticket) -> bool {
            self.accounts.holders[&ticket].is_given_up
        }
    }

    #[test]
    fn one_certificate_gets_half_and_another_one_still_finds_room() {
        let mut scene = Scene::new();
        let first = scene.granted("a", 30);
        let second = scene.queue("a");
        let at = Some(scene.now + PATIENCE);
        assert_eq!(scene.ask("a", second, 30), Asked::Wait(at));
        scene.granted("b", 50);
        scene.leave("a", first);
        assert_eq!(scene.ask("a", second, 30), Asked::Granted);
    }

    #[test]
    fn a_short_frame_does_not_overtake_a_long_one_of_the_same_certificate() {
        let mut scene = Scene::new();
        let first = scene.granted("a", 30);
        let (long, short) = (scene.queue("a"), scene.queue("a"));
        assert!(matches!(scene.ask("a", long, 40), Asked::Wait(Some(_))));
        assert_eq!(scene.ask("a", short, 1), Asked::Wait(None));
        scene.leave("a", first);
        assert_eq!(scene.ask("a", long, 40), Asked::Granted);
        assert_eq!(scene.ask("a", short, 1), Asked::Granted);
    }

    #[test]
    fn who_does_not_finish_gives_up_after_a_while_the_longest_first_and_only_if_others_wait() {
        let mut scene = Scene::new();
        let whole = scene.granted("a", 10);
        scene.accounts.holders.get_mut(&whole).unwrap().is_whole = true;
        let longest = scene.granted("a", 20);
        scene.now += Duration::from_secs(1);
        let second = scene.granted("a", 20);
        scene.now += PATIENCE;
        assert!(!scene.is_given_up(longest), "nobody waits");
        let waiting = scene.queue("a");
        scene.ask("a", waiting, 20);
        assert!(scene.is_given_up(longest));
        assert!(!scene.is_given_up(second) && !scene.is_given_up(whole));
        scene.leave("a", longest);
        assert_eq!(scene.ask("a", waiting, 20), Asked::Granted);
    }

    #[test]
    fn a_frame_of_the_largest_size_finds_room_however_small_the_budget() {
        let mut accounts = Accounts::new(10, 1000);
        let ticket = accounts.queue(&of("a"), &Arc::default());
        let asked = accounts.ask(ticket, &of("a"), 1000, Instant::now());
        assert_eq!(asked, Asked::Granted);
        accounts.leave(ticket, &of("a"));
        assert_eq!((accounts.held, accounts.held_by.len()), (0, 0));
        assert!(accounts.waiting.is_empty());
    }
}
