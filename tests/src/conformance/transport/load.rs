//! Nobody waits for those who are dead or slow, nothing grows without bound, and nothing is lost by impatience.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::task;
use futures_lite::future::poll_once;
use lockstep_core::transport::{Lane, Transport};

use super::frames::{AGAIN, PATIENCE, Tracked, deliver, frame, meet, number, within};
use super::{Subject, spawn};

/// A call of `send` does not wait for anything, so it takes no longer than a busy machine lets it.
const SEND_MAX: Duration = Duration::from_secs(1);

/// What a transport may hold on to for a peer that takes nothing: a few of the largest frames.
const HELD_BYTES_MAX: usize = 128 << 20;

/// More than `HELD_BYTES_MAX`, in frames of this size.
const FLOOD_FRAMES: u64 = 1500;
const FLOOD_FRAME_BYTES: usize = 256 << 10;

pub(super) async fn sending_to_nobody_returns_promptly_and_holds_little(subject: &mut dyn Subject) {
    let (a, dead) = (subject.node().await, subject.node().await);
    let other = subject.node().await;
    meet(&*a, &*dead).await;
    dead.close().await;
    let tracked = Tracked::default();
    flood(&*a, &*dead, &tracked).await;
    assert!(
        tracked.alive_bytes() <= HELD_BYTES_MAX,
        "it holds on to {} bytes for a peer that takes none, at most {HELD_BYTES_MAX} are allowed",
        tracked.alive_bytes()
    );
    // Others do not notice.
    meet(&*a, &*other).await;
}

pub(super) async fn a_receiver_that_does_not_receive_holds_nobody_up(subject: &mut dyn Subject) {
    let (a, slow) = (subject.node().await, subject.node().await);
    let other = subject.node().await;
    meet(&*a, &*slow).await;
    let tracked = Tracked::default();
    flood(&*a, &*slow, &tracked).await;
    assert!(
        tracked.alive_bytes() <= HELD_BYTES_MAX,
        "it holds on to {} bytes for a peer that takes none, at most {HELD_BYTES_MAX} are allowed",
        tracked.alive_bytes()
    );
    for number in 0..20 {
        let sent = frame(number, 2000);
        deliver(&*a, other.local(), Lane::Bulk, &sent, &*other).await;
        deliver(&*other, a.local(), Lane::Log, &sent, &*a).await;
    }
    // The slow one still sends, and gets what it then takes.
    deliver(&*slow, a.local(), Lane::Log, &frame(1, 20), &*a).await;
    deliver(&*a, slow.local(), Lane::Control, &frame(2, 20), &*slow).await;
}

async fn flood(from: &dyn Transport, to: &dyn Transport, tracked: &Tracked) {
    for number in 0..FLOOD_FRAMES {
        let frames = vec![tracked.frame(number, FLOOD_FRAME_BYTES)];
        let begin = Instant::now();
        let _ = from.send(to.local(), Lane::Bulk, frames).await;
        assert!(
            begin.elapsed() < SEND_MAX,
            "send took {:?}, at most {SEND_MAX:?} are allowed",
            begin.elapsed()
        );
    }
}

pub(super) async fn lanes_do_not_delay_each_other(subject: &mut dyn Subject) {
    let (a, b) = (subject.node().await, subject.node().await);
    meet(&*a, &*b).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let flooding = spawn(&*a, {
        let (a, to, is_over) = (Arc::clone(&a), b.local().clone(), Arc::clone(&is_over));
        let bulk = frame(u64::MAX, FLOOD_FRAME_BYTES);
        async move {
            while !is_over.load(Ordering::Relaxed) {
                let full = a.send(&to, Lane::Bulk, vec![bulk.clone()]).await.is_err();
                if full {
                    task::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    });
    for lane in [Lane::Control, Lane::Log] {
        // A network that delays single frames is no fault of the transport: half of them may come late.
        let mut late = 0;
        for urgent in 0..URGENT_FRAMES {
            // How much bulk comes before the urgent frame tells whether that stood in line behind it.
            let sent = frame(urgent, 100);
            let mut bulk_bytes = 0;
            let arrival = async {
                loop {
                    bulk_bytes = 0;
                    let _ = a.send(b.local(), lane, vec![sent.clone()]).await;
                    let again = Instant::now() + AGAIN;
                    while Instant::now() < again {
                        let received = b.recv().await.expect("open");
                        if received.frames.contains(&sent) {
                            return;
                        }
                        bulk_bytes += received
                            .frames
                            .iter()
                            .map(|frame| frame.len())
                            .sum::<usize>();
                    }
                }
            };
            within(PATIENCE, "an urgent frame arrives beside a flood", arrival).await;
            late += u64::from(bulk_bytes > HELD_BYTES_MAX);
        }
        assert!(
            late <= LATE_MAX,
            "{late} of {URGENT_FRAMES} frames of {lane:?} came behind more than {HELD_BYTES_MAX} bytes of bulk, at most {LATE_MAX} may"
        );
    }
    is_over.store(true, Ordering::Relaxed);
    flooding.await;
}

/// Frames sent on an urgent lane beside a flood of bulk.
const URGENT_FRAMES: u64 = 20;

/// Of them may come late.
const LATE_MAX: u64 = URGENT_FRAMES / 2;

/// Frames of the check below; in groups, so that no queue overflows.
const GROUPS: u64 = 100;
const GROUP_FRAMES: u64 = 20;

/// Loss is allowed, but not that of every frame whose `recv` was dropped: this share of them may be sent again.
const AGAIN_MAX: u64 = GROUPS * GROUP_FRAMES / 20;

pub(super) async fn dropping_recv_loses_nothing(subject: &mut dyn Subject) {
    let (a, b) = (subject.node().await, subject.node().await);
    meet(&*a, &*b).await;
    let mut sent_again = 0;
    let exchange = async {
        for group in 0..GROUPS {
            let first = group * GROUP_FRAMES;
            let mut missing: BTreeSet<u64> = (first..first + GROUP_FRAMES).collect();
            while !missing.is_empty() {
                sent_again += missing.len() as u64;
                for number in &missing {
                    let _ = a.send(b.local(), Lane::Log, vec![frame(*number, 60)]).await;
                }
                let again = Instant::now() + AGAIN;
                while !missing.is_empty() && Instant::now() < again {
                    // One poll each, then the future is dropped; now and then one may live a little.
                    let received = match poll_once(b.recv()).await {
                        Some(received) => Some(received),
                        None => timeout(Duration::from_micros(50), b.recv()).await.ok(),
                    };
                    for frame in
                        received.map_or_else(Vec::new, |received| received.expect("open").frames)
                    {
                        missing.remove(&number(&frame));
                    }
                }
            }
        }
        sent_again -= GROUPS * GROUP_FRAMES;
    };
    within(
        PATIENCE,
        "frames arrive although recv is dropped all the time",
        exchange,
    )
    .await;
    assert!(
        sent_again <= AGAIN_MAX,
        "{sent_again} frames were lost with dropped recvs, at most {AGAIN_MAX} may be"
    );
}
