//! Golden scripts: commands to a steady simulated cluster, and below each the conversation it led to.
//!
//! A script is a text file of lines: `# …` explains, `> …` is a command, everything else was recorded. Running a
//! script gives its text anew; a difference to the file is a change of behaviour that somebody has to read.
//! The commands are those of `Runner::execute`.

mod difference;
mod words;

use std::time::Duration;

use lockstep_core::limits::Timing;
use lockstep_core::message::{Message, Request, RequestBody};
use lockstep_core::operation::{ClientId, Key, Origin, RequestId, Value};
use lockstep_core::process::CallId;

pub use self::difference::difference;
use self::words::{Asked, build, call_of, millis_of, node, number};
use crate::chaos;
use crate::cluster::{Clock, Cluster, MS};
use crate::disk::Full;
use crate::invariants::Violation;
use crate::trace::{self, Detail};

/// What a script gave.
#[derive(Debug)]
pub struct Played {
    /// Its text with the conversation as it is.
    pub text: String,
    /// The invariant that it broke, if one was; the script ends there.
    pub violation: Option<Violation>,
}

/// Runs a script, and records that much of the conversation.
///
/// # Errors
/// If a command cannot be understood; the message names it.
pub fn run(script: &str, detail: Detail) -> Result<Played, String> {
    let mut runner = Runner {
        cluster: None,
        request: None,
        detail,
    };
    let mut text = String::new();
    let mut record = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    for line in script.lines() {
        if line.starts_with('#') || line.starts_with('>') || line.is_empty() {
            record(line);
        }
        let Some(command) = line.strip_prefix("> ") else {
            continue;
        };
        let recorded = runner
            .execute(command)
            .map_err(|what| format!("{command}: {what}"))?;
        for line in recorded {
            record(&line);
        }
        if let Some(violation) = runner.cluster.as_ref().and_then(Cluster::violation) {
            let violation = Some(violation.clone());
            return Ok(Played { text, violation });
        }
    }
    let violation = None;
    Ok(Played { text, violation })
}

/// Time given to a call before it is given up.
const PATIENCE: u64 = 3_000 * MS;

struct Runner {
    cluster: Option<Cluster>,
    /// What was requested last without a call.
    request: Option<Request>,
    detail: Detail,
}

impl Runner {
    /// Carries a command out and returns what was said meanwhile.
    ///
    /// - `cluster REPLICAS CLIENTS [log=BYTES] [in_sync=N] [uncommitted=BYTES] [drift=PERMILLE]`: a new cluster in
    ///   which nothing runs; `drift` is what its replicas were told about their clocks
    /// - `clock NODE MS PPM`: from its next start its clock shows so much more than the time here, and runs fast by so
    ///   many millionths, or slow if that is negative
    /// - `ready`: everybody is started and in sync; nothing of that is recorded
    /// - `start NODE…`, `crash NODE…`, `leave NODE`, `wipe NODE` (a new, empty node has its name when it is started)
    /// - `save NODE`: what it keeps is copied; `restore NODE NODE`: the first, which is down, gets the copy of the second
    /// - `lease NODE MS`: from its next start on
    /// - `wait MS`
    /// - `put CLIENT KEY VALUE`, `remove CLIENT KEY`, `scan CLIENT REPLICA`, `drain CLIENT REPLICA`,
    ///   `drain CLIENT REPLICA role`: until it is done
    /// - `get CLIENT KEY REPLICA LEVEL`: the same; the level is `local`, `linearizable` or a position
    /// - `begin put …` and so on: the same, without waiting for it
    /// - `request CLIENT REPLICA put KEY VALUE`: sent without asking who is primary; the answer is in the conversation
    /// - `repeat CLIENT REPLICA`: that request once more
    /// - `cut NODE NODE MS`, `silence NODE NODE MS` (what the first says to the second is lost)
    ///   `isolate NODE MS`, `pause NODE MS`, `hang NODE MS`, `fill NODE MS` (to the last byte)
    /// - `hold NODE NODE KIND`: messages of that kind from the first to the second are kept back; `copy …`: they
    ///   arrive, and copies are kept; `pass …`: no more are; `release …`: nor are they any longer, and those that were
    ///   kept arrive now
    /// - `calm`: all faults end, and everything is waited for that must be well again then; what is held stays held
    /// - `end`: what must hold at the end of a simulation is looked at
    /// - `show`: the configuration and what every replica has
    fn execute(&mut self, command: &str) -> Result<Vec<String>, String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["cluster", replicas, clients, options @ ..] = words.as_slice() {
            let mut cluster = build(number(replicas)?, number(clients)?, options)?;
            cluster.trace = trace::Trace::new(self.detail);
            self.cluster = Some(cluster);
            return Ok(Vec::new());
        }
        let cluster = self.cluster.as_mut().ok_or("there is no cluster")?;
        match words.as_slice() {
            ["clock", name, offset, drift] => {
                let (node, offset) = (node(cluster, name)?, millis_of(offset)?);
                let drift = number(drift)?;
                cluster.set_clock(node, Clock { offset, drift });
            }
            ["ready"] => {
                make_ready(cluster);
            }
            ["start", names @ ..] => {
                for name in names {
                    let node = node(cluster, name)?;
                    cluster.start(node);
                }
            }
            ["crash", names @ ..] => {
                for name in names {
                    let node = node(cluster, name)?;
                    cluster.power_off(node);
                }
            }
            ["leave", name] => {
                let node = node(cluster, name)?;
                cluster.leave(node);
            }
            ["wipe", name] => {
                let node = node(cluster, name)?;
                cluster.lose_disk(node);
            }
            ["save", name] => {
                let node = node(cluster, name)?;
                cluster.save(node);
            }
            ["restore", name, from] => {
                let (node, from) = (node(cluster, name)?, node(cluster, from)?);
                cluster.put_back(node, from);
            }
            ["lease", name, millis] => {
                let node = node(cluster, name)?;
                let lease = Duration::from_nanos(millis_of(millis)?);
                let beacon = lease / 5;
                let timing = cluster.options().limits.timing.clone();
                cluster.set_timing(
                    node,
                    Timing {
                        lease,
                        beacon,
                        ..timing
                    },
                );
            }
            ["wait", millis] => {
                let end = cluster.now() + millis_of(millis)?;
                cluster.run_until(end);
            }
            ["begin", words @ ..] => {
                call_of(cluster, words)?.call(cluster, PATIENCE);
            }
            ["request", client, replica, "put", key, value] => {
                self.request = Some(request_of(cluster.now(), key, value));
                send(cluster, client, replica, self.request.as_ref())?;
            }
            ["repeat", client, replica] => {
                send(cluster, client, replica, self.request.as_ref())?;
            }
            ["cut", one, other, millis] => {
                let (one, other) = (node(cluster, one)?, node(cluster, other)?);
                cluster.cut(one, other, millis_of(millis)?);
            }
            ["silence", from, to, millis] => {
                let (from, to) = (node(cluster, from)?, node(cluster, to)?);
                cluster.cut_one_way(from, to, millis_of(millis)?);
            }
            ["isolate", name, millis] => {
                let node = node(cluster, name)?;
                cluster.isolate(node, millis_of(millis)?);
            }
            ["pause", name, millis] => {
                let node = node(cluster, name)?;
                cluster.pause(node, millis_of(millis)?);
            }
            ["hang", name, millis] => {
                let node = node(cluster, name)?;
                cluster.hang_disk(node, millis_of(millis)?);
            }
            ["fill", name, millis] => {
                let node = node(cluster, name)?;
                cluster.fill(node, Full::All, millis_of(millis)?);
            }
            [
                what @ ("hold" | "copy" | "pass" | "release"),
                from,
                to,
                kind,
            ] => {
                let (from, to) = (node(cluster, from)?, node(cluster, to)?);
                match *what {
                    "hold" => cluster.hold(from, to, kind),
                    "copy" => cluster.copy(from, to, kind),
                    "pass" => cluster.pass(from, to, kind),
                    _ => cluster.release(from, to, kind),
                }
            }
            ["calm"] => {
                cluster.heal();
                chaos::await_calm(cluster);
            }
            ["end"] => cluster.finish(),
            ["show"] => {}
            words => {
                let asked = call_of(cluster, words)?;
                call(cluster, asked);
            }
        }
        let mut lines = cluster.trace.take_lines();
        if words == ["show"] {
            lines.extend(show(cluster));
        }
        Ok(lines)
    }
}

