//! A process and its disk, as a part of the state.

use lockstep_core::arbiter::{Arbiter, ArbiterOptions, Drawn};
use lockstep_core::config::{Address, ArbiterId, ClusterId, NodeId, StartId};
use lockstep_core::limits::Limits;
use lockstep_core::operation::Key;
use lockstep_core::replica::{Replica, ReplicaOptions};
use lockstep_core::storage::desk::{BulkRequest, Desk};
use lockstep_core::storage::{ArbiterKeeper, Ticket};
use lockstep_core::time::Instant;

use super::super::fingerprint;
use crate::disk::{Disk, DiskOptions, RecordDisk};
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
    Arbiter(Box<Office>),
    Replica(Box<Host>),
}

/// An arbiter and its disk.
#[derive(Clone, Debug, Hash)]
pub(super) struct Office {
    pub(super) process: Arbiter,
    pub(super) desk: Desk,
    pub(super) disk: RecordDisk,
}

/// A replica and its disk.
#[derive(Clone, Debug, Hash)]
pub(super) struct Host {
    pub(super) process: Option<Replica>,
    pub(super) desk: Desk,
    pub(super) disk: Disk,
    pub(super) shadow: Shadow,
    pub(super) questions: Vec<Question>,
}

/// What a state was asked and has not answered.
#[derive(Clone, Debug, Hash)]
pub(super) enum Question {
    Get(Ticket, Key),
    Bulk(BulkRequest),
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
    pub(super) fn arbiter(name: &str, keeper: ArbiterKeeper) -> Self {
        let mut disk = RecordDisk::new(keeper);
        let (keeper, desk) = disk.start().expect("a model starts");
        let options = ArbiterOptions::alone(name, Address::new(name));
        let drawn = Drawn {
            arbiter: ArbiterId(2),
            cluster: ClusterId(2),
            secret: 2,
        };
        let process = Arbiter::open(options, drawn, keeper);
        let machine = Machine::Arbiter(Box::new(Office {
            process,
            desk,
            disk,
        }));
        Self::new(name.to_owned(), machine)
    }

    /// A replica that has never run.
    pub(super) fn replica(name: &str, id: NodeId) -> Self {
        let options = DiskOptions::for_log(Limits::default().log_bytes_max);
        let disk = Disk::new(id, options);
        let host = Host {
            process: None,
            desk: Desk::none(),
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
    pub(super) fn start(&mut self, now: Instant, name: &str, arbiter: &str) -> Result<(), String> {
        let limits = Limits::default();
        // As good as drawn: no data directory is copied here.
        let start = StartId(self.disk.meta().incarnation.next().0);
        let started = self.disk.start(now, &limits.sessions, start);
        let (recovered, desk) = started.map_err(|error| error.to_string())?;
        self.desk = desk;
        self.shadow = Shadow::of(&self.disk);
        let options = ReplicaOptions {
            address: Address::new(name),
            name: name.to_owned(),
            arbiters: vec![Address::new(arbiter)],
            limits,
            software: String::new(),
        };
        self.process = Some(Replica::open(options, recovered));
        Ok(())
    }
}
