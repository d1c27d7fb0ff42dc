//! Small histories whose judgement is known, and random ones.

mod conversion;
mod random;
mod tables;

use std::ops::Range;

use lockstep_core::config::{Address, Position, Seq};

use super::{Answer, Level, Operation, What, WriteOutcome};

/// The value an insert of this text has; an empty text removes the key.
fn value_of(text: &str) -> Option<lockstep_core::operation::Value> {
    (!text.is_empty()).then(|| text.into())
}

fn write(key: &str, value: &str, time: Range<u64>, outcome: WriteOutcome) -> Operation {
    Operation {
        client: 1,
        key: key.into(),
        begun: time.start,
        ended: Some(time.end),
        what: What::Write {
            value: value_of(value),
            outcome,
        },
    }
}

fn acked(key: &str, value: &str, time: Range<u64>, seq: u64) -> Operation {
    write(
        key,
        value,
        time,
        WriteOutcome::Acknowledged { seq: Seq(seq) },
    )
}

fn unknown(key: &str, value: &str, begun: u64) -> Operation {
    Operation {
        ended: None,
        ..write(key, value, begun..begun, WriteOutcome::Unknown)
    }
}

fn rejected(key: &str, value: &str, time: Range<u64>) -> Operation {
    write(key, value, time, WriteOutcome::Rejected)
}

fn read_at(
    level: Level,
    replica: &str,
    key: &str,
    value: &str,
    time: Range<u64>,
    position: u64,
) -> Operation {
    let answer = Answer {
        value: value_of(value),
        position: Position(position),
        replica: Address::new(replica),
    };
    Operation {
        client: 2,
        key: key.into(),
        begun: time.start,
        ended: Some(time.end),
        what: What::Read {
            level,
            answer: Some(answer),
        },
    }
}

fn read(key: &str, value: &str, time: Range<u64>, position: u64) -> Operation {
    read_at(Level::Linearizable, "r1", key, value, time, position)
}

fn at_least(asked: u64, key: &str, value: &str, time: Range<u64>, position: u64) -> Operation {
    let level = Level::AtLeast(Position(asked));
    read_at(level, "r1", key, value, time, position)
}

fn local(replica: &str, key: &str, value: &str, time: Range<u64>, position: u64) -> Operation {
    read_at(Level::Local, replica, key, value, time, position)
}
