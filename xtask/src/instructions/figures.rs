//! Figures by name: as a file keeps them, and new ones beside old ones.

use std::fmt::Write as _;

use anyhow::Context;

/// How far a figure may stray from the one written down, as a part of it. Toolchains, C libraries and the
/// variants that they choose by processor differ by less.
const MARGIN: f64 = 0.1;

const HEAD: &str = "\
# Instructions that the hot paths take on x86_64: `cargo xtask instructions` compares with them, and with
# --update writes them here.
";

/// What takes how many instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures(Vec<(String, u64)>);

impl Figures {
    pub(super) fn push(&mut self, name: &str, count: u64) {
        self.0.push((name.to_owned(), count));
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is not a table of numbers.
    pub(super) fn from_toml(text: &str) -> anyhow::Result<Self> {
        let table: toml::Table = text.parse()?;
        let mut figures = Self::default();
        // The table has them in the order of their names; the text, in ours.
        for line in text.lines() {
            let Some(name) = line.strip_prefix('"').and_then(|line| line.split('"').next()) else { continue };
            let value = table.get(name).and_then(toml::Value::as_integer);
            let count = value.and_then(|count| u64::try_from(count).ok());
            figures.push(name, count.with_context(|| format!("{name}: not a number of instructions"))?);
        }
        Ok(figures)
    }

    pub(super) fn to_toml(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, count) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\"{name}\" = {count}");
        }
        text
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// These, beside those that were written down.
    pub(super) fn beside(self, written: &Self) -> Comparison {
        let rows = self.0.into_iter().map(|(name, now)| {
            let then = written.0.iter().find(|(other, _)| *other == name).map(|(_, then)| *then);
            Row { name, now, then }
        });
        Comparison(rows.collect())
    }
}

/// New figures beside old ones.
#[derive(Debug)]
pub(super) struct Comparison(Vec<Row>);

#[derive(Debug)]
struct Row {
    name: String,
    now: u64,
    then: Option<u64>,
}

impl Row {
    #[allow(clippy::cast_precision_loss, reason = "less than 2^53")]
    fn ratio(&self) -> Option<f64> {
        self.then.map(|then| self.now as f64 / then as f64)
    }

    fn verdict(&self) -> &'static str {
        match self.ratio() {
            None => "NOT WRITTEN DOWN",
            Some(ratio) if ratio > 1.0 + MARGIN => "MORE",
            // Left as it is, it would hide the next that comes on top.
            Some(ratio) if ratio < 1.0 - MARGIN => "LESS: write it down",
            Some(_) => "ok",
        }
    }
}

impl Comparison {
    /// How many are beyond the margin, or new.
    pub(super) fn strayed(&self) -> usize {
        self.0.iter().filter(|row| row.verdict() != "ok").count()
    }

    pub(super) fn table(&self) -> String {
        let width = self.0.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut table =
            format!("{:<width$}  {:>10}  {:>10}  {:>5}  verdict", "instructions", "now", "written", "ratio");
        for row in &self.0 {
            let then = row.then.map_or_else(String::new, |then| then.to_string());
            let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            let (name, now, verdict) = (&row.name, row.now, row.verdict());
            let _ = write!(table, "\n{name:<width$}  {now:>10}  {then:>10}  {ratio:>5}  {verdict}");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[(&str, u64)]) -> Figures {
        Figures(all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = figures(&[("b, 1 client", 317), ("a", 1_022_910)]);
        assert!(all.to_toml().ends_with("\"b, 1 client\" = 317\n\"a\" = 1022910\n"));
        assert_eq!(Figures::from_toml(&all.to_toml()).unwrap(), all);
        for text in ["\"a\" = -1", "\"a\" = \"b\"", "\"a\""] {
            assert!(Figures::from_toml(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_strays_either_way_is_told() {
        let written = figures(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)]);
        let now = figures(&[("a", 1100), ("b", 900), ("c", 1101), ("d", 899), ("e", 5)]);
        let comparison = now.beside(&written);
        assert_eq!(comparison.strayed(), 3);
        let verdicts: Vec<&str> = comparison.0.iter().map(Row::verdict).collect();
        assert_eq!(verdicts, ["ok", "ok", "MORE", "LESS: write it down", "NOT WRITTEN DOWN"]);
        let lines: Vec<String> = comparison.table().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 6);
        assert!(lines.iter().any(|line| line.split_whitespace().eq(["c", "1101", "1000", "1.10", "MORE"])));
    }
}
