//! What a disk holds for certain, and what it may hold besides when the power goes.
//!
//! For certain: what was synced. A file that was not may be as it was at its last sync, empty, half written
//! or whole. Of the changes to a directory's names since its last sync any may be there and any missing, in
//! whatever combination; each by itself is whole.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::log::Step;
use crate::tree::{Entry, Tree};

/// So many changes that wait for one sync have too many combinations to look at each.
const MOST_WAITING: usize = 10;

type Id = usize;

/// Files and directories, each by the order in which it was first seen; the first is the root.
#[derive(Debug)]
pub(crate) struct Disk(Vec<Node>);

#[derive(Debug)]
struct Node {
    /// Now, and at the last sync.
    mode: [u32; 2],
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File {
        now: Vec<u8>,
        synced: Vec<u8>,
    },
    Directory {
        now: Names,
        synced: Names,
        /// What was done since the last sync.
        waiting: Vec<Change>,
    },
}

type Names = BTreeMap<OsString, Id>;

#[derive(Clone, Debug)]
enum Change {
    Add(OsString, Id),
    Rename(OsString, OsString, Id),
    Remove(OsString),
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Rename(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Node {
    fn file(mode: u32, synced: Vec<u8>) -> Self {
        Self { mode: [mode; 2], kind: Kind::File { now: synced.clone(), synced } }
    }

    fn directory(mode: u32) -> Self {
        let kind = Kind::Directory { now: Names::new(), synced: Names::new(), waiting: Vec::new() };
        Self { mode: [mode; 2], kind }
    }
}

impl Disk {
    /// A disk on which all of `tree` was synced.
    pub(crate) fn holding(tree: &Tree) -> Self {
        let mut disk = Self(Vec::new());
        for (path, entry) in &tree.0 {
            let node = match entry {
                Entry::Directory(mode) => Node::directory(*mode),
                Entry::File(mode, bytes) => Node::file(*mode, bytes.clone()),
            };
            disk.0.push(node);
            let id = disk.0.len() - 1;
            if let Some((directory, name)) = split(path) {
                disk.change(directory, Change::Add(name.to_owned(), id));
                disk.sync(directory);
            }
        }
        disk
    }

    /// Takes a step.
    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Create(path, mode) => self.add(path, Node::file(*mode, Vec::new())),
            Step::MakeDirectory(path, mode) => self.add(path, Node::directory(*mode)),
            Step::Contents(path, bytes) => match &mut self.node(path).kind {
                Kind::File { now, .. } => now.clone_from(bytes),
                Kind::Directory { .. } => panic!("{} is a directory", path.display()),
            },
            Step::Mode(path, mode) => self.node(path).mode[0] = *mode,
            Step::Sync(path) => self.sync(path),
            Step::Rename(from, to) => {
                let id = self.find(from);
                let ((directory, from), (other, to)) =
                    (split(from).expect("a name"), split(to).expect("a name"));
                assert_eq!(directory, other, "a rename from one directory to another is not known here");
                self.change(directory, Change::Rename(from.to_owned(), to.to_owned(), id));
            }
            Step::Remove(path) => {
                let (directory, name) = split(path).expect("the root stays");
                self.change(directory, Change::Remove(name.to_owned()));
            }
        }
    }

    /// Whether a sync of `path` would make anything last.
    pub(crate) fn has_waiting(&self, path: &Path) -> bool {
        let node = &self.0[self.find(path)];
        node.mode[0] != node.mode[1]
            || match &node.kind {
                Kind::File { now, synced } => now != synced,
                Kind::Directory { waiting, .. } => !waiting.is_empty(),
            }
    }

    /// What is there as long as there is power.
    pub(crate) fn now(&self) -> Tree {
        let mut tree = Tree::default();
        self.now_below(0, Path::new(""), &mut tree);
        tree
    }

