//! Who looks at the cluster besides what the clients do, where a bench is about that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::task::{self, JoinHandle};
use lockstep_bench::client::Course;
use lockstep_bench::notes::Notes;
use lockstep_core::config::Address;
use serde_json::Value as Json;

use crate::bench::catch_up::{self, Join};
use crate::bench::failover::{self, Event, Failover};
use crate::bench::settings::Subject;
use crate::output::Failure;
use crate::patience::Patience;
use crate::store::Store;

/// Nodes that do not answer within this time are not waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Looks at the cluster.
pub(crate) struct Observer {
    store: Store,
    subject: Subject,
    drained: Option<Address>,
    work: Work,
}

enum Work {
    Nothing,
    Failover(JoinHandle<Vec<Event>>),
    CatchUp(JoinHandle<Vec<Join>>),
}

impl Observer {
    /// Has everything it needs to begin.
    pub(crate) async fn new(subject: &Subject, store: &Store) -> Result<Self, Failure> {
        let drained = match subject {
            Subject::Failover { drain: Some(name) } => {
                Some(failover::find_drained(store, name).await?)
            }
            Subject::Failover { drain: None } | Subject::Load | Subject::CatchUp => None,
        };
        Ok(Self {
            store: store.clone().with_patience(Patience::EachCall(PATIENCE)),
            subject: subject.clone(),
            drained,
            work: Work::Nothing,
        })
    }

    /// Looks from now on until the schedule ends.
    pub(crate) fn begin(&mut self, course: &Arc<Course>) {
        let (store, course) = (self.store.clone(), course.clone());
        self.work = match self.subject {
            Subject::Load => Work::Nothing,
            Subject::Failover { .. } => {
                let at = course.measured_from;
                let drain = self.drained.take().map(|replica| (replica, at));
                Work::Failover(task::spawn(failover::watch(store, course, drain)))
            }
            Subject::CatchUp => Work::CatchUp(task::spawn(catch_up::watch(store, course))),
        };
    }

    /// What it has seen, for people and for programs.
    pub(crate) async fn end(self, course: &Course, ended: Instant) -> Option<(String, Json)> {
        match (self.work, &course.notes) {
            (Work::Failover(watching), Notes::Pauses { reads, writes }) => {
                for pauses in [reads, writes] {
                    pauses.end(ended);
                }
                let failover = Failover::new(watching.await, reads, writes);
                Some((failover.text(), failover.json()))
            }
            (Work::CatchUp(watching), Notes::Stages(stages)) => {
                let joins = watching.await;
                let text = catch_up::text(&joins, stages);
                Some((text, catch_up::json(&joins, stages)))
            }
            (Work::Nothing | Work::Failover(_) | Work::CatchUp(_), _) => None,
        }
    }
}
