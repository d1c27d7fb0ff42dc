//! Processes that run until they are told to end: watched, killed, stopped and continued.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::{Failure, PATIENCE, Place, eventually};

/// A process that runs until it is told to end; killed when dropped.
pub struct Server {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Server {
    /// Starts it; its log goes to a file in `place`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(place: &Place, name: &str, arguments: &[&str]) -> Result<Self, Failure> {
        Self::start_with(place, name, arguments, &[])
    }

    /// The same, with `environment` added to its own.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_with(
        place: &Place,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Result<Self, Failure> {
        let log = place.path().join(format!("{name}.log"));
        let run = |source| Failure::Run {
            program: place.program().to_owned(),
            source,
        };
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(run)?;
        let mut child = place
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(run)?;
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            log,
        })
    }

    /// The rest of the first line that begins with `prefix`.
    ///
    /// # Errors
    /// If none comes.
    pub fn line(&self, prefix: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Failure::Silent {
                        name: self.name.clone(),
                        prefix: prefix.to_owned(),
                        log: self.log(),
                    });
                }
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as the operating system or a power failure would.
    pub fn kill(self) {
        // What it takes is in `drop`.
    }

    /// Stops it: it does nothing, hears nothing and keeps everything, until it goes on.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Tells it what a terminal does that is closed, or whoever changed its files.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Has it ended by itself?
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks it to end in good order, waits, and returns its exit code.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn terminate(mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it ends by itself and returns its exit code and its log.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let code = self.wait();
        (code, self.log())
    }

    fn signal(&self, signal: Signal) {
        // It may have ended already, which whoever waits for it finds out.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    #[track_caller]
    fn wait(&mut self) -> i32 {
        let status = eventually("the process ends", || {
            self.child.try_wait().expect("it is a child")
        });
        status.code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
