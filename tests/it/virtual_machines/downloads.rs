//! Images from servers, through the real client and daemon.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::{DaemonOptions, Outcome, Via, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_servers::{Say, Server};

use super::Host;
use super::traces::files_below;
use crate::support::{Expected, NO_INSTANCES, below, run, sha256};

const DEADLINE: Duration = Duration::from_secs(30);

/// The daemon is killed in the middle of a download. The launch is as if it had never been; what was downloaded is
/// not asked for again; and what comes of it is the image.
#[test]
fn a_download_that_was_cut_goes_on_where_it_was() {
    let Some(mut host) = Host::start() else { return };
    let image = fs::read(&host.image).unwrap();
    let sum = sha256(&image);
    let (half, whole) = (image.len() / 2, image.len());
    let served = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let tag = "ETag: \"1\"\r\n";
        let Some(from) = request.from() else {
            let answer = Say::answer("200 OK", &format!("{tag}Content-Length: {whole}\r\n"), &image[..half]);
            // The first time it hangs, so that the daemon can be killed there; then it breaks off.
            return if served.fetch_add(1, Ordering::SeqCst) == 0 {
                answer.then_keeps_silent()
            } else {
                answer
            };
        };
        let range = format!(
            "{tag}Content-Range: bytes {from}-{}/{whole}\r\nContent-Length: {}\r\n",
            whole - 1,
            whole - from
        );
        Say::answer("206 Partial Content", &range, &image[from..])
    });
    let user = host.service().first_client();
    let address = format!("http://localhost:{}/guest.qcow2#sha256={sum}", server.port());
    let arguments = [
        "launch",
        "--name",
        "web",
        "--memory",
        "128M",
        "--disk",
        "512M",
        "--timeout",
        "150",
        address.as_str(),
    ];
    let mut launching = user.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
    let instances = host.service().daemon.data.join("instances");
    let vault = host.service().daemon.data.with_file_name("cache").join("vault");
    let fetched = || {
        let partial =
            files_below(&vault).into_iter().find(|file| file.to_string_lossy().ends_with(".partial"))?;
        Some(partial.metadata().ok()?.len() as usize)
    };
    wait_until("half of it is there", DEADLINE, || fetched() == Some(half)).unwrap();
    host.service = host.service.take().map(|service| service.restart(Signal::SIGKILL));
    assert_eq!(launching.wait().unwrap().code(), Some(2));
    run(&user, &["list"]).prints(NO_INSTANCES);
    let left = below(&instances);
    assert!(left.iter().all(|file| file.ends_with("lock")), "{left:?}");
    assert_eq!(fetched(), Some(half));

    let launched = run(&user, &arguments);
    assert_eq!((launched.code, launched.stdout.as_str()), (0, "Launched: web\n"), "{launched:?}");
    let asked: Vec<_> = server.requests().into_iter().map(|request| request.from()).collect();
    assert_eq!(asked, [None, Some(half)], "the missing bytes and no others");
    assert_eq!((fetched(), host.kept_images()), (None, vec![sum]));
    run(&user, &["stop", "--force", "web"]).prints("");
}

/// Over each transport, a client that is interrupted takes its launch along at once: a daemon that was not told would
/// go on for as long as the silence of QUIC takes.
#[test]
fn an_interrupted_client_takes_its_launch_along() {
    let options = DaemonOptions { also: vec![Via::Tcp, Via::Quic], ..DaemonOptions::default() };
    let Some(host) = Host::start_with(options) else { return };
    let server = Server::start(|_| {
        Say::answer("200 OK", "ETag: \"1\"\r\nContent-Length: 1000000\r\n", &[1; 1000]).then_keeps_silent()
    });
    let user = host.service().first_client();
    let daemon = &host.service().daemon;
    let is_begun = || {
        files_below(&daemon.data.join("instances"))
            .iter()
            .any(|file| file.to_string_lossy().contains("/.new-"))
    };
    for (number, via) in [Via::Unix, Via::Tcp, Via::Quic].into_iter().enumerate() {
        let user = user.clone().at(daemon.address_over(via).unwrap());
        let address = format!("http://localhost:{}/{number}", server.port());
        let child = user
            .command(&["launch", &address])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        wait_until("it is begun", DEADLINE, || server.requests().len() == number + 1 && is_begun()).unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        let ended = Outcome::from(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.stdout.as_str()), (130, ""), "{via:?}: {ended:?}");
        wait_until("it is given up", Duration::from_secs(10), || !is_begun())
            .unwrap_or_else(|error| panic!("{via:?}: {error}"));
        run(&user, &["list"]).prints(NO_INSTANCES);
    }
}

#[test]
fn a_server_whose_certificate_nobody_trusts_is_refused() {
    let Some(host) = Host::start() else { return };
    let image = fs::read(&host.image).unwrap();
    let (server, _) = Server::start_tls(move |_| {
        Say::answer("200 OK", &format!("Content-Length: {}\r\n", image.len()), &image)
    });
    let user = host.service().first_client();
    let before = host.traces();
    let place = format!("localhost:{}", server.port());
    let refused = run(&user, &["launch", "--timeout", "9", &format!("https://{place}/guest.qcow2")]);
    let secure = format!("cannot make a secure connection to {place}");
    refused.fails(
        2,
        "launch failed: ",
        &["cannot download the image", &secure, "certificate", "UnknownIssuer", "add its authority"],
    );
    assert!(server.requests().is_empty(), "nothing was asked of it");
    host.is_left_as(&before, "https");
}

/// Over a network nobody says who asks, and the daemon's own rights are for nobody: no file is opened, and nothing is
/// said of whether it is there.
#[test]
fn over_a_network_no_file_of_the_service_is_opened() {
    let options = DaemonOptions { also: vec![Via::Tcp, Via::Quic], ..DaemonOptions::default() };
    let Some(host) = Host::start_with(options) else { return };
    let user = host.service().first_client();
    let (image, before) = (host.image.display().to_string(), host.traces());
    for via in [Via::Tcp, Via::Quic] {
        let user = user.clone().at(host.service().daemon.address_over(via).unwrap());
        let answers = [
            format!("file://{image}"),
            image.clone(),
            "file:///nonexistent".into(),
            "file:///etc/shadow".into(),
        ]
        .map(|image| run(&user, &["launch", "--timeout", "9", &image]));
        for answer in &answers {
            answer.fails(
                2,
                "launch failed: ",
                &["with the rights of the user who asks", "over that socket, or give the image's http://"],
            );
            assert_eq!(answer, &answers[0], "it does not tell one from the other");
        }
        host.is_left_as(&before, &format!("{via:?}"));
    }
}
