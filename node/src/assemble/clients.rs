//! How commands reach a cluster: by flags, or by the file that `lockstep dev` leaves for them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use lockstep_core::config::Address;
use lockstep_core::driver::handle::ClientOptions;
use lockstep_transport_quic::{Credentials, QuicTransport};
use rustix::process::{Uid, geteuid};
use serde::{Deserialize, Serialize};

use super::nodes::{node_address, tls_failure};
use super::renewal::{NOTICE, days_left};
use crate::args::Connection;
use crate::output::{self, Failure};
use crate::patience::Patience;
use crate::store::Store;

/// The file in the data directory of `dev` that tells commands how to reach it. It is a configuration file too, so
/// that commands elsewhere can be given it with `--config`.
pub(crate) const CLIENT_FILE: &str = "client.toml";
/// Where the file is looked for: the default data directory of `dev`.
const DEV_DIR: &str = ".lockstep";

/// A command may have many clients, and says once that their certificate expires.
static NOTICE_GIVEN: Once = Once::new();

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ClientFile {
    cluster: Vec<String>,
    tls_dir: PathBuf,
}

/// How many questions a command asks at once at most: one to each member.
const AT_ONCE: usize = 64;

/// The client of a command whose deadline is for everything it asks.
pub(crate) async fn client_in_all(
    connection: &Connection,
    deadline: Duration,
) -> Result<Store, Failure> {
    let patience = Patience::in_all(deadline);
    let store = client(connection, deadline, AT_ONCE).await?;
    Ok(store.with_patience(patience))
}

/// A client of the cluster that the flags name, or of the one that `dev` runs in this directory. Reaches for nobody yet.
pub(crate) async fn client(
    connection: &Connection,
    deadline: Duration,
    in_flight_max: usize,
) -> Result<Store, Failure> {
    let options = ClientOptions {
        deadline,
        in_flight_max,
        ..ClientOptions::default()
    };
    client_with(connection, &options).await
}

/// The same, with everything chosen. Each has an endpoint of its own.
pub(crate) async fn client_with(
    connection: &Connection,
    options: &ClientOptions,
) -> Result<Store, Failure> {
    let (cluster, tls_dir) = whereabouts(connection)?;
    let name = connection.name.as_deref();
    let credentials = Credentials::load_client(&tls_dir, name).map_err(tls_failure)?;
    NOTICE_GIVEN.call_once(|| give_notice(&credentials));
    let addresses = cluster
        .iter()
        .map(|text| node_address("--cluster", text))
        .collect::<Result<Vec<Address>, Failure>>()?;
    let prefixes = credentials.prefixes().to_vec();
    let transport = QuicTransport::client(credentials)
        .map_err(|error| Failure::Broken(output::chain(&error)))?;
    let transport = Arc::new(transport);
    let store = Store::connect(transport.clone(), addresses, options).with_prefixes(prefixes);
    Ok(store.with_certificates(Arc::new(move |node| transport.certified_until(node))))
}

/// Says that the certificate of this client expires, if it does soon.
fn give_notice(credentials: &Credentials) {
    if credentials.expires() < SystemTime::now() + NOTICE {
        output::say(&format!(
            "lockstep: the certificate of {} expires at {} ({} days left): renew it with `{}`, where ca.key is",
            credentials.holder(),
            credentials.expires_told(),
            days_left(credentials),
            credentials.renewal()
        ));
    }
}

/// A client of replicas in the memory of this process.
pub(crate) fn client_in_memory(
    network: &lockstep_transport_mem::Network,
    addresses: Vec<Address>,
    options: &ClientOptions,
) -> Store {
    let transport = Arc::new(network.client("bench"));
    Store::connect(transport, addresses, options)
}

fn whereabouts(connection: &Connection) -> Result<(Vec<String>, PathBuf), Failure> {
    // A variable that is set to nothing is not set.
    let cluster: Vec<String> = connection
        .cluster
        .iter()
        .map(|address| address.trim().to_owned())
        .filter(|address| !address.is_empty())
        .collect();
    let missing = |flag: &str| {
        Failure::Usage(format!(
            "{flag} is missing: give both --cluster HOST:PORT,… and --tls-dir DIR (or LOCKSTEP_CLUSTER and LOCKSTEP_TLS_DIR)"
        ))
    };
    match &connection.tls_dir {
        Some(tls_dir) if !cluster.is_empty() => Ok((cluster, tls_dir.clone())),
        Some(_) => Err(missing("--cluster")),
        None if !cluster.is_empty() => Err(missing("--tls-dir")),
        None => read_client_file(&Path::new(DEV_DIR).join(CLIENT_FILE), geteuid()),
    }
}

