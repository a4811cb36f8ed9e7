//! Completions, as a shell has them, and man pages, as a reader has them.

use std::fs;
use std::process::Command;

use e2e::{Outcome, Sandbox, skip};

use crate::support::{Expected, Service, run};

/// The words that bash offers for the last one of `line`.
fn bash(service: &Service, line: &[&str]) -> Vec<String> {
    let script = service.sandbox.path("completions.bash");
    if !script.exists() {
        let outcome = run(&service.user("user"), &["completions", "bash"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        fs::write(&script, outcome.stdout).expect("written");
    }
    // As bash does it (bash(1), Programmable Completion): the function gets the command, the word and the one before.
    let program = "source \"$1\"; shift
        set -- \"$@\"; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; COMP_POINT=${#COMP_LINE}
        [[ $(complete -p multipass) == *' -F _multipass '* ]] || exit 3
        _multipass multipass \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\" 2> /dev/null
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-c", program, "bash"]).arg(&script).arg("multipass").args(line);
    let outcome = Outcome::of(&mut command, "").expect("bash");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        skip(&format!("needs {program}"));
    }
    found
}

#[test]
fn bash_completes_commands_options_and_values() {
    if !has("bash") {
        return;
    }
    let service = Service::start();
    for (line, expected) in [
        (&["lau"][..], &["launch"][..]),
        (&["re"], &["recover", "remote", "restart"]),
        (&["list", "--f"], &["--format", "--fingerprint"]),
        (&["ls", "--sn"], &["--snapshots"]),
        (&["list", "--format", "j"], &["json"]),
        (&["wait-ready", "--ti"], &["--timeout"]),
        (&["clients", "re"], &["rename", "revoke"]),
        (&["remote", "de"], &["default"]),
        (&["list", "--rem"], &["--remote"]),
        (&["clients", "add", "--us"], &["--user"]),
        (&["completions", "z"], &["zsh"]),
        (&["nosuch"], &[""]),
    ] {
        let mut offered = bash(&service, line);
        offered.sort();
        let mut expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
        expected.sort();
        assert_eq!(offered, expected, "{line:?}");
    }
    // What is not for users is not offered.
    assert!(!bash(&service, &["clients", ""]).contains(&"own-certificate".to_owned()));
    assert!(!bash(&service, &[""]).contains(&"man".to_owned()));
    assert!(bash(&service, &[""]).contains(&"doctor".to_owned()));
    assert_eq!(service.trusted(), 0);
}

#[test]
fn every_shell_takes_its_script() {
    let service = Service::start();
    let user = service.user("user");
    for (shell, part) in
        [("zsh", "#compdef multipass"), ("fish", "complete -c multipass"), ("bash", "_multipass()")]
    {
        let outcome = run(&user, &["completions", shell]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        assert!(outcome.stdout.contains(part), "{shell}");
        if has(shell) {
            let path = service.sandbox.path(shell);
            fs::write(&path, outcome.stdout).expect("written");
            let checked = Outcome::of(Command::new(shell).arg("-n").arg(&path), "").expect("the shell");
            assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{shell}");
        }
    }
    run(&user, &["completions", "tcsh"]).fails(1, "", &["invalid value 'tcsh'"]);
    run(&user, &["completions"]).fails(1, "", &["<shell>"]);
    assert!(fs::read_dir(&user.home).expect("a home").next().is_none(), "no certificate is needed");
}

/// The client that ships has no such command: the feature `man` makes it, for `cargo xtask man`.
#[test]
fn a_man_page_for_each_command_that_man_reads_without_complaint() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let pages = sandbox.path("pages");
    let mut command = Command::new(sandbox.path("multipass"));
    let outcome = Outcome::of(command.arg("man").arg(&pages), "").expect("the client runs");
    if outcome.stderr.contains("unrecognized subcommand") {
        skip("needs a client that is built with the feature 'man'");
        return;
    }
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""));
    for (page, parts) in [
        ("multipass.1", &["multipass \\- The client of the Multipass service", "multipass\\-launch(1)"][..]),
        ("multipass-authenticate.1", &["Authenticate with the Multipass service", "\\-\\-passphrase\\-file"]),
        ("multipass-list.1", &["List all instances or snapshots", "\\-\\-format"]),
        ("multipass-remote-add.1", &["Give the service at an address a name", "\\-\\-replace"]),
        ("multipass-clients-add.1", &["multipass clients add", "\\-\\-user"]),
        ("multipass-doctor.1", &["Nothing", "multipass doctor"]),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        for part in parts {
            assert!(text.contains(part), "no {part:?} in {page}:\n{text}");
        }
    }
    assert!(!pages.join("multipass-man.1").exists());
    assert!(!pages.join("multipass-clients-own-certificate.1").exists());
    if !has("man") {
        return;
    }
    for page in fs::read_dir(&pages).expect("pages") {
        let page = page.expect("a page").path();
        let mut man = Command::new("man");
        // As lintian looks at pages.
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page);
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        let read = Outcome::of(&mut man, "").expect("man");
        assert_eq!((read.code, read.stderr.as_str()), (0, ""), "{}", page.display());
        assert!(read.stdout.len() > 200, "{}", page.display());
    }
}
