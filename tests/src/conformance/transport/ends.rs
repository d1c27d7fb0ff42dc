//! Closing, disconnecting, and coming back.

use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use async_std::task;
use lockstep_core::transport::{Lane, TransportError};

use super::frames::{AGAIN, PATIENCE, deliver, deliver_within, frame, meet, within};
use super::{Subject, spawn};

/// "Within a second or so", on a machine that is busy.
const BACK_MAX: Duration = Duration::from_secs(10);

/// An end that is closed; what still arrives after this time was sent after closing.
const QUIET: Duration = Duration::from_millis(50);

pub(super) async fn a_closed_transport_says_so_and_is_silent(subject: &mut dyn Subject) {
    let (a, b) = (subject.node().await, subject.node().await);
    meet(&*a, &*b).await;
    let waiting = spawn(&*b, {
        let b = Arc::clone(&b);
        async move { while b.recv().await.is_ok() {} }
    });
    within(PATIENCE, "close returns", b.close()).await;
    within(PATIENCE, "a waiting recv ends", waiting).await;
    for _ in 0..3 {
        let received = within(PATIENCE, "recv returns", b.recv()).await;
        assert!(
            matches!(received, Err(TransportError::Closed)),
            "recv after close gives {received:?}, not Closed"
        );
        let sent = b.send(a.local(), Lane::Log, vec![frame(7, 20)]).await;
        assert!(
            matches!(sent, Err(TransportError::Closed)),
            "send after close gives {sent:?}, not Closed"
        );
    }
    within(PATIENCE, "close returns again", b.close()).await;
    let silence = timeout(QUIET, async {
        loop {
            let received = a.recv().await.expect("a is open");
            assert!(
                !received.frames.contains(&frame(7, 20)),
                "a closed transport sent"
            );
        }
    });
    assert!(silence.await.is_err());
}

pub(super) async fn closing_sends_what_was_handed_over(subject: &mut dyn Subject) {
    // The promise holds where it takes no long wait, and loss is allowed: so most of several closings have to keep it.
    const TIMES: usize = 8;
    let b = subject.node().await;
    let mut kept = 0;
    for number in 0..TIMES as u64 {
        let a = subject.node().await;
        meet(&*a, &*b).await;
        let last = frame(number, 5000);
        let _ = a.send(b.local(), Lane::Log, vec![last.clone()]).await;
        a.close().await;
        let arrival = timeout(AGAIN, async {
            while !b.recv().await.expect("b is open").frames.contains(&last) {}
        });
        kept += usize::from(arrival.await.is_ok());
    }
    let least = TIMES / 2 + 1;
    assert!(
        kept >= least,
        "{kept} of {TIMES} last frames arrived, at least {least} have to"
    );
}

pub(super) async fn a_node_that_comes_back_is_reached_again(subject: &mut dyn Subject) {
    let (a, other) = (subject.node().await, subject.node().await);
    let mut b = subject.node().await;
    meet(&*a, &*b).await;
    for start in 0..3 {
        b.close().await;
        // Frames for it while it is away may be lost, and must not get in the way of later ones.
        for number in 0..10 {
            let _ = a.send(b.local(), Lane::Log, vec![frame(number, 50)]).await;
        }
        meet(&*a, &*other).await;
        let address = b.local().clone();
        b = subject.restart(b).await;
        assert_eq!(b.local(), &address, "it comes back where it was");
        let (to, back) = (frame(100 + start, 50), frame(200 + start, 50));
        deliver_within(BACK_MAX, &*a, &address, Lane::Log, &to, &*b).await;
        deliver_within(BACK_MAX, &*b, a.local(), Lane::Log, &back, &*a).await;
        // It also reaches those who have not spoken to it since.
        deliver_within(BACK_MAX, &*b, other.local(), Lane::Log, &back, &*other).await;
    }
}

pub(super) async fn a_disconnected_peer_may_connect_again(subject: &mut dyn Subject) {
    let (a, b, client) = (
        subject.node().await,
        subject.node().await,
        subject.client().await,
    );
    meet(&*a, &*b).await;
    a.disconnect(b.local(), "to see what happens").await;
    meet(&*a, &*b).await;
    b.disconnect(a.local(), "and from the other side").await;
    meet(&*a, &*b).await;

    let asked = deliver(&*client, a.local(), Lane::Log, &frame(1, 30), &*a).await;
    a.disconnect(&asked.from, "a client that says what it must not")
        .await;
    // A question that came in just before may be seen just after, and cannot be answered; a later one can.
    let answer = frame(3, 30);
    let conversation = async {
        for number in 100.. {
            let question = frame(number, 30);
            let asked = deliver(&*client, a.local(), Lane::Log, &question, &*a).await;
            let _ = a.send(&asked.from, Lane::Log, vec![answer.clone()]).await;
            let arrival =
                async { while !client.recv().await.expect("open").frames.contains(&answer) {} };
            if timeout(AGAIN, arrival).await.is_ok() {
                return;
            }
        }
    };
    within(
        PATIENCE,
        "a disconnected client is answered again",
        conversation,
    )
    .await;

    // Nothing happens where there is no connection.
    let stranger = subject.node().await;
    a.disconnect(stranger.local(), "nobody there").await;
}

pub(super) async fn a_client_that_has_gone_is_not_connected(subject: &mut dyn Subject) {
    let (node, client) = (subject.node().await, subject.client().await);
    let asked = deliver(&*client, node.local(), Lane::Log, &frame(1, 30), &*node).await;
    client.close().await;
    let gone = async {
        loop {
            match node.send(&asked.from, Lane::Log, vec![frame(2, 30)]).await {
                Err(TransportError::NotConnected { address }) => return address,
                _ => task::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let address = within(PATIENCE, "a client that has gone is reported", gone).await;
    assert_eq!(address, asked.from);
}
