//! `export`: records as NDJSON, page by page, in the order of their keys.

use std::io::{self, Write};

use lockstep_core::operation::Keyed;
use lockstep_core::range::KeyRange;

use super::export_stopped::export_stopped;
use crate::args::ExportArgs;
use crate::assemble;
use crate::output::{Exit, Failure};
use crate::records;
use crate::store::Store;

/// `lockstep export`.
pub(crate) async fn export(args: ExportArgs) -> Result<Exit, Failure> {
    if let Some(data_dir) = &args.data_dir {
        return export_stopped(data_dir, &args).await;
    }
    let store = assemble::client(&args.connection, args.deadline, 1).await?;
    let name = args.replica.replica.as_deref();
    let exit = export_with(&store, args.ranges(), name).await;
    store.close().await;
    exit
}

async fn export_with(
    store: &Store,
    ranges: Vec<KeyRange>,
    name: Option<&str>,
) -> Result<Exit, Failure> {
    let mut replica = match name {
        Some(name) => Some(store.find_replica(name).await?),
        None => None,
    };
    let mut lines = Vec::new();
    let mut ranges = ranges.into_iter();
    let mut rest = ranges.next();
    while let Some(range) = &rest {
        let page = match store.scan(range.clone(), None, replica.as_ref()).await {
            Ok(page) => page,
            // Pages come from one replica as long as it answers, so that they fit together; but nobody asked for this one.
            Err(Failure::Unreachable(_)) if name.is_none() && replica.is_some() => {
                replica = None;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        print(&page.records, &mut lines)?;
        replica = Some(page.replica);
        rest = match page.resume {
            Some(last) => Some(range.rest(last)),
            None => ranges.next(),
        };
    }
    Ok(Exit::Done)
}

/// Prints records; `lines` is room for them.
pub(super) fn print(records: &[Keyed], lines: &mut Vec<u8>) -> Result<(), Failure> {
    lines.clear();
    for Keyed { key, record } in records {
        records::write(lines, key, &record.value);
    }
    let mut out = io::stdout().lock();
    out.write_all(lines)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::output(&error))
}
