//! Every request with every field at 0, at its limit, one behind it and far beyond; and what a replica answers to it.
//!
//! No pattern here leaves a variant or a field out: whoever adds one has to say here what it may be.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound;

use lockstep_core::config::{Address, ArbiterId, Epoch, NodeId, Position};
use lockstep_core::limits::{self, Limits};
use lockstep_core::message::{ArbitersChange, Attempt, Drain, Request, RequestBody};
use lockstep_core::operation::{ClientId, Key, Origin, ReadLevel, Rejection, RequestId, Value};
use lockstep_core::range::KeyRange;

use super::answer::Answer;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The primary.
    Primary,
    /// Another one, in sync.
    Secondary,
}

/// What a cluster has, as the table knows it from what it was answered.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Where the primary is.
    pub(super) primary: Address,
    /// All members.
    pub(super) members: Vec<NodeId>,
    /// In which epoch.
    pub(super) epoch: Epoch,
    /// Where its log ends.
    pub(super) end: Position,
    /// Its limits.
    pub(super) limits: Limits,
    /// The bytes of the value of each key.
    pub(super) contents: BTreeMap<Key, usize>,
    /// Clients that have asked for something.
    pub(super) clients: u64,
}

// -------------------------------------------------------------------------------------------------- what is asked

impl Known {
    /// A request as it is asked every day.
    pub(super) fn request(&mut self, body: RequestBody) -> Request {
        Request {
            origin: self.origin(),
            attempt: self.attempt(),
            body,
        }
    }

    /// Requests of one kind: as they may be asked, and each with one field as it may not be.
    pub(super) fn requests(&mut self, plain: &RequestBody) -> Vec<Request> {
        let mut requests = Vec::new();
        for body in self.bodies(plain) {
            requests.push(self.request(body));
        }
        for origin in self.origins() {
            let request = self.request(plain.clone());
            requests.push(Request { origin, ..request });
        }
        for attempt in self.attempts() {
            let request = self.request(plain.clone());
            requests.push(Request { attempt, ..request });
        }
        requests
    }

    fn bodies(&self, plain: &RequestBody) -> Vec<RequestBody> {
        match plain.clone() {
            RequestBody::Insert { key, value } => {
                let keys = self.keys().into_iter().map(|key| RequestBody::Insert {
                    key,
                    value: value.clone(),
                });
                let values = self.values().into_iter().map(|value| RequestBody::Insert {
                    key: key.clone(),
                    value,
                });
                keys.chain(values).collect()
            }
            RequestBody::Remove { key: _ } => {
                let keys = self.keys().into_iter();
                keys.map(|key| RequestBody::Remove { key }).collect()
            }
            RequestBody::Get { key: _, level } => {
                let levels = self.levels(level);
                let keys = self.keys().into_iter();
                let gets = keys.flat_map(|key| {
                    levels.iter().map(move |level| RequestBody::Get {
                        key: key.clone(),
                        level: *level,
                    })
                });
                gets.collect()
            }
            RequestBody::Scan { range, limit } => {
                let ranges = self.ranges(range).into_iter();
                let ranges = ranges.map(|range| RequestBody::Scan { range, limit });
                ranges.chain(scans_up_to(limit)).collect()
            }
            RequestBody::Status => vec![RequestBody::Status],
            RequestBody::Resolve { key: _ } => {
                let keys = self.keys().into_iter();
                keys.map(|key| RequestBody::Resolve { key }).collect()
            }
            RequestBody::Drain(drain) if ends_role(drain) => vec![RequestBody::Drain(drain)],
            RequestBody::Drain(_) => {
                let nodes = self.members.iter().copied();
                let nodes = nodes.chain([0, u64::MAX].map(NodeId));
                let drains = nodes.map(|node| RequestBody::Drain(Drain::Former(node)));
                drains.collect()
            }
            RequestBody::Arbiters(_) => {
                let ids = [0, 1, u64::MAX].map(ArbiterId).into_iter();
                let changes = ids.clone().flat_map(|one| {
                    let others = ids.clone();
                    let replacements =
                        others.map(move |next| ArbitersChange::Replace { former: one, next });
                    let alone = [ArbitersChange::Add(one), ArbitersChange::Remove(one)];
                    alone.into_iter().chain(replacements)
                });
                changes.map(RequestBody::Arbiters).collect()
            }
        }
    }

