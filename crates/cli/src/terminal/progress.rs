//! Progress of a call, on one line of the user's terminal that is drawn again and again, and cleared in the end.
//!
//! Nothing of it is seen where standard error is no terminal: logs and scripts get the outcome alone. It has no
//! colours.

use std::env;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{output, text};

/// Between two drawings.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);
/// One is shown after the other while a step lasts.
const SPINNER: [&str; 4] = ["|", "/", "-", "\\"];
/// No line is longer, in characters; a terminal cuts it before that.
const MAX_LINE: usize = 200;

/// What a call is at. Dropping it, as happens on a signal too, clears the line.
pub(crate) struct Progress {
    /// `None` where nobody watches.
    screen: Option<Screen>,
    step: String,
    /// How much of the step is done, if the service tells.
    percent: Option<u8>,
    frame: usize,
}

struct Screen {
    interval: Interval,
    write: fn(&str),
    /// Whether there is something to clear.
    drawn: bool,
}

impl Progress {
    /// Begins with `step`; it is seen as soon as something is waited for.
    pub(crate) fn new(step: &str) -> Self {
        let watched = can_redraw(io::stderr().is_terminal(), env::var("TERM").ok().as_deref());
        Self::on(watched.then_some(output::write_stderr as fn(&str)), step)
    }

    /// For a call beside which something else is seen on the terminal.
    pub(crate) fn hidden() -> Self {
        Self::on(None, "")
    }

    fn on(write: Option<fn(&str)>, step: &str) -> Self {
        let screen = write.map(|write| {
            let mut interval = interval(FRAME_INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Screen { interval, write, drawn: false }
        });
        let mut progress = Self { screen, step: String::new(), percent: None, frame: 0 };
        progress.step(step, None);
        progress
    }

    /// Goes on to another step, or further in the same one.
    pub(crate) fn step(&mut self, step: &str, percent: Option<u8>) {
        self.step = text::one_line(step).chars().take(MAX_LINE).collect();
        self.percent = percent;
    }

    /// Tells the user something that stays.
    pub(crate) fn tell(&mut self, message: &str) {
        self.clear();
        output::tell(message);
    }

    /// Waits for `event` and draws until it comes.
    pub(crate) async fn during<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        loop {
            let Some(screen) = &mut self.screen else {
                return event.await;
            };
            tokio::select! {
                biased;
                outcome = &mut event => return outcome,
                _ = screen.interval.tick() => self.draw(),
            }
        }
    }

    fn draw(&mut self) {
        let line = self.line();
        self.frame = self.frame.wrapping_add(1);
        if let Some(screen) = &mut self.screen {
            // Returns to the beginning of the line, erases it, and keeps the terminal from wrapping what is too long for it, as
            // only the last line of that could be erased (DECAWM).
            (screen.write)(&format!("\r\x1b[K\x1b[?7l{line}\x1b[?7h"));
            screen.drawn = true;
        }
    }

    fn line(&self) -> String {
        let spinner = SPINNER.get(self.frame % SPINNER.len()).copied().unwrap_or_default();
        match self.percent {
            Some(percent) => format!("{} {percent}% {spinner}", self.step),
            None => format!("{} {spinner}", self.step),
        }
    }

    fn clear(&mut self) {
        if let Some(screen) = self.screen.as_mut().filter(|screen| screen.drawn) {
            (screen.write)("\r\x1b[K");
            screen.drawn = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Whether a line can be drawn again. A console of Windows may take the control sequences for text.
fn can_redraw(is_terminal: bool, kind: Option<&str>) -> bool {
    cfg!(unix) && is_terminal && !matches!(kind, None | Some("" | "dumb"))
}

#[cfg_attr(
    windows,
    allow(clippy::missing_const_for_thread_local, reason = "it is made so, and not seen there")
)]
#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use transport::testkit::run;

    use super::*;

    thread_local! {
        static WRITTEN: RefCell<String> = const { RefCell::new(String::new()) };
    }

    fn write(text: &str) {
        WRITTEN.with_borrow_mut(|written| written.push_str(text));
    }

    fn written() -> String {
        WRITTEN.take()
    }

    #[test]
    fn the_line_is_drawn_while_something_is_waited_for_and_cleared_in_the_end() {
        run(async {
            let mut progress = Progress::on(Some(write), "Waiting");
            progress.during(std::future::ready(())).await;
            assert_eq!(written(), "", "what is there at once needs no progress");

            progress.during(tokio::time::sleep(FRAME_INTERVAL * 3)).await;
            assert!(written().starts_with("\r\x1b[K\x1b[?7lWaiting |\x1b[?7h\r\x1b[K\x1b[?7lWaiting /"));

            progress.step("Retrieving image:", Some(7));
            progress.during(tokio::time::sleep(FRAME_INTERVAL * 2)).await;
            assert!(written().contains("Retrieving image: 7% "));
            drop(progress);
            assert_eq!(written(), "\r\x1b[K");
        });
    }

    #[test]
    fn it_is_cleared_when_the_command_is_given_up() {
        run(async {
            let mut progress = Progress::on(Some(write), "Waiting");
            let endless = async move { progress.during(std::future::pending::<()>()).await };
            assert!(tokio::time::timeout(FRAME_INTERVAL * 2, endless).await.is_err());
            assert!(written().ends_with("\x1b[?7h\r\x1b[K"));
        });
    }

    #[test]
    fn what_the_service_sends_cannot_drive_the_terminal_nor_fill_it() {
        run(async {
            let mut progress = Progress::on(Some(write), "");
            progress.step(&format!("\u{1b}[2J\nx{}", "y".repeat(70_000)), None);
            assert_eq!(progress.line(), format!("[2J x{} |", "y".repeat(MAX_LINE - 5)));
        });
    }

    #[test]
    fn only_a_terminal_that_can_redraw_is_drawn_on() {
        for (is_terminal, kind, expected) in [
            (true, Some("xterm-256color"), true),
            (true, Some("dumb"), false),
            (true, Some(""), false),
            (true, None, false),
            (false, Some("xterm"), false),
        ] {
            assert_eq!(can_redraw(is_terminal, kind), expected && cfg!(unix), "{is_terminal} {kind:?}");
        }
    }
}
