//! A server that is not the one which the client holds for the service hears nothing from it.

use std::fs;

use e2e::{Client, Outcome, Sandbox};

use crate::recorder::{Record, Recorder};
use crate::support::Expected;

const SECRET: &str = "open sesame";
/// SHA-256 of no key that there is.
const ANOTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// The ways to say the secret to the service.
const WAYS: [(&[&str], &str); 4] = [
    (&["authenticate", SECRET], ""),
    (&["authenticate"], "open sesame\n"),
    (&["set", "local.passphrase=open sesame"], ""),
    (&["set", "local.passphrase"], "open sesame\n"),
];

fn say(user: &Client, pin: [&str; 2], way: (&[&str], &str)) -> Outcome {
    user.run_with_input(&[&pin, way.0].concat(), way.1).expect("the client runs")
}

fn client_of(sandbox: &Sandbox, server: &Recorder) -> Client {
    Client::elsewhere(sandbox, "user", &server.endpoint.to_string()).expect("a home")
}

#[test]
fn a_server_with_another_key_than_pinned_hears_nothing() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let socket = format!("unix:{}", sandbox.path("socket").display());
    let other_root = sandbox.path("root.pem");
    fs::write(&other_root, &Recorder::start("localhost:0").root_pem).expect("written");
    let other_root = other_root.display().to_string();
    for address in [socket.as_str(), "localhost:0", "quic:localhost:0"] {
        let server = Recorder::start(address);
        let user = client_of(&sandbox, &server);
        let pins = [["--fingerprint", ANOTHER], ["--root-cert", &other_root]];
        for pin in pins {
            for way in WAYS {
                say(&user, pin, way).fails(2, &format!("{} failed: ", way.0[0]), &["root"]);
            }
        }
        // The connections came about, and on none of them came more than a greeting.
        let heard = server.record();
        assert_eq!(heard, Record { arrived: pins.len() * WAYS.len(), ..Record::default() }, "{address}");

        // It would have been heard.
        let pinned = server.root.fingerprint().to_string();
        assert_eq!(say(&user, ["--fingerprint", &pinned], WAYS[0]).code, 2, "no answer came");
        let heard = server.record();
        assert!(heard.contains(SECRET) && heard.identified == 1, "{address}: {heard:?}");
    }
}

#[test]
fn the_right_server_hears_the_secret_in_each_of_the_ways() {
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    for way in WAYS {
        let server = Recorder::start("localhost:0");
        let pinned = server.root.fingerprint().to_string();
        let outcome = say(&client_of(&sandbox, &server), ["--fingerprint", &pinned], way);
        assert_eq!(outcome.code, 2, "no answer came: {outcome:?}");
        assert!(server.record().contains(SECRET), "{way:?}: {outcome:?}");
    }
}
