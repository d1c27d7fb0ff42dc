//! Redis: a primary and two replicas.
//!
//! `WAIT` stops everything on its connection until the replicas have confirmed what was written there before, so the writes
//! that are ready share one: they go out in a pipeline with the wait at its end, and the next pipeline follows its answers. Two
//! pipelines under way on a connection, or a wait behind every write, make every figure worse.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, Pipeline, Value};

use crate::args::{Promise, RedisArgs};
use crate::lane::{Batches, Failure, Lane, Request, System};
use crate::work::Kind;

/// How long a write waits for its confirmations.
const CONFIRMATION_MS_MAX: u64 = 5_000;

/// How long an operation waits for its answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Replicas that confirm a write.
const REPLICAS: i64 = 2;

/// The connections.
pub(crate) struct Redis {
    connections: Vec<Connections>,
    promise: Promise,
    /// Whose turn it is to be read from.
    turn: Rc<Cell<usize>>,
}

/// One to write over, and one to each node to read over, which does not wait for what the writes wait for.
#[derive(Clone)]
struct Connections {
    write: MultiplexedConnection,
    read: Vec<MultiplexedConnection>,
}

/// Connects to all nodes; the first one is the primary.
pub(crate) async fn connect(args: &RedisArgs) -> Result<Redis, Failure> {
    let mut connections = Vec::new();
    for _ in 0..args.load.connections {
        let mut read = Vec::new();
        for node in &args.load.nodes {
            read.push(dial(node).await?);
        }
        let write = dial(&args.load.nodes[0]).await?;
        connections.push(Connections { write, read });
    }
    Ok(Redis {
        connections,
        promise: args.promise,
        turn: Rc::default(),
    })
}

async fn dial(node: &str) -> Result<MultiplexedConnection, Failure> {
    let info: ConnectionInfo = format!("redis://{node}").into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let client = Client::open(info.set_tcp_settings(tcp))?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_MAX));
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

impl System for Redis {
    type Lane = RedisLane;

    fn lane(&self, connection: usize) -> RedisLane {
        RedisLane {
            connections: self.connections[connection].clone(),
            promise: self.promise,
            turn: self.turn.clone(),
            pipeline: Pipeline::new(),
        }
    }

    fn batches(&self, clients: usize) -> Batches {
        Batches {
            size_max: clients,
            lanes: 1,
        }
    }

    fn arrangement(&self) -> String {
        let waits = match self.promise {
            Promise::Received => "WAIT 2",
            Promise::Synced => "WAIT 2 and WAITAOF 1 2",
        };
        format!("pipelines of all operations that are ready, one {waits} at the end of writes")
    }
}

/// One pipeline at a time.
pub(crate) struct RedisLane {
    connections: Connections,
    promise: Promise,
    turn: Rc<Cell<usize>>,
    /// Kept for its memory.
    pipeline: Pipeline,
}

impl Lane for RedisLane {
    async fn execute(&mut self, kind: Kind, batch: &[Request]) -> Result<(), Failure> {
        match kind {
            Kind::Put => self.put(batch).await,
            Kind::Get => self.get(batch).await,
        }
    }
}

impl RedisLane {
    async fn put(&mut self, batch: &[Request]) -> Result<(), Failure> {
        self.pipeline.clear();
        for request in batch {
            self.pipeline
                .cmd("SET")
                .arg(request.key.as_ref())
                .arg(request.value.as_ref());
        }
        self.pipeline
            .cmd("WAIT")
            .arg(REPLICAS)
            .arg(CONFIRMATION_MS_MAX);
        let mut asked = vec![REPLICAS];
        if self.promise == Promise::Synced {
            // Not alone: its question reaches the replicas before they have synced, and they are asked again only a second
            // later. Behind a WAIT it comes when they have.
            self.pipeline
                .cmd("WAITAOF")
                .arg(1)
                .arg(REPLICAS)
                .arg(CONFIRMATION_MS_MAX);
            asked.extend([1, REPLICAS]);
        }
        let answers: Vec<Value> = self
            .pipeline
            .query_async(&mut self.connections.write)
            .await?;
        let confirmed: Vec<i64> = answers[batch.len()..].iter().flat_map(numbers).collect();
        if confirmed == asked {
            Ok(())
        } else {
            Err(Failure::NotConfirmed { asked, confirmed })
        }
    }

    async fn get(&mut self, batch: &[Request]) -> Result<(), Failure> {
        self.pipeline.clear();
        for request in batch {
            self.pipeline.cmd("GET").arg(request.key.as_ref());
        }
        let node = self.turn.get() % self.connections.read.len();
        self.turn.set(node + 1);
        let answers: Vec<Value> = self
            .pipeline
            .query_async(&mut self.connections.read[node])
            .await?;
        let is_there = |answer: &Value| matches!(answer, Value::BulkString(_));
        if answers.iter().all(is_there) {
            Ok(())
        } else {
            Err(Failure::NotFound)
        }
    }
}

/// What a wait answers: a number, or one for the primary and one for the replicas.
fn numbers(answer: &Value) -> Vec<i64> {
    match answer {
        Value::Int(number) => vec![*number],
        Value::Array(answers) => answers.iter().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}
