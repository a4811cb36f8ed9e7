//! Secrets do not show in `Debug`, and move out of a request without leaving a copy in it.

use std::collections::HashMap;
use std::fmt::Debug;

use rpc::instances::{Access, TunnelReply, tunnel_reply};
use rpc::trust::{CreateTokenReply, RedeemTokenRequest, SetPassphraseRequest};
use rpc::{
    AuthenticateRequest, GetReply, LaunchRequest, MountRequest, RestartRequest, SetRequest, SshInfo,
    SshInfoReply, StartRequest, launch_request,
};
use zeroize::ZeroizeOnDrop;

const SECRET: &str = "hunter2-hunter2";

fn secret() -> String {
    SECRET.to_owned()
}

fn token() -> CreateTokenReply {
    CreateTokenReply {
        id: "an-id".to_owned(),
        secret: secret(),
        expires: "2030-01-01".to_owned(),
        addresses: vec!["unix:/a/socket".to_owned()],
        root_fingerprint: "a-root".to_owned(),
    }
}

/// The secret is out of sight, in either form of `Debug`, and the rest is in sight.
#[track_caller]
fn shows(message: &dyn Debug, redacted: &[&str], shown: &[&str]) {
    for text in [format!("{message:?}"), format!("{message:#?}")] {
        assert!(!text.contains("hunter2"), "{text}");
        for field in redacted {
            assert!(text.contains(&format!("{field}: [redacted]")), "{field} in {text}");
        }
        for part in shown {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    shows(
        &AuthenticateRequest { passphrase: secret(), verbosity_level: 3 },
        &["passphrase"],
        &["verbosity_level: 3"],
    );
    shows(
        &SetRequest { key: "some.key".to_owned(), val: secret(), verbosity_level: 3, authorized: true },
        &["val"],
        &["some.key", "verbosity_level: 3", "authorized: true"],
    );
    shows(&SetPassphraseRequest { passphrase: secret() }, &["passphrase"], &[]);
    shows(&RedeemTokenRequest { secret: secret() }, &["secret"], &[]);
    shows(&token(), &["secret"], &["an-id", "2030-01-01", "unix:/a/socket", "a-root"]);
    shows(&GetReply { value: secret(), log_line: "a line".to_owned() }, &["value"], &["a line"]);
    let network =
        launch_request::NetworkOptions { id: "eth7".to_owned(), mode: 1, mac_address: String::new() };
    shows(
        &LaunchRequest {
            instance_name: "an-instance".to_owned(),
            cloud_init_user_data: secret(),
            password: secret(),
            network_options: vec![network],
            ..Default::default()
        },
        &["cloud_init_user_data", "password"],
        &["an-instance", "eth7"],
    );
    shows(
        &MountRequest { source_path: "/a/path".to_owned(), password: secret(), ..Default::default() },
        &["password"],
        &["/a/path"],
    );
    shows(&StartRequest { timeout: 77, password: secret(), ..Default::default() }, &["password"], &["77"]);
    shows(&RestartRequest { timeout: 77, password: secret(), ..Default::default() }, &["password"], &["77"]);
}

#[test]
fn debug_shows_no_private_key_inside_a_reply() {
    let access = Access {
        user_name: "a-user".to_owned(),
        host_key: "ssh-ed25519 AAAA".to_owned(),
        private_key: secret(),
    };
    shows(&access, &["private_key"], &["a-user", "ssh-ed25519"]);
    let reply = TunnelReply { part: Some(tunnel_reply::Part::Access(access)) };
    shows(&reply, &["private_key"], &["a-user"]);
}

#[test]
fn debug_shows_no_private_key_inside_a_map() {
    let info = SshInfo {
        port: 2222,
        priv_key_base64: secret(),
        host: "a-host".to_owned(),
        username: "a-user".to_owned(),
    };
    shows(&info, &["priv_key_base64"], &["2222", "a-host", "a-user"]);
    let reply = SshInfoReply { ssh_info: HashMap::from([("x".to_owned(), info)]), log_line: String::new() };
    shows(&reply, &["priv_key_base64"], &["a-host"]);
}

#[test]
fn debug_does_not_tell_whether_a_secret_is_empty() {
    let with = AuthenticateRequest { passphrase: secret(), verbosity_level: 0 };
    assert_eq!(format!("{with:?}"), format!("{:?}", AuthenticateRequest::default()));
    let with = SetRequest { val: secret(), key: String::new(), verbosity_level: 0, authorized: false };
    assert_eq!(format!("{with:?}"), format!("{:?}", SetRequest::default()));
    let with = SetPassphraseRequest { passphrase: secret() };
    assert_eq!(format!("{with:?}"), format!("{:?}", SetPassphraseRequest::default()));
    let with = RedeemTokenRequest { secret: secret() };
    assert_eq!(format!("{with:?}"), format!("{:?}", RedeemTokenRequest::default()));
}

#[test]
fn a_taken_secret_is_moved_not_copied() {
    let mut request = AuthenticateRequest { passphrase: secret(), verbosity_level: 0 };
    let bytes = request.passphrase.as_ptr();
    let taken = request.take_passphrase();
    assert_eq!((taken.as_str(), taken.as_ptr()), (SECRET, bytes));
    assert_eq!(request.passphrase, "");

    let mut request = SetRequest { key: String::new(), val: secret(), verbosity_level: 0, authorized: false };
    let bytes = request.val.as_ptr();
    let taken = request.take_val();
    assert_eq!((taken.as_str(), taken.as_ptr()), (SECRET, bytes));
    assert_eq!(request.val, "");

    let mut request = SetPassphraseRequest { passphrase: secret() };
    let bytes = request.passphrase.as_ptr();
    let taken = request.take_passphrase();
    assert_eq!((taken.as_str(), taken.as_ptr()), (SECRET, bytes));
    assert_eq!(request.passphrase, "");

    let mut request = RedeemTokenRequest { secret: secret() };
    let bytes = request.secret.as_ptr();
    let taken = request.take_secret();
    assert_eq!((taken.as_str(), taken.as_ptr()), (SECRET, bytes));
    assert_eq!(request.secret, "");

    let mut reply = token();
    let bytes = reply.secret.as_ptr();
    let taken = reply.take_secret();
    assert_eq!((taken.as_str(), taken.as_ptr()), (SECRET, bytes));
    assert_eq!(reply.secret, "");
}

#[test]
fn the_messages_with_a_passphrase_or_a_token_are_wiped_on_drop() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<AuthenticateRequest>();
    wiped::<SetRequest>();
    wiped::<SetPassphraseRequest>();
    wiped::<CreateTokenReply>();
    wiped::<RedeemTokenRequest>();
}
