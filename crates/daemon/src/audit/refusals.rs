//! Counting refusals, in bounded memory and without ever waiting for a file: the first of a kind is reported
//! at once, what follows it within a minute is reported as one number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use auth_core::{Caller, Denied, Fingerprint, Source};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::logging::with_causes;

/// How long refusals of one kind are counted before their number is reported.
const PERIOD: Duration = Duration::from_secs(60);
/// Kinds that are told apart; all further ones are reported as one.
const MAX_KINDS: usize = 256;
/// Refusals that wait to be reported one by one. While there is no room, they are counted.
const MAX_PENDING: usize = 512;
/// Wrong passphrases of one source that are reported one by one within a period: as many as the authority
/// evaluates of all strangers together. They are few, and each one may be of interest.
const MAX_GUESSES: u32 = 60;

/// Where refusals are recorded. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<Kind, KindCount>,
    /// To be reported one by one.
    pending: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Of { source: Source, method: &'static str, reason: &'static str },
    Other,
}

/// What came of one kind since `began`.
#[derive(Debug)]
struct KindCount {
    began: Instant,
    /// How many more may be reported one by one.
    individually: u32,
    /// All others, as one.
    aggregate: Option<Refusal>,
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
    /// Records that a caller was refused. Never waits for a file.
    pub fn record(&self, method: &'static str, caller: &Caller, denied: &Denied) {
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
        let individually = if matches!(denied, Denied::WrongPassphrase) { MAX_GUESSES } else { 1 };
        // What is only counted is reported when its minute is over, without being woken for it.
        if self.with(|state| state.add(kind, refusal, individually, Instant::now())) {
            self.0.added.notify_one();
        }
    }

    /// Completes when there may be something to report.
    pub(super) async fn due(&self) {
        let due = self.with(|state| state.kinds.values().map(|count| count.began + PERIOD).min());
        let minute_is_over = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.added.notified() => {}
            () = minute_is_over => {}
        }
    }

    /// What is to be reported now. It is not given out again.
    pub(super) fn take_due(&self) -> Vec<Refusal> {
        let now = Instant::now();
        self.with(|state| state.take(now, PERIOD))
    }

    /// All that was not reported yet.
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
    /// Adds a refusal of a kind of which so many are reported one by one within a period; says whether this one is.
    fn add(&mut self, kind: Kind, refusal: Refusal, individually: u32, now: Instant) -> bool {
        let has_room = self.kinds.contains_key(&kind) || self.kinds.len() < MAX_KINDS;
        let (kind, refusal, individually) =
            if has_room { (kind, refusal, individually) } else { (Kind::Other, refusal.of_other_kinds(), 1) };
        let count = match self.kinds.entry(kind) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(KindCount { began: now, individually, aggregate: None }),
        };
        if count.individually > 0 && self.pending.len() < MAX_PENDING {
            count.individually -= 1;
            self.pending.push(refusal);
            return true;
        }
        match &mut count.aggregate {
            None => count.aggregate = Some(refusal.aggregated(kind)),
            Some(aggregate) => aggregate.join(&refusal),
        }
        false
    }

    /// Takes what is to be reported one by one, and the numbers of all kinds that were counted for `period`.
    fn take(&mut self, now: Instant, period: Duration) -> Vec<Refusal> {
        let mut due = std::mem::take(&mut self.pending);
        self.kinds.retain(|_, count| {
            let counted = now.saturating_duration_since(count.began);
            if counted < period {
                return true;
            }
            // What goes on is counted on; what has ended begins as something new the next time.
            let Some(aggregate) = count.aggregate.take() else { return false };
            due.push(Refusal { within: Some(counted), ..aggregate });
            count.began = now;
            true
        });
        due.sort_by_key(|refusal| refusal.since);
        due
    }
}

impl Refusal {
    fn of_other_kinds(self) -> Self {
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
    fn aggregated(self, kind: Kind) -> Self {
        match kind {
            Kind::Of { source, .. } => Self { from: source.to_string(), ..self },
            Kind::Other => self,
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
