//! The bench of the official cases: one real replica on virtual time, with a double for everybody it talks to.
//!
//! Doubles hear their part of the conversation as lines with a time, such as `100 Snapshot k1=v1 0`, in milliseconds
//! since the last `mark`. What the [protocol](lockstep_core::docs::protocol) adds to the conversation of the cases
//! (handshakes, Beacons, questions to the arbiter, proposals) the doubles answer or ignore, so that what is heard is the
//! conversation of the case.
//!
//! The words are those of the cases: a Snapshot is one entry of a Snapshots message, `SnapshotAck 2` says that
//! everything up to seq 2 is persisted, a Persist is an append to the log.

mod doubles;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lockstep_core::config::{
    Address, ClusterId, Config, Epoch, Incarnation, Member, NodeId, Owner, Position, Seq, StartId,
    Token,
};
use lockstep_core::limits::{Limits, SessionLimits};
use lockstep_core::message::{FromArbiter, Joined, Message, Request, RequestBody};
use lockstep_core::operation::{
    Author, Change, ClientId, Entry, Origin, ReadLevel, RequestId, Revision, Verdict,
};
use lockstep_core::process::{Effect, Input, Now, Outbox, Process};
use lockstep_core::replica::{Replica, ReplicaOptions, Timer};
use lockstep_core::storage::desk::{Desk, DeskError, Handed};
use lockstep_core::storage::scheduler::Report;
use lockstep_core::storage::{Save, Ticket};
use lockstep_core::time::Instant;

use crate::disk::{Disk, DiskOptions, Drive};

/// How the replica's disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Answers at once.
    Steady,
    /// Tells the double `persistence` of every Persist, and answers when the test says so.
    Probe,
}

/// A replica and its doubles.
pub struct Bench {
    replica: Replica,
    address: Address,
    desk: Desk,
    disk: Disk,
    persistence: Persistence,
    /// Appends that the persistence double has not answered.
    waiting: BTreeMap<Ticket, Save>,
    now: Instant,
    mark: Instant,
    config: Config,
    heard: BTreeMap<String, Vec<String>>,
    secondaries: BTreeMap<Address, doubles::Secondary>,
    requests: u64,
    inbox: VecDeque<Input<Timer>>,
    is_stepping: bool,
}

/// The replica under test.
const NODE: NodeId = NodeId(1);

/// The primary, where the replica under test is a secondary.
const PRIMARY: NodeId = NodeId(2);

impl Bench {
    /// A replica that has just started, and sent its Join.
    pub fn new(persistence: Persistence) -> Self {
        let address = Address::new("replica");
        let mut disk = Disk::new(NODE, DiskOptions::for_log(u64::MAX));
        let now = Instant::from_millis(1_000);
        let options = ReplicaOptions {
            name: "replica".to_owned(),
            address: address.clone(),
            arbiters: vec![Address::new("arbiter")],
            limits: Limits::default(),
            software: "tested".to_owned(),
        };
        let started = disk.start(now, &SessionLimits::default(), StartId(0));
        let (recovered, desk) = started.expect("an empty disk");
        let replica = Replica::open(options, recovered);
        let mut bench = Self {
            replica,
            address,
            desk,
            disk,
            persistence,
            waiting: BTreeMap::new(),
            now,
            mark: now,
            config: Config::new(ClusterId(7)),
            heard: BTreeMap::new(),
            secondaries: BTreeMap::new(),
            requests: 0,
            inbox: VecDeque::new(),
            is_stepping: false,
        };
        bench.step(Input::Start);
        bench
    }

    /// A replica that the arbiter has made primary.
    pub fn primary(persistence: Persistence) -> Self {
        let mut bench = Self::new(persistence);
        bench.expect("arbiter", &["0 Join"]);
        bench.config.epoch = Epoch(1);
        bench.config.primary = Some(NODE);
        bench.admit(NODE, &bench.address.clone());
        bench.config.in_sync.insert(NODE);
        let joined = bench.joined();
        bench.hear("arbiter", Message::from(FromArbiter::JoinedPrimary(joined)));
        bench
    }

