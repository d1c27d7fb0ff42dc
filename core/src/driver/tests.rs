//! The loop, with a process that reports every step and a transport that records everything.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_channel::{Receiver, Sender as Channel};
use async_std::task::block_on;
use bytes::Bytes;

use super::bench::{Bench, Done, bench};
use super::*;
use crate::config::{Address, Epoch, Incarnation, NodeId, Position, StartId};
use crate::driver::clock::Clock;
use crate::driver::disk::Disk;
use crate::engine::memory::{MemoryEngine, MemoryLog};
use crate::event::Event;
use crate::message::{
    Attempt, ConfigQuery, Drain, Join, JoinRefusal, Message, Reply, ReplyBody, Request,
    RequestBody, ToArbiter,
};
use crate::operation::{ClientId, Origin, Rejection, RequestId};
use crate::process::{Input, Now, Outbox, Process};
use crate::rights::{ClientRole, Right, Sender};
use crate::runtime::{Runtime, Task};
use crate::storage::{Save, Ticket};
use crate::time::{Instant, Timers};
use crate::transport::{Lane, Received, SenderKind};
use crate::wire;

type React = Box<dyn FnMut(Instant, &Input<u8>, &mut Timers<u8>, &mut Outbox) + Send>;

/// Does what the test says, and reports what it was told.
struct Puppet {
    timers: Timers<u8>,
    react: React,
    steps: Channel<Input<u8>>,
}

impl Process for Puppet {
    type Timer = u8;

    fn step(&mut self, now: Now<'_>, input: Input<u8>, outbox: &mut Outbox) {
        if let Input::Timer(timer) = input {
            self.timers.disarm(timer);
        }
        (self.react)(now.time, &input, &mut self.timers, outbox);
        self.steps.try_send(input).unwrap();
    }

    fn timers(&self) -> &Timers<u8> {
        &self.timers
    }
}

/// A puppet at work.
struct Stage {
    running: Option<Running>,
    arrive: Channel<Received>,
    done: Receiver<Done>,
    steps: Receiver<Input<u8>>,
    events: Arc<Mutex<Vec<String>>>,
}

impl Watch for Mutex<Vec<String>> {
    fn on_event(&self, event: &Event) {
        self.lock().unwrap().push(format!("{event:?}"));
    }

    fn on_disconnect(&self, peer: &Address, reason: &str) {
        self.lock()
            .unwrap()
            .push(format!("cut off {peer}: {reason}"));
    }

    fn on_unsent(&self, to: &Address, reason: &str) {
        self.lock()
            .unwrap()
            .push(format!("unsent to {to}: {reason}"));
    }
}

impl Stage {
    fn new(
        disk: Disk,
        react: impl FnMut(Instant, &Input<u8>, &mut Timers<u8>, &mut Outbox) + Send + 'static,
    ) -> Self {
        let (stage, start) = Self::held(disk, react);
        start();
        stage
    }

    /// With a process that starts only when told, so that things can have arrived before.
    fn held(
        disk: Disk,
        react: impl FnMut(Instant, &Input<u8>, &mut Timers<u8>, &mut Outbox) + Send + 'static,
    ) -> (Self, impl FnOnce()) {
        let (release, released) = std::sync::mpsc::channel();
        let mut react = react;
        let held = move |now, input: &Input<u8>, timers: &mut _, outbox: &mut _| {
            if *input == Input::Start {
                released.recv().unwrap();
            }
            react(now, input, timers, outbox);
        };
        let stage = Self::on(None, disk, Box::new(held));
        (stage, move || release.send(()).unwrap())
    }

    /// On that runtime, or async-std.
    fn on(runtime: Option<Arc<dyn Runtime>>, disk: Disk, react: React) -> Self {
        let (mut transport, arrive, done) = bench();
        transport.runtime = runtime;
        let (report, steps) = async_channel::unbounded();
        let events = Arc::new(Mutex::new(Vec::new()));
        let puppet = Puppet {
            timers: Timers::new(),
            react,
            steps: report,
        };
        let parts = Parts {
            transport: Arc::new(transport),
            disk,
            watch: events.clone(),
        };
        Self {
            running: Some(spawn(puppet, parts)),
            arrive,
            done,
            steps,
            events,
        }
    }

