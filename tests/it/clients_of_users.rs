//! `sudo multipass clients add --user`, and what root leaves alone in other users' homes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use e2e::Outcome;

use crate::accounts::NamedAccount;
use crate::support::{Expected, NO_INSTANCES, Service, administrators, below, mode, run};

/// A service with a first client, root.
fn service() -> Option<Service> {
    administrators()?;
    let service = Service::start();
    service.first_client();
    Some(service)
}

/// Gives a user all that is below his home.
fn give(alice: &NamedAccount) {
    for path in below(&alice.client.home) {
        std::os::unix::fs::lchown(&path, Some(alice.account.uid), Some(alice.account.gid)).unwrap();
    }
}

#[test]
fn a_users_client_is_made_by_the_user() {
    let Some(service) = service() else { return };
    let Some(alice) = NamedAccount::new(&service) else { return };
    let root = service.user("root");
    let outcome = alice.add(&root);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.starts_with("The client mp-alice ("), "{outcome:?}");
    for path in below(&alice.client.home) {
        let found = fs::symlink_metadata(&path).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!((found.uid(), found.gid(), mode(&path)), (4001, 4001, expected), "{}", path.display());
    }
    assert!(service.trusts(&alice.client));
    run(&alice.client, &["list"]).prints(NO_INSTANCES);
    assert_eq!(fs::read_dir(&root.home).unwrap().count(), 0);

    // Again: the same one.
    let key = fs::read(alice.client.key()).unwrap();
    assert_eq!(alice.add(&root).stdout, outcome.stdout.replace("is trusted", "was trusted already"));
    assert_eq!(fs::read(alice.client.key()).unwrap(), key);
    assert_eq!(service.trusted(), 2);
}

#[test]
fn what_a_user_plants_is_met_with_the_users_rights() {
    let Some(service) = service() else { return };
    let Some(alice) = NamedAccount::new(&service) else { return };
    let root = service.user("root");
    let secret = service.sandbox.path("secret");
    for readable in [0o600, 0o644] {
        fs::write(&secret, "not yours").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(readable)).unwrap();
        for link in [
            alice.client.key(),
            alice.client.certificate(),
            alice.client.identity().join(".multipass_cert.lock"),
        ] {
            fs::create_dir_all(alice.client.identity()).unwrap();
            symlink(&secret, &link).unwrap();
            give(&alice);
            let _ = alice.add(&root);
            // `sudo` with the user's home, too.
            for arguments in [&["list"][..], &["clients"], &["clients", "add", "--self"]] {
                as_root_at(&service, &alice.client.home, arguments);
            }
            let found = fs::metadata(&secret).unwrap();
            assert_eq!((found.uid(), found.mode() & 0o7777), (0, readable), "{}", link.display());
            assert_eq!(fs::read_to_string(&secret).unwrap(), "not yours", "{}", link.display());
            fs::remove_dir_all(alice.client.home.join(".local")).unwrap();
        }
    }
    // A directory that is root's.
    let place = service.sandbox.path("place");
    fs::create_dir(&place).unwrap();
    symlink(&place, alice.client.home.join(".local")).unwrap();
    let parts = ["Permission denied", "Check the user's home directory"];
    alice.add(&root).fails(2, "clients add failed: no certificate of mp-alice: ", &parts);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}

/// What root's shell has open the user may not read, nor may his other programs through the one that root starts.
#[cfg(target_os = "linux")]
#[test]
fn the_users_program_inherits_nothing_that_is_open() {
    let Some(service) = service() else { return };
    let Some(alice) = NamedAccount::new(&service) else { return };
    let root = service.user("root");
    let secret = service.sandbox.path("secret");
    fs::write(&secret, "not yours").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    // As long as another client of hers has the lock, the program waits and can be looked at.
    fs::create_dir_all(alice.client.identity()).unwrap();
    let lock = fs::File::create(alice.client.identity().join(".multipass_cert.lock")).unwrap();
    lock.lock().unwrap();
    give(&alice);
    let add = root.command(&["clients", "add", "--user", NamedAccount::NAME]);
    let script = format!("exec 3<{0} 7>>{0} 9<{0}; exec \"$@\"", secret.display());
    let add = e2e::through_shell(&script, &add);
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| alice.run(&add));
        let mut open = None;
        e2e::wait_until("the user's program waits", std::time::Duration::from_secs(20), || {
            assert!(!adding.is_finished(), "it did not wait");
            open = open_files(alice.account.uid, &alice.client.home);
            open.is_some()
        })
        .unwrap();
        // The standard ones, and its own, which is the lock.
        let open = open.unwrap_or_default();
        assert!(open.len() == 4 && !open.contains(&secret), "{open:?}");
        lock.unlock().unwrap();
        assert_eq!(adding.join().unwrap().code, 0);
    });
}

/// What a user's program has open that has a file open below `home`.
#[cfg(target_os = "linux")]
fn open_files(uid: u32, home: &Path) -> Option<Vec<std::path::PathBuf>> {
    let uid = format!("Uid:\t{uid}\t");
    fs::read_dir("/proc").unwrap().flatten().find_map(|process| {
        let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let descriptors = fs::read_dir(process.path().join("fd")).ok().filter(|_| status.contains(&uid))?;
        let open: Vec<_> =
            descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        open.iter().any(|file| file.starts_with(home)).then_some(open)
    })
}

#[test]
fn a_user_who_does_not_exist_is_told() {
    let Some(service) = service() else { return };
    let outcome = run(&service.user("root"), &["clients", "add", "--user", "mp-nobody-at-all"]);
    outcome.fails(2, "clients add failed: there is no user 'mp-nobody-at-all'", &["Check the name"]);
}

/// Runs `multipass` as root with another user's home, as some `sudo` do.
fn as_root_at(service: &Service, home: &Path, arguments: &[&str]) -> Outcome {
    let mut command = service.user("root").command(arguments);
    Outcome::of(command.env("HOME", home), "").expect("the client runs")
}

#[test]
fn with_another_users_home_root_makes_nothing_there() {
    let Some(service) = service() else { return };
    let Some(alice) = NamedAccount::new(&service) else { return };
    let home = alice.client.home.clone();
    let listed = as_root_at(&service, &home, &["clients", "--format", "csv"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (0, 2), "{listed:?}");
    as_root_at(&service, &home, &["set", "local.passphrase=some words"]).prints("");
    let own = as_root_at(&service, &home, &["clients", "add", "--self"]);
    own.fails(2, "clients add failed: ", &["belongs to another user", "sudo multipass clients add --user"]);
    let list = as_root_at(&service, &home, &["list"]);
    list.fails(2, "list failed: ", &["belongs to another user", "without sudo"]);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    assert_eq!(service.trusted(), 1);
    run(&alice.client, &["authenticate", "some words"]).prints("");
    // What is there already is used, as it always was.
    as_root_at(&service, &home, &["list"]).prints(NO_INSTANCES);
}
