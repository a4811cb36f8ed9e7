//! Who a server is: trusted, or nobody.

use fetch::{Answer, Ask, Client, FetchError};

use crate::server::{LIMITS, Server, Then, client};

fn say(path: &str) -> (Vec<u8>, Then) {
    let text = match path {
        "/file" => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfile",
        "/down" => "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/file\r\nContent-Length: 0\r\n\r\n",
        other => panic!("{other}"),
    };
    (text.into(), Then::Close)
}

async fn get(server: &Server, client: &Client, host: &str, path: &str) -> Result<Answer, FetchError> {
    let url = format!("https://{host}:{}{path}", server.port).parse().unwrap();
    client.get(&url, Ask::Whole).await
}

#[tokio::test]
async fn only_a_server_with_a_trusted_certificate_for_its_name_is_asked() {
    let (server, roots) = Server::start_tls(say).await;
    let trusting = Client::trusting(roots, LIMITS).unwrap();
    let Answer::Whole(mut body) = get(&server, &trusting, "localhost", "/file").await.unwrap() else {
        panic!("not the whole of it")
    };
    assert_eq!(body.chunk().await.unwrap().unwrap(), "file");
    assert_eq!(server.requests().len(), 1);

    let platform = Client::platform(LIMITS).unwrap();
    for (client, host, why) in [
        (&client(LIMITS), "localhost", "its authority is unknown"),
        (&platform, "localhost", "its authority is unknown to the system"),
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
    let (server, roots) = Server::start_tls(say).await;
    let trusting = Client::trusting(roots, LIMITS).unwrap();
    let error = get(&server, &trusting, "localhost", "/down").await.unwrap_err();
    assert!(matches!(error, FetchError::Downgrade { .. }), "{error:?}");
}
