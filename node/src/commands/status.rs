//! `status`: asks every member of the cluster and prints what they say.

use crate::args::{Format, StatusArgs};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::status;
use crate::store::Store;

/// `lockstep status`.
pub(crate) async fn status(args: StatusArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client(&args.connection, args.deadline, 64).await?;
    let exit = status_with(&store, format).await;
    store.close().await;
    exit
}

/// Asks and prints.
pub(crate) async fn status_with(store: &Store, format: Format) -> Result<Exit, Failure> {
    let answers = store.statuses().await?;
    let cluster = status::combine(&answers).expect("somebody answered, or there was a failure");
    match format {
        Format::Text => output::print(cluster.table().trim_end())?,
        Format::Json => {
            let object = serde_json::to_string(&cluster).expect("plain data becomes JSON");
            output::print(&object)?;
        }
    }
    Ok(Exit::Done)
}
