//! Generates the types and the clients of the services in `proto`.
//!
//! The compiler is protox, so no `protoc` has to be installed. No server code: the daemon routes methods by
//! its own table, which refuses what has no entry.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, error::Error, fs};

/// Messages that carry secrets; `src/redacted.rs` writes their `Debug`.
const SECRET_BEARING: &[&str] = &[
    ".multipass.AuthenticateRequest",
    ".multipass.GetReply",
    ".multipass.LaunchRequest",
    ".multipass.MountRequest",
    ".multipass.RestartRequest",
    ".multipass.SSHInfo",
    ".multipass.SetRequest",
    ".multipass.StartRequest",
    ".multipass.instances.v1.Access",
    ".multipass.trust.v1.CreateTokenReply",
    ".multipass.trust.v1.RedeemTokenRequest",
    ".multipass.trust.v1.SetPassphraseRequest",
];
/// The services' packages.
const PACKAGES: &[&str] = &["multipass", "multipass.instances.v1", "multipass.trust.v1"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["instances.proto", "multipass.proto", "trust.proto"], ["proto"])?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    for package in PACKAGES {
        let mut methods = String::from("/// Names of the service's methods, in the order of the contract.\n");
        methods.push_str("pub const METHODS: &[&str] = &[\n");
        let files = descriptors.file.iter().filter(|file| file.package() == *package);
        for method in files.flat_map(|file| &file.service).flat_map(|service| &service.method) {
            writeln!(methods, "    {:?},", method.name())?;
        }
        methods.push_str("];\n");
        fs::write(out.join(format!("{package}.methods.rs")), methods)?;
    }

    let mut services = String::from("/// All services, each with the names of its methods.\n");
    services.push_str("pub const SERVICES: &[(&str, &[&str])] = &[\n");
    for file in &descriptors.file {
        for service in &file.service {
            let methods: Vec<&str> = service.method.iter().map(|method| method.name()).collect();
            writeln!(services, "    (\"{}.{}\", &{methods:?}),", file.package(), service.name())?;
        }
    }
    services.push_str("];\n");
    fs::write(out.join("services.rs"), services)?;

    tonic_prost_build::configure()
        .build_client(true)
        .build_server(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .skip_debug(SECRET_BEARING)
        // What goes through is not copied more often than it has to be.
        .bytes(".multipass.instances.v1")
        // Nested in one of these, and so left out with it; it has no secret.
        .message_attribute(".multipass.LaunchRequest.NetworkOptions", "#[derive(Debug)]")
        .compile_fds(descriptors)?;
    Ok(())
}
