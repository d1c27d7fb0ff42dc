//! Who may begin a handshake, which costs this node more than whoever begins it: strangers a few, wherever they come from;
//! members, which have been here before, have a share of their own.
//!
//! An address pays for each handshake in advance, and gets most of that back once it turns out to have a certificate and has sent a
//! whole frame, unless it has to be cut off later. So who has one and behaves connects as often as he likes, and who has none, or says
//! nothing, gets a few each second. What claims to come from an address and has not proven it pays from another purse than what has, or
//! it could spend what is somebody else's.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Handshakes of strangers at the same time; more are refused.
const STRANGERS_MAX: usize = 512;

/// Handshakes of strangers at the same time above which others have to prove first that they receive at their address.
const UNPROVEN_MAX: usize = 64;

/// Handshakes of members at the same time that do not count with those of strangers: one for each of the largest cluster.
const MEMBERS_MAX: usize = 64;

/// Addresses of members that are remembered: several for each of the largest cluster.
const KNOWN_MAX: usize = 256;

/// Purses kept; whoever comes when there are more, and all of them in use, is refused.
const PURSES_MAX: usize = 4096;

/// What a handshake costs, and how much of that comes back where it leads to something.
const PRICE: u32 = 10;
const REFUND: u32 = 9;

/// What an address may owe: 64 handshakes at once.
const DEBT_MAX: u32 = 64 * PRICE;

/// What an address is let off each second: twenty handshakes that fail, two hundred that do not.
const LET_OFF: u32 = 20 * PRICE;

/// Refusals told in a second. Those beyond it are not even answered, so that a flood costs as little as can be.
const REFUSALS_TOLD_MAX: u32 = 100;

/// Decides who may begin a handshake.
#[derive(Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    strangers: usize,
    members: usize,
    /// Where members were seen, the latest last.
    known: VecDeque<SocketAddr>,
    purses: HashMap<Payer, Purse>,
    /// Refusals told since then.
    told: Option<(Instant, u32)>,
}

/// Who pays: an IPv4 address or what one IPv6 network has, and whether it has proven to receive there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Payer {
    origin: IpAddr,
    is_proven: bool,
}

/// What somebody owed at a time.
#[derive(Clone, Copy, Debug)]
struct Purse {
    debt: u32,
    at: Instant,
}

/// Leave to begin a handshake, which is under way for as long as this lives.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    /// `None`: a member.
    payer: Option<Payer>,
}

/// What somebody has paid for the handshake that led to a connection.
pub(crate) struct Fare {
    gate: Arc<Gate>,
    /// `None`: a member, who does not pay.
    payer: Option<Payer>,
    is_paid_back: AtomicBool,
}

/// What to do with somebody who wants to begin a handshake.
pub(crate) enum Verdict {
    /// Let him.
    Take(Pass),
    /// Have him prove that he receives at his address; refuse him if he cannot.
    Prove,
    /// Tell him no.
    Refuse,
    /// Tell him nothing.
    Ignore,
}

impl Gate {
    /// Judges whoever comes from `remote`.
    pub(crate) fn judge(
        self: &Arc<Self>,
        remote: SocketAddr,
        is_proven: bool,
        now: Instant,
    ) -> Verdict {
        let mut state = self.lock();
        let pass = |payer| {
            Verdict::Take(Pass {
                gate: Arc::clone(self),
                payer,
            })
        };
        let is_member = state.known.contains(&canonical(remote));
        if is_member && state.members < MEMBERS_MAX {
            if !is_proven && state.members >= MEMBERS_MAX / 2 {
                return Verdict::Prove;
            }
            state.members += 1;
            return pass(None);
        }
        let payer = Payer {
            origin: origin(remote.ip()),
            is_proven,
        };
        let is_room =
            state.strangers < STRANGERS_MAX && (is_proven || state.strangers < UNPROVEN_MAX);
        if is_room && state.pay(payer, now) {
            state.strangers += 1;
            return pass(Some(payer));
        }
        if is_proven {
            state.refuse(now)
        } else {
            Verdict::Prove
        }
    }

    /// How to refuse somebody who cannot prove anything.
    pub(crate) fn refuse(&self, now: Instant) -> Verdict {
        self.lock().refuse(now)
    }