    fn arrive(&self, from: &str, sender: SenderKind, frames: Vec<Bytes>) {
        let from = Address::new(from);
        let received = Received {
            from,
            sender: Sender::trusted(sender),
            frames,
        };
        self.arrive.try_send(received).unwrap();
    }

    fn next_step(&self) -> Input<u8> {
        block_on(self.steps.recv()).unwrap()
    }

    fn next_done(&self) -> Done {
        block_on(self.done.recv()).unwrap()
    }

    fn ended(&mut self) -> Result<Exit, DriverError> {
        block_on(self.running.take().unwrap().ended())
    }
}

fn request(id: u64) -> Message {
    Message::Request(Request {
        origin: Origin::plain(ClientId(1), RequestId(id)),
        body: RequestBody::Status,
        attempt: Default::default(),
    })
}

fn frame(message: &Message) -> Bytes {
    wire::encode(message)
}

fn node_message() -> Message {
    Message::ToArbiter(ToArbiter::ConfigQuery(ConfigQuery {
        node: NodeId(1),
        version: crate::config::ConfigVersion(0),
        cluster: None,
    }))
}

fn join(name: String) -> Join {
    Join {
        node: NodeId(1),
        incarnation: Incarnation(1),
        token: crate::config::Token(0),
        cluster: None,
        name,
        address: Address::new("puppet"),
        version: crate::config::ConfigVersion(0),
        epoch: Epoch(1),
        starts: vec![StartId(1)],
        terms: Default::default(),
    }
}

fn puppet_disk() -> Disk {
    let log = Box::new(MemoryLog::new(NodeId(1)));
    Disk::replica(log, Arc::new(MemoryEngine::new()), 1 << 20)
}

fn meta_save() -> Save {
    Save::Meta(crate::storage::Meta {
        node: NodeId(1),
        cluster: None,
        incarnation: Incarnation(1),
        token: crate::config::Token(0),
        epoch: crate::config::Epoch(0),
        starts: Vec::new(),
        arbiters: Vec::new(),
    })
}

#[test]
fn messages_reach_the_process_and_its_answers_the_network() {
    let stage = Stage::new(Disk::none(), |_, input, _, outbox| {
        if let Input::Message { from, message } = input {
            outbox.send(from, message.clone());
        }
    });
    assert_eq!(stage.next_step(), Input::Start);
    stage.arrive("a", SenderKind::Client, vec![frame(&request(1))]);
    let from = Address::new("a");
    let message = request(1);
    assert_eq!(
        stage.next_step(),
        Input::Message {
            from: from.clone(),
            message
        }
    );
    assert_eq!(
        stage.next_done(),
        Done::Sent(from, Lane::Control, vec![frame(&request(1))])
    );
}

#[test]
fn what_one_round_says_to_a_peer_travels_together() {
    let (stage, start) = Stage::held(Disk::none(), |_, input, _, outbox| {
        if let Input::Message { message, .. } = input {
            outbox.send(&Address::new("b"), message.clone());
        }
    });
    for id in 0..3 {
        stage.arrive("a", SenderKind::Client, vec![frame(&request(id))]);
    }
    start();
    let frames = (0..3).map(|id| frame(&request(id))).collect();
    assert_eq!(
        stage.next_done(),
        Done::Sent(Address::new("b"), Lane::Control, frames)
    );
}

#[test]
fn a_message_too_large_for_the_transport_is_lost_alone() {
    let stage = Stage::new(Disk::none(), |_, input, _, outbox| {
        if let Input::Start = input {
            let large = Message::ToArbiter(ToArbiter::Join(join("n".repeat(2000))));
            outbox.send(&Address::new("b"), large);
            outbox.send(&Address::new("b"), request(2));
        }
    });
    let expected = Done::Sent(Address::new("b"), Lane::Control, vec![frame(&request(2))]);
    let (first, second) = (stage.next_done(), stage.events.lock().unwrap().clone());
    assert_eq!(first, expected);
    assert_eq!(second.len(), 1);
    assert!(
        second[0].contains("exceeds the limit of 1000"),
        "{second:?}"
    );
}