    /// A replica that the arbiter has made a secondary, and with which the double `replicator` has shaken hands.
    pub fn secondary(persistence: Persistence) -> Self {
        let mut bench = Self::new(persistence);
        bench.expect("arbiter", &["0 Join"]);
        bench.config.epoch = Epoch(1);
        bench.config.primary = Some(PRIMARY);
        bench.admit(PRIMARY, &Address::new("replicator"));
        bench.config.in_sync.insert(PRIMARY);
        bench.admit(NODE, &bench.address.clone());
        bench.config.joining.insert(NODE);
        let joined = bench.joined();
        bench.hear(
            "arbiter",
            Message::from(FromArbiter::JoinedSecondary(joined)),
        );
        bench.shake_hands();
        bench
    }

    fn joined(&mut self) -> Joined {
        self.config.version = self.config.version.next();
        Joined {
            config: self.config.clone(),
            node: NODE,
            incarnation: Incarnation(1),
            token: Token(99),
            start: StartId(0),
        }
    }

    fn admit(&mut self, node: NodeId, address: &Address) {
        let member = Member {
            name: address.to_string(),
            address: address.clone(),
            incarnation: Incarnation(1),
            terms: Default::default(),
        };
        self.config.members.insert(node, member);
    }

    // ------------------------------------------------------------------------------------- what tests do

    /// The times of what is heard from now on count from here.
    pub fn mark(&mut self) {
        self.mark = self.now;
    }

    /// Lets time pass, up to `millis` after the mark. What is due at that very time happens.
    pub fn pass_until(&mut self, millis: u64) {
        let end = self.mark + std::time::Duration::from_millis(millis);
        while let Some((at, timer)) = self.replica.timers().next()
            && at <= end
        {
            self.now = self.now.max(at);
            self.step(Input::Timer(timer));
        }
        self.now = end;
    }

    /// What `double` has heard since this was asked last is exactly this.
    ///
    /// # Panics
    /// If it is not.
    pub fn expect(&mut self, double: &str, lines: &[&str]) {
        let heard = self.heard.remove(double).unwrap_or_default();
        assert_eq!(heard, lines, "heard by {double}");
    }

    /// What `double` has heard is not looked at.
    pub fn forget(&mut self, double: &str) {
        self.heard.remove(double);
    }

    /// Lets three seconds pass, in which nobody hears anything that no test has asked for.
    ///
    /// # Panics
    /// If somebody does, or did before and was not asked.
    pub fn expect_silence(&mut self) {
        let end = (self.now - self.mark).as_millis();
        self.pass_until(u64::try_from(end).expect("a short time") + 3_000);
        let nothing = BTreeMap::<String, Vec<String>>::new();
        assert_eq!(self.heard, nothing, "heard at the end");
    }

    /// `client` sets a key. Returns the id of the request.
    pub fn insert(&mut self, client: &str, key: &str, value: &str) -> u64 {
        self.request(
            client,
            RequestBody::Insert {
                key: key.into(),
                value: value.into(),
            },
        )
    }

    /// `client` removes a key. Returns the id of the request.
    pub fn remove(&mut self, client: &str, key: &str) -> u64 {
        self.request(client, RequestBody::Remove { key: key.into() })
    }

    /// `client` reads a key, and gets this answer at once.
    ///
    /// # Panics
    /// If it does not.
    pub fn expect_value(&mut self, client: &str, key: &str, value: Option<&str>) {
        let id = self.request(
            client,
            RequestBody::Get {
                key: key.into(),
                level: ReadLevel::Local,
            },
        );
        let millis = (self.now - self.mark).as_millis();
        let value = value.unwrap_or("absent");
        let line = format!("{millis} GetResult {id} {key}={value}");
        self.expect(client, &[&line]);
    }

    fn request(&mut self, client: &str, body: RequestBody) -> u64 {
        let id = self.requests;
        self.requests += 1;
        let request = Request {
            origin: Origin::plain(client_id(client), RequestId(id)),
            body,
            attempt: Default::default(),
        };
        self.hear(client, Message::Request(request));
        id
    }

