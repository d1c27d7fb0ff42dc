//! What is planned, in the order in which it happens.

use super::*;

/// Turns of processes, and looks of disks, without time passing that none in order takes.
const TURNS_AT_ONCE_MAX: u32 = 20_000;

/// Something planned.
pub(super) enum Plan {
    /// A frame arrives.
    Arrive {
        from: usize,
        to: usize,
        frame: Bytes,
    },
    /// A process takes what waits for it.
    Turn { node: usize },
    /// The disk is done with its job.
    Worked { node: usize, start: u64 },
    /// The disk looks up.
    DiskDue { node: usize, start: u64 },
    /// The state has applied what it was to.
    Applied {
        node: usize,
        start: u64,
        committed: Committed,
    },
    /// The state is durable.
    Checkpointed { node: usize, start: u64 },
    /// The state answers a Get.
    Get {
        node: usize,
        start: u64,
        ticket: Ticket,
        key: Key,
        /// Nanoseconds until the process has the answer.
        way_back: u64,
    },
    /// The state answers what is read in bulk.
    Bulk { node: usize, start: u64 },
    /// A process hears of what its disk did a while ago.
    Report {
        node: usize,
        start: u64,
        report: Report,
    },
    /// A crashed node starts.
    Start { node: usize },
    /// The disk has room again.
    Room { node: usize },
}

pub(super) struct Planned {
    at: u64,
    order: u64,
    plan: Plan,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl Cluster {
    /// Lets everything happen that is due up to `time`, unless an invariant breaks before.
    pub fn run_until(&mut self, time: u64) {
        while self.violation.is_none() {
            match self.queue.peek() {
                Some(Reverse(next)) if next.at <= time => {}
                Some(_) | None => {
                    self.now = self.now.max(time);
                    return;
                }
            }
            let Reverse(next) = self.queue.pop().expect("it was just seen");
            if next.at > self.now {
                self.turns_at_once = 0;
            }
            self.now = next.at;
            self.carry_out(next.plan);
        }
    }

    pub(super) fn carry_out(&mut self, plan: Plan) {
        match plan {
            Plan::Arrive { from, to, frame } => self.arrive(from, to, frame),
            Plan::Turn { node } => {
                if self.nodes[node].turn_at == Some(self.now) {
                    self.nodes[node].turn_at = None;
                    self.turn(node);
                }
            }
            Plan::Worked { node, start } => self.worked(node, start),
            Plan::DiskDue { node, start } => self.disk_due(node, start),
            Plan::Applied {
                node,
                start,
                committed,
            } => self.applied(node, start, committed),
            Plan::Checkpointed { node, start } => self.checkpointed(node, start),
            Plan::Get {
                node,
                start,
                ticket,
                key,
                way_back,
            } => self.get(node, start, ticket, key, way_back),
            Plan::Bulk { node, start } => self.bulk(node, start),
            Plan::Report {
                node,
                start,
                report,
            } => self.deliver_report(node, start, report),
            Plan::Start { node } => self.start(node),
            Plan::Room { node } => self.set_full(node, Full::Nothing),
        }
    }

    pub(super) fn plan(&mut self, at: u64, plan: Plan) {
        self.planned += 1;
        self.queue.push(Reverse(Planned {
            at: at.max(self.now),
            order: self.planned,
            plan,
        }));
    }

    /// Sees to it that the node has a turn as soon as there is something for it to do.
    pub(super) fn plan_turn(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(host) = &node.host else { return };
        let is_hurried = !node.inbox.is_empty() || !node.has_begun || host.is_hurried();
        let wanted = if !is_hurried {
            match host.due() {
                Some(instant) => node.clock.global(instant),
                None => return,
            }
        } else {
            self.now
        };
        let at = wanted.max(node.busy_until).max(self.now);
        if node.turn_at.is_none_or(|planned| planned > at) {
            node.turn_at = Some(at);
            self.plan(at, Plan::Turn { node: index });
        }
    }

    /// A process takes what waits for it and what its timers want, then its effects are carried out.
    pub(super) fn turn(&mut self, index: usize) {
        if self.nodes[index].busy_until > self.now {
            return self.plan_turn(index);
        }
        if self.spins(index) {
            return;
        }
        let Some(mut host) = self.nodes[index].host.take() else {
            return;
        };
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        let has_begun = std::mem::replace(&mut node.has_begun, true);
        let mut arrivals = Vec::new();
        if has_begun {
            self.options.intake.take(&mut node.inbox, &mut arrivals);
        }
        let mut around = Around {
            cluster: self,
            node: index,
            local,
        };
        let rounded = match has_begun {
            true => host.round(arrivals, &mut around),
            false => host.start(&mut around),
        };
        if let Err(error) = rounded {
            let what = format!("{}: {error}", self.nodes[index].name);
            self.violate("the disk works", what);
        }
        let passed = std::mem::take(host.passed());
        self.nodes[index].host = Some(host);
        let has_ended = self.pass_on(index, passed);
        self.tell(&Fact::Stepped { node: index });
        let turn_time = self.rng.random_range(self.options.turn_time.clone());
        let node = &mut self.nodes[index];
        node.turned = self.now;
        node.busy_until = node.busy_until.max(self.now + turn_time);
        if has_ended {
            self.end_in_good_order(index);
        } else {
            self.plan_turn(index);
        }
    }

    /// Counts what happens without time passing. True if it does not come to an end.
    pub(super) fn spins(&mut self, index: usize) -> bool {
        self.turns_at_once += 1;
        let spins = self.turns_at_once > TURNS_AT_ONCE_MAX;
        if spins {
            self.violate("liveness", format!("{} spins", self.nodes[index].name));
        }
        spins
    }
}
