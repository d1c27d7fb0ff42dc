//! Where the program is run, and commands that end by themselves. What is for tests panics where it fails.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::eventually;

/// A directory to run the program in, and the flags every command there gets. It goes with its contents.
pub struct Place {
    program: PathBuf,
    dir: TempDir,
    flags: Vec<String>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output, as bytes.
    pub bytes: Vec<u8>,
    /// Standard error.
    pub errors: String,
}

impl Place {
    /// An empty directory, to run `program` in.
    ///
    /// # Panics
    /// If there is no room for a directory.
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            dir: tempfile::tempdir().expect("a temporary directory"),
            flags: Vec::new(),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// From now on every command gets these flags.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// What every command gets.
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// Keeps the directory when this is dropped, and says where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.path().to_owned()
    }

    /// The program that is run here.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command here, without the environment of whoever runs the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.path()).args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOCKSTEP_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with_input(arguments, b"")
    }

    /// Runs a command to its end, with something on its standard input.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
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
    ///
    /// # Panics
    /// If it does not succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0, arguments)
    }

    /// Runs a command that has to succeed with `--output json`, and returns the object it printed.
    ///
    /// # Panics
    /// If it does not succeed.
    pub fn json(&self, arguments: &[&str]) -> Json {
        let arguments = [arguments, &["--output", "json"]].concat();
        let text = self.ok(&arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// Waits until `status` says of all `replicas` that they are there and in sync, and returns it.
    ///
    /// # Panics
    /// If that takes far too long.
    pub fn all_in_sync(&self, replicas: usize) -> Json {
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
    /// How a process that was waited for ended.
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            bytes: output.stdout,
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What was printed.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Asserts the exit code and returns what was printed.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn expect(self, code: i32, what: &[&str]) -> String {
        assert_eq!(self.code, code, "{what:?}: {self:?}");
        self.text()
    }
}
