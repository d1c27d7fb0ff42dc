//! Drives etcd or Redis as `lockstep bench` drives Lockstep: so many clients, each of which begins its next operation when
//! the last one is done, over a few connections. Prints one JSON object.

mod args;
mod cpu;
mod etcd;
mod fill;
mod lane;
mod load;
mod meter;
mod queue;
mod redis;
mod work;

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
use tokio::task::LocalSet;
use tokio::{runtime, time};

use crate::args::{Args, LoadArgs, Task, WindowArgs, Work};
use crate::cpu::Sample;
use crate::lane::{Failure, System};

const FAILED: u8 = 1;

fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(result) => println!("{result}"),
        Err(failure) => {
            eprintln!("error: {failure}");
            return FAILED.into();
        }
    }
    ExitCode::SUCCESS
}

fn start(args: &Args) -> Result<Value, Failure> {
    // One thread: the nodes need the cores more than their clients do.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        match &args.task {
            Task::Redis(args) => drive(&args.load, redis::connect(args).await?).await,
            Task::Etcd(args) => drive(&args.load, etcd::connect(args).await?).await,
            Task::Cpu(window) => watch(window).await,
        }
    })
}

async fn drive(args: &LoadArgs, system: impl System) -> Result<Value, Failure> {
    let mut result = json!({ "work": args.work.name(), "arrangement": system.arrangement() });
    let outcome = match args.work {
        Work::Fill => fill::run(args, &system).await?,
        Work::Put | Work::Get | Work::Mixed => load::run(args, &system).await?,
    };
    let fields = result.as_object_mut().expect("it is made as an object");
    fields.extend(outcome);
    Ok(result)
}

async fn watch(window: &WindowArgs) -> Result<Value, Failure> {
    time::sleep(window.warm_up).await;
    let begin = Sample::take(window)?;
    time::sleep(window.duration).await;
    let used = Sample::take(window)?.since(&begin);
    Ok(json!({
        "seconds": used.time.as_secs_f64(),
        "server_cpu_seconds": used.nodes.as_secs_f64(),
        "client_cpu_seconds": used.client.as_secs_f64(),
    }))
}
