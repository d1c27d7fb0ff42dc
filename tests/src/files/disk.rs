//! All files of a simulated machine, and what a call does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::contents::{BLOCK, Contents};
use super::fault::{Call, Fault, Injected, Mishap, Mishaps, Plan};
use super::names::{Change, Inode, Names};
use super::survival::{Stamp, Survival};

/// What a file or a directory is.
#[derive(Clone, Debug)]
enum Node {
    File(Contents),
    Directory(Names),
}

/// Which process calls: what was opened by one that has ended does nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process(u64);

const ROOT: Inode = Inode(0);

/// All files of a machine.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    nodes: BTreeMap<Inode, Node>,
    inodes: u64,
    changes: u64,
    pub(super) plan: Plan,
    process: Process,
    /// How often the process has each file open.
    opens: BTreeMap<Inode, u64>,
    is_cut: bool,
    /// Something went wrong with the last call.
    is_struck: bool,
    /// Something has gone wrong since somebody last compared.
    is_changed: bool,
    /// Calls are not those of the process.
    is_looked_into: bool,
    /// Bytes that all files together may have allocated.
    capacity: u64,
    /// What is written over needs room as well.
    pub(super) copies_on_write: bool,
    rng: ChaCha8Rng,
    pub(super) mishaps: Mishaps,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Directory(Names::default()))]),
            inodes: 1,
            changes: 0,
            plan: Plan::default(),
            process: Process(0),
            opens: BTreeMap::new(),
            is_cut: false,
            is_struck: false,
            is_changed: false,
            is_looked_into: false,
            capacity: u64::MAX,
            copies_on_write: false,
            rng: ChaCha8Rng::seed_from_u64(seed),
            mishaps: Mishaps::new(),
        }
    }

    pub(super) fn process(&self) -> Process {
        self.process
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    fn count(&mut self, mishap: Mishap) {
        *self.mishaps.entry(mishap).or_default() += 1;
    }

    // ------------------------------------------------------------------------------------------------- processes

    /// The process ends; its files stay as they are.
    pub(super) fn end_process(&mut self) {
        self.begin_process();
        self.count(Mishap::ProcessEnd);
        self.remove_unnamed();
    }

    fn begin_process(&mut self) {
        self.process.0 += 1;
        self.opens.clear();
        self.is_cut = false;
    }

    /// The cache forgets some of what it takes for durable.
    pub(super) fn evict(&mut self, rng: &mut ChaCha8Rng) {
        self.is_changed = true;
        for node in self.nodes.values_mut() {
            if let Node::File(contents) = node {
                contents.evict(rng, &mut self.mishaps);
            }
        }
    }

    /// Power is lost, and is back.
    pub(super) fn crash(&mut self, survival: Survival, rng: &mut ChaCha8Rng) {
        self.begin_process();
        self.is_changed = true;
        self.count(Mishap::Crash);
        for node in self.nodes.values_mut() {
            match node {
                Node::File(contents) => contents.crash(survival, rng, &mut self.mishaps),
                Node::Directory(names) => names.crash(survival, rng, &mut self.mishaps),
            }
        }
        self.remove_unnamed();
    }

    /// Removes what nobody has open, and no directory has or could have again.
    fn remove_unnamed(&mut self) {
        let named = self.reachable(Names::every);
        let Self { nodes, opens, .. } = self;
        nodes.retain(|inode, _| named.contains(inode) || opens.contains_key(inode));
    }

    /// A file is opened.
    fn opened(&mut self, inode: Inode) -> Inode {
        *self.opens.entry(inode).or_default() += 1;
        inode
    }

    pub(super) fn close(&mut self, process: Process, inode: Inode) {
        if process != self.process {
            return;
        }
        if let Some(count) = self.opens.get_mut(&inode) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&inode);
            }
        }
    }

    /// The files and directories that can be reached by some of the names.
    fn reachable(&self, names: impl Fn(&Names) -> Vec<Inode>) -> BTreeSet<Inode> {
        let mut reached = BTreeSet::new();
        let mut left = vec![ROOT];
        while let Some(inode) = left.pop() {
            if reached.insert(inode)
                && let Some(Node::Directory(directory)) = self.nodes.get(&inode)
            {
                left.extend(names(directory));
            }
        }
        reached
    }

    // ------------------------------------------------------------------------------------------------------- room

    /// Bytes that are free.
    fn free(&self) -> u64 {
        let named = self.reachable(Names::present);
        let used = named.iter().map(|inode| match &self.nodes[inode] {
            Node::File(contents) => contents.allocated + BLOCK,
            Node::Directory(_) => BLOCK,
        });
        self.capacity.saturating_sub(used.sum())
    }

    pub(super) fn set_free(&mut self, bytes: u64) {
        self.capacity = u64::MAX;
        let used = u64::MAX - self.free();
        self.capacity = used.saturating_add(bytes);
    }

    fn no_room(&mut self) -> io::Error {
        self.strike();
        self.count(Mishap::NoRoom);
        Fault::NoRoom.error()
    }

    /// Refuses what takes a block, if there is none.
    fn check_block(&mut self) -> io::Result<()> {
        if self.free() < BLOCK {
            return Err(self.no_room());
        }
        Ok(())
    }

    /// Refuses a change that takes no room, where every change does.
    fn check_room(&mut self) -> io::Result<()> {
        if self.copies_on_write {
            return self.check_block();
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------------ faults

    /// Takes a call in: what goes wrong with it.
    fn begin(&mut self, process: Process, call: Call) -> io::Result<Option<Injected>> {
        if self.is_looked_into {
            return Ok(None);
        }
        self.is_struck = false;
        if self.is_cut || process != self.process {
            self.strike();
            return Err(Fault::Cut.error());
        }
        let injected = self.plan.next(call);
        if let Some(Injected { fault, .. }) = injected {
            self.strike();
            self.count(match fault {
                Fault::NoRoom => Mishap::NoRoom,
                Fault::Failed => Mishap::Failed,
                Fault::Interrupted => Mishap::Interrupted,
                Fault::Unsupported => Mishap::Unsupported,
                Fault::Cut => Mishap::Cut,
            });
            self.is_cut |= fault == Fault::Cut;
        }
        Ok(injected)
    }

    pub(super) fn strike(&mut self) {
        self.is_struck = true;
        self.is_changed = true;
    }

    /// Did something go wrong with the last call?
    pub(super) fn is_struck(&self) -> bool {
        self.is_struck
    }

    /// Has something gone wrong since this was asked last?
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Whether calls are somebody's who looks into the files, with whom nothing goes wrong.
    pub(super) fn set_looked_into(&mut self, is_looked_into: bool) {
        self.is_looked_into = is_looked_into;
    }

    /// Every directory, and every file with its contents; what is in a directory follows it, in the order of the names.
    pub(super) fn tree(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let mut tree = Vec::new();
        self.walk(Path::new("/"), ROOT, &mut tree);
        tree
    }

    fn walk(&self, path: &Path, directory: Inode, tree: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
        let Ok(names) = self.names(directory) else {
            return;
        };
        for name in names.list() {
            let path = path.join(&name);
            let Some(inode) = names.find(&name) else {
                continue;
            };
            match &self.nodes[&inode] {
                Node::File(contents) => {
                    let mut bytes = vec![0; contents.length() as usize];
                    contents.read_at(&mut bytes, 0);
                    tree.push((path, Some(bytes)));
                }
                Node::Directory(_) => {
                    tree.push((path.clone(), None));
                    self.walk(&path, inode, tree);
                }
            }
        }
    }

    /// Takes in a call that is not done if anything goes wrong with it.
    fn begin_query(&mut self, process: Process, call: Call) -> io::Result<()> {
        match self.begin(process, call)? {
            Some(injected) => Err(injected.fault.error()),
            None => Ok(()),
        }
    }

    /// Carries out a change of files, of which the caller may not hear.
    fn change<T>(
        &mut self,
        process: Process,
        call: Call,
        change: impl FnOnce(&mut Self, Stamp) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.begin(process, call)?.map(|injected| injected.fault) {
            None => {
                let stamp = self.stamp();
                change(self, stamp)
            }
            Some(Fault::Cut) => {
                // Done or not: what is done and not synced covers both.
                let stamp = self.stamp();
                change(self, stamp).and(Err(Fault::Cut.error()))
            }
            Some(fault) => Err(fault.error()),
        }
    }

    fn stamp(&mut self) -> Stamp {
        let stamp = Stamp(self.changes);
        self.changes += 1;
        stamp
    }

    // ------------------------------------------------------------------------------------------------------- names

    pub(super) fn has(&self, path: &Path) -> bool {
        self.find(path).is_ok()
    }

    fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut inode = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => {
                    inode = self.names(inode)?.find(name).ok_or(ErrorKind::NotFound)?;
                }
                Component::Prefix(_) | Component::CurDir | Component::ParentDir => {
                    return Err(ErrorKind::InvalidInput.into());
                }
            }
        }
        Ok(inode)
    }

    /// The directory that has it, and its name there.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(Inode, &'a OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::AlreadyExists.into());
        };
        Ok((self.find(parent)?, name))
    }

    fn names(&self, inode: Inode) -> io::Result<&Names> {
        match self.nodes.get(&inode) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn names_mut(&mut self, inode: Inode) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&inode) {
            Some(Node::Directory(names)) => Ok(names),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn contents(&mut self, inode: Inode) -> io::Result<&mut Contents> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(contents)) => Ok(contents),
            Some(Node::Directory(_)) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn add(&mut self, stamp: Stamp, path: &Path, node: Node) -> io::Result<Inode> {
        let (directory, name) = self.place(path)?;
        self.check_block()?;
        let inode = Inode(self.inodes);
        self.inodes += 1;
        self.nodes.insert(inode, node);
        let change: Change = vec![(name.to_owned(), Some(inode))];
        self.names_mut(directory)?.change(stamp, change);
        Ok(inode)
    }

    pub(super) fn open(&mut self, process: Process, path: &Path) -> io::Result<Inode> {
        self.begin_query(process, Call::Open)?;
        let inode = self.find(path)?;
        self.contents(inode)?;
        Ok(self.opened(inode))
    }

    pub(super) fn create(&mut self, process: Process, path: &Path) -> io::Result<Inode> {
        self.change(process, Call::Create, |disk, stamp| match disk.find(path) {
            Ok(inode) => {
                disk.check_room()?;
                disk.contents(inode)?.set_length(stamp, 0);
                Ok(disk.opened(inode))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let inode = disk.add(stamp, path, Node::File(Contents::default()))?;
                Ok(disk.opened(inode))
            }
            Err(error) => Err(error),
        })
    }

    pub(super) fn create_dir(&mut self, process: Process, path: &Path) -> io::Result<()> {
        self.change(process, Call::CreateDir, |disk, stamp| {
            if disk.find(path).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            disk.add(stamp, path, Node::Directory(Names::default()))?;
            Ok(())
        })
    }

    pub(super) fn rename(&mut self, process: Process, from: &Path, to: &Path) -> io::Result<()> {
        self.change(process, Call::Rename, |disk, stamp| {
            disk.check_room()?;
            let (directory, former) = disk.place(from)?;
            let (target, name) = disk.place(to)?;
            if directory != target {
                return Err(ErrorKind::Unsupported.into());
            }
            let inode = disk.find(from)?;
            let change = vec![(former.to_owned(), None), (name.to_owned(), Some(inode))];
            disk.names_mut(directory)?.change(stamp, change);
            Ok(())
        })
    }

    pub(super) fn remove(&mut self, process: Process, path: &Path) -> io::Result<()> {
        self.change(process, Call::Remove, |disk, stamp| {
            let (directory, name) = disk.place(path)?;
            let inode = disk.find(path)?;
            disk.contents(inode)?;
            disk.names_mut(directory)?
                .change(stamp, vec![(name.to_owned(), None)]);
            Ok(())
        })
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let (directory, name) = self.place(path)?;
        self.names(self.find(path)?)?;
        let stamp = self.stamp();
        self.names_mut(directory)?
            .change(stamp, vec![(name.to_owned(), None)]);
        Ok(())
    }

    pub(super) fn list(&mut self, process: Process, path: &Path) -> io::Result<Vec<OsString>> {
        self.begin_query(process, Call::List)?;
        Ok(self.names(self.find(path)?)?.list())
    }

    pub(super) fn sync_dir(&mut self, process: Process, path: &Path) -> io::Result<()> {
        let fault = self.begin(process, Call::SyncDir)?;
        let inode = self.find(path)?;
        let Some(Injected { fault, .. }) = fault else {
            self.names_mut(inode)?.sync();
            self.remove_unnamed();
            return Ok(());
        };
        if let Some(Node::Directory(names)) = self.nodes.get_mut(&inode)
            && !self.is_cut
        {
            names.fail_sync(&mut self.rng);
        }
        Err(fault.error())
    }

    pub(super) fn room(&mut self, process: Process) -> io::Result<u64> {
        self.begin_query(process, Call::Room)?;
        Ok(self.free())
    }

    // ---------------------------------------------------------------------------------------------------- contents

    pub(super) fn read_at(
        &mut self,
        process: Process,
        inode: Inode,
        bytes: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.begin_query(process, Call::Read)?;
        Ok(self.contents(inode)?.read_at(bytes, offset))
    }

    pub(super) fn write_all_at(
        &mut self,
        process: Process,
        inode: Inode,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        let (mut count, mut result) = (bytes.len(), Ok(()));
        match self.begin(process, Call::Write)? {
            None => {}
            Some(injected) => {
                result = Err(injected.fault.error());
                if injected.fault != Fault::Cut {
                    count = injected.part_of(bytes.len());
                }
            }
        }
        let fitting = self.fit(inode, offset, count)?;
        if fitting < count {
            count = fitting;
            result = Err(self.no_room());
        }
        if 0 < count && count < bytes.len() {
            self.count(Mishap::ShortWrite);
        }
        let stamp = self.stamp();
        self.contents(inode)?
            .write_at(stamp, &bytes[..count], offset);
        result
    }

    /// Allocates what a write needs, as far as there is room; returns how much of it fits.
    fn fit(&mut self, inode: Inode, offset: u64, count: usize) -> io::Result<usize> {
        if self.copies_on_write && self.free() < BLOCK && count > 0 {
            return Ok(self.rng.random_range(0..count));
        }
        self.extend(inode, offset + count as u64)?;
        let fitting = self.contents(inode)?.allocated.saturating_sub(offset);
        Ok(usize::try_from(fitting).map_or(count, |fitting| fitting.min(count)))
    }

    /// Allocates up to `end`, as far as there is room. Was there enough?
    fn extend(&mut self, inode: Inode, end: u64) -> io::Result<bool> {
        let end = end.next_multiple_of(BLOCK);
        let lacking = end.saturating_sub(self.contents(inode)?.allocated);
        if lacking == 0 {
            return Ok(true);
        }
        let free = self.free();
        let taken = lacking.min(free - free % BLOCK);
        self.contents(inode)?.allocated += taken;
        Ok(taken == lacking)
    }

    pub(super) fn allocate(
        &mut self,
        process: Process,
        inode: Inode,
        bytes: u64,
    ) -> io::Result<()> {
        self.change(process, Call::Allocate, |disk, stamp| {
            if !disk.extend(inode, bytes)? {
                return Err(disk.no_room());
            }
            let contents = disk.contents(inode)?;
            if contents.length() < bytes {
                contents.set_length(stamp, bytes);
            }
            Ok(())
        })
    }

    pub(super) fn set_length(
        &mut self,
        process: Process,
        inode: Inode,
        length: u64,
    ) -> io::Result<()> {
        self.change(process, Call::SetLength, |disk, stamp| {
            disk.check_room()?;
            disk.contents(inode)?.set_length(stamp, length);
            Ok(())
        })
    }

    pub(super) fn length(&mut self, process: Process, inode: Inode) -> io::Result<u64> {
        self.begin_query(process, Call::Length)?;
        Ok(self.contents(inode)?.length())
    }

    pub(super) fn sync(&mut self, process: Process, call: Call, inode: Inode) -> io::Result<()> {
        let Some(Injected { fault, .. }) = self.begin(process, call)? else {
            self.contents(inode)?.sync();
            return Ok(());
        };
        let Self {
            nodes,
            rng,
            mishaps,
            is_cut,
            ..
        } = self;
        if let Some(Node::File(contents)) = nodes.get_mut(&inode)
            && !*is_cut
        {
            contents.fail_sync(rng, mishaps);
        }
        Err(fault.error())
    }

    /// Is there nothing that a loss of power could undo?
    pub(super) fn is_durable(&self) -> bool {
        self.nodes.values().all(|node| match node {
            Node::File(contents) => contents.is_durable(),
            Node::Directory(names) => names.is_durable(),
        })
    }
}
