//! Images from servers: what is sent once, what is gone on with, and what is left after each failure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch::{Client, Limits};
use instances::{Digest, Image, ImageStore, ImageStoreError};
use tempfile::TempDir;
use test_servers::{Request, Say, Server};

use crate::images::{LARGEST, disk, files, store};

/// A server with one file, as it is at the moment.
#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    tag: Option<&'static str>,
    /// So many bytes of each answer it sends, then it hangs up. It gives up when there are none left.
    cuts: Vec<usize>,
    /// Whether it keeps silent instead of hanging up.
    is_silent: bool,
    /// Of each request: which part was asked for, and what was answered.
    seen: Vec<String>,
}

struct Served {
    content: Arc<Mutex<Content>>,
    url: fetch::Url,
}

impl Served {
    fn start(content: Content) -> Self {
        let content = Arc::new(Mutex::new(content));
        let shared = Arc::clone(&content);
        let server = Server::start(move |request| shared.lock().unwrap().answer(request));
        let url = format!("http://127.0.0.1:{}/image", server.port()).parse().unwrap();
        Self { content, url }
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.content.lock().unwrap();
        content.seen.clear();
        change(&mut content);
    }

    fn seen(&self) -> Vec<String> {
        self.content.lock().unwrap().seen.clone()
    }
}

impl Content {
    fn answer(&mut self, request: &Request) -> Say {
        let total = self.bytes.len();
        let is_same = |name| self.tag.is_some() && request.header(name) == self.tag;
        let (status, start, end) = match request.from() {
            Some(from) if is_same("if-range") => ("206 Partial Content", from, total),
            _ if is_same("if-none-match") => ("304 Not Modified", 0, 0),
            _ => ("200 OK", 0, total),
        };
        self.seen.push(format!("{} {start}", &status[..3]));
        if end == 0 {
            return Say::answer(status, "", b"");
        }
        let tag = self.tag.map(|tag| format!("ETag: {tag}\r\n")).unwrap_or_default();
        let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", end - 1);
        let length = format!("Content-Length: {}\r\n", end - start);
        let cut = if self.cuts.is_empty() { end } else { end.min(start + self.cuts.remove(0)) };
        let answer = Say::answer(status, &(tag + &range + &length), &self.bytes[start..cut]);
        if self.is_silent { answer.then_keeps_silent() } else { answer }
    }
}

fn client() -> Client {
    let limits = Limits { connect: Duration::from_secs(30), stall: Duration::from_secs(30), redirects: 3 };
    Client::trusting(rustls::RootCertStore::empty(), limits).unwrap()
}

async fn download(
    store: &Arc<ImageStore>,
    server: &Served,
    expected: Option<Digest>,
) -> Result<Image, ImageStoreError> {
    store.download(&client(), &server.url, expected, &|_, _| {}).await
}

fn serving(bytes: &[u8], tag: Option<&'static str>) -> Content {
    Content { bytes: bytes.to_vec(), tag, ..Content::default() }
}

#[tokio::test]
async fn what_was_downloaded_is_not_sent_again_while_it_is_the_same() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let (first, second) = (disk(1, 1 << 20), disk(2, 1 << 20));
    let server = Served::start(serving(&first, Some("\"1\"")));
    let progress = Mutex::new(Vec::new());
    let told = |done, total| progress.lock().unwrap().push((done, total));
    let image = store.download(&client(), &server.url, None, &told).await.unwrap();
    assert_eq!(image.digest, Digest::of(&first));
    assert_eq!(std::fs::read(&image.path).unwrap(), first);
    assert_eq!(progress.lock().unwrap().last(), Some(&(1 << 20, Some(1 << 20))));
    assert!(progress.lock().unwrap().is_sorted());

    assert_eq!(download(&store, &server, None).await.unwrap().digest, image.digest);
    assert_eq!(server.seen(), ["200 0", "304 0"]);
    // Whoever names the digest of what is there needs no server.
    assert_eq!(download(&store, &server, Some(image.digest)).await.unwrap().digest, image.digest);
    assert_eq!(server.seen().len(), 2);
    let error = download(&store, &server, Some(Digest::of(b"another"))).await.unwrap_err();
    assert!(matches!(error, ImageStoreError::WrongChecksum { .. }), "{error:?}");

    server.change(|content| (content.bytes, content.tag) = (second.clone(), Some("\"2\"")));
    assert_eq!(download(&store, &server, None).await.unwrap().digest, Digest::of(&second));
    // An image that was pruned is sent again.
    drop(image);
    store.prune(&|_| false, std::time::SystemTime::now() + Duration::from_secs(60)).unwrap();
    assert_eq!(files(data.path()), ["lock"]);
    assert_eq!(download(&store, &server, None).await.unwrap().digest, Digest::of(&second));
}

