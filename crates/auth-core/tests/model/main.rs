//! The admission protocol as a model: every order in which three clients, two daemons over one store, an
//! administrator and the power can act is tried, each step by the real [`auth_core::Authority`].
//!
//! What is real: the authority, the in-memory store as the disk, their conditions and the order of their
//! steps. What is modelled: that a daemon remembers what it last read ([`Remembering`]), that a call is two
//! steps with anything between them, and that a crash may come before, within or after each change. How a
//! change reaches a real disk is the subject of the tests that cut the power.
//!
//! [`Remembering`]: daemon::Remembering
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod actions;
mod daemon;
mod world;

use stateright::{Checker, Model};

use world::{Left, Protocol, World};

const ALL: Left = Left { crashes: 1, revocations: 1, passphrases: 1, wipes: 1, recoveries: 1 };

/// All that can happen, among these daemons and so often.
fn explore(daemons: usize, left: Left, at_least: usize) {
    let checker = Protocol { daemons, left, check_then_add: false }.checker().threads(2).spawn_bfs().join();
    println!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    // Far fewer would mean that most of what can happen did not.
    assert!(checker.unique_state_count() > at_least, "{} states", checker.unique_state_count());
}

#[test]
fn nobody_enters_unasked_nobody_is_forgotten_and_one_is_first_of_two_daemons() {
    explore(2, ALL, 60_000);
}

#[test]
fn nobody_enters_unasked_nobody_is_forgotten_and_one_is_first_of_a_daemon_that_dies_twice() {
    explore(1, Left { crashes: 2, revocations: 2, ..ALL }, 100_000);
}

/// The flaw of a service that checks whether its store is empty, and then adds.
#[test]
fn the_model_finds_a_store_that_checks_and_then_adds() {
    for daemons in [1, 2] {
        let checker = Protocol { daemons, left: ALL, check_then_add: true }.checker().spawn_bfs().join();
        let found = checker.discovery("nothing went wrong").expect("the flaw is found");
        let World { fault, .. } = found.last_state().clone();
        assert_eq!(fault, Some("a second first client"), "{:?}", found.into_actions());
    }
}
