//! The command lines of `authenticate`, `get` and `set`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `authenticate`.
#[derive(Args)]
pub(crate) struct AuthenticateArgs {
    /// The passphrase, if it is on the command line.
    #[arg(
        value_name = "passphrase",
        help = "Passphrase to register with the Multipass service. If omitted, a prompt will be displayed \
                for entering the passphrase."
    )]
    pub(crate) passphrase: Option<String>,
    /// The file that holds the passphrase. Its help stands elsewhere: that of this command is the stock client's, to
    /// the letter.
    #[arg(
        long,
        value_name = "file",
        hide = true,
        conflicts_with = "passphrase",
        help = "File with the passphrase in its first line; - for standard input"
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Anything further is a mistake, which gets the stock client's message rather than clap's.
    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Which setting.
    #[arg(
        value_name = "key",
        required_unless_present = "keys",
        conflicts_with = "keys",
        help = "The setting, for example local.passphrase. `multipass get --keys` lists them all."
    )]
    pub(crate) key: Option<String>,
    /// An empty value as an empty line.
    #[arg(long, conflicts_with = "keys", help = "Output the value as it is: an empty one as an empty line.")]
    pub(crate) raw: bool,
    /// The names of all settings instead of one value.
    #[arg(long, help = "List available settings keys.")]
    pub(crate) keys: bool,
}

/// Arguments of `set`.
#[derive(Args)]
pub(crate) struct SetArgs {
    /// `key=value`, or `key` alone.
    #[arg(
        id = "key",
        value_name = "key[=value]",
        help = "A key, or a key and a value. The key names a setting, for example local.passphrase."
    )]
    pub(crate) setting: String,
    /// Anything further is a mistake, and may be a passphrase: clap's message would show it.
    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
}

// The two that may carry a passphrase are never shown, whatever is logged.
impl std::fmt::Debug for AuthenticateArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthenticateArgs([redacted])")
    }
}

impl std::fmt::Debug for SetArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetArgs([redacted])")
    }
}
