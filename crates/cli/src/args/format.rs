//! `--format`: the form of a command's output.

use clap::{Args, ValueEnum};

/// What the help says of `--format`.
const FORMAT: &str =
    "Output in the requested format. Valid formats are: table (default), json, csv and yaml.";

/// `--format`, the same for every command that has it.
#[derive(Debug, Args)]
pub(crate) struct FormatArg {
    /// The form of the output.
    #[arg(long, value_enum, value_name = "format", default_value_t = Format::Table, help = FORMAT)]
    pub(crate) format: Format,
}

/// `--format` of a command that lists without a word below it, and of its `list`.
#[derive(Debug, Args)]
pub(crate) struct ListFormatArg {
    /// The form of the list.
    #[arg(long, value_enum, value_name = "format", help = FORMAT)]
    pub(crate) format: Option<Format>,
}

impl ListFormatArg {
    /// The form of the list, wherever it was given: here or at the `list` below.
    pub(crate) fn format_or(&self, below: Option<&Self>) -> Format {
        below.and_then(|below| below.format).or(self.format).unwrap_or(Format::Table)
    }
}

/// The form of a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// Comma-separated values under a header line.
    Csv,
    /// YAML.
    Yaml,
}