#[tokio::test]
async fn what_breaks_off_is_gone_on_with() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let bytes = disk(1, 1 << 20);
    let cut = |cuts: &[usize]| Content { cuts: cuts.to_vec(), ..serving(&bytes, Some("\"1\"")) };
    let server = Served::start(cut(&[300_000, 300_000]));
    let image = download(&store, &server, None).await.unwrap();
    assert_eq!(std::fs::read(&image.path).unwrap(), bytes);
    assert_eq!(server.seen(), ["200 0", "206 300000", "206 600000"]);

    // A later call goes on where an earlier one had to give up.
    let server = Served::start(cut(&[300_000, 0, 0]));
    let error = download(&store, &server, None).await.unwrap_err();
    assert!(matches!(error, ImageStoreError::Fetch(_)), "{error:?}");
    assert_eq!(server.seen(), ["200 0", "206 300000"]);
    server.change(|content| content.cuts.clear());
    download(&store, &server, None).await.unwrap();
    assert_eq!(server.seen(), ["206 300000"]);

    // Not with what has changed meanwhile, and not where the server cannot tell.
    let other = disk(2, 1 << 20);
    let server = Served::start(cut(&[300_000, 0]));
    download(&store, &server, None).await.unwrap_err();
    server.change(|content| (content.bytes, content.tag) = (other.clone(), Some("\"2\"")));
    assert_eq!(download(&store, &server, None).await.unwrap().digest, Digest::of(&other));
    let server = Served::start(Content { cuts: vec![300_000, 300_001], ..serving(&bytes, None) });
    assert_eq!(download(&store, &server, None).await.unwrap().digest, Digest::of(&bytes));
    assert_eq!(server.seen(), ["200 0"; 3]);
    // What nobody can go on with does not stay.
    let before = files(data.path());
    let server = Served::start(Content { cuts: vec![300_000, 300_000], ..serving(&bytes, None) });
    download(&store, &server, None).await.unwrap_err();
    assert_eq!((server.seen().len(), files(data.path())), (2, before));
}

/// Dropping is how a caller goes away.
#[tokio::test]
async fn a_download_that_is_given_up_can_be_gone_on_with() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let bytes = disk(1, 1 << 20);
    let server =
        Served::start(Content { cuts: vec![300_000], is_silent: true, ..serving(&bytes, Some("\"1\"")) });
    let (client, reached) = (client(), tokio::sync::Notify::new());
    let told = |done, _| {
        if done == 300_000 {
            reached.notify_one()
        }
    };
    tokio::select! {
        result = store.download(&client, &server.url, None, &told) => panic!("{result:?}"),
        () = reached.notified() => {}
    }
    server.change(|content| content.is_silent = false);
    download(&store, &server, None).await.unwrap();
    assert_eq!(server.seen(), ["206 300000"]);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let too_large = disk(1, usize::try_from(LARGEST).unwrap() + 512);
    let fine = disk(1, 4096);
    let wrong = Some(Digest::of(b"another"));
    for tag in [None, Some("\"1\"")] {
        for (bytes, expected, why) in [
            (&too_large, None, "more than"),
            (&b"<html>".to_vec(), None, "that is not a disk image"),
            (&fine, wrong, "checksum is"),
        ] {
            let server = Served::start(serving(bytes, tag));
            let error = download(&store, &server, expected).await.unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
            assert_eq!(files(data.path()), ["lock"], "{why}, {tag:?}");
        }
    }
}

#[tokio::test]
async fn two_who_want_the_same_download_it_once() {
    let data = TempDir::new().unwrap();
    let store = store(data.path());
    let server = Served::start(serving(&disk(1, 1 << 20), Some("\"1\"")));
    let (one, other) = tokio::join!(download(&store, &server, None), download(&store, &server, None));
    assert_eq!(one.unwrap().digest, other.unwrap().digest);
    assert_eq!(server.seen(), ["200 0", "304 0"]);
}
