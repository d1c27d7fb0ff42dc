//! A cluster of separate processes, as in production: an arbiter and three replicas, each with a certificate, a data
//! directory and an address of its own, which it keeps when it is started again.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use lockstep_core::config::Address;
use lockstep_core::rights::ClientRole;
use lockstep_transport_quic::authority::{self, Existing, Order};
use lockstep_transport_quic::identity::Rights;

use super::disk::{Disk, Interposer};
use super::{Condition, Failure, Observer, PATIENCE, Place, Server, Subject, Who, until};

/// Replicas of a cluster.
pub const REPLICAS: usize = 3;

pub(super) const TLS_DIR: &str = "tls";

/// The addresses of a cluster's nodes, without ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// The arbiter's.
    pub arbiter: Ipv4Addr,
    /// The replicas'.
    pub replicas: [Ipv4Addr; REPLICAS],
}

impl Hosts {
    /// All nodes on the loopback address.
    pub const LOCAL: Self = Self {
        arbiter: Ipv4Addr::LOCALHOST,
        replicas: [Ipv4Addr::LOCALHOST; REPLICAS],
    };
}

/// An arbiter and three replicas, each a process. They are killed when this is dropped.
pub struct Cluster {
    place: Place,
    arbiter: Node,
    replicas: Vec<Node>,
}

/// What stays of a node from start to start, and its process while it runs.
struct Node {
    name: String,
    address: String,
    disk: Option<Disk>,
    server: Option<Server>,
}

