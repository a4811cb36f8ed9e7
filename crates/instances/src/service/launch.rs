//! `launch`: an instance is made, or nothing is.

use std::fs::File;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::commands::BootOutcome;
use super::entry::Turn;
use super::{Inner, InstanceError, Instances, blocking};
use crate::cloud_init::{self, UserData};
use crate::images::{Digest, Image};
use crate::registry::Staging;
use crate::ssh_keys::KeyPair;
use crate::{
    Cpus, DiskImage, DiskSize, InstanceId, InstanceName, InstanceSpec, InstanceState, Machine, MemorySize,
    Record, RegistryError, friendly,
};

/// What is to be made.
#[derive(Debug)]
pub struct Launch {
    /// Its name; a friendly one if none is given.
    pub name: Option<InstanceName>,
    /// Its processors.
    pub cpus: Cpus,
    /// Its memory.
    pub memory: MemorySize,
    /// Its disk; if nothing is given, the usual one, or as large as the image's.
    pub disk: Option<DiskSize>,
    /// What its disk is made of.
    pub source: ImageSource,
    /// The image's digest, if it is known.
    pub expected: Option<Digest>,
    /// What its user wants of the guest.
    pub user_data: UserData,
    /// So long the guest is waited for.
    pub timeout: Option<Duration>,
}

/// Where an image comes from.
#[derive(Debug)]
pub enum ImageSource {
    /// A file, opened with the rights of whoever wants the instance.
    File {
        /// The file.
        file: File,
        /// Its address, for the record.
        origin: String,
    },
    /// A server.
    Url(fetch::Url),
}

/// What a launch is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The image is copied or downloaded: so many bytes, of so many.
    Image {
        /// Bytes that are there.
        done: u64,
        /// Bytes that there will be, if that is known.
        total: Option<u64>,
    },
    /// Disk and seed are made.
    Creating(InstanceName),
    /// The machine is started.
    Starting(InstanceName),
    /// The guest is waited for.
    Waiting(InstanceName),
}

/// Told of what a launch is doing: a hundred times for each part of it, at most, or once a MiB. It must not wait.
pub type ProgressReport = Arc<dyn Fn(Progress) + Send + Sync>;

impl Instances {
    /// Makes an instance, starts it, and waits until it is up. Dropping the future gives it up: what was made is
    /// removed then, beside all else.
    ///
    /// # Errors
    /// It cannot be made, or does not start; then nothing is left of it. Or its guest is not up in time
    /// ([`InstanceError::TimedOut`]), or somebody has stopped it; then it is there.
    pub async fn launch(
        &self,
        launch: Launch,
        now: SystemTime,
        report: ProgressReport,
    ) -> Result<InstanceName, InstanceError> {
        let given_up = CancellationToken::new();
        let _caller = given_up.clone().drop_guard();
        let making = PendingLaunch { inner: Arc::clone(&self.0), given_up, report, now };
        // It is large, and would be so in whoever awaits it.
        self.0.to_the_end(Box::pin(async move { making.launch(launch).await })).await
    }
}

/// A launch that is under way.
struct PendingLaunch {
    inner: Arc<Inner>,
    given_up: CancellationToken,
    report: ProgressReport,
    now: SystemTime,
}

/// An instance that is being made: its name is taken, and its directory is beside the others.
struct Staged {
    id: InstanceId,
    name: InstanceName,
    staging: Staging,
}

impl PendingLaunch {
    async fn launch(self, launch: Launch) -> Result<InstanceName, InstanceError> {
        let inner = &self.inner;
        // A server may take its time, which holds up those alone who download, too.
        let is_download = matches!(launch.source, ImageSource::Url(_));
        let place = self.place(if is_download { &inner.downloads } else { &inner.launches }).await?;
        let staged = self.stage(launch.name).await?;
        let name = staged.name.clone();

        let origin = match &launch.source {
            ImageSource::File { origin, .. } => origin.clone(),
            ImageSource::Url(url) => url.without_query(),
        };
        // Kept until the instance is written down: from then on it is used.
        let image = self.image(launch.source, launch.expected).await?;
        let _place = match is_download {
            true => {
                drop(place);
                self.place(&inner.launches).await?
            }
            false => place,
        };
        let disk = disk(launch.disk, &image)?;
        let spec = InstanceSpec { cpus: launch.cpus, memory: launch.memory, disk };

        (self.report)(Progress::Creating(name.clone()));
        let (turn, record) = self.create(staged, spec, &image, origin, launch.user_data).await?;
        drop(image);
        (self.report)(Progress::Starting(name.clone()));
        self.start(turn, &name, &record).await?;
        (self.report)(Progress::Waiting(name.clone()));
        self.wait(&name, &record, launch.timeout).await?;
        Ok(name)
    }

