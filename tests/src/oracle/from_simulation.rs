//! What the simulator recorded, as the oracle takes it.
//!
//! What else is asked than writes and reads of one key is left out: the answers carry no position.

use lockstep_core::message::{ReplyBody, RequestBody};
use lockstep_core::operation::{ReadLevel, Value};
use lockstep_core::process::Outcome;

use super::{Answer, Level, Operation, What, WriteOutcome};
use crate::history::{History, Record};

/// The operations of a simulation, in the order in which they were called.
pub fn operations(history: &History) -> Vec<Operation> {
    history.records().filter_map(operation).collect()
}

fn operation(record: &Record) -> Option<Operation> {
    let (ended, outcome) = match &record.ended {
        Some((ended, outcome)) => (Some(*ended), Some(outcome)),
        None => (None, None),
    };
    let (key, what) = match &record.request {
        RequestBody::Insert { key, value } => (key, write(Some(value), outcome)),
        RequestBody::Remove { key } => (key, write(None, outcome)),
        RequestBody::Get { key, level } => (key, read(*level, outcome)),
        RequestBody::Scan { .. }
        | RequestBody::Status
        | RequestBody::Resolve { .. }
        | RequestBody::Drain(_)
        | RequestBody::Arbiters(_) => return None,
    };
    Some(Operation {
        client: record.client as u64,
        key: key.clone(),
        begun: record.begun,
        ended,
        what,
    })
}

fn write(value: Option<&Value>, outcome: Option<&Outcome>) -> What {
    let outcome = match outcome {
        Some(Outcome::Answered {
            body: ReplyBody::OperationAck { seq, .. },
            ..
        }) => WriteOutcome::Acknowledged { seq: *seq },
        Some(Outcome::Rejected { .. } | Outcome::Unreachable { .. }) => WriteOutcome::Rejected,
        None | Some(Outcome::Unknown { .. }) => WriteOutcome::Unknown,
        Some(Outcome::Answered { .. }) => {
            panic!("a write was answered like a read: {outcome:?}")
        }
    };
    What::Write {
        value: value.cloned(),
        outcome,
    }
}

fn read(level: ReadLevel, outcome: Option<&Outcome>) -> What {
    let level = match level {
        ReadLevel::Local => Level::Local,
        ReadLevel::AtLeast(position) => Level::AtLeast(position),
        ReadLevel::Linearizable => Level::Linearizable,
    };
    let answer = match outcome {
        Some(Outcome::Answered {
            replica,
            body: ReplyBody::GetResult {
                record, position, ..
            },
            ..
        }) => Some(Answer {
            value: record.as_ref().map(|record| record.value.clone()),
            position: *position,
            replica: replica.clone(),
        }),
        None
        | Some(Outcome::Rejected { .. } | Outcome::Unreachable { .. } | Outcome::Unknown { .. }) => {
            None
        }
        Some(Outcome::Answered { .. }) => {
            panic!("a read was answered like something else: {outcome:?}")
        }
    };
    What::Read { level, answer }
}
