//! The audit log's grants: whole lines, on disk when they are said to be, bounded, in a file of our own.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_core::{Actor, Audit, Channel, ClientCertificate, Entry, Event, Fingerprint};
use daemon::audit::{self, FileAudit};
use nix::sys::stat::Mode;
use serde_json::Value;
use tempfile::TempDir;
use transport::testkit::skip;

use crate::support::lines;

/// The documented most of a file, and how many older ones there may be.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
const MAX_OLDER: usize = 9;

/// A data directory with an audit log.
struct AuditedData {
    data: TempDir,
    log: FileAudit,
}

impl AuditedData {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let log = FileAudit::new(&audit::directory(data.path()).unwrap());
        Self { data, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data.path().join("audit").join(name)
    }

    fn grants(&self) -> PathBuf {
        self.path("grants.jsonl")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.grants()).unwrap()
    }

    /// Makes the file full, but for so many bytes.
    fn fill(&self, left: u64) {
        let mut file = File::create(self.grants()).unwrap();
        file.set_len(MAX_BYTES - left - 1).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
        file.write_all(b"\n").unwrap();
    }
}

fn entry(event: Event) -> Entry<'static> {
    Entry {
        at: UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        event,
        by: Actor::Administrator,
        from: None,
        client: None,
        token: None,
    }
}

fn fingerprint() -> Fingerprint {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    ClientCertificate::from_der(certificate.der().to_vec()).unwrap().fingerprint()
}

#[test]
fn an_entry_is_one_line_of_the_documented_schema() {
    let audited = AuditedData::new();
    let client = fingerprint();
    let user = Channel::Local { uid: 1000, gid: 100, groups: [27].into() };
    let enrolled = Entry {
        by: Actor::Client(client),
        from: Some(&user),
        client: Some(client),
        ..entry(Event::FirstClientEnrolled)
    };
    audited.log.record(&enrolled).unwrap();
    let address = Channel::Remote("192.0.2.7".parse().unwrap());
    let by_address = Entry { from: Some(&address), ..entry(Event::PassphraseSet) };
    audited.log.record(&by_address).unwrap();
    audited.log.record(&entry(Event::FirstClientAwaited)).unwrap();
    let begin = r#"{"v":1,"time":"2023-11-14T22:13:20.123456Z","event":"#;
    assert_eq!(
        audited.text(),
        format!(
            "{begin}\"first_client_enrolled\",\"by\":\"{client}\",\"from\":\"uid:1000\",\"client\":\"{client}\"}}\n\
             {begin}\"passphrase_set\",\"by\":\"administrator\",\"from\":\"address:192.0.2.7\",\"client\":null}}\n\
             {begin}\"first_client_awaited\",\"by\":\"administrator\",\"from\":null,\"client\":null}}\n"
        )
    );
}

#[test]
fn any_time_can_be_written_down() {
    let audited = AuditedData::new();
    let day = Duration::from_secs(24 * 60 * 60);
    for at in [UNIX_EPOCH - day, UNIX_EPOCH, UNIX_EPOCH + day * 365 * 9000] {
        audited.log.record(&Entry { at, ..entry(Event::PassphraseSet) }).unwrap();
    }
    let times: Vec<Value> = lines(&audited.grants()).iter().map(|line| line["time"].clone()).collect();
    assert_eq!(
        times,
        ["1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.000000Z"]
    );
}

#[test]
fn the_files_are_for_nobody_else() {
    let audited = AuditedData::new();
    audited.log.record(&entry(Event::PassphraseSet)).unwrap();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&audited.path("")), 0o700);
    assert_eq!(mode(&audited.grants()), 0o600);
    assert_eq!(mode(&audited.path("grants.jsonl.lock")), 0o600);
}