    /// Makes disk and seed, and writes the instance down: from then on it is there. Its turn is this launch's: nobody
    /// else begins anything with it before it runs.
    async fn create(
        &self,
        staged: Staged,
        spec: InstanceSpec,
        image: &Image,
        origin: String,
        user_data: UserData,
    ) -> Result<(Turn, Arc<Record>), InstanceError> {
        let (inner, Staged { id, name, staging }) = (&self.inner, staged);
        let (host_key, client_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let seed = cloud_init::seed(id, &name, &host_key, &client_key.public, user_data);
        let machine = Machine {
            id,
            name: name.clone(),
            directory: staging.machine_directory(),
            spec,
            image: DiskImage { path: image.path.clone(), format: image.format },
        };
        let prepared = self.unless_given_up(async {
            inner.driver.prepare(&machine, &seed).await.map_err(InstanceError::driver(&name))
        });
        if let Err(error) = prepared.await {
            return Err(self.undo_staging(machine, staging, error).await);
        }

        let turn = inner.entry(id).turn().await;
        turn.show(InstanceState::Starting);
        let record = Record {
            id,
            created: self.now,
            spec,
            image: image.digest,
            format: image.format,
            origin,
            is_deleted: false,
            host_key: host_key.public,
        };
        let private = client_key.private;
        let committed = blocking(move || Ok(staging.commit(record, private.0.as_bytes())?)).await;
        match committed {
            Ok(record) => Ok((turn, record)),
            Err(error) => {
                // Its directory is gone; this is for what the driver holds outside it.
                let _ = inner.driver.delete(&machine).await;
                inner.forget(id);
                Err(error)
            }
        }
    }

    /// Starts the machine of an instance that is there, or removes the instance.
    async fn start(&self, turn: Turn, name: &InstanceName, record: &Record) -> Result<(), InstanceError> {
        let inner = &self.inner;
        let machine = inner.machine(name, record);
        let started = self.unless_given_up(async {
            inner.driver.start(&machine).await.map_err(InstanceError::driver(name))
        });
        if let Err(error) = started.await {
            // If that fails, it is there to be seen and deleted.
            let _ = inner.remove(&turn, name, record).await;
            return Err(error);
        }
        turn.wait_for(inner.boot(machine, InstanceState::Starting));
        Ok(())
    }

    /// Waits until the guest is up. The instance is removed if it never will be, or if the launch is given up.
    async fn wait(
        &self,
        name: &InstanceName,
        record: &Record,
        timeout: Option<Duration>,
    ) -> Result<(), InstanceError> {
        let inner = &self.inner;
        let waited = self.unless_given_up(async { Ok(inner.up(record, timeout).await) });
        let error = match waited.await {
            Ok(BootOutcome::Yes) => return Ok(()),
            Ok(BootOutcome::NotInTime) => return Err(InstanceError::TimedOut(name.clone())),
            Ok(BootOutcome::Stopped) => {
                let reason = "it was stopped".to_owned();
                return Err(InstanceError::EndedEarly { name: name.clone(), reason });
            }
            Ok(BootOutcome::Ended(reason)) => InstanceError::EndedEarly { name: name.clone(), reason },
            Err(error) => error,
        };
        let turn = inner.entry(record.id).turn().await;
        // Somebody may have removed it meanwhile.
        if inner.registry.get(name).is_ok_and(|found| found.id == record.id) {
            let _ = inner.remove(&turn, name, record).await;
        }
        Err(error)
    }

    /// Waits for one of these places.
    async fn place<'a>(&self, places: &'a Semaphore) -> Result<SemaphorePermit<'a>, InstanceError> {
        let place = async { places.acquire().await.map_err(|_| InstanceError::Cancelled) };
        self.unless_given_up(place).await
    }

    /// Takes a name: the one that is wanted, or a friendly one.
    async fn stage(&self, name: Option<InstanceName>) -> Result<Staged, InstanceError> {
        let registry = Arc::clone(&self.inner.registry);
        blocking(move || {
            let id = registry.new_id();
            if let Some(name) = name {
                let staging = registry.stage(&name, id)?;
                return Ok(Staged { id, name, staging });
            }
            let random = || {
                let mut bytes = [0; 4];
                // Without random numbers, names are given in order.
                let _ = getrandom::fill(&mut bytes);
                u32::from_ne_bytes(bytes)
            };
            loop {
                let is_taken = |name: &InstanceName| registry.is_taken(name);
                let name = friendly::name(random, is_taken).ok_or(InstanceError::NoName)?;
                match registry.stage(&name, id) {
                    // Somebody else was faster.
                    Err(RegistryError::Exists(_)) => {}
                    staged => return Ok(Staged { id, name, staging: staged? }),
                }
            }
        })
        .await
    }

    async fn image(&self, source: ImageSource, expected: Option<Digest>) -> Result<Image, InstanceError> {
        let progress = ThrottledReport { report: Arc::clone(&self.report), last: AtomicU64::new(u64::MAX) };
        match source {
            ImageSource::Url(url) => {
                let told = move |done, total| progress.tell(done, total);
                let (images, client) = (&self.inner.images, &self.inner.client);
                let download = images.download(client, &url, expected, &told);
                self.unless_given_up(async { Ok(download.await?) }).await
            }
            ImageSource::File { file, .. } => {
                let (images, given_up) = (Arc::clone(&self.inner.images), self.given_up.clone());
                // It sees by itself that it is given up, and has then removed what it made.
                blocking(move || {
                    let told = |done, total| {
                        progress.tell(done, Some(total));
                        if given_up.is_cancelled() {
                            ControlFlow::Break(())
                        } else {
                            ControlFlow::Continue(())
                        }
                    };
                    Ok(images.import(file, expected, &told)?)
                })
                .await
            }
        }
    }

    async fn undo_staging(&self, machine: Machine, staging: Staging, error: InstanceError) -> InstanceError {
        match self.inner.driver.delete(&machine).await {
            Ok(()) => {
                // It is removed when it is dropped.
                let _ = blocking(move || {
                    drop(staging);
                    Ok(())
                })
                .await;
            }
            // What still uses it must not lose it. It is swept at the next start.
            Err(_) => staging.leave(),
        }
        error
    }

    async fn unless_given_up<T>(
        &self,
        work: impl Future<Output = Result<T, InstanceError>>,
    ) -> Result<T, InstanceError> {
        tokio::select! {
            biased;
            () = self.given_up.cancelled() => Err(InstanceError::Cancelled),
            done = work => done,
        }
    }
}

/// How large the disk is to be.
fn disk(asked: Option<DiskSize>, image: &Image) -> Result<DiskSize, InstanceError> {
    // An image may be smaller than any disk.
    let least = DiskSize::from_bytes(image.disk).unwrap_or(DiskSize::LEAST);
    match asked {
        None => Ok(DiskSize::DEFAULT.max(least)),
        Some(asked) if asked < least => Err(InstanceError::DiskTooSmall { asked, least }),
        Some(asked) => Ok(asked),
    }
}

/// Reports what has changed by a hundredth, or by a MiB.
struct ThrottledReport {
    report: ProgressReport,
    last: AtomicU64,
}

impl ThrottledReport {
    fn tell(&self, done: u64, total: Option<u64>) {
        let part = match total {
            Some(total) if total > 0 => u128::from(done) * 100 / u128::from(total),
            _ => u128::from(done >> 20),
        };
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        if self.last.swap(part, Ordering::Relaxed) != part {
            (self.report)(Progress::Image { done, total });
        }
    }
}
