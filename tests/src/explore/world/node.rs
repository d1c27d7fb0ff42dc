//! A process and its disk, as a part of the state.

use lockstep_core::arbiter::Arbiter;
use lockstep_core::config::{Address, NodeId};
use lockstep_core::limits::Limits;
use lockstep_core::replica::{Replica, ReplicaOptions};
use lockstep_core::storage::{ArbiterRecord, Query, Ticket};

use super::super::fingerprint;
use crate::disk::Disk;
use crate::record::RecordDisk;
use crate::shadow::Shadow;

/// A process and its disk.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) fingerprint: u128,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) is_paused: bool,
    pub(super) machine: Machine,
}

#[derive(Clone, Debug, Hash)]
pub(super) enum Machine {
    Arbiter(Box<(Arbiter, RecordDisk)>),
    Replica(Box<Host>),
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Host {
    pub(super) process: Option<Replica>,
    pub(super) disk: Disk,
    pub(super) shadow: Shadow,
    pub(super) questions: Vec<(Ticket, Query)>,
}

impl Node {
    fn new(name: String, machine: Machine) -> Self {
        let mut node = Self {
            body: Body {
                name,
                is_paused: false,
                machine,
            },
            fingerprint: 0,
        };
        node.seal();
        node
    }

    /// An arbiter that has this on its disk.
    pub(super) fn arbiter(name: &str, record: ArbiterRecord) -> Self {
        let arbiter = Arbiter::open(record.clone());
        let machine = Machine::Arbiter(Box::new((arbiter, RecordDisk::new(record))));
        Self::new(name.to_owned(), machine)
    }

    /// A replica that has never run.
    pub(super) fn replica(name: &str, id: NodeId) -> Self {
        let disk = Disk::new(id, Limits::default().log_bytes_max);
        let host = Host {
            process: None,
            shadow: Shadow::of(&disk),
            disk,
            questions: Vec::new(),
        };
        Self::new(name.to_owned(), Machine::Replica(Box::new(host)))
    }

    /// Takes the fingerprint of what has changed.
    pub(super) fn seal(&mut self) {
        self.fingerprint = fingerprint::of(&self.body);
    }
}

impl Host {
    /// Starts the process from what is on the disk.
    pub(super) fn start(&mut self, name: &str, arbiter: &str) {
        let limits = Limits::default();
        let recovered = self.disk.start(&limits.sessions);
        self.shadow = Shadow::of(&self.disk);
        let options = ReplicaOptions {
            address: Address::new(name),
            name: name.to_owned(),
            arbiter: Address::new(arbiter),
            limits,
            software: String::new(),
        };
        self.process = Some(Replica::open(options, recovered));
    }
}
