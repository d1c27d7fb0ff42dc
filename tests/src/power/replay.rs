//! A recording done again to simulated files, up to a call where power is lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockstep_core::engine::files::{File, Files};
use rand_chacha::ChaCha8Rng;

use super::recording::{Event, Recording};
use super::{Said, lay_out};
use crate::files::SimulatedFiles;

/// Simulated files to which the calls before a moment were made.
pub(super) struct Replay<'a> {
    recording: &'a Recording,
    done: usize,
    files: SimulatedFiles,
    handle: Arc<dyn Files>,
    open: BTreeMap<u64, Opened>,
    said: Said,
}

enum Opened {
    File(Arc<dyn File>),
    Directory(PathBuf),
}

impl<'a> Replay<'a> {
    pub(super) fn new(recording: &'a Recording) -> Self {
        let files = SimulatedFiles::new(0);
        Self {
            recording,
            done: 0,
            handle: files.handle(),
            files,
            open: BTreeMap::new(),
            said: Said::default(),
        }
    }

    /// What the process had said by now.
    pub(super) fn said(&self) -> Said {
        self.said
    }

    pub(super) fn advance_to(&mut self, calls: usize) -> Result<(), String> {
        while self.done < calls {
            let event = &self.recording.0[self.done];
            self.apply(event)
                .map_err(|error| format!("{event:?}: {error}"))?;
            self.done += 1;
        }
        Ok(())
    }

    fn apply(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Open {
                fd,
                path,
                is_emptied,
                is_made,
            } => {
                let opened = if self.handle.list(path).is_ok() {
                    Opened::Directory(path.clone())
                } else if *is_emptied || (*is_made && !self.files.has(path)) {
                    Opened::File(self.handle.create(path)?)
                } else {
                    Opened::File(self.handle.open(path)?)
                };
                self.open.insert(*fd, opened);
            }
            Event::Close(fd) => drop(self.open.remove(fd)),
            Event::Write { fd, offset, bytes } => {
                if let Some(Opened::File(file)) = self.open.get(fd) {
                    let offset = match *offset {
                        u64::MAX => file.length()?,
                        offset => offset,
                    };
                    file.write_all_at(bytes, offset)?;
                }
            }
            Event::SetLength { fd, bytes } => {
                if let Some(Opened::File(file)) = self.open.get(fd) {
                    file.set_len(*bytes)?;
                }
            }
            Event::Rename(from, to) => self.handle.rename(from, to)?,
            Event::Remove(path) => self.handle.remove(path)?,
            Event::MakeDirectory(path) => self.handle.create_dir(path)?,
            Event::RemoveDirectory(path) => self.files.remove_dir(path)?,
            Event::Sync(fd) => match self.open.get(fd) {
                Some(Opened::File(file)) => file.sync_all()?,
                Some(Opened::Directory(path)) => self.handle.sync_dir(path)?,
                None => {}
            },
            Event::Said(said) => self.said = *said,
        }
        Ok(())
    }

    /// Lays out below `root` what a loss of power at this moment may leave. Returns in words what that is.
    pub(super) fn lose_power(&self, rng: &mut ChaCha8Rng, root: &Path) -> Result<String, String> {
        let survival = self.files.any_survival(rng);
        let left = self.files.after_crash(survival, rng);
        lay_out(root, left.tree()).map_err(|error| error.to_string())?;
        Ok(format!("{survival:?}"))
    }
}
