//! Who a server is: trusted, or nobody.

use fetch::{Client, FetchError, Response};
use test_servers::{Request, Say, Server};

use crate::clients::{LIMITS, client, trusting};

fn say(request: &Request) -> Say {
    Say::bytes(match request.path() {
        "/file" => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfile",
        "/down" => "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/file\r\nContent-Length: 0\r\n\r\n",
        other => panic!("{other}"),
    })
}

async fn get(server: &Server, client: &Client, host: &str, path: &str) -> Result<Response, FetchError> {
    let url = format!("https://{host}:{}{path}", server.port()).parse().unwrap();
    client.get(&url, fetch::Request::Full).await
}

#[tokio::test]
async fn only_a_server_with_a_trusted_certificate_for_its_name_is_asked() {
    let (server, certificate) = Server::start_tls(say);
    let trusting = trusting(&certificate);
    let Response::Full(mut body) = get(&server, &trusting, "localhost", "/file").await.unwrap() else {
        panic!("not the whole of it")
    };
    assert_eq!(body.chunk().await.unwrap().unwrap(), "file");
    assert_eq!(server.requests().len(), 1);

    for (client, host, why) in [
        (&client(LIMITS), "localhost", "its authority is unknown"),
        (&trusting, "127.0.0.1", "it is for another name"),
    ] {
        let error = get(&server, client, host, "/file").await.unwrap_err();
        assert!(matches!(error, FetchError::Tls { .. }), "{why}: {error:?}");
        assert!(!error.may_be_resumed());
    }
    assert_eq!(server.requests().len(), 1, "they were not asked");
}

#[tokio::test]
async fn https_does_not_lead_to_http() {
    let (server, certificate) = Server::start_tls(say);
    let trusting = trusting(&certificate);
    let error = get(&server, &trusting, "localhost", "/down").await.unwrap_err();
    assert!(matches!(error, FetchError::Downgrade { .. }), "{error:?}");
}

/// An administrator may trust one authority more, or none, while the service runs.
#[cfg(target_os = "linux")]
#[test]
fn the_system_s_authorities_are_those_of_the_moment() {
    const NAME: &str = "tls::the_system_s_authorities_are_those_of_the_moment";
    const FILE: &str = "SSL_CERT_FILE";
    const INSIDE: &str = "FETCH_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return authorities_come_and_go(std::env::var_os(FILE).unwrap().as_ref());
    }
    // The variable is that of a whole process.
    let directory = tempfile::tempdir().unwrap();
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1").env_remove("SSL_CERT_DIR");
    let output = test.env(FILE, directory.path().join("authorities.pem")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::main(flavor = "current_thread")]
async fn authorities_come_and_go(file: &std::path::Path) {
    let (server, certificate) = Server::start_tls(say);
    let (_, other) = Server::start_tls(say);
    let platform = Client::platform(LIMITS);
    let error = get(&server, &platform, "localhost", "/file").await.unwrap_err();
    assert!(matches!(error, FetchError::Authorities(_)) && !error.may_be_resumed(), "{error:?}");
    std::fs::write(file, certificate.pem()).unwrap();
    get(&server, &platform, "localhost", "/file").await.unwrap();
    std::fs::write(file, other.pem()).unwrap();
    let error = get(&server, &platform, "localhost", "/file").await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}
