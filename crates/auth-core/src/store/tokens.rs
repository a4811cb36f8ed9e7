//! The tokens that a store keeps, how late it is for each, and the text of their file, which is ours alone: a line
//! for each, with its secret's hash and never the secret.
//!
//! A token's time goes on, whatever is done to the clock. The file says of each token the latest time that was seen
//! for it, and how late it is now is the later one of two: what the clock says; and that time, with what has passed
//! since by a clock that nobody can set. So
//!
//! - the clock set back, also before a restart, gives a token no more time than it had when that was last written
//!   down: at each change to a token, each time that one ends, each ten minutes and at the daemon's end;
//! - of the time that the daemon did not run, a clock that was set back tells nothing: a token may outlive its end by
//!   that time, unless it was seen to have ended before;
//! - the clock set forward, even once and by mistake, ends the tokens of before, and is forgotten with them: each
//!   new one begins with the clock of its own time. One that was made in that future lives as long as it was to.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use super::files::DamagedPart;
use crate::token::within_range;
use crate::{Actor, InvalidToken, Level, Moment, Token, TokenHash, TokenId};

/// Tokens that there may be at one time: they are in memory, and all are written with each change.
pub(super) const MOST: usize = 1_000;
/// Tokens that have ended and of which it is still known how.
const MOST_ENDED: usize = 1_000;

/// The tokens of a store.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    kept: BTreeMap<TokenHash, StoredToken>,
    /// The latest at the end. Nothing is decided by it: it is what the audit log can say of a token that is refused,
    /// above all that it was spent, which is how a stolen one is noticed. Only as long as the process runs.
    ended: VecDeque<(TokenHash, InvalidToken)>,
}

/// A token, and how late it is for it.
#[derive(Clone, Debug)]
pub(super) struct StoredToken {
    pub(super) token: Token,
    /// The latest time that was seen for it, as it is written.
    seen: SystemTime,
    /// When that was, by a clock that nobody can set.
    since: Instant,
}

impl StoredToken {
    /// How late it is.
    fn time(&self, at: Moment) -> SystemTime {
        let passed = at.running.saturating_duration_since(self.since);
        // There is no such time: it is later than any end.
        let by_running = self.seen.checked_add(passed).unwrap_or(self.token.expires);
        by_running.max(at.clock)
    }

    pub(super) fn is_over(&self, at: Moment) -> bool {
        self.time(at) >= self.token.expires
    }

    fn advance(&mut self, at: Moment) {
        self.seen = within_range(self.time(at));
        self.since = self.since.max(at.running);
    }
}

impl Tokens {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn get(&self, hash: &TokenHash) -> Option<&StoredToken> {
        self.kept.get(hash)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredToken> {
        self.kept.values()
    }

    pub(super) fn hash_of(&self, id: TokenId) -> Option<TokenHash> {
        self.kept.keys().find(|hash| hash.id() == id).copied()
    }

    /// How a token that is not there has ended.
    pub(super) fn how_ended(&self, hash: &TokenHash) -> InvalidToken {
        self.ended.iter().rfind(|(ended, _)| ended == hash).map_or(InvalidToken::Unknown, |(_, how)| *how)
    }

    /// Keeps a new token.
    pub(super) fn keep(&mut self, hash: TokenHash, token: &Token, at: Moment) {
        let kept = StoredToken { token: token.clone(), seen: token.created, since: at.running };
        self.kept.entry(hash).or_insert(kept);
    }

    /// Ends a token, if it is there.
    pub(super) fn end(&mut self, hash: TokenHash, how: InvalidToken) {
        if self.kept.remove(&hash).is_none() {
            return;
        }
        if self.ended.len() == MOST_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((hash, how));
    }

    /// Ends those for which there is a reason.
    pub(super) fn end_those(&mut self, reason: impl Fn(&StoredToken) -> Option<InvalidToken>) {
        let over = self.kept.iter().filter_map(|(hash, kept)| Some((*hash, reason(kept)?)));
        for (hash, how) in over.collect::<Vec<_>>() {
            self.end(hash, how);
        }
    }

