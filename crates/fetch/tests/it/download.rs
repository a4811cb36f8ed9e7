//! What a server may answer, and what becomes of it.

use std::time::Duration;

use fetch::{Body, FetchError, Limits, Response};
use test_servers::{Request, Say, Server};

use crate::clients::{LIMITS, client};

fn say(request: &Request) -> Say {
    let text = match request.path() {
        "/whole" => "200 OK\r\nETag: \"tag\"\r\nContent-Length: 10\r\n\r\n0123456789",
        "/chunked" => {
            "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\nTrailer: x\r\n\r\n"
        }
        "/weak" => "200 OK\r\nETag: W/\"tag\"\r\nContent-Length: 1\r\n\r\n0",
        "/rest" => "206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789",
        "/other-rest" => {
            "206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789"
        }
        "/unsaid-rest" => "206 Partial Content\r\nContent-Length: 6\r\n\r\n456789",
        "/same" => "304 Not Modified\r\n\r\n",
        "/no-rest" => "416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
        "/missing" => "404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "/gzip" => "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n0",
        "/short" => "200 OK\r\nContent-Length: 10\r\n\r\n0123",
        "/short-chunk" => "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n45",
        "/garbage" => "what?\r\n\r\n",
        "/a/first" => "302 Found\r\nLocation: second\r\nContent-Length: 0\r\n\r\n",
        "/a/second" => "308 Permanent Redirect\r\nLocation: /whole\r\nContent-Length: 0\r\n\r\n",
        "/circle" => "301 Moved Permanently\r\nLocation: /circle\r\nContent-Length: 0\r\n\r\n",
        "/nowhere" => "307 Temporary Redirect\r\nContent-Length: 0\r\n\r\n",
        "/to-file" => "303 See Other\r\nLocation: ftp://localhost/etc/passwd\r\nContent-Length: 0\r\n\r\n",
        "/silent" => return Say::bytes("").then_keeps_silent(),
        "/stalls" => {
            return Say::bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123").then_keeps_silent();
        }
        "/drips" => return Say::bytes("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").then_drips(),
        "/endless-head" => {
            return Say::bytes([&b"HTTP/1.1 200 OK\r\n"[..], &b"X: y\r\n".repeat(200_000)].concat());
        }
        other => panic!("{other}"),
    };
    Say::bytes(format!("HTTP/1.1 {text}"))
}

/// What a download gives: of which kind, its length and tag as told, and its bytes.
async fn download(path: &str, asked: fetch::Request<'_>, limits: Limits) -> Result<String, FetchError> {
    let server = Server::start(say);
    download_from(&server, path, asked, limits).await
}

async fn download_from(
    server: &Server,
    path: &str,
    asked: fetch::Request<'_>,
    limits: Limits,
) -> Result<String, FetchError> {
    let url = format!("http://127.0.0.1:{}{path}", server.port()).parse().unwrap();
    match client(limits).get(&url, asked).await? {
        Response::Full(body) => Ok(format!("whole {}", read(body).await?)),
        Response::Partial(body) => Ok(format!("rest {}", read(body).await?)),
        Response::NotModified => Ok("same".into()),
        Response::NothingLeft => Ok("no rest".into()),
    }
}

