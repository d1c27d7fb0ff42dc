//! The conversation of a simulated cluster, line by line: golden scripts and failing seeds use this one notation.
//!
//! A line is a time in milliseconds, who speaks to whom, and the message in short. `e` is an epoch, `v` a version of
//! the configuration, `s` a handshake, `#` a request, a position is a plain number.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use lockstep_core::config::{Config, ConfigVersion, NodeId};
use lockstep_core::event::Event;
use lockstep_core::message::{
    ConfigChange, FromArbiter, Joined, Message, PeerMessage, ReplyBody, RequestBody, SyncFrom,
    ToArbiter,
};
use lockstep_core::operation::{Author, Entry, Record, Resolution, Verdict};
use lockstep_core::process::Outcome;
use lockstep_core::register::{self, Ballot};
use lockstep_core::storage::{ArbiterKeeper, ArbiterRecord, Save};

use crate::network::Fate;

/// What of a conversation is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    #[default]
    Off,
    /// What tells the story: no Beacons, no questions for the configuration, no steps of the disk.
    Story,
    /// Everything.
    All,
}

/// A recorded conversation.
#[derive(Debug, Default)]
pub struct Trace {
    detail: Detail,
    lines: Vec<String>,
    /// Identities as they are printed, and the names that are printed instead.
    names: Vec<(String, String)>,
    /// The configuration each node was told last.
    told: BTreeMap<String, ConfigVersion>,
}

/// Lines kept; a trace of everything is for looking at the end of it.
const LINES_MAX: usize = 200_000;

impl Trace {
    /// A trace of that detail.
    pub fn new(detail: Detail) -> Self {
        Self {
            detail,
            ..Self::default()
        }
    }

    /// Is anything recorded?
    pub fn is_on(&self) -> bool {
        self.detail != Detail::Off
    }

    /// A node has that name from now on.
    pub fn name(&mut self, node: NodeId, name: &str) {
        let id = format!("{node:?}");
        if self.names.iter().all(|(known, _)| *known != id) {
            let namesakes = self
                .names
                .iter()
                .filter(|(_, known)| known.trim_end_matches('\'') == name)
                .count();
            // A node that has lost its disk is another one of the same name.
            let name = format!("{name}{}", "'".repeat(namesakes));
            self.names.push((id, name));
        }
    }

    /// The lines so far; they are forgotten here.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Something done to the cluster.
    pub fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        if self.detail != Detail::Off {
            self.push(now, format_args!("-- {what}"));
        }
    }

    /// A message that is sent.
    pub fn message(&mut self, now: u64, from: &str, to: &str, message: &Message, fate: Fate) {
        if self.detail == Detail::Off {
            return;
        }
        let is_routine = match message {
            Message::ToArbiter(ToArbiter::ConfigQuery(_)) => true,
            Message::Peer(peer) => matches!(
                peer.body,
                PeerMessage::Beacon(_) | PeerMessage::BeaconAck(_)
            ),
            // What it was told before it is told again on every question.
            Message::FromArbiter(message) => match &**message {
                FromArbiter::Replicas(config) => {
                    let told = self.told.insert(to.to_owned(), config.version);
                    told == Some(config.version)
                }
                _ => false,
            },
            Message::ToArbiter(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Register(_)
            | Message::Offer(_) => false,
        };
        if self.hides(is_routine && fate != Fate::Held) {
            return;
        }
        let fate = match fate {
            Fate::Arrives(_) => "",
            Fate::Overtaken(_) => "   (overtaken)",
            Fate::Twice(..) | Fate::Echoed(..) => "   (twice)",
            Fate::Held => "   (held)",
            Fate::Lost => "   (lost)",
            Fate::Cut => "   (cut)",
        };
        self.push(now, format_args!("{from} → {to}  {}{fate}", brief(message)));
    }

    /// An event a process reports.
    pub fn event(&mut self, now: u64, name: &str, event: &Event) {
        let is_routine = matches!(
            event,
            Event::Appended { .. }
                | Event::Persisted(_)
                | Event::Committed(_)
                | Event::Acknowledged(_)
                | Event::Unconfirmed(_)
        );
        if !self.hides(is_routine) {
            self.push(now, format_args!("{name} * {event:?}"));
        }
    }

    /// A write a process asks for.
    pub fn persist(&mut self, now: u64, name: &str, save: &Save) {
        if self.hides(true) {
            return;
        }
        let what = match save {
            Save::Append { entries, .. } => format!("append {}", range(entries)),
            Save::Truncate { keep } => format!("truncate to {keep}"),
            Save::Meta(meta) => format!("meta e{} start {}", meta.epoch, meta.incarnation),
            Save::StageBegin => "stage".to_owned(),
            Save::Stage { records, sessions } => format!(
                "stage {} records, {} sessions",
                records.len(),
                sessions.rows.len()
            ),
            Save::Install { at, .. } => format!("install {}", at.position),
            Save::Arbiter(keeper) => keeper_in_short(keeper),
        };
        self.push(now, format_args!("{name} = {what}"));
    }

    /// An outcome a client gives to its program.
    pub fn complete(&mut self, now: u64, name: &str, outcome: &Outcome) {
        if !self.hides(false) {
            self.push(now, format_args!("{name} ! {}", in_short(outcome)));
        }
    }

    fn hides(&self, is_routine: bool) -> bool {
        match self.detail {
            Detail::Off => true,
            Detail::Story => is_routine,
            Detail::All => false,
        }
    }

    fn push(&mut self, now: u64, what: fmt::Arguments<'_>) {
        if self.lines.len() < LINES_MAX {
            let (millis, micros) = (now / 1_000_000, now / 1_000 % 1_000);
            let mut line = format!("{millis:>6}.{micros:03}  {what}");
            for (id, name) in &self.names {
                if line.contains(id) {
                    line = line.replace(id, name);
                }
            }
            self.lines.push(line);
        }
    }
}

