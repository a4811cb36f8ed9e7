//! Output of `remote list` and `remote show`.

use serde_json::{Map, Value, json};

use super::table::{LABELS, Labels, Table};
use super::values::or_unknown;
use crate::args::Format;
use crate::connection::Remote;
use crate::credentials::fingerprint;
use crate::error::Error;

/// A remote, and what commands make of it.
pub(crate) struct RemoteRow {
    /// The remote.
    pub(crate) remote: Remote,
    /// Whether it is the default.
    pub(crate) is_default: bool,
    /// Whether this command would have been for it.
    pub(crate) is_in_use: bool,
}

impl RemoteRow {
    fn fingerprint(&self) -> String {
        self.remote.fingerprint.map(|fingerprint| fingerprint.to_string()).unwrap_or_default()
    }

    fn columns(&self) -> [String; 5] {
        let Remote { name, endpoint, .. } = &self.remote;
        [
            name.to_string(),
            endpoint.to_string(),
            self.fingerprint(),
            self.is_default.to_string(),
            self.is_in_use.to_string(),
        ]
    }

    /// What it is used for, for people.
    fn used(&self) -> &'static str {
        match (self.is_default, self.is_in_use) {
            (true, true) => "default, in use",
            (true, false) => "default",
            (false, true) => "in use",
            (false, false) => "",
        }
    }
}

/// Remotes, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn remotes(rows: &[RemoteRow], format: Format) -> Result<String, Error> {
    match format {
        Format::Table => Ok(table(rows)),
        Format::Json => super::json(&json!({ "remotes": entries(rows) })),
        Format::Yaml => super::yaml(Map::from_iter([("remotes".to_owned(), entries(rows))])),
        Format::Csv => super::csv(
            &["Name", "Address", "Fingerprint", "Default", "In use"],
            rows.iter().map(|row| row.columns().into()),
        ),
    }
}

/// One remote, in full.
///
/// # Errors
/// It cannot be put into `format`.
pub(crate) fn remote(row: &RemoteRow, format: Format) -> Result<String, Error> {
    if format != Format::Table {
        return remotes(std::slice::from_ref(row), format);
    }
    let Remote { name, endpoint, .. } = &row.remote;
    let mut labels = Labels::new(LABELS);
    labels.push("Name", &name.to_string());
    labels.push("Address", &endpoint.to_string());
    let root = match row.remote.fingerprint {
        Some(fingerprint) => fingerprint.to_string(),
        None => {
            format!("-- (the system's root certificate, {})", transport::system_root_certificate().display())
        }
    };
    labels.push("Fingerprint", &root);
    labels.push("Default", if row.is_default { "yes" } else { "no" });
    labels.push("In use", if row.is_in_use { "yes" } else { "no" });
    Ok(labels.finish())
}

fn table(rows: &[RemoteRow]) -> String {
    let mut table = Table::new(&[("Name", 0), ("Address", 0), ("Fingerprint", 0), ("Used", 0)]);
    for row in rows {
        let [name, address, fingerprint, ..] = row.columns();
        table.push([&name, &address, or_unknown(fingerprint::short(&fingerprint)), or_unknown(row.used())]);
    }
    table.finish()
}

fn entries(rows: &[RemoteRow]) -> Value {
    let entry = |row: &RemoteRow| {
        let [name, address, fingerprint, ..] = row.columns();
        json!({
            "name": name,
            "address": address,
            "fingerprint": fingerprint,
            "default": row.is_default,
            "in_use": row.is_in_use,
        })
    };
    rows.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> [RemoteRow; 3] {
        let remote = |name: &str, address: &str, fingerprint: Option<&str>| Remote {
            name: name.parse().expect(name),
            endpoint: address.parse().expect(address),
            fingerprint: fingerprint.map(|digits| digits.repeat(4).parse().expect("a fingerprint")),
        };
        let some = Some("0123456789abcdef");
        [
            RemoteRow { remote: remote("own", "unix:/a b", None), is_default: false, is_in_use: false },
            RemoteRow {
                remote: remote("work", "server.example:1", some),
                is_default: true,
                is_in_use: false,
            },
            RemoteRow { remote: remote("lab", "quic:[::1]:5", some), is_default: false, is_in_use: true },
        ]
    }

    #[test]
    fn three_remotes() {
        let table = "\
Name  Address           Fingerprint   Used
own   unix:/a b         --            --
work  server.example:1  0123456789ab  default
lab   quic:[::1]:5      0123456789ab  in use
";
        let csv = "\
Name,Address,Fingerprint,Default,In use
own,unix:/a b,,false,false
work,server.example:1,0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,true,false
lab,quic:[::1]:5,0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,false,true
";
        let rows = some();
        assert_eq!(remotes(&rows, Format::Table).expect("text"), table);
        assert_eq!(remotes(&rows, Format::Csv).expect("text"), csv);
        let yaml = "\
remotes:
  - name: own
    address: unix:/a b
    fingerprint: \"\"
    default: false
    in_use: false
";
        assert_eq!(remotes(&rows[..1], Format::Yaml).expect("text"), yaml);
        let json = remotes(&rows, Format::Json).expect("text");
        let read: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["remotes"][0]["fingerprint"], "");
        assert_eq!(read["remotes"][1]["default"], true);
        assert_eq!(read["remotes"][2]["in_use"], true);
        assert_eq!(read["remotes"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn one_remote() {
        let [own, work, _] = some();
        let expected = "\
Name:           work
Address:        server.example:1
Fingerprint:    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
Default:        yes
In use:         no
";
        assert_eq!(remote(&work, Format::Table).expect("text"), expected);
        assert!(remote(&own, Format::Table).expect("text").contains("the system's root certificate"));
        for format in [Format::Json, Format::Csv, Format::Yaml] {
            let alone = std::slice::from_ref(&work);
            assert_eq!(remote(&work, format).expect("text"), remotes(alone, format).expect("text"));
        }
    }
}
