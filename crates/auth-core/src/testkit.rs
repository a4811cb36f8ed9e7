//! What tests and measurements judge with: a store in memory, no gate and no audit log.

use std::io;

pub use crate::store::memory::MemoryStore;
use crate::{Audit, Enrolled, Entry, Gate};

/// No gate, as if whoever calls had always been able to.
#[derive(Clone, Copy, Debug)]
pub struct NoGate;

impl Gate for NoGate {
    fn open(&self, _because: &Enrolled) -> io::Result<()> {
        Ok(())
    }
}

/// A log that is not kept.
#[derive(Clone, Copy, Debug)]
pub struct NoAudit;

impl Audit for NoAudit {
    fn record(&self, _entry: &Entry<'_>) -> io::Result<()> {
        Ok(())
    }
}