fn keeper_in_short(keeper: &ArbiterKeeper) -> String {
    let Some(held) = keeper.held() else {
        return format!("promised {}", ballot(keeper.promised()));
    };
    let record = config(&held.value.config);
    if held.mark.ballot == keeper.promised() {
        format!("record {record}")
    } else {
        format!("promised {}, record {record}", ballot(keeper.promised()))
    }
}

fn ballot(ballot: Ballot) -> String {
    format!("{}.{}", ballot.round.0, ballot.arbiter.0)
}

fn register_message(message: &register::Message<ArbiterRecord>) -> String {
    match message {
        register::Message::Prepare { ballot: own } => format!("Prepare {}", ballot(*own)),
        register::Message::Promise { ballot: to, held } => {
            let record = held.as_ref().map(|held| config(&held.value.config));
            format!("Promise {}, {}", ballot(*to), record.unwrap_or_default())
        }
        register::Message::Accept(held) => {
            let (own, step) = (ballot(held.mark.ballot), held.mark.step.0);
            format!("Accept {own} step {step}, {}", config(&held.value.config))
        }
        register::Message::Accepted { mark } => {
            format!("Accepted {} step {}", ballot(mark.ballot), mark.step.0)
        }
        register::Message::Ask { ballot: own, round } => {
            format!("Ask {} round {}", ballot(*own), round.0)
        }
        register::Message::Still { ballot: to, round } => {
            format!("Still {} round {}", ballot(*to), round.0)
        }
        register::Message::Refused {
            ballot: it,
            promised,
        } => {
            format!("Refused {}, promised {}", ballot(*it), ballot(*promised))
        }
    }
}

/// What kind of message it is: the first word of what it is in short.
pub fn kind(message: &Message) -> String {
    let text = match message {
        Message::Peer(peer) => peer_message(&peer.body),
        message => brief(message),
    };
    let end = text.find([' ', ':']).unwrap_or(text.len());
    text[..end].to_owned()
}

