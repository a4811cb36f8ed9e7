//! cloud-init's `NoCloud` seed: a small FAT volume labelled `CIDATA`, read at each boot.

use std::fs::OpenOptions;
use std::io::{self, Cursor, Write};
use std::path::Path;

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use instances::Seed;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::files;

const LABEL: &[u8; 11] = b"CIDATA     ";
/// For the volume's own tables, and enough that it is a volume at all.
const LEAST: usize = 512 * 1024;

/// Writes the seed, for us alone, so that it survives a power cut, but for its name. *Blocking*.
///
/// # Errors
/// There is something of that name, or it cannot be written.
pub(crate) fn write(path: &Path, seed: &Seed) -> io::Result<()> {
    let volume = volume(seed)?;
    let mut file = files::own(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(&volume)?;
    file.sync_all()
}

fn volume(seed: &Seed) -> io::Result<Zeroizing<Vec<u8>>> {
    let contents = [
        ("meta-data", seed.meta_data.as_str()),
        ("user-data", seed.user_data.expose_secret()),
        ("vendor-data", seed.vendor_data.expose_secret()),
    ];
    // Twice what is in it: whatever the size of its blocks, there is room.
    let size = LEAST + 2 * contents.iter().map(|(_, content)| content.len()).sum::<usize>();
    let mut volume = Zeroizing::new(vec![0; size.next_multiple_of(4096)]);
    let options = FormatVolumeOptions::new().volume_label(*LABEL);
    fatfs::format_volume(Cursor::new(volume.as_mut_slice()), options)?;
    {
        let system = FileSystem::new(Cursor::new(volume.as_mut_slice()), FsOptions::new())?;
        for (name, content) in contents {
            system.root_dir().create_file(name)?.write_all(content.as_bytes())?;
        }
        system.unmount()?;
    }
    Ok(volume)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn seed(user_data: &str) -> Seed {
        Seed {
            meta_data: "instance-id: a\n".into(),
            user_data: user_data.to_owned().into(),
            vendor_data: String::from("#cloud-config\n{}\n").into(),
        }
    }

    #[test]
    fn the_volume_has_the_label_and_the_files_that_cloud_init_looks_for() {
        for length in [0, 1, 511, 512, 513, 70_000, 3_000_000] {
            let user_data = "x".repeat(length);
            let mut bytes = volume(&seed(&user_data)).unwrap();
            let system = FileSystem::new(Cursor::new(bytes.as_mut_slice()), FsOptions::new()).unwrap();
            // Some look in the one place, some in the other.
            assert_eq!(system.read_volume_label_from_root_dir_as_bytes().unwrap(), Some(*LABEL));
            assert_eq!(system.volume_label_as_bytes(), LABEL.trim_ascii());
            let names: Vec<_> = system.root_dir().iter().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["meta-data", "user-data", "vendor-data"]);
            let read = |name: &str| {
                let mut text = String::new();
                system.root_dir().open_file(name).unwrap().read_to_string(&mut text).unwrap();
                text
            };
            assert_eq!(read("meta-data"), "instance-id: a\n");
            assert_eq!(read("user-data"), user_data);
            assert_eq!(read("vendor-data"), "#cloud-config\n{}\n");
        }
    }

    #[test]
    fn the_seed_is_ours_alone_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed.img");
        write(&path, &seed("a secret")).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write(&path, &seed("")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
