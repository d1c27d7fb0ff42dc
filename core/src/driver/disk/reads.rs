//! The threads that read the state: single keys, and in bulk.

use std::sync::mpsc::Receiver;

use async_channel::Sender;

use crate::engine::{Engine, StoreError};
use crate::operation::Key;
use crate::storage::desk::BulkRequest;
use crate::storage::scheduler::Report;
use crate::storage::{self, Answer, Ticket, Views};

use super::report::{Completion, send};

/// Gets answered before the answers are handed back, so that the first need not wait for too many others.
const GETS_AT_ONCE: usize = 64;

/// Answers Gets.
pub(super) fn read(
    engine: &dyn Engine,
    gets: &async_channel::Receiver<(Ticket, Key)>,
    report: &Sender<Completion>,
) -> Result<(), StoreError> {
    while let Ok(first) = gets.recv_blocking() {
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some((ticket, key)) = next {
            answers.push((ticket, Answer::Record(engine.read(&key)?)));
            next = match answers.len() < GETS_AT_ONCE {
                true => gets.try_recv().ok(),
                false => None,
            };
        }
        send(report, Completion::Report(Report::Answered(answers)));
    }
    Ok(())
}

/// Answers scans, and owns the views: a long transfer delays other transfers and no Get.
pub(super) fn read_in_bulk(
    engine: &dyn Engine,
    requests: &Receiver<Vec<BulkRequest>>,
    report: &Sender<Completion>,
) -> Result<(), StoreError> {
    let mut views = Views::new();
    for request in requests.iter().flatten() {
        if let Some(answer) = storage::answer(request, engine, &mut views)? {
            let answers = vec![answer];
            send(report, Completion::Report(Report::Answered(answers)));
        }
    }
    Ok(())
}
