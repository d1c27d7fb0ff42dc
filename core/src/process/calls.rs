//! What programs want of a client process, and what becomes of it.

use crate::config::Address;
use crate::message::{ReplyBody, RequestBody};
use crate::operation::{Rejection, RequestId, RequestName};
use crate::time::Instant;

/// Names a call to a client; chosen by the driver, unique within one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What a program can ask of a client process: a request, in whose name, where, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// What it wants.
    pub request: RequestBody,
    /// The name that the request has already: that of a prepared write, which is alone in its session, or of the write that
    /// `RequestBody::Resolve` is about. `None` for all other requests.
    pub name: Option<RequestName>,
    /// At this replica only; `None` where the request's goal says. Of no meaning to requests for the primary.
    pub replica: Option<Address>,
    /// Give up then.
    pub deadline: Instant,
}

/// What became of a call. Apart from `Unknown`, all failures mean that the store is as if the call had never been made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A replica has answered, in the way the request's row says.
    Answered {
        /// The request.
        id: RequestId,
        /// Who answered.
        replica: Address,
        /// The answer.
        body: ReplyBody,
    },
    /// The write was sent, and until the deadline nobody confirmed it; it may or may not take effect.
    Unknown {
        /// What to resolve it by.
        request: RequestName,
    },
    /// Rejected for a reason that trying again would not change, or until the deadline.
    Rejected {
        /// The request.
        id: RequestId,
        /// The last reason.
        reason: Rejection,
    },
    /// Until the deadline no replica was reached that could do it, and nothing was executed.
    Unreachable {
        /// Where it could have been done, as far as the client knows.
        replicas: Vec<Address>,
    },
}
