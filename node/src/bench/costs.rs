//! What operations cost the nodes: the differences of what they say they have used, before and after.

use std::collections::BTreeMap;

use lockstep_core::config::NodeId;
use lockstep_core::message::{NodeStatus, Usage};
use serde_json::{Value as Json, json};

use crate::output;
use crate::status::role_name;

/// What the nodes said, after some number of operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    nodes: BTreeMap<NodeId, Node>,
    operations: u64,
}

#[derive(Clone, Debug)]
struct Node {
    name: String,
    role: &'static str,
    usage: Usage,
}

/// What the operations between two samples have cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Costs {
    /// By node, those that answered twice and did not start in between.
    nodes: Vec<Cost>,
    /// All together; what nodes share counts once.
    all: Option<Cost>,
}

/// What one node, or all of them, has used for the operations.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cost {
    name: String,
    role: &'static str,
    memory_bytes: u64,
    /// Without `process` and `memory_bytes`, which do not add up over time.
    used: Usage,
    operations: u64,
}

impl Sample {
    /// What the nodes answered when so many operations were done.
    pub(crate) fn new(answers: &[NodeStatus], operations: u64) -> Self {
        let node = |answer: &NodeStatus| Node {
            name: answer.name.clone(),
            role: role_name(answer.role),
            usage: answer.usage,
        };
        let nodes = answers.iter().map(|answer| (answer.node, node(answer)));
        Self {
            nodes: nodes.collect(),
            operations,
        }
    }
}

impl Costs {
    /// What has been used from one sample to the other.
    pub(crate) fn between(before: &Sample, after: &Sample) -> Self {
        let operations = after.operations.saturating_sub(before.operations);
        let mut nodes = Vec::new();
        let mut all = Cost {
            name: "together".to_owned(),
            role: "",
            operations,
            ..Cost::default()
        };
        let mut processes = Vec::new();
        for (id, node) in &after.nodes {
            let Some(former) = before.nodes.get(id) else {
                continue;
            };
            if former.usage.process != node.usage.process {
                continue;
            }
            let cost = Cost {
                name: node.name.clone(),
                role: node.role,
                memory_bytes: node.usage.memory_bytes,
                used: difference(&former.usage, &node.usage),
                operations,
            };
            let is_counted = processes.contains(&node.usage.process);
            processes.push(node.usage.process);
            all.add(&cost, is_counted);
            nodes.push(cost);
        }
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        let all = (nodes.len() > 1).then_some(all);
        Self { nodes, all }
    }

    /// As a table for people; empty if no node said anything.
    pub(crate) fn table(&self) -> String {
        if self.nodes.is_empty() {
            return String::new();
        }
        let header = [
            "per operation",
            "role",
            "cpu \u{b5}s",
            "memory",
            "disk bytes",
            "syncs",
            "entries/sync",
            "packets out",
            "packets in",
            "bytes out",
            "bytes in",
        ];
        let rows = self.nodes.iter().chain(&self.all).map(Cost::row);
        output::columns(std::iter::once(header.map(str::to_owned).to_vec()).chain(rows))
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        json!({
            "nodes": self.nodes.iter().map(Cost::json).collect::<Vec<Json>>(),
            "together": self.all.as_ref().map(Cost::json),
        })
    }
}

impl Cost {
    /// `is_counted`: what belongs to the process was added with another node of it.
    fn add(&mut self, other: &Self, is_counted: bool) {
        let (sum, used) = (&mut self.used, &other.used);
        if !is_counted {
            self.memory_bytes += other.memory_bytes;
            sum.cpu_micros += used.cpu_micros;
            sum.disk_bytes += used.disk_bytes;
        }
        sum.entries += used.entries;
        sum.entry_bytes += used.entry_bytes;
        sum.syncs += used.syncs;
        sum.packets_sent += used.packets_sent;
        sum.packets_received += used.packets_received;
        sum.bytes_sent += used.bytes_sent;
        sum.bytes_received += used.bytes_received;
    }

    fn per_operation(&self, count: u64) -> f64 {
        count as f64 / self.operations.max(1) as f64
    }

    fn entries_per_sync(&self) -> f64 {
        self.used.entries as f64 / self.used.syncs.max(1) as f64
    }

