// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS connections. The C interface of tls/session.rs.
//!
//! Ownership: [`NartTls`] is the caller's memory. It holds the socket, which the first call of
//! [`nart_tls_connect`] or [`nart_tls_accept`] moves into it, and a box with the session.
//! [`nart_tls_close`] frees both.

use std::ffi::{c_char, c_void, CStr};
use std::ptr;

use super::{slice, NartTlsConfig};
use crate::panic::guard;
use crate::sys::net::{nart_tcp_close, nart_tcp_fd, nart_tcp_move, NartTcp};
use crate::sys::{errno, Cx, Poll, Res, EDRIVER};
use crate::tls::session::{Config, Session, Socket};

/// A TLS connection over a TCP socket of the loop, or of a C task on tokio. No other thread is involved:
/// its operations encrypt and decrypt on the thread that polls. Zeroed = closed.
///
/// ```c
/// struct get {
///     nart_co co;
///     const nart_tls_config *config;
///     nart_tcp tcp; // connected
///     nart_tls tls;
///     size_t done;
///     char buf[4096];
/// };
///
/// static const char request[] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
///
/// static nart_res get_run(nart_cx *cx, void *frame)
/// {
///     struct get *f = frame;
///     nart_res r = 0;
///
///     NART_BEGIN(cx, &f->co);
///     NART_AWAIT_FOR(r, 5 * NART_SEC,
///                    nart_tls_connect(cx, &f->tls, f->config, "localhost", &f->tcp));
///     if (r == 0)
///         NART_AWAIT(r, nart_tls_send_all(cx, &f->tls, request, sizeof request - 1, &f->done));
///     while (r > 0) {
///         NART_AWAIT(r, nart_tls_recv(cx, &f->tls, f->buf, sizeof f->buf));
///         if (r > 0)
///             fwrite(f->buf, 1, (size_t)r, stdout);
///     }
///     if (r < 0)
///         printf("%s: %s\n", nart_err_name(r), nart_tls_error(&f->tls));
///     nart_tls_close(&f->tls);
///     nart_tcp_close(&f->tcp);
///     NART_END(r);
/// }
/// ```
///
/// The rules of all handles are at the top of nart/io.h. The reader and the writer may be two tasks.
/// Every operation can also answer these errors: NART_ETLS the handshake failed, or the peer has sent
/// what is not valid TLS, or an alert; NART_ETLS_TRUNCATED the peer closed the connection without the
/// end of the stream (close_notify): what was received may be incomplete. nart_tls_error() has the text.
/// After these two, every operation answers the same; close the connection.
///
/// It may be moved by assignment while no task waits in it; nart_tls_move() does that at any time. It
/// cannot pass from a loop to tokio or back.
///
/// The memory of a connection is bounded, whatever the peer does: at most 64 KiB of encrypted data that
/// the kernel has not accepted, and 128 KiB received, usually 18 KiB at most.
#[repr(C)]
#[derive(Debug)]
pub struct NartTls {
    /// The socket, for nart_tcp_peer_addr() and options. Do not send, receive or close by it
    pub tcp: NartTcp,
    /// private
    #[doc(hidden)]
    pub session: *mut c_void,
    #[doc(hidden)]
    pub reserved: [u64; 3],
}

/// # Safety
/// `t` is NULL or live, and no other reference to its session is used meanwhile.
unsafe fn session<'a>(t: *const NartTls) -> Option<&'a mut Session> {
    // SAFETY: a pointer that is not NULL is from open(), and close clears it.
    unsafe { t.as_ref()?.session.cast::<Session>().as_mut() }
}

/// The body of every operation on a connection: `f` is called unless the poll must end.
///
/// # Safety
/// `cx` is the running poll's; `t` is live.
unsafe fn operation(
    cx: *mut Cx,
    t: *mut NartTls,
    f: impl FnOnce(&mut Session, Socket) -> Result<Res, Res>,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (poll, session) = unsafe { (Poll::new(cx), session(t)) };
        if let Err(answer) = poll.enter() {
            return answer;
        }
        let Some(session) = session else {
            return errno(libc::EBADF);
        };
        // SAFETY: the caller's promises.
        let (tcp, fd) = unsafe { (&raw mut (*t).tcp, nart_tcp_fd(&raw const (*t).tcp)) };
        if fd < 0 {
            return fd;
        }
        // SAFETY: as above.
        if !unsafe { (*tcp).is_under(cx) } {
            return EDRIVER;
        }
        f(session, Socket { poll, tcp }).unwrap_or_else(|answer| answer)
    })
}

