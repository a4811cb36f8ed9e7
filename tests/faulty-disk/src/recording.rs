//! One thread's recording, and in what its disk is faulty.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::log::{Log, Step};
use crate::tree::Tree;

/// In what the disk is faulty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// What it refuses.
    pub fault: Option<Fault>,
    /// The sync, by its number, that it says to have done and did not do.
    pub ignored_sync: Option<usize>,
}

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What is refused first, by its number.
    pub at: usize,
    /// The reason that is given.
    pub errno: i32,
    /// What is refused after that.
    pub extent: Extent,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// For one call.
    Once,
    /// Until another plan is [`set`]. A disk that is full lets files be removed and modes be changed.
    Lasting,
    /// As `Lasting`, but if the first call is a write, half of it is done.
    AfterHalf,
}

/// What the disk is asked to do, before it is known whether it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Open,
    Write,
    Sync,
    Rename,
    Remove,
    MakeDirectory,
    Mode,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// A write of half the bytes.
    Half,
    /// A sync that is not done.
    Ignored,
    Refused(i32),
}

/// A recording in progress.
#[derive(Debug)]
pub(crate) struct Recording {
    root: PathBuf,
    plan: Plan,
    log: Log,
}

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Runs `body`, and records what this thread does meanwhile to the disk below `directory`.
///
/// # Panics
/// The directory holds anything but files and directories, or was changed in a way that was not seen.
pub fn record<T>(directory: &Path, body: impl FnOnce() -> T) -> (T, Log) {
    /// Ends the recording also when the body panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            RECORDING.take();
        }
    }

    let root = directory.canonicalize().expect("the directory is there");
    assert_eq!(root, directory, "paths below it are recognised by how they begin");
    let log = Log { before: Tree::read(&root), steps: Vec::new(), begin: 0, syncs: Vec::new(), asked: 0 };
    let earlier = RECORDING.replace(Some(Recording { root, plan: Plan::default(), log }));
    assert!(earlier.is_none(), "one recording at a time");
    let end = End;
    let result = body();
    let log = RECORDING.take().expect("it has not ended").log;
    drop(end);
    assert_eq!(log.now(log.steps.len()), Tree::read(directory), "not all changes were seen: {:?}", log.steps);
    (result, log)
}

/// Makes this thread's disk faulty in another way. All numbers count from here.
///
/// # Panics
/// Nothing is recorded.
pub fn set(plan: Plan) {
    let set = |recording: &mut Recording| {
        recording.plan = plan;
        recording.log.begin = recording.log.steps.len();
        recording.log.asked = 0;
        recording.log.syncs.clear();
    };
    with(set).expect("something is recorded");
}

/// Calls `during` with this thread's recording, if there is one. What that does to files is not recorded.
pub(crate) fn with<T>(during: impl FnOnce(&mut Recording) -> T) -> Option<T> {
    let during = |recording: &RefCell<Option<Recording>>| {
        let mut recording = recording.try_borrow_mut().ok()?;
        recording.as_mut().map(during)
    };
    // A thread that is ending has no recording any more.
    RECORDING.try_with(during).ok().flatten()
}

impl Recording {
    /// The path from the recorded directory, if it is below it.
    pub(crate) fn below(&self, path: &Path) -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        path.strip_prefix(&self.root).ok().map(Path::to_owned)
    }

    /// The whole path.
    pub(crate) fn whole(&self, below: &Path) -> PathBuf {
        self.root.join(below)
    }

    pub(crate) fn answer(&mut self, request: Request, path: &Path) -> Answer {
        let number = self.log.asked;
        self.log.asked += 1;
        if let Some(fault) = self.plan.fault
            && fault.covers(request, number)
        {
            return match (fault.extent, request) {
                (Extent::AfterHalf, Request::Write) if number == fault.at => Answer::Half,
                _ => Answer::Refused(fault.errno),
            };
        }
        if request == Request::Sync {
            let sync = self.log.syncs.len();
            let last = self.log.steps.last().map(|step| step.path().to_owned());
            let is_useful = self.log.disk(self.log.steps.len()).has_waiting(path);
            self.log.syncs.push(last.filter(|_| is_useful));
            if self.plan.ignored_sync == Some(sync) {
                return Answer::Ignored;
            }
        }
        Answer::Done
    }

    pub(crate) fn log(&mut self, step: Step) {
        self.log.steps.push(step);
    }
}

impl Fault {
    fn covers(&self, request: Request, number: usize) -> bool {
        let first = number == self.at;
        let needs_room = !matches!(request, Request::Remove | Request::Mode);
        first || (number > self.at && self.extent != Extent::Once && (needs_room || !self.is_lack_of_room()))
    }
}
