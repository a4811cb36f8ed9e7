//! The least that a program can do: what starting one costs on this machine.

fn main() {}