    fn now_below(&self, id: Id, path: &Path, tree: &mut Tree) {
        let node = &self.0[id];
        match &node.kind {
            Kind::File { now, .. } => {
                tree.0.insert(path.to_owned(), Entry::File(node.mode[0], now.clone()));
            }
            Kind::Directory { now, .. } => {
                tree.0.insert(path.to_owned(), Entry::Directory(node.mode[0]));
                for (name, id) in now {
                    self.now_below(*id, &path.join(name), tree);
                }
            }
        }
    }

    /// All that may be there after the power was cut.
    pub(crate) fn after_a_cut(&self) -> Vec<Tree> {
        self.cut_below(0, Path::new(""))
    }

    fn cut_below(&self, id: Id, path: &Path) -> Vec<Tree> {
        let node = &self.0[id];
        match &node.kind {
            Kind::File { now, synced } => {
                let half = now[..now.len() / 2].to_vec();
                let mut all = vec![
                    (node.mode[1], synced.clone()),
                    (node.mode[0], Vec::new()),
                    (node.mode[0], half),
                    (node.mode[0], now.clone()),
                ];
                if now == synced {
                    all = vec![(node.mode[1], synced.clone()), (node.mode[0], now.clone())];
                }
                all.sort();
                all.dedup();
                let tree = |(mode, bytes)| Tree([(path.to_owned(), Entry::File(mode, bytes))].into());
                all.into_iter().map(tree).collect()
            }
            Kind::Directory { synced, waiting, .. } => {
                assert!(waiting.len() <= MOST_WAITING, "{}: {waiting:?}", path.display());
                let mut modes = node.mode.to_vec();
                modes.dedup();
                let mut all = Vec::new();
                for subset in 0..1_usize << waiting.len() {
                    let mut names = synced.clone();
                    for (_, change) in waiting.iter().enumerate().filter(|(n, _)| subset & (1 << n) != 0) {
                        change.apply(&mut names);
                    }
                    all.extend(self.cut_of(&names, path, &modes));
                }
                all
            }
        }
    }

    /// All that may be in a directory which has these names.
    fn cut_of(&self, names: &Names, path: &Path, modes: &[u32]) -> Vec<Tree> {
        let alone = |mode: &u32| Tree([(path.to_owned(), Entry::Directory(*mode))].into());
        let mut all: Vec<Tree> = modes.iter().map(alone).collect();
        for (name, id) in names {
            let below = self.cut_below(*id, &path.join(name));
            let join = |tree: &Tree, more: &Tree| {
                Tree(
                    tree.0.iter().chain(&more.0).map(|(path, entry)| (path.clone(), entry.clone())).collect(),
                )
            };
            all = all.iter().flat_map(|tree| below.iter().map(move |more| join(tree, more))).collect();
        }
        all
    }

    fn add(&mut self, path: &Path, node: Node) {
        self.0.push(node);
        let (directory, name) = split(path).expect("a name");
        let id = self.0.len() - 1;
        self.change(directory, Change::Add(name.to_owned(), id));
    }

    fn change(&mut self, directory: &Path, change: Change) {
        match &mut self.node(directory).kind {
            Kind::Directory { now, waiting, .. } => {
                change.apply(now);
                waiting.push(change);
            }
            Kind::File { .. } => panic!("{} is a file", directory.display()),
        }
    }

    fn sync(&mut self, path: &Path) {
        let node = self.node(path);
        node.mode[1] = node.mode[0];
        match &mut node.kind {
            Kind::File { now, synced } => synced.clone_from(now),
            Kind::Directory { now, synced, waiting } => {
                synced.clone_from(now);
                waiting.clear();
            }
        }
    }

    fn node(&mut self, path: &Path) -> &mut Node {
        let id = self.find(path);
        &mut self.0[id]
    }

    fn find(&self, path: &Path) -> Id {
        path.iter().fold(0, |id, name| match &self.0[id].kind {
            Kind::Directory { now, .. } => {
                *now.get(name).unwrap_or_else(|| panic!("{} was made unseen", path.display()))
            }
            Kind::File { .. } => panic!("{} is below a file", path.display()),
        })
    }
}

/// The directory and the name in it; none for the root.
fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}