    /// The arbiter's set of replicas becomes the primary and these secondaries, all of them in sync.
    pub fn replicas(&mut self, secondaries: &[&str]) {
        self.set_members(secondaries, Standing::InSync);
    }

    /// The arbiter's set of replicas becomes the primary and these secondaries, which have nothing yet. The arbiter
    /// takes them in sync when the primary proposes it.
    pub fn replicas_joining(&mut self, secondaries: &[&str]) {
        self.set_members(secondaries, Standing::Joining);
    }

    fn set_members(&mut self, secondaries: &[&str], standing: Standing) {
        let wanted: BTreeSet<NodeId> = secondaries.iter().map(|name| node_id(name)).collect();
        let keeps = |node: &NodeId| *node == NODE || wanted.contains(node);
        self.config.members.retain(|node, _| keeps(node));
        self.config.in_sync.retain(keeps);
        self.config.joining.retain(keeps);
        for name in secondaries {
            let (node, address) = (node_id(name), Address::new(name));
            if self.config.is_member(node) {
                continue;
            }
            self.admit(node, &address);
            match standing {
                Standing::InSync => self.config.in_sync.insert(node),
                Standing::Joining => self.config.joining.insert(node),
            };
            self.secondaries.entry(address).or_default();
        }
        self.announce();
    }

    fn announce(&mut self) {
        self.config.version = self.config.version.next();
        let config = self.config.clone();
        self.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
    }

    /// The persistence double answers what it was asked for.
    pub fn persisted(&mut self) {
        for (ticket, save) in std::mem::take(&mut self.waiting) {
            self.ask(ticket, save);
        }
    }

    // ------------------------------------------------------------------------------- the replica's side

    fn hear(&mut self, from: &str, message: Message) {
        let from = Address::new(from);
        self.step(Input::Message { from, message });
    }

    /// Steps the replica, and then whatever the doubles answer at once.
    fn step(&mut self, input: Input<Timer>) {
        self.inbox.push_back(input);
        if std::mem::replace(&mut self.is_stepping, true) {
            return;
        }
        while let Some(input) = self.inbox.pop_front() {
            let mut outbox = Outbox::new();
            let now = Now::new(self.now, Some(self.disk.engine()));
            self.replica.step(now, input, &mut outbox);
            if self.inbox.is_empty() {
                self.replica.settle(now, &mut outbox);
            }
            self.replica.check();
            let effects: Vec<_> = outbox.drain().collect();
            for effect in effects {
                self.take_effect(effect);
            }
        }
        self.is_stepping = false;
    }

