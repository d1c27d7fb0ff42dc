//! Golden scripts: commands to a steady simulated cluster, and below each the conversation it led to.
//!
//! A script is a text file of lines: `# …` explains, `> …` is a command, everything else was recorded. Running a
//! script gives its text anew; a difference to the file is a change of behaviour that somebody has to read.
//! The commands are those of `Runner::execute`.

use std::fmt::Write as _;

use lockstep_core::config::Position;
use lockstep_core::limits::Limits;
use lockstep_core::message::{Drain, Message, Request, RequestBody};
use lockstep_core::operation::{ClientId, Key, ReadLevel, RequestId, Value};
use lockstep_core::process::{CallBody, CallId};

use crate::cluster::{Cluster, ClusterOptions, MS};
use crate::trace::{Detail, Trace};

/// Runs a script. Returns its text with the conversation as it is.
///
/// # Errors
/// If a command cannot be understood, or an invariant is violated; the message names the command.
pub fn run(script: &str) -> Result<String, String> {
    let mut runner = Runner {
        cluster: None,
        request: None,
    };
    let mut text = String::new();
    for line in script.lines() {
        let keeps = line.starts_with('#') || line.starts_with('>') || line.is_empty();
        if keeps {
            text.push_str(line);
            text.push('\n');
        }
        let Some(command) = line.strip_prefix("> ") else {
            continue;
        };
        let recorded = runner
            .execute(command)
            .map_err(|what| format!("{command}: {what}"))?;
        for line in recorded {
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// What is different in two texts, line by line, with what surrounds it. Empty if nothing is.
pub fn difference(former: &str, present: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (former.lines().collect(), present.lines().collect());
    let (width, height) = (new.len() + 1, old.len() + 1);
    // The length of the longest common subsequence of what is left of both.
    let mut common = vec![0_usize; width * height];
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            common[i * width + j] = if left == right {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!("  {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    with_surroundings(&lines)
}

/// The lines that differ, and a few around each.
fn with_surroundings(lines: &[String]) -> String {
    const AROUND: usize = 3;
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let near = &lines[index.saturating_sub(AROUND)..lines.len().min(index + AROUND + 1)];
        if near.iter().any(|line| !line.starts_with("  ")) {
            writeln!(text, "{line}").expect("a string takes everything");
        }
    }
    text
}

/// Time given to a call before it is given up.
const PATIENCE: u64 = 3_000 * MS;

struct Runner {
    cluster: Option<Cluster>,
    /// What was requested last without a call.
    request: Option<Request>,
}

impl Runner {
    /// Carries a command out and returns what was said meanwhile.
    ///
    /// - `cluster REPLICAS CLIENTS [log=BYTES] [in_sync=N] [uncommitted=BYTES]`: a new cluster in which nothing runs
    /// - `ready`: everybody is started and in sync; nothing of that is recorded
    /// - `start NODE…`, `crash NODE…`, `leave NODE`, `wipe NODE` (a new, empty node has its name when it is started)
    /// - `wait MS`
    /// - `put CLIENT KEY VALUE`, `remove CLIENT KEY`, `scan CLIENT REPLICA`, `drain CLIENT REPLICA`,
    ///   `drain CLIENT REPLICA role`: until it is done
    /// - `get CLIENT KEY REPLICA LEVEL`: the same; the level is `local`, `linearizable` or a position
    /// - `request CLIENT REPLICA put KEY VALUE`: sent without asking who is primary; the answer is in the conversation
    /// - `repeat CLIENT REPLICA`: that request once more
    /// - `cut NODE NODE MS`, `silence NODE NODE MS` (what the first says to the second is lost)
    ///   `isolate NODE MS`, `pause NODE MS`, `hang NODE MS`, `fill NODE MS`
    /// - `show`: the configuration and what every replica has
    fn execute(&mut self, command: &str) -> Result<Vec<String>, String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["cluster", replicas, clients, options @ ..] = words.as_slice() {
            self.cluster = Some(build(number(replicas)?, number(clients)?, options)?);
            return Ok(Vec::new());
        }
        let cluster = self.cluster.as_mut().ok_or("there is no cluster")?;
        match words.as_slice() {
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
            ["wait", millis] => {
                let end = cluster.now() + millis_of(millis)?;
                cluster.run_until(end);
            }
            ["put", client, key, value] => {
                let (key, value) = (Key::from(*key), Value::from(*value));
                call(cluster, client, CallBody::Insert { key, value })?;
            }
            ["remove", client, key] => {
                let key = Key::from(*key);
                call(cluster, client, CallBody::Remove { key })?;
            }
            ["get", client, key, replica, level] => {
                let replica = node(cluster, replica)?;
                let body = CallBody::Get {
                    key: Key::from(*key),
                    level: level_of(level)?,
                    replica: Some(cluster.nodes()[replica].address.clone()),
                };
                call(cluster, client, body)?;
            }
            ["scan", client, replica] => {
                let replica = node(cluster, replica)?;
                let body = CallBody::Scan {
                    after: None,
                    replica: Some(cluster.nodes()[replica].address.clone()),
                };
                call(cluster, client, body)?;
            }
            ["drain", client, replica, role @ ..] => {
                let replica = node(cluster, replica)?;
                let body = CallBody::Drain {
                    replica: cluster.nodes()[replica].address.clone(),
                    drain: match role {
                        [] => Drain::Node,
                        ["role"] => Drain::Primary,
                        _ => return Err("no such drain".to_owned()),
                    },
                };
                call(cluster, client, body)?;
            }
            ["request", client, replica, "put", key, value] => {
                let (from, to) = (node(cluster, client)?, node(cluster, replica)?);
                let request = Request {
                    client: ClientId(u64::MAX),
                    id: RequestId(cluster.now()),
                    session: Default::default(),
                    body: RequestBody::Insert {
                        key: Key::from(*key),
                        value: Value::from(*value),
                    },
                };
                self.request = Some(request.clone());
                cluster.inject(from, to, &Message::Request(request));
                cluster.run_until(cluster.now() + 5 * MS);
            }
            ["repeat", client, replica] => {
                let (from, to) = (node(cluster, client)?, node(cluster, replica)?);
                let request = self.request.clone().ok_or("there is no request")?;
                cluster.inject(from, to, &Message::Request(request));
                cluster.run_until(cluster.now() + 5 * MS);
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
                cluster.fill_disk(node, millis_of(millis)?);
            }
            ["show"] => {}
            _ => return Err("no such command".to_owned()),
        }
        let mut lines = cluster.trace.take_lines();
        if words == ["show"] {
            lines.extend(show(cluster));
        }
        match cluster.violation() {
            Some(violation) => Err(violation.to_string()),
            None => Ok(lines),
        }
    }
}

fn build(replicas: usize, clients: usize, options: &[&str]) -> Result<Cluster, String> {
    let mut limits = Limits::default();
    for option in options {
        match option.split_once('=') {
            Some(("log", bytes)) => limits.log_bytes_max = number(bytes)?,
            Some(("in_sync", least)) => limits.min_in_sync = number(least)?,
            Some(("uncommitted", bytes)) => limits.uncommitted_bytes_max = number(bytes)?,
            Some(_) | None => return Err(format!("no such option: {option}")),
        }
    }
    let mut cluster = Cluster::new(ClusterOptions {
        limits,
        ..ClusterOptions::steady(replicas, clients)
    });
    cluster.trace = Trace::new(Detail::Story);
    Ok(cluster)
}

/// Everybody starts, one after the other, and has settled by the end of the second.
fn make_ready(cluster: &mut Cluster) {
    for index in 0..cluster.nodes().len() {
        cluster.start(index);
        cluster.run_until(cluster.now() + 20 * MS);
    }
    cluster.run_until(1_000 * MS);
    cluster.trace.take_lines();
}

fn node(cluster: &Cluster, name: &str) -> Result<usize, String> {
    cluster
        .index_of(name)
        .ok_or_else(|| format!("no such node: {name}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn level_of(text: &str) -> Result<ReadLevel, String> {
    match text {
        "local" => Ok(ReadLevel::Local),
        "linearizable" => Ok(ReadLevel::Linearizable),
        position => number(position).map(|position| ReadLevel::AtLeast(Position(position))),
    }
}

fn millis_of(text: &str) -> Result<u64, String> {
    number::<u64>(text).map(|millis| millis * MS)
}

/// Has a client call, and lets time pass until it has the outcome.
fn call(cluster: &mut Cluster, client: &str, body: CallBody) -> Result<(), String> {
    let client = node(cluster, client)?;
    let call = cluster.call(client, body, PATIENCE);
    let is_done = |cluster: &Cluster, call: CallId| {
        let record = cluster.history.record(call);
        record.is_some_and(|record| record.ended.is_some())
    };
    let end = cluster.now() + 2 * PATIENCE;
    while !is_done(cluster, call) && cluster.now() < end && cluster.violation().is_none() {
        cluster.run_until(cluster.now() + MS / 10);
    }
    Ok(())
}

/// The configuration, and what every replica has on its disk.
fn show(cluster: &Cluster) -> Vec<String> {
    let mut lines = vec![format!("    {}", crate::trace::config(cluster.config()))];
    for index in cluster.replicas() {
        let node = &cluster.nodes()[index];
        let disk = node.disk().expect("a replica has a disk");
        let records: Vec<_> = disk
            .state()
            .records
            .iter()
            .map(|(key, value)| format!("{key:?}={value:?}"))
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
