//! The closed loop: clients that begin their next operation when the last one is done.
//!
//! What the clients of a connection are ready for waits in two queues, one of writes and one of reads, so that a read does
//! not wait for what a write waits for. Lanes take batches out of them; a client whose operation is done is back in a queue at once.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task;
use tokio::time::{self, Instant};

use crate::args::LoadArgs;
use crate::cpu::Sample;
use crate::lane::{Failure, Lane, Request, System};
use crate::meter::Meter;
use crate::queue::Queue;
use crate::work::{Kind, Source};

/// How long a lane rests after a failure, so that a node that is gone is not asked as fast as it refuses.
const BACK_OFF: Duration = Duration::from_millis(50);

/// The clients of one connection.
struct Share {
    puts: Queue,
    gets: Queue,
    source: Rc<RefCell<Source>>,
    meter: Rc<RefCell<Meter>>,
}

impl Share {
    fn queue(&self, kind: Kind) -> &Queue {
        match kind {
            Kind::Put => &self.puts,
            Kind::Get => &self.gets,
        }
    }

    /// A client is ready for its next operation.
    fn next(&self) {
        let mut source = self.source.borrow_mut();
        let (kind, number) = (source.kind(), source.choose());
        let request = Request {
            since: Instant::now(),
            key: source.name(number),
            value: match kind {
                Kind::Put => source.value(number),
                Kind::Get => "".into(),
            },
        };
        self.queue(kind).push(request);
    }
}

/// Runs the clients for the warm-up and the measurement: the results.
pub(crate) async fn run(
    args: &LoadArgs,
    system: &impl System,
) -> Result<Map<String, Value>, Failure> {
    let source = Rc::new(RefCell::new(Source::new(args)?));
    let meter = Rc::new(RefCell::new(Meter::new()));
    let connections = args.connections.min(args.clients);
    for connection in 0..connections {
        let clients = (connection..args.clients).step_by(connections).count();
        let share = Rc::new(Share {
            puts: Queue::default(),
            gets: Queue::default(),
            source: source.clone(),
            meter: meter.clone(),
        });
        for _ in 0..clients {
            share.next();
        }
        let batches = system.batches(clients);
        for kind in [Kind::Put, Kind::Get] {
            for _ in 0..batches.lanes {
                // It ends with the runtime, right after the measurement.
                task::spawn_local(work(
                    system.lane(connection),
                    kind,
                    batches.size_max,
                    share.clone(),
                ));
            }
        }
    }
    time::sleep(args.window.warm_up).await;
    meter.borrow_mut().start(Sample::take(&args.window)?);
    time::sleep(args.window.duration).await;
    let mut results = meter.borrow_mut().stop(&Sample::take(&args.window)?);
    results.insert("clients".to_owned(), json!(args.clients));
    results.insert("connections".to_owned(), json!(connections));
    Ok(results)
}

async fn work(mut lane: impl Lane, kind: Kind, batch_max: usize, share: Rc<Share>) {
    loop {
        let batch = share.queue(kind).take(batch_max).await;
        let outcome = lane.execute(kind, &batch).await;
        let is_failure = outcome.is_err();
        share.meter.borrow_mut().on_end(kind, &batch, outcome);
        if is_failure {
            time::sleep(BACK_OFF).await;
        }
        for _ in &batch {
            share.next();
        }
    }
}
