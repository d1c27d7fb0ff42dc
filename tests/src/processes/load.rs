//! Clients at work: each makes one call after the other and enters it into the journal.
//!
//! Keys, schedule and pauses are the load generator's. Its clients are not used: they keep some bytes a key to judge what they read,
//! whereas the oracle wants every call, with its answer, and removals as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_std::task::{self, JoinHandle};
use lockstep_bench::keys::{Chooser, Distribution, Keys};
use lockstep_bench::schedule::Schedule;
use lockstep_core::config::Address;
use lockstep_core::driver;
use lockstep_core::driver::handle::{Acknowledged, ClientOptions, Handle};
use lockstep_core::operation::{Key, ReadLevel, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::journal::{Journal, Task};
use super::tap::Tap;
use super::{Failure, Subject};
use crate::oracle::{Answer, Level, Operation, What, WriteOutcome};

/// How much clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Clients that write.
    pub writers: usize,
    /// Clients that read wherever they are answered; at each replica reads one more.
    pub readers: usize,
    /// Keys they share.
    pub keys: u64,
    /// A call gives up after this.
    pub deadline: Duration,
    /// A client rests this long between two calls.
    pub rest: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            writers: 4,
            readers: 4,
            keys: 64,
            deadline: Duration::from_secs(5),
            rest: Duration::from_millis(2),
        }
    }
}

/// How keys begin.
const PREFIX: &str = "key ";

/// One removal in so many writes.
const REMOVALS: u32 = 16;

/// Who reads at one replica gives up after this: so its questions are always fresh ones, also to a process that was stopped
/// and will answer them when it goes on, perhaps from another time.
const AT_ONE_DEADLINE: Duration = Duration::from_millis(200);

/// Clients at work. They stop when this is dropped.
pub(super) struct Load {
    journal: Arc<Journal>,
    schedule: Arc<Schedule>,
    keys: Arc<Keys>,
    failed: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

/// One client.
struct Client {
    number: u64,
    handle: Handle,
    journal: Arc<Journal>,
    schedule: Arc<Schedule>,
    keys: Arc<Keys>,
}

impl Load {
    /// Begins to work on a cluster that was never written to.
    pub(super) fn start(
        cluster: &dyn Subject,
        options: &LoadOptions,
        seed: u64,
    ) -> Result<Self, Failure> {
        let replicas = cluster.addresses();
        let mut tasks = vec![Task::Write; options.writers];
        tasks.resize(options.writers + options.readers, Task::Read);
        tasks.resize(tasks.len() + replicas.len(), Task::ReadAtOne);
        let mut load = Self {
            journal: Arc::new(Journal::new(&tasks)),
            schedule: Arc::new(Schedule::endless()),
            keys: Arc::new(keys(options.keys)),
            failed: Arc::default(),
            clients: Vec::new(),
        };
        let mut pinned = replicas.into_iter();
        for (number, task) in tasks.into_iter().enumerate() {
            let deadline = match task {
                Task::ReadAtOne => AT_ONE_DEADLINE,
                Task::Write | Task::Read => options.deadline,
            };
            let client = load.client(cluster, deadline, number as u64)?;
            let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(number as u64));
            let replica = match task {
                Task::ReadAtOne => pinned.next(),
                Task::Write | Task::Read => None,
            };
            let work = client.work(task, replica, options.rest, rng);
            load.clients.push(task::spawn(work));
        }
        Ok(load)
    }

    /// What the clients have done so far.
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How often a client was told that a write had failed, whether or not it tried again.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Ends the work, and reads every key at every replica.
    pub(super) fn finish(
        &mut self,
        cluster: &dyn Subject,
        options: &LoadOptions,
    ) -> Result<(), Failure> {
        self.schedule.end();
        let number = self.clients.len() as u64;
        for client in self.clients.drain(..) {
            task::block_on(client);
        }
        let last = self.client(cluster, options.deadline, number)?;
        for replica in cluster.addresses() {
            for number in 0..options.keys {
                task::block_on(last.read(self.keys.name(number), Some(&replica)));
            }
        }
        Ok(())
    }

    fn client(
        &self,
        cluster: &dyn Subject,
        deadline: Duration,
        number: u64,
    ) -> Result<Client, Failure> {
        let transport = Tap::new(cluster.client()?, Arc::clone(&self.failed));
        let options = ClientOptions {
            deadline,
            ..ClientOptions::default()
        };
        let handle = driver::connect(Arc::new(transport), cluster.addresses(), &options);
        Ok(Client {
            number,
            handle,
            journal: Arc::clone(&self.journal),
            schedule: Arc::clone(&self.schedule),
            keys: Arc::clone(&self.keys),
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.schedule.end();
    }
}

impl Client {
    async fn work(self, task: Task, replica: Option<Address>, rest: Duration, mut rng: ChaCha8Rng) {
        let chooser = Chooser::new(Distribution::Uniform, self.keys.count());
        let mut count = 0_u64;
        while self.schedule.next(Instant::now()).is_some() {
            let key = self.keys.name(chooser.next(&self.keys, &mut rng));
            match task {
                Task::Write => {
                    // Written once, so that whoever reads it tells who wrote it.
                    let value = format!("{} of client {}", count, self.number);
                    let is_removal = rng.random_ratio(1, REMOVALS);
                    self.write(key, (!is_removal).then(|| value.into())).await;
                }
                Task::Read | Task::ReadAtOne => self.read(key, replica.as_ref()).await,
            }
            count += 1;
            task::sleep(rest).await;
        }
        self.handle.close().await;
    }

    async fn write(&self, key: Key, value: Option<Value>) {
        let begun = self.journal.now();
        let written = match &value {
            Some(value) => self.handle.insert(key.clone(), value.clone()).await,
            None => self.handle.remove(key.clone()).await,
        };
        let outcome = match &written {
            Ok(Acknowledged { seq, .. }) => WriteOutcome::Acknowledged { seq: *seq },
            Err(error) if error.is_unknown() => WriteOutcome::Unknown,
            Err(_) => WriteOutcome::Rejected,
        };
        let what = What::Write { value, outcome };
        let error = written.err().map(|error| format!("a write: {error}"));
        self.enter(key, begun, what, error);
    }

    async fn read(&self, key: Key, replica: Option<&Address>) {
        let begun = self.journal.now();
        let level = ReadLevel::Linearizable;
        let read = match replica {
            Some(replica) => self.handle.get_at(replica, key.clone(), level).await,
            None => self.handle.get_with(key.clone(), level).await,
        };
        let (answer, error) = match read {
            Ok(read) => {
                let answer = Answer {
                    position: read.position,
                    replica: read.replica.clone(),
                    value: read.into_value(),
                };
                (Some(answer), None)
            }
            Err(error) => (None, Some(format!("a read: {error}"))),
        };
        let level = Level::Linearizable;
        self.enter(key, begun, What::Read { level, answer }, error);
    }

    fn enter(&self, key: Key, begun: u64, what: What, error: Option<String>) {
        let operation = Operation {
            client: self.number,
            key,
            begun,
            ended: None,
            what,
        };
        self.journal.add(operation, error);
    }
}

fn keys(count: u64) -> Keys {
    let size = PREFIX.len() + count.to_string().len();
    Keys::new(PREFIX, size, count).expect("their numbers fit behind the prefix")
}
