//! `arbiter` and `replica`: one node in this process.

use std::collections::BTreeSet;
use std::future;

use futures_lite::FutureExt;
use lockstep_core::config::Address;
use lockstep_core::driver::Exit as Ended;

use super::room;
use super::serve::{self, OnSignal};
use crate::args::{ArbiterArgs, Format, NodeArgs, Peer, ReplicaArgs, TransportName};
use crate::assemble::{self, Network, Place};
use crate::output::{Exit, Failure};
use crate::status::role_name;

/// `lockstep arbiter`.
pub(crate) async fn arbiter(args: ArbiterArgs, format: Format) -> Result<Exit, Failure> {
    let network = network(&args.node)?;
    let mut place = place(&args.node);
    let own = network.name(&place)?;
    advertise_as_known(&mut place, &own, &args.peers)?;
    let others = args.peers.iter().filter(|peer| peer.name != own);
    let others: Vec<Address> = others
        .map(assemble::peer_address)
        .collect::<Result<_, _>>()?;
    let founders: BTreeSet<String> = args.peers.iter().map(|peer| peer.name.clone()).collect();
    room::again_when_there_is_room(place.data_dir, async |signals| {
        let node = network
            .arbiter(&place, founders.clone(), others.clone())
            .await?;
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
    let arbiters = args.arbiter.iter();
    let arbiters = arbiters.map(|arbiter| assemble::node_address("--arbiter", arbiter));
    let arbiters = arbiters.collect::<Result<Vec<_>, _>>()?;
    let bounds = args.bounds.bounds().map_err(Failure::Usage)?;
    let place = place(&args.node);
    room::again_when_there_is_room(place.data_dir, async |signals| {
        let node = network.replica(&place, arbiters.clone(), &bounds).await?;
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

/// The node called `own` is at the place where `peers` have it.
pub(super) fn advertise_as_known<'a>(
    place: &mut Place<'a>,
    own: &str,
    peers: &'a [Peer],
) -> Result<(), Failure> {
    let Some(Peer { endpoint, .. }) = peers.iter().find(|peer| peer.name == own) else {
        return Ok(());
    };
    // Who is called otherwise than it calls itself is taken for a copy of itself.
    if let Some(other) = place.advertise.replace(endpoint)
        && other != endpoint
    {
        return Err(Failure::Usage(format!(
            "--advertise {other}, but others know {own} at {endpoint}, as --peers says: leave --advertise out"
        )));
    }
    Ok(())
}
