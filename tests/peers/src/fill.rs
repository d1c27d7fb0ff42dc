//! Writes every key once, so that reads find what they look for.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::args::LoadArgs;
use crate::lane::{Failure, Lane, Request, System};
use crate::work::{Kind, Source};

/// What is still to be written.
struct Rest {
    source: Source,
    numbers: Range<u64>,
}

impl Rest {
    fn take(&mut self, max: usize) -> Vec<Request> {
        let Self { source, numbers } = self;
        let request = |number| Request {
            since: Instant::now(),
            key: source.name(number),
            value: source.value(number),
        };
        numbers.take(max).map(request).collect()
    }
}

/// Writes all keys; the first failure ends it.
pub(crate) async fn run(
    args: &LoadArgs,
    system: &impl System,
) -> Result<Map<String, Value>, Failure> {
    let rest = Rc::new(RefCell::new(Rest {
        source: Source::new(args)?,
        numbers: 0..args.keys,
    }));
    let mut tasks = JoinSet::new();
    for connection in 0..args.connections {
        let batches = system.batches(args.clients.div_ceil(args.connections));
        for _ in 0..batches.lanes {
            let lane = system.lane(connection);
            tasks.spawn_local(write(lane, rest.clone(), batches.size_max));
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no task panics or is cancelled")?;
    }
    Ok(Map::from_iter([(
        "operations".to_owned(),
        json!(args.keys),
    )]))
}

async fn write(mut lane: impl Lane, rest: Rc<RefCell<Rest>>, max: usize) -> Result<(), Failure> {
    loop {
        let batch = rest.borrow_mut().take(max);
        if batch.is_empty() {
            return Ok(());
        }
        lane.execute(Kind::Put, &batch).await?;
    }
}
