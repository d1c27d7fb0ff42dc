//! `status`: asks every member of the cluster and prints what they say.

use crate::args::{Format, StatusArgs};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::status;
use crate::store::Store;

/// `lockstep status`.
pub(crate) async fn status(args: StatusArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client_in_all(&args.connection, args.deadline).await?;
    let is_well = status_with(&store, format).await;
    store.close().await;
    Ok(match is_well? {
        false if args.check => Exit::Unwell,
        true | false => Exit::Done,
    })
}

/// Asks and prints; tells whether all is well.
pub(crate) async fn status_with(store: &Store, format: Format) -> Result<bool, Failure> {
    let answers = store.statuses().await?;
    let mut cluster = status::combine(&answers).expect("somebody answered, or there was a failure");
    store.add_certificates(&mut cluster);
    match format {
        Format::Text => output::print(cluster.table().trim_end())?,
        Format::Json => {
            let object = serde_json::to_string(&cluster).expect("plain data becomes JSON");
            output::print(&object)?;
        }
    }
    Ok(cluster.problems.is_empty())
}
