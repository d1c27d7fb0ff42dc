//! Where the nodes of `dev` are: names, data directories, ports.

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::DevArgs;
use crate::assemble::Place;
use crate::output::Failure;

const ARBITER: &str = "arbiter";

/// Where the nodes are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    data_dir: PathBuf,
    host: String,
    /// Of the arbiter; the replicas take those after it. 0: the system chooses all of them.
    port: u16,
    replicas: u16,
    arbiters: u16,
}

/// Where one node is.
#[derive(Clone, Debug)]
pub(super) struct OwnedPlace {
    pub(super) name: String,
    listen: String,
    pub(super) data_dir: PathBuf,
}

impl OwnedPlace {
    /// As nodes are started with.
    pub(super) fn as_place(&self) -> Place<'_> {
        Place {
            name: Some(&self.name),
            listen: &self.listen,
            advertise: None,
            data_dir: &self.data_dir,
        }
    }
}

impl Places {
    /// Where the flags say.
    ///
    /// # Errors
    /// If they make no sense, or the data directory cannot be made.
    pub(super) fn new(args: &DevArgs) -> Result<Self, Failure> {
        let wrong = |problem: &str| {
            Failure::Usage(format!(
                "--listen {}: {problem}, as in 127.0.0.1:7100",
                args.listen
            ))
        };
        let (host, port) = args
            .listen
            .rsplit_once(':')
            .ok_or_else(|| wrong("write HOST:PORT"))?;
        let port: u16 = port
            .parse()
            .map_err(|_| wrong("the port is a number from 0 to 65535"))?;
        let others = args.replicas + args.arbiters - 1;
        if port.checked_add(others).is_none() {
            return Err(wrong(
                "the other nodes take the ports after this one, which end at 65535",
            ));
        }
        if host == "0.0.0.0" || host == "[::]" {
            return Err(wrong(
                "nodes have to tell each other where they are; give an address of this machine",
            ));
        }
        fs::create_dir_all(&args.data_dir).map_err(|error| {
            Failure::broken(format!("cannot make {}", args.data_dir.display()), &error)
        })?;
        Ok(Self {
            data_dir: args.data_dir.clone(),
            host: host.to_owned(),
            port,
            replicas: args.replicas,
            arbiters: args.arbiters,
        })
    }

    /// Where the certificates are.
    pub(super) fn tls_dir(&self) -> PathBuf {
        self.data_dir.join("tls")
    }

    /// The names of all nodes.
    pub(super) fn names(&self) -> Vec<String> {
        let nodes = self.arbiters().into_iter().chain(self.replicas());
        nodes.map(|place| place.name).collect()
    }

    /// What the certificates of the nodes are made for.
    pub(super) fn hosts(&self) -> Vec<String> {
        let host = self.host.trim_matches(['[', ']']);
        let mut hosts = vec![host.to_owned()];
        for usual in ["127.0.0.1", "::1", "localhost"] {
            if usual != host {
                hosts.push(usual.to_owned());
            }
        }
        hosts
    }

    /// Has there been no replica here yet?
    pub(super) fn is_first_start(&self) -> bool {
        !Path::exists(&self.replicas()[0].data_dir)
    }

    /// Those of the arbiters; the first one is there however many are wanted.
    pub(super) fn arbiters(&self) -> Vec<OwnedPlace> {
        let further = 2..=self.arbiters;
        let further = further.map(|number| {
            let port = self.replicas + number - 1;
            self.place(format!("{ARBITER}-{number}"), port)
        });
        let first = self.place(ARBITER.to_owned(), 0);
        std::iter::once(first).chain(further).collect()
    }

    /// Those of the replicas.
    pub(super) fn replicas(&self) -> Vec<OwnedPlace> {
        (1..=self.replicas)
            .map(|number| self.place(format!("replica-{number}"), number))
            .collect()
    }

    fn place(&self, name: String, number: u16) -> OwnedPlace {
        let port = if self.port == 0 {
            0
        } else {
            self.port + number
        };
        OwnedPlace {
            listen: format!("{}:{port}", self.host),
            data_dir: self.data_dir.join(&name),
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn places(listen: &str, replicas: &str) -> Result<Places, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().to_str().unwrap();
        let args = [
            "lockstep",
            "dev",
            "--listen",
            listen,
            "--replicas",
            replicas,
            "--data-dir",
            data_dir,
        ];
        let Command::Dev(dev) = Args::try_parse_from(args).unwrap().command else {
            panic!("another command")
        };
        Places::new(&dev)
    }

    fn listens(places: &Places) -> Vec<String> {
        let (mut arbiters, replicas) = (places.arbiters(), places.replicas());
        let further = arbiters.split_off(1);
        let nodes = arbiters.into_iter().chain(replicas).chain(further);
        nodes.map(|place| place.listen).collect()
    }

    #[test]
    fn replicas_take_the_ports_behind_the_arbiters() {
        let places = places("127.0.0.1:7100", "2").unwrap();
        assert_eq!(
            listens(&places),
            ["127.0.0.1:7100", "127.0.0.1:7101", "127.0.0.1:7102"]
        );
        assert_eq!(places.names(), ["arbiter", "replica-1", "replica-2"]);
        assert!(places.is_first_start());
    }

    #[test]
    fn port_0_is_port_0_for_all() {
        assert_eq!(
            listens(&places("[::1]:0", "1").unwrap()),
            ["[::1]:0", "[::1]:0"]
        );
    }

    #[test]
    fn certificates_are_for_the_host_and_the_usual_ones() {
        let hosts = |listen: &str| places(listen, "1").unwrap().hosts();
        assert_eq!(hosts("[::1]:0"), ["::1", "127.0.0.1", "localhost"]);
        assert_eq!(
            hosts("10.0.0.1:1"),
            ["10.0.0.1", "127.0.0.1", "::1", "localhost"]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for listen in [
            "127.0.0.1",
            "127.0.0.1:x",
            "127.0.0.1:65535",
            "0.0.0.0:7100",
        ] {
            assert!(
                matches!(places(listen, "3"), Err(Failure::Usage(_))),
                "{listen}"
            );
        }
    }
}