#[test]
fn what_a_process_says_to_itself_does_not_touch_the_network() {
    let mut stage = Stage::new(Disk::none(), |_, input, _, outbox| match input {
        Input::Start => outbox.send(&Address::new("puppet"), request(1)),
        Input::Message { .. } => outbox.notify(Event::Left),
        _ => {}
    });
    assert_eq!(stage.ended().unwrap(), Exit::Left);
    assert_eq!(stage.next_step(), Input::Start);
    let from = Address::new("puppet");
    let message = request(1);
    assert_eq!(stage.next_step(), Input::Message { from, message });
    assert_eq!(stage.next_done(), Done::Closed);
}

fn check_cut_off(sender: SenderKind, bytes: Bytes, expected: &str) {
    let stage = Stage::new(Disk::none(), |_, _, _, _| {});
    stage.arrive("bad", sender, vec![bytes, frame(&request(1))]);
    let Done::Disconnected(peer, reason) = stage.next_done() else {
        panic!("not cut off");
    };
    assert_eq!((peer.as_str(), reason.as_str()), ("bad", expected));
    assert_eq!(
        stage.events.lock().unwrap().as_slice(),
        [format!("cut off bad: {expected}")]
    );
    stage.arrive("good", SenderKind::Client, vec![frame(&request(2))]);
    assert_eq!(stage.next_step(), Input::Start);
    let from = Address::new("good");
    let message = request(2);
    assert_eq!(stage.next_step(), Input::Message { from, message });
}

#[test]
fn whoever_sends_what_is_no_message_is_cut_off_and_nobody_else() {
    check_cut_off(SenderKind::Node, Bytes::new(), "empty frame");
    check_cut_off(
        SenderKind::Node,
        Bytes::from_static(&[wire::VERSION, 0, 99]),
        "malformed message",
    );
    check_cut_off(
        SenderKind::Node,
        Bytes::from_static(&[200]),
        &format!(
            "protocol version 200, but this node speaks version {}: run the same release everywhere",
            wire::VERSION
        ),
    );
}

#[test]
fn a_client_cannot_speak_like_a_node() {
    check_cut_off(
        SenderKind::Client,
        frame(&node_message()),
        "a client may send requests only",
    );
}

#[test]
fn a_client_that_asks_for_too_much_is_told_what_it_needs_and_goes_on() {
    let stage = Stage::new(Disk::none(), |_, _, _, _| {});
    let drain = Request {
        origin: Origin::plain(ClientId(1), RequestId(1)),
        body: RequestBody::Drain(Drain::Node),
        attempt: Attempt {
            epoch: Epoch(3),
            copy: 2,
        },
    };
    let attempt = drain.attempt;
    let received = Received {
        from: Address::new("me"),
        sender: Sender::Client {
            role: ClientRole::Write,
            prefixes: Arc::default(),
        },
        frames: vec![frame(&Message::Request(drain)), frame(&request(2))],
    };
    stage.arrive.try_send(received).unwrap();
    assert_eq!(stage.next_step(), Input::Start);
    let from = Address::new("me");
    let message = request(2);
    assert_eq!(stage.next_step(), Input::Message { from, message });
    let needed = Right::Role(ClientRole::Admin);
    let reason = Rejection::Unauthorized { needed };
    let body = ReplyBody::OperationRejected { reason, attempt };
    let (client, id) = (ClientId(1), RequestId(1));
    let reply = frame(&Message::Reply(Reply { client, id, body }));
    assert_eq!(
        stage.next_done(),
        Done::Sent(Address::new("me"), Lane::Log, vec![reply])
    );
    let events = stage.events.lock().unwrap();
    assert!(
        events.iter().any(|event| event.contains("Administered")),
        "{events:?}"
    );
}

