//! What a guest reaches on its host: the service's port, where it is a stranger, and ports of guests, which want a key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{DaemonOptions, Via, skip};
use ssh::{KeyPair, SessionError};
use test_servers::{Say, Server};

use super::Host;
use super::{all, one};
use crate::support::NOT_AUTHENTICATED;

/// The host, as guests on user-mode networking have it.
const HOST: &str = "10.0.2.2";
/// The longest that the service says to who does not speak TLS: one alert (RFC 8446, sections 5.1 and 6).
const ALERT: usize = 7;

/// What a program needs to run in a guest: itself, without what only debuggers read, and its libraries.
fn program(client: &Path, to: &Path) -> Option<Vec<PathBuf>> {
    let stripped = Command::new("strip").arg("-o").arg(to).arg(client).output();
    let linked = Command::new("ldd").arg(client).output();
    let (Ok(stripped), Ok(linked)) = (stripped, linked) else {
        skip("needs strip and ldd, to bring the client into a guest");
        return None;
    };
    assert!(stripped.status.success() && linked.status.success(), "{stripped:?} {linked:?}");
    let linked = String::from_utf8(linked.stdout).unwrap();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    Some(std::iter::once(to.to_owned()).chain(libraries).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_a_stranger_to_the_service() {
    let options = DaemonOptions { also: vec![Via::Tcp], ..DaemonOptions::default() };
    let Some(host) = Host::start_with(options) else { return };
    let sandbox = &host.service().sandbox;
    let Some(mut files) = program(&sandbox.path("multipass"), &sandbox.path("stripped")) else { return };
    files.push(host.service().daemon.root_certificate.clone());
    let names: Vec<String> =
        files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let server = Server::start(move |request| {
        let file = files.iter().find(|file| file.ends_with(request.path().trim_start_matches('/')));
        let bytes = file.and_then(|file| fs::read(file).ok()).unwrap_or_default();
        Say::answer("200 OK", &format!("Content-Length: {}\r\n", bytes.len()), &bytes)
    });
    let mut peer = host.peer().await;
    let wish = rpc::LaunchRequest { mem_size: "256M".to_owned(), ..host.wish("web") };
    all(peer.rpc.launch(one(wish))).await.unwrap();
    let trusted = peer.trusted().await.unwrap();

    // It reaches what listens on the host's loopback alone, and brings the client in from there.
    let fetch = names.iter().map(|name| format!("wget -q http://{HOST}:{}/{name} && ", server.port()));
    let fetch: String = fetch.collect();
    host.run("web", &format!("{fetch} chmod +x stripped ld-linux-x86-64.so.2")).await;
    let address = host.service().daemon.address_over(Via::Tcp).unwrap();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let client = format!(
        "export MULTIPASS_SERVER_ADDRESS={HOST}:{port} MULTIPASS_ROOT_CERT=root.pem; \
         ./ld-linux-x86-64.so.2 --library-path . ./stripped"
    );
    // With a certificate of its own, which nobody has enrolled.
    for command in ["list", "info web", "launch https://localhost/image", "delete web", "get local.driver"] {
        let (code, said) = host.finished("web", &format!("{client} {command}")).await;
        assert_eq!(code, 2, "{command}: {said}");
        for part in NOT_AUTHENTICATED {
            assert!(said.contains(part), "{command}: {said}");
        }
    }
    let (code, said) = host.finished("web", &format!("{client} clients list")).await;
    assert!(code == 2 && said.contains("only clients of the level 'full'"), "{said}");
    let (code, said) = host.finished("web", &format!("{client} authenticate guess")).await;
    assert!(code == 2 && said.contains("No passphrase is set."), "{said}");
    // The service saw it come from this machine's loopback, and enrolled nobody.
    let refusals = fs::read_to_string(host.service().daemon.data.join("audit/refusals.jsonl")).unwrap();
    let of_list = refusals.lines().find(|line| line.contains("\"method\":\"list\"")).unwrap();
    assert!(of_list.contains("127.0.0.1") && of_list.contains("not_trusted"), "{of_list}");
    assert_eq!(peer.trusted().await.unwrap(), trusted);

    // Without TLS it is told no more than that.
    let (_, said) = host
        .finished("web", &format!("printf 'GET / HTTP/1.1\\r\\n\\r\\n' | nc -w 9 {HOST} {port} | wc -c"))
        .await;
    assert!(said.parse::<usize>().unwrap() <= ALERT, "{said}");

    // The port where the host reaches a guest is reached by guests too: there it takes the key.
    let ssh = host.ssh_port("web");
    let (_, said) = host.finished("web", &format!("nc -w 3 {HOST} {ssh} </dev/null | head -c 7")).await;
    assert_eq!(said, "SSH-2.0");
    let ((guest, key), another) = (host.keys("web"), KeyPair::generate().unwrap());
    let refused = host.session("web", &guest, &another).await.unwrap_err();
    assert!(matches!(refused, SessionError::NotLetIn { .. }), "{refused}");
    let refused = host.session("web", &another.public(), &key).await.unwrap_err();
    assert!(matches!(refused, SessionError::WrongHost), "{refused}");
}
