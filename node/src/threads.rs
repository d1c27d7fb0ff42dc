//! How many threads run the tasks of this program, those apart that run on a transport's own runtime.

use std::num::NonZero;
use std::thread;

use async_global_executor::GlobalExecutorConfig;

/// Processors for each thread. A message passes through several short tasks on its way, and waking another thread for each
/// costs more than all of them; the disk has threads of its own, and other programs run beside this one.
const PROCESSORS_PER_THREAD: usize = 4;

/// Starts the threads. Has to come before everything asynchronous, which would start as many as there are processors.
pub(crate) fn start() {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (processors / PROCESSORS_PER_THREAD).max(1);
    let config = GlobalExecutorConfig::default()
        .with_min_threads(threads)
        .with_max_threads(threads)
        .with_thread_name_fn(|| "lockstep-task".to_owned());
    async_global_executor::init_with_config(config);
}