/// Makes the session and moves the socket in, unless that was done.
///
/// # Safety
/// The pointers are NULL or live.
unsafe fn open(
    t: *mut NartTls,
    tcp: *mut NartTcp,
    make: impl FnOnce() -> Option<Result<Session, Res>>,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        let invalid = errno(libc::EINVAL);
        let Some(t) = t.as_mut() else { return invalid };
        if !t.session.is_null() {
            return 0;
        }
        if tcp.is_null() {
            return invalid;
        }
        let fd = nart_tcp_fd(tcp);
        if fd < 0 {
            return fd;
        }
        match make() {
            None => invalid,
            Some(Err(code)) => code,
            Some(Ok(session)) => {
                nart_tcp_move(&mut t.tcp, tcp);
                t.session = Box::into_raw(Box::new(session)).cast();
                0
            }
        }
    }
}

/// The body of both handshakes.
///
/// # Safety
/// As open() and operation().
unsafe fn handshake(
    cx: *mut Cx,
    t: *mut NartTls,
    tcp: *mut NartTcp,
    make: impl FnOnce() -> Option<Result<Session, Res>>,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            if let Err(answer) = Poll::new(cx).enter() {
                return answer;
            }
            match open(t, tcp, make) {
                0 => operation(cx, t, |session, socket| session.handshake(socket)),
                refused => refused,
            }
        }
    })
}

/// Makes the TLS handshake of a client. The first call takes `tcp` over, which must be connected; later
/// calls continue, and ignore the other arguments.
/// @param t closed or zeroed. @param config of a client.
/// @param server the name of the server, or an address: it is sent (SNI), and verified.
/// @return 0; -EINVAL no `t`, `tcp`, `config` or `server`, a configuration of a server, or a name that is
///   not valid; -EISCONN the handshake was made; NART_ETLS, NART_ETLS_TRUNCATED; the errors of
///   nart_tcp_send() and nart_tcp_recv(). After -ECANCELED and -ETIMEDOUT another call continues.
/// **Ownership**: if this fails at once (-EINVAL, -EBADF, -ECANCELED ...), `tcp` may remain the caller's:
/// close both, which is allowed in any case. `config` is not used after the first call.
/// **Cost**: allocations; some 100 us of computation.
///
/// # Safety
/// `cx` is the running poll's; `t`, `config` and `tcp` are NULL or live; `server` is NULL or a string.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_connect(
    cx: *mut Cx,
    t: *mut NartTls,
    config: *const NartTlsConfig,
    server: *const c_char,
    tcp: *mut NartTcp,
) -> Res {
    let make = || {
        // SAFETY: the caller's promises.
        let config = unsafe { config.as_ref()? };
        if server.is_null() {
            return None;
        }
        // SAFETY: as above.
        let server = unsafe { CStr::from_ptr(server) }.to_str().ok()?;
        match config.get() {
            Config::Client(config) => Some(Session::client(config, server)),
            Config::Server(_) => None,
        }
    };
    // SAFETY: the caller's promises.
    unsafe { handshake(cx, t, tcp, make) }
}

/// Makes the TLS handshake of a server, as nart_tls_connect() does that of a client. It ends when the
/// client has proved its identity, if it must.
/// @param config of a server.
/// @return as nart_tls_connect().
/// **Ownership**, **Cost**: as nart_tls_connect().
///
/// # Safety
/// `cx` is the running poll's; `t`, `config` and `tcp` are NULL or live.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_accept(
    cx: *mut Cx,
    t: *mut NartTls,
    config: *const NartTlsConfig,
    tcp: *mut NartTcp,
) -> Res {
    // SAFETY: the caller's promises.
    let make = || match unsafe { config.as_ref()? }.get() {
        Config::Server(config) => Some(Session::server(config)),
        Config::Client(_) => None,
    };
    // SAFETY: the caller's promises.
    unsafe { handshake(cx, t, tcp, make) }
}