    fn lengths(&self) -> [usize; 9] {
        let (max, ceiling) = (self.limits.key_bytes_max, Limits::KEY_BYTES_CEILING);
        let engine = usize::from(u16::MAX);
        [
            0,
            1,
            max,
            max + 1,
            ceiling,
            ceiling + 1,
            engine,
            engine + 1,
            1 << 20,
        ]
    }

    fn keys(&self) -> Vec<Key> {
        self.lengths()
            .map(|length| Key::from(vec![b'x'; length]))
            .into()
    }

    fn values(&self) -> Vec<Value> {
        let (max, ceiling) = (self.limits.value_bytes_max, Limits::VALUE_BYTES_CEILING);
        let lengths = [0, 1, max, max + 1, ceiling, ceiling + 1];
        lengths.map(|length| Value::from(vec![b'v'; length])).into()
    }

    fn levels(&self, plain: ReadLevel) -> Vec<ReadLevel> {
        let mut levels = Vec::new();
        let mut next = Some(plain);
        while let Some(level) = next {
            match level {
                ReadLevel::Local | ReadLevel::Linearizable => levels.push(level),
                ReadLevel::AtLeast(_) => {
                    levels.extend(self.positions().map(ReadLevel::AtLeast));
                }
            }
            next = match level {
                ReadLevel::Local => Some(ReadLevel::AtLeast(Position::ZERO)),
                ReadLevel::AtLeast(_) => Some(ReadLevel::Linearizable),
                ReadLevel::Linearizable => None,
            };
        }
        levels
    }

    fn positions(&self) -> [Position; 5] {
        let end = self.end.0;
        [0, end, end + 1, u64::MAX - 1, u64::MAX].map(Position)
    }

    /// All pairs of ends: none, with the key and without; keys that are there, that are not, that none may be, in any order.
    fn ranges(&self, plain: KeyRange) -> Vec<KeyRange> {
        let KeyRange { from: _, to: _ } = plain;
        let mut keys: Vec<Key> = ["", "k", "k3", "k3\0", "k7", "\u{7f}"]
            .map(Key::from)
            .into();
        keys.push(Key::from(vec![u8::MAX; Limits::KEY_BYTES_CEILING]));
        let ends_of = |keys: Vec<Key>| {
            let keys = keys.into_iter();
            let ends = keys.flat_map(|key| [Bound::Included(key.clone()), Bound::Excluded(key)]);
            [Bound::Unbounded]
                .into_iter()
                .chain(ends)
                .collect::<Vec<_>>()
        };
        let ends = ends_of(keys);
        let mut ranges = Vec::new();
        for from in &ends {
            ranges.extend(ends.iter().map(|to| KeyRange {
                from: from.clone(),
                to: to.clone(),
            }));
        }
        for end in ends_of(self.keys()) {
            let (from, to) = (end.clone(), Bound::Unbounded);
            ranges.push(KeyRange { from, to });
            let (from, to) = (Bound::Unbounded, end.clone());
            ranges.push(KeyRange { from, to });
            ranges.push(KeyRange {
                from: end.clone(),
                to: end,
            });
        }
        ranges
    }

    /// Origins, no two of one request.
    fn origins(&mut self) -> Vec<Origin> {
        let positions = self.positions();
        let Origin {
            client: _,
            id,
            born: _,
            settled: _,
        } = self.origin();
        let mut origins = Vec::new();
        for client in [0, u64::MAX].map(ClientId) {
            let plain = self.origin();
            // All of one client have a number each.
            let id = RequestId(plain.client.0);
            origins.push(Origin {
                client,
                id,
                ..plain
            });
        }
        for id in [0, u64::MAX - 1, u64::MAX].map(RequestId) {
            for settled in [RequestId(0), id, RequestId(u64::MAX)] {
                let plain = self.origin();
                origins.push(Origin {
                    id,
                    settled,
                    ..plain
                });
            }
        }
        for born in positions {
            let plain = self.origin();
            origins.push(Origin { born, ..plain });
        }
        for settled in [0, id.0, id.0 + 1, u64::MAX - 1, u64::MAX].map(RequestId) {
            let plain = self.origin();
            origins.push(Origin { settled, ..plain });
        }
        origins
    }

