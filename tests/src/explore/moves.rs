//! What may happen next.

use lockstep_core::message::{RequestBody, RoleName};

use super::scope::Scope;
use super::world::World;

/// Something that may happen next. Processes and messages are named by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A message arrives.
    Deliver {
        /// Which of those under way.
        message: u8,
    },
    /// A message arrives and stays under way.
    Duplicate {
        /// Which of those under way.
        message: u8,
    },
    /// A message is lost.
    Lose {
        /// Which of those under way.
        message: u8,
    },
    /// The disk is done with the write that waits longest.
    Write {
        /// Whose disk.
        node: u8,
    },
    /// The disk answers a question.
    Answer {
        /// Whose disk.
        node: u8,
        /// Which of the questions that wait.
        question: u8,
    },
    /// It is time for the timer that is due first, of all processes that do not stand still.
    Fire {
        /// Whose.
        node: u8,
    },
    /// A client asks its next question, and it arrives; a write at who takes itself for the primary.
    Ask {
        /// Which client.
        client: u8,
        /// Which replica.
        node: u8,
    },
    /// A replica loses power.
    Crash {
        /// Which.
        node: u8,
        /// How much of what waited for the disk is on it.
        moment: u8,
        /// The state falls back to its checkpoint.
        falls_back: bool,
    },
    /// A replica that is down starts.
    Start {
        /// Which.
        node: u8,
    },
    /// A process stands still from now on.
    Pause {
        /// Which.
        node: u8,
    },
    /// A process goes on.
    Resume {
        /// Which.
        node: u8,
    },
}

/// Adds what may happen next to `moves`.
pub(super) fn next_moves(scope: &Scope, world: &World, moves: &mut Vec<Move>) {
    let takes_input = |index: usize| world.is_up(index) && !world.is_paused(index);
    for (index, message) in world.messages().iter().enumerate() {
        let message_index = small(index);
        if takes_input(message.to) {
            moves.push(Move::Deliver {
                message: message_index,
            });
            if world.budget().duplications > 0 {
                moves.push(Move::Duplicate {
                    message: message_index,
                });
            }
        }
        if world.budget().losses > 0 {
            moves.push(Move::Lose {
                message: message_index,
            });
        }
    }
    let earliest = world.next_due();
    for node in 0..world.nodes() {
        let index = small(node);
        if takes_input(node) {
            if world.has_writes(node) {
                moves.push(Move::Write { node: index });
            }
            for question in 0..world.questions(node) {
                let question = small(question);
                moves.push(Move::Answer {
                    node: index,
                    question,
                });
            }
            let due = world.due(node);
            if due.is_some_and(|due| Some(due) == earliest && due <= world.horizon()) {
                moves.push(Move::Fire { node: index });
            }
        }
        disturb(world, node, moves);
    }
    for (client, asks) in scope.clients.iter().enumerate() {
        let Some(ask) = world.next_ask(client).and_then(|next| asks.get(next)) else {
            continue;
        };
        // Anybody else rejects a write, which changes nothing.
        let is_for_all = matches!(ask.body, RequestBody::Get { .. });
        let is_primary = |node| world.role(node) == Some(RoleName::Primary);
        let takes_it = |node: usize| takes_input(node) && (is_for_all || is_primary(node));
        for node in ask.to.iter().filter(|node| takes_it(**node)) {
            moves.push(Move::Ask {
                client: small(client),
                node: small(*node),
            });
        }
    }
}

/// What the budget allows to be done to a process.
fn disturb(world: &World, node: usize, moves: &mut Vec<Move>) {
    let index = small(node);
    let budget = world.budget();
    if world.is_paused(node) {
        moves.push(Move::Resume { node: index });
    } else if world.is_up(node) && budget.pauses > 0 {
        moves.push(Move::Pause { node: index });
    }
    let Some(disk) = world.disk(node) else { return };
    if !world.is_up(node) && budget.starts > 0 {
        moves.push(Move::Start { node: index });
    }
    if world.is_up(node) && budget.crashes > 0 {
        for moment in 0..=disk.moments() {
            moves.push(Move::Crash {
                node: index,
                moment: small(moment),
                falls_back: false,
            });
            if disk.may_fall_back() {
                moves.push(Move::Crash {
                    node: index,
                    moment: small(moment),
                    falls_back: true,
                });
            }
        }
    }
}

pub(super) fn small(index: usize) -> u8 {
    u8::try_from(index).expect("a scope is small")
}