    fn row(&self) -> Vec<String> {
        let each = |count: u64| format!("{:.2}", self.per_operation(count));
        let used = &self.used;
        vec![
            self.name.clone(),
            self.role.to_owned(),
            each(used.cpu_micros),
            output::bytes(self.memory_bytes),
            each(used.disk_bytes),
            each(used.syncs),
            format!("{:.1}", self.entries_per_sync()),
            each(used.packets_sent),
            each(used.packets_received),
            each(used.bytes_sent),
            each(used.bytes_received),
        ]
    }

    fn json(&self) -> Json {
        let each = |count: u64| output::round(self.per_operation(count));
        let used = &self.used;
        json!({
            "name": self.name,
            "role": self.role,
            "operations": self.operations,
            "memory_bytes": self.memory_bytes,
            "used": used_json(used),
            "per_operation": {
                "cpu_micros": each(used.cpu_micros),
                "disk_bytes": each(used.disk_bytes),
                "entries": each(used.entries),
                "syncs": each(used.syncs),
                "packets_sent": each(used.packets_sent),
                "packets_received": each(used.packets_received),
                "bytes_sent": each(used.bytes_sent),
                "bytes_received": each(used.bytes_received),
            },
            "entries_per_sync": output::round(self.entries_per_sync()),
        })
    }
}

fn used_json(used: &Usage) -> Json {
    json!({
        "cpu_micros": used.cpu_micros,
        "disk_bytes": used.disk_bytes,
        "entries": used.entries,
        "entry_bytes": used.entry_bytes,
        "syncs": used.syncs,
        "packets_sent": used.packets_sent,
        "packets_received": used.packets_received,
        "bytes_sent": used.bytes_sent,
        "bytes_received": used.bytes_received,
    })
}

fn difference(before: &Usage, after: &Usage) -> Usage {
    // What connections carried that are being replaced is missing for a moment.
    let behind = |part: fn(&Usage) -> u64| part(after).saturating_sub(part(before));
    Usage {
        process: 0,
        memory_bytes: 0,
        disk_free: 0,
        disk_needed: 0,
        cpu_micros: behind(|usage| usage.cpu_micros),
        disk_bytes: behind(|usage| usage.disk_bytes),
        entries: behind(|usage| usage.entries),
        entry_bytes: behind(|usage| usage.entry_bytes),
        syncs: behind(|usage| usage.syncs),
        packets_sent: behind(|usage| usage.packets_sent),
        packets_received: behind(|usage| usage.packets_received),
        bytes_sent: behind(|usage| usage.bytes_sent),
        bytes_received: behind(|usage| usage.bytes_received),
        handshakes_failed: behind(|usage| usage.handshakes_failed),
        handshakes_refused: behind(|usage| usage.handshakes_refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(operations: u64, nodes: [(u64, u64, u64); 3]) -> Sample {
        let node = |(process, cpu_micros, syncs)| Node {
            name: String::new(),
            role: "secondary",
            usage: Usage {
                process,
                cpu_micros,
                memory_bytes: 100,
                syncs,
                entries: 8 * syncs,
                ..Usage::default()
            },
        };
        Sample {
            nodes: (1..).map(NodeId).zip(nodes.map(node)).collect(),
            operations,
        }
    }

    #[test]
    fn what_nodes_of_a_process_share_counts_once() {
        let before = sample(100, [(1, 1_000, 0), (1, 1_000, 0), (2, 0, 0)]);
        let after = sample(200, [(1, 3_000, 10), (1, 3_000, 20), (2, 500, 30)]);
        let costs = Costs::between(&before, &after);
        let each: Vec<u64> = costs
            .nodes
            .iter()
            .map(|cost| cost.used.cpu_micros)
            .collect();
        assert_eq!(each, [2_000, 2_000, 500]);
        let all = costs.all.unwrap();
        assert_eq!((all.used.cpu_micros, all.memory_bytes), (2_500, 200));
        assert_eq!(all.used.syncs, 60);
        assert_eq!(all.per_operation(all.used.cpu_micros), 25.0);
        assert_eq!(all.entries_per_sync(), 8.0);
    }

    #[test]
    fn a_node_that_has_started_in_between_is_left_out() {
        let before = sample(0, [(1, 1_000, 9), (2, 0, 0), (3, 0, 0)]);
        let mut after = sample(1, [(9, 10, 1), (2, 5, 0), (3, 0, 0)]);
        assert_eq!(Costs::between(&before, &after).nodes.len(), 2);
        after.nodes.remove(&NodeId(2));
        let costs = Costs::between(&before, &after);
        assert_eq!((costs.nodes.len(), costs.all), (1, None));
        assert_eq!(Costs::between(&Sample::default(), &after).table(), "");
    }
}
