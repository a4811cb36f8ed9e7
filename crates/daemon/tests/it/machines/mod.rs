//! The calls about instances, over a driver in memory: words, codes, streams, and what becomes of a launch whose
//! caller goes.

mod fixture;
mod launch;
mod life;
mod limits;
mod refusals;
mod settings;
mod tunnel;
