//! Whom to answer.

use crate::config::{Address, Owner};
use crate::message::Attempt;
use crate::operation::Origin;

/// Whom to answer, and which copy of what request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) address: Address,
    pub(super) origin: Origin,
    pub(super) attempt: Attempt,
}

impl Asker {
    /// Who owns the client.
    pub(super) fn owner(&self) -> Owner {
        self.address.owner()
    }
}
