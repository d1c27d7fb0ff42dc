//! What is on the disk of an arbiter that begins, and what is done to it while none runs.

use crate::config::{ArbiterId, Round, Step};
use crate::register::{Arbiters, Ballot, Effects, Held, Keeper, Mark, Register};
use crate::storage::{ArbiterKeeper, ArbiterRecord};

/// What is on the disk of an arbiter that decides alone, and has this record from the beginning. `id` is drawn at random.
pub fn found(id: ArbiterId, record: ArbiterRecord) -> ArbiterKeeper {
    found_with(id, Arbiters::lone(id), record)
}

/// What the one knows that begins with a record which these are to keep.
pub(super) fn found_with(
    id: ArbiterId,
    arbiters: Arbiters,
    record: ArbiterRecord,
) -> ArbiterKeeper {
    let ballot = Ballot {
        round: Round::ZERO.next(),
        arbiter: id,
    };
    let held = Held {
        mark: Mark {
            ballot,
            step: Step::ZERO,
        },
        arbiters,
        value: record,
    };
    Keeper::holding(id, held)
}

/// What is on its disk when the arbiter has decided this; `None` if it cannot decide alone.
pub fn decide(keeper: &ArbiterKeeper, record: ArbiterRecord) -> Option<ArbiterKeeper> {
    let effects = &mut Effects::default();
    let mut register = Register::open(keeper.clone());
    register.stand(effects);
    register.change(record, effects)?;
    register.present()?;
    Some(register.keeper().clone())
}
