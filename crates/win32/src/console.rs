//! The console: whether it shows what is typed, what its keys do, how large it is, and text from it.
#![allow(unsafe_code)]

use std::io::{self, Read};
use std::os::windows::io::{AsRawHandle, RawHandle};

use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, CONSOLE_SCREEN_BUFFER_INFO, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT,
    ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, FlushConsoleInputBuffer,
    GetConsoleMode, GetConsoleScreenBufferInfo, ReadConsoleW, SetConsoleMode,
};

/// What the console of standard input, or of standard output, was set to. Dropping it brings that back.
#[derive(Debug)]
pub struct Settings {
    of: Stream,
    before: CONSOLE_MODE,
}

#[derive(Clone, Copy, Debug)]
enum Stream {
    Input,
    Output,
}

impl Stream {
    fn handle(self) -> RawHandle {
        match self {
            Self::Input => io::stdin().as_raw_handle(),
            Self::Output => io::stdout().as_raw_handle(),
        }
    }

    fn mode(self) -> io::Result<CONSOLE_MODE> {
        let mut mode = 0;
        // SAFETY: the result's place is ours; a handle that is no console's is an error.
        succeeded(unsafe { GetConsoleMode(self.handle(), &raw mut mode) })?;
        Ok(mode)
    }

    fn set(self, mode: CONSOLE_MODE) -> io::Result<()> {
        // SAFETY: it takes nothing but numbers.
        succeeded(unsafe { SetConsoleMode(self.handle(), mode) })
    }

    fn change(self, to: impl Fn(CONSOLE_MODE) -> CONSOLE_MODE) -> io::Result<Settings> {
        let before = self.mode()?;
        self.set(to(before))?;
        Ok(Settings { of: self, before })
    }
}

impl Settings {
    /// Does not show what is typed, a line at a time. What was typed before is discarded.
    ///
    /// # Errors
    /// Standard input is no console.
    pub fn without_echo() -> io::Result<Self> {
        let settings = Stream::Input
            .change(|before| (before & !ENABLE_ECHO_INPUT) | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT)?;
        discard_typed();
        Ok(settings)
    }

    /// Hands each key on as it is, in the sequences of a terminal, and shows nothing.
    ///
    /// # Errors
    /// Standard input is no console.
    pub fn raw_input() -> io::Result<Self> {
        const COOKED: CONSOLE_MODE = ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT;
        Stream::Input.change(|before| (before & !COOKED) | ENABLE_VIRTUAL_TERMINAL_INPUT)
    }

    /// Obeys the control sequences of a terminal.
    ///
    /// # Errors
    /// Standard output is no console, or an old one.
    pub fn with_sequences() -> io::Result<Self> {
        Stream::Output.change(|before| before | ENABLE_VIRTUAL_TERMINAL_PROCESSING)
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        if let Stream::Input = self.of {
            // What was typed and not entered may be part of a secret: the shell must not get to show it.
            discard_typed();
        }
        let _ = self.of.set(self.before);
    }
}

fn discard_typed() {
    // SAFETY: it takes a handle; one that is no console's is an error, and nothing happens.
    unsafe { FlushConsoleInputBuffer(Stream::Input.handle()) };
}

/// Columns and rows of the window in which standard output's console is seen.
#[must_use]
pub fn size() -> Option<(u16, u16)> {
    let mut found = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the result's place is ours; a handle that is no console's is an error.
    if unsafe { GetConsoleScreenBufferInfo(Stream::Output.handle(), &raw mut found) } == 0 {
        return None;
    }
    let window = found.srWindow;
    let extent = |from: i16, to: i16| u16::try_from(i32::from(to) - i32::from(from) + 1).ok();
    Some((extent(window.Left, window.Right)?, extent(window.Top, window.Bottom)?))
}

/// Standard input as UTF-8, without a buffer that would read ahead: where it is a console, its bytes would be those of
/// some other encoding.
#[derive(Debug)]
pub struct Input {
    /// What was read and has not been taken: the rest of a character.
    rest: Vec<u8>,
}

impl Input {
    /// Standard input; none if it is no console.
    #[must_use]
    pub fn new() -> Option<Self> {
        Stream::Input.mode().is_ok().then(|| Self { rest: Vec::new() })
    }

    /// The next unit of UTF-16; none at the end of the input.
    fn unit() -> io::Result<Option<u16>> {
        let (mut unit, mut count) = (0_u16, 0);
        // SAFETY: there is room for the one unit that is asked for.
        let read = unsafe {
            ReadConsoleW(Stream::Input.handle(), (&raw mut unit).cast(), 1, &raw mut count, std::ptr::null())
        };
        succeeded(read)?;
        Ok((count == 1).then_some(unit))
    }

    fn character() -> io::Result<Option<char>> {
        let Some(first) = Self::unit()? else { return Ok(None) };
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) {
            units.extend(Self::unit()?);
        }
        Ok(char::decode_utf16(units).next().map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

impl Read for Input {
    /// A character, or as much of it as there is room for. Ctrl-Z ends the input where lines are edited, as in every
    /// program.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        const CTRL_Z: char = '\u{1a}';
        if self.rest.is_empty() {
            let by_lines = Stream::Input.mode()? & ENABLE_LINE_INPUT != 0;
            match Self::character()? {
                None => return Ok(0),
                Some(CTRL_Z) if by_lines => return Ok(0),
                Some(character) => {
                    self.rest.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        let count = room.len().min(self.rest.len());
        for (to, from) in room.iter_mut().zip(self.rest.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

fn succeeded(done: i32) -> io::Result<()> {
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
