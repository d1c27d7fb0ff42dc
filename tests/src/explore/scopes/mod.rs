//! The scopes that are explored whenever the tests run, by what goes wrong in them.
//!
//! A scope that is not exhausted shows little, so their sizes are such that all are, and take less than a minute together
//! on two cores; `Scope` says what the knobs are for whoever has a night. Where one knob is turned up another one is turned
//! down. All are about one key.

mod crashes;
mod failovers;
mod handovers;
mod joins;
mod removals;

use lockstep_core::message::{Drain, RequestBody};
use lockstep_core::operation::ReadLevel;

use super::scope::{Ask, Scope};

/// All scopes.
pub fn scopes() -> Vec<Scope> {
    let scopes = [
        crashes::scopes(),
        joins::scopes(),
        removals::scopes(),
        failovers::scopes(),
        handovers::scopes(),
    ];
    scopes.into_iter().flatten().collect()
}

/// A write to any of the replicas `to`. Every value is written once, so that a read tells which write it saw.
fn write(value: &str, to: &[usize]) -> Ask {
    let body = RequestBody::Insert {
        key: "k".into(),
        value: value.into(),
    };
    Ask {
        body,
        to: to.to_vec(),
    }
}

/// A read of the newest value that anybody may know of.
fn read(to: &[usize]) -> Ask {
    let body = RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Linearizable,
    };
    Ask {
        body,
        to: to.to_vec(),
    }
}

/// An operator wants a replica to be primary no more.
fn drain(node: usize) -> Ask {
    Ask {
        body: RequestBody::Drain(Drain::Primary),
        to: vec![node],
    }
}
