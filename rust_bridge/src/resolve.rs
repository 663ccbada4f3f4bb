// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups of names for C tasks: operations whose message is a list of addresses.
//!
//! The list is text, one address a line, as nart_addr_parse() parses it. So an operation needs no field
//! for it, and a program can print it. The look-ups are those of names.rs; at most `queue_cap` of these
//! operations exist at the same time, so they cannot fill that queue without bound.

use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::bridge::Shared;
use crate::future;
use crate::names::{Failed, Names, Reply};
use crate::op::{self, Handle, Label};
use crate::outcome::Outcome;
use crate::sys::io::{nart_addr_parse, NartAddr};
use crate::sys::{errno, Res, EDNS};

/// What a text stands for.
enum Target {
    Address,
    Name(String, u16),
}

fn parse(text: &CStr) -> Option<Target> {
    if address(text).is_some() {
        return Some(Target::Address);
    }
    let (name, port) = text.to_str().ok()?.rsplit_once(':')?;
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let port = digits.then(|| port.parse().ok()).flatten()?;
    is_name(name).then(|| Target::Name(name.to_owned(), port))
}

/// getaddrinfo() takes "1.2", "0x7f000001" and "1.2.3.400" for addresses or sends them to a name
/// server: a name ends with a label that is not a number.
fn is_name(name: &str) -> bool {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let last = bare.rsplit('.').next().unwrap_or("");
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let number = last.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    (1..=253).contains(&bare.len()) && bare.bytes().all(allowed) && !number
}

/// The address that a text stands for.
fn address(text: &CStr) -> Option<NartAddr> {
    let mut address = std::mem::MaybeUninit::uninit();
    // SAFETY: writes `address` if it returns 0.
    unsafe {
        let parsed = nart_addr_parse(address.as_mut_ptr(), text.as_ptr());
        (parsed == 0).then(|| address.assume_init())
    }
}

/// The addresses that the message of an operation lists.
pub fn addresses(message: &[u8]) -> impl Iterator<Item = NartAddr> + '_ {
    let lines = message.split(|&b| b == b'\n');
    lines.map_while(|line| address(&CString::new(line).ok()?))
}

fn outcome(reply: Reply, port: u16) -> Outcome {
    let failed = match reply {
        Ok(found) if !found.is_empty() => {
            let text = |ip: &SocketAddr| {
                let mut at = *ip;
                at.set_port(port);
                at.to_string()
            };
            let lines: Vec<String> = found.iter().map(text).collect();
            return Outcome::value_with(lines.len() as i64, lines.join("\n").into_bytes());
        }
        Ok(_) => return Outcome::error(EDNS, "the name has no address"),
        Err(failed) => failed,
    };
    Outcome::error(failed.code.unwrap_or(EDNS), failed.to_string())
}

async fn look_up(names: Arc<Names>, name: String, port: u16) -> Outcome {
    let reply = names.request(&name).await;
    outcome(reply.unwrap_or_else(|_| Err(Failed::shut_down())), port)
}

/// Errors: -EINVAL, -EAGAIN, and those of op::begin().
pub fn resolve(shared: &Arc<Shared>, text: &CStr) -> Result<Handle, Res> {
    let target = parse(text).ok_or(errno(libc::EINVAL))?;
    let (name, port) = match target {
        Target::Name(name, port) => (name, port),
        Target::Address => {
            let (handle, promise) = op::begin(shared, Label::PART)?;
            promise.finish(Outcome::value_with(1, text.to_bytes().to_vec()));
            return Ok(handle);
        }
    };
    let permit = shared.resolves.clone().try_acquire_owned();
    let permit = permit.map_err(|_| errno(libc::EAGAIN))?;
    let names = shared.names.clone();
    future::start(shared, async move {
        let _permit = permit;
        look_up(names, name, port).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_none() {
        for name in ["a", "example.org", "example.org.", "a-b_c.x1", "1.2.3.4a"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(254);
        let none = [
            "",
            ".",
            "1",
            "a.1",
            "1.2.3.4",
            "0x7f000001",
            "a.0x",
            "a b",
            "a:b",
            "\u{e4}",
            &long,
        ];
        for name in none {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_list_of_addresses_is_text() {
        let found = ["127.0.0.1:0", "[fe80::1%2]:0"].map(|text| text.parse().unwrap());
        let outcome = outcome(Ok(found.to_vec()), 80);
        let (message, n) = outcome.message();
        assert_eq!(&message[..n], b"127.0.0.1:80\n[fe80::1%2]:80");
        assert_eq!(addresses(&message[..n]).count(), 2);
        assert_eq!(addresses(b"").count(), 0);
    }
}
