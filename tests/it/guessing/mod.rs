//! Guessing the passphrase: who fails has to wait, and nobody else has.

#[cfg(target_os = "linux")] // All of 127/8 is loopback's there.
mod over_networks;

use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Account, Client, Outcome, is_root, skip, wait_until};

use crate::python::Python;
use crate::support::{Expected, NO_INSTANCES, NOT_AUTHENTICATED, Service, at_once, outsider, run};

const RIGHT: &str = "open sesame";
const WRONG: &str = "open barley";
/// The daemon's words for a guess that was evaluated and for one that was not.
const EVALUATED: &str = "the passphrase is not correct";
const NOT_EVALUATED: &str = "too many failed attempts";
/// For an attack, how soon others must be served: it is about being served at all.
const GENEROUS: Duration = Duration::from_secs(5);
/// How soon the right passphrase must let in who did not guess.
const SOON: Duration = Duration::from_secs(2);
/// The longest that five who guess from one source are told to wait: a minute for each.
#[cfg(target_os = "linux")]
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// What two hashes take, in KiB.
#[cfg(target_os = "linux")]
const TWO_HASHES: u64 = 2 * 19 * 1024;

#[test]
fn after_a_few_failures_even_the_right_passphrase_has_to_wait() {
    let service = Service::start();
    protect(&service.first_client());
    let user = service.user("user");
    shut_out([&user]);
    let Guess::TooSoon(wait) = guess(&user, RIGHT) else { panic!("a guess before its time was evaluated") };
    assert_eq!(service.trusted(), 1);
    thread::sleep(wait);
    assert_eq!(guess(&user, RIGHT), Guess::Right);
    assert!(service.trusts(&user));
}

#[test]
fn another_user_does_not_have_to_wait() {
    if !is_root() {
        return skip("needs root, to act as several users");
    }
    let service = Service::start();
    protect(&service.first_client());
    let (guesser, other) = (service.user("guesser"), service.user_as("other", outsider()));
    shut_out([&guesser]);
    assert_eq!(guess(&other, RIGHT), Guess::Right);
    // And that other one's success is not the guesser's.
    assert!(matches!(guess(&guesser, RIGHT), Guess::TooSoon(_)));
}

#[test]
fn a_trusted_client_is_never_slowed_down_nor_does_it_slow_down_others() {
    let service = Service::start();
    let first = service.first_client();
    protect(&first);
    for _ in 0..6 {
        assert_eq!(guess(&first, WRONG), Guess::Wrong);
    }
    // The same user's next identity has all of its free failures.
    let newcomer = service.user("newcomer");
    for _ in 0..3 {
        assert_eq!(guess(&newcomer, WRONG), Guess::Wrong);
    }
    assert_eq!(guess(&newcomer, RIGHT), Guess::Right);
}

#[test]
fn new_identities_of_one_user_wait_together_until_one_succeeds() {
    let service = Service::start();
    let first = service.first_client();
    protect(&first);
    let identities: Vec<Client> = (0..6).map(|number| service.user(&format!("user{number}"))).collect();
    let wait = shut_out(&identities);
    let fresh = service.user("fresh");
    let Guess::TooSoon(later) = guess(&fresh, RIGHT) else { panic!("evaluated before its time") };
    assert!(later > wait, "{later:?} after one who has to wait {wait:?}");
    // One who is trusted already is asked nothing of the kind.
    assert_eq!(guess(&first, RIGHT), Guess::Right);

    thread::sleep(later);
    assert_eq!(guess(&fresh, RIGHT), Guess::Right);
    for user in &identities[..3] {
        assert_eq!(guess(user, WRONG), Guess::Wrong);
    }
}