    fn take_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.on_sent(&to, message),
            Effect::Persist(ticket, save) => self.on_persist(ticket, save),
            Effect::Apply(committed) => self
                .at_desk(|desk, disk, handed| desk.apply(Some(disk.engine()), committed, handed)),
            Effect::Query(ticket, query) => {
                self.at_desk(|desk, _, handed| desk.query(ticket, query, handed));
            }
            Effect::CloseView(view) => self.at_desk(|desk, _, handed| {
                desk.close_view(view, handed);
                Ok(())
            }),
            Effect::Retain(position) => self.at_desk(|desk, _, handed| {
                desk.retain(position, handed);
                Ok(())
            }),
            Effect::Notify(_) => {}
            Effect::MeasureUsage => unreachable!("nobody asks for its status"),
            Effect::Complete(..) => unreachable!("only clients complete calls"),
        }
    }

    fn on_persist(&mut self, ticket: Ticket, save: Save) {
        match (&save, self.persistence) {
            (Save::Append { entries, .. }, Persistence::Probe) => {
                for entry in entries {
                    self.note("persistence", &format!("Persist {}", state_of(entry)));
                }
                let former = self.waiting.insert(ticket, save.clone());
                assert!(
                    former.is_none_or(|former| former == save),
                    "a repeated Persist is identical"
                );
            }
            (
                Save::Append { .. }
                | Save::Truncate { .. }
                | Save::Meta(_)
                | Save::StageBegin
                | Save::Stage { .. }
                | Save::Install { .. }
                | Save::Arbiter(_),
                _,
            ) => self.ask(ticket, save),
        }
    }

    fn ask(&mut self, ticket: Ticket, save: Save) {
        self.at_desk(|desk, _, handed| desk.persist(ticket, save, handed));
    }

    /// The replica's side of its disk does something, and the disk at once what comes of it.
    fn at_desk(
        &mut self,
        act: impl FnOnce(&mut Desk, &Disk, &mut Vec<Handed>) -> Result<(), DeskError>,
    ) {
        let mut handed = Vec::new();
        act(&mut self.desk, &self.disk, &mut handed).expect("the disk works");
        for handed in handed {
            match handed {
                Handed::Scheduler(told) => self.disk.tell(told),
                Handed::Get(ticket, key) => {
                    let answer = self.disk.get(&key).expect("the disk works");
                    self.step(Input::Answered(ticket, answer));
                }
                Handed::Bulk(request) => {
                    let answer = self.disk.answer(request).expect("the disk works");
                    if let Some((ticket, answer)) = answer {
                        self.step(Input::Answered(ticket, answer));
                    }
                }
            }
        }
        if let Some(position) = self.desk.take_applied() {
            self.step(Input::Applied(position));
        }
        self.save();
    }

    fn save(&mut self) {
        loop {
            let reports = self.disk.save_some(self.now).expect("the disk works");
            if reports.is_empty() {
                return;
            }
            for report in reports {
                match report {
                    Report::Persisted(tickets) => {
                        for ticket in tickets {
                            self.at_desk(|desk, disk, handed| {
                                desk.on_persisted(Some(disk.engine()), ticket, handed)
                            });
                            self.step(Input::Persisted(ticket));
                        }
                    }
                    Report::Applied(position) => {
                        self.desk.on_applied(position);
                        self.step(Input::Applied(position));
                    }
                    Report::Trimmed(position) => self.step(Input::Trimmed(position)),
                    Report::Answered(answers) => {
                        for (ticket, answer) in answers {
                            self.step(Input::Answered(ticket, answer));
                        }
                    }
                    Report::Full | Report::Room => unreachable!("the disk has room"),
                }
            }
        }
    }

    fn note(&mut self, double: &str, what: &str) {
        let millis = (self.now - self.mark).as_millis();
        self.heard
            .entry(double.to_owned())
            .or_default()
            .push(format!("{millis} {what}"));
    }
}

#[derive(Clone, Copy)]
enum Standing {
    InSync,
    Joining,
}

/// An identity made of a double's name.
fn node_id(name: &str) -> NodeId {
    NodeId(name.bytes().fold(100, |id, byte| id * 31 + u64::from(byte)))
}

fn client_id(name: &str) -> ClientId {
    ClientId(node_id(name).0)
}

/// What an entry leaves behind: `k1=v1`, or `k1=absent`.
fn state_of(entry: &Entry) -> String {
    match entry.changes.as_slice() {
        [] => "as it was".to_owned(),
        [change] => match change.value() {
            Some(value) => format!("{:?}={value:?}", change.key),
            None => format!("{:?}=absent", change.key),
        },
        [..] => unreachable!("the cases write one key at a time"),
    }
}

/// The entry that a Snapshot of the cases carries.
fn entry(key: &str, value: Option<&str>, seq: u64) -> Entry {
    let change = match value {
        Some(value) => Change::insert(key.into(), value.into(), Revision(seq + 2)),
        None => Change::remove(key.into()),
    };
    Entry {
        epoch: Epoch(1),
        seq: Seq(seq),
        revision: Revision(seq + 2),
        changes: [change].into(),
        verdict: Verdict::Executed,
        author: Author::Client(Origin::plain(ClientId(5), RequestId(seq)), Owner(1)),
    }
}

/// The last seq that a position covers, as the cases count.
fn last_seq(position: Position) -> String {
    match position.last_seq() {
        Some(seq) => seq.to_string(),
        None => "none".to_owned(),
    }
}
