//! `put`, `get` and `remove`, from the command line and from the shell.

use std::io::{self, Read};

use lockstep_core::config::Address;
use lockstep_core::driver::handle::Acknowledged;
use lockstep_core::limits::Limits;
use lockstep_core::operation::{Key, ReadLevel, Resolution, Value};
use serde_json::json;

use crate::args::{Format, GetArgs, PutArgs, RemoveArgs, ResolveArgs};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::records;
use crate::signals::EndSignals;
use crate::store::{NotWritten, Store};

/// `lockstep put`.
pub(crate) async fn put(args: PutArgs, format: Format) -> Result<Exit, Failure> {
    let key = args.key.read()?;
    let value = match args.value.as_str() {
        "-" => read_value()?,
        text => text.into(),
    };
    let store = assemble::client_in_all(&args.connection, args.deadline.deadline).await?;
    let put = put_with(&store, key, value, format);
    let exit = EndSignals::watch()?.heeded(&store, put).await;
    store.close().await;
    exit
}

/// `lockstep get`.
pub(crate) async fn get(args: GetArgs, format: Format) -> Result<Exit, Failure> {
    let key = args.key.read()?;
    let store = assemble::client_in_all(&args.connection, args.deadline.deadline).await?;
    let replica = match &args.replica.replica {
        Some(name) => Some(store.find_replica(name).await?),
        None => None,
    };
    let exit = get_with(&store, key, args.level(), replica.as_ref(), format).await;
    store.close().await;
    exit
}

/// `lockstep resolve`.
pub(crate) async fn resolve(args: ResolveArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client_in_all(&args.connection, args.deadline.deadline).await?;
    let outcome = store.resolve(&args.write).await;
    store.close().await;
    let (executed, text) = match outcome? {
        Resolution::Executed { seq, revision } => {
            (Some((seq.0, revision.0)), format!("executed, seq {seq}"))
        }
        Resolution::NeverExecuted => (None, "not executed, and never will be".to_owned()),
    };
    match format {
        Format::Text => output::print(&text)?,
        Format::Json => output::print_json(&json!({
            "executed": executed.is_some(),
            "seq": executed.map(|(seq, _)| seq),
            "revision": executed.map(|(_, revision)| revision),
        }))?,
    }
    Ok(match executed {
        Some(_) => Exit::Done,
        None => Exit::NotFound,
    })
}

/// `lockstep remove`.
pub(crate) async fn remove(args: RemoveArgs, format: Format) -> Result<Exit, Failure> {
    let key = args.key.read()?;
    let store = assemble::client_in_all(&args.connection, args.deadline.deadline).await?;
    let remove = remove_with(&store, key, format);
    let exit = EndSignals::watch()?.heeded(&store, remove).await;
    store.close().await;
    exit
}

/// Sets a key and prints what became of it.
pub(crate) async fn put_with(
    store: &Store,
    key: Key,
    value: Value,
    format: Format,
) -> Result<Exit, Failure> {
    print_outcome(store.put(key, value).await, format)
}

/// Deletes a key and prints what became of it.
pub(crate) async fn remove_with(store: &Store, key: Key, format: Format) -> Result<Exit, Failure> {
    print_outcome(store.remove(key).await, format)
}

/// Prints the value of a key.
pub(crate) async fn get_with(
    store: &Store,
    key: Key,
    level: ReadLevel,
    replica: Option<&Address>,
    format: Format,
) -> Result<Exit, Failure> {
    let read = store.get(key.clone(), level, replica).await?;
    match (format, read.record) {
        (Format::Text, Some(record)) => output::print_bytes(record.value.as_ref())?,
        (Format::Text, None) => return Err(Failure::NotFound { key }),
        (Format::Json, record) => {
            let is_found = record.is_some();
            let (text, base64) = match &record {
                Some(record) => records::text_or_base64(record.value.as_ref()),
                None => (None, None),
            };
            let (key, key_base64) = records::text_or_base64(key.as_ref());
            let mut object = json!({ "key": key, "found": is_found, "value": text });
            if let Some(key_base64) = key_base64 {
                object["key_base64"] = key_base64.into();
            }
            if let Some(base64) = base64 {
                object["value_base64"] = base64.into();
            }
            object["replica"] = read.replica.as_str().into();
            object["position"] = read.position.0.into();
            object["revision"] = read.revision.0.into();
            if let Some(record) = record {
                object["created"] = record.created.0.into();
                object["modified"] = record.modified.0.into();
                object["version"] = record.version.into();
            }
            output::print_json(&object)?;
            if !is_found {
                return Ok(Exit::NotFound);
            }
        }
    }
    Ok(Exit::Done)
}

fn print_outcome(
    outcome: Result<Acknowledged, NotWritten>,
    format: Format,
) -> Result<Exit, Failure> {
    match (format, outcome) {
        (Format::Text, Ok(ack)) => {
            output::print(&format!("ack, seq {}", ack.seq))?;
            Ok(Exit::Done)
        }
        (Format::Text, Err(not_written)) => Err(not_written.failure),
        (Format::Json, Ok(ack)) => {
            output::print_json(&json!({
                "id": ack.id.0,
                "seq": ack.seq.0,
                "revision": ack.revision.0,
                "outcome": "ack",
            }))?;
            Ok(Exit::Done)
        }
        (Format::Json, Err(NotWritten { id, failure })) => {
            // `failed` is the protocol's word for an unknown outcome; anything else was certainly not executed.
            let outcome = if failure.is_unknown() {
                "failed"
            } else {
                "rejected"
            };
            let request = match &failure {
                Failure::Unknown { write } => write.as_ref().map(ToString::to_string),
                _ => None,
            };
            output::print_json(&json!({
                "id": id.map(|id| id.0),
                "seq": null,
                "outcome": outcome,
                "reason": failure.to_string(),
                "request": request,
            }))?;
            Ok(failure.exit())
        }
    }
}

/// Standard input to its end, or one byte more than any value may have.
fn read_value() -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(Limits::VALUE_BYTES_CEILING as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::broken("cannot read standard input", &error))?;
    Ok(bytes.into())
}
