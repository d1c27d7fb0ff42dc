//! What a request is answered with, as far as the table can tell.

use lockstep_core::message::ReplyBody;
use lockstep_core::operation::{Rejection, Resolution};

/// What a request is answered with, without what depends on the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The write was executed.
    Acknowledged,
    /// The outcome of the write is unknown.
    Unconfirmed,
    /// The key has a value of that many bytes, or none.
    Value(Option<usize>),
    /// A page.
    Page {
        /// The records in it.
        records: usize,
        /// More may follow.
        more: bool,
    },
    /// The replica says how it is.
    Status,
    /// The write was executed, says a resolution.
    Executed,
    /// The write was not executed, says a resolution.
    NeverExecuted,
    /// The replica drains.
    Begun,
    /// The replica has not committed so much.
    Behind,
    /// Rejected for another reason.
    Rejected(Rejection),
}

impl Answer {
    /// Is it for now? Then the same request is answered in another way later.
    pub(super) fn is_for_now(&self) -> bool {
        matches!(
            self,
            Self::Unconfirmed
                | Self::Rejected(Rejection::NotReady | Rejection::Overloaded | Rejection::NoLease)
        )
    }
}

impl From<&ReplyBody> for Answer {
    fn from(body: &ReplyBody) -> Self {
        match body {
            ReplyBody::OperationAck { .. } => Self::Acknowledged,
            ReplyBody::OperationFailed => Self::Unconfirmed,
            ReplyBody::OperationRejected { reason, .. } => match reason {
                Rejection::Behind { .. } => Self::Behind,
                reason => Self::Rejected(reason.clone()),
            },
            ReplyBody::GetResult { record, .. } => {
                Self::Value(record.as_ref().map(|record| record.value.len()))
            }
            ReplyBody::ScanResult { records, resume } => Self::Page {
                records: records.len(),
                more: resume.is_some(),
            },
            ReplyBody::Status(_) => Self::Status,
            ReplyBody::Resolved(Resolution::Executed { .. }) => Self::Executed,
            ReplyBody::Resolved(Resolution::NeverExecuted) => Self::NeverExecuted,
            ReplyBody::Begun => Self::Begun,
        }
    }
}