#[test]
fn a_torn_line_stays_a_line_of_its_own() {
    let audited = AuditedData::new();
    audited.log.record(&entry(Event::PassphraseSet)).unwrap();
    let first = audited.text();
    fs::write(audited.grants(), format!("{first}{{\"v\":1,\"ti")).unwrap();
    audited.log.record(&entry(Event::PassphraseRemoved)).unwrap();
    let (text, second) = (audited.text(), first.replace("passphrase_set", "passphrase_removed"));
    assert_eq!(text, format!("{first}{{\"v\":1,\"ti\n{second}"));
}

#[test]
fn a_full_file_becomes_an_older_one_and_the_oldest_goes() {
    let audited = AuditedData::new();
    for round in 0..MAX_OLDER + 3 {
        audited.fill(10);
        File::options()
            .append(true)
            .open(audited.grants())
            .unwrap()
            .write_all(&[b'0' + round as u8])
            .unwrap();
        audited.log.record(&entry(Event::PassphraseSet)).unwrap();
        assert_eq!(lines(&audited.grants()).len(), 1, "round {round}");
        let older =
            (1..=MAX_OLDER + 1).take_while(|number| audited.path(&format!("grants.jsonl.{number}")).exists());
        assert_eq!(older.count(), (round + 1).min(MAX_OLDER));
    }
    for number in 1..=MAX_OLDER {
        let bytes = fs::read(audited.path(&format!("grants.jsonl.{number}"))).unwrap();
        assert_eq!(bytes.last(), Some(&(b'0' + (MAX_OLDER + 3 - number) as u8)), "{number}");
    }
    let total: u64 =
        fs::read_dir(audited.path("")).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(total <= MAX_BYTES * (MAX_OLDER as u64 + 1), "{total} bytes");
}

/// A crash while files are renamed leaves a gap.
#[test]
fn a_gap_is_closed_before_anything_goes() {
    let audited = AuditedData::new();
    for number in [1, 2, 4, 5, 6, 7, 8, 9] {
        fs::write(audited.path(&format!("grants.jsonl.{number}")), number.to_string()).unwrap();
    }
    audited.fill(10);
    audited.log.record(&entry(Event::PassphraseSet)).unwrap();
    for (number, content) in [(2, "1"), (3, "2"), (4, "4"), (9, "9")] {
        let found = fs::read_to_string(audited.path(&format!("grants.jsonl.{number}"))).unwrap();
        assert_eq!(found, content, "{number}");
    }
}

/// `multipassd recover` writes to the same file while the daemon runs.
#[test]
fn several_writers_lose_and_mix_nothing() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 40;
    let audited = AuditedData::new();
    // So that the file becomes an older one in the midst of it.
    audited.fill(100 * EACH);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = FileAudit::new(&audited.path(""));
            scope.spawn(move || {
                for number in 0..EACH {
                    let at = UNIX_EPOCH + Duration::from_secs(writer * EACH + number);
                    log.record(&Entry { at, ..entry(Event::PassphraseSet) }).unwrap();
                }
            });
        }
    });
    let older = fs::read_to_string(audited.path("grants.jsonl.1")).unwrap();
    let (filling, older) = older.split_once('\n').unwrap();
    assert!(filling.bytes().all(|byte| byte == 0));
    let text = older.to_owned() + &audited.text();
    let mut times: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["time"].as_str().unwrap().to_owned())
        .collect();
    times.sort();
    times.dedup();
    assert_eq!(times.len() as u64, WRITERS * EACH);
    assert!(!older.is_empty() && !audited.path("grants.jsonl.2").exists());
}

