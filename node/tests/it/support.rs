//! Runs the program: commands that end by themselves, and servers that are watched, killed and started again.
//!
//! Nothing here sleeps for effect: whatever has to come about is polled for, with a bound that only a broken program
//! or a machine at a standstill reaches.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory to run commands in, and the flags every command there gets.
pub(crate) struct Place {
    dir: TempDir,
    flags: Vec<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: i32,
    /// Standard output, as bytes.
    pub(crate) bytes: Vec<u8>,
    /// Standard error.
    pub(crate) errors: String,
}

impl Place {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            flags: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// From now on every command gets these flags.
    pub(crate) fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command here, without the environment of whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.current_dir(self.path()).args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOCKSTEP_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with_input(arguments, b"")
    }

    /// Runs a command to its end, with something on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self
            .command(arguments)
            .args(&self.flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = thread::spawn(move || {
            // A command that does not read its input closes the pipe.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ended::new(output)
    }

    /// Runs a command that has to succeed, and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0, arguments)
    }

    /// Runs a command that has to succeed with `--output json`, and returns the object it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Json {
        let arguments = [arguments, &["--output", "json"]].concat();
        let text = self.ok(&arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// Waits until `status` says of all `replicas` that they are there and in sync, and returns it.
    pub(crate) fn all_in_sync(&self, replicas: usize) -> Json {
        eventually("all replicas are in sync", || {
            let ended = self.run(&["status", "--output", "json"]);
            let status: Json = serde_json::from_slice(&ended.bytes).ok()?;
            let members = status["replicas"].as_array()?;
            let is_good = |member: &&Json| {
                member["in_sync"] == true && member["reachable"] == true && member["lag"] == 0
            };
            let good = members.iter().filter(is_good).count();
            (good == replicas && members.len() == replicas).then_some(status)
        })
    }
}

impl Ended {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            bytes: output.stdout,
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What was printed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Asserts the exit code and returns what was printed.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, what: &[&str]) -> String {
        assert_eq!(self.code, code, "{what:?}: {self:?}");
        self.text()
    }
}

/// A process that runs until it is told to end; killed when dropped.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Server {
    /// Starts it; its log goes to a file in `place`.
    pub(crate) fn start(place: &Place, name: &str, arguments: &[&str]) -> Self {
        let log = place.path().join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = place
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, log }
    }

    /// The rest of the first line that begins with `prefix`.
    #[track_caller]
    pub(crate) fn line(&self, prefix: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return rest.trim().to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line {prefix:?} came; the log says:\n{}", self.log())
                }
            }
        }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as the operating system or a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end in good order, waits, and returns its exit code.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> i32 {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.wait()
    }

    /// Waits until it ends by itself and returns its exit code.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, String) {
        let code = self.wait();
        (code, self.log())
    }

    #[track_caller]
    fn wait(&mut self) -> i32 {
        let status = eventually("the process ends", || self.child.try_wait().unwrap());
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

/// Polls until there is something, and panics if that takes far too long.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
