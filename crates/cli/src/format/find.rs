//! Output of `find`.

use rpc::find_reply::ImageInfo;
use serde_json::{Map, Value, json};

use super::table::Table;
use super::values::{NO_ERRORS, or_unknown, release};
use crate::args::Format;
use crate::error::Error;

/// Said instead of a table when there are no images.
const NO_IMAGES: &str = "No images found.\n";
/// The one type of image that there is.
const TYPE: &str = "Cloud Image";

/// Images, in the order given.
///
/// # Errors
/// They cannot be put into `format`.
pub(crate) fn images(images: &[ImageInfo], format: Format) -> Result<String, Error> {
    match format {
        Format::Table => Ok(table(images)),
        Format::Json => super::json(&json!({ "errors": [], "images": entries(images) })),
        Format::Yaml => {
            let found = Map::from_iter([("images".to_owned(), Value::Object(entries(images)))]);
            Ok(format!("{NO_ERRORS}{}", super::yaml(found)?))
        }
        Format::Csv => super::csv(
            &["Image", "Remote", "Aliases", "OS", "Release", "Version", "Type"],
            images.iter().map(|image| {
                vec![
                    name(image).to_owned(),
                    image.remote_name.clone(),
                    further_aliases(image).join(","),
                    image.os.clone(),
                    image.release.clone(),
                    image.version.clone(),
                    TYPE.to_owned(),
                ]
            }),
        ),
    }
}

fn table(images: &[ImageInfo]) -> String {
    if images.is_empty() {
        return NO_IMAGES.to_owned();
    }
    let mut table = Table::new(&[("Image", 28), ("Aliases", 18), ("Version", 17), ("Description", 0)]);
    for image in images {
        let description = release(&image.os, &image.release);
        table.push([
            &launched_as(image),
            &further_aliases(image).join(","),
            or_unknown(&image.version),
            or_unknown(&description),
        ]);
    }
    table.finish()
}

fn entries(images: &[ImageInfo]) -> Map<String, Value> {
    let entry = |image: &ImageInfo| {
        json!({
            "os": image.os,
            "release": image.release,
            "version": image.version,
            "aliases": further_aliases(image),
            "remote": image.remote_name,
        })
    };
    images.iter().map(|image| (launched_as(image), entry(image))).collect()
}

/// An image's first alias is its name.
fn name(image: &ImageInfo) -> &str {
    image.aliases.first().map_or("", String::as_str)
}

fn further_aliases(image: &ImageInfo) -> &[String] {
    image.aliases.get(1..).unwrap_or_default()
}

/// What `launch` takes for it.
fn launched_as(image: &ImageInfo) -> String {
    match image.remote_name.as_str() {
        "" => name(image).to_owned(),
        remote => format!("{remote}:{}", name(image)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_images() -> [ImageInfo; 2] {
        [
            ImageInfo {
                os: "Ubuntu".into(),
                release: "24.04 LTS".into(),
                version: "20260101".into(),
                aliases: vec!["24.04".into(), "noble".into(), "lts".into()],
                codename: "noble".into(),
                remote_name: String::new(),
            },
            ImageInfo { aliases: vec!["26.04".into()], remote_name: "daily".into(), ..Default::default() },
        ]
    }

    #[test]
    fn no_images() {
        for (format, expected) in [
            (Format::Table, NO_IMAGES),
            (Format::Json, "{\n    \"errors\": [],\n    \"images\": {}\n}\n"),
            (Format::Csv, "Image,Remote,Aliases,OS,Release,Version,Type\n"),
            (Format::Yaml, "errors:\n  - ~\nimages: {}\n"),
        ] {
            assert_eq!(images(&[], format).expect("text"), expected);
        }
    }

    #[test]
    fn two_images() {
        let table = "\
Image                       Aliases           Version          Description
24.04                       noble,lts         20260101         Ubuntu 24.04 LTS
daily:26.04                                   --               --
";
        let json = r#"{
    "errors": [],
    "images": {
        "24.04": {
            "os": "Ubuntu",
            "release": "24.04 LTS",
            "version": "20260101",
            "aliases": [
                "noble",
                "lts"
            ],
            "remote": ""
        },
        "daily:26.04": {
            "os": "",
            "release": "",
            "version": "",
            "aliases": [],
            "remote": "daily"
        }
    }
}
"#;
        let csv = "\
Image,Remote,Aliases,OS,Release,Version,Type
24.04,,\"noble,lts\",Ubuntu,24.04 LTS,20260101,Cloud Image
26.04,daily,,,,,Cloud Image
";
        let yaml = "\
errors:
  - ~
images:
  \"24.04\":
    os: Ubuntu
    release: 24.04 LTS
    version: \"20260101\"
    aliases:
      - noble
      - lts
    remote: \"\"
  \"daily:26.04\":
    os: \"\"
    release: \"\"
    version: \"\"
    aliases: []
    remote: daily
";
        for (format, expected) in
            [(Format::Table, table), (Format::Json, json), (Format::Csv, csv), (Format::Yaml, yaml)]
        {
            assert_eq!(images(&some_images(), format).expect("text"), expected);
        }
    }
}
