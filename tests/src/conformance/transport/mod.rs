//! What every [`Transport`] must do, and with it what one may rely on.
//!
//! Loss, disorder and duplicates are allowed, so every check sends again what has not arrived, and none asks for order.
//! Checked are: frames arrive whole, from whom they name, in both directions and on every lane; the size limit; prompt
//! return whatever the state of the peer, and bounded memory; that nobody is held up by others or by other lanes;
//! cancel-safe `recv`; closing, coming back, disconnecting; answers to clients; use by many tasks at once.

mod ends;
mod exchange;
mod frames;
mod load;

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::transport::Transport;

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
    exchange::frames_arrive_whole_from_whom_they_name(subject).await;
    exchange::a_call_may_hand_over_many_frames(subject).await;
    exchange::the_largest_frame_passes_and_a_larger_one_is_refused(subject).await;
    exchange::what_is_no_address_is_refused(subject).await;
    exchange::clients_are_answered_where_their_frames_came_from(subject).await;
    exchange::many_tasks_may_send_and_receive_at_once(subject).await;
    load::sending_to_nobody_returns_promptly_and_holds_little(subject).await;
    load::a_receiver_that_does_not_receive_holds_nobody_up(subject).await;
    load::lanes_do_not_delay_each_other(subject).await;
    load::dropping_recv_loses_nothing(subject).await;
    ends::a_closed_transport_says_so_and_is_silent(subject).await;
    ends::closing_sends_what_was_handed_over(subject).await;
    ends::a_node_that_comes_back_is_reached_again(subject).await;
    ends::a_disconnected_peer_may_connect_again(subject).await;
    ends::a_client_that_has_gone_is_not_connected(subject).await;
}
