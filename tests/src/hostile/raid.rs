//! An attack from a process of its own: attackers that share threads with those who write would hold them up themselves.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clap::ValueEnum;

use super::attack::{Attack, Target};
use crate::processes::Failure;

/// A process that attacks, until this is ended or dropped.
pub(super) struct Raid(Child);

impl Raid {
    /// Has `program`, which understands the flags given here, begin the attack.
    pub(super) fn begin(program: &Path, attack: Attack, target: &Target) -> Result<Self, Failure> {
        let attack = attack.to_possible_value().expect("all have names");
        let mut command = Command::new(program);
        command.arg(attack.get_name());
        command.arg("--attacker").arg(&target.name);
        command.arg("--tls-dir").arg(&target.tls_dir);
        for node in &target.nodes {
            command.arg("--node").arg(node.to_string());
        }
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn().map_err(failed)?))
    }

    /// Ends it, and tells how often something was tried.
    pub(super) fn end(mut self) -> Result<u64, Failure> {
        drop(self.0.stdin.take());
        let mut told = String::new();
        let mut stdout = self.0.stdout.take().expect("it is read");
        stdout.read_to_string(&mut told).map_err(failed)?;
        told.trim().parse().map_err(failed)
    }
}

impl Drop for Raid {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a process get what others leave of the processors, so that attackers whom the nodes' machine has to bear as well spend
/// little of what is the nodes'.
const LAST: i32 = 19;

/// Attacks from this process until standard input ends, then tells on standard output how often something was tried.
///
/// # Errors
/// If no attack can be made.
pub fn raid(attack: Attack, target: &Target) -> Result<(), Failure> {
    rustix::process::nice(LAST).map_err(failed)?;
    let underway = attack.begin(target)?;
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(failed)?;
    println!("{}", underway.attempts());
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Hostile {
        reason: error.to_string(),
    }
}
