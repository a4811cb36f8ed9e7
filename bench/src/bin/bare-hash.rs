//! Argon2id by itself, with the daemon's parameters: prints how many seconds one hash took.
//!
//! One, since it is the first of a process that is compared with: its 19 MiB come fresh from the system, as the
//! daemon's do for each hash. A daemon that kept them would be a third quicker, and for as long as it has
//! nothing to do more than twice as large. The hashes that follow in one process are the allocator's to keep
//! warm: they would say what the daemon's choice costs, but not what it adds to it.

use std::io::Write;
use std::time::Instant;

use anyhow::anyhow;
use argon2::{Algorithm, Argon2, Params, Version};
use bench::seconds_since;

/// KiB of memory, passes and lanes; `crates/auth-core/src/passphrase/mod.rs` says why these.
const COST: (u32, u32, u32) = (19_456, 2, 1);

fn main() -> anyhow::Result<()> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| anyhow!("{error}"))?;
    let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let start = Instant::now();
    argon2id
        .hash_password_into(b"a passphrase", b"sixteen bytes of", &mut output)
        .map_err(|error| anyhow!("{error}"))?;
    let took = seconds_since(start);
    std::hint::black_box(&output);
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "seconds": took }))?;
    Ok(())
}
