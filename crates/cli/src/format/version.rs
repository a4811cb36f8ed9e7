//! Output of `version`.

use rpc::VersionReply;
use serde_json::{Map, Value};

use crate::VERSION;
use crate::args::Format;
use crate::error::Error;

/// The one line that is known without the service.
pub(crate) fn client_line() -> String {
    format!("multipass   {VERSION}\n")
}

/// Both versions, as far as known.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn versions(service: Option<&VersionReply>, format: Format) -> Result<String, Error> {
    let mut known = Map::from_iter([("multipass".to_owned(), Value::from(VERSION))]);
    if let Some(service) = service {
        known.insert("multipassd".to_owned(), service.version.as_str().into());
    }
    match format {
        Format::Table => {
            Ok(client_line() + &service.map(|it| format!("multipassd  {}\n", it.version)).unwrap_or_default())
        }
        Format::Json => super::json(&Value::Object(known)),
        Format::Yaml => super::yaml(known),
        Format::Csv => {
            let update = service.and_then(|service| service.update_info.clone()).unwrap_or_default();
            let version = service.map(|service| service.version.clone()).unwrap_or_default();
            super::csv(
                &["Multipass", "Multipassd", "Title", "Description", "URL"],
                [vec![VERSION.to_owned(), version, update.title, update.description, update.url]],
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_the_service() {
        let service = VersionReply { version: "1.2.3".into(), ..VersionReply::default() };
        for (service, format, expected) in [
            (None, Format::Table, "multipass   $\n"),
            (Some(&service), Format::Table, "multipass   $\nmultipassd  1.2.3\n"),
            (None, Format::Json, "{\n    \"multipass\": \"$\"\n}\n"),
            (
                Some(&service),
                Format::Json,
                "{\n    \"multipass\": \"$\",\n    \"multipassd\": \"1.2.3\"\n}\n",
            ),
            (None, Format::Csv, "Multipass,Multipassd,Title,Description,URL\n$,,,,\n"),
            (Some(&service), Format::Csv, "Multipass,Multipassd,Title,Description,URL\n$,1.2.3,,,\n"),
        ] {
            assert_eq!(versions(service, format).expect("text"), expected.replace('$', VERSION));
        }
        // How a version is quoted depends on what it looks like.
        let yaml = versions(Some(&service), Format::Yaml).expect("text");
        assert_eq!(yaml.replace('"', ""), format!("multipass: {VERSION}\nmultipassd: 1.2.3\n"));
    }
}
