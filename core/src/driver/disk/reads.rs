//! The threads that read the state: single keys, and in bulk.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::Receiver;

use async_channel::Sender;

use crate::driver::error::panic_text;
use crate::engine::{Engine, StoreError};
use crate::operation::Key;
use crate::storage::desk::BulkRequest;
use crate::storage::scheduler::Report;
use crate::storage::{self, Answer, Ticket, Views};

/// Gets answered before the answers are handed back, so that the first need not wait for too many others.
const GETS_AT_ONCE: usize = 64;

/// Bytes read before they are handed back, likewise.
const BYTES_AT_ONCE: usize = 256 << 10;

/// Answers Gets.
pub(super) fn read(
    engine: &dyn Engine,
    gets: &async_channel::Receiver<(Ticket, Key)>,
    answered: &Sender<Report>,
) -> Result<(), StoreError> {
    while let Ok(first) = gets.recv_blocking() {
        let (mut answers, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some((ticket, key)) = next {
            let read = catch_unwind(AssertUnwindSafe(|| engine.read(&key)));
            let answer = match read {
                Ok(record) => Answer::Record(record?),
                Err(panic) => failed(panic.as_ref()),
            };
            if let Answer::Record(Some(record)) = &answer {
                bytes += record.value.0.len();
            }
            answers.push((ticket, answer));
            next = match answers.len() < GETS_AT_ONCE && bytes < BYTES_AT_ONCE {
                true => gets.try_recv().ok(),
                false => None,
            };
        }
        hand_back(answered, answers);
    }
    Ok(())
}

/// Answers scans, and owns the views: a long transfer delays other transfers and no Get.
pub(super) fn read_in_bulk(
    engine: &dyn Engine,
    requests: &Receiver<Vec<BulkRequest>>,
    answered: &Sender<Report>,
) -> Result<(), StoreError> {
    let mut views = Views::new();
    for request in requests.iter().flatten() {
        let asked_by_client = match &request {
            BulkRequest::Scan { ticket, .. } => Some(*ticket),
            BulkRequest::OpenView { .. }
            | BulkRequest::ReadView { .. }
            | BulkRequest::CloseView { .. } => None,
        };
        let answer = || storage::answer(request, engine, &mut views);
        let answer = match (catch_unwind(AssertUnwindSafe(answer)), asked_by_client) {
            (Ok(answer), _) => answer?,
            (Err(panic), Some(ticket)) => Some((ticket, failed(panic.as_ref()))),
            (Err(panic), None) => resume_unwind(panic),
        };
        if let Some(answer) = answer {
            hand_back(answered, vec![answer]);
        }
    }
    Ok(())
}

/// A question of a client ends no node, whatever is wrong with how it is answered.
fn failed(panic: &(dyn Any + Send)) -> Answer {
    Answer::Failed(panic_text(panic))
}

/// Waits where the loop has not taken what was handed back before: it would only be held in memory. If the loop has ended,
/// nobody wants to know.
fn hand_back(answered: &Sender<Report>, answers: Vec<(Ticket, Answer)>) {
    let _ended = answered.send_blocking(Report::Answered(answers));
}
