//! What is true of each request, and of each kind of answer: one table of requests, one of answers. The client, the lanes
//! and the handle go by them.
//!
//! A new request is a variant of [`RequestBody`] and its row here. If it gets an answer of a new kind, that is a variant of
//! [`ReplyBody`], one of [`AnswerKind`], and a row of the table of answers. Every client may ask every request.

use crate::message::{ReplyBody, RequestBody};
use crate::transport::Lane;

/// What is true of all requests of one variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who has to be asked.
    pub goal: Goal,
    /// How often it is executed, if it is asked more than once.
    pub executed: Executed,
    /// What it is answered with, unless it is rejected or its outcome is not known in time.
    pub answer: AnswerKind,
}

/// Who has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The primary, wherever it is; no other replica can be named.
    Primary,
    /// The replica that is named, or else the replicas in turn, which share the work.
    InTurn,
    /// The replica that is named, or else one of them, the same as long as it answers.
    Steady,
    /// The replica that is named, and no other.
    Named,
}

/// How often a request is executed that is asked more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// Once: it is a write, which has its place in a session, so that a copy of it is known as such.
    Once,
    /// Each time, which does no harm.
    EachTime,
}

/// The kinds of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// The place of a write in the log.
    Acknowledgement,
    /// What a key has.
    Value,
    /// Some records.
    Page,
    /// What a replica says of itself.
    Status,
    /// What became of a write.
    Resolution,
    /// A replica's promise to leave, or to hand over.
    Draining,
}

impl RequestBody {
    /// Its row of the table of requests.
    pub fn row(&self) -> Row {
        use {AnswerKind::*, Executed::*, Goal::*};
        let row = |goal, executed, answer| Row {
            goal,
            executed,
            answer,
        };
        match self {
            Self::Insert { .. } => row(Primary, Once, Acknowledgement),
            Self::Remove { .. } => row(Primary, Once, Acknowledgement),
            Self::Get { .. } => row(InTurn, EachTime, Value),
            Self::Scan { .. } => row(Steady, EachTime, Page),
            Self::Status => row(Steady, EachTime, Status),
            Self::Resolve { .. } => row(Primary, EachTime, Resolution),
            Self::Drain(_) => row(Named, EachTime, Draining),
        }
    }

    /// The lane it takes: that of its answer.
    pub fn lane(&self) -> Lane {
        self.row().answer.lane()
    }
}

impl AnswerKind {
    /// The lane that such answers take.
    pub fn lane(self) -> Lane {
        match self {
            Self::Acknowledgement | Self::Value | Self::Resolution => Lane::Log,
            Self::Page => Lane::Bulk,
            Self::Status | Self::Draining => Lane::Control,
        }
    }
}

impl ReplyBody {
    /// What kind of answer it is; `None` if it says that there is none, as it may of every request.
    pub fn kind(&self) -> Option<AnswerKind> {
        match self {
            Self::OperationFailed | Self::OperationRejected { .. } => None,
            Self::OperationAck { .. } => Some(AnswerKind::Acknowledgement),
            Self::GetResult { .. } => Some(AnswerKind::Value),
            Self::ScanResult { .. } => Some(AnswerKind::Page),
            Self::Status(_) => Some(AnswerKind::Status),
            Self::Resolved(_) => Some(AnswerKind::Resolution),
            Self::Draining => Some(AnswerKind::Draining),
        }
    }

    /// The lane it takes.
    pub fn lane(&self) -> Lane {
        self.kind().map_or(Lane::Log, AnswerKind::lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Attempt, Drain};
    use crate::operation::{Key, ReadLevel, Rejection, Resolution, Value};

    fn check(
        request: &RequestBody,
        goal: Goal,
        executed: Executed,
        answer: AnswerKind,
        lane: Lane,
    ) {
        let row = Row {
            goal,
            executed,
            answer,
        };
        assert_eq!((request.row(), request.lane()), (row, lane), "{request:?}");
    }

    #[test]
    fn each_request_has_its_row() {
        let key = || Key::from("k");
        let insert = RequestBody::Insert {
            key: key(),
            value: Value::from("v"),
        };
        let write = |request| {
            let answer = AnswerKind::Acknowledgement;
            check(&request, Goal::Primary, Executed::Once, answer, Lane::Log);
        };
        write(insert);
        write(RequestBody::Remove { key: key() });
        let ask =
            |request, goal, answer, lane| check(&request, goal, Executed::EachTime, answer, lane);
        let level = ReadLevel::Local;
        let get = RequestBody::Get { key: key(), level };
        ask(get, Goal::InTurn, AnswerKind::Value, Lane::Log);
        let (after, limit) = (None, None);
        let scan = RequestBody::Scan { after, limit };
        ask(scan, Goal::Steady, AnswerKind::Page, Lane::Bulk);
        ask(
            RequestBody::Status,
            Goal::Steady,
            AnswerKind::Status,
            Lane::Control,
        );
        let resolve = RequestBody::Resolve { key: key() };
        ask(resolve, Goal::Primary, AnswerKind::Resolution, Lane::Log);
        let drain = RequestBody::Drain(Drain::Node);
        ask(drain, Goal::Named, AnswerKind::Draining, Lane::Control);
    }

    #[test]
    fn what_is_no_answer_takes_the_lane_of_writes_whatever_was_asked() {
        let rejection = ReplyBody::OperationRejected {
            reason: Rejection::NotReady,
            attempt: Attempt::default(),
        };
        for reply in [rejection, ReplyBody::OperationFailed] {
            assert_eq!((reply.kind(), reply.lane()), (None, Lane::Log));
        }
        let resolved = ReplyBody::Resolved(Resolution::NeverExecuted);
        assert_eq!(resolved.lane(), Lane::Log);
        assert_eq!(ReplyBody::Draining.lane(), Lane::Control);
    }
}