async fn read(mut body: Body) -> Result<String, FetchError> {
    let told = format!("{:?} {:?} ", body.length(), body.tag());
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        assert!(!chunk.is_empty());
        bytes.extend_from_slice(&chunk);
    }
    Ok(told + &String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn what_a_server_answers_is_given_on() {
    let after = fetch::Request::Resume(4, "\"tag\"");
    for (path, asked, expected) in [
        ("/whole", fetch::Request::Full, "whole Some(10) Some(\"\\\"tag\\\"\") 0123456789"),
        ("/whole", fetch::Request::IfNoneMatch("\"tag\""), "whole Some(10) Some(\"\\\"tag\\\"\") 0123456789"),
        ("/whole", after, "whole Some(10) Some(\"\\\"tag\\\"\") 0123456789"),
        ("/chunked", fetch::Request::Full, "whole None None 0123456789"),
        ("/weak", fetch::Request::Full, "whole Some(1) None 0"),
        ("/rest", after, "rest Some(6) None 456789"),
        ("/same", fetch::Request::IfNoneMatch("\"tag\""), "same"),
        ("/no-rest", after, "no rest"),
        ("/a/first", fetch::Request::Full, "whole Some(10) Some(\"\\\"tag\\\"\") 0123456789"),
    ] {
        assert_eq!(download(path, asked, LIMITS).await.unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error() {
    let after = fetch::Request::Resume(4, "\"tag\"");
    for (path, asked, expected) in [
        ("/missing", fetch::Request::Full, "answered with status 404"),
        ("/gzip", fetch::Request::Full, "it sends the file encoded"),
        ("/other-rest", after, "it sends another part"),
        ("/unsaid-rest", after, "it sends another part"),
        ("/rest", fetch::Request::Full, "it answers what was not asked"),
        ("/same", fetch::Request::Full, "it answers what was not asked"),
        ("/no-rest", fetch::Request::Full, "it answers what was not asked"),
        ("/short", fetch::Request::Full, "the connection to 127.0.0.1"),
        ("/short-chunk", fetch::Request::Full, "the connection to 127.0.0.1"),
        ("/garbage", fetch::Request::Full, "the connection to 127.0.0.1"),
        ("/endless-head", fetch::Request::Full, "the connection to 127.0.0.1"),
        ("/circle", fetch::Request::Full, "redirects too often"),
        ("/nowhere", fetch::Request::Full, "it redirects, and does not say where"),
        ("/to-file", fetch::Request::Full, "redirects to an address that cannot be downloaded from"),
    ] {
        let error = download(path, asked, LIMITS).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{path}: {error}");
        assert_eq!(error.may_be_resumed(), expected.contains("the connection"), "{path}: {error}");
    }
}

#[tokio::test]
async fn redirects_are_counted() {
    let limits = Limits { redirects: 1, ..LIMITS };
    let error = download("/a/first", fetch::Request::Full, limits).await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyRedirects { .. }), "{error:?}");
    let server = Server::start(say);
    download_from(&server, "/circle", fetch::Request::Full, LIMITS).await.unwrap_err();
    assert_eq!(server.requests().len(), 4, "one, and three redirects");
}

#[tokio::test]
async fn a_server_that_says_nothing_or_next_to_nothing_is_left() {
    let limits = Limits { stall: Duration::from_millis(100), ..LIMITS };
    for path in ["/silent", "/stalls", "/drips"] {
        let error = download(path, fetch::Request::Full, limits).await.unwrap_err();
        assert!(matches!(error, FetchError::Stalled { .. }) && error.may_be_resumed(), "{path}: {error:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/").parse().unwrap();
    let error = client(LIMITS).get(&url, fetch::Request::Full).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn it_is_asked_for_as_http_wants_it() {
    let server = Server::start(say);
    for asked in
        [fetch::Request::Full, fetch::Request::IfNoneMatch("\"tag\""), fetch::Request::Resume(4, "\"tag\"")]
    {
        download_from(&server, "/whole", asked, LIMITS).await.unwrap();
    }
    let requests = server.requests();
    let host = format!("host: 127.0.0.1:{}\r\n", server.port());
    for request in requests.iter().map(Request::text) {
        assert!(request.starts_with("GET /whole HTTP/1.1\r\n") && request.contains(&host), "{request}");
        assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    }
    let has = |number: usize, line: &str| requests[number].text().contains(line);
    assert!(!has(0, "range") && !has(0, "if-"), "{:?}", requests[0]);
    assert!(has(1, "if-none-match: \"tag\"\r\n") && !has(1, "range"), "{:?}", requests[1]);
    assert!(has(2, "range: bytes=4-\r\n") && has(2, "if-range: \"tag\"\r\n"), "{:?}", requests[2]);
}