/// A request of a client that does not ask who is primary.
fn request_of(now: u64, key: &str, value: &str) -> Request {
    Request {
        origin: Origin::plain(ClientId(u64::MAX), RequestId(now)),
        body: RequestBody::Insert {
            key: Key::from(key),
            value: Value::from(value),
        },
        attempt: Default::default(),
    }
}

/// Sends a request in the name of a client, and lets it be answered.
fn send(
    cluster: &mut Cluster,
    client: &str,
    replica: &str,
    request: Option<&Request>,
) -> Result<(), String> {
    let (from, to) = (node(cluster, client)?, node(cluster, replica)?);
    let request = request.ok_or("there is no request")?;
    cluster.inject(from, to, &Message::Request(request.clone()));
    cluster.run_until(cluster.now() + 5 * MS);
    Ok(())
}

/// Everybody starts, one after the other, and has settled by the end of the second.
fn make_ready(cluster: &mut Cluster) {
    cluster.start_all();
    cluster.run_until(1_000 * MS);
    cluster.trace.take_lines();
}

/// Has a client call, and lets time pass until it has the outcome.
fn call(cluster: &mut Cluster, asked: Asked) {
    let call = asked.call(cluster, PATIENCE);
    let is_done = |cluster: &Cluster, call: CallId| {
        let record = cluster.history.record(call);
        record.is_some_and(|record| record.ended.is_some())
    };
    let end = cluster.now() + 2 * PATIENCE;
    while !is_done(cluster, call) && cluster.now() < end && cluster.violation().is_none() {
        cluster.run_until(cluster.now() + MS / 10);
    }
}

/// The configuration, and what every replica has on its disk.
fn show(cluster: &Cluster) -> Vec<String> {
    let mut lines = vec![format!("    {}", trace::config(cluster.config()))];
    for index in cluster.replicas() {
        let node = &cluster.nodes()[index];
        let disk = node.disk().expect("a replica has a disk");
        let records: Vec<_> = disk
            .state()
            .records
            .iter()
            .map(|(key, record)| format!("{key:?}={:?}", record.value))
            .collect();
        lines.push(format!(
            "    {}{}: log {}..{}, state at {}: {}",
            node.name,
            if node.is_up() { "" } else { " (down)" },
            disk.log().start(),
            disk.log().end(),
            disk.state().applied,
            if records.is_empty() {
                "empty".to_owned()
            } else {
                records.join(" ")
            }
        ));
    }
    lines
}
