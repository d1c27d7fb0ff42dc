//! What every [`Transport`] must do, and with it what one may rely on.
//!
//! Loss, disorder and duplicates are allowed, so every check sends again what has not arrived, and none asks for order.
//! Checked are: frames arrive whole, from whom they name, in both directions and on every lane; the size limit; prompt
//! return whatever the state of the peer, and bounded memory; that nobody is held up by others or by other lanes;
//! cancel-safe `recv`; closing, coming back, disconnecting; answers to clients; use by many tasks at once.
//!
//! A transport whose futures have to be polled inside a runtime says so by [`Transport::runtime`], as it has to for the processes
//! over it: the tasks of the suite run on that, too. The suite itself is awaited inside it.

mod ends;
mod exchange;
mod frames;
mod load;

use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;

use async_channel::bounded;
use async_trait::async_trait;
use futures_lite::FutureExt;
use lockstep_core::driver::runtime_of;
use lockstep_core::transport::Transport;

use super::rule::{Rule, named};

/// How the suite gets at the transports it tests. All ends it gives belong together.
#[async_trait]
pub trait Subject: Send {
    /// A node that was not there before.
    async fn node(&mut self) -> Arc<dyn Transport>;

    /// A client that was not there before.
    async fn client(&mut self) -> Arc<dyn Transport>;

    /// A node at the address of one that is closed, as after a new start of its process.
    async fn restart(&mut self, closed: Arc<dyn Transport>) -> Arc<dyn Transport>;
}

/// Runs the whole suite.
///
/// # Panics
/// Where the transport does not do what it must.
pub async fn suite(subject: &mut dyn Subject) {
    for (rule, check) in checks() {
        rule.hold_async(check(subject)).await;
    }
}

/// Runs one check.
///
/// # Panics
/// Where the transport does not do what it must, or if no check is called that.
pub async fn only(subject: &mut dyn Subject, check: &str) {
    for (rule, check) in named(checks(), check) {
        rule.hold_async(check(subject)).await;
    }
}

type Check = for<'a> fn(&'a mut dyn Subject) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! checks {
    ($($module:ident::$check:ident: $promise:literal, $look:literal;)*) => {
        fn checks() -> Vec<(Rule, Check)> {
            vec![$((
                Rule {
                    check: stringify!($check),
                    promise: $promise,
                    look: $look,
                },
                |subject| Box::pin($module::$check(subject)),
            )),*]
        }
    };
}

checks! {
    exchange::frames_arrive_whole_from_whom_they_name:
        "a frame arrives whole and unchanged, or not at all, and from the sender it names",
        "how frames are told from each other when they are read in parts, and which address a connection is taken to be of";
    exchange::a_node_reaches_itself:
        "what a node sends to its own address arrives at itself, as from any node",
        "an own address that is dialled like another's, and a node that refuses itself";
    exchange::a_call_may_hand_over_many_frames:
        "`send` takes any number of frames",
        "queues bounded by the number of frames, and what becomes of the rest of a call that finds no room: it must not be the same frames each time";
    exchange::the_largest_frame_passes_and_a_larger_one_is_refused:
        "a frame of `frame_bytes_max` passes; of a call with a larger one no frame is sent, and the error is `TooLarge`",
        "the length of all frames of a call is looked at before the first one is queued";
    exchange::what_is_no_address_is_refused:
        "an address that the transport cannot read is refused as `BadAddress`",
        "`send` reads the address before it queues anything for it";
    exchange::clients_are_answered_where_their_frames_came_from:
        "a node answers a client at the address its frame came from, for as long as the connection lasts, and knows it as a client",
        "each connection of a client needs an address of its own, and answers go over that connection";
    exchange::many_tasks_may_send_and_receive_at_once:
        "`send` and `recv` are called by many tasks at once",
        "locks that are held while something is awaited, and a frame that wakes a `recv` that was dropped meanwhile";
    load::sending_to_nobody_returns_promptly_and_holds_little:
        "`send` waits for nobody, and what finds no room in a bounded queue is dropped",
        "a connection that `send` waits for, and a queue without a bound in bytes for a peer that is away";
    load::a_receiver_that_does_not_receive_holds_nobody_up:
        "a dead, slow or hostile peer does not hold up frames to and from others",
        "one queue, task or buffer for all peers, and a bound that one sender can use up for all";
    load::lanes_do_not_delay_each_other:
        "frames of one lane are not held up by frames of another to the same peer",
        "one stream or queue for all lanes, and large buffers below them";
    load::dropping_recv_loses_nothing:
        "`recv` can be dropped at any time without loss",
        "a frame that is taken from its queue before the last thing that `recv` awaits";
    ends::a_closed_transport_says_so_and_is_silent:
        "once a transport is closed, `recv` and `send` say so for ever, waiting calls end, and nothing is sent",
        "whether `close` wakes who waits, and ends the tasks that write";
    ends::closing_sends_what_was_handed_over:
        "`close` sends what was handed over before, if that takes no long wait",
        "whether queues are written out before connections end, and whether the end of a connection takes what is on its way with it";
    ends::a_node_that_comes_back_is_reached_again:
        "after a peer has come back, frames to it arrive again without anybody's help, within a second or so",
        "how a connection to a peer that has gone is found out, and how long the pauses between attempts become";
    ends::a_disconnected_peer_may_connect_again:
        "`disconnect` ends a connection, after which the peer may connect again; without a connection it does nothing",
        "a peer that is remembered as refused, or as connected";
    ends::a_client_that_has_gone_is_not_connected:
        "who sends to a client that has gone is told `NotConnected`",
        "whether the address of a client goes with its connection";
}

/// Runs `task` where the processes over `end` would run. Ready when the task is, and panics if it does.
fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    end: &dyn Transport,
    task: F,
) -> impl Future<Output = T> + use<T, F> {
    let (sender, receiver) = bounded(1);
    runtime_of(end).spawn(Box::pin(async move {
        let outcome = AssertUnwindSafe(task).catch_unwind().await;
        // Whoever waits may have panicked itself.
        let _gone = sender.send(outcome).await;
    }));
    async move {
        let outcome = receiver
            .recv()
            .await
            .expect("its runtime runs the task to its end");
        outcome.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}
