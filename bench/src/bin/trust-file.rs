//! Writes a trust file of many clients, the certificate that it is given last.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use bench::read;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [certificate, count, file] = arguments.as_slice() else {
        bail!("usage: trust-file CERTIFICATE COUNT FILE");
    };
    let count = count.to_str().context("COUNT is no number")?.parse()?;
    let certificate = pem::parse(read(Path::new(certificate))?)?.into_contents();
    let mut out = BufWriter::new(File::create(file)?);
    for der in bench::clients(certificate, count)? {
        out.write_all(bench::block(der).as_bytes())?;
    }
    out.flush()?;
    Ok(())
}
