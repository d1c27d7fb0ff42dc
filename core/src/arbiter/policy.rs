//! The arbiter's decisions ([protocol](crate::docs::protocol#arbiter)): pure functions from what it knows and what it is told to
//! what it knows then and answers.
//!
//! A decision depends on nothing but the record, so a restarted arbiter, or another implementation of its store,
//! decides the same. Sending and durability are left to the process in `mod.rs`.

use siphasher::sip::SipHasher24;

use crate::config::{
    Address, ClusterId, Config, ConfigVersion, Epoch, Former, Member, NodeId, StartId, Token,
};
use crate::event::Event;
use crate::limits::{self, Timing};
use crate::message::{
    ConfigChange, FromArbiter, Join, JoinRefusal, JoinRefused, Joined, Leave, Propose, ToArbiter,
};
use crate::storage::{ArbiterRecord, NodeRecord};

/// What follows from a message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Decision {
    /// The record from now on; `None` when it stays as it is. To be durable before anything else happens.
    pub record: Option<ArbiterRecord>,
    /// Answers, in order.
    pub answers: Vec<(Address, FromArbiter)>,
    /// To be reported.
    pub event: Option<Event>,
}

impl Decision {
    fn answer(to: &Address, message: FromArbiter) -> Self {
        Self {
            answers: vec![(to.clone(), message)],
            ..Self::default()
        }
    }
}

/// What the arbiter of a new cluster knows.
///
/// `secret` is drawn at random; tokens are made of it, so that nobody can guess one.
pub fn first_record(cluster: ClusterId, secret: u64) -> ArbiterRecord {
    ArbiterRecord {
        config: Config::new(cluster),
        nodes: Default::default(),
        secret,
        acts: Vec::new(),
    }
}

/// A replica wants to be used.
pub fn on_join(record: &ArbiterRecord, from: &Address, join: &Join) -> Decision {
    match admit(record, from, join) {
        Err(reason) => {
            let refused = JoinRefused {
                reason,
                node: join.node,
                incarnation: join.incarnation,
                start: start_of(join),
            };
            Decision::answer(from, FromArbiter::JoinRefused(refused))
        }
        Ok(None) if !record.config.is_member(join.node) => Decision::default(),
        // It may still hold a read lease. If it runs, it learns from this that it is out, and gives that up.
        Ok(None) if !record.config.has_place(join.node) => {
            Decision::answer(from, FromArbiter::Replicas(record.config.clone()))
        }
        Ok(None) => {
            let mut decision = Decision::answer(from, joined(record, join.node));
            decision.answers.extend(to_primary(&record.config));
            decision
        }
        Ok(Some(next)) => {
            let mut decision = Decision::answer(from, joined(&next, join.node));
            decision.answers.extend(announcement(&next.config));
            // If the process that was there runs, it learns that another one has its identity.
            let former = record.nodes.get(&join.node);
            if let Some(former) = former.filter(|former| former.address != *from) {
                let config = next.config.clone();
                let answer = (former.address.clone(), FromArbiter::Replicas(config));
                decision.answers.push(answer);
            }
            decision.event = Some(Event::Joined {
                node: join.node,
                incarnation: join.incarnation,
            });
            decision.record = Some(next);
            decision
        }
    }
}

