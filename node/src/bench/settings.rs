//! What a bench is to do, as the flags say it.

use std::time::Duration;

use lockstep_bench::client::Level;
use lockstep_bench::keys::{Distribution, Keys, KeysError};
use lockstep_bench::notes::Notes;
use lockstep_bench::values::{ValueSizeError, Values};
use lockstep_bench::workload::Workload;
use lockstep_core::driver::handle::ReadFrom;
use serde::Serialize;

use crate::args::{
    DistributionName, FailoverArgs, LevelName, LoadArgs, MixedArgs, ReadFromName, ReadingLoadArgs,
    ScanningLoadArgs, WorkloadArgs,
};
use crate::output::Failure;

/// Clients of a closed loop.
const CLIENTS: u32 = 64;
/// Operations under way at once in an open loop.
const CLIENTS_OPEN: u32 = 1024;

/// How long is measured.
const DURATION: Duration = Duration::from_secs(10);
/// The same, where somebody has to do something meanwhile.
const DURATION_WATCHED: Duration = Duration::from_secs(60);
/// Operations due each second where something is looked at besides: few enough to be no load.
const RATE: u64 = 1_000;

/// Everything that is chosen.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What is done.
    pub(crate) workload: Workload,
    /// Flags of every workload.
    pub(crate) load: LoadArgs,
    /// How fresh what is read must be.
    pub(crate) level: Level,
    /// Where to read.
    pub(crate) read_from: ReadFrom,
    /// At which replica to read, as the user named it.
    pub(crate) replica: Option<String>,
    /// Are the keys written first?
    pub(crate) loads: bool,
    /// Where the choices come from.
    pub(crate) seed: u64,
    /// What is looked at besides.
    pub(crate) subject: Subject,
}

/// What a bench looks at besides what the clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nothing.
    Load,
    /// How long nothing succeeds when the configuration changes.
    Failover {
        /// Whom to take the primary's role off, as the user named it.
        drain: Option<String>,
    },
    /// How soon replicas that join are in sync, and what clients notice of it.
    CatchUp,
}

/// The settings as programs see them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    workload: &'static str,
    clients: u32,
    connections: u32,
    rate: Option<u64>,
    duration_seconds: f64,
    warm_up_seconds: f64,
    keys: u64,
    key_bytes: u64,
    value_bytes: u64,
    prefix: String,
    distribution: &'static str,
    level: Option<&'static str>,
    read_from: Option<String>,
    deadline_seconds: f64,
    mem_replicas: Option<u32>,
    seed: u64,
}

impl Settings {
    /// What the flags say.
    pub(crate) fn new(args: WorkloadArgs) -> Self {
        match args {
            WorkloadArgs::Put(load) => Self::writing(Workload::PUT, load),
            WorkloadArgs::Get(args) => Self::reading(Workload::GET, args),
            WorkloadArgs::Mixed(MixedArgs { reads, reading }) => {
                Self::reading(Workload::mixed(reads), reading)
            }
            WorkloadArgs::YcsbA(args) => Self::reading(Workload::YCSB_A, args),
            WorkloadArgs::YcsbB(args) => Self::reading(Workload::YCSB_B, args),
            WorkloadArgs::YcsbC(args) => Self::reading(Workload::YCSB_C, args),
            WorkloadArgs::YcsbD(args) => Self::reading(Workload::YCSB_D, args),
            WorkloadArgs::YcsbE(args) => Self::scanning(Workload::YCSB_E, args),
            WorkloadArgs::YcsbF(args) => Self::reading(Workload::YCSB_F, args),
            WorkloadArgs::Failover(FailoverArgs { drain, reading }) => {
                Self::reading(Workload::FAILOVER, reading).about(Subject::Failover { drain })
            }
            WorkloadArgs::CatchUp(load) => {
                Self::writing(Workload::CATCH_UP, load).about(Subject::CatchUp)
            }
        }
    }

    fn writing(workload: Workload, load: LoadArgs) -> Self {
        Self {
            workload,
            seed: load.seed.unwrap_or_else(rand::random),
            load,
            level: Level::default(),
            read_from: ReadFrom::default(),
            replica: None,
            loads: false,
            subject: Subject::Load,
        }
    }

    fn reading(workload: Workload, args: ReadingLoadArgs) -> Self {
        Self {
            level: match args.level {
                LevelName::Linearizable => Level::Linearizable,
                LevelName::Local => Level::Local,
                LevelName::AtLeast => Level::AtLeast,
            },
            read_from: match args.read_from {
                ReadFromName::Any => ReadFrom::Any,
                ReadFromName::Primary => ReadFrom::Primary,
            },
            ..Self::scanning(workload, args.scanning)
        }
    }

