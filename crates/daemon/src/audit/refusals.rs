//! Counting refusals, in bounded memory and without ever waiting for a file: the first of a kind is told at
//! once, what follows it within a minute is told as one number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use auth_core::{Caller, Denied, Fingerprint, Source};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::logging::with_causes;

/// How long refusals of one kind are counted before their number is told.
const PERIOD: Duration = Duration::from_secs(60);
/// Kinds that are told apart; all further ones are told as one.
const MOST_KINDS: usize = 256;
/// Refusals that wait to be told one by one. While there is no room, they are counted.
const MOST_UNTOLD: usize = 512;
/// Wrong passphrases of one source that are told one by one within a period: as many as the authority
/// evaluates of all strangers together. They are few, and each one may be of interest.
const MOST_GUESSES: u32 = 60;

/// Where refusals are noted. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<Kind, Count>,
    /// To be told as they are.
    untold: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Of { source: Source, method: &'static str, reason: &'static str },
    Rest,
}

/// What came of one kind since `began`.
#[derive(Debug)]
struct Count {
    began: Instant,
    /// How many more may be told one by one.
    singly: u32,
    /// All others, as one.
    more: Option<Refusal>,
}

/// One refusal, or several as one.
#[derive(Debug)]
pub(super) struct Refusal {
    /// When the first of them was.
    pub(super) since: SystemTime,
    /// `None` if they are of several methods.
    pub(super) method: Option<&'static str>,
    pub(super) from: String,
    /// `None` if it was no client, or several.
    pub(super) client: Option<Fingerprint>,
    /// `None` if there are several.
    pub(super) reason: Option<&'static str>,
    /// The reason in words: the first one's.
    pub(super) text: String,
    /// The daemon's own, not the caller's.
    pub(super) fault: bool,
    pub(super) count: u64,
    /// For several, how long they took to come.
    pub(super) within: Option<Duration>,
}

impl Refusals {
    /// Notes that a caller was refused. Never waits for a file.
    pub fn note(&self, method: &'static str, caller: &Caller, denied: &Denied) {
        let source = Source::of(&caller.channel);
        let kind = Kind::Of { source, method, reason: denied.name() };
        let fault = matches!(denied, Denied::Store(_) | Denied::Gate(_));
        let refusal = Refusal {
            since: SystemTime::now(),
            method: Some(method),
            from: caller.channel.to_string(),
            client: caller.certificate.as_ref().map(|certificate| certificate.fingerprint()),
            reason: Some(denied.name()),
            text: if fault { with_causes(denied) } else { denied.to_string() },
            fault,
            count: 1,
            within: None,
        };
        let singly = if matches!(denied, Denied::WrongPassphrase) { MOST_GUESSES } else { 1 };
        // What is only counted is told when its minute is over, without being woken for it.
        if self.with(|state| state.add(kind, refusal, singly, Instant::now())) {
            self.0.news.notify_one();
        }
    }

    /// Completes when there may be something to tell.
    pub(super) async fn news(&self) {
        let due = self.with(|state| state.kinds.values().map(|count| count.began + PERIOD).min());
        let minute_is_over = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.news.notified() => {}
            () = minute_is_over => {}
        }
    }

    /// What is to be told now. It is not given out again.
    pub(super) fn take_due(&self) -> Vec<Refusal> {
        let now = Instant::now();
        self.with(|state| state.take(now, PERIOD))
    }

    /// All that was not told yet.
    pub(super) fn take_all(&self) -> Vec<Refusal> {
        let now = Instant::now();
        self.with(|state| state.take(now, Duration::ZERO))
    }

    // A panic cannot leave the counts wrong: nothing between two of their changes can panic.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Adds a refusal of a kind of which so many are told singly within a period; says whether this one is.
    fn add(&mut self, kind: Kind, refusal: Refusal, singly: u32, now: Instant) -> bool {
        let has_place = self.kinds.contains_key(&kind) || self.kinds.len() < MOST_KINDS;
        let (kind, refusal, singly) =
            if has_place { (kind, refusal, singly) } else { (Kind::Rest, refusal.of_the_rest(), 1) };
        let count = match self.kinds.entry(kind) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Count { began: now, singly, more: None }),
        };
        if count.singly > 0 && self.untold.len() < MOST_UNTOLD {
            count.singly -= 1;
            self.untold.push(refusal);
            return true;
        }
        match &mut count.more {
            None => count.more = Some(refusal.of_all(kind)),
            Some(more) => more.join(&refusal),
        }
        false
    }

    /// Takes what is to be told singly, and the numbers of all kinds that were counted for `period`.
    fn take(&mut self, now: Instant, period: Duration) -> Vec<Refusal> {
        let mut due = std::mem::take(&mut self.untold);
        self.kinds.retain(|_, count| {
            let counted = now.saturating_duration_since(count.began);
            if counted < period {
                return true;
            }
            // What goes on is counted on; what has ended begins as something new the next time.
            let Some(more) = count.more.take() else { return false };
            due.push(Refusal { within: Some(counted), ..more });
            count.began = now;
            true
        });
        due.sort_by_key(|refusal| refusal.since);
        due
    }
}

impl Refusal {
    fn of_the_rest(self) -> Self {
        Self {
            method: None,
            from: Source::Others.to_string(),
            client: None,
            reason: None,
            text: "too many kinds to tell them apart".to_owned(),
            fault: false,
            ..self
        }
    }

    /// Several come from a source, not from one of its addresses.
    fn of_all(self, kind: Kind) -> Self {
        match kind {
            Kind::Of { source, .. } => Self { from: source.to_string(), ..self },
            Kind::Rest => self,
        }
    }

    fn join(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.since = self.since.min(other.since);
        if self.client != other.client {
            self.client = None;
        }
    }
}
