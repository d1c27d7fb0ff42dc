//! Writes: the primary gives them their place, waits for everybody that counts, and answers within a second
//! ([protocol: commit](crate::docs::protocol#commit), [exactly once](crate::docs::protocol#exactly-once)).

use std::sync::Arc;

use crate::config::{Epoch, Owner, Position, Seq};
use crate::event::Event;
use crate::limits::{self, Limits};
use crate::message::ReplyBody;
use crate::operation::{
    Author, Change, Changes, Decided, Entry, Operation, Rejection, Resolution, Revision, Verdict,
};
use crate::replica::asker::Asker;
use crate::replica::context::Context;
use crate::replica::replicator::Replicator;
use crate::replica::timer::Timer;
use crate::sessions::Lookup;
use crate::time::Instant;

use super::Primary;

/// A request that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    asker: Asker,
    wants: Wants,
    decided: Decided,
    deadline: Instant,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wants {
    /// That something is done.
    Execution,
    /// To know what was done.
    Resolution,
}

impl Primary {
    /// A client wants something changed, or to know whether it was.
    pub(in crate::replica) fn on_write(
        &mut self,
        cx: &mut Context<'_>,
        asker: Asker,
        operation: Operation,
    ) {
        let wants = match &operation {
            Operation::Insert { .. } | Operation::Remove { .. } => Wants::Execution,
            Operation::Cancel { .. } => Wants::Resolution,
        };
        // The same request once more waits for the fate of its first copy, or is told of it.
        if let Some(first) = cx.core.uncommitted.get(&asker.origin.request())
            && !planted!(CopyOfOpenExecuted)
        {
            let decided = *first;
            return self.wait(cx, decided, asker, wants);
        }
        match cx.core.sessions.lookup(&asker.origin) {
            Lookup::Done(_) if planted!(CopyOfDoneExecuted) => {}
            Lookup::Done(done) if has_too_few(cx) => return self.wait(cx, done, asker, wants),
            Lookup::Done(done) => return cx.reply(&asker, answer(&asker, wants, done)),
            // What was appended in this tenure is remembered, so none of it is of this client; and a copy for another tenure may
            // have been executed in that one.
            Lookup::Expired
                if asker.attempt.epoch == self.epoch
                    && !cx.core.sessions.knows(asker.origin.client)
                    && cx.core.sessions.forgotten() <= self.inherited =>
            {
                return cx.reject(&asker, Rejection::SessionTooOld);
            }
            Lookup::Expired => return cx.reject(&asker, Rejection::SessionExpired),
            Lookup::New => {}
        }
        if wants == Wants::Execution && !self.is_of_tenure(&asker) {
            let primary = Some(cx.core.options.address.clone());
            return cx.reject(&asker, Rejection::NotPrimary { primary });
        }
        if planted!(ResolvesWithoutEntry) && wants == Wants::Resolution {
            return cx.reply(&asker, ReplyBody::Resolved(Resolution::NeverExecuted));
        }
        let origin = asker.origin;
        let owner = asker.owner();
        if let Some(reason) = self.obstacle(cx, owner, &operation) {
            return self.reject(cx, &asker, reason);
        }
        if wants == Wants::Execution && self.rejected.has(&asker) {
            return cx.reject(&asker, Rejection::NotReady);
        }
        // An operation that may be refused for what it comes to is refused here. It is not decided for a copy that was rejected
        // already, since that stays so; and the request is forgotten as rejected only when its entry makes copies known. A refusal
        // behind that would let an earlier copy through that was rejected, if this one is for any tenure.
        self.rejected.forget(&asker);
        let before = cx.core.log.revision();
        let (changes, verdict) = decide(operation, before.next());
        let entry = Entry {
            epoch: self.epoch,
            seq: cx.core.log.end().next_seq(),
            revision: planted!(CancelTakesRevision => before.next(), before.after(&changes)),
            changes,
            verdict,
            author: Author::Client(origin, owner),
        };
        let decided = entry.decided();
        cx.append([Arc::new(entry)]);
        if planted!(RejectsAppended)
            && cx.core.log.unapplied().total() >= cx.core.options.limits.uncommitted_bytes_max
        {
            return cx.reject(&asker, Rejection::Overloaded);
        }
        self.wait(cx, decided, asker, wants);
    }

