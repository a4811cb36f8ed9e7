//! What users may get wrong: each a clear error with what to do next, and nothing is left of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use e2e::{Client, is_root, skip};
use test_servers::{Request, Say, Server};

use super::Host;
use crate::support::{Expected, outsider, run, run_with_input, sha256};

/// Arguments, where `{images}` is a directory and `{http}` a server; the exit code; and parts of what is said, the
/// last of which is what to do next.
type Row = (&'static str, i32, &'static [&'static str]);

const FROM_128M: &str = "at least 128M";
const FROM_512M: &str = "at least 512M";
const A_NAME: &str = "begins with a letter, and ends with a letter or a digit";

#[rustfmt::skip]
const LAUNCHES: &[Row] = &[
    // Names.
    ("--name 1web {images}/good", 2, &["Invalid instance name supplied: \"1web\"", A_NAME]),
    ("--name we_b {images}/good", 2, &["Invalid instance name supplied: \"we_b\"", A_NAME]),
    ("--name web- {images}/good", 2, &["Invalid instance name supplied: \"web-\"", A_NAME]),
    ("--name=-web {images}/good", 2, &["Invalid instance name supplied: \"-web\"", A_NAME]),
    ("--name ../web {images}/good", 2, &["Invalid instance name supplied: \"../web\"", A_NAME]),
    ("--name wéb {images}/good", 2, &["Invalid instance name supplied: \"wéb\"", A_NAME]),
    ("--name a123456789b123456789c123456789d123456789e123456789f123456789g123 {images}/good", 2,
        &["Invalid instance name supplied", "1 to 63 letters", A_NAME]),
    ("--name= {images}/good", 1, &["--name"]),
    // Sizes.
    ("--memory 0 {images}/good", 2, &["0 is not a valid memory size", FROM_128M]),
    ("--memory 127M {images}/good", 2, &["127M is not a valid memory size", FROM_128M]),
    ("--memory=-1G {images}/good", 2, &["-1G is not a valid memory size", FROM_128M]),
    ("--memory 1Q {images}/good", 2, &["1Q is not a valid memory size", FROM_128M]),
    ("--memory 1.5 {images}/good", 2, &["1.5 is not a valid memory size", FROM_128M]),
    ("--memory much {images}/good", 2, &["much is not a valid memory size", FROM_128M]),
    ("--memory 99999999999999999999G {images}/good", 2, &["is not a valid memory size", FROM_128M]),
    ("--memory 8000000G {images}/good", 2, &["cannot set up guest memory", "give it less, with --memory"]),
    ("--memory= {images}/good", 1, &["--memory"]),
    ("--disk 0 {images}/good", 2, &["0 is not a valid disk size", FROM_512M]),
    ("--disk 511M {images}/good", 2, &["511M is not a valid disk size", FROM_512M]),
    ("--disk=-1 {images}/good", 2, &["-1 is not a valid disk size", FROM_512M]),
    ("--disk 10GG {images}/good", 2, &["10GG is not a valid disk size", FROM_512M]),
    ("--disk 17179869184G {images}/good", 2, &["is not a valid disk size", FROM_512M]),
    ("--disk 8000000000G {images}/good", 2, &["image size is too large", "give it a smaller disk, with --disk"]),
    ("--disk 1G {images}/of-2G", 2, &["a disk of 1.0GiB is smaller than the image's, which has 2.0GiB", "--disk"]),
    ("--cpus 0 {images}/good", 1, &["--cpus", "1"]),
    ("--cpus=-1 {images}/good", 1, &["--cpus", "1"]),
    ("--cpus two {images}/good", 1, &["--cpus"]),
    ("--cpus 9999999999 {images}/good", 1, &["--cpus"]),
    ("--cpus 1025 {images}/good", 2, &["1025 is not a valid number of CPUs", "from 1 to"]),
    ("--cpus 1024 {images}/good", 2, &["Invalid SMP CPUs 1024", "give it fewer, with --cpus"]),
    ("--timeout 0 {images}/good", 1, &["--timeout"]),
    ("--timeout=-1 {images}/good", 1, &["--timeout"]),
    ("--timeout soon {images}/good", 1, &["--timeout"]),
    // What is no image.
    ("{images}/none", 2, &["cannot open the image \"{images}/none\"", "there is no such file; give the whole path of one"]),
    ("{images}", 2, &["it is not a regular file; give the path of an image"]),
    ("{images}/pipe", 2, &["it is not a regular file; give the path of an image"]),
    ("{images}/socket", 2, &["it is not a regular file; give the path of an image"]),
    ("/dev/null", 2, &["it is not a regular file; give the path of an image"]),
    ("/dev/zero", 2, &["it is not a regular file; give the path of an image"]),
    ("{images}/to-a-directory", 2, &["it is not a regular file; give the path of an image"]),
    ("{images}/to-a-device", 2, &["it is not a regular file; give the path of an image"]),
    ("{images}/to-nothing", 2, &["there is no such file; give the whole path of one"]),
    ("{images}/to-itself", 2, &["cannot open the image", "give the path of an image"]),
    ("{images}/good/below", 2, &["there is no such file; give the whole path of one"]),
    ("{images}/empty", 2, &["that is not a disk image", "neither a qcow2 image nor a raw disk with a partition table"]),
    ("{images}/text", 2, &["that is not a disk image", "neither a qcow2 image nor a raw disk with a partition table"]),
    ("{images}/cut", 2, &["that is not a disk image: it is cut off", "download it again"]),
    ("{images}/based", 2, &["based on another file", "qemu-img convert"]),
    ("{images}/data-elsewhere", 2, &["keeps its data in another file", "qemu-img convert"]),
    ("{images}/version-9", 2, &["that is not a disk image", "qemu-img convert"]),
    ("file://{images}/good#sha256=12", 2, &["is not the address of an image", "64"]),
    ("file://{images}/good#sha256={zeros}", 2, &["checksum is", "and {zeros} was expected", "download the image again, or correct the checksum"]),
    ("file:good", 2, &["Unable to find an image matching", "Give the address of an image"]),
    ("file://elsewhere/good", 2, &["is not the address of an image", "file:///path/to/image"]),
    ("noble", 2, &["Unable to find an image matching \"noble\"", "Give the address of an image"]),
    ("daily:noble", 2, &["Unable to find an image matching \"daily:noble\"", "Give the address of an image"]),
    ("ftp://localhost/image", 2, &["Unable to find an image matching", "Give the address of an image"]),
    // Downloads.
    ("http://", 2, &["is not the address of an image", "http"]),
    ("http://localhost:99999/image", 2, &["is not the address of an image", "https://host:port/path"]),
    ("http://user:secret@localhost/image", 2, &["is not the address of an image", "password"]),
    ("http://localhost:1/image", 2, &["cannot download the image: cannot connect to localhost:1", "check the address"]),
    ("http://nowhere.invalid/image", 2, &["cannot download the image: cannot connect to nowhere.invalid:80", "check the address"]),
    ("{http}/missing", 2, &["answered with status 404", "check the address"]),
    ("{http}/broken", 2, &["answered with status 500", "try again later"]),
    ("{http}/round", 2, &["redirects too often", "check the address"]),
    ("{http}/to-a-file", 2, &["redirects to an address that cannot be downloaded from", "check the address"]),
    ("{http}/to-nowhere", 2, &["it redirects, and does not say where", "check the address"]),
    ("{http}/text", 2, &["that is not a disk image", "qcow2"]),
    ("{http}/no-http", 2, &["broke", "try again"]),
    ("{http}/half", 2, &["the connection to", "broke", "try again"]),
    ("{http}/said-less#sha256={sum}", 2, &["checksum is", "and {sum} was expected"]),
    ("{http}/packed", 2, &["it sends the file encoded", "check the address"]),
    // cloud-init.
    ("--cloud-init {images}/none {images}/good", 2, &["cannot read the cloud-init user data from {images}/none", "Name a file"]),
    ("--cloud-init {images} {images}/good", 2, &["cannot read the cloud-init user data", "Name a file"]),
    ("--cloud-init {images}/empty {images}/good", 2, &["it is empty", "Name a file"]),
    ("--cloud-init {images}/huge {images}/good", 2, &["longer than 1048576 bytes", "Name a file"]),
    ("--cloud-init {images}/large {images}/good", 2, &["more than 262144 bytes", "have the guest fetch what is large"]),
    ("--cloud-init {images}/text {images}/good", 2, &["is not a YAML mapping", "#cloud-config"]),
    ("--cloud-init {images}/keys.yaml {images}/good", 2, &["sets ssh_keys, which the service sets itself", "Remove that key"]),
    ("--cloud-init http://127.0.0.1:1/config {images}/good", 2, &["cannot connect to 127.0.0.1:1", "It may help"]),
];

/// A directory of what is an image and what is none.
fn images(directory: &Path) {
    fs::create_dir(directory).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let make = |program: &str, arguments: &[&str]| {
        let made = Command::new(program).args(arguments).current_dir(directory).output().expect("it runs");
        assert!(made.status.success(), "{program} {arguments:?}: {made:?}");
    };
    make("qemu-img", &["create", "-q", "-f", "qcow2", "good", "16M"]);
    make("qemu-img", &["create", "-q", "-f", "qcow2", "of-2G", "2G"]);
    make("qemu-img", &["create", "-q", "-f", "qcow2", "served", "32M"]);
    make("qemu-img", &["create", "-q", "-f", "qcow2", "-b", "good", "-F", "qcow2", "based"]);
    make(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "-o", "data_file=data,data_file_raw=on", "data-elsewhere", "16M"],
    );
    make("mkfifo", &["pipe"]);
    for (link, to) in [
        ("to-a-directory", "."),
        ("to-a-device", "/dev/zero"),
        ("to-nothing", "none"),
        ("to-itself", "to-itself"),
        ("to-good", "good"),
    ] {
        symlink(to, directory.join(link)).unwrap();
    }
    drop(std::os::unix::net::UnixListener::bind(directory.join("socket")).unwrap());
    let write = |name: &str, bytes: &[u8]| fs::write(directory.join(name), bytes).unwrap();
    let good = fs::read(directory.join("good")).unwrap();
    write("empty", b"");
    write("text", b"This is no image.\n");
    write("cut", &good[..40]);
    write("version-9", &[&good[..7], &[9], &good[8..]].concat());
    write("huge", &vec![b'#'; (1 << 20) + 1]);
    write("large", &vec![b'#'; (256 << 10) + 1]);
    write("keys.yaml", b"ssh_keys:\n  rsa_private: mine\n");
    write("more.yaml", b"#cloud-config\nwrite_files: []\n");
}

/// What the server says for the paths of the table.
fn say(request: &Request, image: &[u8]) -> Say {
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    match request.path() {
        "/served" => {
            Say::answer("200 OK", &length(image.len()), &[image, b"and what nobody has announced"].concat())
        }
        "/broken" => Say::answer("500 Oh", &length(0), b""),
        "/round" => Say::answer("302 Found", "Location: /round\r\nContent-Length: 0\r\n", b""),
        "/to-a-file" => {
            Say::answer("302 Found", "Location: file:///etc/passwd\r\nContent-Length: 0\r\n", b"")
        }
        "/to-nowhere" => Say::answer("302 Found", &length(0), b""),
        "/text" => Say::answer("200 OK", &length(5), b"text\n"),
        "/no-http" => Say::bytes("SSH-2.0-server\r\n"),
        "/half" => Say::answer("200 OK", &length(image.len()), &image[..image.len() / 2]),
        "/said-less" => Say::answer("200 OK", &length(image.len() / 2), image),
        "/packed" => {
            Say::answer("200 OK", &format!("Content-Encoding: gzip\r\n{}", length(image.len())), image)
        }
        _ => Say::answer("404 Not Found", &length(0), b""),
    }
}

#[track_caller]
fn refuses(user: &Client, arguments: &[&str], code: i32, parts: &[&str]) {
    let refused = run(user, arguments);
    assert_eq!((refused.code, refused.stdout.as_str()), (code, ""), "{arguments:?}: {refused:?}");
    if code == 2 {
        assert!(
            refused.stderr.starts_with(&format!("{} failed: ", arguments[0])),
            "{arguments:?}: {refused:?}"
        );
    }
    for part in parts {
        assert!(refused.stderr.contains(part), "no {part:?} for {arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn what_cannot_be_launched_is_refused_and_leaves_nothing() {
    let Some(host) = Host::start() else { return };
    let directory = host.service().sandbox.path("images");
    images(&directory);
    let served = fs::read(directory.join("served")).unwrap();
    let sum = sha256(&served);
    let mut expected =
        ["good", "of-2G", "served"].map(|name| sha256(&fs::read(directory.join(name)).unwrap()));
    expected.sort();
    let server = Server::start(move |request| say(request, &served));
    let user = host.service().first_client();
    let before = host.traces();
    let fill = |text: &str| {
        text.replace("{images}", &directory.display().to_string())
            .replace("{http}", &format!("http://localhost:{}", server.port()))
            .replace("{zeros}", &"0".repeat(64))
            .replace("{sum}", &sum)
    };
    for (arguments, code, parts) in LAUNCHES {
        let arguments: Vec<String> = arguments.split(' ').map(&fill).collect();
        // What is launched against all expectation must not be waited for.
        let patience =
            if arguments.iter().any(|one| one.starts_with("--timeout")) { "" } else { "--timeout=9" };
        let first = ["launch", patience].into_iter().filter(|one| !one.is_empty());
        let arguments: Vec<&str> = first.chain(arguments.iter().map(String::as_str)).collect();
        let parts: Vec<String> = parts.iter().map(|part| fill(part)).collect();
        refuses(&user, &arguments, *code, &parts.iter().map(String::as_str).collect::<Vec<_>>());
        host.is_left_as(&before, &arguments.join(" "));
    }
    let piped =
        run_with_input(&user, &["launch", "--cloud-init", "-", &fill("{images}/good")], "- no mapping\n");
    piped.fails(2, "launch failed: ", &["is not a YAML mapping"]);
    host.is_left_as(&before, "from a pipe");

    // What is right is launched all the same; nothing in it starts, so that it is not waited for longer than told.
    for (name, image) in [("linked", "{images}/to-good"), ("fetched", "{http}/served#sha256={sum}")] {
        let config = fill("{images}/more.yaml");
        let arguments = ["launch", "--name", name, "--timeout", "1", "--cloud-init", &config, &fill(image)];
        refuses(&user, &arguments, 2, &["timed out waiting", "multipass list"]);
        run(&user, &["delete", "--purge", name]).prints("");
    }
    let mut kept = host.kept_images();
    kept.sort();
    assert_eq!(kept, expected, "one copy of each that was launched, or could have been");
}

#[test]
fn what_a_user_may_not_read_is_not_read_for_it() {
    if !is_root() {
        return skip("needs root, to act as another user");
    }
    let Some(host) = Host::start() else { return };
    let directory = host.service().sandbox.path("images");
    images(&directory);
    let hidden = directory.join("hidden");
    fs::create_dir(&hidden).unwrap();
    for (file, mode) in [("secret", 0o600), ("hidden/good", 0o644)] {
        fs::copy(directory.join("good"), directory.join(file)).unwrap();
        fs::set_permissions(directory.join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    symlink("secret", directory.join("to-secret")).unwrap();

    let first = host.service().first_client();
    let other = host.service().user_as("other", outsider());
    assert_eq!(run(&other, &["list"]).code, 2);
    let certificate = fs::read_to_string(other.certificate()).unwrap();
    assert_eq!(run_with_input(&first, &["clients", "add", "--cert", "-"], &certificate).code, 0);

    let before = host.traces();
    let image = |name: &str| directory.join(name).display().to_string();
    for name in ["secret", "to-secret", "hidden/good", "hidden/none"] {
        refuses(
            &other,
            &["launch", &image(name)],
            2,
            &["user 65534 may not read it", "give that user the right to"],
        );
        host.is_left_as(&before, name);
    }
    for image in ["/proc/kcore", "/etc/shadow"] {
        refuses(&other, &["launch", image], 2, &["cannot open the image"]);
        host.is_left_as(&before, image);
    }
    // Root may, and so the daemon could have; and what the other may read, it may launch.
    for (user, name) in [(&first, "secret"), (&other, "good")] {
        refuses(user, &["launch", "--name", name, "--timeout", "1", &image(name)], 2, &["timed out waiting"]);
        run(user, &["delete", "--purge", name]).prints("");
    }
}

/// Commands, the exit code, and parts of what is said.
fn refuses_all(user: &Client, rows: &[Row]) {
    for (arguments, code, parts) in rows {
        refuses(user, &arguments.split(' ').collect::<Vec<_>>(), *code, parts);
    }
}

#[rustfmt::skip]
#[test]
fn what_an_instances_state_does_not_allow_is_refused_and_changes_nothing() {
    let Some(host) = Host::start() else { return };
    let directory = host.service().sandbox.path("images");
    images(&directory);
    let user = host.service().first_client();
    let image = directory.join("good").display().to_string();
    let missing = &["instance \"web\" does not exist", "multipass list"][..];
    refuses_all(&user, &[
        ("start web", 2, missing), ("stop web", 2, missing), ("suspend web", 2, missing), ("restart web", 2, missing),
        ("delete web", 2, missing), ("recover web", 2, missing), ("info web", 2, missing),
        ("set local.web.cpus=2", 2, missing), ("get local.web.cpus", 2, missing),
        ("start --all --timeout 0", 1, &["--timeout"]), ("stop --time=-1 web", 1, &["--time"]),
        ("stop ../web", 2, &["instance \"../web\" does not exist"]),
        ("set local.we_b.cpus=2", 2, &["Unrecognized settings key: 'local.we_b.cpus'"]),
    ]);

    let launch = ["launch", "--name", "web", "--timeout", "1", "--memory", "128M", &image];
    refuses(&user, &launch, 2, &["timed out waiting for instance \"web\"", "it goes on starting"]);
    let is = |state: &str| {
        let listed = run(&user, &["list", "--format", "csv"]).stdout;
        assert!(listed.contains(&format!("\nweb,{state},")), "not {state}: {listed}");
    };
    is("Starting");
    let not_stopped = &["must be stopped", "'multipass stop web' stops it"][..];
    refuses(&user, &launch, 2, &["instance \"web\" already exists", "give another name"]);
    refuses_all(&user, &[
        ("suspend web", 2, &["still starting", "try again when it is up"]),
        ("set local.web.cpus=2", 2, not_stopped), ("set local.web.disk=8G", 2, not_stopped),
        ("start web --timeout 1", 2, &["timed out waiting", "multipass list"]),
    ]);
    is("Starting");
    run(&user, &["stop", "--force", "web"]).prints("");
    is("Stopped");
    let before = host.traces();
    let not_running = &["is not running", "'multipass start web' starts it"][..];
    refuses_all(&user, &[
        ("suspend web", 2, not_running), ("restart web", 2, not_running),
        ("set local.web.cpus=0", 2, &["0 is not a valid number of CPUs"]),
        ("set local.web.cpus=-1", 2, &["-1 is not a valid number of CPUs"]),
        ("set local.web.memory=1", 2, &["1 is not a valid memory size", "at least 128.0MiB"]),
        ("set local.web.memory=", 2, &["is not a valid memory size"]),
        ("set local.web.disk=1M", 2, &["1M is not a valid disk size", "at least 512.0MiB"]),
        ("set local.web.disk=1G", 2, &["a disk can only be made larger", "has 5.0GiB"]),
        ("set local.web.color=red", 2, &["Unrecognized settings key: 'local.web.color'"]),
    ]);
    run(&user, &["delete", "web"]).prints("");
    is("Deleted");
    let deleted = &["Instance 'web' is deleted.", "multipass recover web"][..];
    refuses(&user, &launch, 2, &["instance \"web\" already exists", "give another name"]);
    refuses_all(&user, &[
        ("start web", 2, deleted), ("stop web", 2, deleted), ("stop --force web", 2, deleted),
        ("suspend web", 2, deleted), ("restart web", 2, deleted), ("set local.web.cpus=2", 2, deleted),
    ]);
    is("Deleted");
    run(&user, &["recover", "web"]).prints("");
    is("Stopped");
    host.is_left_as(&before, "after all that was refused");
}