    fn scanning(workload: Workload, args: ScanningLoadArgs) -> Self {
        Self {
            // Scans have no other one.
            level: Level::Local,
            replica: args.replica,
            loads: workload.reads() && !args.no_load,
            ..Self::writing(workload, args.load)
        }
    }

    /// The same, looking at something besides. That takes an open loop, which does not rest when the cluster does.
    fn about(mut self, subject: Subject) -> Self {
        self.load.rate.get_or_insert(RATE);
        self.load.duration.get_or_insert(DURATION_WATCHED);
        self.subject = subject;
        self
    }

    /// How long to measure.
    pub(crate) fn duration(&self) -> Duration {
        self.load.duration.unwrap_or(DURATION)
    }

    /// Clients at work at once.
    pub(crate) fn clients(&self) -> u32 {
        let default = match self.load.rate {
            Some(_) => CLIENTS_OPEN,
            None => CLIENTS,
        };
        self.load.clients.unwrap_or(default)
    }

    /// How keys are chosen.
    pub(crate) fn distribution(&self) -> Distribution {
        match self.load.distribution {
            None => self.workload.distribution,
            Some(DistributionName::Uniform) => Distribution::Uniform,
            Some(DistributionName::Zipfian) => Distribution::Zipfian,
            Some(DistributionName::Latest) => Distribution::Latest,
            Some(DistributionName::Sequential) => Distribution::Sequential,
        }
    }

    /// The keys that the flags ask for.
    pub(crate) fn keys(&self) -> Result<Keys, Failure> {
        let load = &self.load;
        let keys = Keys::new(&load.prefix, load.key_size.as_usize(), load.keys);
        keys.map_err(|error| {
            Failure::Usage(match error {
                KeysError::TooShort { .. } => {
                    format!("{error}: give more with --key-size, or a shorter --prefix")
                }
                KeysError::TooLong { size, limit } => format!(
                    "--key-size {size} is above {limit}, which is the most a cluster can be configured to take"
                ),
            })
        })
    }

    /// The values that the flags ask for, of the run of this number.
    pub(crate) fn values(&self, run: u64) -> Result<Values, Failure> {
        let values = Values::new(run, self.load.value_size.as_usize());
        values.map_err(|error| {
            let ValueSizeError { size } = error;
            Failure::Usage(format!("--value-size {size} is not possible: {error}"))
        })
    }

    /// What is to be noted down of each operation.
    pub(crate) fn notes(&self) -> Notes {
        match self.subject {
            Subject::Load => Notes::Nothing,
            Subject::Failover { .. } => Notes::pauses(),
            Subject::CatchUp => Notes::stages(),
        }
    }

    /// In words for programs.
    pub(crate) fn told(&self) -> Told {
        let load = &self.load;
        let reads = self.workload.reads();
        Told {
            workload: self.workload.name,
            clients: self.clients(),
            connections: load.connections,
            rate: load.rate,
            duration_seconds: self.duration().as_secs_f64(),
            warm_up_seconds: load.warm_up.as_secs_f64(),
            keys: load.keys,
            key_bytes: load.key_size.0,
            value_bytes: load.value_size.0,
            prefix: load.prefix.clone(),
            distribution: match self.distribution() {
                Distribution::Uniform => "uniform",
                Distribution::Zipfian => "zipfian",
                Distribution::Latest => "latest",
                Distribution::Sequential => "sequential",
            },
            level: reads.then_some(match self.level {
                Level::Linearizable => "linearizable",
                Level::Local => "local",
                Level::AtLeast => "at-least",
            }),
            read_from: reads.then(|| match (&self.replica, self.read_from) {
                (Some(replica), _) => replica.clone(),
                (None, _) if self.workload.scans() => "one replica".to_owned(),
                (None, ReadFrom::Any) => "any".to_owned(),
                (None, ReadFrom::Primary) => "primary".to_owned(),
            }),
            deadline_seconds: load.deadline.as_secs_f64(),
            mem_replicas: load.mem,
            seed: self.seed,
        }
    }

    /// In words for people, on one line.
    pub(crate) fn text(&self) -> String {
        let told = self.told();
        let pace = match told.rate {
            Some(rate) => format!("{} operations/s due", crate::output::count(rate)),
            None => "closed loop".to_owned(),
        };
        let mut text = format!(
            "{}: {pace}, {} clients on {} connections, {} {} keys of {}, values of {}",
            told.workload,
            crate::output::count(told.clients.into()),
            told.connections,
            crate::output::count(told.keys),
            told.distribution,
            crate::output::bytes(told.key_bytes),
            crate::output::bytes(told.value_bytes),
        );
        if let (Some(level), Some(read_from)) = (told.level, &told.read_from) {
            text.push_str(&format!(", {level} reads from {read_from}"));
        }
        text
    }
}
