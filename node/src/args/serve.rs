//! Flags of `serve`, and which machines they name.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::{ArgMatches, FromArgMatches};
use lockstep_core::limits::ARBITERS_MAX;

use super::server::{LimitArgs, NodeArgs};

/// So many of the machines have an arbiter, unless it is said which.
const ARBITERS_USUAL: usize = 3;

/// `lockstep serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The same command on every machine, in any order; only --name, --listen and --data-dir may differ. A cluster begins when all its arbiters \
run, and goes on while a majority of them does.

Example, on the first of three machines (--example-config and --example-unit print the same for a service):
  lockstep certs init --tls-dir tls
  for n in 1 2 3; do lockstep certs node n$n --host 10.0.0.$n --tls-dir tls; done
  lockstep serve --name n1 --listen 0.0.0.0:7101 --data-dir /var/lib/lockstep --tls-dir tls \\
      --peers n1=10.0.0.1:7101,n2=10.0.0.2:7101,n3=10.0.0.3:7101

SIGTERM and SIGINT let the replica leave the cluster in good order, to come back soon, and then stop the arbiter; a second signal stops \
both at once. Either is safe.")]
pub(crate) struct ServeArgs {
    /// Where and as whom it runs.
    #[command(flatten)]
    pub(crate) node: NodeArgs,

    /// The machines of the cluster and where each is reached, the same list on all of them. A machine that is added names itself at
    /// the end, or not at all, and some that run
    #[arg(long, value_name = "NAME=HOST:PORT", num_args = 1.., value_delimiter = ',', required = true)]
    pub(crate) peers: Vec<Peer>,

    /// Which of them have an arbiter, 1, 3 or 5; the same on all machines [default: the first three of --peers, or the first
    /// where there are fewer]
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) arbiters: Vec<String>,

    /// Read by [`example`], since what it needs to run is not there then.
    #[command(flatten)]
    _example: ExampleArgs,

    /// Bounds of its replica.
    #[command(flatten)]
    pub(crate) bounds: LimitArgs,
}

/// What is printed instead of anything being run.
#[derive(Clone, Debug, clap::Args)]
struct ExampleArgs {
    /// Print a configuration file with comments, for --config, and do nothing else
    #[arg(long, exclusive = true)]
    example_config: bool,

    /// Print a systemd unit, and do nothing else
    #[arg(long, exclusive = true)]
    example_unit: bool,
}

/// The example that was asked for.
pub(crate) fn example(matches: &ArgMatches) -> Option<&'static str> {
    let serve = matches.subcommand_matches("serve")?;
    let asked = ExampleArgs::from_arg_matches(serve).ok()?;
    match asked {
        ExampleArgs {
            example_config: true,
            ..
        } => Some(EXAMPLE_CONFIG),
        ExampleArgs {
            example_unit: true, ..
        } => Some(EXAMPLE_UNIT),
        ExampleArgs { .. } => None,
    }
}

const EXAMPLE_CONFIG: &str = include_str!("examples/lockstep.toml");
const EXAMPLE_UNIT: &str = include_str!("examples/lockstep.service");

/// A machine: its name, and the `HOST:PORT` it is reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) endpoint: String,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, endpoint) = text
            .split_once('=')
            .ok_or("write NAME=HOST:PORT, as in n1=10.0.0.1:7101")?;
        Ok(Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
        })
    }
}

impl ServeArgs {
    /// The machine called `name`, if it is one of --peers.
    pub(crate) fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    /// Those that have an arbiter.
    ///
    /// # Errors
    /// Says what of --peers or --arbiters cannot be.
    pub(crate) fn arbiters(&self) -> Result<Vec<&Peer>, String> {
        let names = self.peers.iter().map(|peer| &*peer.name);
        if let Some(name) = repeated(names) {
            return Err(format!(
                "--peers names {name:?} twice: each machine has a name of its own"
            ));
        }
        let endpoints = self.peers.iter().map(|peer| &*peer.endpoint);
        if let Some(endpoint) = repeated(endpoints) {
            return Err(format!(
                "--peers has {endpoint} twice: each machine has an address of its own"
            ));
        }
        if self.arbiters.is_empty() {
            // Two are no safer than one: both would be needed.
            let usual = if self.peers.len() < ARBITERS_USUAL {
                1
            } else {
                ARBITERS_USUAL
            };
            return Ok(self.peers.iter().take(usual).collect());
        }
        if let Some(name) = repeated(self.arbiters.iter().map(String::as_str)) {
            return Err(format!("--arbiters names {name:?} twice"));
        }
        if self.arbiters.len() > ARBITERS_MAX {
            return Err(format!(
                "--arbiters names {} machines, but {ARBITERS_MAX} are the most: name 1, 3 or 5 of --peers",
                self.arbiters.len()
            ));
        }
        let arbiters = self.arbiters.iter().map(|name| {
            self.peer(name).ok_or_else(|| {
                let known: Vec<&str> = self.peers.iter().map(|peer| &*peer.name).collect();
                format!(
                    "--arbiters names {name:?}, which is not in --peers: name 1, 3 or 5 of {}",
                    known.join(", ")
                )
            })
        });
        arbiters.collect()
    }
}

