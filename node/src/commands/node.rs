//! `arbiter` and `replica`: one node in this process.

use std::future;

use futures_lite::FutureExt;
use lockstep_core::driver::Exit as Ended;

use super::room;
use super::serve::{self, OnSignal};
use crate::args::{ArbiterArgs, Format, NodeArgs, ReplicaArgs, TransportName};
use crate::assemble::{self, Network, Place};
use crate::output::{Exit, Failure};
use crate::status::role_name;

/// `lockstep arbiter`.
pub(crate) async fn arbiter(args: ArbiterArgs, format: Format) -> Result<Exit, Failure> {
    let network = network(&args.node)?;
    let place = place(&args.node);
    room::again_when_there_is_room(place.data_dir, async |signals| {
        let node = network.arbiter(&place).await?;
        let (name, endpoint) = (node.name.clone(), node.endpoint().to_owned());
        let ready = async {
            serve::announce_ready(&name, &endpoint, "arbiter", format).await;
            future::pending().await
        };
        let (control, ended) = (node.running.control(), node.running.ended());
        let ended = serve::until_end(control, ended, OnSignal::Stop, signals);
        ended.or(ready).await
    })
    .await
}

/// `lockstep replica`.
pub(crate) async fn replica(args: ReplicaArgs, format: Format) -> Result<Exit, Failure> {
    let network = network(&args.node)?;
    let arbiter = assemble::node_address("--arbiter", &args.arbiter)?;
    let bounds = args.bounds.bounds().map_err(Failure::Usage)?;
    let place = place(&args.node);
    room::again_when_there_is_room(place.data_dir, async |signals| {
        let node = network.replica(&place, &arbiter, &bounds).await?;
        let (name, endpoint) = (node.name.clone(), node.endpoint().to_owned());
        let joined = async {
            serve::announce("listening", &name, &endpoint, "starting", format).await;
            if let Some(role) = serve::until_role(&node.news, &serve::TAKING_PART).await {
                serve::announce_ready(&name, &endpoint, role_name(role), format).await;
            }
            // Further roles are in the log.
            future::pending().await
        };
        let (control, ended) = (node.running.control(), node.running.ended());
        let ended = serve::until_end(control, ended, OnSignal::Leave, signals);
        let ended = ended.or(joined).await?;
        // What whoever looks at its output sees last.
        if let Ended::Left = ended {
            serve::announce_left(&name, &endpoint, format).await;
        }
        Ok(ended)
    })
    .await
}

pub(super) fn network(args: &NodeArgs) -> Result<Network, Failure> {
    match args.transport {
        TransportName::Quic => {
            assemble::warn_of_keys(&args.tls_dir);
            Ok(Network::Quic {
                tls_dir: args.tls_dir.clone(),
            })
        }
        TransportName::Mem => Err(Failure::Usage(
            "--transport mem connects nodes of one process only; use quic, or run the whole cluster in one process \
             with `lockstep dev --transport mem`"
                .to_owned(),
        )),
    }
}

pub(super) fn place(args: &NodeArgs) -> Place<'_> {
    Place {
        name: args.name.as_deref(),
        listen: &args.listen,
        advertise: args.advertise.as_deref(),
        data_dir: &args.data_dir,
    }
}
