//! Frames get from one end to another, as they were and from whom they say.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_std::future::timeout;
use async_std::task;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits::RECV_FRAMES_MAX;
use lockstep_core::transport::{Lane, SenderKind, Transport, TransportError};

use super::frames::{AGAIN, PATIENCE, deliver, frame, meet, number, within};
use super::{Subject, spawn};

pub(super) async fn frames_arrive_whole_from_whom_they_name(subject: &mut dyn Subject) {
    let (a, b, c) = (
        subject.node().await,
        subject.node().await,
        subject.node().await,
    );
    let mut numbers = 0_u64..;
    for lane in Lane::ALL {
        for size in [16, 17, 1000, 5000, 100_000, 1 << 20] {
            for (from, to) in [(&a, &b), (&b, &a), (&c, &b), (&a, &c)] {
                let sent = frame(numbers.next().expect("endless"), size);
                let received = deliver(&**from, to.local(), lane, &sent, &**to).await;
                assert_eq!(&received.from, from.local(), "the sender's address");
                assert_eq!(received.sender.kind(), SenderKind::Node);
                received.frames.iter().for_each(|frame| {
                    number(frame);
                });
            }
        }
    }
    // A frame may be empty.
    deliver(&*a, b.local(), Lane::Log, &Bytes::new(), &*b).await;
}

pub(super) async fn a_node_reaches_itself(subject: &mut dyn Subject) {
    let (a, b) = (subject.node().await, subject.node().await);
    let by_others = deliver(&*a, b.local(), Lane::Log, &frame(1, 30), &*b).await;
    for lane in Lane::ALL {
        let received = deliver(&*a, a.local(), lane, &frame(2, 5000), &*a).await;
        assert_eq!(&received.from, a.local(), "the sender's address");
        assert_eq!(received.sender, by_others.sender, "what it may say");
    }
}

pub(super) async fn a_call_may_hand_over_many_frames(subject: &mut dyn Subject) {
    let (a, b) = (subject.node().await, subject.node().await);
    meet(&*a, &*b).await;
    let sent: Vec<Bytes> = (0..1000).map(|number| frame(number, 100)).collect();
    let mut missing: BTreeSet<u64> = (0..1000).collect();
    let exchange = async {
        while !missing.is_empty() {
            let again = missing.iter().map(|number| sent[*number as usize].clone());
            let _ = a.send(b.local(), Lane::Log, again.collect()).await;
            while let Ok(received) = timeout(AGAIN, b.recv()).await {
                let frames = received.expect("open").frames;
                assert!(frames.len() <= RECV_FRAMES_MAX, "a round has a bound");
                for frame in frames {
                    missing.remove(&number(&frame));
                }
                if missing.is_empty() {
                    break;
                }
            }
        }
    };
    within(PATIENCE, "a thousand frames arrive", exchange).await;
    a.send(b.local(), Lane::Log, Vec::new())
        .await
        .expect("no frames are no fault");
}

pub(super) async fn the_largest_frame_passes_and_a_larger_one_is_refused(
    subject: &mut dyn Subject,
) {
    let (a, b) = (subject.node().await, subject.node().await);
    let limit = a.frame_bytes_max();
    assert_eq!(limit, b.frame_bytes_max(), "one limit for all");
    let largest = frame(1, limit);
    let received = deliver(&*a, b.local(), Lane::Bulk, &largest, &*b).await;
    assert!(received.frames.contains(&largest));

    let small = frame(2, 16);
    let too_large = frame(3, limit + 1);
    let error = a
        .send(b.local(), Lane::Bulk, vec![small.clone(), too_large])
        .await
        .expect_err("a frame above the limit");
    assert!(
        matches!(error, TransportError::TooLarge { size, limit: l } if (size, l) == (limit + 1, limit)),
        "the wrong error: {error}"
    );
    // None of the call's frames was sent: on the same lane a later one arrives without the small one before it.
    let later = frame(4, 16);
    let received = deliver(&*a, b.local(), Lane::Bulk, &later, &*b).await;
    assert!(
        !received.frames.contains(&small),
        "a refused call sent a frame"
    );
}

