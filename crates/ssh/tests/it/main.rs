//! Sessions with a real SSH server, russh's, which does what the tests want of it.

mod commands;
mod guest;
mod hostile;
