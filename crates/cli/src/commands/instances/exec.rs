//! `exec`: a command in an instance. Its exit code is this program's.

use std::ffi::{OsStr, OsString};

use crate::args::ExecArgs;
use crate::connection::{Context, Service};
use crate::error::Error;
use crate::guest::{Guest, attach};
use crate::terminal::TerminationSignals;

/// Runs the command.
///
/// # Errors
/// The instance is not up, or the command has failed.
pub(crate) async fn exec(context: &Context, args: &ExecArgs) -> Result<String, Error> {
    let mut signals = TerminationSignals::of_process();
    let (service, guest) = signals
        .interrupt(async {
            let service = Service::connect(context).await?;
            let guest = Guest::connect(&service, &args.instance).await?;
            Ok((service, guest))
        })
        .await?;
    let command = shell_command(&args.command, args.working_directory.as_deref());
    let outcome = attach(guest, Some(&command), &mut signals).await;
    drop(service);
    outcome
}

/// The command as the guest's shell reads it, byte for byte.
fn shell_command(command: &[OsString], directory: Option<&OsStr>) -> Vec<u8> {
    let mut line = Vec::new();
    if let Some(directory) = directory {
        line.extend_from_slice(b"cd -- ");
        push_quoted(directory, &mut line);
        line.extend_from_slice(b" && ");
    }
    for (index, word) in command.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        push_quoted(word, &mut line);
    }
    line
}

/// One word, which the shell is to take as it is.
fn push_quoted(word: &OsStr, line: &mut Vec<u8>) {
    line.push(b'\'');
    for byte in word.as_encoded_bytes() {
        match byte {
            b'\'' => line.extend_from_slice(br"'\''"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_were_given() {
        for (command, directory, expected) in [
            (&["ls"][..], None, "'ls'"),
            (&["printf", "%s\n", "a b", "", "$HOME", "it's", "`id`", "\\"], None, {
                r"'printf' '%s
' 'a b' '' '$HOME' 'it'\''s' '`id`' '\'"
            }),
            (&["pwd"], Some("/a dir/-'x"), r"cd -- '/a dir/-'\''x' && 'pwd'"),
        ] {
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            let line = shell_command(&command, directory.map(OsStr::new));
            assert_eq!(String::from_utf8(line).expect("text"), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn words_need_not_be_text() {
        use std::os::unix::ffi::OsStringExt;
        let command = [OsString::from_vec(b"a\xff\x01".to_vec())];
        assert_eq!(shell_command(&command, None), b"'a\xff\x01'");
    }
}
