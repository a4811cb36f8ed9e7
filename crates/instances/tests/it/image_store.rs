//! Images from files: what is taken, what is refused, and what is left in each case.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

use durable::FileError;
use instances::{Digest, ImageFormat, ImageStore, ImageStoreError};
use tempfile::TempDir;

use crate::images::{LARGEST, disk, files, store};

fn import(
    store: &ImageStore,
    bytes: &[u8],
    expected: Option<Digest>,
) -> Result<instances::Image, ImageStoreError> {
    store.import(given(bytes), expected, &|_, _| ControlFlow::Continue(()))
}

fn given(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

#[test]
fn the_same_image_is_there_once_by_its_digest() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let bytes = disk(1, 4096);
    let image = import(&store, &bytes, None).unwrap();
    assert_eq!((image.digest, image.format, image.disk), (Digest::of(&bytes), ImageFormat::Raw, 4096));
    assert_eq!(fs::read(&image.path).unwrap(), bytes);
    assert_eq!(image.path, store.path(image.digest));
    let again = import(&store, &bytes, Some(image.digest)).unwrap();
    assert_eq!(again.path, image.path);
    let other = import(&store, &disk(2, 4096), None).unwrap();
    assert_ne!(other.digest, image.digest);
    let mut names = vec![image.digest.to_string(), "lock".to_owned(), other.digest.to_string()];
    names.sort();
    assert_eq!(files(data.path()), names, "nothing else is left");
    let found = store.find(image.digest).unwrap();
    assert_eq!((found.format, found.disk), (ImageFormat::Raw, 4096));
    assert!(matches!(store.find(Digest::of(b"none")), Err(ImageStoreError::Missing(_))));
    assert_eq!(store.all().unwrap().len(), 2);
}

#[cfg(unix)]
#[test]
fn an_image_is_read_only_and_the_owners_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let data = TempDir::new().unwrap();
    let store = store(data.path());
    // Mostly empty, as raw disks are.
    let image = import(&store, &disk(1, 4 << 20), None).unwrap();
    let metadata = fs::metadata(&image.path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o400);
    assert_eq!(metadata.len(), 4 << 20);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
}

#[test]
fn what_is_refused_leaves_nothing() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let bytes = disk(1, 4096);
    let too_large = disk(1, usize::try_from(LARGEST).unwrap() + 512);
    let wrong = Some(Digest::of(b"another"));
    for (bytes, expected, why) in [
        (&bytes, wrong, "checksum is"),
        (&too_large, None, "more than"),
        (&b"no image".to_vec(), None, "that is not a disk image: it is neither"),
        (&bytes[..1000].to_vec(), None, "that is not a disk image: it is cut off"),
        (&Vec::new(), None, "that is not a disk image: it is neither"),
    ] {
        let error = import(&store, bytes, expected).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(files(data.path()), ["lock"], "{why}");
    }
    let directory = File::open(data.path()).unwrap();
    let error = store.import(directory, None, &|_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ImageStoreError::NotAFile), "{error:?}");
    let device = File::open("/dev/zero").unwrap();
    let error = store.import(device, None, &|_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ImageStoreError::NotAFile), "{error:?}");

    let seen = std::cell::RefCell::new(Vec::new());
    let progress = |done, total| {
        seen.borrow_mut().push((done, total));
        if done > 300_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let error = store.import(given(&disk(1, 1 << 20)), None, &progress).unwrap_err();
    assert!(matches!(error, ImageStoreError::Cancelled), "{error:?}");
    assert_eq!(files(data.path()), ["lock"]);
    assert_eq!(*seen.borrow(), [(256 << 10, 1 << 20), (512 << 10, 1 << 20)]);
}

fn used_at(path: &Path, moment: SystemTime) {
    File::open(path).unwrap().set_modified(moment).unwrap();
}

