//! `multipass version`: the client's always, the service's if it knows the client.

use std::fs;

use e2e::{Client, Outcome};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Expected, NO_INSTANCES, Service, VERSION, run};

fn one_line() -> String {
    format!("multipass   {VERSION}\n")
}

fn two_lines() -> String {
    format!("multipass   {VERSION}\nmultipassd  {VERSION}\n")
}

#[test]
fn who_is_not_trusted_sees_the_clients() {
    let service = Service::start();
    let user = service.user("user");
    run(&user, &["version"]).prints(&one_line());
    run(&user, &["--version"]).prints(&one_line());
    assert_eq!(fs::read_dir(&user.home).expect("the home").count(), 0, "no certificate was made");

    let first = service.first_client();
    run(&user, &["list"]);
    run(&user, &["version"]).prints(&one_line());
    run(&first, &["version"]).prints(&two_lines());
    assert_eq!(service.trusted(), 1);
}

#[test]
fn whatever_keeps_the_service_from_answering_is_no_failure() {
    let service = Service::start();
    let user = service.first_client();
    run(&user, &["version"]).prints(&two_lines());

    let none = user.home.join("none");
    let garbage = user.home.join("garbage");
    fs::write(&garbage, "garbage").expect("written");
    for (variable, value) in [
        ("MULTIPASS_SERVER_ADDRESS", format!("unix:{}", none.display())),
        ("MULTIPASS_SERVER_ADDRESS", "no address at all".to_owned()),
        ("MULTIPASS_ROOT_CERT", none.display().to_string()),
        ("MULTIPASS_ROOT_CERT", garbage.display().to_string()),
        ("HOME", none.display().to_string()),
        ("HOME", String::new()),
    ] {
        let outcome = Outcome::of(user.command(&["version"]).env(variable, &value), "").expect("runs");
        assert_eq!(outcome, printed(&one_line()), "{variable}={value}");
    }

    service.daemon.stop_with(Signal::SIGKILL).expect("an end");
    run(&user, &["version"]).prints(&one_line());
}

fn printed(stdout: &str) -> Outcome {
    Outcome { code: 0, stdout: stdout.to_owned(), stderr: String::new() }
}

#[test]
fn formats_have_the_documented_names() {
    let service = Service::start();
    let (user, first) = (service.user("user"), service.first_client());
    assert_eq!(json(&user), json!({ "multipass": VERSION }));
    assert_eq!(json(&first), json!({ "multipass": VERSION, "multipassd": VERSION }));

    let header = "Multipass,Multipassd,Title,Description,URL\n";
    run(&user, &["version", "--format", "csv"]).prints(&format!("{header}{VERSION},,,,\n"));
    run(&first, &["version", "--format", "csv"]).prints(&format!("{header}{VERSION},{VERSION},,,\n"));

    // Whether a version needs quotes depends on its digits.
    let yaml = |user| run(user, &["version", "--format", "yaml"]).stdout.replace('"', "");
    assert_eq!(yaml(&user), format!("multipass: {VERSION}\n"));
    assert_eq!(yaml(&first), format!("multipass: {VERSION}\nmultipassd: {VERSION}\n"));

    run(&first, &["version", "--format", "table"]).prints(&two_lines());
    run(&first, &["list"]).prints(NO_INSTANCES);
}

fn json(user: &Client) -> Value {
    let outcome = run(user, &["version", "--format", "json"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).expect("JSON")
}
