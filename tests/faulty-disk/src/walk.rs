//! The walk over all that a disk may do to some work: the power is cut at every step, every sync is left out, every
//! request is refused. What must hold then, the work itself says.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::log::Log;
use crate::recording::{Fault, Plan};
use crate::tree::Tree;

/// Some work on files.
pub trait Work {
    /// What it tells of itself when it is done, or has failed.
    type Told;

    /// What tells it from other work.
    fn name(&self) -> &'static str;

    /// Everything that is on the disk before it.
    fn given(&self) -> Tree;

    /// Does it over such a disk.
    fn run(&self, given: &Tree, plan: Plan) -> (Self::Told, Log);

    /// Checks each state that a cut may leave of such a run, and gives their number.
    ///
    /// # Errors
    /// What does not hold.
    fn survives(&self, given: &Tree, told: Self::Told, log: &Log) -> Result<usize, String>;

    /// Does it over a disk with this fault, and again when that is fixed, and checks what is there after each.
    ///
    /// # Errors
    /// What does not hold.
    fn goes_on(&self, given: &Tree, fault: Fault) -> Result<(), String>;
}

/// Cuts the power at every step of all of them.
///
/// # Panics
/// Something does not survive it.
pub fn cut<W: Work>(all: &[W]) {
    let (mut states, mut wrong) = (0, Vec::new());
    for work in all {
        let given = work.given();
        let (told, log) = work.run(&given, Plan::default());
        match work.survives(&given, told, &log) {
            Ok(checked) => states += checked,
            Err(why) => wrong.push(format!("{}: {why}", work.name())),
        }
    }
    assert!(states > 0 && wrong.is_empty(), "{states} states; {}", wrong.join("\n"));
}

/// The syncs that may be left out and all survive a cut: whose they are, and what they make last.
#[must_use]
pub fn unmissed_syncs<W: Work>(all: &[W]) -> Vec<(&'static str, PathBuf)> {
    let mut unmissed = Vec::new();
    for work in all {
        let given = work.given();
        let (_, whole) = work.run(&given, Plan::default());
        for (sync, last) in whole.useful_syncs() {
            let (told, log) = work.run(&given, Plan { ignored_sync: Some(sync), ..Plan::default() });
            if work.survives(&given, told, &log).is_ok() {
                unmissed.push((work.name(), last.to_owned()));
            }
        }
    }
    unmissed
}

/// Lets the disk refuse every request of all of them, for each reason that there is.
///
/// # Panics
/// Some work does not go on from there.
pub fn refuse<W: Work>(all: &[W]) {
    let (mut faults, mut wrong) = (0, Vec::new());
    for work in all {
        let given = work.given();
        let (_, whole) = work.run(&given, Plan::default());
        for fault in Fault::each(whole.asked()) {
            faults += 1;
            if let Err(why) = work.goes_on(&given, fault) {
                wrong.push(format!("{}, {fault:?}: {why}", work.name()));
            }
        }
    }
    assert!(faults > 0 && wrong.is_empty(), "{} of {faults} faults:\n{}", wrong.len(), wrong.join("\n"));
}

impl Fault {
    /// Whether `error` tells of it: where, by naming one of these places, and the system's reason as its cause.
    ///
    /// # Errors
    /// What it tells instead.
    pub fn is_told_by(&self, error: &dyn Error, places: &[&str]) -> Result<(), String> {
        let (told, cause) = (error.to_string(), error.source().map(ToString::to_string).unwrap_or_default());
        let reason = io::Error::from_raw_os_error(self.errno).to_string();
        match places.iter().any(|place| told.contains(place)) && cause.contains(&reason) {
            true => Ok(()),
            false => Err(format!("it says no more than: {told}: {cause}")),
        }
    }
}
