//! Instances: what the service adds to the time that a guest takes by itself.
//!
//! The image store has the image already. A file is still read and hashed at each launch, to know that it is the same.

use e2e::{end_machines, without_qemu};

use super::{HOME, Stage, Turns, numbers};
use crate::bench::process::ask;
use crate::bench::report::{Limits, Unit};
use crate::bench::{Measured, Pace};
use crate::guest_image;
use crate::workspace::Workspace;

impl Stage {
    pub(super) fn launch(&self, workspace: &Workspace, pace: Pace) -> anyhow::Result<Measured> {
        if let Some(why) = without_qemu() {
            return Ok(Measured::Skipped(why));
        }
        let image = match guest_image::build(workspace) {
            Ok(image) => image,
            Err(error) => return Ok(Measured::Skipped(format!("{error:#}"))),
        };
        let daemon = self.start(HOME)?;
        let data = daemon.data.clone();
        let mut launch = self.as_client("launch", daemon.address(), HOME);
        launch.arg("--image").arg(image).arg("--instances").arg(data.join("instances"));
        let found = ask(launch.args(["--count", &pace.launches.to_string()]));
        drop(daemon);
        end_machines(&data);
        let found = found?;
        let figure = |name, what: &str, must, aim| {
            let turns = Turns { floor: Vec::new(), ours: numbers(&found, name)? };
            Ok(turns.figure(what, Unit::Seconds, Limits::AtMost { must, aim }))
        };
        let figures = [
            figure("to_qemu", "launch: request to QEMU's start", 0.300, 0.150),
            figure("to_reply", "launch: SSH's answer to the reply", 0.250, 0.125),
        ];
        figures.into_iter().collect::<anyhow::Result<_>>().map(Measured::Figures)
    }
}
