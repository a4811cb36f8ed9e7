//! Names for instances whose users gave none: an adjective and a noun.

use crate::InstanceName;

#[rustfmt::skip]
const ADJECTIVES: [&str; 64] = [
    "agile", "amber", "balmy", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid", "cheery", "clever",
    "cosy", "crisp", "curious", "dapper", "daring", "deft", "dewy", "eager", "early", "earnest", "fair", "fluent",
    "frank", "fresh", "gentle", "glad", "golden", "hardy", "hearty", "honest", "humble", "jolly", "keen", "kind",
    "lively", "lucid", "mellow", "merry", "mild", "misty", "modest", "neat", "nimble", "noble", "patient", "placid",
    "plucky", "polite", "quick", "quiet", "ready", "rosy", "serene", "silver", "snowy", "spry", "steady", "sunny",
    "tidy", "upbeat", "vivid", "witty",
];

#[rustfmt::skip]
const NOUNS: [&str; 64] = [
    "acorn", "alder", "anchor", "aspen", "badger", "beacon", "birch", "bison", "brook", "cedar", "clover", "comet",
    "condor", "coral", "cove", "crane", "delta", "dune", "elm", "ember", "falcon", "fern", "finch", "fjord",
    "forest", "fox", "glade", "harbour", "hazel", "heron", "hill", "island", "juniper", "kestrel", "lagoon", "lake",
    "larch", "lark", "linnet", "lynx", "maple", "marten", "meadow", "moss", "oak", "orchid", "osprey", "otter",
    "pebble", "pine", "plover", "quail", "reef", "ridge", "river", "robin", "sparrow", "spruce", "swift", "thrush",
    "tulip", "valley", "willow", "wren",
];

/// So many draws find a free name as long as most are; after that they are gone through in order.
const DRAWS: usize = 16;

/// A name that is not taken; none if all are.
pub(crate) fn name(
    random: impl Fn() -> u32,
    is_taken: impl Fn(&InstanceName) -> bool,
) -> Option<InstanceName> {
    let count = ADJECTIVES.len() * NOUNS.len();
    let nth = |number: usize| {
        let adjective = ADJECTIVES.get(number / NOUNS.len() % ADJECTIVES.len())?;
        let noun = NOUNS.get(number % NOUNS.len())?;
        format!("{adjective}-{noun}").parse().ok()
    };
    let drawn = (0..DRAWS).map(|_| random() as usize % count);
    drawn.chain(0..count).filter_map(nth).find(|name| !is_taken(name))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_is_given_twice_and_all_are_given() {
        let next = Cell::new(1_u32);
        let random = || {
            next.set(next.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            next.get()
        };
        let taken = RefCell::new(BTreeSet::new());
        let is_taken = |name: &InstanceName| taken.borrow().contains(name);
        while let Some(name) = name(random, is_taken) {
            assert_eq!(name.as_str().split('-').count(), 2);
            assert!(taken.borrow_mut().insert(name));
        }
        assert_eq!(taken.borrow().len(), 64 * 64, "each word is there once");
    }
}
