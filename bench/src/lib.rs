//! What the programs that `cargo xtask bench` and `instructions` run have in common.
//!
//! Nothing here is shipped, and nothing here judges: the figures go to `xtask`. Unix only.

mod clients;
#[cfg(feature = "service")]
mod visitor;

use std::path::Path;
use std::time::Instant;

use anyhow::Context;

pub use clients::{block, clients};
#[cfg(feature = "service")]
pub use visitor::{Line, Place, Visitor, transport_of};

/// The whole of a file.
///
/// # Errors
/// It cannot be read; the message names it.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Seconds since `start`.
#[must_use]
pub fn seconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// The middle of some figures: of an even number of them, the mean of the two in the middle. Of none, NaN.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle).copied().unwrap_or(f64::NAN);
    match figures.len() % 2 {
        0 => middle
            .checked_sub(1)
            .and_then(|lower| figures.get(lower))
            .map_or(upper, |lower| (lower + upper) / 2.0),
        _ => upper,
    }
}

/// The figure that 99 of a hundred do not exceed. Of none, NaN.
#[must_use]
pub fn p99(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let rank = (figures.len() * 99).div_ceil(100);
    rank.checked_sub(1).and_then(|index| figures.get(index)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 30.0]), 3.0);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn one_in_a_hundred_exceeds_p99() {
        let figures = |count: u32| (1..=count).rev().map(f64::from).collect();
        assert_eq!(p99(figures(100)), 99.0);
        assert_eq!(p99(figures(101)), 100.0);
        assert_eq!(p99(figures(1000)), 990.0);
        assert_eq!(p99(figures(1)), 1.0);
        assert!(p99(vec![]).is_nan());
    }
}