    fn attempts(&self) -> Vec<Attempt> {
        let Attempt { epoch, copy } = self.attempt();
        let epochs = [0, epoch.0, epoch.0 + 1, u64::MAX - 1, u64::MAX].map(Epoch);
        let epochs = epochs.map(|epoch| Attempt { epoch, copy });
        let copies = [0, 1, u32::MAX - 1, u32::MAX];
        let copies = copies.map(|copy| Attempt { epoch, copy });
        epochs.into_iter().chain(copies).collect()
    }

    /// Of a request of a client that asks for nothing else.
    fn origin(&mut self) -> Origin {
        self.clients += 1;
        Origin {
            client: ClientId(1 << 32 | self.clients),
            id: RequestId(3),
            born: self.end,
            settled: RequestId(0),
        }
    }

    fn attempt(&self) -> Attempt {
        Attempt {
            epoch: self.epoch,
            copy: 0,
        }
    }
}

/// The first request.
pub(super) fn first() -> RequestBody {
    RequestBody::Insert {
        key: Key::from("k0"),
        value: Value::from("value"),
    }
}

/// One kind of request after the other, and all of them; `None` behind the last.
pub(super) fn after(body: &RequestBody) -> Option<RequestBody> {
    let key = Key::from("k1");
    Some(match body {
        RequestBody::Insert { .. } => RequestBody::Remove { key },
        RequestBody::Remove { .. } => RequestBody::Get {
            key,
            level: ReadLevel::Local,
        },
        RequestBody::Get { .. } => RequestBody::Scan {
            range: KeyRange::all(),
            limit: None,
        },
        RequestBody::Scan { .. } => RequestBody::Status,
        RequestBody::Status => RequestBody::Resolve { key },
        RequestBody::Resolve { .. } => RequestBody::Drain(Drain::Former(NodeId(0))),
        RequestBody::Drain(_) => RequestBody::Arbiters(ArbitersChange::Add(ArbiterId(0))),
        RequestBody::Arbiters(_) => return None,
    })
}

/// Scans of everything, up to so many records.
pub(super) fn scans_up_to(plain: Option<NonZeroU32>) -> Vec<RequestBody> {
    let max = u32::try_from(limits::CHUNK_RECORDS_MAX).expect("it is small");
    let numbers = [1, 2, max - 1, max, max + 1, u32::MAX - 1, u32::MAX];
    let limits = numbers.into_iter().map(NonZeroU32::new);
    let scan = |limit| RequestBody::Scan {
        range: KeyRange::all(),
        limit,
    };
    [plain].into_iter().chain(limits).map(scan).collect()
}

/// Does a role end with it, where there is one? All others change nothing while all members live.
fn ends_role(drain: Drain) -> bool {
    match drain {
        Drain::Former(_) => false,
        Drain::Node | Drain::NodeByForce | Drain::Primary => true,
    }
}

/// All drains that end a role.
pub(super) fn drains() -> Vec<Drain> {
    let mut drains = Vec::new();
    let mut next = Some(Drain::Node);
    while let Some(drain) = next {
        next = match drain {
            Drain::Node => Some(Drain::NodeByForce),
            Drain::NodeByForce => Some(Drain::Primary),
            Drain::Primary => Some(Drain::Former(NodeId(0))),
            Drain::Former(_) => None,
        };
        if ends_role(drain) {
            drains.push(drain);
        }
    }
    drains
}

// ---------------------------------------------------------------------------------------------- what is answered

impl Known {
    /// What the replica answers; and what to the same request once more, as a network may deliver it.
    pub(super) fn answers(&mut self, at: Place, request: &Request) -> (Answer, Answer) {
        let Request {
            origin,
            attempt,
            body,
        } = request;
        let first = self.answer(at, *attempt, body);
        let Origin {
            client: _,
            id,
            // What a client says of that harms it alone: the longer ago, the longer the cluster has to have it in mind.
            born: _,
            settled,
        } = origin;
        let is_decided = matches!(first, Answer::Acknowledged | Answer::NeverExecuted);
        // It has said that it does not want to know.
        let again = match is_decided && settled > id {
            true => Answer::Rejected(Rejection::SessionExpired),
            false => first.clone(),
        };
        self.end.0 += u64::from(is_decided);
        if first == Answer::Acknowledged {
            match body {
                RequestBody::Insert { key, value } => {
                    self.contents.insert(key.clone(), value.len());
                }
                RequestBody::Remove { key } => {
                    self.contents.remove(key);
                }
                _ => unreachable!("only these are acknowledged"),
            }
        }
        (first, again)
    }