/// The record with the node in it; `None` if this very Join has been taken up before and changes nothing.
fn admit(
    record: &ArbiterRecord,
    from: &Address,
    join: &Join,
) -> Result<Option<ArbiterRecord>, JoinRefusal> {
    let well_formed = is_name(&join.name)
        && is_printable(join.address.as_str())
        && join.address.as_str().len() <= limits::ADDRESS_BYTES_MAX
        && join.address == *from
        && !join.starts.is_empty()
        && join.terms.lease <= Timing::LEASE_CEILING
        && join.terms.drift_permille <= Timing::DRIFT_CEILING;
    if !well_formed {
        return Err(JoinRefusal::Malformed);
    }
    let ours = record.config.cluster;
    if let Some(theirs) = join.cluster.filter(|theirs| *theirs != ours) {
        return Err(JoinRefusal::WrongCluster { ours, theirs });
    }
    if join.epoch > record.config.epoch && !planted!(ArbiterBehindAdmits) {
        return Err(JoinRefusal::ArbiterBehind {
            recorded: record.config.epoch,
            acted: join.epoch,
        });
    }
    let fresh = token(record, record.config.version.next());
    let (token, former_token) = match record.nodes.get(&join.node) {
        None if join.token != Token(0) => return Err(JoinRefusal::WrongToken),
        None => (fresh, join.token),
        Some(known) if known.is_superseded => return Err(JoinRefusal::Superseded),
        Some(known) if join.incarnation < known.incarnation => {
            return Err(JoinRefusal::OldIncarnation {
                recorded: known.incarnation,
            });
        }
        // Of a record that was lost: the next Join shows which start it is of.
        Some(known) if known.token == Token::LOST => (fresh, join.token),
        Some(known) if join.incarnation == known.incarnation => {
            // Another start: two copies of one data directory, started the same number of times. The same one: it is the
            // accepted Join once more, whatever token its sender had when it sent this copy.
            let is_same = join.address == known.address
                && (start_of(join) == known.start || planted!(StartsLookTheSame));
            if !is_same {
                return Err(JoinRefusal::WrongToken);
            }
            let config = &record.config;
            let has_place = match config.draining.contains(&join.node) {
                // Who knows of its removal holds no read lease any more.
                true => join.version < known.removed && !planted!(DrainingJoins),
                false => config.is_member(join.node),
            };
            if has_place || has_namesake_in_sync(record, join) {
                return Ok(None);
            }
            (known.token, known.former_token)
        }
        Some(known) if !continues(known, join) => return Err(JoinRefusal::WrongToken),
        Some(_) => (fresh, join.token),
    };
    if let Some(holder) = holder_of_name(record, join) {
        return Err(JoinRefusal::NameTaken { holder });
    }
    let mut next = record.clone();
    displace_namesakes(&mut next, join);
    if !next.config.is_member(join.node) && next.config.members.len() >= limits::MEMBERS_MAX {
        return Err(JoinRefusal::Full {
            limit: limits::MEMBERS_MAX as u64,
        });
    }
    next.nodes.insert(
        join.node,
        NodeRecord {
            name: join.name.clone(),
            address: join.address.clone(),
            incarnation: join.incarnation,
            token,
            former_token,
            start: start_of(join),
            joined: next.config.version.next(),
            removed: record
                .nodes
                .get(&join.node)
                .map_or(ConfigVersion::ZERO, |known| known.removed),
            has_left: false,
            is_superseded: false,
        },
    );
    take_in(&mut next.config, join);
    forget_surplus(&mut next);
    Ok(Some(next))
}