    /// A member is there.
    pub(crate) fn know(&self, remote: SocketAddr) {
        let remote = canonical(remote);
        let mut state = self.lock();
        state.known.retain(|known| *known != remote);
        if state.known.len() == KNOWN_MAX {
            state.known.pop_front();
        }
        state.known.push_back(remote);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// It has led to a connection.
    pub(crate) fn succeeded(self) -> Fare {
        Fare {
            gate: Arc::clone(&self.gate),
            payer: self.payer,
            is_paid_back: AtomicBool::new(false),
        }
    }
}

impl Fare {
    /// The connection is of use.
    pub(crate) fn pay_back(&self) {
        // Each frame says so.
        if !self.is_paid_back.load(Ordering::Relaxed)
            && !self.is_paid_back.swap(true, Ordering::Relaxed)
        {
            self.change_debt(|debt| debt.saturating_sub(REFUND));
        }
    }

    /// Whoever is there had to be cut off, and pays the whole price after all.
    pub(crate) fn withdraw(&self) {
        if self.is_paid_back.swap(false, Ordering::Relaxed) {
            self.change_debt(|debt| (debt + REFUND).min(DEBT_MAX));
        }
    }

    fn change_debt(&self, change: impl FnOnce(u32) -> u32) {
        let mut state = self.gate.lock();
        let purse = self.payer.and_then(|payer| state.purses.get_mut(&payer));
        if let Some(purse) = purse {
            purse.debt = change(purse.debt);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        match self.payer {
            Some(_) => state.strangers -= 1,
            None => state.members -= 1,
        }
    }
}

impl State {
    /// Has `payer` pay for a handshake; false if he owes too much.
    fn pay(&mut self, payer: Payer, now: Instant) -> bool {
        if !self.purses.contains_key(&payer) && self.purses.len() >= PURSES_MAX {
            self.purses.retain(|_, purse| purse.debt_at(now) > 0);
            if self.purses.len() >= PURSES_MAX {
                return false;
            }
        }
        let purse = self
            .purses
            .entry(payer)
            .or_insert(Purse { debt: 0, at: now });
        let debt = purse.debt_at(now);
        if debt + PRICE > DEBT_MAX {
            return false;
        }
        *purse = Purse {
            debt: debt + PRICE,
            at: now,
        };
        true
    }

    fn refuse(&mut self, now: Instant) -> Verdict {
        let (since, told) = match self.told {
            Some((since, told)) if now < since + Duration::from_secs(1) => (since, told),
            _ => (now, 0),
        };
        self.told = Some((since, told.saturating_add(1)));
        if told < REFUSALS_TOLD_MAX {
            Verdict::Refuse
        } else {
            Verdict::Ignore
        }
    }
}

impl Purse {
    fn debt_at(self, now: Instant) -> u32 {
        let let_off =
            now.saturating_duration_since(self.at).as_millis() * u128::from(LET_OFF) / 1000;
        self.debt
            .saturating_sub(u32::try_from(let_off).unwrap_or(u32::MAX))
    }
}

/// One that arrives at a socket for IPv6 is written like one that arrives at a socket for IPv4.
fn canonical(remote: SocketAddr) -> SocketAddr {
    SocketAddr::new(remote.ip().to_canonical(), remote.port())
}

/// Who has one IPv6 address has the whole network of it.
fn origin(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: usize = (DEBT_MAX / PRICE) as usize;

    struct Scene {
        gate: Arc<Gate>,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                gate: Arc::default(),
                now: Instant::now(),
            }
        }

        fn judge(&self, remote: &str, is_proven: bool) -> Verdict {
            self.gate
                .judge(remote.parse().unwrap(), is_proven, self.now)
        }

        /// How many come through, of so many that have proven their address.
        fn passes(&self, remote: &str, count: usize) -> Vec<Pass> {
            (0..count)
                .filter_map(|_| match self.judge(remote, true) {
                    Verdict::Take(pass) => Some(pass),
                    Verdict::Prove => panic!("proven already"),
                    Verdict::Refuse | Verdict::Ignore => None,
                })
                .collect()
        }
    }

    #[test]
    fn an_address_that_fails_gets_a_few_each_second_and_no_other_notices() {
        let mut scene = Scene::new();
        assert_eq!(scene.passes("10.0.0.1:1", 1000).len(), BURST);
        assert_eq!(
            scene.passes("10.0.0.1:2", 1000).len(),
            0,
            "another port is no other address"
        );
        assert_eq!(scene.passes("10.0.0.2:1", 1).len(), 1);
        scene.now += Duration::from_secs(1);
        assert_eq!(scene.passes("10.0.0.1:1", 1000).len(), 20);
    }

    #[test]
    fn whoever_has_a_certificate_connects_often() {
        let mut scene = Scene::new();
        for _ in 0..10 {
            for pass in scene.passes("10.0.0.1:1", 60) {
                let fare = pass.succeeded();
                fare.pay_back();
                fare.pay_back();
            }
            scene.now += Duration::from_millis(300);
        }
        assert_eq!(scene.passes("10.0.0.1:1", 50).len(), 50);
    }

