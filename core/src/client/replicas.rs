//! What a client knows of the replicas: the newest configuration, the primary, who answers and who does not.

use std::collections::BTreeSet;

use super::ReadFrom;
use crate::config::{Address, Config, Epoch, NodeId, Position};
use crate::message::{NodeStatus, RoleName};

/// Reads that go to one replica before it is the next one's turn: what is read at the same time shares packets and wakes one
/// process; a turn each time costs half of the throughput.
pub(super) const READS_PER_TURN: usize = 16;

/// The replicas as far as they are known.
///
/// - `primary` showed itself to be that in an epoch that is not below that of `config`.
#[derive(Clone, Debug)]
pub(super) struct Replicas {
    named: Vec<Address>,
    config: Option<Config>,
    /// Whom to ask: the members, then who was named at the beginning.
    known: Vec<Address>,
    /// Who is in sync; everybody known while there is no configuration.
    readable: Vec<Address>,
    primary: Option<Primary>,
    shunned: BTreeSet<Address>,
    /// Everything before this is committed.
    committed: Position,
    /// Whose turn it is to begin with. Clients differ in it, also those that read once only.
    first_turn: usize,
    /// Reads sent so far.
    reads: usize,
    probe_turn: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Primary {
    address: Address,
    node: NodeId,
    epoch: Epoch,
}

/// What a status says about the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// The replica is primary, and was not known to be, in this epoch at least.
    NewPrimary,
    /// The replica is the known primary.
    SamePrimary,
    /// Somebody else should be.
    Elsewhere(Address),
    /// Nothing.
    Nothing,
}

impl Replicas {
    pub(super) fn new(named: Vec<Address>, first_turn: usize) -> Self {
        Self {
            known: named.clone(),
            readable: named.clone(),
            named,
            config: None,
            primary: None,
            shunned: BTreeSet::new(),
            committed: Position::ZERO,
            first_turn,
            reads: 0,
            probe_turn: 0,
        }
    }

    /// Where the primary is.
    pub(super) fn primary(&self) -> Option<&Address> {
        self.primary.as_ref().map(|primary| &primary.address)
    }

    /// The tenure of that primary; zero while none is known.
    pub(super) fn epoch(&self) -> Epoch {
        self.primary
            .as_ref()
            .map_or(Epoch::ZERO, |primary| primary.epoch)
    }

    /// The replica says that it is not primary.
    pub(super) fn on_not_primary(&mut self, replica: &Address) {
        if self.primary() == Some(replica) {
            self.primary = None;
        }
    }

    /// All that could be asked.
    pub(super) fn known(&self) -> &[Address] {
        &self.known
    }

    /// Everything before this is committed.
    pub(super) fn committed(&self) -> Position {
        self.committed
    }

    /// The cluster has committed everything before `position`.
    pub(super) fn on_committed(&mut self, position: Position) {
        self.committed = self.committed.max(position);
    }

    /// Takes in what a replica says about itself and the cluster.
    pub(super) fn learn(&mut self, from: &Address, status: &NodeStatus) -> Learned {
        self.shunned.remove(from);
        let Some(config) = &status.config else {
            return Learned::Nothing;
        };
        self.on_committed(status.committed);
        let is_newer = self
            .config
            .as_ref()
            .is_none_or(|known| known.version < config.version);
        if is_newer {
            self.take_up(config);
        }
        let newest = self.config.as_ref().expect("there is one by now");
        let is_primary = status.role == RoleName::Primary && config.epoch >= newest.epoch;
        if is_primary {
            let primary = Primary {
                address: from.clone(),
                node: status.node,
                epoch: config.epoch,
            };
            // The same node may be known by two addresses.
            let is_known = self
                .primary
                .as_ref()
                .is_some_and(|known| (known.node, known.epoch) == (primary.node, primary.epoch));
            if is_known {
                return Learned::SamePrimary;
            }
            self.primary = Some(primary);
            return Learned::NewPrimary;
        }
        let is_primary_known = self
            .primary
            .as_ref()
            .is_some_and(|known| known.epoch >= newest.epoch);
        match newest.primary_member() {
            Some(member) if !is_primary_known && member.address != status.address => {
                Learned::Elsewhere(member.address.clone())
            }
            Some(_) | None => Learned::Nothing,
        }
    }

    fn take_up(&mut self, config: &Config) {
        let members = config.members.iter();
        self.readable = members
            .clone()
            .filter(|(node, _)| config.in_sync.contains(node))
            .map(|(_, member)| member.address.clone())
            .collect();
        self.known = members.map(|(_, member)| member.address.clone()).collect();
        let others = self.named.iter();
        let others: Vec<_> = others
            .filter(|named| !self.known.contains(named))
            .cloned()
            .collect();
        self.known.extend(others);
        if self.readable.is_empty() {
            self.readable.clone_from(&self.known);
        }
        self.config = Some(config.clone());
    }

    /// The next replica to ask who is primary: not the one believed to be, if there are others.
    pub(super) fn next_to_probe(&mut self) -> Option<Address> {
        for _ in 0..self.known.len() {
            let next = self.known[self.probe_turn % self.known.len()].clone();
            self.probe_turn = (self.probe_turn + 1) % self.known.len();
            if self.primary() != Some(&next) || self.known.len() == 1 {
                return Some(next);
            }
        }
        None
    }

    /// The replica to send a read to that was `tried` at others; `None` if it was tried at all.
    pub(super) fn next_to_read(
        &mut self,
        read_from: ReadFrom,
        tried: &BTreeSet<Address>,
    ) -> Option<Address> {
        let may = |replica: &&Address| !tried.contains(*replica);
        let should = |replica: &&Address| may(replica) && !self.shunned.contains(*replica);
        let start = match read_from {
            ReadFrom::Any => {
                let turn = self.first_turn.wrapping_add(self.reads / READS_PER_TURN);
                self.reads = self.reads.wrapping_add(1);
                turn % self.readable.len().max(1)
            }
            ReadFrom::Primary => {
                let primary = self.primary().or_else(|| {
                    let member = self.config.as_ref().and_then(Config::primary_member);
                    member.map(|member| &member.address)
                });
                if let Some(primary) = primary.filter(should) {
                    return Some(primary.clone());
                }
                0
            }
        };
        let (before, behind) = self.readable.split_at(start.min(self.readable.len()));
        let mut in_turn = behind.iter().chain(before);
        in_turn
            .clone()
            .find(should)
            .or_else(|| in_turn.find(may))
            .cloned()
    }

    /// The replica to send a scan or a question for status to: the same one as long as it answers, so that the pages of
    /// a scan are of one replica.
    pub(super) fn steady(&self, tried: &BTreeSet<Address>) -> Option<Address> {
        let may = |replica: &&Address| !tried.contains(*replica);
        let all = || self.readable.iter();
        all()
            .find(|replica| may(replica) && !self.shunned.contains(*replica))
            .or_else(|| all().find(may))
            .cloned()
    }

    /// Prefers others for reads until it is heard, or forgiven.
    pub(super) fn shun(&mut self, replica: &Address) {
        self.shunned.insert(replica.clone());
    }

    /// The replica has answered a read.
    pub(super) fn on_answered(&mut self, replica: &Address) {
        self.shunned.remove(replica);
    }

    /// Shuns nobody any more.
    pub(super) fn forgive(&mut self) {
        self.shunned.clear();
    }
}
