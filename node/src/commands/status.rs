//! `status`: asks every member of the cluster and prints what they say.

use serde_json::json;

use crate::args::{Format, StatusArgs, WhyArgs};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::status::{self, ClusterStatus, Why};
use crate::store::Store;

/// `lockstep status`.
pub(crate) async fn status(args: StatusArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client_in_all(&args.connection, args.deadline).await?;
    let is_well = match args.why {
        true => explained(&store, format, true).await,
        false => status_with(&store, format).await,
    };
    store.close().await;
    Ok(match is_well? {
        false if args.check => Exit::Unwell,
        true | false => Exit::Done,
    })
}

/// `lockstep why`.
pub(crate) async fn why(args: WhyArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client_in_all(&args.connection, args.deadline).await?;
    let goes_on = explained(&store, format, false).await;
    store.close().await;
    Ok(if goes_on? { Exit::Done } else { Exit::Unwell })
}

/// Asks, and prints why operations wait, if they do, perhaps below the table. Tells whether all is well; without the table, whether they
/// go on.
async fn explained(store: &Store, format: Format, has_table: bool) -> Result<bool, Failure> {
    let cluster = asked(store).await?;
    let why = Why::of(&cluster, &|name, endpoint| {
        store.last_failure(name, endpoint)
    });
    match (format, has_table) {
        (Format::Text, true) => {
            output::print(&format!("{}\n{}", cluster.table(), why.text().trim_end()))?;
        }
        (Format::Text, false) => output::print(why.text().trim_end())?,
        (Format::Json, true) => {
            let mut object = json!(cluster);
            object["why"] = json!(why);
            output::print_json(&object)?;
        }
        (Format::Json, false) => output::print_json(&json!(why))?,
    }
    Ok(match has_table {
        true => cluster.problems.is_empty(),
        false => why.goes_on(),
    })
}

/// Asks and prints; tells whether all is well.
pub(crate) async fn status_with(store: &Store, format: Format) -> Result<bool, Failure> {
    let cluster = asked(store).await?;
    match format {
        Format::Text => output::print(cluster.table().trim_end())?,
        Format::Json => {
            let object = serde_json::to_string(&cluster).expect("plain data becomes JSON");
            output::print(&object)?;
        }
    }
    Ok(cluster.problems.is_empty())
}

async fn asked(store: &Store) -> Result<ClusterStatus, Failure> {
    let answers = store.statuses().await?;
    let mut cluster = status::combine(&answers).expect("somebody answered, or there was a failure");
    store.add_certificates(&mut cluster);
    Ok(cluster)
}