/// What is in there a second time.
fn repeated<'a>(mut texts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    texts.find(|text| !seen.insert(*text))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args::{Args, Command};

    fn serve(flags: &[&str]) -> ServeArgs {
        let flags = [
            &[
                "lockstep",
                "serve",
                "--listen",
                "a:1",
                "--data-dir",
                "d",
                "--tls-dir",
                "t",
            ],
            flags,
        ]
        .concat();
        match Args::try_parse_from(flags).unwrap().command {
            Command::Serve(args) => args,
            other => panic!("another command: {other:?}"),
        }
    }

    fn arbiters(peers: &str, arbiters: &[&str]) -> Result<Vec<String>, String> {
        let peers: Vec<String> = peers
            .chars()
            .map(|name| format!("{name}={name}:1"))
            .collect();
        let peers = peers.join(",");
        let args = serve(&[&["--peers", &peers], arbiters].concat());
        let arbiters = args.arbiters()?;
        Ok(arbiters.iter().map(|peer| peer.name.clone()).collect())
    }

    #[test]
    fn the_first_three_machines_have_an_arbiter_unless_others_are_named() {
        let check = |peers, named: &[&str], expected: &[&str]| {
            assert_eq!(
                arbiters(peers, named).unwrap(),
                expected,
                "{peers} {named:?}"
            );
        };
        check("abcd", &[], &["a", "b", "c"]);
        check("abc", &[], &["a", "b", "c"]);
        check("ab", &[], &["a"]);
        check("a", &[], &["a"]);
        check("abcd", &["--arbiters", "d,b,a"], &["d", "b", "a"]);
        check(
            "abcde",
            &["--arbiters", "a,b,c,d,e"],
            &["a", "b", "c", "d", "e"],
        );
        check("abcd", &["--arbiters", "d"], &["d"]);
    }

    #[test]
    fn what_names_no_machines_is_refused_with_a_reason() {
        let check = |peers, named: &[&str], expected: &str| {
            let error = arbiters(peers, named).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("abca", &[], "\"a\" twice");
        check("abc", &["--arbiters", "a,b,a"], "\"a\" twice");
        check(
            "abc",
            &["--arbiters", "a,x"],
            "\"x\", which is not in --peers: name 1, 3 or 5 of a, b, c",
        );
        check("abc", &["--arbiters", ""], "\"\", which is not in --peers");
        check(
            "abcdef",
            &["--arbiters", "a,b,c,d,e,f"],
            "names 6 machines, but 5 are the most",
        );
        let same = serve(&["--peers", "a=h:1,b=h:1"]);
        assert!(same.arbiters().unwrap_err().contains("h:1 twice"));
        let flags = ["lockstep", "serve", "--peers", "10.0.0.1:7101"];
        let error = Args::try_parse_from(flags).unwrap_err().to_string();
        assert!(error.contains("NAME=HOST:PORT"), "{error}");
    }

    #[test]
    fn an_example_needs_no_flags_and_takes_none() {
        let asked = |flags: &[&str]| {
            let flags = [&["lockstep", "serve"], flags].concat();
            Args::command().try_get_matches_from(flags)
        };
        let printed = |flag| example(&asked(&[flag]).unwrap());
        assert_eq!(printed("--example-config"), Some(EXAMPLE_CONFIG));
        assert_eq!(printed("--example-unit"), Some(EXAMPLE_UNIT));
        assert!(asked(&["--example-config", "--name", "n1"]).is_err());
    }
}
