//! Writes a trust file of many clients: certificates that are one certificate with other bytes at the end of
//! its signature, which nobody checks, and at last the certificate itself.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, bail};
use bench::read;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [certificate, count, file] = arguments.as_slice() else {
        bail!("usage: trust-file CERTIFICATE COUNT FILE");
    };
    let count: u64 = count.to_str().context("COUNT is no number")?.parse()?;
    let block = pem::parse(read(Path::new(certificate))?)?;
    let write = |out: &mut BufWriter<File>, der: &[u8]| {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        out.write_all(pem::encode_config(&pem::Pem::new(block.tag(), der), config).as_bytes())
    };
    let mut out = BufWriter::new(File::create(file)?);
    let mut der = block.contents().to_vec();
    for number in 1..count {
        let signature = der.last_chunk_mut().context("the certificate is too short")?;
        *signature = number.to_be_bytes();
        write(&mut out, &der)?;
    }
    write(&mut out, block.contents())?;
    out.flush()?;
    Ok(())
}