#[test]
fn who_leaves_before_the_answer_has_guessed_all_the_same() {
    let Some(python) = Python::find() else { return };
    let service = Service::start();
    protect(&service.first_client());
    let user = with_identity(service.user("user"));

    for number in 1..=4 {
        let mut leaving = attack(&python, &service, &user, WRONG);
        Outcome::of(leaving.arg("--hang-up"), "").unwrap().succeeded();
        let logged = || service.daemon.logged().matches(EVALUATED).count();
        wait_until("the guess is logged", GENEROUS, || logged() == number).expect("an entry for each guess");
    }
    // They count: the next one has to wait, or the one after it on a slow machine. Uncounted, four would not.
    let told_to_wait = (0..3).any(|_| matches!(guess(&user, WRONG), Guess::TooSoon(_)));
    assert!(told_to_wait, "{}", service.daemon.logged());

    let service = service.restart(nix::sys::signal::Signal::SIGTERM);
    let mut leaving = attack(&python, &service, &user, RIGHT);
    Outcome::of(leaving.arg("--hang-up"), "").unwrap().succeeded();
    let log = || service.daemon.logged();
    wait_until("the client is let in", GENEROUS, || service.trusts(&user)).expect("an enrolment");
    wait_until("it is logged", GENEROUS, || log().contains("authenticated with the passphrase"))
        .expect("an entry for the enrolment");
    run(&user, &["list"]).prints(NO_INSTANCES);
}

#[test]
#[cfg(target_os = "linux")]
fn an_attack_gets_few_guesses_and_keeps_no_trusted_client_from_its_work() {
    attack_for(Duration::ZERO, 4);
}

#[cfg(target_os = "linux")]
mod long {
    #[test]
    #[ignore = "takes a minute"]
    fn an_attack_of_a_minute_gets_few_guesses() {
        // After a second, when the attackers have been told to wait, and one of them twice.
        super::attack_for(std::time::Duration::from_secs(60), 5);
    }

    #[test]
    #[ignore = "takes a minute"]
    fn a_thousand_users_together_have_a_budget() {
        super::guess_as_many_users(1000);
    }
}

/// Four processes of one user, as fast as they can: so long at least, and until somebody else of the same user, who
/// comes after so many guesses, has entered in the midst of it.
#[cfg(target_os = "linux")] // Where a process's memory is read in /proc.
fn attack_for(at_least: Duration, before_others: usize) {
    let Some(python) = Python::find() else { return };
    let service = Service::start();
    let first = service.first_client();
    protect(&first);
    let before = service.resident_kib();
    let identities: Vec<Client> =
        (0..4).map(|number| with_identity(service.user(&format!("attacker{number}")))).collect();
    let same = with_identity(service.user("same source"));
    let began = Instant::now();
    let attackers: Vec<Attacker> = identities
        .iter()
        .map(|user| Attacker::start(attack(&python, &service, user, WRONG).args(["--seconds", "600"])))
        .collect();

    // Until it is seen to be under way, there is nothing to be kept up by.
    wait_until("the attack begins", GENEROUS, || service.daemon.logged().contains(NOT_EVALUATED)).unwrap();
    let evaluated = || service.daemon.logged().matches(EVALUATED).count();
    wait_until("the attack goes on", 4 * GENEROUS, || evaluated() >= before_others).unwrap();
    // At the attacked source there is a wait for whoever knows it, too, which is told.
    let asked = Instant::now();
    let Guess::TooSoon(wait) = guess(&same, RIGHT) else { panic!("evaluated in the middle of a wait") };
    let told = Instant::now();
    assert!(wait <= LONGEST_WAIT, "{wait:?}");
    // The guesses that cost no wait came together, and were hashed one after the other.
    let peak = service.peak_kib().saturating_sub(before);
    assert!(peak < TWO_HASHES, "the daemon grew by {peak} KiB at its peak");
    let mut trusted = 1;
    if is_root() {
        let newcomer = service.user_as("newcomer", outsider());
        let began = Instant::now();
        assert_eq!(guess(&newcomer, RIGHT), Guess::Right);
        assert!(began.elapsed() < SOON, "the right passphrase took {:?}", began.elapsed());
        trusted += 1;
    } else {
        skip("needs root, for somebody else who comes meanwhile");
    }

    let (mut most_memory, mut slowest) = (0, Duration::ZERO);
    let mut entered = false;
    while !entered || began.elapsed() < at_least {
        // Unset, set again: the set one is hashed.
        for arguments in
            [&["list"][..], &["set", "local.passphrase="], &["set", "local.passphrase=open sesame"]]
        {
            let began = Instant::now();
            let expected = if arguments == ["list"] { NO_INSTANCES } else { "" };
            run(&first, arguments).prints(expected);
            slowest = slowest.max(began.elapsed());
            most_memory = most_memory.max(service.resident_kib());
        }
        if !entered && told.elapsed() >= wait {
            // One more after 1, 3, 7 seconds and so on, as if nobody had been told anything.
            let evaluated = evaluated();
            let allowed = 4 + [1, 3, 7, 15, 31, 63, 123, 183, 243, 303]
                .iter()
                .take_while(|seconds| began.elapsed().as_secs() >= **seconds)
                .count();
            assert!((4..=allowed).contains(&evaluated), "{evaluated} guesses were evaluated");
            // Its next try, while the others go on.
            assert_eq!(guess(&same, RIGHT), Guess::Right, "{:?} after {wait:?} were told", asked.elapsed());
            assert!(attackers.iter().all(Attacker::goes_on));
            entered = true;
            trusted += 1;
        }
    }
    assert!(slowest < GENEROUS, "a trusted client was served after {slowest:?}");
    // A guess and what the trusted client sets are hashed at once.
    let grown = most_memory.saturating_sub(before);
    assert!(grown < TWO_HASHES, "the daemon grew by {grown} KiB");

    let answers: Vec<Outcome> = attackers.into_iter().map(Attacker::end).collect();
    let after = service.resident_kib().saturating_sub(before);
    assert!(after < TWO_HASHES, "the daemon has kept {after} KiB");
    let count = |code: &str| -> usize { answers.iter().map(|outcome| outcome.count_of(code)).sum() };
    let (evaluated, told_to_wait) = (count("INVALID_ARGUMENT"), count("RESOURCE_EXHAUSTED"));
    assert_eq!(service.daemon.logged().matches(EVALUATED).count(), evaluated);
    // Those who have let somebody in are forgiven, so it is twice as many at the most.
    assert!(evaluated < 30, "{evaluated} guesses were evaluated");
    assert!(told_to_wait > 100, "no attack: {answers:?}");
    assert_eq!(service.trusted(), trusted);
    assert!(service.trusts(&same));
}

