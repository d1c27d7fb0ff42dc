//! Writes, reads and scans, over QUIC: `cargo run -p lockstep-client --example quic -- 127.0.0.1:7101 .lockstep/tls` in a directory in
//! which `lockstep dev` runs.

use std::env;
use std::error::Error;
use std::path::Path;

use futures_lite::StreamExt;
use futures_lite::future::block_on;
use lockstep_client::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, addresses, tls] = &env::args().collect::<Vec<_>>()[..] else {
        return Err("say where the cluster is: HOST:PORT,… TLS_DIR".into());
    };
    let addresses: Vec<&str> = addresses.split(',').collect();
    block_on(run(&addresses, Path::new(tls)))
}

/// Runs in any runtime.
pub(crate) async fn run(addresses: &[&str], tls: &Path) -> Result<(), Box<dyn Error>> {
    let store = Client::connect(addresses, tls).await?;

    let written = store.insert("fruit/apple", "red").await?;
    println!(
        "apple: on every in-sync replica's disk, as entry {}",
        written.seq
    );
    let read = store.get("fruit/apple").await?;
    let value = read.value().ok_or("it was just written")?;
    println!("apple: {value}");

    // Noted before it is sent, this can be asked about whatever happens.
    let mut write = store.prepare().await?;
    println!("pear: will be written as {}", write.name());
    match write.insert("fruit/pear", "green").await {
        Err(error) if error.is_unknown() => {
            let outcome = store.resolve(&write.name(), "fruit/pear").await?;
            println!("pear: {outcome:?}");
        }
        outcome => println!("pear: on disk, as entry {}", outcome?.seq),
    }

    let mut fruits = store.records(KeyRange::prefix("fruit/"), None);
    while let Some(fruit) = fruits.try_next().await? {
        println!("{}: {}", fruit.key, fruit.record.value);
    }
    store.close().await;
    Ok(())
}
