//! The registry's files: what it makes of those that others wrote, and what is beside them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use durable::FileError;
use instances::{
    Cpus, Digest, ImageFormat, InstanceId, InstanceName, InstanceSpec, Record, Registry, RegistryError,
};

fn open(root: &Path) -> Arc<Registry> {
    Arc::new(Registry::open(root).unwrap())
}

fn name(text: &str) -> InstanceName {
    text.parse().unwrap()
}

fn record(id: InstanceId) -> Record {
    Record {
        id,
        created: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        spec: InstanceSpec::default(),
        image: Digest::of(b"image"),
        format: ImageFormat::Qcow2,
        origin: "file:///tmp/image".into(),
        is_deleted: false,
        host_key: "ssh-ed25519 AAAA".into(),
    }
}

fn create(registry: &Arc<Registry>, text: &str) -> Record {
    let id = InstanceId::random();
    let staging = registry.stage(&name(text), id).unwrap();
    fs::write(staging.machine_directory().join("disk"), text).unwrap();
    Record::clone(&staging.commit(record(id), text.as_bytes()).unwrap())
}

fn names(registry: &Registry) -> Vec<String> {
    registry.all().iter().map(|(name, _)| name.to_string()).collect()
}

fn files(root: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(root).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn what_was_made_and_changed_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    let registry = open(&root);
    let (a, b) = (create(&registry, "a"), create(&registry, "b"));
    assert_ne!(a.id, b.id);
    let changed = registry.update(&name("b"), |record| record.spec.cpus = Cpus::new(4).unwrap()).unwrap();
    assert_eq!(changed.spec.cpus.get(), 4);
    drop(registry);

    let registry = open(&root);
    assert_eq!(names(&registry), ["a", "b"]);
    assert_eq!(*registry.get(&name("a")).unwrap(), a);
    assert_eq!(registry.get(&name("b")).unwrap(), changed);
    assert_eq!(registry.client_key(&name("b")).unwrap().as_slice(), b"b");
    let machine = registry.machine(&name("a"), &a, "/image".into());
    assert_eq!(fs::read(machine.directory.join("disk")).unwrap(), b"a");

    registry.remove(&name("a")).unwrap();
    assert_eq!(names(&registry), ["b"]);
    assert_eq!(files(&root), ["b", "lock"]);
    for error in [
        registry.get(&name("a")).unwrap_err(),
        registry.update(&name("a"), |_| {}).unwrap_err(),
        registry.client_key(&name("a")).unwrap_err(),
        registry.remove(&name("a")).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "instance \"a\" does not exist");
    }
}

#[test]
fn a_name_is_taken_from_the_first_moment_to_the_last() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    let registry = open(&root);
    let is_taken = |registry: &Arc<Registry>| {
        let refused = registry.stage(&name("a"), InstanceId::random());
        matches!(refused, Err(RegistryError::Exists(_))) && registry.is_taken(&name("a"))
    };
    assert!(!is_taken(&registry));
    let staging = registry.stage(&name("a"), InstanceId::random()).unwrap();
    assert!(is_taken(&registry), "it is being made");
    assert_eq!(names(&registry), [""; 0], "it is not there yet");
    drop(staging);
    assert!(!is_taken(&registry), "it was given up");
    assert_eq!(files(&root), ["lock"], "nothing is left of it");
    create(&registry, "a");
    assert!(is_taken(&registry), "it is there");
    registry.remove(&name("a")).unwrap();
    // Something else that has the name is not replaced, be it empty.
    fs::create_dir(root.join("a")).unwrap();
    assert!(is_taken(&registry), "something else is there");
}

#[test]
fn one_process_has_it_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    let registry = open(&root);
    let error = Registry::open(&root).unwrap_err();
    assert!(matches!(&error, RegistryError::File(FileError::InUse(path)) if *path == root), "{error:?}");
    drop(registry);
    open(&root);
}

