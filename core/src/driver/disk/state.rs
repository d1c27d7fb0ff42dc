//! The threads that apply entries and make checkpoints, as the scheduler wants.

use std::sync::mpsc::{Receiver, Sender};

use crate::config::Position;
use crate::engine::{Engine, StoreError};
use crate::storage;
use crate::storage::committed::Committed;
use crate::storage::scheduler::Told;

/// Applies entries, where that may have to wait for the disk.
pub(super) fn apply(
    engine: &dyn Engine,
    applies: &Receiver<Committed>,
    scheduler: &Sender<Vec<Told>>,
) -> Result<(), StoreError> {
    for committed in applies {
        let told = storage::apply(committed, engine)?;
        // Fails only when the scheduler has ended, and it has told why.
        let _ended = scheduler.send(vec![told]);
    }
    Ok(())
}

/// Makes the state durable, without holding up those who apply and read.
pub(super) fn make_checkpoints(
    engine: &dyn Engine,
    wanted: &Receiver<()>,
    scheduler: &Sender<Vec<Told>>,
) -> Result<(), StoreError> {
    let mut durable = Position::ZERO;
    for () in wanted {
        let told = storage::checkpoint(&mut durable, engine)?;
        // Fails only when the scheduler has ended, and it has told why.
        let _ended = scheduler.send(vec![told]);
    }
    Ok(())
}