    /// How many of those connect who come again and again and whose connections end so.
    fn connected(end: impl Fn(&Fare)) -> usize {
        let mut scene = Scene::new();
        let mut connected = 0;
        for _ in 0..10 {
            for pass in scene.passes("10.0.0.1:1", 60) {
                connected += 1;
                end(&pass.succeeded());
            }
            scene.now += Duration::from_millis(300);
        }
        connected
    }

    #[test]
    fn whoever_says_nothing_or_has_to_be_cut_off_is_like_one_without_a_certificate() {
        assert!(connected(|_| {}) <= BURST + 60, "nothing said");
        let cut_off = |fare: &Fare| {
            fare.pay_back();
            fare.withdraw();
            fare.withdraw();
        };
        assert!(connected(cut_off) <= BURST + 60);
    }

    #[test]
    fn one_network_is_one_address_and_a_mapped_one_is_what_it_maps() {
        let scene = Scene::new();
        assert_eq!(scene.passes("[2001:db8::1]:1", 1000).len(), BURST);
        assert_eq!(scene.passes("[2001:db8::2]:1", 1000).len(), 0);
        assert_eq!(scene.passes("[2001:db8:0:1::1]:1", 1).len(), 1);
        assert_eq!(scene.passes("10.0.0.1:1", 1000).len(), BURST);
        assert_eq!(scene.passes("[::ffff:10.0.0.1]:1", 1000).len(), 0);
    }

    #[test]
    fn what_is_not_proven_cannot_spend_what_is_somebody_elses() {
        let scene = Scene::new();
        let mut passes = Vec::new();
        for _ in 0..1000 {
            match scene.judge("10.0.0.1:1", false) {
                Verdict::Take(pass) => passes.push(pass),
                Verdict::Prove => {}
                Verdict::Refuse | Verdict::Ignore => panic!("he may yet prove it"),
            }
        }
        assert_eq!(passes.len(), UNPROVEN_MAX);
        assert_eq!(scene.passes("10.0.0.1:1", 1000).len(), BURST);
    }

    #[test]
    fn members_come_in_whatever_strangers_do_at_the_same_address_and_elsewhere() {
        let scene = Scene::new();
        scene.gate.know("10.0.0.1:7101".parse().unwrap());
        let mut flood = scene.passes("10.0.0.1:1", 1000);
        for host in 2..100 {
            flood.extend(scene.passes(&format!("10.0.0.{host}:1"), 100));
        }
        assert_eq!(flood.len(), STRANGERS_MAX);
        let members = scene.passes("10.0.0.1:7101", 1000);
        assert_eq!(members.len(), MEMBERS_MAX);
        drop(members);
        // Whoever claims to be one has to prove it once there are many.
        let mut unproven = Vec::new();
        while let Verdict::Take(pass) = scene.judge("10.0.0.1:7101", false) {
            unproven.push(pass);
        }
        assert_eq!(unproven.len(), MEMBERS_MAX / 2);
        assert_eq!(scene.passes("10.0.0.1:7101", 1).len(), 1);
        drop((flood, unproven));
        let state = scene.gate.lock();
        assert_eq!((state.strangers, state.members), (0, 0));
    }

    #[test]
    fn a_flood_is_told_no_some_times_each_second_and_then_nothing() {
        let mut scene = Scene::new();
        let _flood = scene.passes("10.0.0.1:1", BURST);
        for _ in 0..2 {
            let told =
                (0..1000).filter(|_| matches!(scene.judge("10.0.0.1:1", true), Verdict::Refuse));
            let told = told.count();
            assert!(
                (REFUSALS_TOLD_MAX as usize - 20..=REFUSALS_TOLD_MAX as usize).contains(&told),
                "{told}"
            );
            scene.now += Duration::from_secs(1);
        }
    }

    #[test]
    fn what_is_remembered_of_addresses_is_bounded_and_forgotten() {
        let mut scene = Scene::new();
        for host in 0..2 * PURSES_MAX {
            let remote = format!("10.0.{}.{}:1", host / 256, host % 256);
            drop(scene.judge(&remote, true));
        }
        assert_eq!(scene.gate.lock().purses.len(), PURSES_MAX);
        scene.now += Duration::from_secs(10);
        assert_eq!(scene.passes("10.1.0.1:1", 1).len(), 1);
        assert_eq!(scene.gate.lock().purses.len(), 1);
        for port in 1..1000 {
            scene.gate.know(SocketAddr::from(([10, 0, 0, 1], port)));
        }
        assert_eq!(scene.gate.lock().known.len(), KNOWN_MAX);
    }
}