    /// Is the copy for this tenure? Another one may have rejected it.
    fn is_of_tenure(&self, asker: &Asker) -> bool {
        let epoch = asker.attempt.epoch;
        epoch == self.epoch || epoch == Epoch::ZERO || planted!(OtherTenuresCopyExecuted)
    }

    /// Rejects a copy for now: the request may be asked again. Where it cannot be remembered that the copy was rejected,
    /// nothing is claimed of it.
    fn reject(&mut self, cx: &mut Context<'_>, asker: &Asker, reason: Rejection) {
        if asker.attempt.epoch == Epoch::ZERO {
            return cx.reject(asker, reason);
        }
        match self.rejected.note(asker) {
            true => cx.reject(asker, reason),
            false => cx.reply(asker, ReplyBody::OperationFailed),
        }
    }

    /// Lets a request wait for the fate of an entry, for a second. If one waits already, it is the same once more: the
    /// answer goes to where it was asked from last, and when it was due.
    fn wait(&mut self, cx: &mut Context<'_>, decided: Decided, asker: Asker, wants: Wants) {
        let seq = decided.seq;
        if let Some(pending) = self.pending.get_mut(&seq) {
            (pending.asker, pending.wants) = (asker, wants);
            return;
        }
        let deadline = cx.now.time + limits::OPERATION_DEADLINE;
        let pending = Pending {
            asker,
            wants,
            decided,
            deadline,
        };
        self.pending.insert(seq, pending);
        self.deadlines.insert((deadline, seq));
        cx.core.timers.arm_if_idle(Timer::Deadline, deadline);
    }

    /// Why the write cannot be executed now, or ever.
    fn obstacle(&self, cx: &Context<'_>, owner: Owner, operation: &Operation) -> Option<Rejection> {
        let limits = &cx.core.options.limits;
        if self.is_finishing() {
            Some(Rejection::NotReady)
        } else if let Some(too_large) = too_large(limits, operation) {
            Some(too_large)
        } else if has_too_few(cx) {
            Some(Rejection::TooFewReplicas {
                in_sync: in_sync(cx),
                required: limits.min_in_sync,
            })
        } else if cx.core.disk.is_full() {
            Some(Rejection::DiskFull)
        } else if !has_room(cx, owner) && !planted!(NoUncommittedLimit) {
            Some(Rejection::Overloaded)
        } else {
            None
        }
    }

    /// The log is durable further than before, here or elsewhere.
    pub(in crate::replica) fn advance(&mut self, cx: &mut Context<'_>) {
        self.become_sole(cx);
        if self.is_sole {
            let counted = self
                .replicators
                .values()
                .filter(|replicator| replicator.standing.counts())
                .filter(|replicator| {
                    !replicator.is_suspect || !planted!(ShrinksBeforeConfirmation)
                });
            let log = &cx.core.log;
            let own = planted!(CountsOwnUnsynced => log.end(), log.persisted());
            let resting = self.resting.values().copied();
            let resting = resting.filter(|_| !planted!(RestingNotCounted));
            let counted = counted.map(Replicator::acked).chain(resting);
            let position = counted.fold(own, Position::min);
            cx.commit(position);
        }
        // What is committed and not on as many disks as is required is not acknowledged before it is, or its second is over.
        let may_answer = !has_too_few(cx) || planted!(AcksOfTooFew);
        while may_answer
            && let Some(first) = self.pending.first_entry()
            && cx.core.log.committed().covers(*first.key())
        {
            let (seq, pending) = first.remove_entry();
            self.deadlines.remove(&(pending.deadline, seq));
            cx.out.notify(Event::Acknowledged(seq));
            let body = answer(&pending.asker, pending.wants, pending.decided);
            cx.reply(&pending.asker, body);
        }
        self.rearm_deadline(cx);
    }

