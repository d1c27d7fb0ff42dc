//! A cluster of machines that are all started by the same command, `lockstep serve`: each a process, with a certificate, a directory
//! and an address of its own, which it keeps when it is started again.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lockstep_core::config::Address;
use lockstep_core::rights::ClientRole;
use lockstep_transport_quic::authority::{self, Existing, Order};
use lockstep_transport_quic::identity::Rights;

use super::cluster::{TLS_DIR, data_dir, free_address};
use super::{Condition, Failure, Observer, PATIENCE, Place, Server, Subject, Who, until};

/// The machines `n1`, `n2` and so on, by their numbers from 0. They are killed when this is dropped.
pub struct Machines {
    place: Place,
    peers: String,
    machines: Vec<Machine>,
}

struct Machine {
    name: String,
    address: String,
    server: Option<Server>,
}

impl Machines {
    /// Machines at these `hosts`, all of which run, as soon as they are a cluster that is whole.
    ///
    /// # Errors
    /// If that does not come about.
    pub(super) fn whole(program: &Path, hosts: &[IpAddr]) -> Result<Self, Failure> {
        let mut machines = Self::new(program, hosts, hosts.len())?;
        for number in 0..hosts.len() {
            machines.begin(number, &[])?;
        }
        let observer = Observer::new(&machines)?;
        until("the cluster is whole", PATIENCE, || {
            observer.look().is_whole().then_some(())
        })?;
        Ok(machines)
    }

    /// A machine at each of `hosts`, none of which runs. Each is told of the first `known`.
    ///
    /// # Errors
    /// If there are no certificates or addresses for them.
    pub fn new(program: &Path, hosts: &[IpAddr], known: usize) -> Result<Self, Failure> {
        let mut place = Place::new(program);
        let tls_dir = place.path().join(TLS_DIR);
        authority::init(&tls_dir)?;
        let mut me = Order::client("me")?;
        me.identity.rights = Rights::Client(ClientRole::Admin, Vec::new());
        authority::issue(&tls_dir, &me, Existing::Keep)?;
        let machine = |(number, host): (usize, &IpAddr)| {
            let name = format!("n{}", number + 1);
            let order = Order::node(&name, &[host.to_string()])?;
            authority::issue(&tls_dir, &order, Existing::Keep)?;
            Ok(Machine {
                name,
                address: free_address(*host)?,
                server: None,
            })
        };
        let machines = hosts.iter().enumerate().map(machine);
        let machines = machines.collect::<Result<Vec<Machine>, Failure>>()?;
        let addresses: Vec<&str> = machines.iter().map(|machine| &*machine.address).collect();
        place.set_flags(&["--cluster", &addresses.join(","), "--tls-dir", TLS_DIR]);
        let peers = machines.iter().take(known);
        let peers: Vec<String> = peers
            .map(|machine| format!("{}={}", machine.name, machine.address))
            .collect();
        Ok(Self {
            place,
            peers: peers.join(","),
            machines,
        })
    }

    /// The directory of the cluster, and commands for it.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The number of the machine that is called `name`.
    ///
    /// # Panics
    /// If there is none.
    pub fn number(&self, name: &str) -> usize {
        let mut names = self.machines.iter();
        names
            .position(|machine| machine.name == name)
            .expect("a machine has this name")
    }

    /// Begins to start a machine.
    ///
    /// # Errors
    /// If its process cannot be started.
    pub fn begin(&mut self, number: usize, environment: &[(&str, &Path)]) -> Result<(), Failure> {
        let machine = &mut self.machines[number];
        let arguments = [
            "serve",
            "--name",
            &machine.name,
            "--listen",
            &machine.address,
            "--data-dir",
            &data_dir(&machine.name),
            "--tls-dir",
            TLS_DIR,
            "--peers",
            &self.peers,
            "--log",
            "info",
        ];
        let server = Server::start_with(&self.place, &machine.name, &arguments, environment)?;
        machine.server = Some(server);
        Ok(())
    }

    /// Starts a machine, and waits until its replica has a role.
    ///
    /// # Errors
    /// If it does not get one.
    pub fn start(&mut self, number: usize) -> Result<(), Failure> {
        self.begin(number, &[])?;
        self.machine(number).line("ready:").map(|_| ())
    }

    /// The process of a machine.
    ///
    /// # Panics
    /// If it does not run.
    pub fn machine(&self, number: usize) -> &Server {
        self.machines[number].server.as_ref().expect("it runs")
    }

    /// The process of a machine, which is the cluster's no more.
    ///
    /// # Panics
    /// If it does not run.
    pub fn take(&mut self, number: usize) -> Server {
        self.machines[number].server.take().expect("it runs")
    }

    /// Where a machine has its data.
    pub fn data_dir(&self, number: usize) -> PathBuf {
        let name = &self.machines[number].name;
        self.place.path().join(data_dir(name))
    }
}

impl Subject for Machines {
    fn place(&self) -> &Place {
        &self.place
    }

    fn keep(&mut self) -> PathBuf {
        self.place.keep()
    }

    fn addresses(&self) -> Vec<Address> {
        let machines = self.machines.iter();
        machines
            .map(|machine| Address::new(&machine.address))
            .collect()
    }

    fn server(&self, who: Who) -> &Server {
        self.machine(who.number())
    }

    fn take(&mut self, who: Who) -> Server {
        self.take(who.number())
    }

    fn has_ended(&mut self, who: Who) -> bool {
        let machine = &mut self.machines[who.number()];
        machine.server.as_mut().is_none_or(Server::has_ended)
    }

    fn start(&mut self, who: Who) -> Result<(), Failure> {
        self.start(who.number())
    }

    fn data_dir(&self, who: Who) -> PathBuf {
        self.data_dir(who.number())
    }

    fn disturb(&self, _: Who, _: Condition) -> Result<(), Failure> {
        Err(Failure::NoDisks {
            reason: "machines are started without such disks".to_owned(),
        })
    }
}

impl Who {
    /// The machine of a replica, the arbiter of which is the same process.
    fn number(self) -> usize {
        match self {
            Self::Arbiter => panic!("no arbiter is a process of its own"),
            Self::Replica(number) => number,
        }
    }
}