#[test]
fn what_nobody_uses_is_pruned_after_a_while() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let now = SystemTime::now();
    let old = now - Duration::from_secs(1000);
    let images = [1, 2, 3, 4].map(|kind| import(&store, &disk(kind, 4096), None).unwrap());
    let digests = images.each_ref().map(|image| image.digest);
    let [used, leased, recent, unused] = images;
    for image in [&used, &leased, &unused] {
        used_at(&image.path, old);
    }
    let url = Digest::of(b"http://example.org/");
    for (name, moment) in [
        (format!("{url}.partial"), old),
        (format!("{url}.known.json"), old),
        (format!("{}.partial", digests[0]), now),
        ("something else".to_owned(), old),
    ] {
        fs::write(data.path().join(&name), "").unwrap();
        used_at(&data.path().join(&name), moment);
    }
    let used_digest = used.digest;
    drop((used, recent, unused));
    let prune = || store.prune(&|digest| digest == used_digest, now - Duration::from_secs(500)).unwrap();
    assert_eq!(prune(), [digests[3]]);
    let mut left = vec![
        digests[0].to_string(),
        digests[1].to_string(),
        digests[2].to_string(),
        format!("{}.partial", digests[0]),
        "lock".to_owned(),
        "something else".to_owned(),
    ];
    left.sort();
    assert_eq!(files(data.path()), left);
    drop(leased);
    assert_eq!(prune(), [digests[1]]);
    // To be found is to be used.
    used_at(&store.path(digests[2]), old);
    drop(store.find(digests[2]).unwrap());
    assert_eq!(prune(), []);
}

#[test]
fn one_process_has_it_at_a_time_and_leftovers_are_swept() {
    let data = TempDir::new().unwrap();
    fs::write(data.path().join(".new-1"), "half").unwrap();
    let first = store(data.path());
    assert_eq!(files(data.path()), ["lock"]);
    assert!(matches!(
        ImageStore::open(data.path(), LARGEST),
        Err(ImageStoreError::File(FileError::InUse(_)))
    ));
    drop(first);
    store(data.path());
}

/// Whether QEMU's tool is there. Where it is not, it says so, and in the file that `MULTIPASS_TEST_SKIPS` names.
fn has_qemu_img(test: &str) -> bool {
    let is_there = std::process::Command::new("qemu-img").arg("--version").output().is_ok();
    if !is_there {
        let line = format!("SKIPPED: {test}: needs qemu-img\n");
        print!("{line}");
        if let Some(path) = std::env::var_os("MULTIPASS_TEST_SKIPS") {
            // One write: tests of other processes append to the same file.
            let mut list = File::options().append(true).create(true).open(path).unwrap();
            list.write_all(line.as_bytes()).unwrap();
        }
    }
    is_there
}

#[test]
fn what_qemu_makes_is_judged_by_what_it_names() {
    if !has_qemu_img("image_store: what QEMU makes") {
        return;
    }
    let data = TempDir::new().unwrap();
    let make = TempDir::new().unwrap();
    fs::write(make.path().join("base"), disk(1, 1 << 20)).unwrap();
    let store = store(data.path());
    for (options, expected) in [
        ("-f qcow2 image 64M", Ok(64 << 20)),
        ("-f qcow2 -o compat=0.10 image 64M", Ok(64 << 20)),
        ("-f qcow2 -o compression_type=zstd,cluster_size=2M image 64M", Ok(64 << 20)),
        ("-f qcow2 -o extended_l2=on image 64M", Ok(64 << 20)),
        ("-f qcow2 -b base -F raw image", Err("is based on another file")),
        ("-f qcow2 -o compat=0.10 -b base -F raw image", Err("is based on another file")),
        ("-f qcow2 -o data_file=data image 64M", Err("keeps its data in another file")),
        ("-f qcow2 -o data_file=data,data_file_raw=on image 64M", Err("keeps its data in another file")),
        ("-f vmdk image 64M", Err("a VMDK image")),
        ("-f qed image 64M", Err("a QED image")),
    ] {
        let made = std::process::Command::new("qemu-img")
            .args(["create", "-q"])
            .args(options.split(' '))
            .current_dir(make.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{options}: {made:?}");
        let bytes = fs::read(make.path().join("image")).unwrap();
        match (import(&store, &bytes, None), expected) {
            (Ok(image), Ok(disk)) => assert_eq!((image.format, image.disk), (ImageFormat::Qcow2, disk)),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{options}: {error}"),
            (found, _) => panic!("{options}: {found:?}"),
        }
        for name in ["image", "data"] {
            let _ = fs::remove_file(make.path().join(name));
        }
    }
}