#[test]
fn many_users_together_have_a_budget() {
    guess_as_many_users(100);
}

/// Each guesses once, as long as the budget's minute is not over.
fn guess_as_many_users(number: u32) {
    if !is_root() {
        return skip("needs root, to act as several users");
    }
    let service = Service::start();
    let first = service.first_client();
    protect(&first);
    let users: Vec<Client> = (0..number)
        .map(|number| {
            let account = Account { uid: 3000 + number, gid: 3000 + number, groups: Vec::new() };
            service.user_as(&format!("user{number}"), account)
        })
        .collect();
    let mut guesses = Vec::new();
    let began = Instant::now();
    for users in users.chunks(20) {
        if began.elapsed() > Duration::from_secs(50) {
            break;
        }
        let outcomes = at_once(users.iter().map(|user| user.command(&["authenticate", WRONG])));
        guesses.extend(outcomes.iter().map(Guess::of));
        run(&first, &["list"]).prints(NO_INSTANCES);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "this machine is too slow for a minute's budget");
    assert!(guesses.len() >= 100, "{} users are no crowd", guesses.len());
    let evaluated = guesses.iter().filter(|guess| **guess == Guess::Wrong).count();
    assert_eq!(evaluated, 60, "{guesses:?}");
    // A newcomer who knows the passphrase has to wait too, for no longer than the budget's minute.
    let Guess::TooSoon(wait) = guess(&service.user("newcomer"), RIGHT) else { panic!("no budget") };
    assert!(wait <= Duration::from_secs(60), "{wait:?}");
    assert_eq!(guess(&first, RIGHT), Guess::Right);
}

/// What a guess came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Right,
    Wrong,
    /// Not evaluated; the user was told to wait so long.
    TooSoon(Duration),
}

