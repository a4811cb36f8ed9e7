//! What is written down of an instance: one file of JSON.
//!
//! What changes by itself is not in it. Whether the machine runs, its driver knows.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::images::Digest;
use crate::{Cpus, DiskSize, ImageFormat, InstanceId, InstanceSpec, MemorySize};

/// The version of the format that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What is written down of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which instance.
    pub id: InstanceId,
    /// When it was made, to the second.
    pub created: SystemTime,
    /// How much of the host it gets.
    pub spec: InstanceSpec,
    /// The image that its disk is based on.
    pub image: Digest,
    /// How that image holds a disk.
    pub format: ImageFormat,
    /// Where that image came from, for people.
    pub origin: String,
    /// Whether it is in the bin.
    pub is_deleted: bool,
    /// The public key of its SSH server, as in a `known_hosts` file. It is put there before the first start, so
    /// that nobody else can answer for it.
    pub host_key: String,
}

/// Why a file is no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotARecord {
    #[error("it is not what this version writes: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("it is of version {0}, and this daemon knows version {VERSION}; a newer daemon has written it")]
    Version(u32),
    #[error("its {0} is invalid")]
    Field(&'static str),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    id: String,
    created: String,
    cpus: u32,
    memory: u64,
    disk: u64,
    image: String,
    format: Format,
    origin: String,
    deleted: bool,
    host_key: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Qcow2,
    Raw,
}

/// Only the version: of a file of another version, nothing else need be understood.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Record {
    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let file = File {
            version: VERSION,
            id: self.id.to_string(),
            // The format has no years before 1970, which a clock that was never set may show.
            created: humantime::format_rfc3339_seconds(self.created.max(UNIX_EPOCH)).to_string(),
            cpus: self.spec.cpus.get(),
            memory: self.spec.memory.bytes(),
            disk: self.spec.disk.bytes(),
            image: self.image.to_string(),
            format: match self.format {
                ImageFormat::Qcow2 => Format::Qcow2,
                ImageFormat::Raw => Format::Raw,
            },
            origin: self.origin.clone(),
            deleted: self.is_deleted,
            host_key: self.host_key.clone(),
        };
        let mut bytes = serde_json::to_vec_pretty(&file)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, NotARecord> {
        let Version { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(NotARecord::Version(version));
        }
        let file: File = serde_json::from_slice(bytes)?;
        let field = NotARecord::Field;
        Ok(Self {
            id: file.id.parse().map_err(|_| field("id"))?,
            created: humantime::parse_rfc3339(&file.created).map_err(|_| field("moment of creation"))?,
            spec: InstanceSpec {
                cpus: Cpus::new(file.cpus).map_err(|_| field("number of CPUs"))?,
                memory: MemorySize::from_bytes(file.memory).map_err(|_| field("size of memory"))?,
                disk: DiskSize::from_bytes(file.disk).map_err(|_| field("size of disk"))?,
            },
            image: file.image.parse().map_err(|_| field("image"))?,
            format: match file.format {
                Format::Qcow2 => ImageFormat::Qcow2,
                Format::Raw => ImageFormat::Raw,
            },
            origin: file.origin,
            is_deleted: file.deleted,
            host_key: file.host_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record() -> Record {
        Record {
            id: "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap(),
            created: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            spec: InstanceSpec::default(),
            image: "a".repeat(64).parse().unwrap(),
            format: ImageFormat::Qcow2,
            origin: "file:///tmp/image".into(),
            is_deleted: false,
            host_key: "ssh-ed25519 AAAA".into(),
        }
    }

    const TEXT: &str = r#"{
  "version": 1,
  "id": "67e55044-10b1-426f-9247-bb680e5fe0c8",
  "created": "2023-11-14T22:13:20Z",
  "cpus": 1,
  "memory": 1073741824,
  "disk": 5368709120,
  "image": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "format": "qcow2",
  "origin": "file:///tmp/image",
  "deleted": false,
  "host_key": "ssh-ed25519 AAAA"
}
"#;

    #[test]
    fn a_record_is_what_later_versions_will_find() {
        assert_eq!(String::from_utf8(record().to_json().unwrap()).unwrap(), TEXT);
        assert_eq!(Record::from_json(TEXT.as_bytes()).unwrap(), record());
        let other = Record { format: ImageFormat::Raw, is_deleted: true, ..record() };
        assert_eq!(Record::from_json(&other.to_json().unwrap()).unwrap(), other);
    }

    #[test]
    fn what_is_no_record_says_why() {
        for (from, to, why) in [
            ("\"version\": 1", "\"version\": 2", "a newer daemon has written it"),
            ("\"version\": 1,", "", "missing field `version`"),
            ("\"cpus\": 1,", "", "missing field `cpus`"),
            ("\"cpus\": 1", "\"cpus\": 1, \"more\": 1", "unknown field `more`"),
            ("67e5", "67x5", "its id is invalid"),
            ("2023-11", "2023-13", "its moment of creation is invalid"),
            ("\"cpus\": 1", "\"cpus\": 0", "its number of CPUs is invalid"),
            ("1073741824", "1", "its size of memory is invalid"),
            ("5368709120", "1", "its size of disk is invalid"),
            ("aaaa", "../a", "its image is invalid"),
            ("\"qcow2\"", "\"vmdk\"", "unknown variant `vmdk`"),
            ("}", "", "EOF"),
            ("AAAA\"\n}", "AAAA\"\n}}", "trailing characters"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            let error = Record::from_json(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{to}: {error}");
        }
    }
}
