//! `multipass get` and `multipass set`.

use crate::support::{Expected, Service, run, run_with_input};

#[test]
fn the_passphrase_is_told_as_set_or_not() {
    let service = Service::start();
    let user = service.first_client();
    let told = |expected: &str| {
        run(&user, &["get", "local.passphrase"]).prints(expected);
        run(&user, &["get", "local.passphrase", "--raw"]).prints(expected);
    };
    told("false\n");
    run(&user, &["set", "local.passphrase=some words"]).prints("");
    told("true\n");
    run(&user, &["set", "local.passphrase=false"]).prints("");
    told("true\n");
    run(&user, &["set", "local.passphrase="]).prints("");
    told("false\n");
    // Unsetting what is not set is no failure.
    run(&user, &["set", "local.passphrase="]).prints("");
    told("false\n");
}

#[test]
fn the_passphrase_can_be_piped_in() {
    let service = Service::start();
    let user = service.first_client();
    run_with_input(&user, &["set", "local.passphrase"], "piped words\n").prints("");
    run(&user, &["get", "local.passphrase"]).prints("true\n");
    run(&service.user("other"), &["authenticate", "piped words"]).prints("");

    for input in ["\n", ""] {
        run_with_input(&user, &["set", "local.passphrase"], input).fails(1, "No passphrase given", &[]);
    }
    run(&user, &["get", "local.passphrase"]).prints("true\n");
}

#[test]
fn the_keys_stand_in_the_documented_order() {
    let service = Service::start();
    run(&service.first_client(), &["get", "--keys"]).prints(
        "client.primary-name\n\
         local.bridged-network\n\
         local.driver\n\
         local.image.mirror\n\
         local.passphrase\n\
         local.privileged-mounts\n",
    );
}

#[test]
fn each_key_that_is_listed_can_be_read() {
    let service = Service::start();
    let user = service.first_client();
    let keys = run(&user, &["get", "--keys"]).stdout;
    for key in keys.lines() {
        let outcome = run(&user, &["get", key]);
        assert_eq!((outcome.code, outcome.stdout.lines().count()), (0, 1), "{key}: {outcome:?}");
    }
}

#[test]
fn an_empty_value_is_shown_as_such() {
    let service = Service::start();
    let user = service.first_client();
    for key in ["local.bridged-network", "local.image.mirror"] {
        run(&user, &["get", key]).prints("<empty>\n");
        run(&user, &["get", key, "--raw"]).prints("\n");
    }
}

#[test]
fn an_unknown_key_is_named() {
    let service = Service::start();
    let user = service.first_client();
    for key in ["local.nosuch", "nosuch", "local.passphras", "local.Passphrase", "local."] {
        let message = format!("Unrecognized settings key: '{key}'");
        let step = &["multipass get --keys"];
        run(&user, &["get", key]).fails(2, &format!("get failed: {message}"), step);
        run(&user, &["set", &format!("{key}=value")]).fails(2, &format!("set failed: {message}"), step);
    }
}
