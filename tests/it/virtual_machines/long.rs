//! A guest as users have them: a real Debian, which cloud-init sets up.

use std::fs;

use e2e::{DaemonOptions, Sandbox};

use super::Host;
use crate::support::{Expected, NO_INSTANCES, run};

const WISHES: &str = "\
#cloud-config
write_files:
  - path: /etc/wished-for
    content: |
      tulips
runcmd:
  - [sh, -c, 'tr a-z A-Z </etc/wished-for >/var/lib/wished-for']
";

#[test]
#[ignore = "boots a whole Debian, which takes minutes"]
fn a_real_debian_is_set_up_by_cloud_init() {
    let made_by = "cargo xtask guest-image --debian";
    let sandbox = Sandbox::of_this_build().expect("a sandbox");
    let Some(host) = Host::with("debian.qcow2", made_by, sandbox, DaemonOptions::default()) else { return };
    let user = host.service().first_client();
    let (image, wishes) = (host.image.display().to_string(), host.service().sandbox.path("wishes.yaml"));
    fs::write(&wishes, WISHES).unwrap();
    let wishes = wishes.display().to_string();
    let launch = ["launch", &image, "--name", "bookworm", "--memory", "512M", "--disk", "4G"];
    let launched = run(&user, &[&launch[..], &["--cloud-init", &wishes, "--timeout", "600"]].concat());
    assert_eq!((launched.code, launched.stdout.as_str()), (0, "Launched: bookworm\n"), "{launched:?}");

    // It answers before it is all set up.
    let status = run(&user, &["exec", "bookworm", "--", "cloud-init", "status", "--wait"]);
    assert!(status.code == 0 && status.stdout.contains("status: done"), "{status:?}");
    for (command, prints) in [
        (&["cat", "/etc/wished-for"][..], "tulips\n"),
        (&["cat", "/var/lib/wished-for"], "TULIPS\n"),
        (&["hostname"], "bookworm\n"),
        (&["whoami"], "ubuntu\n"),
        (&["sudo", "-n", "whoami"], "root\n"),
    ] {
        run(&user, &[&["exec", "bookworm", "--"], command].concat()).prints(prints);
    }
    assert_eq!(run(&user, &["exec", "bookworm", "--", "sh", "-c", "exit 7"]).code, 7);

    let info = run(&user, &["info", "bookworm", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&info.stdout).unwrap();
    let told = &info["info"]["bookworm"];
    assert_eq!(told["release"], "Debian GNU/Linux 12 (bookworm)", "{told}");
    // The image's is of 1.4 GiB: it has grown with the disk.
    let disk: u64 = told["disks"]["sda1"]["total"].as_str().unwrap().parse().unwrap();
    assert!(disk > 3 << 30, "{told}");

    run(&user, &["stop", "bookworm"]).prints("");
    run(&user, &["delete", "--purge", "bookworm"]).prints("");
    run(&user, &["list"]).prints(NO_INSTANCES);
}
