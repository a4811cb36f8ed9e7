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
mod tokens;
mod wishes;
mod world;

use stateright::{Checker, HasDiscoveries, Model};

use world::{Flaw, Left, Protocol, World};

const ALL: Left = Left {
    crashes: 1,
    revocations: 1,
    passphrases: 1,
    additions: 0,
    levels: 0,
    tokens: 0,
    clients_wishes: 0,
    wipes: 1,
    recoveries: 1,
};

/// Where clients are administrators too. Nothing happens by itself here: there would be too much of it.
const CLIENTS_MAY: Left =
    Left { revocations: 2, additions: 1, clients_wishes: 1, crashes: 0, wipes: 0, recoveries: 0, ..ALL };

/// Where levels change, too.
const LEVELS: Left = Left { revocations: 0, passphrases: 0, levels: 2, ..CLIENTS_MAY };

/// Where clients and root make a token, revoke it and each other.
const TOKENS: Left =
    Left { passphrases: 0, tokens: 1, clients_wishes: 1, crashes: 0, wipes: 0, recoveries: 0, ..ALL };

/// All that can happen, among these daemons and so often.
fn explore(daemons: usize, left: Left, at_least: usize) {
    let checker = Protocol { daemons, left, flaw: Flaw::None }.checker().threads(2).spawn_bfs().join();
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

#[test]
fn nobody_changes_anything_who_is_not_trusted_any_more() {
    explore(2, CLIENTS_MAY, 100_000);
}

#[test]
fn nobody_does_more_than_his_level_allows_or_gets_another_unasked() {
    explore(2, LEVELS, 50_000);
}

#[test]
fn a_token_lets_one_client_in_and_none_once_its_maker_may_do_less() {
    explore(2, TOKENS, 50_000);
    explore(1, Left { tokens: 2, ..TOKENS }, 20_000);
    explore(1, Left { crashes: 1, ..TOKENS }, 50_000);
}

#[test]
fn the_model_finds_a_store_that_keeps_a_token_that_was_used() {
    for daemons in [1, 2] {
        finds(daemons, TOKENS, Flaw::TokenStays, "a token stays that was used");
    }
}

/// The flaw of a service that checks whether its store is empty, and then adds.
#[test]
fn the_model_finds_a_store_that_checks_and_then_adds() {
    for daemons in [1, 2] {
        finds(daemons, ALL, Flaw::CheckThenAdd, "a second first client");
    }
}

/// A flaw of this one, once: a client that is being revoked adds itself again by a call that is under way.
#[test]
fn the_model_finds_a_store_that_does_not_ask_again_who_wants_a_change() {
    let fault = "somebody changed something who is not trusted any more";
    for daemons in [1, 2] {
        finds(daemons, CLIENTS_MAY, Flaw::AskedIsEnough, fault);
        finds(daemons, LEVELS, Flaw::AskedIsEnough, fault);
    }
}

fn finds(daemons: usize, left: Left, flaw: Flaw, expected: &str) {
    let model = Protocol { daemons, left, flaw }.checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = model.spawn_bfs().join();
    let found = checker.discovery("nothing went wrong").expect("the flaw is found");
    let World { fault, .. } = found.last_state().clone();
    let actions = found.into_actions();
    println!("{} states, {actions:?}", checker.unique_state_count());
    assert_eq!(fault, Some(expected), "{actions:?}");
}