/// A message in short.
pub fn brief(message: &Message) -> String {
    match message {
        Message::ToArbiter(message) => to_arbiter(message),
        Message::FromArbiter(message) => match &**message {
            FromArbiter::JoinedPrimary(answer) => joined("JoinedPrimary", answer),
            FromArbiter::JoinedSecondary(answer) => joined("JoinedSecondary", answer),
            FromArbiter::JoinRefused(answer) => format!("JoinRefused {}", answer.reason),
            FromArbiter::Replicas(current) => format!("Replicas {}", config(current)),
            FromArbiter::ProposalRefused(current) => {
                format!("ProposalRefused {}", config(current))
            }
            FromArbiter::Arbiters(seen) => format!("Arbiters, {} silent", seen.silent.len()),
        },
        Message::Peer(peer) => format!("e{} {}", peer.epoch, peer_message(&peer.body)),
        Message::Offer(offer) => format!("Offer of {}", offer.name),
        Message::Register(message) => register_message(&message.body),
        Message::Request(request) => {
            let body = match &request.body {
                RequestBody::Insert { key, value } => format!("Insert {key:?}={value:?}"),
                RequestBody::Remove { key } => format!("Remove {key:?}"),
                RequestBody::Get { key, level } => format!("Get {key:?} {level:?}"),
                RequestBody::Scan { range, limit } => {
                    let limit = limit.map(|limit| format!(" limit {limit}"));
                    format!("Scan {range:?}{}", limit.unwrap_or_default())
                }
                RequestBody::Resolve { key } => format!("Resolve {key:?}"),
                RequestBody::Drain(drain) => format!("Drain {drain:?}"),
                RequestBody::Arbiters(change) => format!("Arbiters {change:?}"),
                RequestBody::Status => "Status".to_owned(),
            };
            format!("{body} #{}", request.origin.id)
        }
        Message::Reply(reply) => format!("{} #{}", reply_body(&reply.body), reply.id),
    }
}

fn to_arbiter(message: &ToArbiter) -> String {
    match message {
        ToArbiter::Join(join) => format!("Join start {}", join.incarnation),
        ToArbiter::Leave(leave) => format!("Leave v{}", leave.version),
        ToArbiter::ConfigQuery(_) => "ConfigQuery".to_owned(),
        ToArbiter::Propose(propose) => {
            let change = match propose.change {
                ConfigChange::AddInSync(node) => format!("AddInSync {node:?}"),
                ConfigChange::RemoveInSync(node) => format!("RemoveInSync {node:?}"),
                ConfigChange::Drained(node) => format!("Drained {node:?}"),
                ConfigChange::ReplacePrimary => "ReplacePrimary".to_owned(),
                ConfigChange::HandOver(node) => format!("HandOver {node:?}"),
                ConfigChange::Forget(node) => format!("Forget {node:?}"),
                ConfigChange::Arbiters(change) => format!("Arbiters {change:?}"),
            };
            format!("Propose v{} {change}", propose.version)
        }
    }
}

fn joined(name: &str, answer: &Joined) -> String {
    format!(
        "{name} start {} {}",
        answer.incarnation,
        config(&answer.config)
    )
}

/// A configuration in short: the primary first, then who else is in sync, then who is joining.
pub fn config(config: &Config) -> String {
    let name = |node| {
        config
            .members
            .get(node)
            .map_or("?", |member| member.name.as_str())
    };
    let mut text = format!("v{} e{}", config.version, config.epoch);
    let mut list = |title: &str, names: Vec<&str>| {
        if !names.is_empty() {
            write!(text, " {title} {}", names.join(" ")).expect("a string takes everything");
        }
    };
    list("primary", config.primary.iter().map(name).collect());
    let others = config
        .in_sync
        .iter()
        .filter(|node| Some(**node) != config.primary);
    let mut others: Vec<_> = others.map(name).collect();
    others.sort_unstable();
    list("in sync", others);
    let mut joining: Vec<_> = config.joining.iter().map(name).collect();
    joining.sort_unstable();
    list("joining", joining);
    let mut resting: Vec<_> = config.resting.iter().map(name).collect();
    resting.sort_unstable();
    list("resting", resting);
    text
}