/// What the file says, if it is of the user `own`: whoever else wrote it chooses where commands go.
fn read_client_file(path: &Path, own: Uid) -> Result<(Vec<String>, PathBuf), Failure> {
    if let Ok(file) = fs::metadata(path)
        && file.uid() != own.as_raw()
    {
        let owner = file.uid();
        return Err(Failure::Usage(format!(
            "{path} was written by another user (uid {owner}), who may want your commands to go to a cluster of his: \
             give --config {path} if you trust it, or --cluster and --tls-dir",
            path = path.display()
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Usage(
            "no cluster is given, and none was started in this directory: give --cluster HOST:PORT,… and --tls-dir DIR, \
             or start one with `lockstep dev`"
                .to_owned(),
        ),
        _ => Failure::broken(format!("cannot read {}", path.display()), &error),
    })?;
    let file: ClientFile = toml::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    Ok((file.cluster, file.tls_dir))
}

/// Tells commands in this directory how to reach the cluster.
pub(crate) fn write_client_file(
    data_dir: &Path,
    cluster: Vec<String>,
    tls_dir: &Path,
) -> Result<(), Failure> {
    let path = data_dir.join(CLIENT_FILE);
    let failed =
        |error: io::Error| Failure::broken(format!("cannot write {}", path.display()), &error);
    let file = ClientFile {
        cluster,
        // Commands elsewhere may be given the file.
        tls_dir: tls_dir.canonicalize().map_err(failed)?,
    };
    let text = toml::to_string(&file).expect("plain data becomes TOML");
    let text = format!(
        "# Written by `lockstep dev` at every start: how commands reach its cluster.\n{text}"
    );
    fs::write(&path, text).map_err(failed)
}

/// Takes the file away: the cluster cannot be reached by other processes.
pub(crate) fn remove_client_file(data_dir: &Path) -> Result<(), Failure> {
    let path = data_dir.join(CLIENT_FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::broken(
            format!("cannot remove {}", path.display()),
            &error,
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(cluster: &[&str], tls_dir: Option<&str>) -> Connection {
        Connection {
            cluster: cluster
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
            tls_dir: tls_dir.map(PathBuf::from),
            name: None,
        }
    }

    #[test]
    fn cluster_and_certificates_go_together() {
        let (cluster, tls_dir) =
            whereabouts(&connection(&["a:1", " b:2", ""], Some("tls"))).unwrap();
        assert_eq!(cluster, ["a:1", "b:2"]);
        assert_eq!(tls_dir, Path::new("tls"));
        let error = |connection: &Connection| whereabouts(connection).unwrap_err().to_string();
        assert!(error(&connection(&["a:1"], None)).starts_with("--tls-dir"));
        assert!(error(&connection(&[], Some("tls"))).starts_with("--cluster"));
        assert!(error(&connection(&[""], Some("tls"))).starts_with("--cluster"));
    }

    #[test]
    fn what_dev_writes_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = vec!["127.0.0.1:1".to_owned(), "[::1]:2".to_owned()];
        write_client_file(dir.path(), cluster.clone(), dir.path()).unwrap();
        let (found, tls_dir) = read_client_file(&dir.path().join(CLIENT_FILE), geteuid()).unwrap();
        assert_eq!(found, cluster);
        assert_eq!(tls_dir, dir.path().canonicalize().unwrap());
    }

    #[test]
    fn what_another_user_wrote_is_not_used_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        write_client_file(dir.path(), vec!["a:1".to_owned()], dir.path()).unwrap();
        let path = dir.path().join(CLIENT_FILE);
        let another = Uid::from_raw(geteuid().as_raw() + 1);
        let error = read_client_file(&path, another).unwrap_err().to_string();
        let advice = format!("--config {}", path.display());
        assert!(
            error.contains("another user") && error.contains(&advice),
            "{error}"
        );
    }

    #[test]
    fn the_file_of_dev_is_a_configuration_file_too() {
        use clap::CommandFactory;
        let dir = tempfile::tempdir().unwrap();
        write_client_file(dir.path(), vec!["a:1".to_owned()], dir.path()).unwrap();
        let path = dir.path().join(CLIENT_FILE);
        let command = crate::config_file::with_file(crate::args::Args::command(), &path).unwrap();
        assert!(
            command
                .try_get_matches_from(["lockstep", "get", "k"])
                .is_ok()
        );
    }
}