    /// It is as late as this, for all of them.
    pub(super) fn advance(&mut self, at: Moment) {
        self.kept.values_mut().for_each(|kept| kept.advance(at));
    }

    /// Whether one has ended, or it is later by `much` than what is written of one says.
    pub(super) fn are_due(&self, at: Moment, much: Duration) -> bool {
        let lags =
            |kept: &StoredToken| kept.time(at).duration_since(kept.seen).is_ok_and(|later| later >= much);
        self.kept.values().any(|kept| kept.is_over(at) || lags(kept))
    }

    /// Goes on from what was known of the same tokens before the file was read again: the time that has passed since
    /// it was written.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        let now = Moment::of_no_clock();
        for (hash, kept) in &mut self.kept {
            match before.kept.get(hash) {
                Some(known) if known.time(now) >= kept.seen => {
                    (kept.seen, kept.since) = (known.seen, known.since);
                }
                _ => {}
            }
        }
        self.ended.clone_from(&before.ended);
    }

    pub(super) fn write(&self) -> String {
        self.kept.iter().map(|(hash, kept)| line(*hash, kept)).collect()
    }

    /// What the file says, and the lines of it that say nothing. To lose a token is safe: who has it asks for another.
    pub(super) fn read(text: &[u8]) -> (Self, Vec<DamagedPart>) {
        let (mut tokens, mut damaged) = (Self::default(), Vec::new());
        let since = Instant::now();
        let mut start = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let place = start..start + line.len();
            start = place.end;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parse(line, since) {
                Some((hash, _)) if tokens.kept.contains_key(&hash) => {
                    damaged.push(part("the token is there twice", place, line));
                }
                Some((hash, kept)) => {
                    tokens.kept.insert(hash, kept);
                }
                None => damaged.push(part("it is not a token", place, line)),
            }
        }
        (tokens, damaged)
    }
}

fn part(reason: &'static str, place: Range<usize>, line: &[u8]) -> DamagedPart {
    DamagedPart { place, reason, bytes: line.to_vec() }
}

/// A token's line. Its times are exact: what rounding took away would be given to it again each time.
fn line(hash: TokenHash, kept: &StoredToken) -> String {
    let StoredToken { token, seen, .. } = kept;
    let Token { id: _, name, level, created, expires, by } = token;
    let time = |time| humantime::format_rfc3339_nanos(within_range(time));
    let (created, expires, seen) = (time(*created), time(*expires), time(*seen));
    let mut line = format!("{hash} created={created} expires={expires} seen={seen} level={level} by={by}");
    if let Some(name) = name {
        line.push_str(&format!(" name={name}"));
    }
    line.push('\n');
    line
}

fn parse(line: &[u8], since: Instant) -> Option<(TokenHash, StoredToken)> {
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let hash: TokenHash = words.next()?.parse().ok()?;
    let (mut created, mut expires, mut seen) = (None, None, None);
    let (mut level, mut by, mut name) = (None, None, None);
    let time = |text| humantime::parse_rfc3339(text).ok();
    for (key, value) in words.map(|word| word.split_once('=').unwrap_or((word, ""))) {
        match key {
            "created" => created = Some(time(value)?),
            "expires" => expires = Some(time(value)?),
            "seen" => seen = Some(time(value)?),
            "level" => level = Some(value.parse::<Level>().ok()?),
            "by" => by = Some(actor(value)?),
            "name" => name = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    let (created, expires) = (created?, expires?);
    let token = Token { id: hash.id(), name, level: level?, created, expires, by: by? };
    let seen = seen?;
    (token.is_sound() && seen >= created).then_some((hash, StoredToken { token, seen, since }))
}

/// Takes an actor as it is displayed.
fn actor(text: &str) -> Option<Actor> {
    match Actor::Administrator.to_string() == text {
        true => Some(Actor::Administrator),
        false => text.parse().ok().map(Actor::Client),
    }
}
