//! Images from servers. What broke off goes on where it was, by this call or a later one; what was there before
//! and is still the same is not sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fetch::{Body, Client, Request, Response, Url};
use tokio::sync::OwnedMutexGuard;

use super::partial::{PartialImage, ResumeInfo};
use super::store::ImageStoreError;
use super::{Digest, Image, ImageStore};

/// How often a download that breaks off goes on, as long as it gets further.
const ATTEMPTS: usize = 5;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(500);

/// Told of each piece: the bytes that are there, and those that there will be.
type ReportProgress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// An address whose turn it is: nobody else downloads from it meanwhile.
struct ImageDownload<'a> {
    store: &'a Arc<ImageStore>,
    client: &'a Client,
    url: &'a Url,
    key: Digest,
    expected: Option<Digest>,
    /// The bytes that were there last.
    reached: AtomicU64,
    /// Goes with whoever writes, who may finish a write when nobody waits for it any more.
    turn: Arc<OwnedMutexGuard<()>>,
}

impl ImageStore {
    /// Downloads an image. Told of each piece is `progress`: the bytes that are there, and those that there will
    /// be, if that is known. Dropping the future breaks it off; what was downloaded stays, to go on from, if the
    /// server can tell whether it is still the same.
    ///
    /// # Errors
    /// It cannot be downloaded, is no image, too large, or another one than `expected`. If going on would not
    /// help, nothing is left of it.
    pub async fn download(
        self: &Arc<Self>,
        client: &Client,
        url: &Url,
        expected: Option<Digest>,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<Image, ImageStoreError> {
        let key = Digest::of(url.to_string().as_bytes());
        let turn = Arc::new(turn(self, key).await);
        let source =
            ImageDownload { store: self, client, url, key, expected, reached: AtomicU64::new(0), turn };
        if let Some(expected) = expected {
            match source.blocking(move |store| store.find(expected)).await {
                Err(ImageStoreError::Missing(_)) => {}
                found => return found,
            }
        }
        let mut before = None;
        for _ in 1..ATTEMPTS {
            match source.attempt(progress).await {
                Err(ImageStoreError::Fetch(error)) if error.may_be_resumed() => {
                    let reached = source.reached.load(Ordering::Relaxed);
                    // A server that sends nothing more is not asked again and again.
                    if before.replace(reached).is_some_and(|before| reached <= before) {
                        return Err(error.into());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
        source.attempt(progress).await
    }
}

async fn turn(store: &ImageStore, key: Digest) -> OwnedMutexGuard<()> {
    let turn = {
        let mut turns = store.turns();
        turns.retain(|_, turn| turn.strong_count() > 0);
        let there = turns.get(&key).and_then(std::sync::Weak::upgrade);
        there.unwrap_or_else(|| {
            let turn = Arc::default();
            turns.insert(key, Arc::downgrade(&turn));
            turn
        })
    };
    turn.lock_owned().await
}

impl ImageDownload<'_> {
    async fn attempt(&self, progress: ReportProgress<'_>) -> Result<Image, ImageStoreError> {
        let key = self.key;
        let known = self.blocking(move |store| Ok(ResumeInfo::read(store, key))).await?;
        if let Some(ResumeInfo { tag, image: Some(image) }) = &known
            && let Some(image) = self.unless_changed(tag, image).await?
        {
            return self.checked(image);
        }
        let partial = match known {
            Some(ResumeInfo { tag, image: None }) => self.rest(tag, progress).await?,
            _ => None,
        };
        let partial = match partial {
            Some(partial) => partial,
            None => match self.client.get(self.url, Request::Full).await? {
                Response::Full(body) => self.whole(body, progress).await?,
                // Of these, nobody asked.
                _ => return Err(ImageStoreError::Cancelled),
            },
        };
        let expected = self.expected;
        self.blocking(move |store| {
            let finished = partial.finish(store, expected);
            if finished.is_err() {
                PartialImage::remove(store, key);
            }
            finished
        })
        .await
    }

    /// The image that it was, if it is there and the server says that it is still that.
    async fn unless_changed(&self, tag: &str, image: &str) -> Result<Option<Image>, ImageStoreError> {
        let Ok(digest) = image.parse() else { return Ok(None) };
        let Ok(image) = self.blocking(move |store| store.find(digest)).await else { return Ok(None) };
        match self.client.get(self.url, Request::IfNoneMatch(tag)).await? {
            Response::NotModified => Ok(Some(image)),
            // It is asked for again: that costs one request, and is rare.
            _ => Ok(None),
        }
    }

    fn checked(&self, image: Image) -> Result<Image, ImageStoreError> {
        match self.expected.filter(|expected| *expected != image.digest) {
            Some(expected) => Err(ImageStoreError::WrongChecksum { expected, found: image.digest }),
            None => Ok(image),
        }
    }

    /// Goes on with what is there. Gives nothing if there is nothing to go on with.
    async fn rest(
        &self,
        tag: String,
        progress: ReportProgress<'_>,
    ) -> Result<Option<PartialImage>, ImageStoreError> {
        let key = self.key;
        let opened = self.blocking({
            let tag = tag.clone();
            move |store| PartialImage::resume(store, key, &tag)
        });
        let Ok(partial) = opened.await else { return Ok(None) };
        if partial.length() == 0 {
            return Ok(None);
        }
        match self.client.get(self.url, Request::Resume(partial.length(), &tag)).await? {
            Response::Partial(body) => self.receive(partial, body, progress).await.map(Some),
            Response::Full(body) => {
                drop(partial);
                self.whole(body, progress).await.map(Some)
            }
            Response::NotModified | Response::NothingLeft => Ok(None),
        }
    }

    async fn whole(&self, body: Body, progress: ReportProgress<'_>) -> Result<PartialImage, ImageStoreError> {
        let (key, tag) = (self.key, body.tag().map(str::to_owned));
        if body.length().is_some_and(|length| length > self.store.largest) {
            return Err(ImageStoreError::TooLarge { limit: self.store.largest });
        }
        let partial = self.blocking(move |store| PartialImage::begin(store, key, tag.as_deref())).await?;
        self.receive(partial, body, progress).await
    }

    async fn receive(
        &self,
        mut partial: PartialImage,
        mut body: Body,
        progress: ReportProgress<'_>,
    ) -> Result<PartialImage, ImageStoreError> {
        // A server may say anything.
        let total = body.length().map(|length| partial.length().saturating_add(length));
        let key = self.key;
        while let Some(bytes) = body.chunk().await? {
            partial = self
                .blocking(move |store| match partial.write(&bytes) {
                    Ok(()) => Ok(partial),
                    Err(error) => {
                        // It is too large, or the disk is full: it would not be better the next time.
                        PartialImage::remove(store, key);
                        Err(error)
                    }
                })
                .await?;
            self.reached.store(partial.length(), Ordering::Relaxed);
            progress(partial.length(), total);
        }
        Ok(partial)
    }

    /// Runs what is blocking elsewhere. It keeps its turn, also if nobody waits for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ImageStore) -> Result<T, ImageStoreError> + Send + 'static,
    ) -> Result<T, ImageStoreError> {
        let (store, turn) = (Arc::clone(self.store), Arc::clone(&self.turn));
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&store);
            drop(turn);
            result
        });
        done.await.unwrap_or(Err(ImageStoreError::Cancelled))
    }
}
