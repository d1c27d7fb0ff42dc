//! The queues to the threads of a disk. They are unbounded: a process bounds what it has asked for and not got (`limits`).

use std::sync::mpsc;

use async_channel::{Receiver, Sender};

use crate::operation::Key;
use crate::storage::Ticket;
use crate::storage::desk::{BulkRequest, Handed};
use crate::storage::scheduler::Told;

/// Where the threads take their orders from.
pub(super) struct Queues {
    pub(super) scheduler: Queue<Told>,
    bulk: Queue<BulkRequest>,
    gets: Sender<(Ticket, Key)>,
}

/// The other ends of the queues.
pub(super) struct Ends {
    pub(super) told: mpsc::Receiver<Vec<Told>>,
    pub(super) bulk: mpsc::Receiver<Vec<BulkRequest>>,
    pub(super) gets: Receiver<(Ticket, Key)>,
}

impl Queues {
    pub(super) fn new() -> (Self, Ends) {
        let (scheduler, told) = Queue::new();
        let (bulk, requests) = Queue::new();
        let (gets, asked) = async_channel::unbounded();
        let ends = Ends {
            told,
            bulk: requests,
            gets: asked,
        };
        (
            Self {
                scheduler,
                bulk,
                gets,
            },
            ends,
        )
    }

    /// Hands on what a round has led to, as one group a thread.
    pub(super) fn hand_on(&mut self, handed: &mut Vec<Handed>) {
        for handed in handed.drain(..) {
            match handed {
                Handed::Scheduler(told) => self.scheduler.push(told),
                Handed::Bulk(request) => self.bulk.push(request),
                Handed::Get(ticket, key) => {
                    // Fails only when the readers have ended, and they have told why.
                    let _ended = self.gets.try_send((ticket, key));
                }
            }
        }
        self.scheduler.flush();
        self.bulk.flush();
    }

    /// Without their queues the threads come to their end.
    pub(super) fn close(mut self) {
        self.scheduler.push(Told::Close);
        self.scheduler.flush();
    }
}

/// What is collected for a thread during a round of the loop, and handed over as one.
#[derive(Debug)]
pub(super) struct Queue<T> {
    noted: Vec<T>,
    pub(super) sender: mpsc::Sender<Vec<T>>,
}

impl<T> Queue<T> {
    fn new() -> (Self, mpsc::Receiver<Vec<T>>) {
        let (sender, receiver) = mpsc::channel();
        let noted = Vec::new();
        (Self { noted, sender }, receiver)
    }

    fn push(&mut self, request: T) {
        self.noted.push(request);
    }

    fn flush(&mut self) {
        if !self.noted.is_empty() {
            // Fails only when the thread has ended, and it has told why.
            let _ended = self.sender.send(std::mem::take(&mut self.noted));
        }
    }
}