impl Guess {
    #[track_caller]
    fn of(outcome: &Outcome) -> Self {
        if outcome.code == 0 {
            outcome.prints("");
            return Self::Right;
        }
        let wait = outcome
            .stderr
            .strip_prefix("authenticate failed: Too many failed attempts. Try again in ")
            .and_then(|rest| rest.strip_suffix(" s.\n"));
        let Some(wait) = wait else {
            outcome.fails(2, "authenticate failed: Passphrase is not correct.", &[]);
            return Self::Wrong;
        };
        outcome.fails(2, "", &[]);
        let seconds = wait.parse().expect("whole seconds");
        assert!(seconds > 0, "{outcome:?}");
        Self::TooSoon(Duration::from_secs(seconds))
    }
}

#[track_caller]
fn guess(user: &Client, passphrase: &str) -> Guess {
    Guess::of(&run(user, &["authenticate", passphrase]))
}

#[track_caller]
fn protect(first: &Client) {
    run(first, &["set", &format!("local.passphrase={RIGHT}")]).prints("");
}

/// Guesses wrongly, in turns, until there are two seconds or more to wait: time enough for what is then tried
/// before they are over. Returns how long there is to wait.
///
/// Each wait that is told before must be long enough, and no guess may be evaluated sooner than it should.
#[track_caller]
fn shut_out<'a>(users: impl IntoIterator<Item = &'a Client>) -> Duration {
    let users: Vec<&Client> = users.into_iter().collect();
    let (began, mut failures, mut waited) = (Instant::now(), 0, false);
    let mut turns = users.into_iter().cycle();
    let mut turn = turns.next();
    while let Some(user) = turn {
        match guess(user, WRONG) {
            Guess::Wrong => {
                failures += 1;
                waited = false;
                // After the fourth failure one second has to pass, then two, then four.
                let passed = (4..failures).map(|failures| 1 << (failures - 4)).sum();
                assert!(began.elapsed() >= Duration::from_secs(passed), "{failures} failures so soon");
                turn = turns.next();
            }
            Guess::TooSoon(wait) => {
                assert!(failures >= 4, "told to wait after {failures} failures");
                assert!(!waited, "the wait was longer than told");
                if wait >= Duration::from_secs(2) {
                    return wait;
                }
                // Its turn is kept for who was told.
                thread::sleep(wait);
                waited = true;
            }
            Guess::Right => panic!("{WRONG} was right"),
        }
    }
    unreachable!("the users take turns")
}

/// A user who has a certificate and a key.
#[track_caller]
fn with_identity(user: Client) -> Client {
    run(&user, &["list"]).fails(2, "list failed: ", NOT_AUTHENTICATED);
    user
}

/// The script that guesses, as this user.
fn attack(python: &Python, service: &Service, user: &Client, passphrase: &str) -> Command {
    let mut command = python.script("guesses.py");
    command
        .args(["--address", service.daemon.address()])
        .arg("--root")
        .arg(&service.daemon.root_certificate)
        .arg("--certificate")
        .arg(user.certificate())
        .arg("--key")
        .arg(user.key())
        .args(["--passphrase", passphrase]);
    command
}

/// One who guesses while the test goes on.
struct Attacker {
    process: thread::JoinHandle<Outcome>,
    /// It ends when this is closed.
    input: Option<ChildStdin>,
}

impl Attacker {
    fn start(command: &mut Command) -> Self {
        let mut child: Child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("an attacker");
        let input = child.stdin.take();
        let process = thread::spawn(|| child.wait_with_output().expect("an end").into());
        Self { process, input }
    }

    fn goes_on(&self) -> bool {
        !self.process.is_finished()
    }

    /// What the script printed: it failed at nothing.
    fn end(self) -> Outcome {
        drop(self.input);
        self.process.join().expect("no panic").succeeded()
    }
}

/// Judges of the script's outcome.
trait Answers {
    fn succeeded(self) -> Self;

    /// How often the answer had this code.
    fn count_of(&self, code: &str) -> usize;
}

impl Answers for Outcome {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }

    fn count_of(&self, code: &str) -> usize {
        let number = self.stdout.lines().find_map(|line| line.strip_prefix(code)?.strip_prefix(' '));
        number.map_or(0, |number| number.parse().expect("a number"))
    }
}
