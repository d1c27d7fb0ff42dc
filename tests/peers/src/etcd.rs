//! etcd: three members, an operation a request, many requests at once over each HTTP/2 connection.
//!
//! Writes go to the member that orders them: the others would only pass them on.

use std::cell::Cell;
use std::rc::Rc;

use etcd_client::{Client, GetOptions, KvClient};

use crate::args::{EtcdArgs, Level};
use crate::lane::{Batches, Failure, Lane, Request, System};
use crate::work::Kind;

/// The connections.
pub(crate) struct Etcd {
    /// One to each member.
    connections: Vec<Vec<KvClient>>,
    /// The member that orders the writes.
    orderer: usize,
    level: Level,
    /// Whose turn it is.
    turn: Rc<Cell<usize>>,
}

/// Connects to all members.
pub(crate) async fn connect(args: &EtcdArgs) -> Result<Etcd, Failure> {
    let nodes = &args.load.nodes;
    let mut connections = Vec::new();
    for _ in 0..args.load.connections {
        let mut members = Vec::new();
        for node in nodes {
            members.push(Client::connect([node], None).await?.kv_client());
        }
        connections.push(members);
    }
    Ok(Etcd {
        connections,
        orderer: orderer(nodes).await?,
        level: args.level,
        turn: Rc::default(),
    })
}

/// The member that orders the writes.
async fn orderer(nodes: &[String]) -> Result<usize, Failure> {
    for (index, node) in nodes.iter().enumerate() {
        let status = Client::connect([node], None).await?.status().await?;
        if status
            .header()
            .is_some_and(|header| header.member_id() == status.leader())
        {
            return Ok(index);
        }
    }
    Err(Failure::NoOrder)
}

impl System for Etcd {
    type Lane = EtcdLane;

    fn lane(&self, connection: usize) -> EtcdLane {
        EtcdLane {
            members: self.connections[connection].clone(),
            orderer: self.orderer,
            level: self.level,
            turn: self.turn.clone(),
        }
    }

    fn batches(&self, clients: usize) -> Batches {
        Batches {
            size_max: 1,
            lanes: clients,
        }
    }

    fn arrangement(&self) -> String {
        "a request an operation, many at once, writes at the member that orders them".to_owned()
    }
}

/// One request at a time.
pub(crate) struct EtcdLane {
    members: Vec<KvClient>,
    orderer: usize,
    level: Level,
    turn: Rc<Cell<usize>>,
}

impl Lane for EtcdLane {
    async fn execute(&mut self, kind: Kind, batch: &[Request]) -> Result<(), Failure> {
        for request in batch {
            match kind {
                Kind::Put => self.put(request).await?,
                Kind::Get => self.get(request).await?,
            }
        }
        Ok(())
    }
}

impl EtcdLane {
    async fn put(&mut self, request: &Request) -> Result<(), Failure> {
        let orderer = &mut self.members[self.orderer];
        orderer
            .put(request.key.as_ref(), request.value.as_ref(), None)
            .await?;
        Ok(())
    }

    async fn get(&mut self, request: &Request) -> Result<(), Failure> {
        let member = self.turn.get() % self.members.len();
        self.turn.set(member + 1);
        let options = match self.level {
            Level::Linearizable => None,
            Level::Serializable => Some(GetOptions::new().with_serializable()),
        };
        let answer = self.members[member]
            .get(request.key.as_ref(), options)
            .await?;
        if answer.kvs().is_empty() {
            return Err(Failure::NotFound);
        }
        Ok(())
    }
}
