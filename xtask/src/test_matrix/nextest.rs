//! What cargo nextest says at its end.

/// How many tests passed, from the line `Summary [   1.2s] 12 tests run: 12 passed, 3 skipped`; `None` if there
/// is no such line.
pub(super) fn passed(said: &str) -> Option<usize> {
    let summary = said.lines().rev().find(|line| line.trim_start().starts_with("Summary "))?;
    let (_, counts) = summary.split_once("run: ")?;
    counts.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_found() {
        let said = "    Starting 2 tests\n        PASS [   0.1s] a\n------------\n     Summary [   3.217s] 215 \
                    tests run: 215 passed (1 slow), 4 skipped\n";
        assert_eq!(passed(said), Some(215));
        assert_eq!(passed("     Summary [   0.010s] 1 test run: 1 passed, 0 skipped"), Some(1));
        assert_eq!(passed("error: no tests to run"), None);
    }
}
