//! A disk between one process and its files that can be made full, slow, hanging or failing while the process runs.
//!
//! That is a small library in C, compiled here and loaded into the process before all others (`LD_PRELOAD`), so it needs
//! Linux and a C compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Failure;

const SOURCE: &str = include_str!("disk.c");

/// What the disk does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// What it should.
    Sound,
    /// Writes find no room.
    Full,
    /// Every sync takes so many milliseconds longer.
    Slow(u32),
    /// Syncs do not return until that changes.
    Hanging,
    /// Syncs fail, which the process does not survive.
    Failing,
}

/// The library, compiled.
pub(super) struct Interposer {
    library: PathBuf,
}

/// The disk of one node.
pub(super) struct Disk {
    library: PathBuf,
    control: PathBuf,
    directory: PathBuf,
}

impl Interposer {
    /// Compiles it into `directory`.
    ///
    /// # Errors
    /// If there is no C compiler, or the system is another one.
    pub(super) fn build(directory: &Path) -> Result<Self, Failure> {
        let nowhere = |reason: String| Failure::NoDisks { reason };
        if !cfg!(target_os = "linux") {
            return Err(nowhere("the system is not Linux".to_owned()));
        }
        let (source, library) = (directory.join("disk.c"), directory.join("disk.so"));
        fs::write(&source, SOURCE).map_err(|error| nowhere(error.to_string()))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-w", "-o"]);
        compiler.args([&library, &source]).arg("-ldl");
        let output = compiler.output();
        let output = output.map_err(|error| nowhere(format!("cc: {error}")))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(nowhere(format!("cc: {errors}")));
        }
        Ok(Self { library })
    }

    /// A sound disk for the data directory `name` in `place`.
    pub(super) fn disk(&self, place: &Path, name: &str) -> Result<Disk, Failure> {
        let disk = Disk {
            library: self.library.clone(),
            control: place.join(format!("{name}.disk")),
            directory: place.join(name),
        };
        disk.set(Condition::Sound)?;
        Ok(disk)
    }
}

impl Disk {
    /// What a process on this disk has in its environment.
    pub(super) fn environment(&self) -> [(&'static str, &Path); 3] {
        [
            ("LD_PRELOAD", &self.library),
            ("DISK_CONTROL", &self.control),
            ("DISK_DIRECTORY", &self.directory),
        ]
    }

    /// From now on it does that.
    pub(super) fn set(&self, condition: Condition) -> Result<(), Failure> {
        let word = match condition {
            Condition::Sound => "ok".to_owned(),
            Condition::Full => "full".to_owned(),
            Condition::Slow(millis) => format!("slow {millis}"),
            Condition::Hanging => "hang".to_owned(),
            Condition::Failing => "eio".to_owned(),
        };
        // A process never reads half of it.
        let whole = self.control.with_extension("next");
        let written = fs::write(&whole, word).and_then(|()| fs::rename(&whole, &self.control));
        written.map_err(|error| Failure::NoDisks {
            reason: error.to_string(),
        })
    }
}
