//! `list` and `info` of a service that has no instances.

use serde_json::{Value, json};

use crate::support::{Expected, NO_INSTANCES, Service, run};

#[test]
fn there_is_nothing_to_list() {
    let service = Service::start();
    let user = service.first_client();
    for arguments in [&["list"][..], &["ls"], &["list", "--format", "table"]] {
        run(&user, arguments).prints(NO_INSTANCES);
    }
    run(&user, &["list", "--snapshots"]).prints("No snapshots found.\n");
}

#[test]
fn json_has_the_documented_names() {
    let service = Service::start();
    let user = service.first_client();
    for (arguments, expected) in [
        (&["list"][..], json!({ "list": [] })),
        (&["list", "--snapshots"], json!({ "errors": [], "info": {} })),
        (&["info"], json!({ "errors": [], "info": {} })),
    ] {
        let outcome = run(&user, &[arguments, &["--format", "json"]].concat());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
        let found: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        assert_eq!(found, expected, "{arguments:?}");
        assert!(outcome.stdout.trim_end().contains('\n'), "pretty-printed: {}", outcome.stdout);
    }
}

#[test]
fn csv_has_the_documented_header() {
    let service = Service::start();
    let user = service.first_client();
    for (arguments, header) in [
        (&["list"][..], "Name,State,IPv4,Release,AllIPv4,Zone,Zone available"),
        (&["list", "--snapshots"], "Instance,Snapshot,Parent,Comment"),
        (
            &["info"],
            "Name,State,Zone,Zone available,Ipv4,Release,Image hash,Image release,Load,Disk usage,Disk total,\
             Memory usage,Memory total,Mounts,AllIPv4,CPU(s),Snapshots",
        ),
    ] {
        run(&user, &[arguments, &["--format", "csv"]].concat()).prints(&format!("{header}\n"));
    }
}

#[test]
fn yaml_of_nothing_is_an_empty_mapping() {
    let service = Service::start();
    let user = service.first_client();
    run(&user, &["list", "--format", "yaml"]).prints("{}\n");
    run(&user, &["list", "--snapshots", "--format", "yaml"]).prints("{}\n");
    let info = run(&user, &["info", "--format", "yaml"]);
    let lines: Vec<&str> = info.stdout.lines().map(str::trim).collect();
    assert_eq!(lines, ["errors:", "- ~"], "{info:?}");
}

#[test]
fn an_unknown_instance_is_named() {
    let service = Service::start();
    let user = service.first_client();
    for (arguments, name) in [
        (&["info", "nosuch"][..], "nosuch"),
        (&["info", "nosuch.snapshot1"], "nosuch"),
        (&["info", "one", "two", "--format", "json"], "one"),
    ] {
        run(&user, arguments).fails(2, &format!("info failed: instance \"{name}\" does not exist"), &[]);
    }
    run(&user, &["delete", "nosuch.snapshot1"]).fails(
        2,
        "delete failed: instance \"nosuch\" does not exist",
        &[],
    );
    for name in ["shell", "sh", "connect"] {
        run(&user, &[name, "nosuch"]).fails(2, "shell failed: instance \"nosuch\" does not exist", &[]);
    }
}