/// Receives the pending bytes, at most `len`. A client with a refused certificate learns that here, with
/// NART_ETLS: in TLS 1.3 its handshake has ended before. While it waits, it sends what
/// nart_tls_send() has left.
/// @return the number of bytes; 0 the peer has ended its stream (close_notify); -EINVAL `len` is 0, or no
///   `buf`; -ENOTCONN the handshake was not made; NART_ETLS, NART_ETLS_TRUNCATED; the errors of
///   nart_tcp_recv().
/// **Cost**: a system call for each 17 KiB, if bytes are pending; decryption and a copy.
///
/// # Safety
/// `cx` is the running poll's; `t` is live; `buf` has space for `len` bytes.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_recv(
    cx: *mut Cx,
    t: *mut NartTls,
    buf: *mut c_void,
    len: usize,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        operation(cx, t, |session, socket| match buf.is_null() {
            true => Err(errno(libc::EINVAL)),
            false => session.recv(socket, buf.cast(), len),
        })
    }
}

/// Encrypts and sends at least one byte, at most 64 KiB. Encrypted bytes that the kernel does not accept
/// stay in the connection; any next operation on it sends them, but not nart_tls_close(). If you do not
/// receive next, call nart_tls_flush(), or use nart_tls_send_all().
/// @return the number of bytes; 0 if `len` is 0; -EINVAL no `buf`; -EPIPE nart_tls_shutdown() was called,
///   or the peer has closed; -ENOTCONN the handshake was not made; the errors of nart_tcp_send().
/// **Cost**: encryption and a copy; a system call for each 16 KiB.
///
/// # Safety
/// `cx` is the running poll's; `t` is live; `buf` has `len` bytes.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_send(
    cx: *mut Cx,
    t: *mut NartTls,
    buf: *const c_void,
    len: usize,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        operation(cx, t, |session, socket| {
            session.send(socket, slice(buf.cast::<u8>(), len)?)
        })
    }
}

/// Sends all of `buf`: when it answers, the kernel has accepted everything.
/// @param done the bytes encrypted so far: 0 before the first call, kept in the frame, 0 again after
///   success. After an error, -ECANCELED and -ETIMEDOUT included, another call with the same `buf` and
///   `len` sends the rest; a call with another message would skip its first `*done` bytes.
/// @return `len`; -EINVAL no `done`, or `*done` is above `len`; the errors of nart_tls_send().
/// **Cost**: as nart_tls_send().
///
/// # Safety
/// `cx` is the running poll's; `t` and `done` are live; `buf` has `len` bytes.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_send_all(
    cx: *mut Cx,
    t: *mut NartTls,
    buf: *const c_void,
    len: usize,
    done: *mut usize,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        operation(cx, t, |session, socket| {
            let done = done.as_mut().ok_or(errno(libc::EINVAL))?;
            session.send_all(socket, slice(buf.cast::<u8>(), len)?, done)
        })
    }
}

/// Waits until the kernel has accepted everything that nart_tls_send() has left.
/// @return 0; -ENOTCONN the handshake was not made; the errors of nart_tcp_send().
/// **Cost**: none if nothing is left.
///
/// # Safety
/// `cx` is the running poll's; `t` is live.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_flush(cx: *mut Cx, t: *mut NartTls) -> Res {
    // SAFETY: the caller's promises.
    unsafe { operation(cx, t, |session, socket| session.flush_all(socket)) }
}

/// Ends this side's stream, after all that was sent: the peer reads 0 (close_notify). It can still send,
/// and this side receive. The socket stays open. Calling it again is allowed, and flushes. A client of TLS
/// 1.3 that only sends should receive until 0 before it closes: a server sends it session tickets, and a
/// close with unread bytes resets the connection.
/// @return 0: the kernel has accepted the end; as nart_tls_flush().
/// **Cost**: a system call.
///
/// # Safety
/// `cx` is the running poll's; `t` is live.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_shutdown(cx: *mut Cx, t: *mut NartTls) -> Res {
    // SAFETY: the caller's promises.
    unsafe { operation(cx, t, |session, socket| session.shutdown(socket)) }
}