impl Cluster {
    /// A new cluster, as soon as all replicas are in sync.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn start(program: &Path, hosts: Hosts) -> Result<Self, Failure> {
        Self::start_in(Place::new(program), hosts, None)
    }

    /// The same, on disks that can be disturbed.
    ///
    /// # Errors
    /// If it does not come about, or there are no such disks.
    pub fn start_on_disks(program: &Path, hosts: Hosts) -> Result<Self, Failure> {
        let place = Place::new(program);
        let interposer = Interposer::build(place.path())?;
        Self::start_in(place, hosts, Some(&interposer))
    }

    fn start_in(
        mut place: Place,
        hosts: Hosts,
        interposer: Option<&Interposer>,
    ) -> Result<Self, Failure> {
        let tls_dir = place.path().join(TLS_DIR);
        authority::init(&tls_dir)?;
        let mut me = Order::client("me")?;
        me.identity.rights = Rights::Client(ClientRole::Admin, Vec::new());
        authority::issue(&tls_dir, &me, Existing::Keep)?;
        let node = |name: String, host: Ipv4Addr| {
            let order = Order::node(&name, &[host.to_string()])?;
            authority::issue(&tls_dir, &order, Existing::Keep)?;
            let disk = interposer.map(|from| from.disk(place.path(), &data_dir(&name)));
            Ok(Node {
                address: free_address(host.into())?,
                disk: disk.transpose()?,
                name,
                server: None,
            })
        };
        let arbiter = node("arbiter".to_owned(), hosts.arbiter)?;
        let replicas = hosts.replicas.iter().enumerate();
        let replicas = replicas
            .map(|(number, host)| node(format!("r{}", number + 1), *host))
            .collect::<Result<Vec<Node>, Failure>>()?;
        let addresses: Vec<&str> = replicas.iter().map(|node| &*node.address).collect();
        place.set_flags(&["--cluster", &addresses.join(","), "--tls-dir", TLS_DIR]);
        let mut cluster = Self {
            place,
            arbiter,
            replicas,
        };
        cluster.begin()?;
        cluster.start_arbiter()?;
        for number in 0..REPLICAS {
            cluster.start_replica(number)?;
        }
        let observer = Observer::new(&cluster)?;
        until("all replicas are in sync", PATIENCE, || {
            observer.look().is_whole().then_some(())
        })?;
        Ok(cluster)
    }

    /// The directory of the cluster, and commands for it.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the replicas are, in the order of their numbers.
    pub fn addresses(&self) -> Vec<Address> {
        let replicas = self.replicas.iter();
        replicas.map(|node| Address::new(&node.address)).collect()
    }

    /// Where all nodes are, the arbiter first, as `HOST:PORT`.
    pub fn node_addresses(&self) -> Vec<String> {
        let nodes = std::iter::once(&self.arbiter).chain(&self.replicas);
        nodes.map(|node| node.address.clone()).collect()
    }

    /// The directory of its certificates, with its authority.
    pub fn tls_dir(&self) -> PathBuf {
        self.place.path().join(TLS_DIR)
    }

    /// Makes the arbiter's directory that of a new cluster.
    fn begin(&self) -> Result<(), Failure> {
        let directory = data_dir(&self.arbiter.name);
        let mut init = self.place.command(&["init", "--arbiter-dir", &directory]);
        let output = init.output().map_err(|source| Failure::Run {
            program: init.get_program().into(),
            source,
        })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Failure::NotBegun {
                log: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }

    /// Starts the arbiter, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not get ready.
    pub fn start_arbiter(&mut self) -> Result<(), Failure> {
        let arguments = self.arguments("arbiter", &self.arbiter);
        self.arbiter.start(&self.place, &arguments)
    }

    /// Starts a replica, and waits until it has a role.
    ///
    /// # Errors
    /// If it does not get ready.
    pub fn start_replica(&mut self, number: usize) -> Result<(), Failure> {
        let arguments = self.replica_arguments(number);
        self.replicas[number].start(&self.place, &arguments)
    }

    /// What a replica is started with.
    pub fn replica_arguments(&self, number: usize) -> Vec<String> {
        let mut arguments = self.arguments("replica", &self.replicas[number]);
        arguments.extend(["--arbiter".to_owned(), self.arbiter.address.clone()]);
        arguments
    }

    /// The arbiter's process.
    ///
    /// # Panics
    /// If it does not run.
    pub fn arbiter(&self) -> &Server {
        self.arbiter.server.as_ref().expect("it runs")
    }

    /// A replica's process.
    ///
    /// # Panics
    /// If it does not run.
    pub fn replica(&self, number: usize) -> &Server {
        self.replicas[number].server.as_ref().expect("it runs")
    }

    /// Has the arbiter's process ended by itself?
    pub fn arbiter_has_ended(&mut self) -> bool {
        self.arbiter.has_ended()
    }

    /// Has a replica's process ended by itself?
    pub fn replica_has_ended(&mut self, number: usize) -> bool {
        self.replicas[number].has_ended()
    }

    /// The disk of a replica does that from now on.
    ///
    /// # Errors
    /// If it is one that cannot be disturbed.
    pub fn disturb_replica(&self, number: usize, condition: Condition) -> Result<(), Failure> {
        self.replicas[number].disturb(condition)
    }

    /// The arbiter's process, which is the cluster's no more.
    ///
    /// # Panics
    /// If it does not run.
    pub fn take_arbiter(&mut self) -> Server {
        self.arbiter.server.take().expect("it runs")
    }

    /// A replica's process, which is the cluster's no more.
    ///
    /// # Panics
    /// If it does not run.
    pub fn take_replica(&mut self, number: usize) -> Server {
        self.replicas[number].server.take().expect("it runs")
    }

    fn node(&self, who: Who) -> &Node {
        match who {
            Who::Arbiter => &self.arbiter,
            Who::Replica(number) => &self.replicas[number],
        }
    }

    fn arguments(&self, command: &str, node: &Node) -> Vec<String> {
        [
            command,
            "--listen",
            &node.address,
            "--data-dir",
            &data_dir(&node.name),
            "--tls-dir",
            TLS_DIR,
            "--name",
            &node.name,
            "--log",
            "info",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

impl Subject for Cluster {
    fn place(&self) -> &Place {
        &self.place
    }

    fn keep(&mut self) -> PathBuf {
        self.place.keep()
    }

    fn addresses(&self) -> Vec<Address> {
        self.addresses()
    }

    fn server(&self, who: Who) -> &Server {
        match who {
            Who::Arbiter => self.arbiter(),
            Who::Replica(number) => self.replica(number),
        }
    }

    fn take(&mut self, who: Who) -> Server {
        match who {
            Who::Arbiter => self.take_arbiter(),
            Who::Replica(number) => self.take_replica(number),
        }
    }

    fn has_ended(&mut self, who: Who) -> bool {
        match who {
            Who::Arbiter => self.arbiter_has_ended(),
            Who::Replica(number) => self.replica_has_ended(number),
        }
    }

    fn start(&mut self, who: Who) -> Result<(), Failure> {
        match who {
            Who::Arbiter => self.start_arbiter(),
            Who::Replica(number) => self.start_replica(number),
        }
    }

    fn data_dir(&self, who: Who) -> PathBuf {
        self.place.path().join(data_dir(&self.node(who).name))
    }

    fn disturb(&self, who: Who, condition: Condition) -> Result<(), Failure> {
        self.node(who).disturb(condition)
    }
}

impl Node {
    fn start(&mut self, place: &Place, arguments: &[String]) -> Result<(), Failure> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let environment = self.disk.as_ref().map(Disk::environment);
        let environment = environment.as_ref().map_or(&[][..], |pairs| &pairs[..]);
        let server = Server::start_with(place, &self.name, &arguments, environment)?;
        server.line("ready:")?;
        self.server = Some(server);
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_none_or(Server::has_ended)
    }

    fn disturb(&self, condition: Condition) -> Result<(), Failure> {
        let disk = self.disk.as_ref().ok_or_else(|| Failure::NoDisks {
            reason: "the cluster was started without such disks".to_owned(),
        })?;
        disk.set(condition)
    }
}

pub(super) fn data_dir(name: &str) -> String {
    format!("{name}.d")
}

/// An address that nobody uses. Somebody else could take it before we do; the system hands them out in turn, though.
pub(super) fn free_address(host: IpAddr) -> Result<String, Failure> {
    let address = UdpSocket::bind((host, 0)).and_then(|socket| socket.local_addr());
    address
        .map(|address| address.to_string())
        .map_err(|source| Failure::Address { host, source })
}