#[test]
fn what_is_no_file_of_ours_is_refused_and_left_alone() {
    let audited = AuditedData::new();
    let victim = audited.data.path().join("victim");
    fs::write(&victim, "as it was").unwrap();
    for name in ["grants.jsonl.lock", "grants.jsonl"] {
        symlink(&victim, audited.path(name)).unwrap();
        audited.log.record(&entry(Event::PassphraseSet)).unwrap_err();
        fs::remove_file(audited.path(name)).unwrap();
        // A link that leads nowhere makes nothing there.
        symlink(audited.data.path().join("new"), audited.path(name)).unwrap();
        audited.log.record(&entry(Event::PassphraseSet)).unwrap_err();
        fs::remove_file(audited.path(name)).unwrap();
        // Nobody reads it: whoever opened it in the usual way would wait.
        nix::unistd::mkfifo(&audited.path(name), Mode::S_IRWXU).unwrap();
        audited.log.record(&entry(Event::PassphraseSet)).unwrap_err();
        fs::remove_file(audited.path(name)).unwrap();
    }
    fs::create_dir(audited.grants()).unwrap();
    audited.log.record(&entry(Event::PassphraseSet)).unwrap_err();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    assert!(!audited.data.path().join("new").exists());
}

#[test]
fn a_directory_of_somebody_elses_choosing_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = data.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, data.path().join("audit")).unwrap();
    audit::directory(data.path()).unwrap_err();
    FileAudit::new(&data.path().join("audit")).record(&entry(Event::PassphraseSet)).unwrap_err();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);

    if !nix::unistd::geteuid().is_root() {
        return skip("needs root, to make a directory of another user");
    }
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("audit")).unwrap();
    chown(data.path().join("audit"), Some(65534), None).unwrap();
    assert_eq!(audit::directory(data.path()).unwrap_err().kind(), ErrorKind::PermissionDenied);
    FileAudit::new(&data.path().join("audit")).record(&entry(Event::PassphraseSet)).unwrap_err();
}

/// A process that may write files of 512 bytes gets a part of the second line to disk, and then an error.
#[test]
fn what_does_not_fit_is_an_error_and_is_cut_off_again() {
    const PLACE: &str = "AUDIT_TEST_PLACE";
    if let Some(data) = std::env::var_os(PLACE) {
        let log = FileAudit::new(&audit::directory(Path::new(&data)).unwrap());
        for _ in 0..3 {
            assert_eq!(log.record(&entry(Event::PassphraseSet)).unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
        return;
    }
    let audited = AuditedData::new();
    let before = format!("{}\n", "x".repeat(450));
    fs::write(audited.grants(), &before).unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "grants::what_does_not_fit_is_an_error_and_is_cut_off_again", "--nocapture"])
        .env(PLACE, audited.data.path())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.windows(8).any(|w| w == b"1 passed"), "{output:?}");
    assert_eq!(audited.text(), before);
    audited.log.record(&entry(Event::PassphraseSet)).unwrap();
    assert_eq!(audited.text().lines().count(), 2);
}

#[test]
fn a_full_disk_fails_each_grant_and_not_the_start() {
    let audited = tempfile::tempdir().unwrap();
    let mount = |options| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(audited.path());
        command.output().is_ok_and(|output| output.status.success())
    };
    if !mount("nr_inodes=1,mode=755") {
        return skip("needs root and the right to mount, for a full disk");
    }
    let _mounted = Mount(audited.path());
    let directory = audit::directory(audited.path()).unwrap();
    let log = FileAudit::new(&directory);
    log.record(&entry(Event::PassphraseSet)).unwrap_err();
    assert!(mount("remount,nr_inodes=100,size=16k"));
    log.record(&entry(Event::PassphraseSet)).unwrap();

    let rest = directory.join("rest");
    let mut room: u64 = 16 * 1024;
    while room > 0 && fs::write(&rest, vec![b'x'; room as usize]).is_err() {
        room -= 512;
    }
    let (mut written, began) = (1, SystemTime::now());
    let error = loop {
        match log.record(&entry(Event::PassphraseSet)) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(began.elapsed().unwrap() < Duration::from_secs(30));
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    fs::remove_file(&rest).unwrap();
    log.record(&entry(Event::PassphraseSet)).unwrap();
    // Each line is whole, and what failed is not among them.
    assert_eq!(lines(&directory.join("grants.jsonl")).len(), written + 1);
}

struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}
