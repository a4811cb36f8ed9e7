//! Argon2id by itself, with the daemon's parameters: prints how many seconds each of COUNT hashes took.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, anyhow};
use argon2::{Algorithm, Argon2, Params, Version};
use bench::seconds_since;

/// KiB of memory, passes and lanes; `crates/auth-core/src/passphrase.rs` says why these.
const COST: (u32, u32, u32) = (19_456, 2, 1);

fn main() -> anyhow::Result<()> {
    let count: usize = std::env::args().nth(1).context("usage: bare-hash COUNT")?.parse()?;
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| anyhow!("{error}"))?;
    let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let mut took = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        argon2id
            .hash_password_into(b"a passphrase", b"sixteen bytes of", &mut output)
            .map_err(|error| anyhow!("{error}"))?;
        std::hint::black_box(&output);
        took.push(seconds_since(start));
    }
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "seconds": took }))?;
    Ok(())
}
