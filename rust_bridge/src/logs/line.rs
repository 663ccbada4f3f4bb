// SPDX-License-Identifier: MIT OR Apache-2.0
//! An event in memory of a fixed size.

use std::ffi::c_char;
use std::fmt::{self, Write};

use log::Level;

use crate::ffi::NartTokioLogEvent;

/// Target and text, with a NUL each. With its place in the queue an event takes 1 KiB.
const BYTES: usize = 960;
const TARGET_MAX: usize = 127;

#[derive(Clone, Copy)]
pub struct Line {
    pub time: i64,
    /// Events lost before this one.
    pub lost: u64,
    thread: [c_char; 16],
    /// Of the thread.
    id: i32,
    level: u8,
    target_len: u16,
    text_len: u16,
    /// Bytes of the text that did not fit.
    cut: u32,
    bytes: [u8; BYTES],
}

const _: () = assert!(std::mem::size_of::<Line>() + 8 <= 1024);

impl Line {
    pub fn new() -> Line {
        Line {
            time: 0,
            lost: 0,
            thread: [0; 16],
            id: 0,
            level: 0,
            target_len: 0,
            text_len: 0,
            cut: 0,
            bytes: [0; BYTES],
        }
    }

    pub fn of(time: i64, level: Level, target: &str, text: fmt::Arguments<'_>) -> Line {
        let mut line = Line::new();
        let target = &target[..floor(target, TARGET_MAX)];
        line.time = time;
        line.thread = thread_name();
        // SAFETY: only returns a number.
        line.id = unsafe { libc::gettid() };
        line.level = level as u8;
        line.target_len = target.len() as u16;
        line.bytes[..target.len()].copy_from_slice(target.as_bytes());
        let _ = line.write_fmt(text); // an error is one of the text's own
        line
    }

    fn text_at(&self) -> usize {
        usize::from(self.target_len) + 1
    }

    /// Fills in `event`, which refers to this line.
    pub fn show(&self, event: &mut NartTokioLogEvent) {
        *event = NartTokioLogEvent {
            time: self.time,
            lost: self.lost,
            target: self.bytes.as_ptr().cast(),
            text: self.bytes[self.text_at()..].as_ptr().cast(),
            text_len: self.text_len.into(),
            cut: self.cut,
            level: self.level.into(),
            thread_id: self.id,
            thread: self.thread,
            ..NartTokioLogEvent::EMPTY
        };
    }
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let at = self.text_at() + usize::from(self.text_len);
        let fits = match self.cut {
            0 => floor(s, BYTES - 1 - at),
            _ => 0, // what follows a cut is missing, too
        };
        self.bytes[at..at + fits].copy_from_slice(&s.as_bytes()[..fits]);
        self.text_len += fits as u16;
        let cut = u32::try_from(s.len() - fits).unwrap_or(u32::MAX);
        self.cut = self.cut.saturating_add(cut);
        Ok(())
    }
}

/// The name of this thread, with a NUL.
fn thread_name() -> [c_char; 16] {
    let mut name = [0; 16];
    // SAFETY: writes at most as many bytes, with a NUL.
    unsafe { libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr(), name.len()) };
    name
}

/// The length of the longest beginning of at most `max` bytes that ends between two characters.
fn floor(s: &str, max: usize) -> usize {
    let mut len = s.len().min(max);
    while !s.is_char_boundary(len) {
        len -= 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn text(line: &Line) -> &str {
        // SAFETY: the text is a C string as long as the line.
        unsafe { CStr::from_ptr(line.bytes[line.text_at()..].as_ptr().cast()) }
            .to_str()
            .unwrap()
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters_and_counted() {
        let long = "é".repeat(BYTES);
        let line = Line::of(1, Level::Info, &long, format_args!("{long}{}", 7));
        assert_eq!(line.target_len, 126);
        let kept = text(&line);
        assert!(kept.len() > 800 && long.starts_with(kept));
        assert_eq!(line.cut as usize, long.len() + 1 - kept.len());
    }

    #[test]
    fn a_text_that_fits_is_whole() {
        let line = Line::of(1, Level::Info, "t", format_args!("a{}c", 'b'));
        assert_eq!((text(&line), line.text_len, line.cut), ("abc", 3, 0));
    }
}