#[test]
fn timers_are_stepped_earliest_first_while_messages_never_stop_coming() {
    let (arrive, arriving) = async_channel::unbounded::<Received>();
    // Each message puts another one into the queue, so that it is never empty.
    let feeder = arrive.clone();
    let (transport, _, _done) = bench();
    let transport = Bench {
        arriving,
        ..transport
    };
    let (report, steps) = async_channel::unbounded();
    let again = Received {
        from: Address::new("a"),
        sender: Sender::trusted(SenderKind::Client),
        frames: vec![frame(&request(1))],
    };
    let puppet = Puppet {
        timers: Timers::new(),
        react: Box::new(move |now, input, timers, outbox| match input {
            Input::Start => {
                timers.arm(2, now + Duration::from_millis(2));
                timers.arm(3, now);
                timers.arm(1, now + Duration::from_millis(1));
                feeder.try_send(again.clone()).unwrap();
            }
            Input::Message { .. } => feeder.try_send(again.clone()).unwrap(),
            Input::Timer(2) => outbox.notify(Event::Left),
            _ => {}
        }),
        steps: report,
    };
    let parts = Parts {
        transport: Arc::new(transport),
        disk: Disk::none(),
        watch: Arc::new(|_: &Event| {}),
    };
    assert_eq!(block_on(spawn(puppet, parts).ended()).unwrap(), Exit::Left);
    let mut timers = Vec::new();
    while let Ok(step) = steps.try_recv() {
        if let Input::Timer(timer) = step {
            timers.push(timer);
        }
    }
    assert_eq!(timers, [3, 1, 2]);
}

#[test]
fn messages_are_stepped_while_a_timer_is_always_due() {
    let (mut stage, start) = Stage::held(Disk::none(), |now, input, timers, outbox| {
        match input {
            // A timer that is due again at once, always.
            Input::Start | Input::Timer(_) => timers.arm(1, now),
            Input::Message { .. } => outbox.notify(Event::Left),
            _ => {}
        }
    });
    stage.arrive("a", SenderKind::Client, vec![frame(&request(1))]);
    start();
    assert_eq!(stage.ended().unwrap(), Exit::Left);
}

#[test]
fn no_step_is_told_a_time_before_its_input_was_there() {
    let (mut stage, start) = {
        let sent = Arc::new(Mutex::new(Instant::ZERO));
        let seen = sent.clone();
        let (stage, start) = Stage::held(Disk::none(), move |now, input, _, outbox| {
            if let Input::Message { .. } = input {
                assert!(*seen.lock().unwrap() <= now, "an old clock");
                outbox.notify(Event::Left);
            }
        });
        stage.arrive("a", SenderKind::Client, vec![frame(&request(1))]);
        *sent.lock().unwrap() = Clock.now();
        (stage, start)
    };
    start();
    assert_eq!(stage.ended().unwrap(), Exit::Left);
}

#[test]
fn a_write_is_reported_once_it_is_durable() {
    let stage = Stage::new(puppet_disk(), |_, input, _, outbox| {
        if let Input::Start = input {
            outbox.persist(Ticket(1), meta_save());
        }
    });
    assert_eq!(stage.next_step(), Input::Start);
    assert_eq!(stage.next_step(), Input::Persisted(Ticket(1)));
}

#[test]
fn a_process_without_a_disk_that_wants_to_write_is_ended() {
    let mut stage = Stage::new(Disk::none(), |_, _, _, outbox| {
        outbox.persist(Ticket(1), meta_save());
    });
    assert!(matches!(stage.ended(), Err(DriverError::NoDisk)));
    assert_eq!(stage.next_done(), Done::Closed);
}

#[test]
fn a_panic_in_a_step_is_a_readable_end() {
    let mut stage = Stage::new(Disk::none(), |_, _, _, _| panic!("it cannot be"));
    let error = stage.ended().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the process panicked, please report it: it cannot be"
    );
    assert_eq!(stage.next_done(), Done::Closed);
}

#[test]
fn a_storage_thread_that_panics_ends_the_process_with_its_reason() {
    let mut stage = Stage::new(puppet_disk(), |_, input, _, outbox| {
        if let Input::Start = input {
            // Below the beginning of the log: what no process asks for.
            let begin = Save::Install {
                at: crate::operation::Moment::behind(5),
                history: crate::epochs::EpochHistory::new(),
            };
            outbox.persist(Ticket(1), begin);
            outbox.persist(Ticket(2), Save::Truncate { keep: Position(1) });
        }
    });
    let error = stage.ended().unwrap_err();
    assert!(
        error.to_string().contains("before its beginning"),
        "{error}"
    );
}

#[test]
fn a_refused_join_ends_the_process_with_the_reason() {
    let mut stage = Stage::new(Disk::none(), |_, _, _, outbox| {
        outbox.notify(Event::JoinRefused(JoinRefusal::WrongToken));
    });
    let error = stage.ended().unwrap_err();
    assert!(error.to_string().contains("is a copy"), "{error}");
    assert_eq!(stage.events.lock().unwrap().len(), 1);
}

