//! What is asked of whoever runs machines.
//!
//! A driver knows machines, not instances: it neither judges whether a command fits the state, nor remembers
//! who asked. Its callers make sure that for one machine one call runs at a time, but for those that only look
//! ([`Driver::state`], [`Driver::ssh_address`], [`Driver::reachable`]).

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::broadcast;

use crate::{InstanceId, Machine};

/// Runs machines.
///
/// Dropping a future of this trait may leave its work half done, never untracked: what then runs is told by
/// [`state`](Self::state) and ended by [`delete`](Self::delete).
#[async_trait]
pub trait Driver: Send + Sync + Debug {
    /// What `get local.driver` prints: `qemu`.
    fn name(&self) -> &'static str;

    /// Makes the disk, of the size that is specified, and the seed, in the machine's directory. When it
    /// returns, they survive a power cut. Nothing runs yet.
    ///
    /// # Errors
    /// It cannot be made. The caller removes the directory.
    async fn prepare(&self, machine: &Machine, seed: &Seed) -> Result<(), DriverError>;

    /// Starts a machine that is off, from the beginning. Returns once it runs; the guest is not yet up.
    ///
    /// # Errors
    /// It does not run; it is off.
    async fn start(&self, machine: &Machine) -> Result<(), DriverError>;

    /// Waits until the guest of a running machine answers on its SSH port, however long that takes. Cancel-safe.
    ///
    /// # Errors
    /// The machine has ended.
    async fn reachable(&self, machine: &Machine) -> Result<(), DriverError>;

    /// Ends a machine: when it returns, it is off, and its disk is on the disk. By force, also a suspended one,
    /// whose state is then forgotten.
    ///
    /// # Errors
    /// The guest has not shut down in time ([`DriverError::TimedOut`]), and the machine runs on; or it cannot
    /// be reached.
    async fn stop(&self, machine: &Machine, how: Stop) -> Result<(), DriverError>;

    /// Lets the guest shut down, as [`stop`](Self::stop) does, and starts it again.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop) and [`start`](Self::start).
    async fn restart(&self, machine: &Machine, within: Duration) -> Result<(), DriverError>;

    /// Keeps a running machine's state on its disk, and ends it.
    ///
    /// # Errors
    /// The state could not be kept; the machine runs on, if it can.
    async fn suspend(&self, machine: &Machine) -> Result<(), DriverError>;

    /// Lets a suspended machine go on where it was. The kept state is used up.
    ///
    /// # Errors
    /// It does not run; it is still suspended.
    async fn resume(&self, machine: &Machine) -> Result<(), DriverError>;

    /// Makes the disk of a machine that is off as large as its specification says. Its memory and processors
    /// are looked at when it starts, and need no call.
    ///
    /// # Errors
    /// The disk could not be made larger; it is as it was.
    async fn grow_disk(&self, machine: &Machine) -> Result<(), DriverError>;

    /// Ends a machine at once, in whatever state it is, also half prepared or half started, and gives up what
    /// the driver holds for it outside its directory. The caller removes the directory.
    ///
    /// # Errors
    /// It could not be ended: what it uses must not be removed.
    async fn delete(&self, machine: &Machine) -> Result<(), DriverError>;

    /// The true state, quickly: for a list of all.
    async fn state(&self, machine: &Machine) -> MachineState;

    /// Finds a machine again that an earlier daemon started, and tells its state. Called once for each machine
    /// when the daemon starts, before any other call for it.
    async fn reattach(&self, machine: &Machine) -> MachineState;

    /// Where a running machine's SSH server answers, on this host.
    async fn ssh_address(&self, machine: &Machine) -> Option<SocketAddr>;

    /// Tells of machines that end without having been asked to. Who lags behind asks for states instead.
    fn ended(&self) -> broadcast::Receiver<Ended>;
}

/// How a machine is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest is asked to shut down (ACPI).
    Shutdown {
        /// So long it may take.
        within: Duration,
    },
    /// The power is cut.
    Force,
}

/// What a machine does, as its driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineState {
    /// Nothing runs, and no state is kept.
    Off,
    /// It runs; whether its guest is up is not said.
    Running,
    /// Nothing runs; its state is kept on its disk.
    Suspended,
    /// It cannot be told: there is a machine, but it does not answer.
    Unknown,
}

/// The files of cloud-init's `NoCloud` seed. They hold secrets: the guest's SSH host keys, and what the user
/// has put there.
#[derive(Debug)]
pub struct Seed {
    /// `meta-data`: instance id, host name and the public key that lets the service in.
    pub meta_data: String,
    /// `user-data`: what the user wants.
    pub user_data: SecretString,
    /// `vendor-data`: what the service wants.
    pub vendor_data: SecretString,
}

/// A machine that ended without having been asked to: its guest shut down, or its process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub id: InstanceId,
    /// What is known of why, for people.
    pub reason: String,
}

/// Why a machine could not be made to do something. Displayed, it is a whole message for people; where there is
/// a way out, it names it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DriverError {
    /// Machines cannot be run here: a program is missing, or does not work.
    #[error("{0}")]
    Unavailable(String),
    /// The disk of the host is full.
    #[error("no space is left on the host's disk; free some, for example with 'multipass purge'")]
    NoSpace(#[source] io::Error),
    /// The machine ended instead.
    #[error("the machine has ended: {0}")]
    Ended(String),
    /// The guest did not shut down in time.
    #[error("the guest has not shut down in time; 'multipass stop --force' ends it at once")]
    TimedOut,
    /// Something else.
    #[error("cannot {what}")]
    Failed {
        /// What was being done, as in "cannot …".
        what: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
}