/// A name that can be shown to people wherever it goes: of letters, digits, and what holds them together.
pub(super) fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=limits::NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn is_printable(address: &str) -> bool {
    address.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where another node of that name is, if it may be alive: it has a place, which the primary takes from who is silent. At
/// the address of the joining one it is not: there the joining one is.
fn holder_of_name(record: &ArbiterRecord, join: &Join) -> Option<Address> {
    let config = &record.config;
    let mut members = config.members.iter();
    let holder = members.find(|(node, member)| {
        **node != join.node
            && member.name == join.name
            && member.address != join.address
            && config.has_place(**node)
    });
    holder.map(|(_, member)| member.address.clone())
}

/// The start that asks to join.
fn start_of(join: &Join) -> StartId {
    join.starts.last().copied().unwrap_or(StartId(0))
}

/// Does the data directory continue the one that has joined last? It has the token that was given then; or, if that never
/// arrived, the one before and the start that has joined. A copy from before that start has the one before as well.
fn continues(known: &NodeRecord, join: &Join) -> bool {
    join.token == known.token
        || join.token == known.former_token
            && (join.starts.contains(&known.start) || planted!(FormerTokenSuffices))
}

/// Does a replica know of a configuration that the record does not? Then the record was put back to an older copy: what it
/// would decide may contradict what was decided since. Replicas of other clusters know nothing of that.
pub fn is_behind(record: &ArbiterRecord, message: &ToArbiter) -> bool {
    let ours = record.config.cluster;
    let (known, is_ours) = match message {
        // One of another life of its data has words of its own.
        ToArbiter::Join(join) => (join.version, join.cluster == Some(ours)),
        ToArbiter::ConfigQuery(query) => (query.version, query.cluster == Some(ours)),
        // Who sends these asks for the configuration as well.
        ToArbiter::Leave(leave) => (leave.version, record.nodes.contains_key(&leave.node)),
        ToArbiter::Propose(propose) => (propose.version, record.nodes.contains_key(&propose.node)),
    };
    is_ours && known > record.config.version && !planted!(ArbiterBehindAdmits)
}

/// Is a node of the same name in sync? Then a start that was out already is a late copy of a Join: its data directory was
/// wiped since, and the name is that of the new node.
fn has_namesake_in_sync(record: &ArbiterRecord, join: &Join) -> bool {
    namesakes(record, join).any(|node| record.config.in_sync.contains(&node))
        && !planted!(LateJoinObeyed)
}

fn namesakes<'a>(record: &'a ArbiterRecord, join: &'a Join) -> impl Iterator<Item = NodeId> + 'a {
    let others = record.nodes.iter().filter(|(node, _)| **node != join.node);
    others
        .filter(|(_, known)| known.name == join.name)
        .map(|(node, _)| *node)
}

/// Takes out joining nodes of the joining one's name: their data directory was wiped. One that is in sync is left to
/// the primary, which removes it as soon as it misses it. Their records stay: if this was a late copy of a wiped node's
/// Join, the living one finds itself taken out and joins again.
fn displace_namesakes(record: &mut ArbiterRecord, join: &Join) {
    let displaced: Vec<NodeId> = namesakes(record, join)
        .filter(|node| record.config.joining.contains(node))
        .collect();
    for node in displaced {
        record.config.joining.remove(&node);
        record.config.members.remove(&node);
    }
}

/// Forgets the node that joined longest ago and is no member, where more are known than there is room for.
fn forget_surplus(record: &mut ArbiterRecord) {
    while record.nodes.len() > limits::NODE_RECORDS_MAX {
        let strangers = record
            .nodes
            .iter()
            .filter(|(node, _)| !record.config.is_member(**node));
        let Some(oldest) = strangers
            .min_by_key(|(_, known)| known.joined)
            .map(|(node, _)| *node)
        else {
            return;
        };
        record.nodes.remove(&oldest);
    }
}

/// Gives the node its place: the first ever is primary, the recorded primary gets a new epoch, who is in sync stays so.
fn take_in(config: &mut Config, join: &Join) {
    let is_in_sync = config.in_sync.contains(&join.node) && config.primary != Some(join.node);
    if !(planted!(JoinKeepsVersion) && is_in_sync) {
        config.version = config.version.next();
    }
    let member = Member {
        name: join.name.clone(),
        address: join.address.clone(),
        incarnation: join.incarnation,
        terms: join.terms,
    };
    // A machine that was lost comes back under its name, with an empty directory.
    config
        .former
        .retain(|node, former| *node != join.node && former.name != join.name);
    config.members.insert(join.node, member);
    match config.primary {
        None => {
            config.primary = Some(join.node);
            config.epoch = Epoch(1);
            config.in_sync.insert(join.node);
        }
        Some(primary) if primary == join.node => {
            config.epoch = planted!(RestartKeepsEpoch => config.epoch, config.epoch.next());
        }
        Some(_) if config.in_sync.contains(&join.node) => {}
        Some(_) => {
            config.draining.remove(&join.node);
            config.resting.remove(&join.node);
            config.joining.insert(join.node);
        }
    }
}

/// A replica wants the configuration changed.
pub fn on_propose(record: &ArbiterRecord, from: &Address, propose: &Propose) -> Decision {
    let config = &record.config;
    if !is_member_at(config, propose.node, from) {
        // One that was taken out learns it. Whoever else is there now is told nothing.
        let known = record.nodes.get(&propose.node);
        return match known.filter(|known| known.address == *from) {
            Some(_) => Decision::answer(from, FromArbiter::ProposalRefused(config.clone())),
            None => Decision::default(),
        };
    }
    let mut next = record.clone();
    let is_any_fine = match propose.change {
        ConfigChange::HandOver(_) => planted!(NoCompareAndSwap | HandOverOfAnyVersion),
        _ => planted!(NoCompareAndSwap),
    };
    let is_present = propose.version == config.version || is_any_fine;
    if !is_present || !change(&mut next.config, propose.node, propose.change) {
        return Decision::answer(from, FromArbiter::ProposalRefused(config.clone()));
    }
    match propose.change {
        ConfigChange::RemoveInSync(node) => {
            if let Some(known) = next.nodes.get_mut(&node) {
                known.removed = next.config.version;
            }
        }
        ConfigChange::Drained(node)
            if next.nodes.get(&node).is_some_and(|known| known.has_left) =>
        {
            next.config.former.remove(&node);
        }
        _ => {}
    }
    decided(record, next)
}

/// May the arbiters change for this proposal? Any member passes on what operators want.
pub(super) fn may_change_arbiters(
    record: &ArbiterRecord,
    from: &Address,
    propose: &Propose,
) -> bool {
    let config = &record.config;
    is_member_at(config, propose.node, from) && propose.version == config.version
}

fn is_member_at(config: &Config, node: NodeId, from: &Address) -> bool {
    let member = config.members.get(&node);
    member.is_some_and(|member| member.address == *from)
}

/// Makes the change that `proposer` wants; false if it may not have it, or if it does not apply.
fn change(config: &mut Config, proposer: NodeId, change: ConfigChange) -> bool {
    let is_primary = config.primary == Some(proposer);
    let is_made = match change {
        ConfigChange::AddInSync(node) => {
            is_primary && config.joining.remove(&node) && config.in_sync.insert(node)
        }
        ConfigChange::RemoveInSync(node) if config.in_sync.contains(&node) => {
            is_primary
                && node != proposer
                && config.in_sync.remove(&node)
                && planted!(RemovesAtOnce => remove(config, node), config.draining.insert(node))
        }
        ConfigChange::RemoveInSync(node) => {
            is_primary && config.joining.contains(&node) && remove(config, node)
        }
        ConfigChange::Drained(node) => {
            let is_out = config.draining.contains(&node) || config.resting.contains(&node);
            is_primary && is_out && remove(config, node)
        }
        ConfigChange::ReplacePrimary => {
            !is_primary && config.in_sync.contains(&proposer) && replace_primary(config, proposer)
        }
        ConfigChange::HandOver(node) => {
            if planted!(HandsOverToJoining) && config.joining.remove(&node) {
                config.in_sync.insert(node);
            }
            is_primary
                && node != proposer
                && config.in_sync.contains(&node)
                && hand_over(config, node)
        }
        ConfigChange::Forget(node) => config.former.remove(&node).is_some(),
        // Where it can be made, the arbiter does so.
        ConfigChange::Arbiters(_) => false,
    };
    is_made && raise(config)
}

/// The recorded primary is out: who replaces it waits, or has its word, until it acts as one no more.
fn replace_primary(config: &mut Config, successor: NodeId) -> bool {
    if let Some(former) = config.primary.replace(successor) {
        remove(config, former);
    }
    config.epoch = planted!(ReplacementKeepsEpoch => config.epoch, config.epoch.next());
    true
}

/// The recorded primary stays in sync: the successor commits nothing without its word, which it gives in the new epoch.
fn hand_over(config: &mut Config, successor: NodeId) -> bool {
    config.primary = Some(successor);
    config.epoch = config.epoch.next();
    true
}

/// Takes the member out, as one that is expected back.
pub(super) fn remove(config: &mut Config, node: NodeId) -> bool {
    let Some(member) = config.members.remove(&node) else {
        return false;
    };
    config.in_sync.remove(&node);
    config.draining.remove(&node);
    config.resting.remove(&node);
    config.joining.remove(&node);
    let former = Former {
        name: member.name,
        address: member.address,
        since: config.version.next(),
    };
    config.former.insert(node, former);
    if config.former.len() > limits::FORMER_MEMBERS_MAX {
        let first = config.former.iter().min_by_key(|(_, former)| former.since);
        let first = first.map(|(node, _)| *node);
        first.and_then(|node| config.former.remove(&node));
    }
    true
}

pub(super) fn raise(config: &mut Config) -> bool {
    config.version = config.version.next();
    true
}

/// A replica wants to be taken out. A primary cannot be: it is answered with the configuration as it is. One that is in
/// sync drains first, since it goes on until it knows; it is out when it says so again, knowing that.
///
/// One in sync that comes back rests: it holds no read lease, and the primary goes on counting it until it has it taken out. If
/// the last one stops, those that rest have what it has, and are in sync with it.
pub fn on_leave(record: &ArbiterRecord, from: &Address, leave: &Leave) -> Decision {
    let config = &record.config;
    let unchanged = || Decision::answer(from, FromArbiter::Replicas(config.clone()));
    let Some(member) = config.members.get(&leave.node) else {
        return unchanged();
    };
    let is_of_start = member.incarnation == leave.incarnation || planted!(LateLeaveObeyed);
    if member.address != *from || !is_of_start {
        return Decision::default();
    }
    let is_present = leave.version == config.version || planted!(LateLeaveObeyed);
    let is_primary = config.primary == Some(leave.node);
    let is_last = leave.returns && config.in_sync.len() == 1 && !config.resting.is_empty();
    let rests = leave.returns && config.resting.contains(&leave.node);
    if !is_present || rests || is_primary && !is_last {
        return unchanged();
    }
    let mut next = record.clone();
    if is_primary {
        let resting = std::mem::take(&mut next.config.resting);
        next.config.in_sync.extend(resting);
    } else if leave.returns && next.config.in_sync.remove(&leave.node) {
        next.config.resting.insert(leave.node);
    } else if next.config.in_sync.remove(&leave.node) && !planted!(LeavesAtOnce) {
        next.config.draining.insert(leave.node);
        if let Some(known) = next.nodes.get_mut(&leave.node) {
            known.removed = config.version.next();
            known.has_left = true;
        }
    } else {
        remove(&mut next.config, leave.node);
        if !leave.returns {
            next.config.former.remove(&leave.node);
        }
    }
    raise(&mut next.config);
    decided(record, next)
}

/// A replica, member or not, asks for the configuration.
pub fn on_config_query(record: &ArbiterRecord, from: &Address) -> Decision {
    Decision::answer(from, FromArbiter::Replicas(record.config.clone()))
}

/// The decision that replaces `record` by `next` and tells everybody, those included that are in it no more.
fn decided(record: &ArbiterRecord, next: ArbiterRecord) -> Decision {
    let gone = record
        .config
        .members
        .iter()
        .filter(|(node, _)| !next.config.is_member(**node))
        .map(|(_, member)| {
            (
                member.address.clone(),
                FromArbiter::Replicas(next.config.clone()),
            )
        });
    Decision {
        answers: announcement(&next.config).chain(gone).collect(),
        event: Some(Event::Decided(next.config.version)),
        record: Some(next),
    }
}

/// The configuration, to every member.
pub(super) fn announcement(config: &Config) -> impl Iterator<Item = (Address, FromArbiter)> + '_ {
    config.members.values().map(|member| {
        (
            member.address.clone(),
            FromArbiter::Replicas(config.clone()),
        )
    })
}

fn to_primary(config: &Config) -> Option<(Address, FromArbiter)> {
    config.primary_member().map(|member| {
        (
            member.address.clone(),
            FromArbiter::Replicas(config.clone()),
        )
    })
}

fn joined(record: &ArbiterRecord, node: NodeId) -> FromArbiter {
    let known = &record.nodes[&node];
    let joined = Joined {
        config: record.config.clone(),
        node,
        incarnation: known.incarnation,
        token: known.token,
        start: known.start,
    };
    if record.config.primary == Some(node) {
        FromArbiter::JoinedPrimary(joined)
    } else {
        FromArbiter::JoinedSecondary(joined)
    }
}

/// A token for the Join that makes `version`: never zero, and not to be guessed without the secret, which no number of tokens
/// tells. Two versions may have the same one, once in 2^64.
fn token(record: &ArbiterRecord, version: ConfigVersion) -> Token {
    // SipHash-2-4 (Aumasson, Bernstein: SipHash, a fast short-input PRF, 2012).
    let hasher = SipHasher24::new_with_keys(record.secret, record.config.cluster.0);
    Token(hasher.hash(&version.0.to_le_bytes()).max(1))
}
