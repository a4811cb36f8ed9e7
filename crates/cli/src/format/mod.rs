//! Results in the form that the user asked for.
//!
//! JSON and YAML are written from one value, so that their names agree; tables and CSV have columns of their
//! own. Names, columns and their order are fixed: scripts read them.
//!
//! Values come from the service, from remotes and from the doctor; nothing is asked or printed here.

pub(crate) mod clients;
pub(crate) mod doctor;
pub(crate) mod find;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod networks;
pub(crate) mod remotes;
mod table;
pub(crate) mod tokens;
mod values;
pub(crate) mod version;

use std::io;

use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Serializer, Value};

use crate::error::Error;

/// `value` as pretty-printed JSON and a newline.
fn json(value: &Value) -> Result<String, Error> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).map_err(|error| Error::Output(io::Error::other(error)))?;
    text.push(b'\n');
    into_text(text)
}

/// `entries` as a YAML mapping.
fn yaml(entries: Map<String, Value>) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: false,
        // Long strings stay on their line: folding would lose their trailing spaces.
        prefer_block_scalars: false,
    };
    serde_saphyr::to_string_with_options(&Value::Object(entries), options)
        .map_err(|error| Error::Output(io::Error::other(error)))
}

/// A header line and `rows`, comma-separated.
fn csv(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<String, Error> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let written = writer
        .write_record(header)
        .and_then(|()| rows.into_iter().try_for_each(|row| writer.write_record(row)));
    written.map_err(|error| Error::Output(io::Error::other(error)))?;
    into_text(writer.into_inner().map_err(|error| Error::Output(error.into_error()))?)
}

fn into_text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| Error::Output(io::Error::other(error)))
}