/// Closes the socket and frees the session. The end of the stream is not sent: without
/// nart_tls_shutdown() the peer sees a truncated stream, which is right for a task that is cancelled in
/// the middle of a message. Like nart_tcp_close(), it may lose bytes that were sent if received ones have
/// not been read. For an end in order: nart_tls_shutdown(), then nart_tls_recv() until it answers 0, with
/// a deadline, then this. Closed and NULL are allowed.
/// @return as nart_tcp_close().
/// **Thread**: as nart_tcp_close(). **Cost**: a system call; memory is freed.
///
/// # Safety
/// `t` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_close(t: *mut NartTls) -> Res {
    guard(|| {
        // SAFETY: the caller's promise; the session is from open().
        unsafe {
            let Some(t) = t.as_mut() else { return 0 };
            let closed = nart_tcp_close(&mut t.tcp);
            if closed < 0 {
                return closed;
            }
            let session = std::mem::replace(&mut t.session, ptr::null_mut());
            if !session.is_null() {
                drop(Box::from_raw(session.cast::<Session>()));
            }
            0
        }
    })
}

/// Moves to `*dst`, which is overwritten. A task that waits in `*src` is woken and finds it closed.
///
/// # Safety
/// `dst` and `src` are live; `dst` holds no connection.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_move(dst: *mut NartTls, src: *mut NartTls) {
    guard(|| {
        if ptr::eq(dst, src) {
            return;
        }
        // SAFETY: the caller's promises; they are different.
        unsafe {
            let (dst, src) = (&mut *dst, &mut *src);
            nart_tcp_move(&mut dst.tcp, &mut src.tcp);
            dst.session = std::mem::replace(&mut src.session, ptr::null_mut());
        }
    });
}

/// # Safety
/// `t` is NULL or live; `len` is NULL or writable.
unsafe fn text(
    t: *const NartTls,
    len: *mut usize,
    get: impl FnOnce(&Session) -> Option<&[u8]>,
) -> *const c_char {
    // SAFETY: the caller's promises.
    let (text, len) = unsafe { (session(t).and_then(|session| get(session)), len.as_mut()) };
    if let Some(len) = len {
        *len = text.map_or(0, |text| text.len() - 1);
    }
    text.map_or(ptr::null(), |text| text.as_ptr().cast())
}

/// The protocol that was selected by ALPN, terminated by a NUL that `*len` does not count. NULL: none, or
/// the handshake was not made. `len` may be NULL.
/// **Ownership**: the connection's, until it is closed. **Cost**: one load.
///
/// # Safety
/// `t` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_alpn(t: *const NartTls, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's promises.
    unsafe { text(t, len, Session::alpn) }
}

/// The name of the server: what the client asked for (SNI). NULL: the client sent none, as for an
/// address, or the handshake was not made. Terminated by a NUL that `*len` does not count. `len` may be
/// NULL.
/// **Ownership**: the connection's, until it is closed. **Cost**: one load.
///
/// # Safety
/// `t` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_server_name(t: *const NartTls, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's promises.
    unsafe { text(t, len, Session::server_name) }
}

/// The text of NART_ETLS and NART_ETLS_TRUNCATED. Never NULL; empty if the connection has not failed, or
/// is closed.
/// **Ownership**: the connection's, until it is closed. **Cost**: one load.
///
/// # Safety
/// `t` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_error(t: *const NartTls) -> *const c_char {
    // SAFETY: the caller's promises.
    let text = unsafe { text(t, ptr::null_mut(), Session::error) };
    match text.is_null() {
        true => c"".as_ptr(),
        false => text,
    }
}

/// The version of the protocol: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3; 0: not known yet, or closed.
/// **Cost**: one load.
///
/// # Safety
/// `t` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_version(t: *const NartTls) -> Res {
    // SAFETY: the caller's promise.
    unsafe { session(t) }.map_or(0, |session| session.version())
}

/// Whether the handshake has resumed an earlier session.
/// **Cost**: one load.
///
/// # Safety
/// `t` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_resumed(t: *const NartTls) -> bool {
    // SAFETY: the caller's promise.
    unsafe { session(t) }.is_some_and(|session| session.is_resumed())
}

/// The `i`-th certificate of the peer's chain, its own first, as DER of `*len` bytes. NULL: there are no
/// more than `i`, or the handshake was not made.
/// **Ownership**: the connection's, until it is closed. **Cost**: one load.
///
/// # Safety
/// `t` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_peer_cert(
    t: *const NartTls,
    i: usize,
    len: *mut usize,
) -> *const c_void {
    // SAFETY: the caller's promises.
    let (session, len) = unsafe { (session(t), len.as_mut()) };
    let der = session.and_then(|session| session.peer_certificate(i));
    if let Some(len) = len {
        *len = der.map_or(0, <[u8]>::len);
    }
    der.map_or(ptr::null(), |der| der.as_ptr().cast())
}
