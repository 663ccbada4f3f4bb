/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! The page of examples/servers/http.c on a current_thread tokio: the same code answers, a connection has the
//! same buffers. build.rs compiles that code.

use std::ffi::c_char;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

const HEAD: usize = 2048;

/// `struct http` of http.h.
#[repr(C)]
struct Http {
    have: usize,
    skip: usize,
    len: usize,
    last: bool,
    input: [c_char; HEAD],
    output: [c_char; HEAD],
}

#[link(name = "page", kind = "static")]
unsafe extern "C" {
    fn http_answer(http: *mut Http);
}

fn bytes(chars: &mut [c_char]) -> &mut [u8] {
    // SAFETY: a c_char is a byte.
    unsafe { std::slice::from_raw_parts_mut(chars.as_mut_ptr().cast(), chars.len()) }
}

impl Http {
    /// The bytes of the answers to what has been received.
    fn answer(&mut self) -> usize {
        // SAFETY: the C function uses this object only, until it returns.
        unsafe { http_answer(self) };
        self.len
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let (input, output) = ([0; HEAD], [0; HEAD]);
    let mut http = Http { have: 0, skip: 0, len: 0, last: false, input, output };
    stream.set_nodelay(true)?;
    loop {
        let have = http.have;
        let n = stream.read(&mut bytes(&mut http.input)[have..]).await?;
        if n == 0 {
            return Ok(());
        }
        http.have += n;
        while http.answer() > 0 {
            let len = http.len;
            stream.write_all(&bytes(&mut http.output)[..len]).await?;
            http.len = 0;
            if http.last {
                return Ok(());
            }
        }
    }
}

fn main() {
    let rt = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&rt, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        println!("listening at {}", listener.local_addr().expect("address"));
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            spawn_local(serve(stream));
        }
    });
}