    /// The second of the oldest write is over.
    pub(in crate::replica) fn on_deadline(&mut self, cx: &mut Context<'_>) {
        let Some((first, _)) = self.deadlines.first() else {
            return;
        };
        let due = cx.now.time.max(*first);
        while let Some((deadline, seq)) = self.deadlines.first().copied()
            && deadline <= due
        {
            self.deadlines.remove(&(deadline, seq));
            if let Some(pending) = self.pending.remove(&seq) {
                answer_unconfirmed(cx, seq, &pending);
                if planted!(FailedAnsweredAgain) {
                    self.wait(cx, pending.decided, pending.asker, pending.wants);
                }
            }
        }
        self.rearm_deadline(cx);
    }

    fn rearm_deadline(&mut self, cx: &mut Context<'_>) {
        match self.deadlines.first() {
            Some((first, _)) => cx.core.timers.arm(Timer::Deadline, *first),
            None => cx.core.timers.disarm(Timer::Deadline),
        }
    }
}

/// Does the log take another entry of the owner's clients, besides those that are not applied?
fn has_room(cx: &Context<'_>, owner: Owner) -> bool {
    let max = cx.core.options.limits.uncommitted_bytes_max;
    cx.core.log.unapplied().has_room(owner, max)
}

/// How many replicas are in sync.
fn in_sync(cx: &Context<'_>) -> u32 {
    let config = cx.core.config.as_ref();
    config.map_or(0, |config| config.in_sync.len()) as u32
}

/// Are fewer in sync than a write requires?
fn has_too_few(cx: &Context<'_>) -> bool {
    in_sync(cx) < cx.core.options.limits.min_in_sync
}

/// What the operation comes to; if that changes something, it gets the revision. Nobody but the primary, and it only here,
/// looks at operations.
///
/// It does not look at what the key has, so an insert always begins a life of its key, though it may be alive, and a remove
/// counts as a change, though the key may be absent.
fn decide(operation: Operation, revision: Revision) -> (Changes, Verdict) {
    match operation {
        Operation::Insert { key, value } => {
            let change = Change::insert(key, value, revision);
            ([change].into(), Verdict::Executed)
        }
        Operation::Remove { key } => ([Change::remove(key)].into(), Verdict::Executed),
        Operation::Cancel { .. } => (Changes::new(), Verdict::Cancelled),
    }
}

/// The answer to a request whose first copy has a committed entry.
fn answer(asker: &Asker, wants: Wants, decided: Decided) -> ReplyBody {
    let Decided {
        seq,
        revision,
        verdict,
    } = decided;
    match (wants, verdict) {
        (Wants::Execution, Verdict::Executed) => ReplyBody::OperationAck { seq, revision },
        (Wants::Execution, Verdict::Cancelled) => ReplyBody::OperationRejected {
            reason: Rejection::Cancelled,
            attempt: asker.attempt,
        },
        (Wants::Resolution, Verdict::Executed) => {
            ReplyBody::Resolved(Resolution::Executed { seq, revision })
        }
        (Wants::Resolution, Verdict::Cancelled) => ReplyBody::Resolved(Resolution::NeverExecuted),
    }
}

pub(super) fn answer_unconfirmed(cx: &mut Context<'_>, seq: Seq, pending: &Pending) {
    cx.out.notify(Event::Unconfirmed(seq));
    let body = planted!(
        AcksUnconfirmed => answer(&pending.asker, Wants::Execution, pending.decided),
        ReplyBody::OperationFailed
    );
    cx.reply(&pending.asker, body);
}

/// Why no cluster of these limits takes the operation.
fn too_large(limits: &Limits, operation: &Operation) -> Option<Rejection> {
    let key = operation.key().0.len();
    let value = operation.value().map_or(0, |value| value.0.len());
    let (what, size, limit) = if key == 0 || key > limits.key_bytes_max {
        ("key", key, limits.key_bytes_max)
    } else if value > limits.value_bytes_max {
        ("value", value, limits.value_bytes_max)
    } else {
        return None;
    };
    Some(Rejection::too_large(what, size, limit))
}