fn peer_message(body: &PeerMessage) -> String {
    match body {
        PeerMessage::SyncStart(start) => format!("SyncStart s{}", start.sync),
        PeerMessage::SyncReply(reply) => format!(
            "SyncReply s{} end {} committed {}",
            reply.sync, reply.end, reply.committed
        ),
        PeerMessage::SyncEnd(end) => {
            let start = match &end.start {
                SyncFrom::Log { keep } => format!("log from {keep}"),
                SyncFrom::State { at, records, .. } => {
                    format!("state at {}, {records} records", at.position)
                }
            };
            format!("SyncEnd s{} {start}", end.sync)
        }
        PeerMessage::Snapshots(snapshots) => format!(
            "Snapshots s{} {} committed {}",
            snapshots.sync,
            match snapshots.entries.as_slice() {
                [] => "none".to_owned(),
                [entry] => one(entry),
                entries => range(entries),
            },
            snapshots.committed
        ),
        PeerMessage::SnapshotAck(ack) => {
            format!("SnapshotAck s{} persisted {}", ack.sync, ack.persisted)
        }
        PeerMessage::StateChunk(chunk) => format!(
            "StateChunk s{} {} of {} records, {} sessions{}",
            chunk.sync,
            chunk.index,
            chunk.records.len(),
            chunk.sessions.rows.len(),
            if chunk.is_last { ", the last" } else { "" }
        ),
        PeerMessage::StateAck(ack) => format!("StateAck s{} next {}", ack.sync, ack.next),
        PeerMessage::Beacon(beacon) => {
            let grants = if beacon.grant.is_some() {
                ", grants"
            } else {
                ""
            };
            format!(
                "Beacon v{} committed {}{grants}",
                beacon.version, beacon.committed
            )
        }
        PeerMessage::BeaconAck(ack) => format!("BeaconAck s{}", ack.sync),
        PeerMessage::CommittedQuery(query) => format!("CommittedQuery {}", query.number),
        PeerMessage::CommittedAnswer(answer) => {
            format!("CommittedAnswer {}: {}", answer.number, answer.committed)
        }
    }
}

fn one(entry: &Entry) -> String {
    let changes = entry.changes.iter().map(|change| match change.value() {
        Some(value) => format!("{:?}={value:?}", change.key),
        None => format!("{:?} removed", change.key),
    });
    let mut said: Vec<String> = changes.collect();
    match entry.verdict {
        Verdict::Executed => {}
        Verdict::Cancelled => said.push("cancelled".to_owned()),
    }
    match entry.author {
        Author::Client(..) => {}
        Author::Cluster => said.push("by the cluster".to_owned()),
    }
    format!("{}: {}", entry.seq, said.join(", "))
}

fn range(entries: &[std::sync::Arc<Entry>]) -> String {
    match entries {
        [] => "none".to_owned(),
        [entry] => entry.seq.to_string(),
        [first, .., last] => format!("{}..={}", first.seq, last.seq),
    }
}

fn reply_body(body: &ReplyBody) -> String {
    match body {
        ReplyBody::OperationAck { seq, .. } => format!("OperationAck {seq}"),
        ReplyBody::OperationRejected { reason, .. } => format!("OperationRejected: {reason}"),
        ReplyBody::GetResult {
            key,
            record,
            position,
            ..
        } => match record {
            Some(Record { value, .. }) => format!("GetResult {key:?}={value:?} at {position}"),
            None => format!("GetResult {key:?} absent at {position}"),
        },
        ReplyBody::ScanResult { records, resume } => {
            format!("ScanResult {} records, resume {resume:?}", records.len())
        }
        ReplyBody::Status(status) => format!(
            "Status {:?} persisted {} committed {}",
            status.role, status.persisted, status.committed
        ),
        ReplyBody::Resolved(Resolution::Executed { seq, .. }) => {
            format!("Resolved: executed as {seq}")
        }
        ReplyBody::OperationFailed
        | ReplyBody::Resolved(Resolution::NeverExecuted)
        | ReplyBody::Begun => format!("{body:?}"),
    }
}

fn in_short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { id, replica, body } => match body {
            ReplyBody::OperationAck { seq, .. } => format!("#{id} acknowledged as {seq}"),
            ReplyBody::GetResult { record, .. } => match record {
                Some(Record { value, .. }) => format!("{value:?} from {replica}"),
                None => format!("absent at {replica}"),
            },
            ReplyBody::ScanResult { records, resume } => {
                let records = records.iter();
                let records = records.map(|keyed| (&keyed.key, &keyed.record.value));
                let records: Vec<_> = records.collect();
                format!("{records:?}, resume {resume:?}, from {replica}")
            }
            ReplyBody::Resolved(Resolution::Executed { seq, .. }) => format!("executed as {seq}"),
            ReplyBody::Begun => "begun".to_owned(),
            ReplyBody::Status(status) => format!("{:?} at {replica}", status.role),
            ReplyBody::OperationFailed
            | ReplyBody::OperationRejected { .. }
            | ReplyBody::Resolved(Resolution::NeverExecuted) => {
                format!("{body:?} from {replica}")
            }
        },
        Outcome::Unknown { request } => format!("#{} unknown", request.id),
        Outcome::Rejected { id, reason } => format!("#{id} rejected: {reason}"),
        Outcome::Unreachable { .. } => "unreachable".to_owned(),
    }
}
