// SPDX-License-Identifier: MIT OR Apache-2.0
//! Declarations for C, put together at compile time.
//!
//! Each is a line of the archive, which rust_bridge/cmake/umbrella_header.cmake finds there: printable
//! ASCII, where `~x0a` is a byte that the script could not read, and `~t` a `~`.

/// A piece of a text.
#[derive(Clone, Copy, Debug)]
pub enum Piece {
    /// As it is.
    Text(&'static str),
    /// A name, and what follows it: `default` is `default_`, because C has no such name, and with `_len` it is
    /// `default_len`; `r#type` is `type`.
    Name(&'static str, &'static str),
    /// The name of a type of Rust as C has it: `KvInfo` is `kv_info`, and `Int` is `int_`.
    Snake(&'static str),
    /// A comment of C, indented, from the lines of a doc comment and one more; nothing if both are empty.
    Comment(&'static str, &'static [&'static str], &'static str),
    /// Other pieces.
    Pieces(&'static [Piece]),
    /// A number, of that many digits at least.
    Number(usize, usize),
}

use Piece::{Comment, Name, Number, Pieces, Snake, Text};

/// What is no name in C or C++: keywords, macros of their libraries, and the parameters that each function has.
const WORDS: &str = " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t \
    char32_t char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr \
    constinit continue decltype default delete do double dynamic_cast else enum errno explicit export extern \
    false float for friend goto if inline int linux long mutable namespace new noexcept not not_eq nullptr op \
    operator or or_eq private protected public register reinterpret_cast requires restrict return rt short \
    signed sizeof static static_assert static_cast stderr stdin stdout struct switch template this thread_local \
    throw true try typedef typeid typename typeof typeof_unqual union unix unsigned using virtual void volatile \
    wchar_t while xor xor_eq ";

/// Whether a name, in lower case, is one of WORDS.
pub const fn is_word(name: &str) -> bool {
    let (words, name) = (WORDS.as_bytes(), name.as_bytes());
    let from = begin(name);
    let (mut start, mut i) = (1, 1);
    while i < words.len() {
        if words[i] != b' ' {
            i += 1;
            continue;
        }
        let mut same = i - start == name.len() - from;
        let mut n = from;
        while same && n < name.len() {
            same = words[start + n - from] == name[n].to_ascii_lowercase();
            n += 1;
        }
        if same {
            return true;
        }
        i += 1;
        start = i;
    }
    false
}

/// Where a name begins, without the `r#` of a raw identifier.
const fn begin(name: &[u8]) -> usize {
    if name.len() > 2 && name[1] == b'#' {
        2
    } else {
        0
    }
}

/// Counts the bytes, and writes them if there is space.
struct Writer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Writer<N> {
    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn escaped(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'~' => {
                self.byte(b'~');
                self.byte(b't');
            }
            b' '..=b'}' if !matches!(byte, b';' | b'[' | b']' | b'\\') => self.byte(byte),
            _ => {
                self.byte(b'~');
                self.byte(b'x');
                self.byte(HEX[(byte >> 4) as usize]);
                self.byte(HEX[(byte & 15) as usize]);
            }
        }
    }

    const fn text(&mut self, text: &str) {
        let mut i = 0;
        while i < text.len() {
            self.escaped(text.as_bytes()[i]);
            i += 1;
        }
    }

    const fn name(&mut self, name: &str, end: &str) {
        let bytes = name.as_bytes();
        let mut i = begin(bytes);
        while i < bytes.len() {
            self.escaped(bytes[i]);
            i += 1;
        }
        self.text(if end.is_empty() && is_word(name) {
            "_"
        } else {
            end
        });
    }

    const fn snake(&mut self, text: &str) {
        let name = text.as_bytes();
        let mut i = begin(name);
        while i < name.len() {
            if i > begin(name) && name[i].is_ascii_uppercase() && !name[i - 1].is_ascii_uppercase()
            {
                self.escaped(b'_');
            }
            self.escaped(name[i].to_ascii_lowercase());
            i += 1;
        }
        if is_word(text) {
            self.text("_");
        }
    }

    /// A line of a comment, which `*/` does not end, and in which compilers do not warn of `/*`.
    const fn comment_line(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut i = 0;
        if !bytes.is_empty() && bytes[0] == b'/' {
            self.escaped(b' '); // there is a `*` before it
        }
        while i < bytes.len() {
            self.escaped(bytes[i]);
            i += 1;
            if i < bytes.len() && matches!((bytes[i - 1], bytes[i]), (b'*', b'/') | (b'/', b'*')) {
                self.escaped(b' ');
            }
        }
    }

    const fn comment(&mut self, indent: &str, lines: &[&str], last: &str) {
        let n = lines.len() + !last.is_empty() as usize;
        let mut i = 0;
        while i < n {
            self.text(indent);
            self.text(if i == 0 { "/**" } else { " *" });
            if i < lines.len() {
                self.comment_line(lines[i]);
            } else {
                self.text(" ");
                self.text(last);
            }
            self.text(if i + 1 == n { " */\n" } else { "\n" });
            i += 1;
        }
    }

    const fn number(&mut self, number: usize, digits: usize) {
        if digits > 1 || number > 9 {
            self.number(number / 10, digits.saturating_sub(1));
        }
        self.escaped(b'0' + (number % 10) as u8);
    }

    const fn pieces(&mut self, pieces: &[Piece]) {
        let mut i = 0;
        while i < pieces.len() {
            match pieces[i] {
                Text(text) => self.text(text),
                Name(name, end) => self.name(name, end),
                Snake(name) => self.snake(name),
                Comment(indent, lines, last) => self.comment(indent, lines, last),
                Pieces(more) => self.pieces(more),
                Number(number, digits) => self.number(number, digits),
            }
            i += 1;
        }
    }
}

const MARK: &[u8] = b"\nnart-export!";

/// The length of a line.
pub const fn line_len(pieces: &[Piece]) -> usize {
    writer::<0>(pieces).len + 1
}

/// The line: `N` is its length. What comes before the first `!` of `pieces` is what to sort by.
pub const fn line<const N: usize>(pieces: &[Piece]) -> [u8; N] {
    writer(pieces).bytes
}

const fn writer<const N: usize>(pieces: &[Piece]) -> Writer<N> {
    let mut to = Writer {
        bytes: [b'\n'; N],
        len: 0,
    };
    let mut i = 0;
    while i < MARK.len() {
        to.byte(MARK[i]);
        i += 1;
    }
    to.pieces(pieces);
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: &[Piece] = &[
        Number(42, 5),
        Text("!int a["),
        Number(10, 1),
        Snake("HttpKvInfo2"),
        Text("];~"),
        Comment(" ", &[" 5 µs", " ends */ not /*", "/ end"], "Last."),
        Comment("", &[], ""),
        Name("r#type", ""),
        Name("r#for", ""),
        Name("or_", ""),
        Name("rt", ""),
        Name("wchar_t", ""),
        Name("r#do", "_len"),
        Snake("Int"),
        Snake("Integer"),
    ];

    #[test]
    fn a_line_is_printable_ascii() {
        const LINE: [u8; line_len(PIECES)] = line(PIECES);
        let expected = "\nnart-export!00042!int a~x5b10http_kv_info2~x5d~x3b~t /** 5 ~xc2~xb5s~x0a  * ends * / not / *~x0a  * / end~x0a  * Last. */~x0atypefor_or_rt_wchar_t_do_lenint_integer\n";
        assert_eq!(std::str::from_utf8(&LINE), Ok(expected));
    }
}