    fn answer(&self, at: Place, attempt: Attempt, body: &RequestBody) -> Answer {
        let Attempt { epoch, copy: _ } = attempt;
        let is_for_now = epoch == Epoch::ZERO || epoch == self.epoch;
        match body {
            RequestBody::Insert { key, value } => self.write(at, is_for_now, key, value.len()),
            RequestBody::Remove { key } => self.write(at, is_for_now, key, 0),
            RequestBody::Resolve { key } => match self.write(at, true, key, 0) {
                Answer::Acknowledged => Answer::NeverExecuted,
                rejected => rejected,
            },
            RequestBody::Get { key, level } => {
                let is_there = match level {
                    ReadLevel::AtLeast(position) => *position <= self.end,
                    ReadLevel::Local | ReadLevel::Linearizable => true,
                };
                match over(key.len(), Limits::KEY_BYTES_CEILING, "key") {
                    Some(rejected) => rejected,
                    None if is_there => Answer::Value(self.contents.get(key).copied()),
                    None => Answer::Behind,
                }
            }
            RequestBody::Scan { range, limit } => self.page(range, *limit),
            RequestBody::Status => Answer::Status,
            RequestBody::Drain(_) | RequestBody::Arbiters(_) => Answer::Begun,
        }
    }

    fn write(&self, at: Place, is_for_now: bool, key: &Key, value: usize) -> Answer {
        let not_primary = || {
            Answer::Rejected(Rejection::NotPrimary {
                primary: Some(self.primary.clone()),
            })
        };
        let limits = &self.limits;
        let own = over(key.len(), limits.key_bytes_max, "key");
        let own = own.or_else(|| {
            let is_empty = key.is_empty();
            is_empty.then(|| too_large("key", 0, limits.key_bytes_max))
        });
        let own = own.or_else(|| over(value, limits.value_bytes_max, "value"));
        over(key.len(), Limits::KEY_BYTES_CEILING, "key")
            .or_else(|| over(value, Limits::VALUE_BYTES_CEILING, "value"))
            .or_else(|| (at == Place::Secondary || !is_for_now).then(not_primary))
            .or(own)
            .unwrap_or(Answer::Acknowledged)
    }

    fn page(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Answer {
        let KeyRange { from, to } = range;
        let longest = [from, to].map(|end| match end {
            Bound::Included(key) | Bound::Excluded(key) => key.len(),
            Bound::Unbounded => 0,
        });
        let [one, other] = longest;
        if let Some(rejected) = over(one.max(other), Limits::KEY_BYTES_CEILING, "key") {
            return rejected;
        }
        let is_behind = |key: &Key| match from {
            Bound::Included(from) => key >= from,
            Bound::Excluded(from) => key > from,
            Bound::Unbounded => true,
        };
        let is_before = |key: &Key| match to {
            Bound::Included(to) => key <= to,
            Bound::Excluded(to) => key < to,
            Bound::Unbounded => true,
        };
        let keys = self.contents.keys();
        let found = keys.filter(|key| is_behind(key) && is_before(key)).count();
        let most = limit.map_or(u32::MAX, NonZeroU32::get) as usize;
        let most = most.min(limits::CHUNK_RECORDS_MAX);
        Answer::Page {
            records: found.min(most),
            more: found > most,
        }
    }
}

fn over(length: usize, limit: usize, what: &str) -> Option<Answer> {
    (length > limit).then(|| too_large(what, length, limit))
}

fn too_large(what: &str, length: usize, limit: usize) -> Answer {
    Answer::Rejected(Rejection::TooLarge {
        what: what.to_owned(),
        size: length as u64,
        limit: limit as u64,
    })
}
