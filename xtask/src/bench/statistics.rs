//! From many measurements to one figure with its spread.

use serde_json::{Value, json};

/// What was measured again and again: the middle, and how far it spreads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// The median of the distances from the median: unlike the extremes, it does not grow with the number of
    /// measurements.
    pub(super) deviation: f64,
    pub(super) count: usize,
}

impl Summary {
    /// Of no measurements there is none.
    pub(super) fn of(measured: &[f64]) -> Option<Self> {
        let median = middle(measured.to_vec())?;
        let distances = measured.iter().map(|value| (value - median).abs()).collect();
        Some(Self {
            median,
            least: measured.iter().copied().min_by(f64::total_cmp)?,
            most: measured.iter().copied().max_by(f64::total_cmp)?,
            deviation: middle(distances)?,
            count: measured.len(),
        })
    }

    pub(super) fn json(&self) -> Value {
        let Self { median, least, most, deviation, count } = self;
        json!({ "median": median, "min": least, "max": most, "mad": deviation, "count": count })
    }
}

/// Each measurement in relation to the floor's that was taken in the same turn: what slowed down both does
/// not show.
pub(super) fn ratios(ours: &[f64], floor: &[f64]) -> Vec<f64> {
    ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect()
}

/// The one in the middle, or the mean of the two.
fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_measurement_gone_astray_does_not_count() {
        let summary = Summary::of(&[3.0, 1.0, 100.0, 2.0, 4.0]).unwrap();
        let expected = Summary { median: 3.0, least: 1.0, most: 100.0, deviation: 1.0, count: 5 };
        assert_eq!(summary, expected);
    }

    #[test]
    fn few_measurements() {
        assert_eq!(Summary::of(&[]), None);
        let one = Summary::of(&[5.0]).unwrap();
        assert_eq!((one.median, one.least, one.most, one.deviation), (5.0, 5.0, 5.0, 0.0));
        assert_eq!(Summary::of(&[4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn turns_are_compared_with_each_other() {
        // The machine was busy in the second turn.
        assert_eq!(ratios(&[2.0, 20.0, 2.0], &[1.0, 10.0, 1.0]), [2.0, 2.0, 2.0]);
    }
}
