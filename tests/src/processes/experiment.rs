//! Rounds of one scenario on one cluster under load: something goes wrong, clients have to get on, the cluster has to
//! become whole again.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fault::Fault;
use super::journal::Task;
use super::load::Load;
use super::report::Report;
use super::{
    Cluster, Failure, Hosts, LoadOptions, Machines, Observer, PATIENCE, PrivateNetwork, REPLICAS,
    Scenario, Subject, until,
};
use crate::oracle;

/// What is to be done, and with what.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// `lockstep`.
    pub program: PathBuf,
    /// What goes wrong.
    pub scenario: Scenario,
    /// How often.
    pub rounds: u64,
    /// What clients do meanwhile.
    pub load: LoadOptions,
    /// Chooses the moments, and what clients read and write.
    pub seed: u64,
    /// The network, if there is one of its own.
    pub network: Option<PrivateNetwork>,
    /// Keep data and logs of the processes in any case, not only if a promise was broken.
    pub keep: bool,
}

/// A fault that has not been dealt with by then is made good, and reported: clients have given up long ago.
const DEAL_PATIENCE: Duration = Duration::from_secs(10);

/// Between two rounds passes between once and twice this time, so that faults meet leases and Beacons at any point.
const CALM: Duration = Duration::from_millis(300);

/// An experiment under way.
struct Course<'a> {
    experiment: &'a Experiment,
    cluster: Box<dyn Subject>,
    observer: Observer,
    load: Load,
    rng: ChaCha8Rng,
    report: Report,
}

impl Experiment {
    /// Does it, and tells `progress` of each round that is over.
    ///
    /// # Errors
    /// If there is nothing to experiment with. What goes wrong with the cluster later stands in the report.
    pub fn run(&self, mut progress: impl FnMut(u64)) -> Result<Report, Failure> {
        let hosts = self.network.map_or(Hosts::LOCAL, |network| network.hosts());
        let cluster: Box<dyn Subject> = if self.scenario.needs_machines() {
            let hosts = hosts.replicas.map(IpAddr::from);
            Box::new(Machines::whole(&self.program, &hosts)?)
        } else if self.scenario.needs_disks() {
            Box::new(Cluster::start_on_disks(&self.program, hosts)?)
        } else {
            Box::new(Cluster::start(&self.program, hosts)?)
        };
        let begun = Instant::now();
        let mut course = Course {
            experiment: self,
            observer: Observer::new(&*cluster)?,
            load: Load::start(&*cluster, &self.load, self.seed)?,
            cluster,
            rng: ChaCha8Rng::seed_from_u64(self.seed),
            report: Report::new(self.scenario),
        };
        course.report.load_before = load_average();
        for number in 0..self.rounds {
            if let Err(failure) = course.round(number) {
                let trouble = format!("round {}: {failure}", number + 1);
                course.report.troubles.push(trouble);
                break;
            }
            course.report.rounds += 1;
            progress(course.report.rounds);
        }
        course.report.seconds = begun.elapsed().as_secs_f64();
        course.report.load_after = load_average();
        course.conclude()
    }
}

impl Course<'_> {
    fn round(&mut self, number: u64) -> Result<(), Failure> {
        thread::sleep(self.rng.random_range(CALM..2 * CALM));
        let (primary, view) = until("there is a primary", PATIENCE, || {
            let view = self.observer.look();
            view.primary().map(|primary| (primary, view))
        })?;
        let Experiment {
            scenario, network, ..
        } = *self.experiment;
        let drawn = self.rng.random_range(0..REPLICAS);
        let fault = Fault::new(scenario, number, primary, drawn, network)?;
        let journal = self.load.journal();
        let begun = (journal.now(), Instant::now());
        fault.begin(&mut *self.cluster)?;
        let dealt = until("it is dealt with", DEAL_PATIENCE, || {
            let is_dealt_with =
                fault.is_dealt_with(&self.observer.look(), primary, begun.1.elapsed());
            (is_dealt_with && journal.all_succeed_since(begun.0)).then_some(())
        });
        if let Err(failure) = dealt {
            let trouble = format!("round {}, {}: {failure}", number + 1, fault.name());
            self.report.troubles.push(trouble);
        }
        let ended = journal.now();
        fault.end(&mut *self.cluster)?;
        until("the cluster is whole and clients succeed", PATIENCE, || {
            let now = self.observer.look();
            let is_whole = now.is_whole() && fault.is_made_good(&view, &now);
            (is_whole && journal.all_succeed_since(ended)).then_some(())
        })?;
        let (writes, reads) = (
            journal.longest(Task::Write, begun.0),
            journal.longest(Task::Read, begun.0),
        );
        self.report.row(fault.name()).add(writes, reads);
        Ok(())
    }

    /// Reads everything everywhere, and has the whole history judged.
    fn conclude(mut self) -> Result<Report, Failure> {
        self.load.finish(&*self.cluster, &self.experiment.load)?;
        let pages = self.load.journal().take();
        self.report.failed = self.load.failed();
        self.report.errors = pages.errors;
        self.report.oracle = oracle::check(&pages.history, &[], oracle::Options::default());
        if self.experiment.keep || !self.report.broken_promises().is_empty() {
            self.report.kept = Some(self.cluster.keep());
        }
        Ok(self.report)
    }
}

/// How busy the machine was in the last minute, where it tells.
fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}