#[test]
fn a_process_leaves_before_it_ends_and_is_told_so() {
    let stage = Stage::new(Disk::none(), |_, input, _, outbox| {
        if let Input::Leave = input {
            outbox.send(&Address::new("arbiter"), node_message());
            outbox.notify(Event::Left);
        }
    });
    let exit = block_on(stage.running.unwrap().leave()).unwrap();
    assert_eq!(exit, Exit::Left);
    let sent = block_on(stage.done.recv()).unwrap();
    assert!(matches!(sent, Done::Sent(..)), "the last word was not sent");
}

#[test]
fn a_process_ends_when_nobody_is_left_who_could_stop_it() {
    let mut stage = Stage::new(Disk::none(), |_, _, _, _| {});
    drop(stage.running.take());
    assert_eq!(stage.next_done(), Done::Closed);
}

/// Keeps what it is to run, and pauses for ever.
#[derive(Default)]
struct Keeper {
    tasks: Mutex<Vec<Task>>,
    pauses: Mutex<Vec<Duration>>,
}

impl Runtime for Keeper {
    fn spawn(&self, task: Task) {
        self.tasks.lock().unwrap().push(task);
    }

    fn sleep(&self, time: Duration) -> Task {
        self.pauses.lock().unwrap().push(time);
        Box::pin(std::future::pending())
    }
}

/// A process that sets a timer, on such a runtime.
fn kept() -> (Arc<Keeper>, Stage) {
    let keeper = Arc::new(Keeper::default());
    let react: React =
        Box::new(|now, _, timers, _| timers.arm(1, now + Duration::from_millis(300)));
    let stage = Stage::on(Some(keeper.clone()), Disk::none(), react);
    (keeper, stage)
}

#[test]
fn a_process_runs_and_pauses_on_the_runtime_of_its_transport() {
    let (keeper, stage) = kept();
    let mut task = keeper.tasks.lock().unwrap().pop().unwrap();
    assert!(stage.steps.is_empty(), "it runs elsewhere");
    assert!(block_on(futures_lite::future::poll_once(&mut task)).is_none());
    assert_eq!(stage.steps.try_recv().unwrap(), Input::Start);
    let pauses = keeper.pauses.lock().unwrap();
    assert!(matches!(pauses[..], [pause] if pause <= Duration::from_millis(300)));
}

#[test]
fn a_process_whose_runtime_ends_is_reported() {
    let (keeper, mut stage) = kept();
    keeper.tasks.lock().unwrap().clear();
    let error = stage.ended().unwrap_err();
    assert!(matches!(error, DriverError::Abandoned), "{error}");
}

/// Notes whether the end of its process was told when it was let go.
#[derive(Default)]
struct LetGo {
    running: Arc<Mutex<Option<Running>>>,
    was_told: Arc<Mutex<Option<bool>>>,
}

impl Watch for LetGo {
    fn on_event(&self, _: &Event) {}
}

impl Drop for LetGo {
    fn drop(&mut self) {
        let running = self.running.lock().unwrap().take().unwrap();
        *self.was_told.lock().unwrap() = Some(running.result.try_recv().is_ok());
    }
}

#[test]
fn a_process_holds_nothing_any_more_when_its_end_is_told() {
    let keeper = Arc::new(Keeper::default());
    let (mut transport, _arrive, _done) = bench();
    transport.runtime = Some(keeper.clone());
    let watch = LetGo::default();
    let (running, was_told) = (watch.running.clone(), watch.was_told.clone());
    let (steps, _stepped) = async_channel::unbounded();
    let puppet = Puppet {
        timers: Timers::new(),
        react: Box::new(|_, _, _, outbox| outbox.notify(Event::Left)),
        steps,
    };
    let parts = Parts {
        transport: Arc::new(transport),
        disk: Disk::none(),
        watch: Arc::new(watch),
    };
    *running.lock().unwrap() = Some(spawn(puppet, parts));
    let task = keeper.tasks.lock().unwrap().pop().unwrap();
    block_on(task);
    assert_eq!(*was_told.lock().unwrap(), Some(false));
}