#[test]
fn what_is_damaged_is_told_of_and_stays_and_takes_nothing_else_away() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    let registry = open(&root);
    for text in ["good", "torn", "empty", "newer", "long", "gone", "good2"] {
        create(&registry, text);
    }
    drop(registry);
    let record = |text: &str| root.join(text).join("instance.json");
    let whole = fs::read_to_string(record("torn")).unwrap();
    fs::write(record("torn"), &whole[..whole.len() / 2]).unwrap();
    fs::write(record("empty"), "").unwrap();
    fs::write(record("newer"), whole.replace("\"version\": 1", "\"version\": 7")).unwrap();
    fs::write(record("long"), vec![b' '; 70_000]).unwrap();
    fs::remove_file(record("gone")).unwrap();
    fs::write(root.join("file"), "no directory").unwrap();
    fs::create_dir(root.join("no_name")).unwrap();
    let before = files(&root);

    let registry = open(&root);
    assert_eq!(names(&registry), ["good", "good2"]);
    let told: Vec<_> = registry
        .damaged()
        .iter()
        .map(|damaged| {
            let file = damaged.path.file_name().unwrap().to_str().unwrap();
            let reason = damaged.reason.split(':').next().unwrap();
            format!("{file}: {reason}")
        })
        .collect();
    assert_eq!(
        told,
        [
            "empty: instance.json cannot be understood",
            "file: it is not a directory",
            "gone: instance.json is missing",
            "long: cannot read instance.json",
            "newer: instance.json cannot be understood",
            "no_name: it is not the name of an instance",
            "torn: instance.json cannot be understood",
        ]
    );
    assert_eq!(files(&root), before);
    assert_eq!(fs::read(root.join("torn/machine/disk")).unwrap(), b"torn");
    let error = registry.stage(&name("torn"), InstanceId::random()).unwrap_err();
    assert!(matches!(error, RegistryError::Exists(_)), "its name is not given away: {error:?}");
}

#[test]
fn only_leftovers_of_ours_are_swept() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    create(&open(&root), "a");
    let elsewhere = data.path().join("elsewhere");
    for directory in
        [root.join(".new-1/machine"), root.join(".old-2/machine"), root.join(".newer"), elsewhere.clone()]
    {
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), "bytes").unwrap();
    }
    fs::write(root.join(".new-file"), "a file").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&elsewhere, root.join(".old-link")).unwrap();

    let registry = open(&root);
    assert_eq!(names(&registry), ["a"]);
    let left = files(&root);
    for gone in [".new-1", ".old-2"] {
        assert!(!left.iter().any(|name| name == gone), "{gone} is left");
    }
    for kept in [".newer", ".new-file", "a"] {
        assert!(left.iter().any(|name| name == kept), "{kept} is gone");
    }
    assert_eq!(fs::read(elsewhere.join("file")).unwrap(), b"bytes", "a link was followed");
}

#[cfg(unix)]
#[test]
fn everything_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    create(&open(&root), "a");
    for (path, expected) in [
        ("", 0o700),
        ("a", 0o700),
        ("a/machine", 0o700),
        ("a/instance.json", 0o600),
        ("a/client_key", 0o600),
        ("lock", 0o600),
    ] {
        let mode = fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{path}: {mode:o}");
    }
}

/// The most that is read of a file, in bytes.
const MAX_FILE: usize = 64 * 1024;

#[test]
fn what_would_not_be_read_again_is_not_written() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("instances");
    let registry = open(&root);
    create(&registry, "web");
    let long = registry.update(&name("web"), |record| record.origin = "x".repeat(MAX_FILE - 1024)).unwrap();
    let error = registry.update(&name("web"), |record| record.origin = "x".repeat(MAX_FILE)).unwrap_err();
    assert!(
        matches!(&error, RegistryError::File(FileError::Write { source, .. })
            if source.kind() == std::io::ErrorKind::FileTooLarge),
        "{error:?}"
    );
    assert_eq!(registry.get(&name("web")).unwrap(), long);
    drop(registry);
    assert_eq!(open(&root).get(&name("web")).unwrap(), long);
}

#[test]
fn no_more_is_read_of_a_file_than_it_may_have() {
    for (length, is_read) in [(MAX_FILE, true), (MAX_FILE + 1, false)] {
        let data = tempfile::tempdir().unwrap();
        let root = data.path().join("instances");
        create(&open(&root), "web");
        let padded = |file: &str| {
            let path = root.join("web").join(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes.resize(length, b' ');
            fs::write(&path, bytes).unwrap();
        };
        padded("client_key");
        let registry = open(&root);
        assert_eq!(registry.client_key(&name("web")).is_ok(), is_read, "{length}");
        drop(registry);
        padded("instance.json");
        let registry = open(&root);
        assert_eq!(names(&registry).len(), usize::from(is_read), "{length}");
        assert_eq!(registry.damaged().len(), usize::from(!is_read), "{length}");
    }
}
