//! Output of `networks`.

use rpc::NetInterface;
use serde_json::{Map, Value, json};

use super::table::Table;
use super::values::or_unknown;
use crate::args::Format;
use crate::error::Error;

/// Said instead of a table when there are no networks.
const NO_NETWORKS: &str = "No network interfaces found.\n";

/// Networks, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn networks(networks: &[NetInterface], format: Format) -> Result<String, Error> {
    match format {
        Format::Table if networks.is_empty() => Ok(NO_NETWORKS.to_owned()),
        Format::Table => {
            let mut table = Table::new(&[("Name", 0), ("Type", 0), ("Description", 0)]);
            for NetInterface { name, r#type, description } in networks {
                table.push([name, or_unknown(r#type), or_unknown(description)]);
            }
            Ok(table.finish())
        }
        Format::Json => super::json(&json!({
            "list": networks.iter().map(|network| {
                let mut entry = Map::from_iter([("name".to_owned(), network.name.as_str().into())]);
                entry.append(&mut described(network));
                entry
            }).collect::<Vec<_>>()
        })),
        Format::Yaml => super::yaml(
            networks.iter().map(|network| (network.name.clone(), json!([described(network)]))).collect(),
        ),
        Format::Csv => super::csv(
            &["Name", "Type", "Description"],
            networks.iter().map(|network| {
                [&network.name, &network.r#type, &network.description].map(String::clone).into()
            }),
        ),
    }
}

fn described(network: &NetInterface) -> Map<String, Value> {
    Map::from_iter([
        ("type".to_owned(), network.r#type.as_str().into()),
        ("description".to_owned(), network.description.as_str().into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_networks() {
        for (format, expected) in [
            (Format::Table, NO_NETWORKS),
            (Format::Json, "{\n    \"list\": []\n}\n"),
            (Format::Csv, "Name,Type,Description\n"),
            (Format::Yaml, "{}\n"),
        ] {
            assert_eq!(networks(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn two_networks() {
        let found = [
            NetInterface {
                name: "eth0".into(),
                r#type: "ethernet".into(),
                description: "Ethernet, wired".into(),
            },
            NetInterface { name: "br0".into(), ..Default::default() },
        ];
        let table = "\
Name  Type      Description
eth0  ethernet  Ethernet, wired
br0   --        --
";
        let json = r#"{
    "list": [
        {
            "name": "eth0",
            "type": "ethernet",
            "description": "Ethernet, wired"
        },
        {
            "name": "br0",
            "type": "",
            "description": ""
        }
    ]
}
"#;
        let csv = "Name,Type,Description\neth0,ethernet,\"Ethernet, wired\"\nbr0,,\n";
        let yaml = "\
eth0:
  - type: ethernet
    description: Ethernet, wired
br0:
  - type: \"\"
    description: \"\"
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(networks(&found, format).expect("text"), expected);
        }
    }
}