pub(super) async fn what_is_no_address_is_refused(subject: &mut dyn Subject) {
    let a = subject.node().await;
    let error = a
        .send(&Address::new(""), Lane::Log, vec![frame(1, 16)])
        .await;
    assert!(
        matches!(error, Err(TransportError::BadAddress { .. })),
        "send to the empty address gives {error:?}, not BadAddress"
    );
}

pub(super) async fn clients_are_answered_where_their_frames_came_from(subject: &mut dyn Subject) {
    let node = subject.node().await;
    let clients = [subject.client().await, subject.client().await];
    let mut addresses = BTreeSet::new();
    for (index, client) in clients.iter().enumerate() {
        for lane in Lane::ALL {
            let question = frame(index as u64, 200);
            let asked = deliver(&**client, node.local(), lane, &question, &*node).await;
            assert_eq!(
                asked.sender.kind(),
                SenderKind::Client,
                "a client is known as one"
            );
            addresses.insert(asked.from.clone());
            let answer = frame(100 + index as u64, 3000);
            let answered = deliver(&*node, &asked.from, lane, &answer, &**client).await;
            assert_eq!(
                &answered.from,
                node.local(),
                "the address the client dialled"
            );
            assert_eq!(answered.sender.kind(), SenderKind::Node);
        }
    }
    assert_eq!(addresses.len(), 2, "each client has an address of its own");
}

/// Of one sender to one receiver.
const FRAMES_EACH: u64 = 300;

pub(super) async fn many_tasks_may_send_and_receive_at_once(subject: &mut dyn Subject) {
    let mut nodes: Vec<Arc<dyn Transport>> = Vec::new();
    for _ in 0..4 {
        nodes.push(subject.node().await);
    }
    // What each node has of each other one; senders send again what is not in there.
    let arrived: Arc<Mutex<BTreeSet<(Address, Address, u64)>>> = Arc::default();
    let receivers: Vec<_> = nodes
        .iter()
        .flat_map(|node| [node, node])
        .map(|node| spawn(&**node, take_all(Arc::clone(node), Arc::clone(&arrived))))
        .collect();
    let mut senders = Vec::new();
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.local() != from.local()) {
            for lane in Lane::ALL {
                let (from, to) = (Arc::clone(from), to.local().clone());
                let arrived = Arc::clone(&arrived);
                let sending = send_all(Arc::clone(&from), to, lane, arrived);
                senders.push(spawn(&*from, sending));
            }
        }
    }
    let sending = async {
        for sender in senders {
            sender.await;
        }
    };
    within(PATIENCE, "all of many senders' frames arrive", sending).await;
    for node in &nodes {
        node.close().await;
    }
    for receiver in receivers {
        receiver.await;
    }
}

type Arrived = Arc<Mutex<BTreeSet<(Address, Address, u64)>>>;

async fn take_all(node: Arc<dyn Transport>, arrived: Arrived) {
    while let Ok(received) = node.recv().await {
        let numbers: Vec<u64> = received.frames.iter().map(number).collect();
        let mut arrived = arrived.lock().expect("not poisoned");
        for number in numbers {
            arrived.insert((received.from.clone(), node.local().clone(), number));
        }
    }
}

async fn send_all(from: Arc<dyn Transport>, to: Address, lane: Lane, arrived: Arrived) {
    let first = lane as u64 * FRAMES_EACH;
    loop {
        let missing: Vec<u64> = {
            let arrived = arrived.lock().expect("not poisoned");
            (first..first + FRAMES_EACH)
                .filter(|number| !arrived.contains(&(from.local().clone(), to.clone(), *number)))
                .collect()
        };
        if missing.is_empty() {
            return;
        }
        for number in missing {
            let _ = from.send(&to, lane, vec![frame(number, 300)]).await;
        }
        task::sleep(AGAIN / 4).await;
    }
}
